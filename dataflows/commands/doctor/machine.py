"""Checks of this machine: Python, the engine, the Kafka client."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator

import confluent_kafka

from dataflows import native
from dataflows.commands.doctor.check_result import CheckResult, fail, ok, warn
from dataflows.contract.settings import Settings
from dataflows.flow.engines import CURE

PYTHONS = ((3, 11), (3, 12))
"""Versions that Bytewax has wheels for."""


def python() -> Iterator[CheckResult]:
    """Check the interpreter."""
    version = f"{platform.python_implementation()} {platform.python_version()} in {sys.prefix}"
    if sys.version_info[:2] in PYTHONS:
        yield ok("python", version)
    else:
        wanted = " or ".join(".".join(map(str, release)) for release in PYTHONS)
        yield fail("python", f"{version}: Bytewax has wheels for Python {wanted} only; install adtally there")


def engine(settings: Settings) -> Iterator[CheckResult]:
    """Check which engine counts. Of all lines of the doctor this one alone has the word native."""
    if settings.native == "off":
        yield ok("engine", "Python; native is not in use: ADTALLY_NATIVE=off")
        return
    if reason := native.why_not():
        words = f"native is not in use: {reason}; {CURE}"
        exact = "; Python counts as exactly and takes about six times the CPU"
        yield fail("engine", f"{words} (ADTALLY_NATIVE=on)") if settings.native == "on" else warn("engine", words + exact)
        return
    from dataflows.native.queue import no_queue_reason  # noqa: PLC0415 - it loads the library
    from dataflows.native.sender import no_sender_reason  # noqa: PLC0415 - the same

    parts = [
        f"it does not {what} ({reason})"
        for what, reason in (("fetch messages", no_queue_reason()), ("send records", no_sender_reason()))
        if reason
    ]
    if parts:
        words = f"native counts, but {' and '.join(parts)}: Python does that, with the same results but more slowly"
        yield fail("engine", words) if settings.native == "on" else warn("engine", words)
    else:
        yield ok("engine", "native, built in C")


def client() -> Iterator[CheckResult]:
    """Name the versions of the Kafka client."""
    yield ok("librdkafka", f"{confluent_kafka.libversion()[0]} (confluent-kafka {confluent_kafka.version()})")
