"""A small, fixed set of the faults of `make chaos`; the more there are of them, the better: that is what `make chaos` is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local_kafka import LocalKafka
from tests.faults.chaos import Stage

pytestmark = pytest.mark.kafka


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("seed", "faults"),
    [
        (11, ["kill"]),
        (12, ["sigterm", "sigint", "kill"]),
        (13, ["broker killed", "kill"]),
        (14, ["broker paused", "kill"]),
        (15, ["partition added", "kill", "sigterm"]),
    ],
    ids=["kill", "stop", "broker killed", "broker paused", "partition added"],
)
def test_under_faults_the_figures_stay_exact(tmp_path: Path, seed: int, faults: list[str]) -> None:
    with LocalKafka(tmp_path / "kafka") as kafka:
        outcome = Stage(kafka, tmp_path, seed, seconds=10, rate=2000).run(faults)
    assert outcome.wrong == [], str(outcome)
    assert outcome.sent == 20_000
    assert sum(outcome.faults.values()) > 0
