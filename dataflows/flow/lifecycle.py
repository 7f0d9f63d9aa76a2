"""Start and end of the flow in one process, shared by its parts and its signal handlers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NoReturn

from dataflows.contract.errors import AdtallyError


class Lifecycle:
    """Lifecycle of the process, for the parts of the flow; safe to use from any thread."""

    def __init__(self, die: Callable[[AdtallyError], NoReturn] | None = None) -> None:
        """`die`: ends the process with the line of an error; without it errors are raised, as tests and tools want them."""
        self.begun = threading.Event()
        """Set when a source is polled for the first time: from then on the sources end the flow when it must stop."""
        self.stopping = threading.Event()
        """Set by the first SIGTERM or SIGINT: the sources end their streams, and Bytewax takes a last snapshot."""
        self._die = die
        self._held: list[object] = []

    @contextmanager
    def one_line_errors(self) -> Generator[None]:
        """End the process with one line on an `AdtallyError`, as a crash would, which recovery covers: Bytewax would print a panic."""
        try:
            yield
        except AdtallyError as error:
            if self._die is None:
                raise
            self._die(error)

    def hold(self, resource: object) -> None:
        """Keep `resource` referenced until the process ends, because to free it would release or close it."""
        self._held.append(resource)
