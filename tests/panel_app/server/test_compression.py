"""What leaves the dashboard compressed: pages at once, scripts and styles from their second visitor on."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.web import Application, RequestHandler, StaticFileHandler

from panel_app.server import compression
from panel_app.server.compression import Compressed
from tests.support.flows import free_port

SCRIPT = b"export const text = 'the same over and over';\n" * 8000
"""Longer than what tornado reads of a file at a time."""

PAGE = "<!DOCTYPE html><p>figures</p>" * 100

Get = Callable[..., Awaitable[HTTPResponse]]


class Page(RequestHandler):
    def get(self) -> None:
        self.finish(PAGE)


class Data(RequestHandler):
    def get(self) -> None:
        self.finish({"rows": PAGE})


class Pieces(RequestHandler):
    async def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.write(PAGE)
        await self.flush()


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Get], Awaitable[None]]], None]:
    """Run a conversation with a server of the files in `tmp_path`, whose answers pass through `Compressed`."""
    monkeypatch.setattr(compression, "_LATER_SECONDS", 0.0)
    monkeypatch.setattr(compression, "_claimed", {})

    async def talk(conversation: Callable[[Get], Awaitable[None]]) -> None:
        port = free_port()
        served = (r"/static/(.*)", StaticFileHandler, {"path": str(tmp_path)})
        server = Application([served, ("/page", Page), ("/data", Data), ("/pieces", Pieces)], transforms=[Compressed]).listen(
            port, "127.0.0.1"
        )

        async def get(path: str, *, takes: str = "gzip, br", method: str = "GET", **headers: str) -> HTTPResponse:
            given = {"Accept-Encoding": takes, **headers}
            asking = HTTPRequest(f"http://127.0.0.1:{port}{path}", method, given, decompress_response=False)
            return await AsyncHTTPClient().fetch(asking)

        await conversation(get)
        server.stop()

    return lambda conversation: asyncio.run(talk(conversation))


async def compressed(get: Get, path: str) -> HTTPResponse:
    """The first answer that comes compressed."""
    async with asyncio.timeout(30):
        while (answer := await get(path)).headers.get("Content-Encoding") != "gzip":
            assert answer.body == SCRIPT
            await asyncio.sleep(0.01)
    return answer


def test_a_page_is_compressed_for_who_takes_it(asked: Callable[..., None]) -> None:
    async def conversation(get: Get) -> None:
        answer = await get("/page")
        assert gzip.decompress(answer.body).decode() == PAGE
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert len(answer.body) == int(answer.headers["Content-Length"]) < len(PAGE) / 5
        for plain in (await get("/page", takes="br"), await get("/page", takes="identity")):
            assert plain.body.decode() == PAGE
            assert "Content-Encoding" not in plain.headers
            assert plain.headers["Vary"] == "Accept-Encoding"
        assert json.loads(gzip.decompress((await get("/data")).body)) == {"rows": PAGE}
        # What leaves in pieces is not kept until its end.
        assert (await get("/pieces")).body.decode() == PAGE

    asked(conversation)


def test_a_file_is_compressed_once_for_those_who_come_later(asked: Callable[..., None], tmp_path: Path) -> None:
    async def conversation(get: Get) -> None:
        (tmp_path / "later.js").write_bytes(SCRIPT)
        first = await get("/static/later.js")
        assert (first.body, "Content-Encoding" in first.headers) == (SCRIPT, False)
        answer = await compressed(get, "/static/later.js")
        assert gzip.decompress(answer.body) == SCRIPT
        assert len(answer.body) == int(answer.headers["Content-Length"]) < len(SCRIPT) / 5
        assert (await get("/static/later.js")).body == answer.body
        for plain in (await get("/static/later.js", takes=""), await get("/static/later.js", Range="bytes=0-9")):
            assert SCRIPT.startswith(plain.body)
            assert "Content-Encoding" not in plain.headers
        head = await get("/static/later.js", method="HEAD")
        assert (head.body, head.headers["Content-Length"]) == (b"", str(len(SCRIPT)))

    asked(conversation)


def test_a_file_that_changed_is_not_sent_as_it_was(asked: Callable[..., None], tmp_path: Path) -> None:
    async def conversation(get: Get) -> None:
        file = tmp_path / "changed.js"
        file.write_bytes(SCRIPT)
        await compressed(get, "/static/changed.js")
        file.write_bytes(b"changed" + SCRIPT)
        os.utime(file, (1, 1))
        StaticFileHandler.reset()
        assert (await get("/static/changed.js")).body == b"changed" + SCRIPT

    asked(conversation)


def test_what_is_kept_is_bounded(asked: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_KEPT", 2)

    async def conversation(get: Get) -> None:
        for name in ("a.js", "b.js", "c.js"):
            (tmp_path / name).write_bytes(SCRIPT)
            await compressed(get, f"/static/{name}")
        assert gzip.decompress((await get("/static/b.js")).body) == SCRIPT
        # Last: asking for it makes it one of the two again.
        assert (await get("/static/a.js")).body == SCRIPT

    asked(conversation)
