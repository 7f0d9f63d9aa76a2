"""The command ``adtally-generate``, also ``python -m generator``: from options to a source, a sink and a summary."""

from __future__ import annotations

import argparse
import math
import os
import secrets
from collections.abc import Iterator, Sequence

from dataflows.contract.errors import AdtallyError, InputError, SettingsError
from dataflows.contract.schema import to_micros
from dataflows.contract.settings import Settings
from dataflows.intake.rules import LAST
from dataflows.kafka.topics import Topics
from dataflows.telemetry import log_lines
from dataflows.telemetry.server import serve
from generator.clock import Clock, SystemClock
from generator.delivery import KafkaSink, Sink, StreamSink
from generator.formats.base import Context
from generator.formats.inputs import gather
from generator.formats.registry import FORMATS
from generator.messages import Batch, Source
from generator.options import parser
from generator.replay import Pace, Replay
from generator.report import Reporter, summary
from generator.sending import Sender, Stop
from generator.synthetic.events import Plan, Synthetic
from generator.synthetic.faults import Faults, Injector
from generator.synthetic.traffic import Mix
from generator.telemetry import Sending

FIXED_NOW = 1_767_268_800_000_000
"""2026-01-01T12:00:00Z: what counts as now in a dry run with a seed, so that two of them are equal."""

BROKER_SECONDS = 8.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the generator; returns the exit code: 0 all acknowledged, 1 not all or no broker, 2 unusable options or files."""
    options = parser().parse_args(arguments)
    reporter = Reporter(quiet=options.quiet)
    stop = Stop()
    try:
        with stop.on_signals():
            return _run(options, reporter, stop)
    except (InputError, SettingsError) as error:
        reporter.say(str(error), level="error")
        return 2
    except AdtallyError as error:
        reporter.say(str(error), level="error")
        return 1
    except KeyboardInterrupt:
        reporter.say("stopped at once")
        return 130


def _run(options: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    settings = _settings(options)
    log_lines.set_up(settings, "generator")
    clock = SystemClock()
    sending = Sending()
    if not options.dry_run:
        serve(settings, sending.served())
    replay: Replay | None = None
    if options.command == "synthetic":
        source: Source = _synthetic(options, settings, clock)
        sink = _sink(options, settings, reporter, stop, sending)
    else:
        # What is wrong with the files is said before the broker is asked for, and both before a long reading.
        replay = source = _replay(options, settings, clock, stop)
        sink = _sink(options, settings, reporter, stop, sending)
        _read(replay, reporter, stop)
    reporter.note(
        f"{source.title()}, to {'standard output' if options.dry_run else f'{settings.logs_topic} at {settings.brokers}'}"
    )
    counts = Sender(sink, clock, stop, reporter, sending).run(_unpaced(source) if options.dry_run else source)
    why = f" ({sink.reason})" if sink.failed and sink.reason else ""
    if replay is not None:
        for note in replay.notes():
            reporter.say(note)
        counts |= {"bad rows": replay.complaints.count}
    reporter.say(summary(counts) + why)
    return 0 if counts["acknowledged"] == counts["sent"] else 1


def _read(replay: Replay, reporter: Reporter, stop: Stop) -> None:
    """Read the files, and report their bad rows and how columns are read."""
    replay.read(lambda: stop.asked)
    for line in replay.complaints.lines():
        reporter.say(line)
    for note in replay.notes():
        reporter.note(note)


def _settings(options: argparse.Namespace) -> Settings:
    given = {"ADTALLY_BROKERS": options.brokers, "ADTALLY_LOGS_TOPIC": options.topic}
    return Settings.from_environment({**os.environ, **{name: value for name, value in given.items() if value is not None}})


def _sink(options: argparse.Namespace, settings: Settings, reporter: Reporter, stop: Stop, sending: Sending) -> Sink:
    if options.dry_run:
        return StreamSink(log_lines.binary())
    Topics(settings, "generator", {settings.logs_topic: "Write"}).ensure(settings.logs_topic, timeout=BROKER_SECONDS)
    return KafkaSink(settings, reporter.say, lambda: stop.asked, sending.pulse.beat)


def _synthetic(options: argparse.Namespace, settings: Settings, clock: Clock) -> Synthetic:
    mix = Mix(options.impressions, options.clicks, options.conversions)
    if not mix.impressions + mix.clicks + mix.conversions:
        raise InputError("--impressions, --clicks and --conversions are all 0: one of them must be more.")
    faults = Faults(options.disorder, options.disorder_seconds, options.duplicates, options.late, options.malformed)
    if faults.disorder + faults.duplicates + faults.late + faults.malformed > 1:
        raise InputError("--disorder, --duplicates, --late and --malformed add up to more than all messages.")
    given = options.start_time
    # A dry run with a seed must not depend on when it is made.
    now = FIXED_NOW if options.dry_run and options.seed is not None and given is None else clock.now()
    if given is not None and given > now and not options.dry_run:
        raise InputError("--start-time lies ahead of now: events are sent when their time has come.")
    start = now - int(options.backfill * 1_000_000) if given is None else given
    # --duration counts from now, for what lies before is backfill; where nothing waits for now, from the start.
    live_from = start if options.dry_run and given is not None else now
    if options.count is not None and start + options.count / options.rate * 1_000_000 > to_micros(LAST):
        raise InputError("--count at this --rate runs beyond the year 9999; lower --count or raise --rate.")
    plan = Plan(
        seed=secrets.randbits(48) if options.seed is None else int(options.seed),
        start=start,
        rate=options.rate,
        count=None if options.count is None else int(options.count),
        end=None if options.duration is None else live_from + int(options.duration * 1_000_000),
        mix=mix,
        campaigns=int(options.campaigns),
        channels=options.channels,
        currency=settings.currency,
        faults=faults,
    )
    return Synthetic(plan, Injector(faults, plan.seed, plan.rate, settings))


def _replay(options: argparse.Namespace, settings: Settings, clock: Clock, stop: Stop) -> Replay:
    form = FORMATS[options.format]
    files = gather(options.files, form.suffixes, lambda: stop.asked)
    context = Context(
        zone=options.timezone,
        currency=settings.currency,
        keep_bad=options.keep_bad,
        retime=f"-{clock.now() // 1_000_000:x}" if options.shift_to_now else "",
        dates=options.dates,
        decimal=options.decimal,
        encoding=options.encoding,
    )
    # A dry run waits for nothing.
    pace = Pace(math.inf if options.dry_run else options.speed, options.shift_to_now, settings.window_seconds * 1_000_000)
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
