"""The metrics of the flow, declared: names, help texts and labels. `dataflows.flow.telemetry` has their values.

Those **of the log** are in the snapshot with the offset that they belong to: after a restart they continue from the snapshot and reach
the same values, whatever was read twice. Those **of the process** begin at 0 with it; rates are made of them.
"""

from __future__ import annotations

from typing import get_args

from dataflows.contract.schema import Reason
from dataflows.telemetry.families import READY, Metric

OUTCOMES = ("counted", "duplicate", "late", "malformed")
REASONS: tuple[str, ...] = get_args(Reason)

_PROCESS = "Counter of the process: it starts at 0."
_LOG = "Value of the log: after a restart with the recovery folder it converges to the same value."
_READ = "Messages that were read from the logs topic."
_BECAME = "Messages by outcome: counted, duplicate, late, malformed (includes too_far_ahead and oversize)."
_REJECTED = "Rejected messages by reason: late, malformed, too_far_ahead, oversize."

READ = Metric("adtally_read_total", "counter", f"{_READ} {_PROCESS}", ("partition",))
EVENTS = Metric(
    "adtally_events_total",
    "counter",
    f"{_BECAME} {_PROCESS}",
    ("partition", "outcome"),
)
REJECTED = Metric(
    "adtally_rejected_total",
    "counter",
    f"{_REJECTED} {_PROCESS}",
    ("partition", "reason"),
)
LOG_READ = Metric("adtally_log_read", "gauge", f"{_READ} {_LOG}", ("partition",))
LOG_EVENTS = Metric(
    "adtally_log_events",
    "gauge",
    f"{_BECAME} {_LOG}",
    ("partition", "outcome"),
)
LOG_REJECTED = Metric(
    "adtally_log_rejected",
    "gauge",
    f"{_REJECTED} {_LOG}",
    ("partition", "reason"),
)
CONSERVATION = Metric(
    "adtally_conservation_difference",
    "gauge",
    f"Read minus counted, duplicate, late and malformed. Any value but 0 is a defect of adtally. {_LOG}",
    ("partition",),
)
OFFSET = Metric("adtally_offset", "gauge", f"Offset of the next message to be counted. {_LOG}", ("partition",))
LAG = Metric(
    "adtally_consumer_lag_messages",
    "gauge",
    "Messages that wait to be counted, including those behind an open transaction, excluding transaction markers and aborted messages.",
    ("partition",),
)
CLOCK = Metric(
    "adtally_partition_clock_timestamp_seconds",
    "gauge",
    f"Highest event time that was read, in seconds since 1970. {_LOG}",
    ("partition",),
)
ADMITTED_CELLS = Metric(
    "adtally_breakdown_admitted_cells_total",
    "counter",
    f"Cells (window and key of a breakdown) that the partition admitted; at most ADTALLY_BREAKDOWN_CELLS a window. {_PROCESS}",
    ("partition", "breakdown"),
)
FULL_WINDOWS = Metric(
    "adtally_breakdown_full_windows_total",
    "counter",
    f"Windows of the partition in which the breakdown reached ADTALLY_BREAKDOWN_CELLS and could not admit an event's cell. {_PROCESS}",
    ("partition", "breakdown"),
)
OTHER_EVENTS = Metric(
    "adtally_breakdown_other_events_total",
    "counter",
    f"Events counted in the row (other) of the breakdown, because their cell was not admitted. {_PROCESS}",
    ("partition", "breakdown"),
)
WATERMARK = Metric(
    "adtally_watermark_timestamp_seconds",
    "gauge",
    "Event time, in seconds since 1970, up to which windows are final: the lowest watermark of the shards of this process.",
)
WATERMARK_LAG = Metric(
    "adtally_watermark_lag_seconds",
    "gauge",
    "Time between the watermark and the machine's clock. It increases while no events arrive.",
)
OPEN_WINDOWS = Metric("adtally_open_windows", "gauge", "Windows that are not final yet.")
WINDOWS = Metric(
    "adtally_windows", "gauge", "Windows in memory: those that are not final, and those that can still be corrected."
)
OPEN_CELLS = Metric(
    "adtally_open_cells",
    "gauge",
    "Cells (window and key of a result) in windows that are not final yet, in this process.",
    ("topic",),
)
CELLS = Metric(
    "adtally_cells", "gauge", "Cells (window and key of a result) in all windows in memory, in this process.", ("topic",)
)
PARTITIONS = Metric("adtally_partitions", "gauge", "Known partitions of the logs topic.")
PARTITIONS_READ = Metric("adtally_partitions_read", "gauge", "Partitions of the logs topic that this process reads.")
BROKER_UP = Metric("adtally_broker_up", "gauge", "Whether the broker answered within the last 5 s: 1 or 0.")
ACKNOWLEDGED = Metric(
    "adtally_records_acknowledged_total",
    "counter",
    f"Records that the broker acknowledged, by topic: results, results.<breakdown>, rejected. {_PROCESS}",
    ("topic",),
)
FAILED = Metric(
    "adtally_delivery_failures_total",
    "counter",
    f"Records that the broker permanently refused. The first one ends the process, because otherwise it would be lost. {_PROCESS}",
    ("topic",),
)
PENDING = Metric("adtally_records_pending", "gauge", "Records that wait for the broker's acknowledgement.", ("topic",))
SNAPSHOT = Metric(
    "adtally_last_snapshot_timestamp_seconds",
    "gauge",
    "Time of the last snapshot, in seconds since 1970. No value without a recovery folder.",
)
SNAPSHOT_WAIT = Metric(
    "adtally_snapshot_wait_seconds",
    "gauge",
    "Time that the last snapshot waited for acknowledgements, summed over the parts of the sinks.",
)
STORE = Metric("adtally_recovery_store_bytes", "gauge", "Size of the files in the recovery folder.")
INTAKE = Metric(
    "adtally_intake_info", "gauge", "Always 1; the label is the engine of the intake: native (C) or python.", ("kind",)
)
CATCHING_UP = Metric(
    "adtally_catching_up_results_total",
    "counter",
    "Acknowledged results of old windows, which are not a measure of latency because adtally catches up after an outage or a log is "
    f"replayed. They are excluded from adtally_event_to_result_seconds. {_PROCESS}",
)
AGE = "adtally_event_to_result_seconds"
AGE_HELP = (
    "Age of an event when the broker acknowledges the result that contains it; for each batch of a shard, the result that "
    f"has waited longest. The newest event time of the partition is used as the event time. {_PROCESS}"
)

METRICS = (
    *(READ, EVENTS, REJECTED, LOG_READ, LOG_EVENTS, LOG_REJECTED, CONSERVATION, OFFSET, LAG, CLOCK),
    *(ADMITTED_CELLS, FULL_WINDOWS, OTHER_EVENTS, WATERMARK, WATERMARK_LAG),
    *(OPEN_WINDOWS, WINDOWS, OPEN_CELLS, CELLS, PARTITIONS, PARTITIONS_READ, BROKER_UP, READY, ACKNOWLEDGED, FAILED, PENDING),
    *(SNAPSHOT, SNAPSHOT_WAIT, STORE, INTAKE, CATCHING_UP),
)
