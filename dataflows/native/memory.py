"""Bytes that C has written, as Python's own."""

from __future__ import annotations

import ctypes
from ctypes import c_ssize_t, c_void_p, py_object

_copy = ctypes.PYFUNCTYPE(py_object, c_void_p, c_ssize_t)(("PyBytes_FromStringAndSize", ctypes.pythonapi))


def bytes_at(address: int, size: int) -> bytes:
    """Return a copy of `size` bytes. `ctypes.string_at` takes a C int for `size`, and of 4 GiB and 3 bytes returns 3 without an error.

    Raises `MemoryError`.
    """
    return _copy(address, size)
