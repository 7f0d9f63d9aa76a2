"""The embedded broker: ``adtally broker [--port 9092]``.

It is the cluster that is built into librdkafka, kept in a process of its own. Nothing has to be installed, but it is in memory, has no
admin API, makes a topic of 4 partitions when one is first asked for, and drops the oldest records past 5 MiB or 100,000 a partition.

librdkafka picks the cluster's port by itself, so connections to the requested port are forwarded to it: clients bootstrap there and
continue with the port that the cluster advertises.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from confluent_kafka import Producer

from dataflows.process import ports

PORT = 9092
LIMITS = "in memory, keeps 5 MiB or 100,000 records a partition: for demo and tests, not for data that matters"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class EmbeddedBroker:
    """librdkafka's mock cluster of one broker in this process; it lives as long as this object."""

    def __init__(self) -> None:
        self._cluster = Producer({"test.mock.num.brokers": 1, "log_level": 2})
        (broker,) = self._cluster.list_topics(timeout=10).brokers.values()
        self.port: int = broker.port


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    target.close()


async def forward(wanted: int, to: int) -> asyncio.Server:
    """Listen on port `wanted` of this machine, 0 for any, and pass every connection on to port `to`; raises `OSError` if taken."""
    running: set[asyncio.Task[None]] = set()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there: Streams = await asyncio.open_connection(ports.HOST, to)
        except OSError:
            writer.close()
            return
        for task in (asyncio.create_task(_pump(reader, there[1])), asyncio.create_task(_pump(there[0], writer))):
            running.add(task)  # the loop itself keeps only a weak reference
            task.add_done_callback(running.discard)

    return await asyncio.start_server(connect, ports.HOST, wanted)


async def _listen(wanted: int, to: int) -> asyncio.Server:
    if not ports.taken(wanted):
        with contextlib.suppress(OSError):  # the port was taken a moment ago
            return await forward(wanted, to)
    return await forward(0, to)


async def _parent_gone(first: int) -> None:
    while os.getppid() == first:
        await asyncio.sleep(0.25)


async def serve(wanted: int, address_file: Path | None = None, with_parent: bool = False) -> None:
    """Serve on port `wanted`, or on a free one, until SIGTERM or SIGINT, or `with_parent` until the parent process ends.

    ``host:port`` is written to `address_file` once clients can connect.
    """
    parent = os.getppid()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    cluster = EmbeddedBroker()
    server = await _listen(wanted, cluster.port)
    port = server.sockets[0].getsockname()[1]
    if address_file:
        # Renamed into place, so that no reader sees half of it.
        half = address_file.with_suffix(".part")
        half.write_text(f"{ports.HOST}:{port}")
        half.replace(address_file)
    other = "" if port == wanted else f" (port {wanted} is in use)"
    print(f"embedded broker on {ports.HOST}:{port}{other}; {LIMITS}", flush=True)  # noqa: T201 - what the command says
    waits: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait())]
    if with_parent:
        waits.append(asyncio.create_task(_parent_gone(parent)))
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    server.close()
    # Open connections of clients would otherwise keep the loop alive.
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def run_broker(port: int, address_file: Path | None, with_parent: bool) -> None:
    """Serve as `serve` does, until it is over."""
    asyncio.run(serve(port, address_file, with_parent))
