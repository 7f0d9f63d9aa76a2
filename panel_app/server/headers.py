"""Security headers of every answer of the dashboard: what a page may load, who may frame it, and no guessing of content types.

The content security policy allows no script from elsewhere and none in the page but those that were in it when it was sent: of each the
digest is in the header. Bokeh sets styles from scripts, so styles in the page are allowed; Panel loads its modules by way of blobs.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform
from typing_extensions import override

from figures.views.view import is_embed

_SCRIPT = re.compile(rb"<script(?P<attributes>[^>]*)>(?P<text>.*?)</script>", re.DOTALL | re.IGNORECASE)
_DATA = re.compile(rb"""type\s*=\s*["']?application/(?:ld\+)?json""", re.IGNORECASE)

_NONCE = re.compile(rb"""\bnonce="([\w-]+)\"""")

_POLICY = (
    "default-src 'self'",
    "script-src 'self' blob:{scripts}",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self' blob:",
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors {ancestors}",
)

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def digests(page: bytes) -> list[str]:
    """The sources for a policy's ``script-src`` that allow the scripts in `page`, by digest or by the nonce that one has."""
    sources: list[str] = []
    for script in _SCRIPT.finditer(page):
        if b"src=" not in script["attributes"] and not _DATA.search(script["attributes"]):
            # A browser reads CR LF as LF before it takes the digest.
            text = script["text"].replace(b"\r\n", b"\n")
            if nonce := _NONCE.search(script["attributes"]):
                sources.append(f"'nonce-{nonce[1].decode()}'")
            sources.append(f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'")
    return list(dict.fromkeys(sources))


def policy(page: bytes, ancestors: str) -> str:
    """Return the content security policy of `page`; `ancestors`: who may frame it."""
    return "; ".join(_POLICY).format(scripts="".join(f" {source}" for source in digests(page)), ancestors=ancestors)


def with_headers(embed_in: Sequence[str], *, tls: bool) -> type[OutputTransform]:
    """Return the transform that adds the headers to the response of each request.

    `embed_in`: origins, in addition to the dashboard's own, whose pages may frame those with ``embed=1``; `tls`: make browsers use
    only HTTPS.
    """

    class Headers(OutputTransform):
        def __init__(self, request: HTTPServerRequest) -> None:
            super().__init__(request)
            self._ancestors = " ".join(["'self'", *embed_in]) if is_embed(request.query) else "'none'"

        @override
        def transform_first_chunk(
            self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
        ) -> tuple[int, HTTPHeaders, bytes]:
            for name, value in _ALWAYS.items():
                headers.setdefault(name, value)
            if tls:
                headers["Strict-Transport-Security"] = "max-age=31536000"
            if headers.get("Content-Type", "").startswith("text/html"):
                headers["Content-Security-Policy"] = policy(chunk, self._ancestors)
            # Bokeh lets any page ask for a session's script; pages of others embed a frame.
            for name in ("Server", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"):
                headers.pop(name, None)
            return status_code, headers, chunk

    return Headers
