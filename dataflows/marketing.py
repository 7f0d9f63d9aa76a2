"""The complete pipeline: from ad events to exact figures for each minute, campaign, channel and currency.

python -m bytewax.run dataflows.marketing -r RECOVERY -s 5 -b 0
"""

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from dataflows.contract.settings import Settings
from dataflows.flow import operators
from dataflows.flow.context import FlowContext
from dataflows.flow.sink import TopicSink
from dataflows.flow.source import LogsSource
from dataflows.process import start


def build(context: FlowContext) -> Dataflow:
    """Return the flow of a deployment; its parts share `context`."""
    flow = Dataflow("marketing")

    # One item a poll of one Kafka partition: its messages decoded, judged, rid of duplicates and folded, as they stand in the log.
    polls = op.input("logs", flow, LogsSource(context))  # Poll

    # Each shard of campaigns and channels gets its share, together with the event-time clock of that partition.
    partials = op.flat_map("partials", polls, operators.partials)  # (shard, Partial)

    # The lowest of those clocks is the watermark: it decides which windows are provisional, final, corrected, or evicted. The results and
    # each breakdown of them are a table of cells of its own.
    results = op.stateful_batch("windows", partials, operators.panes(context))  # (shard, Records)

    # Upserts, a topic for each table: the last value of a key is the truth. A snapshot is taken once the broker has all before it.
    op.output("results", results, TopicSink(context, context.result_topics))

    # What could not be counted goes out as it came, with the reason.
    records = op.flat_map("rejected", polls, operators.rejected_records)  # (part, Records)
    op.output("rejects", records, TopicSink(context, {"rejected": context.settings.rejected_topic}))

    return flow


lifecycle = start.make_lifecycle()
with lifecycle.one_line_errors():
    flow = build(start.prepare(Settings.from_environment(), lifecycle))
