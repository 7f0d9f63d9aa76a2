"""Records on `results` and `rejected` tell the version of the contract; of a later version no figure is taken."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest

from dataflows.commands import rebuild, rejected
from dataflows.contract.errors import InputError
from dataflows.contract.schema import HEADERS, VERSION, VERSION_HEADER, Rejected, encode, foreign
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import make_producer
from dataflows.kafka.topics import Topics
from figures.feed.follower import Follower
from figures.feed.upserts import Feed
from figures.files import export
from figures.files.formats import FORMATS
from figures.pipeline.rejects import RejectedFeed
from figures.store.store import Store
from figures.views.selection import selection
from tests.support.flows import ANSWER_SECONDS, wait_for
from tests.support.results import result
from tests.support.settings import own_names

LATER: list[tuple[str, str | bytes | None]] = [(VERSION_HEADER, str(VERSION + 1).encode())]
WORDS = f"version b'{VERSION + 1}' of the contract"


@pytest.fixture(scope="module")
def mixed(embedded_broker: str) -> Settings:
    """Topics on which a record of this version, one without a header, and one of a later version stand."""
    settings = own_names(embedded_broker)
    Topics(settings).ensure(settings.results_topic, settings.rejected_topic, timeout=ANSWER_SECONDS)
    producer = make_producer(settings, "test")
    own: list[tuple[str, str | bytes | None]] = [*HEADERS]
    for number, headers in enumerate((own, [], LATER)):
        one = Rejected("malformed", "no event", "logs", 0, number, "2026-01-01T00:00:00Z", "x")
        producer.produce(settings.results_topic, encode(result(minute=number)), partition=0, headers=headers)
        producer.produce(settings.rejected_topic, encode(one), partition=0, headers=headers)
    assert producer.flush(30) == 0
    return settings


def test_a_record_of_this_version_or_without_a_header_is_read_and_any_other_is_not() -> None:
    assert foreign(None) is None
    assert foreign([("trace-id", b"1"), *HEADERS]) is None
    assert WORDS in str(foreign(LATER))
    assert "version None of" in str(foreign([(VERSION_HEADER, None)]))


def test_the_rebuild_refuses_to_write_among_results_of_a_later_version(mixed: Settings) -> None:
    with pytest.raises(InputError, match=WORDS):
        rebuild.changes(mixed, {})


def test_the_command_for_rejected_events_refuses_those_of_a_later_version(mixed: Settings) -> None:
    with pytest.raises(InputError, match=WORDS):
        rejected.rejected(mixed, rejected.Wanted())


def test_an_export_leaves_results_of_a_later_version_out_and_says_so(mixed: Settings) -> None:
    said = export.write(mixed, selection({}), FORMATS["json"], io.BytesIO())
    assert said.startswith("2 rows written, by minute in the zone UTC. 1 records of")


@pytest.fixture
def following() -> Iterator[Callable[[Follower], Follower]]:
    """Starts a reader of the dashboard, and stops it when the test ends."""
    started: list[Follower] = []

    def start(follower: Follower) -> Follower:
        started.append(follower.start())
        return follower

    yield start
    for one in started:
        one.stop()


@pytest.mark.parametrize("kind", ["results", "rejected"])
def test_the_dashboard_counts_what_is_of_a_later_version_as_unread_and_says_why(
    mixed: Settings, following: Callable[[Follower], Follower], kind: str
) -> None:
    feed = following(Feed(mixed, Store()) if kind == "results" else RejectedFeed(mixed))
    wait_for(lambda: (feed.status.records, feed.status.unread) == (2, 1), "both records, and the third left out")
    assert WORDS in feed.status.problem
