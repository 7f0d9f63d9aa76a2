"""The engine in C: messages are taken from librdkafka (`queue`), decoded and counted on the fast path (`tally`), and results are sent
(`sender`).

The cells of a shard are in C too: `dataflows.windows.native`.

An installation builds it where there is a C compiler (hatch_build.py). It does nothing that the reference in Python does not do as well
(`dataflows.intake.reference`, `dataflows.windows.reference`, `dataflows.kafka.produce`), only in a fraction of the time.
tests/dataflows/native/test_sameness.py, test_cells.py and test_produce.py hold the two together.
"""

from __future__ import annotations

from dataflows.native.batch import MessageBatch
from dataflows.native.library import why_not
from dataflows.native.plan import TallyPlan
from dataflows.native.sources import CSRC, FLAGS, FOLDER, HEADERS, LINKED, SOURCES, library_file
from dataflows.native.structs import CHANGED, LATE, NEVER, RANDOM_BYTES
from dataflows.native.tally import Noted, SlowEvent, Tally

__all__ = [
    "CHANGED",
    "CSRC",
    "FLAGS",
    "FOLDER",
    "HEADERS",
    "LATE",
    "LINKED",
    "NEVER",
    "RANDOM_BYTES",
    "SOURCES",
    "MessageBatch",
    "Noted",
    "SlowEvent",
    "Tally",
    "TallyPlan",
    "library_file",
    "why_not",
]
