"""Compression of answers: pages and figures are compressed for each answer, scripts and styles once for all visitors.

Scripts and styles of a visit are 4.2 MB, and 1.2 compressed, which takes a tenth of a second of CPU: the first visitor of a file gets it as
it stands, a thread compresses it a little later, and from then on it is sent compressed.
Names and figures of a page are no help to who would guess its secrets by its length: these are others in every page.
"""

from __future__ import annotations

import gzip
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.ioloop import IOLoop
from tornado.web import OutputTransform
from typing_extensions import override

_FILES = frozenset({"text/javascript", "application/javascript", "text/css"})
_PAGES = frozenset({"text/html", "application/json"})
_SHORTEST = 1024
_LONGEST = 8 * 2**20
_LEVEL = 6
_KEPT = 200
_LATER_SECONDS = 3.0
"""By then the visitor who was the first to get a file has his page."""
_CLAIM_SECONDS = 60.0
"""So long one answer may take to pass on the file that is to be compressed, before another one's copy is taken."""

_Key = tuple[str, str]
"""Path and entity tag of a file."""

_packed: OrderedDict[_Key, bytes] = OrderedDict()
_claimed: dict[_Key, float] = {}
_packing = ThreadPoolExecutor(1, "adtally-packing")


def _claim(key: _Key) -> bool:
    """Whether this answer is the one whose copy of the file is kept for compression; only one at a time is."""
    now = time.monotonic()
    if len(_claimed) > _KEPT:
        _claimed.clear()
    if now - _claimed.get(key, -_CLAIM_SECONDS) < _CLAIM_SECONDS:
        return False
    _claimed[key] = now
    return True


def _pack(key: _Key, content: bytes) -> None:
    _packed[key] = gzip.compress(content, _LEVEL, mtime=0)
    while len(_packed) > _KEPT:
        _packed.popitem(last=False)


class Compressed(OutputTransform):
    """What tornado makes for each request, so that its answer is compressed where the browser takes it. Stands after what reads pages."""

    def __init__(self, request: HTTPServerRequest) -> None:
        super().__init__(request)
        self._path = request.path
        self._taken = request.method == "GET" and "gzip" in request.headers.get("Accept-Encoding", "")
        self._key: _Key | None = None
        self._passing: list[bytes] = []
        self._instead = False

    @override
    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        kind = headers.get("Content-Type", "").partition(";")[0]
        if (kind not in _PAGES and kind not in _FILES) or "Content-Encoding" in headers:
            return status_code, headers, chunk
        headers.add("Vary", "Accept-Encoding")
        if not self._taken or status_code != 200:
            return status_code, headers, chunk
        if kind in _PAGES:
            small = gzip.compress(chunk, _LEVEL) if finishing and len(chunk) >= _SHORTEST else None
        else:
            small = self._file(headers, chunk, finishing=finishing)
        if small is not None:
            headers["Content-Encoding"] = "gzip"
            headers["Content-Length"] = str(len(small))
        return status_code, headers, chunk if small is None else small

    def _file(self, headers: HTTPHeaders, chunk: bytes, *, finishing: bool) -> bytes | None:
        """The whole file, compressed, to be sent in place of it; None while there is none, and it is made meanwhile."""
        key = self._path, headers.get("Etag", "")
        small = _packed.get(key)
        if small is not None:
            self._instead = True
        elif key[1] and _SHORTEST <= int(headers.get("Content-Length", "0")) <= _LONGEST and _claim(key):
            self._key = key
            self._pass(chunk, finishing=finishing)
        return small

    def _pass(self, chunk: bytes, *, finishing: bool) -> None:
        self._passing.append(chunk)
        if finishing and self._key:
            IOLoop.current().call_later(_LATER_SECONDS, _packing.submit, _pack, self._key, b"".join(self._passing))

    @override
    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        if self._instead:
            return b""
        if self._key:
            self._pass(chunk, finishing=finishing)
        return chunk
