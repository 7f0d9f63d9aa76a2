"""quix_ads.py BROKER IN OUT [changelog|nolog]"""

import sys, uuid, tempfile, datetime
from quixstreams import Application

broker, tin, tout = sys.argv[1:4]
clog = (sys.argv[4] if len(sys.argv) > 4 else "changelog") == "changelog"
app = Application(
    broker_address=broker,
    consumer_group=f"quix-{uuid.uuid4().hex[:12]}",
    auto_offset_reset="earliest",
    state_dir=tempfile.mkdtemp(prefix="quix"),
    use_changelog_topics=clog,
    loglevel="WARNING",
    producer_extra_config={"linger.ms": 50},
    consumer_poll_timeout=1.0,
)
fromiso = datetime.datetime.fromisoformat
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MS = datetime.timedelta(milliseconds=1)


def ts(value, headers, timestamp, timestamp_type):
    return (fromiso(value["timestamp"]) - EPOCH) // MS


KIND = {"impression": 0, "click": 1, "conversion": 2}
inp = app.topic(tin, value_deserializer="json", timestamp_extractor=ts)
out = app.topic(tout, value_serializer="json", key_serializer="str")
sdf = app.dataframe(inp)
# project before the repartition topic: [key, kind, cost, revenue] is all that the aggregate needs
sdf = sdf.apply(
    lambda v: {
        "k": v["campaign_id"] + "|" + v["channel"],
        "e": KIND[v["event_type"]],
        "c": v["cost_micros"],
        "r": v["revenue_micros"],
    }
)
sdf = sdf.group_by("k", key_serializer="str", key_deserializer="str")


def init(v):
    a = [0, 0, 0, v["c"], v["r"]]
    a[v["e"]] = 1
    return a


def red(a, v):
    a[v["e"]] += 1
    a[3] += v["c"]
    a[4] += v["r"]
    return a


GRACE = datetime.timedelta(seconds=float(sys.argv[5])) if len(sys.argv) > 5 else datetime.timedelta(days=7)
w = sdf.tumbling_window(datetime.timedelta(seconds=60), grace_ms=GRACE).reduce(red, init)
w = w.final(closing_strategy=sys.argv[7]) if len(sys.argv) > 7 and sys.argv[6] == "final" else w.current()


def res(v, key, timestamp, headers):
    c, _, h = key.partition("|")
    a = v["value"]
    return {
        "window_start": v["start"],
        "campaign_id": c,
        "channel": h,
        "impressions": a[0],
        "clicks": a[1],
        "conversions": a[2],
        "cost_micros": a[3],
        "revenue_micros": a[4],
    }


w = w.apply(res, metadata=True)
w = w.to_topic(out)
app.run()
