"""Text encodings of files: UTF-8, UTF-16 or UTF-32 by the first bytes, or the encoding that the user gives."""

from __future__ import annotations

import codecs
import io

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is the beginning of this one
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF32_BE: "utf-32",
}


def encoding_of(head: bytes) -> str:
    """Return the encoding of a file that begins with `head`: by its byte order mark or, without one, by its zero bytes."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    # ASCII in UTF-16 has a zero in every other byte, and text has no zero otherwise.
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) * 5 <= len(head) or min(even, odd) * 10 > max(even, odd):
        return "utf-8"
    return "utf-16-be" if even > odd else "utf-16-le"


def as_text(file: io.BufferedReader, encoding: str | None = None) -> io.TextIOWrapper:
    """Return `file` as text with unchanged line ends, in `encoding` or in the one that `encoding_of` returns.

    A byte that can't be decoded becomes a surrogate: another encoding in an unused column (a £) must not make a row unreadable.
    Reading raises `UnicodeDecodeError` where UTF-16 or UTF-32 breaks off in the middle of a character.
    """
    chosen = encoding or encoding_of(file.peek(512)[:512])
    wide = codecs.lookup(chosen).name.startswith(("utf-16", "utf-32"))
    return io.TextIOWrapper(file, encoding=chosen, errors="surrogatepass" if wide else "surrogateescape", newline="")
