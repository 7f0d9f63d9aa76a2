"""The demo: it starts the parts, tells in one line what keeps it from running, and leaves no process behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from adtally.__main__ import main
from dataflows.contract.errors import AdtallyError
from dataflows.contract.settings import Settings
from dataflows.process import ports
from deploy import demo
from tests.support.deploy.processes import runs, start_python
from tests.support.waiting import until

# The real supervisor with parts that only write their process id, so that these tests need neither dataflow nor dashboard.
FAKE = """
import pathlib, sys
from deploy import demo
from deploy.processes.supervisor import ChildProcess, python

def fake(name, code):
    written = f"import os, pathlib; half = pathlib.Path('{name}.part'); half.write_text(str(os.getpid()));"
    note = f"{written} half.rename('{name}.pid');"
    return ChildProcess(name, python("-c", note + code))

SERVE = "import http.server as h; h.HTTPServer(('127.0.0.1', %d), h.SimpleHTTPRequestHandler).serve_forever()"
CODES = {"generator": "import time; time.sleep(600)", "dataflow": "import time; time.sleep(600)", **CHANGES}
demo.pipeline = lambda address, recovery, port, backfill: [
    *(fake(name, code) for name, code in CODES.items()), fake("dashboard", SERVE % port)]
from adtally.__main__ import main
sys.exit(main(["demo", *sys.argv[1:]]))
"""
PARTS = ("generator", "dataflow", "dashboard")


def start_demo(folder: Path, port: int, changes: str = "{}", **environment: str) -> subprocess.Popen[str]:
    code = FAKE.replace("**CHANGES", f"**{changes}")
    # With parent: should a test fail half-way, its demo ends with the test run.
    return start_python("-c", code, "--with-parent", cwd=folder, PORT=str(port), **{"ADTALLY_BROKERS": "", **environment})


def pids(folder: Path) -> list[int]:
    return [int(file.read_text()) for file in folder.glob("*.pid")]


def ready(folder: Path, port: int) -> None:
    until(lambda: len(pids(folder)) == len(PARTS) and demo.dashboard_answers(port))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_every_part_and_the_demo_says_so(tmp_path: Path, number: signal.Signals) -> None:
    port = ports.free()
    process = start_demo(tmp_path, port)
    ready(tmp_path, port)
    process.send_signal(number)
    said, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints) == (0, "")
    assert said.endswith("stopping …\nstopped\n")
    assert not any(runs(pid) for pid in pids(tmp_path))
    assert not ports.answers(port)


def test_it_says_what_runs_where_and_when_it_is_ready(tmp_path: Path) -> None:
    port = ports.free()
    process = start_demo(tmp_path, port)
    assert process.stdout
    lines: list[str] = []
    while not lines or not lines[-1].startswith("ready"):
        lines.append(process.stdout.readline())
        assert lines[-1], process.communicate()
    process.terminate()
    process.communicate(timeout=60)
    said = "".join(lines)
    for words in (
        "in memory",
        f"http://localhost:{port}",
        "run/logs/{broker,generator,dataflow,dashboard}.log",
        "make logs",
        "Ctrl-C",
    ):
        assert words in said
    assert sorted(file.name for file in (tmp_path / "run" / "logs").iterdir()) == sorted(
        f"{name}.log" for name in ("broker", *PARTS)
    )


def test_a_second_run_after_the_first_works(tmp_path: Path) -> None:
    port = ports.free()
    for _ in range(2):
        for file in tmp_path.glob("*.pid"):
            file.unlink()
        process = start_demo(tmp_path, port)
        ready(tmp_path, port)
        process.terminate()
        process.communicate(timeout=60)
        assert process.returncode == 0


def test_a_second_demo_in_the_same_folder_gets_one_line(tmp_path: Path) -> None:
    port = ports.free()
    first = start_demo(tmp_path, port)
    ready(tmp_path, port)
    second = start_demo(tmp_path, port)
    said, complaints = second.communicate(timeout=60)
    assert (second.returncode, said) == (1, "")
    assert complaints == "adtally: a demo already runs in this folder; stop it with Ctrl-C in its terminal first.\n"
    assert all(runs(pid) for pid in pids(tmp_path))
    first.terminate()
    first.communicate(timeout=60)


def test_a_part_that_dies_gives_one_line_and_ends_the_others(tmp_path: Path) -> None:
    process = start_demo(
        tmp_path, ports.free(), "{'dataflow': 'import sys; print(\"why\"); print(\"no such topic\"); sys.exit(3)'}"
    )
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 1
    assert complaints == "adtally: the dataflow ended with exit code 3: no such topic (log: run/logs/dataflow.log)\n"
    assert not any(runs(pid) for pid in pids(tmp_path))


def test_a_part_that_does_not_stop_is_ended_by_force(tmp_path: Path) -> None:
    stubborn = "{'generator': 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)'}"
    port = ports.free()
    process = start_demo(tmp_path, port, stubborn)
    ready(tmp_path, port)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not any(runs(pid) for pid in pids(tmp_path))


def test_a_killed_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    port = ports.free()
    process = start_demo(tmp_path, port)
    ready(tmp_path, port)
    broker = int((tmp_path / "run" / "broker.address").read_text().rpartition(":")[2])
    process.kill()
    until(lambda: not any(runs(pid) for pid in pids(tmp_path)))
    until(lambda: not ports.answers(broker))
    process.communicate()


def test_a_taken_port_gives_one_line_with_the_cure_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupant:
        port = occupant.getsockname()[1]
        process = start_demo(tmp_path, port)
        said, complaints = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "")
    assert complaints.startswith(f"adtally: port {port} is already in use")
    assert complaints.endswith(f"adtally demo --port {port + 1}\n")
    assert complaints.count("\n") == 1
    assert pids(tmp_path) == []
    assert not (tmp_path / "run" / "logs").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="who holds a port is read from Linux's /proc")
def test_the_holder_of_a_port_is_named_in_one_short_line_whatever_its_arguments_are() -> None:
    port = ports.free()
    program = f"""
