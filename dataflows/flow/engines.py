"""What works here: the native engine where it is built and can be used, else the Python that does the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache

from dataflows import native
from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings
from dataflows.intake.partition import Intake, IntakeState
from dataflows.intake.rules import Rules
from dataflows.windows.cells import CellStore

log = logging.getLogger("adtally")

BUILD = "python -m dataflows.native.build"


def make_intake(settings: Settings, partition: int, state: IntakeState, now: Callable[[], float]) -> Intake:
    """The intake of a partition of the logs; `now`: seconds since 1970.

    Raises `SettingsError` where ``ADTALLY_NATIVE=on`` can't be met.
    """
    return intake_kind(settings.native)(Rules.of(settings), settings.logs_topic, partition, state, now)


def intake_kind(choice: str) -> type[Intake]:
    """The intake that ``ADTALLY_NATIVE`` gives: ``auto``, ``on`` or ``off``; raises `SettingsError`."""
    # Each is imported only where it is used: numpy, which the one in Python needs, takes a while to load.
    if is_native(choice):
        from dataflows.intake.native import NativeIntake  # noqa: PLC0415 - see above

        return NativeIntake
    from dataflows.intake.reference import PythonIntake  # noqa: PLC0415 - see above

    return PythonIntake


def make_cells(settings: Settings) -> CellStore:
    """The cells of a shard; raises `SettingsError` where ``ADTALLY_NATIVE=on`` can't be met."""
    return cells_kind(settings.native)(Rules.of(settings), settings.emit_seconds)


def cells_kind(choice: str) -> Callable[[Rules, float], CellStore]:
    """The kind of cells that ``ADTALLY_NATIVE`` gives, made of the rules and `emit_seconds`; raises `SettingsError`."""
    if is_native(choice):
        from dataflows.windows.native import NativeCells  # noqa: PLC0415 - only where it is used

        return NativeCells
    from dataflows.windows.reference import PythonCells  # noqa: PLC0415 - only where it is used

    return PythonCells


@lru_cache  # so that it is said once
def is_native(choice: str) -> bool:
    """Whether ``ADTALLY_NATIVE`` gives what is built in C; raises `SettingsError` where it is ``on``, and nothing is."""
    reason = native.why_not()
    if choice == "on" and reason:
        raise SettingsError(f"ADTALLY_NATIVE=on, but there is no native engine: {reason}; build it with: {BUILD}")
    if choice == "auto" and reason:
        log.info(
            "counting in Python, as exact and slower: no native engine (%s); %s builds it where there is a C compiler",
            reason,
            BUILD,
        )
    return choice != "off" and reason is None


@lru_cache  # ditto
def fetches_natively(choice: str) -> bool:
    """Whether messages are taken as they lie in librdkafka; raises `SettingsError` where ``ADTALLY_NATIVE=on`` can't be met."""
    if not is_native(choice):
        return False
    from dataflows.native.queue import no_queue_reason  # noqa: PLC0415 - who only counts needs no Kafka client

    return _is_met(choice, "fetch messages", no_queue_reason())


@lru_cache  # ditto
def sends_natively(choice: str) -> bool:
    """Whether records leave by librdkafka alone; raises `SettingsError` where ``ADTALLY_NATIVE=on`` can't be met."""
    if not is_native(choice):
        return False
    from dataflows.native.sender import no_sender_reason  # noqa: PLC0415 - who only counts needs no Kafka client

    return _is_met(choice, "send records", no_sender_reason())


def _is_met(choice: str, what: str, reason: str | None) -> bool:
    if choice == "on" and reason:
        raise SettingsError(
            f"ADTALLY_NATIVE=on, but the native engine can't {what}: {reason}; ADTALLY_NATIVE=auto does it in Python."
        )
    if reason:
        log.info("the native engine can't %s, which is done in Python, as exact and slower: %s", what, reason)
    return reason is None
