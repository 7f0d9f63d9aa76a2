"""Topics are created by the contract, whichever part asks first and whatever the broker creates by itself; what compaction leaves is
enough.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AdminClient,  # pyright: ignore[reportPrivateImportUsage]  # the documented place
    AlterConfigOpType,  # pyright: ignore[reportPrivateImportUsage]  # the documented place
    ConfigEntry,  # pyright: ignore[reportPrivateImportUsage]  # the documented place
    ConfigResource,  # pyright: ignore[reportPrivateImportUsage]  # the documented place
)
from confluent_kafka.cimpl import NewTopic
from msgspec.structs import replace

from dataflows.contract.settings import Settings
from dataflows.kafka.scan import scan
from dataflows.kafka.topics import Topics
from deploy.kafka.local import LocalKafka
from tests.support.dashboards import serving
from tests.support.feeds import World
from tests.support.flows import ANSWER_SECONDS, counted, environment, last_results, recovery_folder, running, send, wait_for
from tests.support.records import payload
from tests.support.settings import own_names
from tests.support.waiting import until
from tests.system.oracle.compare import differences


@pytest.fixture(scope="module")
def makes_topics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """An Apache Kafka that makes each topic that is asked for, as by default, and compacts without delay."""
    properties = {"auto.create.topics.enable": "true", "num.partitions": "1", "log.cleaner.backoff.ms": "100"}
    with LocalKafka(tmp_path_factory.mktemp("makes_topics"), properties=properties) as kafka:
        yield kafka


def properties_of(topic: str, **changes: str) -> ConfigResource:
    """The properties of `topic`, to be asked for, or to be changed to `changes`."""
    entries = [
        ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET) for name, value in changes.items()
    ]
    return ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)


def made_by_the_contract(settings: Settings) -> bool:
    """Whether the three topics are there with the contract's configuration, and none of them without it."""
    admin = AdminClient({"bootstrap.servers": settings.brokers})
    there = set(admin.list_topics(timeout=30).topics)
    names = [name for name in settings.topics if name in there]
    for name in names:
        (asked,) = admin.describe_configs([properties_of(name)]).values()
        found = asked.result(30)
        assert found["message.timestamp.type"].value == "LogAppendTime", name
        assert found["cleanup.policy"].value == ("delete" if name == settings.logs_topic else "compact"), name
        assert (found["segment.bytes"].value == str(64 * 2**20)) == name.startswith(settings.results_topic), name
        assert Topics(settings).partitions(name, ANSWER_SECONDS) == settings.partitions, name
    return len(names) == len(settings.topics)


def test_missing_topics_are_made_once_and_known_ones_left_alone(settings: Settings) -> None:
    topics = Topics(settings)
    assert topics.partitions(settings.logs_topic, ANSWER_SECONDS) == 0
    topics.ensure(settings.logs_topic, settings.results_topic, timeout=ANSWER_SECONDS)
    topics.ensure(settings.logs_topic, timeout=ANSWER_SECONDS)
    assert topics.partitions(settings.logs_topic, ANSWER_SECONDS) == 4
    assert topics.partitions(settings.rejected_topic, ANSWER_SECONDS) == 0


@pytest.mark.kafka
@pytest.mark.parametrize("by_itself", [False, True], ids=["makes none by itself", "makes topics by itself"])
def test_on_apache_kafka_topics_get_the_configuration_of_the_contract(
    by_itself: bool, real_kafka: str, makes_topics: LocalKafka
) -> None:
    settings = replace(own_names(makes_topics.bootstrap if by_itself else real_kafka), partitions=3, breakdowns="ad=ad_id;device")
    topics = Topics(settings)
    assert topics.partitions(settings.logs_topic, ANSWER_SECONDS) == 0
    assert not made_by_the_contract(settings), "to ask for a topic makes it"
    topics.ensure(*settings.topics, timeout=ANSWER_SECONDS)
    assert made_by_the_contract(settings)


