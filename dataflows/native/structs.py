"""The structs of C that Python reads and writes, and a check that both lay them out alike."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, c_char, c_char_p, c_int8, c_int32, c_int64, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from typing import Any, ClassVar

NEVER = -(2**62)
"""In the place of a clock: before the first event."""

LATE = 5
"""The status of a late event in fast.h; `Tally.judge` notes those, and events that are too far ahead."""

CHANGED = 4
"""Added to the state of a cell that is restored, if it was not emitted yet."""

MOST_HEADERS = 4
"""Headers of a record that is sent."""

RANDOM_BYTES = (1024 // 4 + 1) * 3 * 8
"""Size of a `Hash`: random coefficients of a process."""


class Row(ctypes.Structure):
    """One message as it was read; as in fast.h."""

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
        ("currency", c_char * 4),
        ("role", c_uint8),
        ("status", c_uint8),
        ("declared", c_int8),
    ]


class Named(ctypes.Structure):
    """A field that a breakdown names, or a declared event type; as in plan.h."""

    _fields_: ClassVar[Sequence[Any]] = [("name", c_char_p), ("size", c_int32), ("role", c_int32)]


class Breakdown(ctypes.Structure):
    """The slots of the fields of a breakdown; as in plan.h."""

    _fields_: ClassVar[Sequence[Any]] = [("slots", POINTER(c_int32)), ("count", c_int64)]


class Plan(ctypes.Structure):
    """What a deployment has declared; as in plan.h."""

    _fields_: ClassVar[Sequence[Any]] = [
        ("fields", POINTER(Named)),
        ("types", POINTER(Named)),
        ("breakdowns", POINTER(Breakdown)),
        ("bound", c_int64),
        ("field_count", c_int32),
        ("type_count", c_int32),
        ("breakdown_count", c_int32),
        ("currency", c_char * 4),
    ]


class Put(ctypes.Structure):
    """What Python reads in a message of the slow path, but for the texts; as in plan.h."""

    _fields_: ClassVar[Sequence[Any]] = [
        ("cost", c_int64),
        ("revenue", c_int64),
        ("role", c_int32),
        ("declared", c_int32),
        ("currency", c_char * 4),
    ]


class Table(ctypes.Structure):
    """What the records of a table have more than those of others; as in panes.h."""

    _fields_: ClassVar[Sequence[Any]] = [
        ("field_keys", POINTER(c_char_p)),
        ("type_keys", POINTER(c_char_p)),
        ("field_count", c_int32),
        ("type_count", c_int32),
    ]


class Group(ctypes.Structure):
    """Where the bytes of the cells of one shard, window and table are; as in pack.h."""

    _fields_: ClassVar[Sequence[Any]] = [
        ("window", c_int64),
        ("table", c_int32),
        ("shard", c_int32),
        ("at", c_int64),
        ("size", c_int64),
    ]


class AdmissionCounts(ctypes.Structure):
    """What a breakdown admitted and refused; as in admission.h."""

    _fields_: ClassVar[Sequence[Any]] = [
        ("admitted_cells", c_int64),
        ("full_windows", c_int64),
        ("other_events", c_int64),
    ]


class PanesFace(ctypes.Structure):
    """What the cells of a shard show; as in panes.h."""

    _fields_: ClassVar[Sequence[Any]] = [
        ("records", c_void_p),
        ("size", c_int64),
        ("count", c_int64),
        ("to_divide", c_int64),
        ("oldest", c_int64),
        ("oldest_time", c_int64),
        ("next_due", c_int64),
        ("image", c_void_p),
        ("image_size", c_int64),
    ]


class Header(ctypes.Structure):
    """A header of a record that is sent; as in send.h."""

    _fields_: ClassVar[Sequence[Any]] = [("name", c_char_p), ("value", c_char_p), ("size", c_int64)]


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
        ("cell_count", c_int64),
        ("ids", c_int64),
        ("ids_bytes", c_int64),
        ("packed", c_void_p),
        ("groups", POINTER(Group)),
        ("group_count", c_int64),
        ("admission_counts", POINTER(AdmissionCounts)),
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


class Layout(ctypes.Structure):
    """A size, an offset or a constant of C; as in layout.c."""

    _fields_: ClassVar[Sequence[Any]] = [("name", c_char_p), ("number", c_int64)]


_MIRRORED = (Row, Named, Breakdown, Plan, Put, Table, Group, AdmissionCounts, Face, PanesFace, Header, Fault, Fetched)


def expected() -> dict[str, int]:
    """Return what Python takes for granted: the size of each mirrored struct, the offset of each field, and the constants."""
    found = {"Hash": RANDOM_BYTES}
    found |= {"LATE": LATE, "NEVER": NEVER, "CHANGED": CHANGED, "MOST_HEADERS": MOST_HEADERS}
    for struct in _MIRRORED:
        found[struct.__name__] = ctypes.sizeof(struct)
        for name, *_ in struct._fields_:  # pyright: ignore[reportPrivateUsage]  # the public name of this attribute
            found[f"{struct.__name__}.{name}"] = getattr(struct, name).offset
    return found


def difference(layouts: Any) -> str | None:
    """Return the first difference between `expected` and the table of C (a pointer to `Layout`), in words; None if there is none."""
    of_c: dict[str, int] = {}
    for layout in layouts:
        if layout.name is None:
            break
        of_c[layout.name.decode()] = layout.number
    for name in sorted(expected().keys() ^ of_c.keys()):
        return f"{name} is known only to {'C' if name in of_c else 'Python'}"
    for name, number in expected().items():
        if of_c[name] != number:
            return f"{name} is {number} in Python and {of_c[name]} in C"
    return None
