"""A small, fixed set of the faults of `make chaos`; the more there are of them, the better: that is what `make chaos` is for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.system.faults.faults import FAULTS
from tests.system.faults.proxy import ProxiedKafka
from tests.system.faults.stage import Stage

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("faults"), pytest.mark.timeout(600)]


GROUPS = {
    "kills": ("kill", "kill one", "kill", "kill one", "kill"),
    "stops": ("sigterm", "workers changed", "sigint"),
    "broker": ("broker killed", "kill", "broker paused"),
    "a long pause": ("broker paused for 30 s", "partition added", "kill"),
    "network": ("latency", "reset", "kill", "half-open", "reset"),
    "no network": ("black hole", "started without network", "slow partition"),
}
"""By what they have in common: each group in one run."""


def test_every_fault_is_in_a_group() -> None:
    assert {name for group in GROUPS.values() for name in group} == set(FAULTS)


@pytest.mark.parametrize("group", GROUPS)
def test_under_faults_the_figures_stay_exact(proxied_kafka: ProxiedKafka, tmp_path: Path, group: str) -> None:
    seed = 11 + list(GROUPS).index(group)
    outcome = Stage(proxied_kafka, tmp_path, seed, seconds=25, rate=400).run(GROUPS[group], FAULTS, each=True)
    assert outcome.wrong == [], str(outcome)
    assert outcome.sent == 10_000
    assert outcome.faults == Counter(GROUPS[group])