def set_up(settings: Settings) -> str:
    """What `adtally topics` complains of on these topics."""
    done = subprocess.run(
        [sys.executable, "-m", "adtally", "topics"],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.startswith(f"topics on {settings.brokers}: {settings.logs_topic}")
    return done.stderr


@pytest.mark.kafka
def test_topics_with_other_settings_are_reported_with_the_cure(makes_topics: LocalKafka) -> None:
    settings = own_names(makes_topics.bootstrap)
    assert set_up(settings) == ""
    other = own_names(makes_topics.bootstrap)
    admin = AdminClient({"bootstrap.servers": other.brokers})
    both = NewTopic(
        other.rejected_topic, 1, 1, config={"cleanup.policy": "compact,delete", "message.timestamp.type": "LogAppendTime"}
    )
    for made in admin.create_topics([NewTopic(other.results_topic, 1, 1), both]).values():
        made.result(30)
    lines = set_up(other).splitlines()
    for line, wanted in zip(lines, ("message.timestamp.type=LogAppendTime", "cleanup.policy=compact"), strict=True):
        assert line.startswith(f"adtally: topic {other.results_topic} has ")
        assert line.endswith(f"--entity-name {other.results_topic} --add-config {wanted}")


@pytest.mark.kafka
def test_the_dashboard_that_waits_for_its_topic_does_not_make_it(makes_topics: LocalKafka, tmp_path: Path) -> None:
    settings = own_names(makes_topics.bootstrap)
    with serving(settings, tmp_path / "dashboard") as dashboard:
        wait_for(lambda: dashboard.health() == (200, "waiting", 0), "the dashboard to wait for the topic")
        wait_for(lambda: dashboard.says(f"waiting for topic {settings.results_topic}"), "the dashboard to say so")
        assert not made_by_the_contract(settings)
        with running(settings, tmp_path / "flow") as flow:
            wait_for(lambda: made_by_the_contract(settings), "the flow to make the topics")
            send(settings, [payload("a")])
            wait_for(lambda: dashboard.health() == (200, "live", 1), "the figures on the dashboard")
            assert flow.stop() == [0]
    assert made_by_the_contract(settings)


def compacted(settings: Settings) -> int:
    """Records of the results that compaction has taken so far, after the first one that is left."""
    places: dict[int, list[int]] = {}
    for message in scan(settings, settings.results_topic):
        places.setdefault(message.partition() or 0, []).append(message.offset() or 0)
    return sum(offsets[-1] - offsets[0] + 1 - len(offsets) for offsets in places.values())


@pytest.mark.kafka
def test_compaction_of_the_results_while_they_are_written_takes_nothing_that_counts(
    makes_topics: LocalKafka, tmp_path: Path
) -> None:
    settings = own_names(makes_topics.bootstrap)
    Topics(settings).ensure(settings.logs_topic, settings.results_topic, settings.rejected_topic, timeout=ANSWER_SECONDS)
    admin = AdminClient({"bootstrap.servers": settings.brokers})
    # Segments that close at once, so that a little is compacted as much would be in hours.
    hurried = properties_of(settings.results_topic, segment_ms="50", min_cleanable_dirty_ratio="0.01")
    (changed,) = admin.incremental_alter_configs([hurried]).values()
    changed.result(30)
    folder, numbers, sent = recovery_folder(tmp_path / "recovery"), count(), 0

    def traffic() -> None:
        nonlocal sent
        send(settings, [payload(f"e{number}", number % 240, campaign_id=f"c{number % 5}") for number in islice(numbers, 100)])
        sent += 100
        wait_for(lambda: counted(settings) == sent, "what was sent to be counted")

    def goes_on_until_compacted(more_than: int) -> int:
        traffic()
        return found if (found := compacted(settings)) > more_than else 0

    with running(settings, tmp_path / "log", "-r", str(folder), "-s", "1", "-b", "0") as flow:
        taken = wait_for(lambda: goes_on_until_compacted(0), "Kafka to compact the results")
        flow.kill()
    with running(settings, tmp_path / "log", "-r", str(folder), "-s", "1", "-b", "0") as flow:
        wait_for(lambda: goes_on_until_compacted(taken), "Kafka to compact what came after the restart")
        assert flow.stop() == [0]
    topics = (settings.logs_topic, settings.results_topic, settings.rejected_topic)
    assert differences(settings.brokers, *topics, group=settings.group) == []
    world = World(settings)
    world.feed.start()
    try:
        until(lambda: world.feed.status.state == "live" and world.rows() == len(last_results(settings)))
        assert world.store.snapshot().between(0, 2**40, 60)["events"].sum() == sent
    finally:
        world.feed.stop()
