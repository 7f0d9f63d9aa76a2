"""A small, fixed set of the faults of `make chaos`; the more there are of them, the better: that is what `make chaos` is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.faults import FAULTS
from tests.faults.proxy import ProxiedKafka
from tests.faults.stage import Stage

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("faults"), pytest.mark.timeout(300)]


@pytest.mark.parametrize("fault", FAULTS)
def test_under_each_fault_the_figures_stay_exact(proxied_kafka: ProxiedKafka, tmp_path: Path, fault: str) -> None:
    seed = 11 + list(FAULTS).index(fault)
    outcome = Stage(proxied_kafka, tmp_path, seed, seconds=6, rate=1000).run([fault, "kill", fault], FAULTS)
    assert outcome.wrong == [], str(outcome)
    assert outcome.sent == 6_000
    assert sum(outcome.faults.values()) > 0
