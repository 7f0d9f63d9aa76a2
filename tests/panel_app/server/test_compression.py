"""What leaves the dashboard compressed: pages, scripts and figures; exports and parts of files do not."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler, StaticFileHandler

from panel_app.server.compression import Compression

SCRIPT = b"export const text = 'the same over and over';\n" * 8000
"""Longer than what Tornado reads of a file at a time."""

PAGE = "<!DOCTYPE html><p>figures</p>" * 100

Get = Callable[..., Awaitable[HTTPResponse]]
Talk = Callable[[Callable[[Get], Awaitable[None]]], None]


class CompressedPage(RequestHandler):
    def get(self) -> None:
        self.finish(PAGE)


class Data(RequestHandler):
    def get(self) -> None:
        self.finish({"rows": PAGE})


class Pieces(RequestHandler):
    async def get(self) -> None:
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.write(PAGE)
        await self.flush()


@pytest.fixture
def talk(tmp_path: Path) -> Talk:
    """Run a conversation with a server of the files in `tmp_path`, whose answers pass through `Compression`."""

    async def run(conversation: Callable[[Get], Awaitable[None]]) -> None:
        files = (r"/static/(.*)", StaticFileHandler, {"path": str(tmp_path)})
        routes = [files, ("/page", CompressedPage), ("/data", Data), ("/pieces", Pieces)]
        server = HTTPServer(Application(routes, transforms=[Compression]))
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        port = sockets[0].getsockname()[1]

        async def get(path: str, *, takes: str = "gzip, br", method: str = "GET", **headers: str) -> HTTPResponse:
            given = {"Accept-Encoding": takes, **headers}
            request = HTTPRequest(f"http://127.0.0.1:{port}{path}", method, given, decompress_response=False)
            return await AsyncHTTPClient().fetch(request)

        await conversation(get)
        server.stop()

    return lambda conversation: asyncio.run(run(conversation))


def test_a_page_is_compressed_for_a_browser_that_accepts_gzip(talk: Talk) -> None:
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

    talk(conversation)


def test_an_export_that_leaves_in_pieces_is_not_compressed(talk: Talk) -> None:
    async def conversation(get: Get) -> None:
        answer = await get("/pieces")
        assert (answer.body.decode(), answer.headers.get("Content-Encoding")) == (PAGE, None)

    talk(conversation)


def test_a_script_is_compressed_and_a_part_of_it_is_not(talk: Talk, tmp_path: Path) -> None:
    async def conversation(get: Get) -> None:
        (tmp_path / "script.js").write_bytes(SCRIPT)
        answer = await get("/static/script.js")
        assert gzip.decompress(answer.body) == SCRIPT
        assert len(answer.body) < len(SCRIPT) / 5
        for plain in (await get("/static/script.js", takes=""), await get("/static/script.js", Range="bytes=0-99999")):
            assert SCRIPT.startswith(plain.body)
            assert (len(plain.body) >= 100_000, plain.headers.get("Content-Encoding")) == (True, None)
        head = await get("/static/script.js", method="HEAD")
        assert (head.body, head.headers["Content-Length"]) == (b"", str(len(SCRIPT)))

    talk(conversation)