import socket
server = socket.create_server(("127.0.0.1", {port}))
while True:
    server.accept()
"""
    occupant = subprocess.Popen([sys.executable, "-c", program, b"no UTF-8: \xff"])
    try:
        until(lambda: ports.holder(port))
        who = ports.holder(port)
    finally:
        occupant.kill()
        occupant.wait()
    assert "\n" not in who
    assert len(who) < 100
    assert who.endswith(f"process {occupant.pid}")


@pytest.mark.parametrize("place", ["run", "run/recovery"])
def test_a_file_in_the_place_of_its_folder_gives_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).touch()
    process = start_demo(tmp_path, ports.free())
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = complaints.splitlines()
    assert line.startswith(f"adtally: {place}")
    assert "can't be used" in line


def test_a_dashboard_that_leads_to_its_login_answers() -> None:
    class LoginPage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "/login")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), LoginPage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert demo.dashboard_answers(server.server_address[1])
        server.shutdown()
    assert not demo.dashboard_answers(ports.free())


def test_the_holder_of_a_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupant:
        who = ports.holder(occupant.getsockname()[1])
    assert "process" in who


def test_a_broker_that_does_not_answer_gives_one_line(tmp_path: Path) -> None:
    address = f"127.0.0.1:{ports.free()}"
    process = start_demo(tmp_path, ports.free(), ADTALLY_BROKERS=address)
    said, complaints = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "")
    assert complaints.startswith(f"adtally: no Kafka broker answers at {address};")
    assert complaints.count("\n") == 1


def test_a_given_broker_is_used_and_none_is_started(tmp_path: Path, embedded_broker: str) -> None:
    port = ports.free()
    process = start_demo(tmp_path, port, ADTALLY_BROKERS=embedded_broker)
    ready(tmp_path, port)
    process.terminate()
    said, _ = process.communicate(timeout=60)
    assert f"broker     {embedded_broker}  yours" in said
    assert not (tmp_path / "run" / "logs" / "broker.log").exists()


def test_the_embedded_broker_gets_a_new_recovery_store_with_each_run(tmp_path: Path) -> None:
    folder, _ = demo.recovery_folder(tmp_path, None)
    (folder / "from-before").touch()
    assert demo.recovery_folder(tmp_path, None) == (folder, True)
    assert not (folder / "from-before").exists()
    assert list(folder.glob("part-*.sqlite3"))


def test_another_broker_keeps_its_recovery_store_between_runs(tmp_path: Path) -> None:
    folder, new = demo.recovery_folder(tmp_path, "kafka:9092")
    assert new
    (folder / "from-before").touch()
    assert demo.recovery_folder(tmp_path, "kafka:9092") == (folder, False)
    assert (folder / "from-before").exists()
    assert demo.recovery_folder(tmp_path, "kafka-9092")[0] != folder


def test_every_part_of_the_pipeline_gets_the_brokers_address(tmp_path: Path) -> None:
    parts = demo.pipeline("127.0.0.1:1", tmp_path, 8503, backfill=True)
    assert [part.name for part in parts] == list(PARTS)
    assert {part.environment["ADTALLY_BROKERS"] for part in parts} == {"127.0.0.1:1"}


def test_every_part_gets_the_breakdowns_and_event_types_of_the_demo_unless_they_are_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def given() -> list[dict[str, str]]:
        parts = demo.pipeline("127.0.0.1:1", tmp_path, 8503, backfill=True)
        return [{name: part.environment[name] for name in demo.SETTINGS if name in part.environment} for part in parts]

    for name in demo.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    assert given() == [demo.SETTINGS] * 3
    settings = Settings.from_environment(demo.SETTINGS)
    assert {"ad", "keyword", "device", "country"} <= {breakdown.name for breakdown in settings.breakdown_list}
    assert settings.declared_types
    # Set to nothing, it stays off.
    monkeypatch.setenv("ADTALLY_BREAKDOWNS", "")
    assert [set(names) for names in given()] == [{"ADTALLY_EVENT_TYPES"}] * 3


def test_every_part_serves_metrics_on_a_port_of_its_own_which_need_not_be_the_usual_one() -> None:
    assert demo.metrics_ports("0") == {"dataflow": 0, "generator": 0, "dashboard": 0}
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        first = min(busy.getsockname()[1], 65_533)
        found = demo.metrics_ports(str(first))
        assert found["dataflow"] != busy.getsockname()[1]
        assert len(set(found.values())) == 3


def test_past_events_are_sent_only_where_no_run_has_counted_them(tmp_path: Path) -> None:
    assert "--backfill" in demo.pipeline("a:1", tmp_path, 1, backfill=True)[0].command
    assert "--backfill" not in demo.pipeline("a:1", tmp_path, 1, backfill=False)[0].command


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", "85 03"])
def test_a_port_that_does_not_exist_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", text)
    assert main(["demo"]) == 2
    assert f"{text!r} is not a port" in capsys.readouterr().err


def test_a_port_bound_but_silent_counts_as_taken() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(AdtallyError, match="is already in use"):
            demo.check_port(silent.getsockname()[1])
