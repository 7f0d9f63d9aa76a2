"""Latency of results, measured in an open loop: events are sent when they are due, whatever the system does, so that a stall counts in
full.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import threading
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer

from benchmarks.drain import PARTS, ResultReader, started
from benchmarks.fill import drop_topics, make_topic
from benchmarks.summary import percentile
from benchmarks.systems import System, Workspace
from benchmarks.workload import DIMENSIONS, Key

MEASURED = ("adtally", "kstreams", "flink")
"""Systems whose latency ``make bench`` measures."""

PROBE = "probe"
"""The campaign whose events are timed, four a second."""

MOST = 50_000
"""Events a second that the sender holds on one of two processors; a greater rate would measure the sender."""

OUT_OF_ORDER = 5.0
"""Seconds that the watermark stays behind, so that a minute's last result can't come sooner after its end."""


@dataclass(frozen=True)
class Lag:
    """Of one system: milliseconds from a probe's creation to the first result that counts it, and from when the watermark may have passed a
    minute's end to its last result; None where there was none. `behind`: how late the sender itself was (99th percentile)."""

    system: str
    rate: int
    probes: int
    lost: int
    p50: float | None
    p99: float | None
    finals: int
    final: float | None
    final_greatest: float | None
    behind: float | None


class ProbeSender(threading.Thread):
    """Sends events whose time is when they were due, on all partitions, and probes."""

    def __init__(self, brokers: str, topic: str, rate: int, partitions: int = PARTS, values: int = 0) -> None:
        """`values`: distinct values of each of `DIMENSIONS`, 0 for events without them."""
        super().__init__(daemon=True)
        self._values = values
        self._rate = rate
        self._topic = topic
        self._partitions = partitions
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "log_level": 3,
                "linger.ms": 2,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 1_000_000,
            }
        )
        self._over = threading.Event()
        self.probes: dict[int, list[float]] = {}
        self.behind: list[float] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Send until `finish` is called."""
        try:
            self._send()
        except BaseException as error:
            self.failure = error
            raise

    def finish(self) -> None:
        """Stop sending; raise the error of the sending thread, if any."""
        self._over.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def _send(self) -> None:
        names = [f"campaign_{number:05d}" for number in range(50)]
        draw = random.Random(1).random
        begun = next_probe = time.time()
        sent = 0
        shown, stamp = -1, ""
        while not self._over.is_set():
            now = time.time()
            due = int((now - begun) * self._rate)
            if sent < due:
                self.behind.append(now - (begun + sent / self._rate))
            while sent < due:
                moment = begun + sent / self._rate
                ms = int(moment * 1000)
                if ms != shown:
                    shown, stamp = ms, rfc3339_ms(ms)
                self._put(f"e{sent}", stamp, names[int(draw() * 50)], 100, sent)
                sent += 1
                if moment >= next_probe:
                    minute = int(next_probe // 60) * 60
                    those = self.probes.setdefault(minute, [])
                    self._put(f"p{next_probe}", rfc3339_ms(int(next_probe * 1000)), PROBE, 0, len(those))
                    those.append(next_probe)
                    next_probe += 0.25
                if sent % 1000 == 0:
                    self._producer.poll(0)
            self._producer.poll(0)
            time.sleep(0.002)
        self._producer.flush(30)

    def _put(self, event_id: str, stamp: str, campaign: str, cost: int, number: int) -> None:
        value = (
            f'{{"event_id":"{event_id}","event_type":"click","timestamp":"{stamp}","campaign_id":"{campaign}","channel":"search",'
            f'"user_id":"u","cost_micros":{cost},"revenue_micros":0,"currency":"USD"}}'
        )
        if self._values:
            # Other digits of a number that is spread evenly, so that the fields are not the same one three times.
            place = number * 2_654_435_761
            more = ",".join(f'"{field}":"{(place >> 9 * at) % self._values:04d}"' for at, field in enumerate(DIMENSIONS))
            value = f"{value[:-1]},{more}}}"
        while True:
            try:
                self._producer.produce(self._topic, value, partition=number % self._partitions)
                break
            except BufferError:
                self._producer.poll(0.01)


def rfc3339_ms(ms: int) -> str:
    """Return milliseconds since 1970 as ``2026-01-01T00:00:00.000Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(ms // 1000)) + f"{ms % 1000:03d}Z"


def measure(system: System, brokers: str, *, rate: int, seconds: float = 150.0, warm: float = 25.0, values: int = 0) -> Lag:
    """Send `rate` events/s for `seconds` to `system`; the first `warm` seconds do not count.

    `values`: distinct values of each of `DIMENSIONS`, 0 for events without them.
    """
    tag = uuid.uuid4().hex[:8]
    logs, results, rejected = names = [f"lag-{what}-{tag}" for what in ("logs", "results", "rejected")]
    for name in names:
        make_topic(brokers, name, PARTS, **({"message.timestamp.type": "LogAppendTime"} if name == logs else {}))
    seen: dict[Key, list[tuple[float, int]]] = {}
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="adtally-lag-", ignore_cleanup_errors=True)))
            read = ResultReader(brokers, results)
            stack.callback(read.close)
            started(system, Workspace(brokers, logs, results, rejected, folder), stack)
            sender = ProbeSender(brokers, logs, rate, values=values)
            sender.start()
            begun = time.time()
            while time.time() < begun + seconds:
                changed = read.poll(0.002)
                now = time.time()
                for key, sums in changed:
                    if key[1] == PROBE:
                        seen.setdefault(key, []).append((now, sums[1]))
            sender.finish()
    finally:
        drop_topics(brokers, *names)
    by_minute = {key[0]: times for key, times in seen.items()}
    return judged(
        system.name, rate, sender.probes, seen=by_minute, begun=begun, end=begun + seconds, warm=warm, behind=sender.behind
    )


