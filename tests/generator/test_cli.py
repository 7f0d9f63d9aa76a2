"""The command line: one line for what is wrong, exit codes, the summary, also when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dataflows.contract.settings import Settings
from generator import cli
from generator.formats.registry import FORMATS
from generator.options import FORMAT_NAMES

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parents[1] / "data"
Captured = pytest.CaptureFixture[bytes]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - pytest uses it
    for name in list(os.environ):
        if name.startswith("ADTALLY_"):
            monkeypatch.delenv(name)


def run(capture: Captured, *arguments: str) -> tuple[int, bytes, list[str]]:
    """Exit code, standard output, lines of standard error."""
    try:
        code = cli.main(arguments)
    except SystemExit as done:
        code = int(done.code or 0)
    found = capture.readouterr()
    return code, found.out, found.err.decode().splitlines()


def test_two_dry_runs_of_one_seed_are_equal(capsysbinary: Captured) -> None:
    arguments = ("synthetic", "--dry-run", "--seed", "7", "--count", "1000")
    first, second = run(capsysbinary, *arguments), run(capsysbinary, *arguments)
    assert first == second
    assert first[0] == 0
    assert len(first[1].splitlines()) == 1000
    assert json.loads(first[1].splitlines()[0])["timestamp"] == "2026-01-01T12:00:00.000000Z"
    assert first[2][-1] == "adtally: sent 1,000, acknowledged 1,000, failed 0"


def test_without_a_seed_each_run_is_another_and_says_which(capsysbinary: Captured) -> None:
    first, second = (run(capsysbinary, "synthetic", "--dry-run", "--count", "50") for _ in range(2))
    assert not set(first[1].splitlines()) & set(second[1].splitlines())
    assert "seed " in first[2][0]


def test_the_summary_counts_faults_and_the_lines_are_as_many_as_asked_for(capsysbinary: Captured) -> None:
    faults = ("--disorder", "5%", "--duplicates", "1%", "--malformed", "0.01", "--late", "1%")
    code, out, said = run(capsysbinary, "synthetic", "--dry-run", "--seed", "3", "--count", "10000", *faults)
    assert code == 0
    assert len(out.splitlines()) == 10_000
    assert all(word in said[-1] for word in ("sent 10,000", "duplicates ", "late ", "malformed "))


def test_backfill_begins_in_the_past_and_duration_counts_from_now(capsysbinary: Captured) -> None:
    options = ("--seed", "1", "--backfill", "30m", "--duration", "1m", "--rate", "2")
    _, out, _ = run(capsysbinary, "synthetic", "--dry-run", *options)
    lines = [json.loads(text) for text in out.splitlines()]
    assert len(lines) == 2 * 31 * 60
    assert lines[0]["timestamp"] == "2026-01-01T11:30:00.000000Z"
    assert lines[-1]["timestamp"] == "2026-01-01T12:00:59.500000Z"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("synthetic --rate fast", "'--rate': 'fast' is not a rate"),
        ("synthetic --rate 0", "is not a rate"),
        ("synthetic --late 2", "'--late': '2' is not a share"),
        ("synthetic --backfill 1y", "is not a duration"),
        ("synthetic --count -5", "--count"),
        ("synthetic --start-time 2026-01-01T12:00:00", "is not a time with a zone"),
        ("synthetic --start-time 0001-01-01T00:00:00+23:59", "in the years 1970 to 2999"),
        ("synthetic --start-time 9999-12-31T23:59:59-23:59", "in the years 1970 to 2999"),
        ("synthetic --dry-run --rate 0.001 --count 1000000000000", "runs beyond the year 9999"),
        ("synthetic --channels \udcff", "is neither a number"),
        ("synthetic --start-time 2999-01-01T12:00:00Z", "is in the future"),
        ("synthetic --start-time 2026-01-01T12:00:00Z --backfill 1m", "not allowed with"),
        ("synthetic --impressions 0 --clicks 0 --conversions 0", "are all 0"),
        ("synthetic --late 0.6 --malformed 0.6", "more than all messages"),
        ("synthetic --brokers nowhere", "ADTALLY_BROKERS='nowhere' can't be used"),
        ("synthetic --topic a/b", "ADTALLY_LOGS_TOPIC='a/b' can't be used"),
        ("synthetic --nonsense", "no such option: --nonsense"),
        ("synthetic --channels a,,b", "is neither a number"),
        ("synthetic --ads 0", "is not a number from 1 to 1000"),
        ("synthetic --currencies usd,EUR", "'usd' is not a currency"),
        ("synthetic --currencies EUR,EUR", "names a currency twice"),
        ("replay --format open-bandit --currency dollar a.csv", "'dollar' is not a currency"),
        ("replay --format open-bandit --field ad a.csv", "'ad' is not a field and a column"),
        ("replay --format open-bandit --field a=b --field a=c a.csv", "gives the field 'a' twice"),
        ("replay --format jsonl --currency EUR a.jsonl", "lines of jsonl are sent byte for byte"),
        ("replay --format online-retail missing.csv", "missing.csv: no such file."),
        ("replay --format parquet a.csv", "'parquet' is not one of jsonl"),
        ("replay --format jsonl --speed never a.jsonl", "'--speed': 'never' is not 1"),
        ("replay --format jsonl --timezone Mars/Base a.jsonl", "'Mars/Base' is not a time zone"),
        ("replay --format jsonl --encoding rot13 a.jsonl", "'--encoding': 'rot13' is not a text encoding"),
        ("replay --format jsonl --dates us a.jsonl", "'--dates': 'us' is not one of"),
        ("replay --format online-retail --dry-run /dev/zero", "it is a device"),
        ("replay a.csv", "--format"),
        ("", "missing command"),
    ],
)
def test_what_can_not_be_used_is_one_line_and_exit_code_2(capsysbinary: Captured, arguments: str, words: str) -> None:
    code, out, said = run(capsysbinary, *arguments.split())
    assert (code, out, len(said)) == (2, b"", 1)
    assert said[0].startswith("adtally: ")
    assert words in said[0]


def test_a_file_without_its_columns_is_named_with_them(capsysbinary: Captured) -> None:
    code, _, said = run(capsysbinary, "replay", "--format", "online-retail", str(DATA / "open-bandit.csv"))
    assert (code, len(said)) == (2, 1)
    assert "open-bandit.csv: no column InvoiceNo, StockCode, Quantity, " in said[0]


def test_an_empty_file_is_one_line(capsysbinary: Captured, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    code, _, said = run(capsysbinary, "replay", "--format", "open-bandit", str(tmp_path / "empty.csv"))
    assert (code, len(said)) == (2, 1)
    assert "empty.csv: the file is empty" in said[0]


def test_a_replay_says_how_many_were_sent_and_how_many_rows_were_bad(capsysbinary: Captured, settings: Settings) -> None:
    where = ("--brokers", settings.brokers, "--topic", settings.logs_topic)
    code, _, said = run(
        capsysbinary, "replay", "--format", "online-retail", "--speed", "max", *where, str(DATA / "online-retail.csv")
    )
    assert code == 0
    assert said[-1] == "adtally: sent 32, acknowledged 32, failed 0, bad rows 2"
    assert sum("bad row, " in text for text in said) == 2


def test_help_explains_every_option(capsysbinary: Captured) -> None:
    for command in ("synthetic", "replay"):
        code, out, _ = run(capsysbinary, command, "--help")
        assert code == 0
        assert b"--dry-run" in out
        assert f"Examples:\n    adtally generate {command} ".encode() in out


def test_the_formats_that_the_flag_takes_are_those_of_the_registry() -> None:
    assert sorted(FORMAT_NAMES) == sorted(FORMATS)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_flushes_and_prints_the_summary(settings: Settings, number: signal.Signals) -> None:
    where = ["--brokers", settings.brokers, "--topic", settings.logs_topic]
    process = subprocess.Popen(
        [sys.executable, "-m", "generator", "synthetic", "--rate", "200", *where], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "synthetic events" in process.stderr.readline()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    *waits, summary = said.splitlines()
    assert len(waits) <= 1  # where the broker takes longer than a second to acknowledge
    assert all("acknowledgements; Ctrl-C again ends now" in line for line in waits)
    sent = summary.removeprefix("adtally: sent ").partition(",")[0]
    assert f"acknowledged {sent}, failed 0" in summary


def test_a_reader_that_has_enough_ends_a_dry_run_quietly() -> None:
    command = f"{sys.executable} -m generator synthetic --dry-run --quiet | head -3"
    done = subprocess.run(command, shell=True, check=True, cwd=ROOT, capture_output=True, timeout=60)
    assert len(done.stdout.splitlines()) == 3
    assert b"Traceback" not in done.stderr
