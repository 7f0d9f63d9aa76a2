"""The native engine's cells of one shard, in C (`dataflows/native/csrc/panes.c`), without the interpreter's lock.

`dataflows.windows.reference` is the specification of what it does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from ctypes import c_char_p
from typing import Any

import msgspec
from typing_extensions import override

from dataflows.contract.constants import QUEUES_A_SECOND
from dataflows.contract.schema import STATES, encode, rfc3339
from dataflows.intake.rules import SECOND
from dataflows.native import CHANGED, RANDOM_BYTES
from dataflows.native.library import library
from dataflows.native.memory import bytes_at
from dataflows.native.structs import Table
from dataflows.windows.cells import BEHIND, Cell, CellStore, TableRules, decode_window, to_record
from dataflows.wire.records import SIZES, Records

_NEVER_DUE = 2**63 - 1
_STATES = {state: number for number, state in enumerate(STATES)}


class NativeCells(CellStore):
    """The cells of one shard in C. Every method raises `MemoryError` if memory runs out."""

    def __init__(self, rules: TableRules, emit_seconds: float) -> None:
        """`emit_seconds`: the least time between two updates of an open cell.

        Raises `RuntimeError` without a native library, with the words of `dataflows.native.why_not`.
        """
        self._library: Any
        self._library, reason = library()
        if self._library is None:
            raise RuntimeError(reason)
        self._rules = rules
        self._format = rules.format()
        self._table = _table_of(rules)  # which the library looks at as long as there are panes
        random = os.urandom(RANDOM_BYTES)
        self._handle: Any = self._library.panes_new(random, rules.window, emit_seconds, emit_seconds * BEHIND, self._table)
        if not self._handle:
            raise MemoryError
        self._face: Any = self._handle.contents
        self._sizes: dict[int, int] = {}
        self._encoded: dict[int, bytes] = {}

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.panes_free(self._handle)

    @override
    def sizes(self) -> Mapping[int, int]:
        return self._sizes.copy()

    @override
    def merge(self, window: int, cells: bytes, moment: int, *, closed: bool) -> None:
        self._open(window)
        self._sizes[window] = size = self._library.panes_merge(self._handle, window, cells, len(cells), moment, closed)
        _check(size >= 0)

    def _open(self, window: int) -> None:
        if window not in self._sizes:
            bounds = [rfc3339(moment // SECOND).encode() for moment in (window, window + self._rules.window)]
            _check(self._library.panes_open(self._handle, window, *bounds))
            self._sizes[window] = 0

    @override
    def settle(self, watermark: int, now: float, *, behind: bool) -> None:
        _check(self._library.panes_settle(self._handle, watermark, now, behind))

    @override
    def tick(self, watermark: int, now: float) -> None:
        _check(self._library.panes_tick(self._handle, watermark, now))

    @override
    def finish(self, window: int, now: float) -> None:
        _check(self._library.panes_finish(self._handle, window, now))

    @override
    def flush(self, windows: Iterable[int], now: float) -> None:
        self._library.panes_empty_queues(self._handle)
        for window in windows:
            _check(self._library.panes_flush(self._handle, window, now))

    @override
    def forget(self, window: int) -> None:
        self._library.panes_forget(self._handle, window)
        del self._sizes[window]
        self._encoded.pop(window, None)

    @override
    def next_due(self) -> float | None:
        due = self._face.next_due
        return None if due == _NEVER_DUE else due / QUEUES_A_SECOND

    @override
    def take_results(self) -> Records | None:
        face = self._face
        if not face.count:
            return None
        text, oldest = bytes_at(face.records, face.size), face.oldest
        if face.to_divide:
            text, oldest = self._with_large_sums(text, oldest)
        records = Records(text, face.count, None if oldest < 0 else (oldest, face.oldest_time))
        self._library.panes_taken(self._handle)
        return records

    def _with_large_sums(self, text: bytes, oldest: int) -> tuple[bytes, int]:
        """Encode the results whose sums are too large for C to divide exactly; return all records, and where `oldest` begins then.

        Such a record has the sums and the state as its value, with the size negated.
        """
        parts: list[bytes] = []
        start = end = 0
        moved = oldest
        while start < len(text):
            if start == oldest:
                moved = end
            key_size, value_size = SIZES.unpack_from(text, start)
            key_start = start + SIZES.size
            value_start = key_start + key_size
            start = value_start + abs(value_size)
            key, value = text[key_start:value_start], text[value_start:start]
            if value_size < 0:
                value = self._encode_large(key, value)
            parts += (SIZES.pack(len(key), len(value)), key, value)
            end += SIZES.size + len(key) + len(value)
        return b"".join(parts), moved

    def _encode_large(self, key: bytes, sums_and_state: bytes) -> bytes:
        size = self._format.sums_bytes
        window, state = (int.from_bytes(sums_and_state[start : start + 8], "little", signed=True) for start in (size, size + 8))
        _, *names = msgspec.json.decode(key)
        return to_record(window, self._rules, tuple(names), Cell(self._format.unpack_sums(sums_and_state), STATES[state]))[1]

    @override
    def encoded(self, window: int) -> bytes:
        if window not in self._encoded or self._library.panes_changed(self._handle, window):
            _check(self._library.panes_encode(self._handle, window))
            self._encoded[window] = bytes_at(self._face.image, self._face.image_size)
            self._library.panes_image_taken(self._handle)
        return self._encoded[window]

    @override
    def restore(self, window: int, data: bytes) -> None:
        self._open(window)
        keys, cells = decode_window(data)
        text = self._format.pack({key: cell.metrics for key, cell in zip(keys, cells, strict=True)})
        states = bytes([_STATES[cell.state] | CHANGED * cell.changed for cell in cells])
        self._sizes[window] = size = self._library.panes_restore(self._handle, window, text, len(text), states)
        _check(size >= 0)
        self._encoded[window] = data


def _table_of(rules: TableRules) -> Table:
    """Return what C needs of a table: the keys of its fields and of the declared types in JSON."""
    fields = [b"," + encode(field) + b":" for field in (rules.breakdown.fields if rules.breakdown else ())]
    types = [encode(name) + b":" for name in rules.declared]
    return Table((c_char_p * len(fields))(*fields), (c_char_p * len(types))(*types), len(fields), len(types))


def _check(has_memory: bool) -> None:
    if not has_memory:
        raise MemoryError