def judged(
    name: str,
    rate: int,
    probes: dict[int, list[float]],
    *,
    seen: dict[str, list[tuple[float, int]]],
    begun: float,
    end: float,
    warm: float,
    behind: list[float],
) -> Lag:
    """Return the lags of the probes that were sent (by minute), given the results `seen` (by window start: arrival time and number
    counted).
    """
    lags: list[float] = []
    finals: list[float] = []
    lost = 0
    for minute, times in probes.items():
        results = seen.get(rfc3339_ms(minute * 1000)[:19] + "Z", [])
        for number, created in enumerate(times):
            if not begun + warm <= created <= end - 8:
                continue
            arrived = next((moment for moment, count in results if count > number), None)
            if arrived is None:
                lost += 1
            else:
                lags.append(arrived - created)
        over = minute + 60 + OUT_OF_ORDER
        if results and begun < minute and over + 10 < end:
            finals.append(max(moment for moment, _ in results) - over)
    return Lag(
        name,
        rate,
        len(lags),
        lost,
        _ms(percentile(lags, 0.5)),
        _ms(percentile(lags, 0.99)),
        len(finals),
        _ms(statistics.median(finals)) if finals else None,
        _ms(max(finals)) if finals else None,
        _ms(percentile(behind, 0.99)),
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 1)


HEAD = (
    "system",
    "events/s",
    "first result p50 ms",
    "p99 ms",
    "last of a minute ms",
    "greatest ms",
    "probes",
    "never counted",
    "sender late p99 ms",
)


def cells(lag: Lag) -> list[str]:
    """Return a lag as text, in the order of `HEAD`."""
    figures = (lag.p50, lag.p99, lag.final, lag.final_greatest)
    shown = ["–" if figure is None else f"{figure:,.0f}" for figure in figures]
    late = "–" if lag.behind is None else f"{lag.behind:,.0f}"
    return [lag.system, f"{lag.rate:,}", *shown, str(lag.probes), str(lag.lost), late]
