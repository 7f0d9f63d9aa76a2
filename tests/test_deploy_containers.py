"""What the containers start: topics are made once, and the dataflow finds its recovery store."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deploy_processes import ROOT, start, start_python

from dataflows.kafka import Topics
from dataflows.settings import Settings


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
    assert len(list(store.glob("part-*.sqlite3"))) == 4
