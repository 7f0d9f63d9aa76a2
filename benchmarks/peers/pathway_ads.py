"""pw_ads.py BROKER IN OUT [windowby|floor] [persist]"""

import sys, uuid, tempfile, datetime, os
import pathway as pw

broker, tin, tout = sys.argv[1:4]
how = sys.argv[4] if len(sys.argv) > 4 else "windowby"
persist = sys.argv[5] if len(sys.argv) > 5 else ""


class Ev(pw.Schema):
    event_type: str
    timestamp: str
    campaign_id: str
    channel: str
    cost_micros: int
    revenue_micros: int


ev = pw.io.kafka.read(
    {
        "bootstrap.servers": broker,
        "group.id": f"pw-{uuid.uuid4()}",
        "auto.offset.reset": "earliest",
        "session.timeout.ms": "6000",
    },
    tin,
    schema=Ev,
    format="json",
    autocommit_duration_ms=int(os.environ.get("PW_COMMIT_MS", "1500")),
    name="ev",
    max_backlog_size=int(os.environ["PW_BACKLOG"]) if os.environ.get("PW_BACKLOG") else None,
)
ev = ev.select(
    pw.this.campaign_id,
    pw.this.channel,
    pw.this.cost_micros,
    pw.this.revenue_micros,
    ts=pw.this.timestamp.dt.strptime("%Y-%m-%dT%H:%M:%S%.fZ"),
    imp=pw.if_else(pw.this.event_type == "impression", 1, 0),
    clk=pw.if_else(pw.this.event_type == "click", 1, 0),
    cnv=pw.if_else(pw.this.event_type == "conversion", 1, 0),
)
aggs = dict(
    impressions=pw.reducers.sum(pw.this.imp),
    clicks=pw.reducers.sum(pw.this.clk),
    conversions=pw.reducers.sum(pw.this.cnv),
    cost_micros=pw.reducers.sum(pw.this.cost_micros),
    revenue_micros=pw.reducers.sum(pw.this.revenue_micros),
)
# PW_BEHAVIOR: unset = no lateness cut (default); cutoff5 = common_behavior(cutoff=5 s); exact5 = exactly_once_behavior(shift=5 s)
_5 = datetime.timedelta(seconds=5)
BEH = {
    "": None,
    "cutoff5": pw.temporal.common_behavior(cutoff=_5, keep_results=True),
    "exact5": pw.temporal.exactly_once_behavior(shift=_5),
}[os.environ.get("PW_BEHAVIOR", "")]
if how == "windowby":
    r = ev.windowby(
        pw.this.ts,
        window=pw.temporal.tumbling(duration=datetime.timedelta(minutes=1)),
        instance=pw.make_tuple(pw.this.campaign_id, pw.this.channel),
        behavior=BEH,
    ).reduce(window_start=pw.this._pw_window_start, campaign_id=pw.this._pw_instance[0], channel=pw.this._pw_instance[1], **aggs)
    r = r.with_columns(campaign_id=pw.declare_type(str, pw.this.campaign_id), channel=pw.declare_type(str, pw.this.channel))
else:
    ev = ev.with_columns(window_start=pw.this.ts.dt.floor(datetime.timedelta(minutes=1)))
    r = ev.groupby(pw.this.window_start, pw.this.campaign_id, pw.this.channel).reduce(
        pw.this.window_start, pw.this.campaign_id, pw.this.channel, **aggs
    )
s = r.to_stream().filter(pw.this.is_upsert)
s = s.select(
    window_start=pw.this.window_start.dt.strftime("%Y-%m-%dT%H:%M:%S"),
    campaign_id=pw.this.campaign_id,
    channel=pw.this.channel,
    impressions=pw.this.impressions,
    clicks=pw.this.clicks,
    conversions=pw.this.conversions,
    cost_micros=pw.this.cost_micros,
    revenue_micros=pw.this.revenue_micros,
)
s = s.with_columns(key=pw.this.window_start + "|" + pw.this.campaign_id + "|" + pw.this.channel)
pw.io.kafka.write(s, {"bootstrap.servers": broker, "linger.ms": "50"}, tout, format="json", key=s.key)
kw = {}
if persist:
    kw["persistence_config"] = pw.persistence.Config(
        pw.persistence.Backend.filesystem(tempfile.mkdtemp(prefix="pwp")),
        persistence_mode=pw.PersistenceMode.OPERATOR_PERSISTING if persist == "operator" else pw.PersistenceMode.PERSISTING,
    )
pw.run(monitoring_level=pw.MonitoringLevel.NONE, **kw)
