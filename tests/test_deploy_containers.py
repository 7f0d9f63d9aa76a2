"""What the containers start: topics are made once, and the dataflow finds its recovery store."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deploy_processes import ROOT, start, start_python

from dataflows.kafka import Topics
from dataflows.settings import Settings
from tests.flows import recovery_folder, running, wait_for


def test_the_three_topics_are_made_and_named(settings: Settings) -> None:
    environment = {
        "ADTALLY_BROKERS": settings.brokers,
        "ADTALLY_LOGS_TOPIC": settings.logs_topic,
        "ADTALLY_RESULTS_TOPIC": settings.results_topic,
        "ADTALLY_REJECTED_TOPIC": settings.rejected_topic,
    }
    process = start_python("-m", "deploy.topics", cwd=ROOT, **environment)
    said, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (0, "")
    names = (settings.logs_topic, settings.results_topic, settings.rejected_topic)
    assert said == f"topics on {settings.brokers}: {', '.join(names)}\n"
    assert all(Topics(settings).partitions(name) for name in names)


def test_settings_that_cannot_be_used_give_one_line() -> None:
    process = start_python("-m", "deploy.topics", ADTALLY_BROKERS="nowhere")
    said, complaints = process.communicate(timeout=30)
    assert (process.returncode, said, complaints.count("\n")) == (2, "", 1)
    assert complaints.startswith("topics: ADTALLY_BROKERS='nowhere'")


def test_the_recovery_store_is_made_once_and_the_flow_gets_it_and_the_flags(tmp_path: Path) -> None:
    fake = tmp_path / "bin" / "python"
    fake.parent.mkdir()
    # The recovery store is made for real; the flow itself only says how it was called.
    fake.write_text(f'#!/bin/sh\n[ "$2" = bytewax.run ] && {{ echo "$@"; exit; }}\necho made; exec {sys.executable} "$@"\n')
    fake.chmod(0o755)
    store = tmp_path / "recovery"
    environment = {"PATH": f"{fake.parent}:{os.environ['PATH']}", "ADTALLY_RECOVERY_FOLDER": str(store)}
    called = f"-m bytewax.run dataflows.marketing -w 2 -r {store} -s 5 -b 0\n"
    for expected in (f"made\n{called}", called):
        process = start(str(ROOT / "deploy" / "run-dataflow.sh"), "-w", "2", cwd=ROOT, **environment)
        said, complaints = process.communicate(timeout=30)
        assert (process.returncode, said, complaints) == (0, expected, "")
    assert len(list(store.glob("part-*.sqlite3"))) == 8


def test_several_processes_are_one_cluster(tmp_path: Path) -> None:
    fake = tmp_path / "bin" / "python"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "$@"\n')
    fake.chmod(0o755)
    environment = {"PATH": f"{fake.parent}:{os.environ['PATH']}", "ADTALLY_RECOVERY_FOLDER": "/store", "ADTALLY_PROCESSES": "3"}
    process = start(str(ROOT / "deploy" / "run-dataflow.sh"), "-w", "2", cwd=ROOT, **environment)
    assert process.communicate(timeout=30)[0] == "-m deploy.cluster 3 --run /tmp/cluster -r /store -w 2\n"


def test_a_probe_finds_the_dataflow_ready_once_and_as_long_as_it_takes_snapshots(settings: Settings, tmp_path: Path) -> None:
    store = tmp_path / "store"

    def ready() -> int:
        probe = start(str(ROOT / "deploy" / "run-dataflow.sh"), "ready", ADTALLY_RECOVERY_FOLDER=str(store))
        probe.communicate(timeout=30)
        return probe.returncode

    def age() -> None:
        """As if everything had been written an hour ago."""
        for file in store.iterdir():
            os.utime(file, (0, 0))

    assert ready() == 1
    recovery_folder(store)
    age()
    assert ready() == 1
    # Nothing is on the logs: a snapshot is taken all the same.
    with running(settings, tmp_path / "log", "-r", str(store), "-s", "1", "-b", "0") as flow:
        wait_for(lambda: ready() == 0, "the flow to be ready")
        age()
        wait_for(lambda: ready() == 0, "another snapshot")
        assert flow.stop() == [0]
