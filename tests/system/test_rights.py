"""The rights that docs/security.md lists, against a real Apache Kafka's authorizer: they do, and one that is missing is named."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Consumer, TopicPartition
from msgspec.structs import replace

from dataflows.commands.counters import progress
from dataflows.contract.errors import BrokerError
from dataflows.contract.settings import Settings
from dataflows.kafka.topics import Topics
from figures.feed.follower import Follower
from figures.feed.upserts import Feed
from figures.pipeline.rejects import RejectedFeed
from figures.rates.topic import RateFeed, TopicRates
from figures.store.store import Store
from tests.support.docs.documents import ROOT
from tests.support.flows import (
    ANSWER_SECONDS,
    counted,
    counters,
    environment,
    free_port,
    recovery_folder,
    running,
    send,
    wait_for,
)
from tests.support.records import T0, payload
from tests.support.secured import Right, SecuredKafka
from tests.support.settings import own_names


def on_kafka(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.kafka(pytest.mark.xdist_group("secured")(test))


_RIGHT = re.compile(r"`(\w+)` on (topic|group) `(\w+)`")
TABLE = {
    cells[1].strip().strip("`"): [Right(*found) for found in _RIGHT.findall(cells[2])]
    for line in (ROOT / "docs" / "security.md").read_text().splitlines()
    if _RIGHT.search(line) and len(cells := line.split("|")) == 4
}
"""What the page says each part needs."""

BROKEN_DOWN = "results.device"
"""The topic of the one breakdown of all tests, on which a part needs what it needs on the results."""

RATES = Right("Read", "topic", "rates")


def needed(part: str) -> list[Right]:
    """What a part needs with a breakdown; of the dashboard, also with a topic of exchange rates."""
    listed = TABLE[part]
    own = [] if part == "adtally export" else [one._replace(name=BROKEN_DOWN) for one in listed if one.name == "results"]
    return [*listed, *own, *([RATES] if part == "dashboard" else [])]


def named(part: str, settings: Settings) -> dict[Right, Right]:
    """The rights of a part as the page has them, and with the names that a test's topics and group have."""
    names = {"logs": settings.logs_topic, "results": settings.results_topic, "rejected": settings.rejected_topic}
    names |= {BROKEN_DOWN: f"{settings.results_topic}.device", RATES.name: settings.rates_topic}
    return {one: one._replace(name=names.get(one.name, settings.group)) for one in needed(part)}


class Sandbox(NamedTuple):
    """A broker with the topics of a test, as who has all rights comes to them, and as users do."""

    kafka: SecuredKafka
    all_rights: Settings

    def as_user(self, *rights: Right) -> Settings:
        """As a new user who has these rights."""
        return self.kafka.settings(self.all_rights, "LOGIN", self.kafka.user(rights))


def broken_down() -> Settings:
    """Names of a test's own, with a breakdown and a topic of exchange rates."""
    mine = replace(own_names("127.0.0.1:1"), breakdowns="device")
    return replace(mine, rates_topic=f"{mine.results_topic}-rates")


@pytest.fixture
def place(secured_kafka: SecuredKafka) -> Sandbox:
    """Topics that hold one event, and one that is none."""
    mine = secured_kafka.settings(broken_down(), "PLAINTEXT", {})
    Topics(mine).ensure(*mine.topics, mine.rates_topic, timeout=ANSWER_SECONDS)
    send(mine, [payload("e-1"), b"no event"])
    return Sandbox(secured_kafka, mine)


def lacks(right: Right, words: str) -> bool:
    """Whether `words` are one line that names the right, and what to do."""
    cure = f"this client lacks the right {right.operation} on {right.kind} {right.name}; grant it to its user (docs/security.md)"
    return words.count(cure) == 1 and "Traceback" not in words and words.count("\n") <= 1


def run_flow(settings: Settings, folder: Path, done: Callable[[], object]) -> str:
    """Run the dataflow until `done`, or until it ends by itself; what it said as it ended by itself, else nothing."""
    store = recovery_folder(folder / "recovery")
    with running(settings, folder / "log", "-r", str(store), "-s", "1", "-b", "0") as flow:
        wait_for(lambda: flow.processes[0].poll() is not None or done(), "the flow")
        # A refusal of the broker may arrive only now: the progress is shown before the snapshot of the sink.
        if flow.processes[0].poll() is None and flow.stop() == [0]:
            return ""
        assert flow.processes[0].returncode == 1
        return flow.output().splitlines()[-1]


def shown(place: Sandbox) -> bool:
    """Whether the flow has counted the event, rejected what is none, and committed both."""
    return counted(place.all_rights) == 1 and sum(one.get("read", 0) for one in counters(place.all_rights)) == 2


