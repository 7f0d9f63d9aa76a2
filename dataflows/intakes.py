"""Which intake a partition gets: the native one where it is built, else the one in Python, which decides alike."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache

from dataflows import native
from dataflows.errors import SettingsError
from dataflows.intake import Intake, IntakeState
from dataflows.rules import Rules
from dataflows.settings import Settings

log = logging.getLogger("adtally")

BUILD = "python -m dataflows.native.build"


def make_intake(settings: Settings, partition: int, state: IntakeState, now: Callable[[], float]) -> Intake:
    """The intake of a partition of the logs; `now`: seconds since 1970.

    Raises `SettingsError` where ``ADTALLY_NATIVE=on`` can't be met.
    """
    return intake_kind(settings.native)(Rules.of(settings), settings.logs_topic, partition, state, now)


@lru_cache  # so that it is said once
def intake_kind(choice: str) -> type[Intake]:
    """The intake that ``ADTALLY_NATIVE`` gives: ``auto``, ``on`` or ``off``; raises `SettingsError`."""
    reason = native.why_not()
    if choice == "on" and reason:
        raise SettingsError(f"ADTALLY_NATIVE=on, but there is no native intake: {reason}; build it with: {BUILD}")
    if choice == "off" or reason:
        if choice != "off":
            log.info(
                "counting in Python, as exact and slower: no native intake (%s); %s builds it where there is a C compiler",
                reason,
                BUILD,
            )
        from dataflows.intake_python import PythonIntake  # noqa: PLC0415 - only where it is used: numpy takes a while to load

        return PythonIntake
    from dataflows.intake_native import NativeIntake  # noqa: PLC0415 - only where it is used

    return NativeIntake
