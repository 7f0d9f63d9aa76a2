"""The two intakes, each of which a test of decisions runs on."""

from __future__ import annotations

import pytest

from dataflows import native
from dataflows.intake import Intake
from dataflows.intakes import intake_kind

KINDS = [pytest.param("off", id="python"), pytest.param("on", id="native", marks=pytest.mark.native)]
"""What ADTALLY_NATIVE gives, for a fixture or a test with both."""


def both() -> list[type[Intake]]:
    """The intakes that there are here."""
    return [intake_kind("off"), *([] if native.why_not() else [intake_kind("on")])]
