"""Inputs that are named on the command line: files, pipes and standard input, each readable from its beginning more than once."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO

from typing_extensions import Buffer, override

from dataflows.contract.errors import InputError
from generator.formats.compressed import unpacked

STANDARD_INPUT = "-"
_BLOCK = 1 << 20
_LOOK_SECONDS = 0.2


class _File(io.FileIO):
    """A file whose reads raise `KeyboardInterrupt` once `stopped` returns true."""

    def __init__(self, descriptor: int, stopped: Callable[[], bool]) -> None:
        super().__init__(descriptor)
        self._stopped = stopped

    @override
    def readinto(self, buffer: Buffer, /) -> int | None:
        if self._stopped():
            raise KeyboardInterrupt
        return super().readinto(buffer)


class Input:
    """One file. A pipe can be read only once, so it is copied to a temporary file when it is opened first.

    `stopped` is checked while reading and while waiting for a pipe: once it returns true, `KeyboardInterrupt` is raised.
    """

    def __init__(self, name: str, stopped: Callable[[], bool] = lambda: False) -> None:
        self.name = "standard input" if name == STANDARD_INPUT else name
        # Part of a Kafka key, so bytes that are not UTF-8 are replaced.
        self.short = "stdin" if name == STANDARD_INPUT else os.fsencode(Path(name).name).decode(errors="replace")
        self._given = name
        self._stopped = stopped
        self._copy: IO[bytes] | None = None

    def open(self) -> io.BufferedReader:
        """Return the decompressed content from its beginning, for one reader at a time; raises `InputError` naming the file."""
        try:
            return unpacked(io.BufferedReader(self._raw(), _BLOCK // 8), self.name)
        except OSError as error:
            raise InputError(f"{self.name}: {words(error)}.") from None

    def identity(self) -> tuple[int, int]:
        """Return device and inode, which are equal for two names of one file; raises `InputError` if it does not exist."""
        try:
            file_status = os.fstat(self._standard()) if self._given == STANDARD_INPUT else Path(self._given).stat()
        except FileNotFoundError:
            raise InputError(f"{self.name}: no such file.") from None
        except OSError as error:
            raise InputError(f"{self.name}: {words(error)}.") from None
        return file_status.st_dev, file_status.st_ino

    def _raw(self) -> io.FileIO:
        if self._copy is None:
            descriptor = self._descriptor()
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISBLK(mode) or (stat.S_ISCHR(mode) and not os.isatty(descriptor) and os.read(descriptor, 1)):
                os.close(descriptor)
                raise InputError(f"{self.name}: it is a device, which may never end; use a file or a pipe.")
            if stat.S_ISREG(mode) and self._given != STANDARD_INPUT:
                return _File(descriptor, self._stopped)
            self._copy = self._copied(descriptor)
        self._copy.seek(0)
        return _File(os.dup(self._copy.fileno()), self._stopped)

    def _descriptor(self) -> int:
        if self._given != STANDARD_INPUT:
            # Not blocking, so that Ctrl-C works while a named pipe has no writer.
            return os.open(self._given, os.O_RDONLY | os.O_NONBLOCK)
        return os.dup(self._standard())

    def _standard(self) -> int:
        # If standard input is closed, descriptor 0 may belong to another file.
        if sys.__stdin__ is None:
            raise InputError(f"{self.name}: it is closed.")
        return 0

    def _copied(self, descriptor: int) -> IO[bytes]:
        copy = tempfile.TemporaryFile(prefix="adtally-replay-")  # noqa: SIM115 - it lives as long as this object
        look = select.poll()
        look.register(descriptor, select.POLLIN)
        try:
            # A named pipe without a writer looks like one at its end; wait for the writer.
            if Path(self._given).is_fifo() and os.path.lexists(os.path.realpath(self._given)):
                self._wait(look)
            blocks = os.get_blocking(descriptor)
            while True:
                if blocks:
                    self._wait(look)
                try:
                    content = os.read(descriptor, _BLOCK)
                except BlockingIOError:
                    self._wait(look)
                    continue
                if not content:
                    return copy
                self._keep(copy, content)
        finally:
            os.close(descriptor)

    def _wait(self, look: select.poll) -> None:
        while not look.poll(_LOOK_SECONDS * 1000):
            if self._stopped():
                raise KeyboardInterrupt

    def _keep(self, copy: IO[bytes], content: bytes) -> None:
        if self._stopped():
            raise KeyboardInterrupt
        try:
            copy.write(content)
            copy.flush()
        except OSError as error:
            raise InputError(
                f"the temporary folder {tempfile.gettempdir()} can't hold {self.name}: {words(error)}; set TMPDIR to another."
            ) from None


def words(error: BaseException) -> str:
    """Return the text of `error` without the file's name, as the end of an error line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return (text[:1].lower() + text[1:] if text[1:2].islower() else text).rstrip(".")


def gather(names: Iterable[str], suffixes: Sequence[str], stopped: Callable[[], bool] = lambda: False) -> list[Input]:
    """Return the inputs for `names`; a folder means the files in it with one of `suffixes`, sorted by name; ``-`` is standard input.

    Raises `InputError` for a file that does not exist or is named twice (its rows would count twice), and for a folder without files.
    """
    inputs = [Input(each, stopped) for name in names for each in _expanded(name, tuple(suffixes))]
    seen: set[tuple[int, int]] = set()
    for each in inputs:
        identity = each.identity()
        if identity in seen:
            raise InputError(f"{each.name}: named twice; each file is replayed once.")
        seen.add(identity)
    return inputs


def _expanded(name: str, suffixes: tuple[str, ...]) -> list[str]:
    path = Path(name)
    try:
        if not name:
            raise InputError("a file has an empty name; use its path, or - for standard input.")
        if name == STANDARD_INPUT or not path.is_dir():
            return [name]
        inside = sorted(entry for entry in path.iterdir() if entry.name.lower().endswith(suffixes) and entry.is_file())
    except OSError as error:
        raise InputError(f"{name}: {words(error)}.") from None
    if not inside:
        raise InputError(f"{name}: no file in this folder ends in {', '.join(suffixes[:-1])} or {suffixes[-1]}.")
    return [str(entry) for entry in inside]
