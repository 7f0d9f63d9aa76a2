"""The soak: its figures by themselves, and a short one that is exact, and one that is not when a result is falsified."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from benchmarks.soak import run
from benchmarks.soak.record import PARTS, Restart, SoakRecord, SoakSample, at_equal_age, schedule, slope, tables, thirds
from benchmarks.soak.stage import Soak
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import make_producer
from tests.support.flows import read_topic
from tests.support.settings import own_names
from tests.system.faults.proxy import ProxiedKafka


def sample(second: float, age: float, megabytes: float, lag: int = 0) -> SoakSample:
    resident, used = dict.fromkeys(PARTS, int(megabytes * 1e6)), dict.fromkeys(PARTS, second / 10)
    return SoakSample(second, age, 1, int(second), lag, resident, used, 100, 3, 0, 0, 0)


def test_a_line_has_its_slope_per_hour_without_error() -> None:
    found = slope([(second, 5 + second / 1800) for second in range(0, 7200, 10)])
    assert found is not None
    assert (found.per_hour, found.error) == (pytest.approx(2), pytest.approx(0, abs=1e-9))


def test_the_error_of_a_slope_is_that_of_the_textbook() -> None:
    found = slope([(0, 0), (3600, 2), (7200, 1)])
    assert found is not None
    assert (found.per_hour, found.error) == (pytest.approx(0.5), pytest.approx(0.75**0.5))


def test_too_few_points_have_no_slope() -> None:
    assert slope([(0, 1), (1, 2)]) is slope([(1, 1), (1, 2), (1, 3)]) is None


def test_the_restarts_lie_around_their_distance_and_take_turns() -> None:
    found = schedule(7200, 240, seed=3)
    times = [0.0, *(due.at for due in found)]
    assert all(120 <= later - earlier <= 360 for earlier, later in itertools.pairwise(times))
    assert 20 <= len(found) <= 60
    assert times[-1] <= 7200 - 120
    assert [due.kill for due in found] == [number % 2 == 0 for number in range(len(found))]
    assert {due.workers for due in found} == {1, 2}
    assert schedule(7200, 240, seed=3) == found != schedule(7200, 240, seed=4)


def test_medians_of_thirds() -> None:
    assert thirds([(0, 1), (1, 3), (35, 7), (90, 9), (101, 11)], 90) == [2, 7, 10]
    assert thirds([(0, 1)], 90) == [1, None, None]


def test_of_each_run_that_grows_old_enough_one_sample_counts() -> None:
    given = [sample(second, second % 40, second) for second in range(0, 100, 10)]
    assert at_equal_age(given, 20) == [(20, 20), (60, 60)]


def test_a_failure_other_than_a_wrong_figure_makes_a_soak_inexact() -> None:
    record = SoakRecord(
        5000, 60, 0, 20, [sample(10, 1, 7), sample(60, 21, 8)], [Restart(9, True, 1, 4.5)], verdict="exact: 7", judged=True
    )
    assert record.exact
    assert "| exact        | yes" in tables(record)
    record.faults.append("5 sent, 4 acknowledged")
    shown = tables(record)
    assert "| exact        | NO" in shown
    assert "5 sent, 4 acknowledged" in shown
    assert "4.5 s" in shown
    assert "CPU of the dataflow, % of a processor" in shown


@pytest.fixture
def short(proxied_kafka: ProxiedKafka, tmp_path: Path) -> Soak:
    """Half a minute with two restarts."""
    kafka = proxied_kafka.pid, proxied_kafka.data
    pace = {"seconds": 30.0, "every": 12.0, "warm": 0.0, "sample_every": 2.0}
    return Soak(own_names(proxied_kafka.bootstrap), kafka, tmp_path, rate=300, seed=SEED, **pace)


SEED = next(seed for seed in range(99) if len(schedule(30, 12, seed)) == 2)


@pytest.mark.kafka
@pytest.mark.xdist_group("faults")
@pytest.mark.timeout(600)
def test_a_short_soak_is_exact_and_shows_what_it_took(
    short: Soak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with short:
        short.run()
        short.judge()
    record = short.record
    assert record.exact, (record.faults, record.verdict)
    assert [one.kill for one in record.restarts] == [True, False]
    assert record.sent == record.acknowledged == 300 * 30
    assert record.verdict.startswith("exact: 9,000 messages")
    last = record.samples[-1]
    assert (last.lag, last.sent) == (0, 9000)
    assert all(last.cpu[part] > 0 for part in PARTS)
    assert all(last.rss[part] > 0 for part in PARTS if part != "generator")
    assert last.rss["generator"] == 0
    assert min(last.logs_bytes, last.results_bytes, last.rejected_bytes, last.recovery_bytes) > 0
    assert "| yes" in tables(record)
    monkeypatch.setenv("ADTALLY_ARTEFACTS", str(tmp_path / "kept"))
    run.keep(record, tmp_path)
    assert json.loads((tmp_path / "kept" / "soak.json").read_text())["exact"] is True
    assert len((tmp_path / "kept" / "soak.csv").read_text().splitlines()) == 1 + len(record.samples)
    assert "reading partition 0 of" in (tmp_path / "kept" / "soak-logs" / "flow-0.log").read_text()
    assert "soak.csv" in capsys.readouterr().err


@pytest.mark.kafka
@pytest.mark.xdist_group("faults")
@pytest.mark.timeout(600)
def test_a_soak_in_which_one_figure_is_falsified_is_not_exact(short: Soak) -> None:
    with short:
        short.run()
        falsify(short.settings)
        short.judge()
    assert not short.record.exact
    assert short.record.faults == []
    assert short.record.verdict.startswith("NOT EXACT: ")
    assert "clicks" in short.record.verdict


def falsify(settings: Settings) -> None:
    """Write the last result of a cell once more, with a click too many."""
    key, value = read_topic(settings, settings.results_topic)[-1]
    producer = make_producer(settings, "test")
    producer.produce(settings.results_topic, json.dumps({**value, "clicks": value["clicks"] + 1}), key)
    assert producer.flush(30) == 0


def test_the_command_rejects_an_invalid_length(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main(["--hours", "0"])
    assert ended.value.code == 2
    assert "--hours" in capsys.readouterr().err
