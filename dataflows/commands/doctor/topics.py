"""Checks of the topics against the contract, of this client's rights, and of what the flow has committed for each partition."""

from __future__ import annotations

import time
from collections.abc import Iterator

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import ClusterMetadata  # pyright: ignore[reportPrivateImportUsage]  # the documented place

from dataflows.commands.counters import Progress, progress
from dataflows.commands.doctor.check_result import CheckResult, fail, ok, warn
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import make_consumer
from dataflows.kafka.diagnosis import lack
from dataflows.kafka.topics import Topics

SECONDS = 10.0
CLOCK_SECONDS = 5.0
"""Clock difference below which the check reports no problem."""

RIGHTS = ("Read", "Write")


def topics(settings: Settings, client: Topics, metadata: ClusterMetadata) -> Iterator[CheckResult]:
    """Check each topic: whether it is there, has a leader for each partition, and the properties of the contract."""
    for name in settings.topics:
        topic = metadata.topics.get(name)
        if topic is None or not topic.partitions:
            yield fail("topic", f"{name} is missing; create it with: adtally topics")
            continue
        numbers = f"{name}: {len(topic.partitions)} partitions"
        if leaderless := [str(number) for number, partition in topic.partitions.items() if partition.leader < 0]:
            yield fail("topic", f"{numbers}, of which {', '.join(leaderless)} have no leader; check the brokers")
            continue
        if strayed := client.strayed(name, timeout=SECONDS):
            yield from (warn("topic", line.removeprefix("topic ")) for line in strayed)
            continue
        behind = [str(number) for number, partition in topic.partitions.items() if len(partition.isrs) < len(partition.replicas)]
        if behind:
            yield warn("topic", f"{numbers}, of which {', '.join(behind)} have replicas that are not in sync; check the brokers")
        else:
            yield ok("topic", numbers)


def rights(settings: Settings, client: Topics, metadata: ClusterMetadata) -> Iterator[CheckResult]:
    """Check what this client may do on the topics that are there, and on the group, as far as the broker reports it."""
    names = [name for name in settings.topics if name in metadata.topics]
    rights_by_resource = client.rights(names, SECONDS) if names else None
    if rights_by_resource is None:
        yield ok("rights", "the broker does not report them")
        return
    lacking = [
        lack(right, what) for what, allowed in rights_by_resource.items() for right in _needed(what) if right not in allowed
    ]
    if lacking:
        yield from (warn("rights", words) for words in lacking)
    else:
        yield ok("rights", f"Read and Write on {', '.join(names)}; Read on group {settings.group}")


def _needed(what: str) -> tuple[str, ...]:
    return ("Read",) if what.startswith("group ") else RIGHTS


def partitions(settings: Settings) -> Iterator[CheckResult]:
    """Check each partition of the logs: lag, and read = counted + duplicate + late + malformed."""
    for row in progress(settings, SECONDS):
        yield _partition(settings, row)


def _partition(settings: Settings, row: Progress) -> CheckResult:
    shown = row.shown
    if row.offset is None:
        words = f"{row.partition}: nothing committed yet by group {settings.group}, lag {row.lag:,}"
        return warn("partition", f"{words}; start the flow: adtally run") if row.lag else ok("partition", words)
    sums = (
        f"{row.partition}: lag {row.lag:,}; read {shown.read:,} = {shown.counted:,} counted + {shown.duplicate:,} duplicate "
        f"+ {shown.late:,} late + {shown.malformed:,} malformed"
    )
    if not shown.adds_up():
        return fail("partition", f"{sums}: it does not add up, which is a defect of adtally; please report it")
    if notes := row.notes(settings):
        return warn("partition", f"{sums}; {'; '.join(notes)}")
    return ok("partition", sums)


def clock(settings: Settings, metadata: ClusterMetadata) -> Iterator[CheckResult]:
    """Compare this machine's clock with the broker's: its newest record can't be younger than now."""
    newest = 0
    consumer = make_consumer(settings, "doctor", **{"isolation.level": "read_uncommitted"})
    try:
        for name in settings.topics:
            topic = metadata.topics.get(name)
            numbers = list(topic.partitions) if topic else []
            # The end of a partition has no timestamp; the record before it has one.
            for number in numbers:
                _, end = consumer.get_watermark_offsets(TopicPartition(name, number), timeout=SECONDS)
                if end > 0:
                    consumer.assign([TopicPartition(name, number, end - 1)])
                    message = consumer.poll(1.0)
                    if message is not None and message.error() is None and message.timestamp()[0] == 2:
                        newest = max(newest, message.timestamp()[1])
    except KafkaException:
        newest = 0
    finally:
        consumer.close()
    ahead = newest / 1000 - time.time()
    if ahead > CLOCK_SECONDS:
        yield fail("clock", f"this machine's clock is {ahead:,.0f} s or more behind the broker's; set both by NTP")
    elif newest:
        yield ok("clock", f"not behind the broker's, whose newest record is {max(0.0, -ahead):,.0f} s old")
    else:
        yield ok("clock", f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}; the broker has no record to compare it with")
