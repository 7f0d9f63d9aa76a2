"""The commands of the README and the docs, run as they stand there: on a real Apache Kafka, names of machines and folders replaced."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource  # pyright: ignore[reportPrivateImportUsage]  # the documented place
from confluent_kafka.cimpl import NewTopic
from msgspec.structs import replace

from dataflows.contract.errors import BrokerError
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import make_producer
from dataflows.kafka.scan import scan
from dataflows.kafka.topics import Topics
from tests.support.docs.documents import ROOT, python_block
from tests.support.flows import ANSWER_SECONDS, environment, free_port, last_results, read_topic, recovery_folder, send, wait_for
from tests.support.records import T0, payload
from tests.support.settings import own_names
from tests.system.faults.verdict import wrong

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka"), pytest.mark.timeout(600)]

NOW = dt.datetime.now(dt.UTC)

FLOW = "python -m bytewax.run dataflows.marketing -r recovery -s 5 -b 0"


class Shop:
    """A machine on which somebody does what the docs say: a folder, an environment, and what stands for the names in the docs."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = self.home = folder
        self.port = free_port()
        self.names = {
            "127.0.0.1:9092": settings.brokers,
            "kafka-1:9092,kafka-2:9092": settings.brokers,
            "ADTALLY_REPLICATION=3": "ADTALLY_REPLICATION=1",
            "10.0.0.1:2101;10.0.0.2:2101": f"127.0.0.1:{free_port()};127.0.0.1:{free_port()}",
            "host-a:2101;host-b:2101": f"127.0.0.1:{free_port()};127.0.0.1:{free_port()}",
            "/var/lib/adtally": str(folder / "var"),
            "localhost:8503": f"127.0.0.1:{self.port}",
            "--port 8503": f"--port {self.port}",
            "--port 19092": f"--port {free_port()}",
            "-t logs": f"-t {settings.logs_topic}",
            "-t rates": f"-t rates-{settings.logs_topic}",
            '"logs"': f'"{settings.logs_topic}"',
            "results-2": f"{settings.results_topic}-2",
            "rejected-2": f"{settings.rejected_topic}-2",
            "DIR": str(folder / "dir"),
            "--duration 1m": "--duration 1s",
            "2026-11-23T08:00:00Z": f"{NOW - dt.timedelta(hours=5):%FT%TZ}",
            "2026-11-23T10:00:00Z": f"{NOW - dt.timedelta(hours=3):%FT%TZ}",
        }
        self.environment = {**environment(settings), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        for name in ("panel_app", "deploy", "dataflows", "generator", "tests", ".venv"):
            (folder / name).symlink_to(ROOT / name)

    def said(self, text: str) -> str:
        """`text` of the docs with the names of this machine."""
        for name, here in self.names.items():
            text = text.replace(name, here)
        return text

    def run(self, command: str, code: int = 0) -> str:
        """Run a command to its end; what it printed."""
        command = self.said(command)
        if command.startswith("export "):
            self.environment |= dict(one.split("=", 1) for one in command.split()[1:])
            return ""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == code, f"{command}: {done.stdout[-1000:]}{done.stderr[-1000:]}"
        return done.stdout + done.stderr

    @contextmanager
    def running(self, *commands: str) -> Generator[Callable[[], str]]:
        """Run commands for as long as the block takes, then end them together by Ctrl-C; gives what they said so far."""
        log = self.folder / f"log-{free_port()}"
        started: list[subprocess.Popen[bytes]] = []
        try:
            with log.open("ab") as out:
                for command in commands:
                    line = ["bash", "-c", f"exec env {self.said(command)}"]
                    started.append(
                        subprocess.Popen(
                            line, cwd=self.home, env=self.environment, stdout=out, stderr=out, start_new_session=True
                        )
                    )
            yield log.read_text
            assert not any(one.poll() is not None for one in started), log.read_text()
            for one in started:
                os.killpg(one.pid, signal.SIGINT)
            assert all(one.wait(60) in (0, 2, -signal.SIGINT, 130) for one in started), log.read_text()
        finally:
            for one in started:
                if one.poll() is None:
                    os.killpg(one.pid, signal.SIGKILL)
                    one.wait()

    def counted(self, settings: Settings | None = None) -> int:
        try:
            return sum(one["events"] for one in last_results(settings or self.settings).values())
        except (BrokerError, AssertionError):
            return 0


@pytest.fixture
def shop(real_kafka: str, tmp_path: Path) -> Shop:
    return Shop(own_names(real_kafka), tmp_path)


def exact(settings: Settings) -> bool:
    try:
        return not wrong(settings)
    except (BrokerError, KeyError):
        return False


def test_an_event_by_kcat_and_one_by_python_are_counted_and_shown_and_exported(shop: Shop) -> None:
    shop.run("export ADTALLY_BROKERS=kafka-1:9092,kafka-2:9092")
    shop.run("adtally topics")
    with shop.running("adtally run -r recovery"):
        if shutil.which("kcat") is None:
            pytest.skip("kcat is not installed")
        shop.run(
            """echo 'e-1:{"event_id":"e-1","event_type":"click","timestamp":"'$(date -u +%FT%TZ)'","campaign_id":"autumn","""
            """"channel":"search","cost_micros":450000}' | kcat -P -b 127.0.0.1:9092 -t logs -K :"""
        )
        subprocess.run([sys.executable, "-c", shop.said(python_block("README.md", "produce"))], check=True)
        wait_for(lambda: shop.counted() == 2, "both events")
        with shop.running("panel serve panel_app/app.py --port 8503") as said:
            wait_for(lambda: "Bokeh app running" in said(), "panel serve")
        with shop.running("adtally dashboard --port 8503"):
            total = f"curl -s 'http://127.0.0.1:{shop.port}/api/results?interval=total&by=none' || true"
            wait_for(lambda: '"events":2' in shop.run(total), "the page")
            shown = shop.run("curl 'http://localhost:8503/api/results?interval=hour&format=csv'")
            assert "autumn" in shown
            shop.run(
                "curl 'http://localhost:8503/api/results?from=2026-11-23T08:00:00Z&to=2026-11-23T09:00:00Z&campaign=Autumn%20Sale&campaign=Brand'"
            )
            assert '"channel":"search"' in shop.run("curl 'http://localhost:8503/api/results?interval=total&by=channel'")
            by_day = shop.run("curl 'http://localhost:8503/api/results?interval=day&tz=Europe/Berlin&range=last30d&by=campaign'")
            assert '"interval":"day","tz":"Europe/Berlin"' in by_day
            shop.run("curl -o results.parquet 'http://localhost:8503/api/results?format=parquet'")
            code = shop.said(python_block("docs/api.md", "read_csv"))
            subprocess.run(
                [sys.executable, "-c", f"{code}\nassert by_hour['events'].sum() == exact['events'].sum() == 2"], check=True
            )
    (shop.folder / "results.parquet").unlink()
    assert "rows written" in shop.run("adtally export --out results.parquet")
    shop.run("adtally export --from 2026-11-23T00:00:00Z --to 2026-11-24T00:00:00Z --interval hour --out day.csv")
    shop.run("adtally export --campaign 'Autumn Sale' --by channel --interval day --format json --out -")


def test_exchange_rates_come_from_a_file_and_a_topic(shop: Shop) -> None:
    shop.run("adtally topics")
    with zipfile.ZipFile(shop.folder / "rates.zip", "w") as rates:
        rates.writestr("rates.csv", "Date,USD,\n2026-11-27,1.25,\n")
    topic = shop.said("-t rates").removeprefix("-t ")
    admin = AdminClient({"bootstrap.servers": shop.settings.brokers})
    admin.create_topics([NewTopic(topic, 1, config={"cleanup.policy": "compact"})])[topic].result()
    moment = f"{NOW - dt.timedelta(minutes=5):%FT%TZ}"
    send(shop.settings, [payload("e1", timestamp=moment, currency="EUR", cost_micros=4_000_000)], ["e1"])
    total = f"curl -s 'http://127.0.0.1:{shop.port}/api/results?interval=total&by=none&currency=USD' || true"
    with shop.running("adtally run -r recovery"):
        with shop.running("ADTALLY_RATES_FILE=rates.zip adtally dashboard --port 8503"):
            wait_for(lambda: '"spend":5.0,' in shop.run(total), "spend at the rate of the file")
        shop.run(
            """echo '["2026-11-27","USD"]|{"date":"2026-11-27","currency":"USD","rate":"1.1172"}' """
            "| kcat -b 127.0.0.1:9092 -t rates -P -K '|'"
        )
        shop.run(f"export ADTALLY_RATES_TOPIC={topic}")
        with shop.running("adtally dashboard --port 8503"):
            wait_for(lambda: '"spend":4.4688,' in shop.run(total), "spend at the rate of the topic")


def test_the_generator_sends_what_the_docs_say(shop: Shop) -> None:
    shop.run("adtally topics")
    for name in ("invoices/2010.csv", "data/2010-12-01.csv"):
        (shop.folder / name).parent.mkdir()
        shutil.copy(ROOT / "tests/data/online-retail.csv", shop.folder / name)
    shutil.copy(ROOT / "tests/data/open-bandit.csv", shop.folder / "random-men.csv")
    shutil.copy(ROOT / "tests/data/microsoft-ads.csv", shop.folder / "microsoft.csv")
    for command in (
        ".venv/bin/adtally generate synthetic --rate 100 --duplicates 1% --malformed 1% --disorder 5%",
        "adtally generate synthetic --backfill 30m",
        "adtally generate replay --format open-bandit --shift-to-now --speed 60 random-men.csv",
    ):
        before = len(list(scan(shop.settings, shop.settings.logs_topic)))
        with shop.running(command) as said:
            wait_for(lambda: len(list(scan(shop.settings, shop.settings.logs_topic))) > before + 5, "events")  # noqa: B023 - called at once
        assert "failed 0" in said()
    for command in (
        ".venv/bin/adtally generate replay --format online-retail --speed max invoices/*.csv",
        "adtally generate synthetic --rate 100000 --duration 1m",
        "adtally generate replay --format online-retail --speed max data/2010-12-*.csv",
        "adtally generate replay --format ad-report --timezone America/Los_Angeles --speed max microsoft.csv",
    ):
        assert "failed 0" in shop.run(command)
    once = shop.run("adtally generate synthetic --dry-run --seed 7 --count 1000")
    assert once == shop.run("adtally generate synthetic --dry-run --seed 7 --count 1000")
    shop.run("adtally generate synthetic --dry-run --count 100000 > events.jsonl")
    assert "acknowledged 100,000" in shop.run("adtally generate replay --format jsonl --speed max events.jsonl")


def test_it_is_set_up_backed_up_restored_rescaled_and_goes_on_exactly(shop: Shop) -> None:
    shop.run("export ADTALLY_BROKERS=kafka-1:9092,kafka-2:9092 ADTALLY_REPLICATION=3")
    shop.run("adtally topics")
    shop.run("mkdir -p recovery && python -m bytewax.recovery recovery 4")
    sent = 0

    def more(count: int = 300) -> None:
        nonlocal sent
        send(
            shop.settings,
            [payload(f"e{sent + n}", (sent + n) * 0.5) for n in range(count)],
            [f"e{sent + n}" for n in range(count)],
        )
        sent += count

    def caught_up() -> bool:
        return shop.counted() == sent

    more()
    with shop.running(FLOW):
        wait_for(caught_up, "the first events")
    shop.run("cp -a recovery recovery.saved")
    more()
    with shop.running(FLOW):
        wait_for(caught_up, "more events")
    shop.run("rm -rf recovery && cp -a recovery.saved recovery")
    more()
    with shop.running("python -m bytewax.run dataflows.marketing -r recovery -s 5 -b 0"):
        wait_for(lambda: exact(shop.settings), "exact figures from the copy")
    more()
    with shop.running(
        'adtally run -r recovery -i 0 -a "10.0.0.1:2101;10.0.0.2:2101"',
        'adtally run -r recovery -i 1 -a "10.0.0.1:2101;10.0.0.2:2101"',
    ):
        wait_for(lambda: exact(shop.settings), "exact figures of two processes")
    assert "state of version" in shop.run("adtally doctor -r recovery")
    more()
    shutil.copytree(shop.folder / "recovery", shop.folder / "dir")
    with shop.running(
        'python -m bytewax.run dataflows.marketing -r DIR -s 5 -b 0 -i 0 -a "host-a:2101;host-b:2101"',
        'python -m bytewax.run dataflows.marketing -r DIR -s 5 -b 0 -i 1 -a "host-a:2101;host-b:2101"',
    ):
        wait_for(lambda: exact(shop.settings), "exact figures of two processes on two machines")


def test_a_cluster_is_rescaled(shop: Shop) -> None:
    shop.run("adtally topics")
    shop.run("mkdir -p /var/lib/adtally && python -m bytewax.recovery /var/lib/adtally 4")
    send(shop.settings, [payload(f"e{n}", n) for n in range(300)])
    with shop.running("python -m bytewax.run dataflows.marketing -r /var/lib/adtally -s 5 -b 0"):
        wait_for(lambda: exact(shop.settings), "one process")
    for first, command in (
        (300, "adtally run --processes 2 -r /var/lib/adtally"),
        (600, "adtally run --processes 4 -r /var/lib/adtally -w 1"),
    ):
        send(shop.settings, [payload(f"e{first + n}", first + n) for n in range(300)])
        with shop.running(command):
            wait_for(lambda: exact(shop.settings), command)


def test_rejected_events_are_mended_and_windows_rebuilt(shop: Shop) -> None:
    shop.run("adtally topics")
    shop.run("mkdir -p recovery && python -m bytewax.recovery recovery 4")
    now = (NOW - T0).total_seconds()
    bad = payload("bad", now - 4 * 3600).replace(b'"impression"', b'"impresion"')
    for partition in range(Topics(shop.settings).partitions(shop.settings.logs_topic, ANSWER_SECONDS)):
        send(shop.settings, [payload(f"clock-{partition}", now)], [f"clock-{partition}"], partition=partition)
    send(shop.settings, [bad], ["bad"], partition=0)
    with shop.running(FLOW):
        wait_for(lambda: len(list(scan(shop.settings, shop.settings.rejected_topic))) == 1, "the rejected event")
        assert "1 malformed" in shop.run("adtally rejected")
        shop.run("adtally rejected --reason malformed --payloads > mend.jsonl")
        mended = shop.folder / "mend.jsonl"
        mended.write_bytes(mended.read_bytes().replace(b"impresion", b"impression"))
        assert "1 events sent" in shop.run("adtally rejected --send mend.jsonl")
        wait_for(lambda: "1 late" in shop.run("adtally rejected"), "the mended event, which is late")
        rebuild = "adtally rebuild --from 2026-11-23T08:00:00Z --to 2026-11-23T10:00:00Z --late --dry-run"
        wait_for(lambda: "1 results would change" in shop.run(f"{rebuild} || true"), "two snapshots")


def test_all_of_the_logs_is_counted_again_into_new_topics_also_with_another_window(shop: Shop) -> None:
    send(shop.settings, [payload(f"e{n}", n) for n in range(900)])
    shop.run("mkdir -p recovery && python -m bytewax.recovery recovery 4")
    with shop.running(FLOW):
        wait_for(lambda: exact(shop.settings), "the first count")
    shop.run("export ADTALLY_WINDOW_SECONDS=30")
    assert "ADTALLY_WINDOW_SECONDS=60, but it is 30 now" in shop.run(FLOW, code=1)
    shop.run("mkdir recovery-new && python -m bytewax.recovery recovery-new 8")
    shop.run("export ADTALLY_RESULTS_TOPIC=results-2 ADTALLY_REJECTED_TOPIC=rejected-2")
    new = replace(shop.settings, results_topic=f"{shop.settings.results_topic}-2", window_seconds=30)
    with shop.running("python -m bytewax.run dataflows.marketing -r recovery-new -s 5 -b 0"):
        wait_for(lambda: shop.counted(new) == 900, "the second count")
    seconds = {one["window_start"][-3:-1] for one in last_results(new).values()}
    assert seconds == {"00", "30"}


def test_a_topic_that_was_moved_is_counted_to_the_same_figures(shop: Shop) -> None:
    old = replace(shop.settings, max_ahead_seconds=3.0)
    shop.run("export ADTALLY_MAX_AHEAD_SECONDS=3")
    shop.run("adtally topics")
    send(old, [payload(f"e{n}", n, campaign_id=f"c{n % 7}") for n in range(900)] + [b"{bad"], partition=1)
    send(old, [payload("late", 1)], partition=1)
    ahead = (dt.datetime.now(dt.UTC) - T0).total_seconds() + 20  # so that it is too far ahead also where sending it takes seconds
    send(old, [payload("ahead", ahead)], partition=1)
    shop.run("mkdir -p recovery && python -m bytewax.recovery recovery 4")
    with shop.running(FLOW):
        wait_for(lambda: reasons(old) == {"malformed", "late", "too_far_ahead"} and shop.counted() == 900, "the figures before")
    wait_for(lambda: (dt.datetime.now(dt.UTC) - T0).total_seconds() > ahead, "the time that was too far ahead")
    new = replace(own_names(old.brokers), max_ahead_seconds=3.0)
    count = Topics(old).partitions(old.logs_topic, ANSWER_SECONDS)
    admin = AdminClient({"bootstrap.servers": old.brokers})
    by_producers = {"message.timestamp.type": "CreateTime"}
    admin.create_topics([NewTopic(new.logs_topic, count, 1, config=by_producers)])[new.logs_topic].result()
    producer = make_producer(new, "copy")
    for message in scan(old, old.logs_topic):
        where: dict[str, Any] = {"partition": message.partition(), "timestamp": message.timestamp()[1]}
        producer.produce(new.logs_topic, message.value(), message.key(), **where)
    assert producer.flush(30) == 0
    change = ConfigEntry("message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ConfigResource.Type.TOPIC, new.logs_topic, incremental_configs=[change])
    admin.incremental_alter_configs([topic])[topic].result()
    assert "belongs to topic" in shop_on(new, shop, FLOW)
    (shop.folder / "moved").mkdir()
    moved = Shop(new, shop.folder / "moved")
    moved.run("mkdir recovery-new && python -m bytewax.recovery recovery-new 8")
    with moved.running("python -m bytewax.run dataflows.marketing -r recovery-new -s 5 -b 0"):
        wait_for(lambda: len(reasons(new)) == 3 and moved.counted() == 900, "the figures after")
    assert figures(new) == figures(old)


def reasons(settings: Settings) -> set[str]:
    """Why events were rejected; empty while there is no topic of them."""
    if not Topics(settings).partitions(settings.rejected_topic, ANSWER_SECONDS):
        return set()
    return {one["reason"] for _, one in read_topic(settings, settings.rejected_topic)}


def figures(settings: Settings) -> dict[bytes, dict[str, Any]]:
    """The last results without their state: a minute may be final for silence, which does not stand in the log."""
    return {key: {**one, "state": ""} for key, one in last_results(settings).items()}


def shop_on(settings: Settings, shop: Shop, command: str) -> str:
    """What `command` says in the folder of `shop` with other settings, where it ends with exit code 1."""
    before = dict(shop.environment)
    shop.environment |= {name: value for name, value in environment(settings).items() if name.startswith("ADTALLY_")}
    try:
        return shop.run(command, code=1)
    finally:
        shop.environment = before


def test_partitions_that_are_added_are_counted_while_the_flow_runs(shop: Shop) -> None:
    shop.run("adtally topics")
    shop.run("mkdir -p recovery && python -m bytewax.recovery recovery 4")
    send(shop.settings, [payload(f"e{n}", n) for n in range(100)])
    with shop.running(FLOW):
        wait_for(lambda: exact(shop.settings), "the first events")
        subprocess.run([sys.executable, "-c", shop.said(python_block("docs/operations.md", "create_partitions"))], check=True)
        wait_for(
            lambda: Topics(shop.settings).partitions(shop.settings.logs_topic, ANSWER_SECONDS) == 8, "the broker to know of them"
        )
        for partition in range(8):
            send(shop.settings, [payload(f"new-{partition}", 100)], partition=partition)
        wait_for(lambda: shop.counted() == 108, "events of all partitions")
    assert wrong(shop.settings) == []


if (ROOT / "docs" / "metrics.md").exists():

    def test_metrics_and_probes_are_asked_for_as_the_docs_say(shop: Shop) -> None:
        shop.names["9470"] = str(free_port())
        shutil.copytree(recovery_folder(shop.folder / "recovery"), shop.folder / "dir")
        with shop.running("ADTALLY_METRICS_PORT=9470 python -m bytewax.run dataflows.marketing -r DIR -s 5 -b 0"):
            ready = "ADTALLY_METRICS_PORT=9470 adtally probe ready"
            wait_for(lambda: "is ready" in shop.run(f"{ready} && echo it is ready || true"), "readiness")
            assert "adtally_" in shop.run("curl http://127.0.0.1:9470/metrics")


def test_a_kafka_of_ones_own_is_started_asked_and_stopped(shop: Shop) -> None:
    with shop.running("adtally kafka run --port 19092 --data DIR") as said:
        wait_for(lambda: "Apache Kafka on" in said(), "Kafka", 150)
    shop.run("adtally kafka start --port 19092 --data DIR")
    assert "process" in shop.run("adtally kafka status --data DIR")
    assert "stopped" in shop.run("adtally kafka stop --data DIR")


def test_the_environment_is_made_and_entered(shop: Shop) -> None:
    shop.home = ROOT
    shop.run("make setup && . .venv/bin/activate")


def test_the_demo_runs_and_shows_its_campaigns(shop: Shop) -> None:
    shop.environment |= {"PORT": str(shop.port), "ADTALLY_BROKERS": ""}
    shop.home = ROOT
    with shop.running("make demo") as said:
        wait_for(lambda: "ready" in said(), "the demo", 120)
        address = f"http://127.0.0.1:{shop.port}/api/results?interval=total&by=campaign"
        wait_for(lambda: "checkout-outage" in shop.run(f"curl -s '{address}'"), "figures on the page")


@pytest.mark.parametrize("command", ["make bench-quick", "make bench"])
def test_the_benchmarks_run_at_a_small_size(shop: Shop, command: str) -> None:
    shop.environment |= {
        "SIZES": "20k,60k",
        "RUNS": "1",
        "ONLY": "loop,adtally",
        "LATENCY": "0",
        "ADTALLY_ARTEFACTS": str(shop.folder),
    }
    shop.home = ROOT
    assert "adtally" in shop.run(command)
