"""Builds the wheel, installs it into a new environment, and runs the demo and a short flow from an empty folder: ``python .ci/wheel.py``.

Once as this machine is, where the native engine must run, and once with a PATH without a compiler, where the build must say so and the flow
must give the same figures.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 180
LEFT_OUT = (".sh", ".yaml", ".yml")

FLOW = """
import json, logging, os, subprocess, sys, time
from confluent_kafka import Producer
from dataflows.contract.settings import Settings
from dataflows.kafka.topics import Topics
from dataflows.kafka.clients import make_consumer
from confluent_kafka import TopicPartition

cluster = Producer({"test.mock.num.brokers": 1, "log_level": 2})
(broker,) = cluster.list_topics(timeout=30).brokers.values()
os.environ["ADTALLY_BROKERS"] = f"127.0.0.1:{broker.port}"
settings = Settings.from_environment()
for topic in (settings.logs_topic, settings.results_topic, settings.rejected_topic):
    Topics(settings).ensure(topic, timeout=60)
producer = Producer({"bootstrap.servers": settings.brokers})
for number in range(1000):
    event = {"event_id": f"e{number}", "event_type": "click", "timestamp": f"2026-11-23T08:00:{number % 60:02}Z",
             "campaign_id": "a", "channel": "search", "cost_micros": number}
    producer.produce(settings.logs_topic, json.dumps(event).encode(), event["event_id"].encode())
producer.flush(60)
flow = subprocess.Popen([sys.executable, "-m", "bytewax.run", "dataflows.marketing"], stderr=sys.stderr)
consumer = make_consumer(settings, "wheel")
partitions = consumer.list_topics(settings.results_topic, timeout=60).topics[settings.results_topic].partitions
consumer.assign([TopicPartition(settings.results_topic, number, 0) for number in partitions])
last, deadline = {}, time.monotonic() + 120
while last.get("clicks") != 1000 and time.monotonic() < deadline and flow.poll() is None:
    message = consumer.poll(1)
    if message is not None and not message.error():
        last = json.loads(message.value())
flow.terminate()
flow.wait(60)
consumer.close()
print(json.dumps({"clicks": last.get("clicks"), "spend_micros": last.get("spend_micros"), "cpc": last.get("cpc")}))
"""


def main() -> int:
    """Try both builds; return 0 if all is as it must be."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = [try_wheel(folder, compiler=True), try_wheel(folder, compiler=False)]
    if figures[0] != figures[1]:
        raise SystemExit(f"the engines differ: {figures}")
    say(f"both engines count the same: {figures[0]}")
    return 0


def try_wheel(folder: Path, *, compiler: bool) -> dict[str, object]:
    """Build, install and run the wheel, with or without a compiler; `folder` has the environment of both. Return the flow's figures."""
    environment_folder, folder = folder / "venv", folder / ("fast" if compiler else "slow")
    empty = folder / "empty"
    empty.mkdir(parents=True)
    path = os.environ["PATH"] if compiler else str(empty)  # nothing is found there
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ADTALLY_")}
    environment = {**environment, "PATH": path, "PYTHONPATH": ""}
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    output = built.stdout + built.stderr
    if built.returncode:
        raise SystemExit(f"the wheel was not built:\n{output}")
    check(
        ("no compiler" in output and "slow engine" in output) != compiler, f"what the build says (compiler: {compiler}): {output}"
    )
    (wheel,) = folder.glob("*.whl")
    check(wheel.name.endswith("py3-none-any.whl") != compiler, f"the name of the wheel (compiler: {compiler}): {wheel.name}")
    wrong = [
        file
        for file in zipfile.ZipFile(wheel).namelist()
        if file.rpartition("/")[2].startswith("Dockerfile") or file.endswith(LEFT_OUT)
    ]
    check(not wrong, f"the wheel has files that belong to the repository only: {wrong}")
    python = install(wheel, environment_folder)
    engine = run([python, "-c", "from dataflows.native import why_not; print(why_not())"], empty, environment).stdout.strip()
    check((engine == "None") == compiler, f"the engine (compiler: {compiler}): {engine}")
    demo(python, empty, environment, compiler=compiler)
    flow = run([python, "-c", FLOW], empty, environment)
    check(("slow engine" in flow.stderr) != compiler, f"what the flow says of its engine: {flow.stderr}")
    found: dict[str, object] = json.loads(flow.stdout.splitlines()[-1])
    check(found == {"clicks": 1000, "spend_micros": 499500, "cpc": 0.0004995}, f"the figures: {found}\n{flow.stderr}")
    say(f"{wheel.name}: demo and flow ran from an empty folder with the {'native' if compiler else 'slow'} engine")
    return found


def install(wheel: Path, folder: Path) -> str:
    """Install `wheel` into the environment `folder`, a new one with all that the wheel depends on if there is none; return its Python."""
    python = folder / "bin" / "python"
    more = ["--no-deps", "--force-reinstall"]
    if not python.exists():
        venv.create(folder, symlinks=True)
        versions = folder / "constraints.txt"  # those of the lock file: another day's releases are not what is tried here
        lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
        versions.write_text("\n".join(line.rstrip(" \\") for line in lock.splitlines() if re.match(r"[\w-]+(\[.*\])?==", line)))
        more = ["--constraint", str(versions)]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    pip = pip if find_spec("pip") else ["uv", "pip", "install", "--python", str(python)]
    subprocess.run([*pip, "--quiet", *more, str(wheel)], check=True)
    return str(python)


def demo(python: str, folder: Path, environment: dict[str, str], *, compiler: bool) -> None:
    """Run the demo until its dashboard answers and its flow has counted, then stop it."""
    log = folder / "demo.log"
    port = free_port()
    with log.open("w") as output:
        command = [python, "-m", "adtally", "demo", "--port", str(port)]
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            flow = ""
            while not (f":{port}" in log.read_text() and "reading partition" in flow):
                words = f"the demo did not come up:\n{log.read_text()}{flow}"
                check(process.poll() is None and time.monotonic() < deadline, words)
                time.sleep(0.2)
                flow = "".join(file.read_text() for file in (folder / "run" / "logs").glob("dataflow*.log"))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
    check(("slow engine" in flow) != compiler, f"what the demo's flow says of its engine: {flow}")
    shutil.rmtree(folder / "run")


def free_port() -> int:
    """Return a port that is free at this moment."""
    import socket  # noqa: PLC0415 - only here

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def run(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `command` in `folder`; end with its output if it fails."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    check(not done.returncode, f"{command[:3]} failed:\n{done.stdout}{done.stderr}")
    return done


def check(fine: bool, words: str) -> None:
    """End with `words` where something is not as it must be."""
    if not fine:
        raise SystemExit(f"wheel: {words}")


def say(line: str) -> None:
    """Print a line."""
    print(f"wheel: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
