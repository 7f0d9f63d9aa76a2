"""Output for the user of the terminal, all of it on standard error: lines, a progress bar, the summary."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import NoReturn, TextIO

from tqdm import tqdm

from dataflows.commands.frame import PROGRAM
from dataflows.telemetry.log_lines import Level, say

SPARSE_SECONDS = 60.0
"""Seconds between two progress lines without a terminal."""


class ProgressReporter:
    """Writes to `stream`; draws a bar there if it is a terminal."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        # With standard error closed (2>&-), its lines must not end up among the events of a dry run on standard output.
        self._stream = stream or sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process
        self._quiet = quiet
        self._bar: tqdm[NoReturn] | None = None
        self._next_line = time.monotonic() + SPARSE_SECONDS

    def say(self, text: str, level: Level = "info") -> None:
        """Print one line, for a person or as JSON."""
        shown = contextlib.nullcontext() if self._bar is None else tqdm.external_write_mode(file=self._stream)
        # Events must be sent even if the disk of the log is full.
        with contextlib.suppress(OSError), shown:
            say(PROGRAM, text, level=level, stream=self._stream)

    def note(self, text: str) -> None:
        """Print a line that `--quiet` suppresses."""
        if not self._quiet:
            self.say(text)

    @contextlib.contextmanager
    def progress(self, total: int | None) -> Generator[None]:
        """While this lasts, `sent` draws a bar of `total` messages (a terminal) or sparse lines (anything else)."""
        if self._stream.isatty() and not self._quiet:
            self._bar = tqdm(total=total, unit=" events", unit_scale=True, file=self._stream, dynamic_ncols=True, leave=False)
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.close()
            self._bar = None

    def sent(self, sent: int, acknowledged: int) -> None:
        """Show the number of messages `sent` so far, and of those that the broker has `acknowledged`."""
        if self._bar is not None:
            self._bar.update(sent - self._bar.n)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + SPARSE_SECONDS
            self.note(f"{sent:,} sent, {acknowledged:,} acknowledged")


def summary(counts: Mapping[str, int]) -> str:
    """``sent 1,000, acknowledged 1,000, failed 0``: sent, acknowledged and failed always, others where they are not 0."""
    always = ("sent", "acknowledged", "failed")
    return ", ".join(f"{name} {number:,}" for name, number in counts.items() if number or name in always)
