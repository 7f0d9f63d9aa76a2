"""The loop that sends what a source has, each message when it is due, until the source ends or a stop is requested."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Generator
from types import FrameType

from dataflows.contract.errors import DeliveryError, OutputError
from generator.batches import Batch, Mark, Source
from generator.clock import Clock
from generator.delivery import Sink
from generator.report import ProgressReporter
from generator.telemetry import SendingState

FLUSH_SECONDS = 10.0
"""Seconds that the broker has after Ctrl-C to acknowledge the messages in flight."""

SLICE = 2_000
"""Maximum number of messages between two checks of signals and delivery reports."""


class StopRequest:
    """Whether a stop of the run was requested. The second request raises `KeyboardInterrupt` at once."""

    def __init__(self) -> None:
        self.asked = False
        self._since = 0.0

    def ask(self) -> None:
        """Request a stop; the second request stops at once."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self._since = time.monotonic()

    def waited(self) -> float:
        """Seconds since the stop was requested; 0 if it was not."""
        return time.monotonic() - self._since if self.asked else 0.0

    @contextlib.contextmanager
    def on_signals(self) -> Generator[None]:
        """Make SIGINT (Ctrl-C) and SIGTERM request a stop while the block runs."""

        def handle(_number: int, _frame: FrameType | None) -> None:
            self.ask()

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class EventSender:
    """Sends what a source has through a sink, by a clock, until it ends or `stop` is requested."""

    def __init__(
        self, sink: Sink, clock: Clock, stop: StopRequest, reporter: ProgressReporter, sending: SendingState | None = None
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._stop = stop
        self._reporter = reporter
        self._marks = Counter[Mark]()
        self._sending = sending or SendingState()
        self._sending.pending = sink.pending
        self._sending.away = sink.away
        self._said = False
        self.has_failed = False
        """Whether sending ended by an error, after which the counts may lack refusals that were not reported."""

    def run(self, source: Source) -> dict[str, int]:
        """Send what `source` has and wait for the acknowledgements; returns counts: sent, acknowledged, failed, those of the marks.

        A message goes out when the clock has reached its `due`, by that absolute time: a delay is caught up and does not accumulate.
        """
        sink, stop, say = self._sink, self._stop, self._reporter.say
        try:
            with self._reporter.progress(source.total):
                for batch in source.batches():
                    self._send(batch)
                    if stop.asked:
                        break
                sink.finish(self._give_up)
        except KeyboardInterrupt:
            say("stopped at once")
        except (DeliveryError, OutputError) as error:
            self.has_failed = True
            say(str(error), "error")
        except BrokenPipeError:
            # The reader of a dry run (`head`) has closed the pipe; the interpreter's last flush must not fail either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        pending = sink.pending()
        counts = {"sent": sink.sent, "acknowledged": self._acknowledged(), "failed": sink.failed, "not acknowledged": pending}
        return counts | {mark: self._marks[mark] for mark in ("duplicates", "late", "malformed")}

    def _send(self, batch: Batch) -> None:
        done, messages, due = 0, batch.messages, batch.due
        while done < len(messages) and not self._stop.asked:
            ready = min(done + SLICE, len(messages))
            if due:
                now = self._clock.now()
                ready = bisect_right(due, now, done, ready)
                if ready == done:
                    self._sink.send(())
                    self._note()
                    self._clock.sleep(max(0.001, (due[done] - now) / 1_000_000))
                    continue
            self._sink.send(messages[done:ready])
            if batch.marks:
                self._marks.update(batch.count(done, ready))
            done = ready
            self._note()

    def _note(self) -> None:
        acknowledged = self._acknowledged()
        self._reporter.sent(self._sink.sent, acknowledged)
        self._sending.note(self._sink.sent, acknowledged, self._sink.failed, self._marks)

    def _acknowledged(self) -> int:
        return self._sink.sent - self._sink.failed - self._sink.pending()

    def _give_up(self) -> bool:
        self._note()
        if self._stop.waited() > 1.0 and not self._said:
            self._said = True
            left = self._sink.pending()
            self._reporter.say(f"waiting up to {FLUSH_SECONDS:g} s for {left:,} acknowledgements; Ctrl-C again ends now")
        return self._stop.waited() > FLUSH_SECONDS
