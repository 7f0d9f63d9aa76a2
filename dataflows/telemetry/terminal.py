"""Output to terminals and pipes of any encoding: a character that can't be encoded is replaced by something readable.

Importing a package of adtally sets this up, because help texts are printed before any command runs (``LANG=C``, ``PYTHONIOENCODING``).
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import io
import os
import sys

_TERMINAL, _JSON = "adtally.terminal", "adtally.json"
_ALIKE = {
    **{"…": "...", "→": "->", "×": "x", "±": "+-", "≥": ">=", "≤": "<=", "·": "-"},
    **{"\u2013": "-", "\u2014": "-", "\u201c": '"', "\u201d": '"', "\u2019": "'"},
}


def set_up() -> None:
    """Make standard output and standard error accept every character, and a full disk keep the exit code of the command."""
    atexit.register(_drop_unwritten)
    codecs.register_error(_TERMINAL, _for_terminal)
    codecs.register_error(_JSON, _for_json)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_TERMINAL)


def _drop_unwritten() -> None:
    """Drop what standard error did not take, on a full disk for example: the last flush of the interpreter would end it with 120."""
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]  # as Python documents it
        return
    try:
        sys.stderr.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    except ValueError:
        pass  # it has been closed


def typed(text: str) -> str:
    """Return `text`, an argument of a command, with the characters that were typed where the locale has none for their bytes.

    Under ``LC_ALL=C`` Python keeps each byte beyond ASCII as a lone surrogate, and such a name matches nothing. Almost all terminals with
    that locale send UTF-8; bytes that are not UTF-8 stay as they are.
    """
    if not any("\udc80" <= character <= "\udcff" for character in text):
        return text
    try:
        return os.fsencode(text).decode()
    except UnicodeError:
        return text


def json_for(stream: object, text: str) -> str:
    """Return `text` (JSON) as it can be written to `stream`: unchanged if that is UTF-8, otherwise ASCII with JSON escapes.

    The result is the same JSON value in every encoding.
    """
    name = getattr(stream, "encoding", None) or "utf-8"
    return text if codecs.lookup(name).name == "utf-8" else text.encode("ascii", _JSON).decode("ascii")


def _for_terminal(error: UnicodeError) -> tuple[str, int]:
    return _replaced(error, _ALIKE)


def _for_json(error: UnicodeError) -> tuple[str, int]:
    return _replaced(error, {})


def _replaced(error: UnicodeError, alike: dict[str, str]) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(alike.get(character) or escape(character) for character in characters), error.end


def escape(character: str) -> str:
    r"""Return the JSON escape of `character`: ``\u2026``, or a surrogate pair beyond 16 bits."""
    code = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{code[at : at + 4]}" for at in range(0, len(code), 4))
