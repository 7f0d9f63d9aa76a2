"""The native intake: takes the plain messages of one partition from librdkafka (`Queue`), reads, judges and adds them up (`Tally`) in C.

It is built where there is a C compiler (`dataflows.native.build`, which ``make setup`` runs) and does nothing that
`dataflows.intake_python` does not do as well, only in a fraction of the time. tests/test_native.py holds the two together.
"""

from __future__ import annotations

from dataflows.native.library import FLAGS, FOLDER, HEADERS, LINKED, SOURCES, library_file, why_not
from dataflows.native.queue import Batch, Queue
from dataflows.native.tally import COUNTED, LATE, MOST_EVENTS, NEVER, RANDOM_BYTES, Noted, Tally

__all__ = [
    "COUNTED",
    "FLAGS",
    "FOLDER",
    "HEADERS",
    "LATE",
    "LINKED",
    "MOST_EVENTS",
    "NEVER",
    "RANDOM_BYTES",
    "SOURCES",
    "Batch",
    "Noted",
    "Queue",
    "Tally",
    "library_file",
    "why_not",
]
