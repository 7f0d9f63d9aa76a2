"""The native library: its path, whether it is built, and the signatures of its functions."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_bool, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint64, c_void_p
from functools import lru_cache
from typing import Any

from dataflows.native.sources import library_file
from dataflows.native.structs import Face, Fetched, Header, Layout, PanesFace, Plan, Put, Table, difference

SIGNATURES: dict[str, tuple[Any, ...]] = {
    "layouts": (POINTER(Layout),),
    "tally_new": (POINTER(Face), c_char_p, c_int64, c_int64, c_bool, POINTER(Plan)),
    "tally_free": (None, POINTER(Face)),
    "tally_read": (c_bool, POINTER(Face), c_void_p, c_void_p, c_int32),
    "tally_put": (None, POINTER(Face), c_int32, c_int64, POINTER(Put), POINTER(c_char_p), POINTER(c_int32)),
    "tally_refuse": (None, POINTER(Face), c_int32),
    "tally_judge": (c_int32, POINTER(Face), c_int32, c_int32, c_int64, POINTER(c_int64), c_bool),
    "tally_turn": (c_bool, POINTER(Face), c_int64, c_int64),
    "tally_pack": (c_bool, POINTER(Face)),
    "tally_taken": (None, POINTER(Face)),
    "doubles_prepare": (None, POINTER(c_uint64)),
    "put_double": (c_void_p, c_void_p, c_double),
    "put_name": (c_void_p, c_void_p, c_char_p, c_size_t),
    "panes_new": (POINTER(PanesFace), c_char_p, c_int64, c_double, c_double, POINTER(Table)),
    "panes_free": (None, POINTER(PanesFace)),
    "panes_open": (c_bool, POINTER(PanesFace), c_int64, c_char_p, c_char_p),
    "panes_forget": (None, POINTER(PanesFace), c_int64),
    "panes_merge": (c_int64, POINTER(PanesFace), c_int64, c_char_p, c_int64, c_int64, c_bool),
    "panes_restore": (c_int64, POINTER(PanesFace), c_int64, c_char_p, c_int64, c_char_p),
    "panes_settle": (c_bool, POINTER(PanesFace), c_int64, c_double, c_bool),
    "panes_tick": (c_bool, POINTER(PanesFace), c_int64, c_double),
    "panes_finish": (c_bool, POINTER(PanesFace), c_int64, c_double),
    "panes_flush": (c_bool, POINTER(PanesFace), c_int64, c_double),
    "panes_empty_queues": (None, POINTER(PanesFace)),
    "panes_taken": (None, POINTER(PanesFace)),
    "panes_image_taken": (None, POINTER(PanesFace)),
    "panes_changed": (c_bool, POINTER(PanesFace), c_int64),
    "panes_encode": (c_bool, POINTER(PanesFace), c_int64),
    "client_prepare": (None, c_void_p),
    "client_begin": (c_void_p,),
    "client_end": (None,),
    "client_release": (None, c_void_p),
    "client_handle": (c_void_p, c_void_p),
    "client_code": (c_int32, c_void_p),
    "client_refused": (c_int64, c_void_p),
    "client_sent": (c_int64, c_void_p),
    "send_prepare": (None, c_void_p),
    "send_records": (
        *(c_int64, c_void_p, c_void_p, c_char_p, c_int64, c_int64),
        *(POINTER(Header), c_int32, c_int64, POINTER(c_int32)),
    ),
    "fetch_new": (POINTER(Fetched), c_void_p, c_void_p, c_int32),
    "fetch_more": (c_int32, POINTER(Fetched)),
    "fetch_release": (None, POINTER(Fetched)),
    "fetch_free": (None, POINTER(Fetched)),
}
"""Result and argument types of its functions; the library exports nothing else, except librdkafka's ``conf_init``."""


@lru_cache(maxsize=1)
def library() -> tuple[ctypes.CDLL | None, str]:
    """Return the library, or None and the reason in words."""
    file = library_file()
    if not file.exists():
        return None, "it is not built"
    try:
        native = ctypes.CDLL(str(file))
    except OSError as error:  # built for another machine
        return None, f"{file} can't be loaded ({error})"
    for name, (result, *arguments) in SIGNATURES.items():
        function = getattr(native, name)
        function.restype, function.argtypes = result, arguments
    if differs := difference(native.layouts()):
        return None, f"{file.name} does not fit this Python: {differs}"
    native.doubles_prepare(_powers_of_ten())
    return native, ""


def _powers_of_ten() -> Any:
    """Return 10^k for k from -292 to 324 in 128 bits, rounded up, each as upper and lower half, for text.c (Giulietti, 2021)."""
    powers: list[int] = []
    for k in range(-292, 325):
        shift = 127 - (k * 1741647 >> 19)  # less the logarithm of 10^k to the base of 2, rounded down
        over, under = 10 ** max(k, 0) << max(shift, 0), 10 ** max(-k, 0) << max(-shift, 0)
        power = -(-over // under)
        powers += [power >> 64, power & 2**64 - 1]
    return (c_uint64 * len(powers))(*powers)


def why_not() -> str | None:
    """Return in words why the native engine is missing here; None if it is available."""
    return library()[1] or None