@on_kafka
def test_the_dataflow_runs_with_the_rights_of_the_page(place: Sandbox, tmp_path: Path) -> None:
    rights = named("dataflow", place.all_rights)
    assert run_flow(place.as_user(*rights.values()), tmp_path, lambda: shown(place)) == ""


@on_kafka
@pytest.mark.parametrize("left", ["nothing", "Describe"])
@pytest.mark.parametrize("missing", needed("dataflow"), ids=str)
def test_the_dataflow_names_the_right_that_it_lacks(place: Sandbox, tmp_path: Path, missing: Right, left: str) -> None:
    rights = named("dataflow", place.all_rights)
    lacking = rights.pop(missing)
    kept = [lacking._replace(operation=left)] if left == "Describe" else []
    said = run_flow(place.as_user(*rights.values(), *kept), tmp_path, lambda: shown(place))
    assert lacks(lacking, said), said


@on_kafka
def test_a_dataflow_without_the_right_to_write_says_so(place: Sandbox, tmp_path: Path) -> None:
    rights = [
        right._replace(operation="Describe" if right.operation == "Write" else right.operation) for right in needed("dataflow")
    ]
    names = {listed.name: right.name for listed, right in named("dataflow", place.all_rights).items()}
    said = run_flow(place.as_user(*(right._replace(name=names[right.name]) for right in rights)), tmp_path, lambda: shown(place))
    written = [right for listed, right in named("dataflow", place.all_rights).items() if listed.operation == "Write"]
    assert any(lacks(right, said) for right in written), said


PAST = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z")
COMMANDS: dict[str, Sequence[str]] = {
    "generator, any producer": ["generator", "synthetic", "--count", "3", "--quiet"],
    "adtally export": ["adtally", "export", "--out", "-"],
    "adtally counters": ["adtally", "counters"],
    "adtally rejected": ["adtally", "rejected"],
    "adtally rejected --send": ["adtally", "rejected", "--send", "mended.jsonl"],
    "adtally rebuild": ["adtally", "rebuild", *PAST],
}


