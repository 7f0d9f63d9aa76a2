"""The state of a follower: what it does, since when, and why it does not get further. Logs a line when waiting begins and when it ends."""

from __future__ import annotations

import logging
import time
from typing import Literal

import msgspec

from dataflows.contract.errors import BrokerError, RefusedError
from dataflows.contract.settings import Settings

log = logging.getLogger("adtally.feed")

FeedState = Literal["starting", "waiting", "reading", "live", "down"]


class Status(msgspec.Struct, frozen=True):
    """State of a follower: `waiting` for the topic, `reading` it, `live` at its end, or the broker is `down`."""

    state: FeedState
    brokers: str
    topic: str
    records: int = 0
    unread: int = 0
    """Number of records that could not be read."""
    problem: str = ""
    """Why the last of those could not be read, or the broker's error."""
    since: float | None = None
    """Begin of this state (seconds since 1970)."""
    behind: int = 0
    """Number of records that are still to be read, as of the last look at the topic."""


class StateReporter:
    """Keeps and logs the state of the follower of `topic`.

    `aloud`: log at the level of warning what it waits for; `creation`: who creates the topic where it is missing.
    """

    def __init__(self, settings: Settings, topic: str, *, aloud: bool = True, creation: str = "the dataflow creates it") -> None:
        self._brokers = settings.brokers
        self._topic = topic
        self._aloud = aloud
        self._creation = creation
        self._is_admitted = False
        self.state: FeedState = "starting"
        self.since: float | None = None
        self.problem = ""
        self.is_barred = False
        """Whether the broker refuses to let this client read the topic: it may describe it, and gets an error per fetch."""
        self.refused: RefusedError | None = None
        """Why the brokers refuse this client; None if one ever accepted it, for then its users or certificates may just be changing."""

    def enter(self, state: FeedState, problem: str = "") -> None:
        """Change to `state`, because of `problem`."""
        if state != self.state:
            self._log(state, problem)
            self.since = time.time()
        if problem:
            self.problem = problem  # before the state, so that a reader of `down` also finds the reason
        self.state = state

    def fail(self, error: BrokerError) -> None:
        """Change to `down` because of `error`."""
        if isinstance(error, RefusedError) and not self._is_admitted:
            self.refused = error
        self.enter("down", str(error))

    def admit(self) -> None:
        """Note that a broker accepted this client."""
        self._is_admitted = True

    def bar(self, problem: str) -> None:
        """Change to `down` because this client may not read the topic."""
        self.is_barred = True
        self.enter("down", problem)

    def unbar(self) -> None:
        """Note that this client may read the topic."""
        self.is_barred = False

    def note(self, problem: str) -> None:
        """Remember `problem` without a change of the state; empty to forget the last one."""
        self.problem = problem

    def _log(self, state: FeedState, problem: str) -> None:
        # A refusal is logged by the dashboard's command when it ends.
        level = logging.WARNING if self._aloud and not self.refused else logging.DEBUG
        if state == "down":
            log.log(level, "waiting for Kafka: %s", problem)
        elif state == "waiting":
            log.log(level, "waiting for topic %s on %s; %s", self._topic, self._brokers, self._creation)
        elif self.state in ("down", "waiting"):
            log.log(level, "topic %s on %s is available", self._topic, self._brokers)
        else:
            log.info("%s: %s", self._topic, state)
