"""The engine in use: the native one where it is built and can be used, else the Python that does the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property

from dataflows import native
from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings
from dataflows.intake.partition import Intake, IntakeState
from dataflows.intake.rules import Rules
from dataflows.windows.cells import CellStore

log = logging.getLogger("adtally")

CURE = "install a C compiler (gcc or clang) and install adtally again"


class Engine:
    """The engine that ``ADTALLY_NATIVE`` gives to one process. What is done in Python instead is logged once.

    Every property and method raises `SettingsError` where ``ADTALLY_NATIVE=on`` can't be met.
    """

    # Modules are imported only where they are used: numpy, which the Python intake needs, takes a while to load, and a command that
    # only counts needs no Kafka client.

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
                "the slow engine counts, as exactly and for about three times the CPU: no native engine (%s); %s", reason, CURE
            )
        return choice != "off" and reason is None

    @cached_property
    def fetches_natively(self) -> bool:
        """Whether messages are read where librdkafka keeps them, with no Python object for each."""
        if not self.is_native:
            return False
        from dataflows.native.queue import no_queue_reason  # noqa: PLC0415 - see above

        return self._is_met("fetch messages", no_queue_reason())

    @cached_property
    def sends_natively(self) -> bool:
        """Whether records are sent by librdkafka alone, with no call of Python for each."""
        if not self.is_native:
            return False
        from dataflows.native.sender import no_sender_reason  # noqa: PLC0415 - see above

        return self._is_met("send records", no_sender_reason())

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

    @cached_property
    def intake_kind(self) -> type[Intake]:
        """The class of intake."""
        if self.is_native:
            from dataflows.intake.native import NativeIntake  # noqa: PLC0415 - see above

            return NativeIntake
        from dataflows.intake.reference import PythonIntake  # noqa: PLC0415 - see above

        return PythonIntake

    @cached_property
    def cells_kind(self) -> Callable[[Rules, float], CellStore]:
        """The class of cells, made of the rules and `emit_seconds`."""
        if self.is_native:
            from dataflows.windows.native import NativeCells  # noqa: PLC0415 - see above

            return NativeCells
        from dataflows.windows.reference import PythonCells  # noqa: PLC0415 - see above

        return PythonCells

    def make_intake(self, partition: int, state: IntakeState, now: Callable[[], float]) -> Intake:
        """Return the intake of a partition of the logs; `now`: seconds since 1970."""
        return self.intake_kind(self._rules, self._settings.logs_topic, partition, state, now)

    def make_cells(self) -> CellStore:
        """Return empty cells of a shard."""
        return self.cells_kind(self._rules, self._settings.emit_seconds)
