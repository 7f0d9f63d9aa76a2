from __future__ import annotations

import ctypes

import pytest

from dataflows.native.memory import bytes_at

TEXT = b"seen\0 and counted"
HELD = ctypes.create_string_buffer(TEXT, len(TEXT))


def test_bytes_are_copied_as_they_stand() -> None:
    copy = bytes_at(ctypes.addressof(HELD), len(TEXT))
    HELD[0] = b"S"
    assert copy == TEXT
    HELD[0] = b"s"
    assert bytes_at(ctypes.addressof(HELD), 0) == b""


@pytest.mark.parametrize("beyond", [0, 3])
def test_a_size_beyond_a_c_int_is_not_cut(beyond: int) -> None:
    """There is no such memory, which is the point: a size that was cut to the last 32 bits would be had."""
    with pytest.raises(MemoryError):
        bytes_at(ctypes.addressof(HELD), 2**62 + beyond)
