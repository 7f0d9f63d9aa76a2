"""Flags that can't be used end every command with 2 and one line that names them, before a broker is asked."""

from __future__ import annotations

import pytest

from adtally.__main__ import main

EARLY, LATE = "2026-01-01T00:00:10Z", "2026-01-01T00:00:30Z"
BAD = [
    (("rebuild", "--from", LATE, "--to", EARLY), "--to must be later than --from"),
    (("rebuild", "--from", LATE, "--to", LATE), "--to must be later than --from"),
    (("rebuild", "--from", "now", "--to", LATE), "'--from': 'now' is not a time with a zone"),
    (("rebuild", "--from", EARLY, "--to", "2026-01-01T00:00:30"), "'2026-01-01T00:00:30' is not a time with a zone"),
    (("rejected", "--limit", "-1"), "'-1' is not a number of events"),
    (("rejected", "--limit", "x"), "'x' is not a number of events"),
    (("rejected", "--limit", ""), "'' is not a number of events"),
    (("rejected", "--partition", "-1"), "'-1' is not a partition; use 0 or a higher number"),
    (("rejected", "--partition", "x"), "'x' is not a partition; use 0 or a higher number"),
    (("rejected", "--reason", "wrong"), "'wrong' is not one of malformed, late, too_far_ahead, oversize"),
    (("counters", "--now"), "no such option: --now"),
    (("counters", "now"), "got unexpected extra argument(s) (now)"),
    (("export", "--out", ""), "--out '' names no file"),
    (("export",), "missing option '--out'"),
    (("export", "--out", "nowhere.csv", "--from", "now"), "from must be an RFC 3339 time"),
    (("export", "--out", "nowhere.csv", "--from", LATE, "--to", EARLY), "to must be later than from"),
    (("export", "--out", "nowhere.csv", "--by", "week"), "by must be campaign"),
    (("generate", "synthetic", "--rate", "-1"), "invalid value for '--rate': '-1' is not a rate"),
    (("generate", "synthetic", "--disorder", "0.6", "--late", "0.6"), "add up to more than all messages"),
    (("generate", "nothing"), "no such command 'nothing'"),
    (("topics", "--now"), "no such option: --now"),
    (("probe", "alive"), "'alive' is not one of 'live', 'ready'"),
    (("broker", "--port", "0"), "'0' is not a port"),
    (("run", "-i", "0"), "it needs -a, the addresses of all processes"),
    (("run", "-a", "a:1;b:1"), "it needs -i, the number of this process"),
    (("run", "-i", "0", "-a", "a:1;b:1", "--processes", "2"), "not together with --processes"),
    (("run", "--processes", "33"), "'33' is not a number of processes from 1 to 32"),
    (("run", "-s", "0.5"), "'0.5' is not a whole number of seconds"),
    (("dashboard", "--port", "http"), "'http' is not a port"),
    (("dash",), "no such command 'dash'. Did you mean 'dashboard'"),
]


@pytest.mark.parametrize(("given", "words"), BAD, ids=lambda one: " ".join(one) if isinstance(one, tuple) else "")
def test_flags_that_can_not_be_used_end_a_command_with_2_and_one_line_that_names_them(
    given: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADTALLY_BROKERS", "127.0.0.1:9")
    monkeypatch.setattr("signal.signal", lambda *_given: None)  # those of the tests stay
    code = main(given)
    written = capsys.readouterr()
    assert (code, written.out) == (2, "")
    (line,) = written.err.splitlines()
    assert line.startswith("adtally: ")
    assert words in line
