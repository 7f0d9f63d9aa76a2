"""A run of the generator: from the options to a source, a sink and a summary."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator
from typing import Self

from dataflows.commands.frame import DONE, FAILED, settings_of
from dataflows.contract.breakdowns import columns
from dataflows.contract.errors import InputError
from dataflows.contract.schema import to_micros
from dataflows.contract.settings import Settings
from dataflows.intake.rules import LAST
from dataflows.kafka.topics import Topics
from dataflows.telemetry import log_lines
from dataflows.telemetry.server import serve
from generator.batches import Batch, Source
from generator.clock import Clock, SystemClock
from generator.delivery import KafkaSink, Sink, StreamSink
from generator.formats.base import Context
from generator.formats.inputs import gather
from generator.formats.registry import FORMATS
from generator.options import Replaying, Synthesis, Target
from generator.replay import Pace, Replay
from generator.report import ProgressReporter, summary
from generator.sending import EventSender, StopRequest
from generator.synthetic.events import Plan, Synthetic
from generator.synthetic.faults import Faults, Injector
from generator.synthetic.traffic import Mix
from generator.telemetry import SendingState

FIXED_NOW = 1_767_268_800_000_000
"""2026-01-01T12:00:00Z: what counts as now in a dry run with a seed, so that two of them are equal."""

BROKER_SECONDS = 8.0


def run_synthetic(asked: Synthesis, target: Target) -> int:
    """Generate the events that are `asked` for and send them to `target`; return 0 if all were acknowledged, else 1.

    Raises `AdtallyError` for what can't be used, for a broker that does not answer, and for what can't be delivered.
    """
    with _Run(target) as run:
        source = _synthetic(asked, target, run.settings, run.clock)
        return run.send(source, run.sink())


def run_replay(asked: Replaying, target: Target) -> int:
    """Send the events of the files that are `asked` for to `target`; returns and raises as `run_synthetic`."""
    with _Run(target) as run:
        # Errors in the files are reported before the broker is contacted, and both happen before a long read.
        replay = _replay(asked, target, run.settings, run.clock, run.stop)
        sink = run.sink()
        _read(replay, run.reporter, run.stop)
        return run.send(replay, sink, replay)


class _Run:
    """What both kinds of runs need: settings, a clock, a reporter, and the signals that stop them."""

    def __init__(self, target: Target) -> None:
        overrides = {"ADTALLY_BROKERS": target.brokers, "ADTALLY_LOGS_TOPIC": target.topic}
        self.reporter = ProgressReporter(quiet=target.quiet)
        self.stop = StopRequest()
        self.clock = SystemClock()
        self.settings = settings_of("generator", overrides)
        self._target = target
        self._sending = SendingState()
        self._signals = self.stop.on_signals()

    def __enter__(self) -> Self:
        self._signals.__enter__()
        if not self._target.dry_run:
            serve(self.settings, self._sending.served())
        return self

    def __exit__(self, *error: object) -> None:
        self._signals.__exit__(None, None, None)

    def sink(self) -> Sink:
        """Return the sink of the events."""
        if self._target.dry_run:
            return StreamSink(log_lines.binary())
        settings = self.settings
        Topics(settings, "generator", {settings.logs_topic: "Write"}).ensure(settings.logs_topic, timeout=BROKER_SECONDS)
        return KafkaSink(settings, self.reporter.say, lambda: self.stop.asked, self._sending.pulse.beat)

    def send(self, source: Source, sink: Sink, replay: Replay | None = None) -> int:
        """Send everything of `source`, print the summary; return the exit code."""
        reporter, dry_run = self.reporter, self._target.dry_run
        to = "standard output" if dry_run else f"{self.settings.logs_topic} at {self.settings.brokers}"
        reporter.note(f"{source.title()}, to {to}")
        sender = EventSender(sink, self.clock, self.stop, reporter, self._sending)
        try:
            counts = sender.run(_unpaced(source) if dry_run else source)
        except KeyboardInterrupt:
            reporter.say("stopped at once")
            raise
        why = f" ({sink.reason})" if sink.failed and sink.reason else ""
        if replay is not None:
            for note in replay.notes():
                reporter.say(note)
            counts |= {"bad rows": replay.complaints.count}
        reporter.say(summary(counts) + why)
        return DONE if counts["acknowledged"] == counts["sent"] and not sender.has_failed else FAILED


def _read(replay: Replay, reporter: ProgressReporter, stop: StopRequest) -> None:
    """Read the files, and report their bad rows and how columns are read."""
    replay.read(lambda: stop.asked)
    for line in replay.complaints.lines():
        reporter.say(line)
    for note in replay.notes():
        reporter.note(note)


def _synthetic(options: Synthesis, target: Target, settings: Settings, clock: Clock) -> Synthetic:
    mix = Mix(options.impressions, options.clicks, options.conversions)
    if not mix.impressions + mix.clicks + mix.conversions:
        raise InputError("--impressions, --clicks and --conversions are all 0; one of them must be greater.")
    faults = Faults(options.disorder, options.disorder_seconds, options.duplicates, options.late, options.malformed)
    if faults.disorder + faults.duplicates + faults.late + faults.malformed > 1:
        raise InputError("--disorder, --duplicates, --late and --malformed add up to more than all messages.")
    start_time = options.start_time
    # A dry run with a seed must not depend on the current time.
    now = FIXED_NOW if target.dry_run and options.seed is not None and start_time is None else clock.now()
    if start_time is not None and start_time > now and not target.dry_run:
        raise InputError("--start-time is in the future: live events are sent as their time comes.")
    start = now - int(options.backfill * 1_000_000) if start_time is None else start_time
    # --duration counts from now, because earlier events are backfill; in a dry run with a start time it counts from the start.
    live_from = start if target.dry_run and start_time is not None else now
    if options.count is not None and start + options.count / options.rate * 1_000_000 > to_micros(LAST):
        raise InputError("--count at this --rate runs beyond the year 9999; lower --count or raise --rate.")
    plan = Plan(
        seed=secrets.randbits(48) if options.seed is None else options.seed,
        start=start,
        rate=options.rate,
        count=options.count,
        end=None if options.duration is None else live_from + int(options.duration * 1_000_000),
        mix=mix,
        campaigns=options.campaigns,
        channels=options.channels,
        ads=options.ads,
        keywords=options.keywords,
        currency=settings.currency,
        currencies=_currencies(options, settings),
        declared=settings.declared_types,
        faults=faults,
    )
    return Synthetic(plan, Injector(faults, plan.seed, plan.rate, settings))


def _currencies(options: Synthesis, settings: Settings) -> tuple[str, ...]:
    if options.currencies is not None:
        return tuple(options.currencies.split(","))
    return settings.currency, "EUR" if settings.currency != "EUR" else "USD"


def _replay(options: Replaying, target: Target, settings: Settings, clock: Clock, stop: StopRequest) -> Replay:
    form = FORMATS[options.format]
    if options.format == "jsonl" and (options.currency or options.fields):
        raise InputError("--currency and --field are for files of columns; lines of jsonl are sent byte for byte.")
    files = gather(options.files, form.suffixes, lambda: stop.asked)
    context = Context(
        zone=options.timezone,
        currency=options.currency,
        fields=options.fields,
        types=tuple(declared.name for declared in settings.declared_types),
        columns=columns(settings.breakdown_list),
        keep_bad=options.keep_bad,
        retime=f"-{clock.now() // 1_000_000:x}" if options.shift_to_now else "",
        dates=options.dates,
        decimal=options.decimal,
        encoding=options.encoding,
    )
    # A dry run waits for nothing.
    pace = Pace(math.inf if target.dry_run else options.speed, options.shift_to_now, settings.window_seconds * 1_000_000)
    return Replay(files, form, context, pace, clock)


class _Unpaced:
    """A source whose messages are all due at once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.total = source.total

    def title(self) -> str:
        return self._source.title()

    def batches(self) -> Iterator[Batch]:
        for batch in self._source.batches():
            yield Batch(batch.messages, [], batch.marks)


def _unpaced(source: Source) -> Source:
    return _Unpaced(source)
