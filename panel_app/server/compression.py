"""Compression of answers by Tornado: pages, scripts, styles and the figures of a page.

Names and figures of a page do not help anyone to guess its secrets by its length, because these are others in every page.
"""

from __future__ import annotations

from tornado.httputil import HTTPHeaders
from tornado.web import GZipContentEncoding
from typing_extensions import override


class Compression(GZipContentEncoding):
    """Tornado's compression, except of exports and parts of files. Comes after the transform that reads pages."""

    GZIP_LEVEL = 4
    """Half the CPU time of level 6 for 4 % more bytes: 30 ms for the 2.9 MB of Bokeh's and Panel's scripts."""

    @override
    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        # An export is sent in pieces of unknown total length: compressing millions of rows would keep every viewer waiting.
        is_export = not finishing and "Content-Length" not in headers
        if is_export or status_code != 200:
            self._gzipping = False
        return super().transform_first_chunk(status_code, headers, chunk, finishing)
