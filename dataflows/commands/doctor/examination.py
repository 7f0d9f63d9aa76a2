"""The complete run of ``adtally doctor``: every check in order, each line as soon as it is known."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dataflows.commands.doctor import brokers, machine, recovery, topics
from dataflows.commands.doctor.check_result import CheckResult, Level, fail, worst
from dataflows.contract.errors import AdtallyError
from dataflows.contract.settings import Settings
from dataflows.kafka.topics import Topics
from dataflows.telemetry import log_lines

Check = Callable[[Settings], Iterator[CheckResult]]


def examine(settings: Settings, folder: Path | None, here: Sequence[Check] = (), cluster: Sequence[Check] = ()) -> int:
    """Print a line for each check; return 0 if all is well, 1 if something should be mended, 2 if something does not work.

    `here`, `cluster`: checks of other parts, those that need no broker and those that need one.
    """
    coloured = sys.stdout.isatty()
    levels: list[Level] = []
    for finding in checks(settings, folder, here, cluster):
        levels.append(finding.level)
        log_lines.tell(log_lines.one_line(finding.line(coloured=False)) if not coloured else finding.line(coloured=True))
    return worst(levels)


def checks(
    settings: Settings, folder: Path | None, here: Sequence[Check] = (), cluster: Sequence[Check] = ()
) -> Iterator[CheckResult]:
    """Yield what each check finds, also those of other parts; those of the cluster only where a broker lets this client in."""
    yield from machine.python()
    yield from machine.engine(settings)
    yield from machine.client()
    reached = False
    for finding in brokers.brokers(settings):
        reached = reached or finding.level == "ok"
        yield finding
    yield from recovery.recovery(folder)
    for check in here:
        yield from check(settings)
    if reached:
        yield from _of_the_cluster(settings)
        for check in cluster:
            yield from check(settings)


def _of_the_cluster(settings: Settings) -> Iterator[CheckResult]:
    try:
        client = Topics(settings, "doctor")
        metadata = client.metadata(topics.SECONDS)
        yield from topics.topics(settings, client, metadata)
        yield from topics.rights(settings, client, metadata)
        yield from topics.clock(settings, metadata)
        if settings.logs_topic in metadata.topics:
            yield from topics.partitions(settings)
    except AdtallyError as error:
        yield fail("topics", str(error))
