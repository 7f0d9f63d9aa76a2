"""Counters that the flow commits to the consumer group with each offset, for people and monitors; it knows no Kafka client.

They travel as the metadata of the committed offset. A restart resumes from the snapshot alone.
"""

from __future__ import annotations

import msgspec

from dataflows.intake.partition import Counters
from dataflows.kafka.fingerprint import Fingerprint


class CommittedCounters(Counters):
    """The counters of one partition as of the committed offset, and the times that belong to them, in microseconds.

    `clock` is the highest event time of the snapshot that this commit belongs to, `kept` that of the snapshot before: a run that is
    killed goes back no further. `last` is the fingerprint of the last message read; it shows whether the topic was recreated. `at` is
    the time of this commit by the flow's clock (since 1970), `pause` the time since the previous commit.
    """

    clock: int | None = None
    kept: int | None = None
    last: Fingerprint | None = None
    at: int | None = None
    pause: int | None = None

    def encode(self) -> str:
        """Return the metadata of a commit."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def decode(cls, metadata: str | None) -> CommittedCounters:
        """Return what `metadata` holds; all zero if it is empty or was written by another program."""
        try:
            return msgspec.json.decode(metadata or "", type=cls)
        except msgspec.DecodeError:
            return cls()
