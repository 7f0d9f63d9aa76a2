"""Payloads as lines of text that can be corrected in an editor, and the way back.

A payload may contain line breaks, invisible characters or bytes that are not text. Its line contains none of them: it is JSON of the
same value if the payload was JSON, and otherwise shows what is wrong with it.
"""

from __future__ import annotations

import base64
import codecs
import gzip
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from dataflows.contract.errors import InputError
from dataflows.contract.schema import Rejected
from dataflows.telemetry.terminal import escape

_BOM = "\ufeff"
_BLANK = "\t\r\n"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


def to_line(event: Rejected) -> str:
    r"""Return the payload of `event` as one line; empty if it has no payload.

    In strings, a character that is not printable becomes its JSON escape; between tokens, a line break becomes a space. A byte that is
    not UTF-8 is written as ``\xff``, which is not valid JSON, so that it is not overlooked.
    """
    if event.payload is not None:
        text = (_utf16(event.payload.encode()) if "\0" in event.payload[:2] else None) or event.payload
    elif event.payload_base64 is not None:
        content = base64.b64decode(event.payload_base64)
        text = _utf16(content) or content.decode(errors="backslashreplace")
    else:
        return ""
    return "".join(_visible(text.removeprefix(_BOM)))


def _visible(text: str) -> Iterator[str]:
    quoted = escaped = False
    for character in text:
        if character.isprintable():
            yield character
        elif not quoted and character in _BLANK:
            yield " "
        else:
            yield escape(character)
        if quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        else:
            quoted, escaped = character == '"', False


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the numbers and the content (UTF-8) of the lines that are not blank; ``-`` is standard input.

    Handles a byte order mark, CRLF, UTF-16 and gzip. Raises `InputError` for a file that can't be read.
    """
    name = "standard input" if str(path) == "-" else str(path)
    if name == "standard input" and sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  # as Python documents it
        raise InputError("standard input can't be read: it is closed.")
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name} can't be read: {getattr(error, 'strerror', None) or f'damaged gzip, {error}'}.") from None
    if content.startswith(b"PK\x03\x04"):
        raise InputError(f"{name} is a zip archive; unpack it, and send the file that is in it.")
    if content.startswith(_UTF_32):
        raise InputError(f"{name} is UTF-32; save it as UTF-8.")
    text = _utf16(content)
    if text is None and b"\0" in content[:4]:
        raise InputError(f"{name} is neither UTF-8 nor UTF-16; save it as UTF-8.")
    for number, line in enumerate((content if text is None else text.encode()).splitlines(), 1):
        if stripped := line.removeprefix(codecs.BOM_UTF8).strip():
            yield number, stripped


def _utf16(content: bytes) -> str | None:
    """Return `content` as text if it is UTF-16 with a byte order mark or an ASCII character first; None otherwise."""
    if content.startswith(_UTF_16):
        form = "utf-16"
    elif content[1:2] == b"\0" != content[:1]:
        form = "utf-16-le"
    elif content[:1] == b"\0" != content[1:2]:
        form = "utf-16-be"
    else:
        return None
    try:
        return content.decode(form)
    except UnicodeDecodeError:
        return None
