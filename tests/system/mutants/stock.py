"""Mutants made of Bytewax's own parts: its sink for Kafka, and its fold in windows of event time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing
from bytewax.outputs import StatelessSinkPartition
from typing_extensions import override

from dataflows.contract.metrics import Metrics, contributions
from dataflows.contract.schema import HEADERS, Event
from dataflows.contract.settings import Settings
from dataflows.flow.context import FlowContext
from dataflows.flow.sink import TopicSink
from dataflows.intake.decode import EventDecoder, NotAnEvent
from dataflows.intake.rules import Rules
from dataflows.windows.cells import Cell, TableRules, to_record
from dataflows.wire.cell_bytes import shard_of
from dataflows.wire.records import Records

FLOWS = {"stock fold_window": "tests.system.mutants.stock:fold_window_flow()"}
"""Flows of their own, as `bytewax.run` wants them named."""

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class _Unwrapped(StatelessSinkPartition[tuple[str, Records]]):
    """Hands the flow's records to the stock sink as it wants them."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @override
    def write_batch(self, items: list[tuple[str, Records]]) -> None:
        pairs = (pair for _, records in items for pair in records.pairs())
        self._inner.write_batch([KafkaSinkMessage(key, value, headers=[*HEADERS]) for key, value in pairs])

    @override
    def close(self) -> None:
        self._inner.close()


class StockKafkaSink(KafkaSink):
    """Bytewax's `KafkaSink` in the place of `TopicSink`, for a flow without breakdowns."""

    def __init__(self, context: FlowContext, topics: Mapping[str, str]) -> None:
        (topic,) = topics.values()
        super().__init__([context.settings.brokers], topic)

    @override
    def build(self, step_id: str, worker_index: int, worker_count: int) -> Any:
        return _Unwrapped(super().build(step_id, worker_index, worker_count))


def fold_window_flow() -> Dataflow:
    """The same pipeline on the stock source and `fold_window` with its `EventClock`; it ends with the log."""
    settings = Settings.from_environment()
    rules, decode, adds = Rules.of(settings), EventDecoder.of(settings), contributions(())

    def event(message: Any) -> Event | None:
        try:
            return Event(**msgspec.structs.asdict(decode(message.value)))  # the plain class, which pickle can name
        except NotAnEvent:
            return None

    def time_of(one: Event) -> dt.datetime:
        return one.timestamp

    def add(metrics: Metrics, one: Event) -> Metrics:
        metrics.add(one, adds[one.event_type])
        return metrics

    def merged(one: Metrics, other: Metrics) -> Metrics:
        one.merge(other)
        return one

    def result(item: tuple[str, tuple[int, Metrics]]) -> tuple[str, Records]:
        key, (number, metrics) = item
        campaign, channel = key.split("\n")
        cell = campaign, channel, rules.currency
        final = to_record(number * rules.window, TableRules(rules.window), cell, Cell(metrics, "final"))
        return str(shard_of(campaign, channel)), Records.of([final])

    flow = Dataflow("stock")
    messages = op.input("logs", flow, KafkaSource([settings.brokers], [settings.logs_topic], tail=False))
    keyed = op.key_on("keyed", op.filter_map("events", messages, event), lambda one: f"{one.campaign_id}\n{one.channel}")
    clock = windowing.EventClock(time_of, dt.timedelta(microseconds=rules.out_of_order))
    windower = windowing.TumblingWindower(length=dt.timedelta(microseconds=rules.window), align_to=EPOCH)
    folded = windowing.fold_window("windows", keyed, clock, windower, Metrics, add, merged)
    op.output(
        "results", op.map("result", folded.down, result), TopicSink(FlowContext(settings), {"results": settings.results_topic})
    )
    return flow
