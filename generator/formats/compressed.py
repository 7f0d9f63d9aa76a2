"""Compressed files: gzip, zip, bzip2, xz, Zstandard and LZ4, also nested. Recognised by content, never by name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import tempfile
import zipfile
import zlib
from typing import IO, BinaryIO, cast

from typing_extensions import Buffer, override

from dataflows.contract.errors import InputError

LAYERS = 4
"""Maximum number of nested compressions."""

_HEAD = 512
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
}
_OTHER = {
    b"\x1f\x9d": "a file compressed by Unix's compress; unpack it first",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive; unpack it first",
    b"Rar!\x1a\x07": "a RAR archive; unpack it first",
    b"\xd0\xcf\x11\xe0": "an Excel workbook (xls); save its sheet as CSV",
    b"PAR1": "a Parquet file, not text; write it as CSV or as JSON lines",
    b"%PDF-": "a PDF document, not text",
}
_BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, ValueError, NotImplementedError)


class DamagedError(OSError):
    """Compressed content that can't be decompressed."""


class _Layer(io.RawIOBase):
    """Output of a decompressor; all its errors become a `DamagedError` that names the kind."""

    def __init__(self, inner: IO[bytes], packed: BinaryIO, kind: str) -> None:
        self._inner = inner
        self._packed = packed
        self._kind = kind

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        try:
            content = self._inner.read(len(view))
        except _BROKEN as error:
            raise DamagedError(f"its {self._kind} data is cut off or damaged ({error})") from None
        view[: len(content)] = content
        return len(content)

    @override
    def close(self) -> None:
        self._inner.close()
        self._packed.close()
        super().close()


def unpacked(file: io.BufferedReader, name: str) -> io.BufferedReader:
    """Return the content of `file`, decompressed if necessary; raises `InputError` for a kind that can't be read, and `OSError`."""
    for _ in range(LAYERS):
        head = file.peek(_HEAD)
        kind = next((kind for magic, kind in _PACKED.items() if head.startswith(magic)), None)
        if kind is None:
            _check(head, name)
            return file
        file = io.BufferedReader(_Layer(_opened(file, kind, name), file, kind), 1 << 17)
    raise InputError(f"{name}: it is compressed more than {LAYERS} times (gzip, zip and the like); unpack it first.")


def _check(head: bytes, name: str) -> None:
    for magic, what in _OTHER.items():
        if head.startswith(magic):
            raise InputError(f"{name}: it is {what}.")
    if head[257:262] == b"ustar":
        raise InputError(f"{name}: it is a tar archive; unpack it first.")


def _opened(file: io.BufferedReader, kind: str, name: str) -> IO[bytes]:
    if kind == "gzip":
        return cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="rb"))
    if kind == "bzip2":
        return cast(IO[bytes], bz2.BZ2File(file, "rb"))
    if kind == "xz":
        return cast(IO[bytes], lzma.LZMAFile(file, "rb"))
    if kind == "zip":
        return _member(file if file.seekable() else _copied(file), name)
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and few files need it

    return cast(IO[bytes], pa.CompressedInputStream(pa.PythonFile(file, mode="r"), kind))


def _copied(file: BinaryIO) -> IO[bytes]:
    """Return a seekable copy: the directory of a zip is at its end."""
    copy = tempfile.TemporaryFile(prefix="adtally-replay-")  # noqa: SIM115 - closed with its member
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy


def _member(file: IO[bytes], name: str) -> IO[bytes]:
    """Open the only file in a zip."""
    try:
        archive = zipfile.ZipFile(file)
        members = [each for each in archive.namelist() if not each.endswith("/") and not each.startswith("__MACOSX/")]
        if "[Content_Types].xml" in members:
            raise InputError(f"{name}: it is an Excel workbook (xlsx, a zip), not text; save its sheet as CSV.")
        if len(members) != 1:
            listed = f": {', '.join(members[:5])}{' …' * (len(members) > 5)}" if members else ""
            raise InputError(f"{name}: a zip must hold one file, and this one holds {len(members)}{listed}; unpack it first.")
        return archive.open(members[0])
    except RuntimeError:
        raise InputError(
            f"{name}: its zip member is encrypted, or packed by a method that can't be read; unpack it first."
        ) from None
    except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        raise DamagedError(f"its zip data is cut off or damaged ({error})") from None
