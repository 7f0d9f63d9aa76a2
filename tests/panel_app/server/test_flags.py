"""Flags that can't be used end every command with 2 and a last line that names them, before a broker is asked."""

from __future__ import annotations

import importlib
import sys

import pytest

EARLY, LATE = "2026-01-01T00:00:10Z", "2026-01-01T00:00:30Z"
BAD = [
    ("dataflows.commands.rebuild", ("--from", LATE, "--to", EARLY), "--to must lie after --from"),
    ("dataflows.commands.rebuild", ("--from", LATE, "--to", LATE), "--to must lie after --from"),
    ("dataflows.commands.rebuild", ("--from", "now", "--to", LATE), "argument --from: 'now' is no time"),
    ("dataflows.commands.rebuild", ("--from", EARLY, "--to", "2026-01-01T00:00:30"), "'2026-01-01T00:00:30' has no zone"),
    ("dataflows.commands.rejected", ("--limit", "-1"), "'-1' is no number of events"),
    ("dataflows.commands.rejected", ("--partition", "-1"), "'-1' is no partition; give a number from 0 on"),
    ("dataflows.commands.rejected", ("--partition", "x"), "'x' is no partition; give a number from 0 on"),
    ("dataflows.commands.counters", ("--now",), "unrecognized arguments: --now"),
    ("dataflows.native.build", ("--now",), "unrecognized arguments: --now"),
    ("figures.files.export", ("--out", ""), "--out '' names no file"),
    ("figures.files.export", ("--out", "nowhere.csv", "--from", "now"), "from must be an RFC 3339 time"),
    ("figures.files.export", ("--out", "nowhere.csv", "--from", LATE, "--to", EARLY), "to must be later than from"),
    ("figures.files.export", ("--out", "nowhere.csv", "--by", "week"), "by must be campaign"),
    ("generator.cli", ("synthetic", "--rate", "-1"), "argument --rate: '-1' is not a rate"),
    ("generator.cli", ("synthetic", "--disorder", "0.6", "--late", "0.6"), "add up to more than all messages"),
    ("deploy.kafka.topics", ("--now",), "unrecognized arguments: --now"),
]


@pytest.mark.parametrize(("module", "flags", "words"), BAD)
def test_a_flag_that_can_not_be_used_ends_a_command_with_2_and_a_line_that_names_it(
    module: str, flags: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [module, *flags])
    monkeypatch.setenv("ADTALLY_BROKERS", "127.0.0.1:9")
    monkeypatch.setattr("signal.signal", lambda *_given: None)  # those of the tests stay
    try:
        code = importlib.import_module(module).main()
    except SystemExit as ended:
        code = ended.code
    written = capsys.readouterr()
    assert (code, written.out) == (2, "")
    assert words in written.err.splitlines()[-1]
