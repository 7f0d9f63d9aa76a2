"""The choice between the native engine (C) and the reference engine (Python), in one place: for reading, counting and sending."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cached_property

from confluent_kafka import Consumer, Producer

from dataflows import native
from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings
from dataflows.intake.native import NativeIntake
from dataflows.intake.partition import Intake, IntakeState
from dataflows.intake.reference import PythonIntake
from dataflows.intake.rules import Rules
from dataflows.kafka.bell import Bell
from dataflows.kafka.fetch import Fetcher, NativeFetcher, PythonFetcher
from dataflows.kafka.produce import Header, PythonSender, RecordSender
from dataflows.native.client import PLUGINS, ClientHandle
from dataflows.native.queue import no_queue_reason
from dataflows.native.sender import NativeSender, no_sender_reason
from dataflows.windows.cells import RARER, CellStore, TableRules
from dataflows.windows.native import NativeCells
from dataflows.windows.reference import PythonCells

log = logging.getLogger("adtally")

CURE = "install a C compiler (gcc or clang) and install adtally again"


class Engine:
    """The engine that ``ADTALLY_NATIVE`` selects for one process. A fallback to Python is logged once.

    Every property and method raises `SettingsError` where ``ADTALLY_NATIVE=on`` can't be met.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rules = Rules.of(settings)

    @cached_property
    def is_native(self) -> bool:
        """Whether events are read and counted in C."""
        choice, reason = self._settings.native, native.why_not()
        if choice == "on" and reason:
            raise SettingsError(f"ADTALLY_NATIVE=on, but there is no native engine: {reason}; {CURE}.")
        if choice == "auto" and reason:
            log.warning(
                "the slow engine counts, as exactly and for about six times the CPU: no native engine (%s); %s", reason, CURE
            )
        return choice != "off" and reason is None

    @cached_property
    def fetches_natively(self) -> bool:
        """Whether messages are read where librdkafka keeps them, with no Python object for each."""
        return self.is_native and self._is_met("fetch messages", no_queue_reason())

    @cached_property
    def sends_natively(self) -> bool:
        """Whether records are sent by librdkafka alone, with no call of Python for each."""
        return self.is_native and self._is_met("send records", no_sender_reason())

    def check(self) -> None:
        """Log, or refuse, what can't be done natively, before anything is read."""
        _ = self.fetches_natively, self.sends_natively

    def _is_met(self, what: str, reason: str | None) -> bool:
        if self._settings.native == "on" and reason:
            raise SettingsError(
                f"ADTALLY_NATIVE=on, but the native engine can't {what}: {reason}; ADTALLY_NATIVE=auto does it in Python."
            )
        if reason:
            log.info("the native engine can't %s (%s); Python does it, with the same results but more slowly", what, reason)
        return reason is None

    @property
    def intake_kind(self) -> type[Intake]:
        """Return the class of the intake."""
        return NativeIntake if self.is_native else PythonIntake

    @property
    def cells_kind(self) -> Callable[[TableRules, float], CellStore]:
        """The class of cells, made of the rules of their table and `emit_seconds`."""
        return NativeCells if self.is_native else PythonCells

    def make_intake(self, partition: int, state: IntakeState, now: Callable[[], float]) -> Intake:
        """Return the intake of a partition of the logs; `now`: seconds since 1970."""
        return self.intake_kind(self._rules, self._settings.logs_topic, partition, state, now)

    def make_tables(self) -> list[CellStore]:
        """Return the empty cells of each table of a shard."""
        emit_seconds = self._settings.emit_seconds
        return [
            self.cells_kind(rules, emit_seconds * (1 if rules.breakdown is None else RARER))
            for rules in TableRules.all_of(self._rules)
        ]

    def make_fetcher(self, make: Callable[[dict[str, str]], Consumer], most: int, bell: Bell | None = None) -> Fetcher:
        """Return the fetcher of a partition, of `most` messages at a time; only a native one rings the `bell`.

        `make` returns the consumer of its configuration and the properties that it is given. Raises what `make` raises.
        """
        if not self.fetches_natively:
            return PythonFetcher(make({}), most)
        consumer, handle = ClientHandle.capture(make, self._plugins)
        return NativeFetcher(consumer, handle, most, bell)

    def make_sender(
        self, make: Callable[[dict[str, str]], Producer], topic: str, headers: Sequence[Header]
    ) -> tuple[Producer, RecordSender]:
        """Return a producer and the sender of `topic` that uses it; `headers`: those of each record.

        `make` returns the producer of its configuration and the properties that it is given. Raises what `make` raises.
        """
        if not self.sends_natively:
            producer = make({})
            return producer, PythonSender(producer, topic, headers)
        producer, handle = ClientHandle.capture(make, self._plugins)
        return producer, NativeSender(producer, handle, topic, headers)

    @property
    def _plugins(self) -> str:
        """The operator's own plug-ins of librdkafka."""
        return self._settings.client.get(PLUGINS, "")
