"""A TCP proxy between clients and a Kafka, which does to their connections what a bad network does; and a Kafka behind one.

What is held back is delivered later, in order, as TCP itself would; only a reset loses what was under way.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

from typing_extensions import override

from dataflows.process import ports
from deploy.kafka.local import LocalKafka

PIECE = 65_536
DROP = 512
"""Bytes that a slow connection gets at a time."""

UNDER_WAY = 64
"""Pieces of a connection that may be on their way at a time; the sender waits for more."""

RST = struct.pack("ii", 1, 0)
"""As SO_LINGER: a socket that is closed with no time to linger sends RST instead of FIN."""


class Way(Enum):
    """The two directions of a connection."""

    TO_BROKER = "to the broker"
    TO_CLIENT = "to the client"


class Proxy:
    """Listens on `port` of this machine and passes connections on to `target`; it can be controlled from any thread."""

    def __init__(self, seed: int = 0) -> None:
        self.target = 0
        self._rng = random.Random(seed)
        self._delay = (0.0, 0.0)
        self._slow: tuple[bytes, float] = (b"", 0.0)
        self._writers: set[StreamWriter] = set()
        self._gates = {way: asyncio.Event() for way in Way}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.clear()
        self.port = self._do(self._listen())

    def clear(self) -> None:
        """An undisturbed network again; what was held back goes on."""
        self._delay, self._slow = (0.0, 0.0), (b"", 0.0)
        for gate in self._gates.values():
            self._loop.call_soon_threadsafe(gate.set)

    def latency(self, seconds: float, jitter: float) -> None:
        """From now on each piece of data takes `seconds`, give or take `jitter`, on its way in either direction."""
        self._delay = (seconds, jitter)

    def slow(self, client: str, rate: float) -> None:
        """Let the connections of one client (its Kafka client id) receive no more than `rate` bytes a second."""
        self._slow = (client.encode(), rate)

    def black_hole(self, *ways: Way) -> None:
        """Accept, and pass nothing in these directions (in both if none is given) until `clear`."""
        for way in ways or tuple(Way):
            self._loop.call_soon_threadsafe(self._gates[way].clear)

    def reset(self) -> int:
        """End all connections with RST; how many there were."""
        return self._do(self._reset()) // 2

    def close(self) -> None:
        """End all connections and stop listening."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, int]) -> int:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _listen(self) -> int:
        server = await asyncio.start_server(self._serve, ports.HOST, 0)
        return server.sockets[0].getsockname()[1]

    async def _reset(self) -> int:
        for writer in self._writers:
            with suppress(OSError):  # its other end has just gone by itself
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            writer.transport.abort()
        return len(self._writers)

    async def _end(self) -> int:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(tasks)

    async def _serve(self, from_client: StreamReader, to_client: StreamWriter) -> None:
        try:
            from_broker, to_broker = await asyncio.open_connection(ports.HOST, self.target)
        except OSError:  # the broker is away: the client's connection is closed
            to_client.close()
            return
        both = {to_client, to_broker}
        self._writers |= both
        name = bytearray()
        try:
            # One direction that ends is the end of both: Kafka's protocol has no half of a conversation.
            done = [
                asyncio.create_task(self._pass_on(from_client, to_broker, Way.TO_BROKER, name)),
                asyncio.create_task(self._pass_on(from_broker, to_client, Way.TO_CLIENT, name)),
            ]
            _, left = await asyncio.wait(done, return_when=asyncio.FIRST_COMPLETED)
            for task in left:
                task.cancel()
        finally:
            self._writers -= both
            for writer in both:
                writer.close()

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter, way: Way, name: bytearray) -> None:
        """Pass one direction on; `name`: the first request, which has the client's id."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY)
        sending = asyncio.create_task(self._deliver(under_way, writer, way, name))
        try:
            due = 0.0
            while data := await reader.read(PIECE):
                if way is Way.TO_BROKER and not name:
                    name += data
                seconds, jitter = self._delay
                due = max(due, self._loop.time() + seconds + self._rng.uniform(-jitter, jitter))
                await under_way.put((due, data))
            await under_way.put((0.0, b""))
            await sending
        except ConnectionError:
            pass
        finally:
            sending.cancel()

    async def _deliver(
        self, under_way: asyncio.Queue[tuple[float, bytes]], writer: StreamWriter, way: Way, name: bytearray
    ) -> None:
        while True:
            due, data = await under_way.get()
            if not data:
                return
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            await self._gates[way].wait()
            while data:
                client, rate = self._slow
                slow = rate and way is Way.TO_CLIENT and client in name
                part, data = (data[:DROP], data[DROP:]) if slow else (data, b"")
                if slow:
                    await asyncio.sleep(len(part) / rate)
                writer.write(part)
                await writer.drain()


class ProxiedKafka(LocalKafka):
    """A Kafka that can be reached in two ways: undisturbed on `bootstrap`, and by `proxy` on `by_proxy`."""

    def __init__(self, data: Path) -> None:
        self.proxy = Proxy()
        super().__init__(data, proxy=self.proxy.port)
        self.proxy.target = self.behind_proxy or 0

    @property
    def by_proxy(self) -> str:
        """``host:port`` for clients whose network is disturbed."""
        return f"{ports.HOST}:{self.proxy.port}"

    @override
    def close(self) -> None:
        super().close()
        self.proxy.close()
