"""What can be done to a run: each fault takes a `Stage` whose flow runs, and leaves one whose flow runs and whose network is whole."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from confluent_kafka.admin import AdminClient, NewPartitions  # pyright: ignore[reportPrivateImportUsage]  # the documented place

from dataflows.kafka.topics import Topics
from tests.support.flows import wait_for
from tests.system.faults.proxy import Proxy, Way
from tests.system.faults.stage import Stage

Fault = Callable[[Stage], None]


def kill(stage: Stage) -> None:
    """Every process of the flow at once, as a power cut does."""
    stage.flow.kill()
    stage.again()


def kill_one(stage: Stage) -> None:
    """One process of a cluster; the others must end by themselves, and say why in a line."""
    # With so few workers each process reads a partition, and so it shows in the log that all have begun: before that they wait for
    # the one that is gone, as they should.
    stage.flow.kill()
    stage.start(processes=stage.random.choice([2, 3]))
    stage.await_begin()
    time.sleep(stage.random.random() * 6)
    victim = stage.random.choice(stage.flow.processes)
    victim.kill()
    codes = stage.flow.wait()
    if any(code not in {1, -signal.SIGKILL} for code in codes):
        stage.outcome.wrong.append(f"a peer was killed, and the processes ended with {codes}: {stage.said()[-300:]}")
    if "Traceback (most recent call last)" in stage.said():
        stage.outcome.wrong.append(f"a peer was killed, and the others said: {stage.said()[-1000:]}")
    stage.again()


def stop(number: int) -> Fault:
    """A clean stop by a signal."""

    def fault(stage: Stage) -> None:
        stage.stop(number)
        stage.again()

    return fault


def broker_killed(stage: Stage) -> None:
    """The broker's log is what it had flushed or the system kept; it comes back on the same port."""
    stage.kafka.kill()
    time.sleep(stage.random.random() * 3)
    stage.kafka.start()


def broker_paused(shortest: float, longest: float) -> Fault:
    """A broker that is stopped (SIGSTOP) for some seconds, with all its connections."""

    def fault(stage: Stage) -> None:
        stage.kafka.pause()
        time.sleep(stage.random.uniform(shortest, longest))
        stage.kafka.resume()

    return fault


def partition_added(stage: Stage) -> None:
    """One more partition of the logs; keys move, so that twins may land on different ones from then on."""
    topic = stage.settings.logs_topic
    admin = AdminClient({"bootstrap.servers": stage.kafka.bootstrap})
    count = Topics(stage.settings).partitions(topic, 30)
    for done in admin.create_partitions([NewPartitions(topic, count + 1)]).values():
        done.result(30)


def network(disturb: Callable[[Proxy, Stage], object], longest: float) -> Fault:
    """A disturbed network between flow and broker, for up to `longest` seconds."""

    def fault(stage: Stage) -> None:
        disturb(stage.kafka.proxy, stage)
        time.sleep(stage.random.random() * longest)
        stage.kafka.proxy.clear()

    return fault


def reset(stage: Stage) -> None:
    """All connections are cut, several times in a row."""
    for _ in range(stage.random.randrange(1, 4)):
        stage.kafka.proxy.reset()
        time.sleep(stage.random.random())


def lost_while_away(stage: Stage) -> None:
    """The network goes, the flow is killed, and it is started while the network is still away."""
    stage.kafka.proxy.black_hole()
    stage.flow.kill()
    stage.again()
    time.sleep(stage.random.random() * 10)
    stage.kafka.proxy.clear()


def one_partition_slow(stage: Stage) -> None:
    """The reader of one partition gets about a tenth of what its partition grows by."""
    partition = stage.random.randrange(stage.settings.partitions)
    stage.kafka.proxy.slow(f"adtally-reader-{partition}", stage.rate * 300 / stage.settings.partitions / 10)
    time.sleep(5 + stage.random.random() * 5)
    stage.kafka.proxy.clear()


def recount(stage: Stage) -> None:
    """Stopped in order and started with another number of workers and processes."""
    stage.stop(signal.SIGTERM)
    for processes, workers in stage.random.sample([(1, 1), (1, 2), (1, 4), (2, 1), (2, 2), (3, 1)], 2):
        stage.start(processes, workers)
        wait_for(lambda: "reading partition" in stage.said() or stage.ended(), "the flow to read")
        stage.stop(signal.SIGTERM)
    stage.again()


FAULTS: dict[str, Fault] = {
    "kill": kill,
    "kill one": kill_one,
    "sigterm": stop(signal.SIGTERM),
    "sigint": stop(signal.SIGINT),
    "workers changed": recount,
    "broker killed": broker_killed,
    "broker paused": broker_paused(0, 10),
    "broker paused for 30 s": broker_paused(30, 32),
    "partition added": partition_added,
    "latency": network(lambda proxy, stage: proxy.latency(0.2, 0.2 * stage.random.random()), 8),
    "reset": reset,
    "black hole": network(lambda proxy, _: proxy.black_hole(), 25),
    "half-open": network(lambda proxy, stage: proxy.black_hole(stage.random.choice(list(Way))), 15),
    "started without network": lost_while_away,
    "slow partition": one_partition_slow,
}
"""Every fault by its name."""

COMMON = ("kill",) * 8 + tuple(FAULTS)
"""What a run draws from, each with the same chance: a kill is the most common one."""
