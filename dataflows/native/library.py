"""The native library: where it belongs, whether it is there, and what its functions take."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Sequence
from ctypes import POINTER, c_bool, c_char_p, c_int32, c_int64, c_size_t, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

FOLDER = Path(__file__).parent
SOURCES = ("cells.c", "fetch.c", "ids.c", "plain.c", "tally.c")
HEADERS = ("fetch.h", "tally.h")
FLAGS = ("-std=c11", "-O3", "-fPIC", "-shared")


class Row(ctypes.Structure):
    """One message as it was read; as in tally.h."""

    _fields_: ClassVar[Sequence[Any]] = [
        ("time", c_int64),
        ("cost", c_int64),
        ("revenue", c_int64),
        ("first", c_uint64),
        ("campaign", c_void_p),
        ("channel", c_void_p),
        ("rest", c_uint32),
        ("campaign_size", c_uint16),
        ("channel_size", c_uint16),
        ("kind", c_uint8),
        ("status", c_uint8),
        ("by_hand", c_bool),
    ]


class Face(ctypes.Structure):
    """What a tally shows; as in tally.h."""

    _fields_: ClassVar[Sequence[Any]] = [
        ("clock", c_int64),
        ("turns_at", c_int64),
        ("newest", c_int64),
        ("counted", c_int64),
        ("duplicate", c_int64),
        ("noted", c_int64),
        ("places", POINTER(c_int32)),
        ("rows", POINTER(Row)),
        ("cells", c_void_p),
        ("cell_count", c_int64),
        ("keys", c_void_p),
        ("key_count", c_int64),
        ("names", c_void_p),
        ("names_size", c_int64),
        ("ids", c_int64),
        ("ids_bytes", c_int64),
    ]


class Fault(ctypes.Structure):
    """What librdkafka says in the place of a message; as in fetch.h."""

    _fields_: ClassVar[Sequence[Any]] = [
        ("offset", c_int64),
        ("words", c_char_p),
        ("place", c_int32),
        ("code", c_int32),
    ]


class Fetched(ctypes.Structure):
    """What was taken from the queue; as in fetch.h."""

    _fields_: ClassVar[Sequence[Any]] = [
        ("count", c_int32),
        ("fault_count", c_int32),
        ("values", POINTER(c_void_p)),
        ("sizes", POINTER(c_int32)),
        ("offsets", POINTER(c_int64)),
        ("times", POINTER(c_int64)),
        ("kinds", POINTER(c_int32)),
        ("faults", POINTER(Fault)),
        ("least_time", c_int64),
    ]


def library_file() -> Path:
    """Where the library belongs; its name tells of which sources it was built, so that a stale one is never used."""
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for name in (*HEADERS, *SOURCES):
        digest.update((FOLDER / name).read_bytes())
    return FOLDER / f"tally-{digest.hexdigest()[:16]}.so"


@lru_cache(maxsize=1)
def library() -> tuple[ctypes.CDLL | None, str]:
    """The library, or None and the reason in words."""
    file = library_file()
    if not file.exists():
        return None, "it is not built"
    try:
        found = ctypes.CDLL(str(file))
    except OSError as error:  # of another machine
        return None, f"{file} can't be loaded ({error})"
    signatures: dict[str, tuple[Any, ...]] = {
        "tally_new": (POINTER(Face), c_char_p, c_int64, c_int64, c_bool, c_char_p),
        "tally_free": (None, POINTER(Face)),
        "tally_read": (c_bool, POINTER(Face), c_char_p, c_void_p, c_void_p, c_int32),
        "tally_put": (None, POINTER(Face), c_int32, c_int64, c_char_p, c_size_t),
        "tally_refuse": (None, POINTER(Face), c_int32),
        "tally_judge": (c_int32, POINTER(Face), c_int32, c_int32, c_int64, POINTER(c_int64), c_bool),
        "tally_turn": (c_bool, POINTER(Face), c_int64, c_int64),
        "tally_clear": (None, POINTER(Face)),
        "fetch_new": (POINTER(Fetched), c_void_p, c_void_p, c_int32),
        "fetch_more": (c_int32, POINTER(Fetched)),
        "fetch_release": (None, POINTER(Fetched)),
        "fetch_free": (None, POINTER(Fetched)),
    }
    for name, (result, *arguments) in signatures.items():
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found, ""


def why_not() -> str | None:
    """Why there is no native intake here, in words; None if there is one."""
    return library()[1] or None
