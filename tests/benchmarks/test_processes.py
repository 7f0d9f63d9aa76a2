"""CPU and memory of a process tree: grandchildren count, the ended still count, and nothing is left behind."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.idle import role, shares
from benchmarks.processes import Tree
from tests.support.flows import wait_for

# A child of a child uses CPU for a while and ends; the child stays. The kernel counts whole ticks, so it uses more than is waited for.
PARENT = (
    "import subprocess, sys, time\n"
    "subprocess.run([sys.executable, '-c', 'import time\\nwhile time.process_time() < 0.6: pass\\nimport sys; sys.stdin.read(1)'])\n"
    "print('over', flush=True)\n"
    "time.sleep(600)\n"
)


def test_the_cpu_of_a_grandchild_counts_also_when_it_has_ended() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    tree = Tree([parent.pid], every=0.02)
    try:
        assert parent.stdin
        assert parent.stdout
        wait_for(lambda: tree.sample().cpu >= 0.5, "the CPU of the grandchild")
        parent.stdin.write(b"x")
        parent.stdin.close()
        assert parent.stdout.readline() == b"over\n"
        after = tree.sample()
        assert after.cpu >= 0.5
        assert tree.peak >= after.rss > 0
        assert tree.at(after.time).time >= after.time
    finally:
        tree.kill()
        parent.wait()
        if parent.stdout:
            parent.stdout.close()
    assert parent.returncode < 0


def test_shares_of_a_processor_are_by_what_a_process_is_and_add_up() -> None:
    assert role(["python", "-m", "bytewax.run", "dataflows.marketing", "-r", "x"]) == "dataflow"
    assert role(["/usr/bin/java", "kafka.Kafka"]) == "java"
    assert role([]) == "ended"
    before = {"dataflow": (10.0, 100)}
    after = {"broker": (0.3, 90), "dataflow": (11.5, 400)}
    assert shares(before, after, 30.0) == [("dataflow", 5.0, 10.0), ("broker", 1.0, 3.0), ("all", 6.0, 13.0)]