def run(words: Sequence[str], settings: Settings, folder: Path) -> tuple[int, str]:
    """A command: its exit code, and what it said."""
    given = {**environment(settings), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", *words], env=given, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


def long_past(settings: Settings) -> None:
    """Show the group a flow that has left all of the logs far behind."""
    clock = round((T0 + dt.timedelta(days=30)).timestamp() * 1_000_000)
    beside = json.dumps({"clock": clock, "kept": clock})
    places = [TopicPartition(settings.logs_topic, row.partition, row.end, beside) for row in progress(settings, 30)]
    consumer = Consumer({"bootstrap.servers": settings.brokers, "group.id": settings.group})
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()


def test_every_part_of_the_page_is_tried() -> None:
    assert set(TABLE) == {*COMMANDS, "dataflow", "dashboard", "adtally topics"}


@on_kafka
@pytest.mark.parametrize("part", COMMANDS)
def test_a_command_names_the_right_that_it_lacks_and_runs_with_those_of_the_page(
    place: Sandbox, tmp_path: Path, part: str
) -> None:
    long_past(place.all_rights)
    # A result to be read, and one more event, which changes it.
    assert run(COMMANDS["adtally rebuild"], place.all_rights, tmp_path)[0] == 0
    send(place.all_rights, [payload("e-3")])
    long_past(place.all_rights)
    (tmp_path / "mended.jsonl").write_bytes(payload("e-2"))
    rights = list(named(part, place.all_rights).values())
    for lacking in rights:
        code, said = run(COMMANDS[part], place.as_user(*(one for one in rights if one != lacking)), tmp_path)
        assert (code, lacks(lacking, said.splitlines()[-1])) == (1, True), said
        assert "Traceback" not in said
    code, said = run(COMMANDS[part], place.as_user(*rights), tmp_path)
    assert code == 0, said


@on_kafka
@pytest.mark.parametrize("part", ["generator, any producer", "adtally rejected --send"])
def test_a_client_that_may_describe_the_logs_but_not_write_to_them_says_so(place: Sandbox, tmp_path: Path, part: str) -> None:
    (tmp_path / "mended.jsonl").write_bytes(payload("e-2"))
    (needed,) = named(part, place.all_rights).values()
    code, said = run(COMMANDS[part], place.as_user(needed._replace(operation="Describe")), tmp_path)
    assert code == 1
    assert any(lacks(needed, line) for line in said.splitlines()), said
    assert "Traceback" not in said


@on_kafka
def test_topics_are_created_with_the_rights_of_the_page(secured_kafka: SecuredKafka) -> None:
    place = Sandbox(secured_kafka, secured_kafka.settings(broken_down(), "PLAINTEXT", {}))
    mine = place.all_rights
    names = mine.topics
    rights = list(named("adtally topics", mine).values())
    for lacking in rights:
        with pytest.raises(BrokerError) as caught:
            Topics(place.as_user(*(one for one in rights if one != lacking))).ensure(lacking.name, timeout=ANSWER_SECONDS)
        assert lacks(lacking, str(caught.value)), caught.value
    Topics(place.as_user(*rights)).ensure(*names, timeout=ANSWER_SECONDS)
    assert all(Topics(mine).partitions(name, ANSWER_SECONDS) for name in names)


@contextmanager
def following(one: Follower) -> Generator[Follower]:
    """A follower that is stopped when the block ends."""
    try:
        yield one.start()
    finally:
        one.stop()


def read(settings: Settings, what: str) -> str:
    """What the dashboard says of `what` in vain; nothing where it can read it."""
    if what == "results":
        follower: Follower = Feed(settings, Store(), look_seconds=0.5)
    elif what == BROKEN_DOWN:
        follower = Feed(settings, Store(), look_seconds=0.5, breakdown=settings.breakdown_list[0])
    elif what == RATES.name:
        follower = RateFeed(settings, TopicRates(), look_seconds=0.5)
    elif what == "rejected":
        follower = RejectedFeed(settings, look_seconds=0.5)
    else:
        try:
            progress(settings, ANSWER_SECONDS)
        except BrokerError as error:
            return str(error)
        return ""

    def word() -> str:
        seen = follower.status
        # Down without it, it also is while a broker is slow to answer.
        if seen.state == "down" and "lacks the right" in seen.problem:
            return seen.problem
        return "live" if seen.state == "live" else ""

    with following(follower):
        said: str = wait_for(word, "a word from the topic")
    return "" if said == "live" else said


@on_kafka
def test_the_dashboard_reads_with_the_rights_of_the_page_and_without_one_the_rest(place: Sandbox) -> None:
    rights = named("dashboard", place.all_rights)
    user = place.as_user(*rights.values())
    parts = ("results", BROKEN_DOWN, RATES.name, "rejected", "progress")
    assert {read(user, what) for what in parts} == {""}
    for listed, lacking in rights.items():
        user = place.as_user(*(one for one in rights.values() if one != lacking))
        said = {what: read(user, what) for what in parts}
        told = said.pop(listed.name if listed.operation == "Read" else "progress")
        assert lacks(lacking, told), told
        assert set(said.values()) == {""}


@on_kafka
@pytest.mark.parametrize("what", ["results", "rejected"])
def test_a_client_that_may_describe_a_topic_but_not_read_it_says_so_once_and_reads_it_as_soon_as_it_may(
    place: Sandbox, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    mine = place.all_rights
    lacking = next(right for listed, right in named("dashboard", mine).items() if listed.name == what)
    user = place.as_user(lacking._replace(operation="Describe"))
    follower: Follower = Feed(user, Store(), look_seconds=0.2) if what == "results" else RejectedFeed(user, look_seconds=0.2)
    with following(follower):
        wait_for(lambda: (seen := follower.status).state == "down" and lacks(lacking, seen.problem), "the refusal")
        place.kafka.grant(user.client["sasl.username"], [lacking])
        wait_for(lambda: follower.status.state == "live", "the end of the topic")
    assert sum("lacks the right" in line for line in caplog.messages) <= 1


@on_kafka
def test_a_dashboard_without_its_right_ends_with_a_line(place: Sandbox, tmp_path: Path) -> None:
    lacking = next(iter(named("dashboard", place.all_rights).values()))
    code, said = run(["panel_app", "--port", str(free_port())], place.as_user(), tmp_path)
    assert code == 1
    assert lacks(lacking, said.splitlines()[-1]), said


@on_kafka
def test_an_export_of_a_breakdown_needs_the_right_to_read_its_topic(place: Sandbox, tmp_path: Path) -> None:
    (right,) = named("adtally export", place.all_rights).values()
    needed_right = right._replace(name=f"{right.name}.device")
    words = ["adtally", "export", "--breakdown", "device", "--out", "-"]
    code, said = run(words, place.as_user(right), tmp_path)
    assert (code, lacks(needed_right, said.splitlines()[-1])) == (1, True), said
    code, said = run(words, place.as_user(needed_right), tmp_path)
    assert code == 0, said
