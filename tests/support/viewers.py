"""Viewers without a browser: they fetch a page, open its websocket, and ask as the page's own script does."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from typing import Any

import msgspec
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

_TOKEN = re.compile(rb'render_items = \[\{"token":"([^"]+)"')
_ROOT = re.compile(rb'"roots":\{"(p\d+)"')
_SECONDS = 60.0


class Viewer:
    """One visitor of the page at `address` (``http://host:port/``); `first` is the seconds until its page had come."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.first = 0.0
        self._socket: WebSocketClientConnection | None = None
        self._root = ""
        self._numbers = itertools.count(1)

    async def open(self) -> Viewer:
        """Fetch the page and connect."""
        begun = time.perf_counter()
        page = (await AsyncHTTPClient().fetch(self.address, request_timeout=_SECONDS)).body
        self.first = time.perf_counter() - begun
        token, root = _TOKEN.search(page), _ROOT.search(page)
        assert token, "the page holds no session"
        assert root, "the page holds no bridge"
        self._root = root[1].decode()
        place = self.address.partition("?")[0]
        origin = "/".join(place.split("/")[:3])
        request = HTTPRequest(
            place.replace("http", "ws", 1).rstrip("/") + "/ws", headers={"Origin": origin}, request_timeout=_SECONDS
        )
        self._socket = await websocket_connect(
            request, subprotocols=["bokeh", token[1].decode()], compression_options={}, max_message_size=2**26
        )
        await self._hear('"ACK"')
        return self

    async def ask(self, kind: str, **more: Any) -> str:
        """The text of the server's answer to a message of `kind`."""
        assert self._socket
        number = next(self._numbers)
        said = [
            ["model", {"id": self._root}],
            ["data", {"type": "map", "entries": [*{"kind": kind, "id": number, **more}.items()]}],
        ]
        event = {"type": "event", "name": "data_event", "values": {"type": "map", "entries": said}}
        patch = {"events": [{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": event}]}
        for part in ({"msgid": str(number), "msgtype": "PATCH-DOC"}, {}, patch):
            await self._socket.write_message(msgspec.json.encode(part).decode())
        return await self._hear(f'{{\\"id\\":{number},')

    async def _hear(self, wanted: str) -> str:
        assert self._socket
        while True:
            text = await asyncio.wait_for(self._socket.read_message(), _SECONDS)
            assert text is not None, "the server hung up"
            if isinstance(text, str) and wanted in text:
                return text

    def close(self) -> None:
        """Leave, as a closed tab does."""
        if self._socket:
            self._socket.close()


async def visit(address: str, *queries: str, kind: str = "view") -> None:
    """Open the page, ask it for each of `queries` in a message of `kind`, and leave."""
    viewer = await Viewer(address).open()
    for query in queries:
        await viewer.ask(kind, query=query, have="")
    viewer.close()
