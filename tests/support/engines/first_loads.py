"""States loaded by many threads at once, in processes that have loaded none: ``python -m tests.support.engines.first_loads COUNT``.

Prints how many of the processes ended otherwise than they should.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

from dataflows.contract.settings import Settings
from dataflows.flow.engines import Engine
from dataflows.flow.source import SlotState
from dataflows.flow.state import load, save
from dataflows.windows.panes import Panes, PanesState

THREADS = 8


def all_at_once(first: Callable[[int], object]) -> None:
    """Call `first` on many threads, which take turns as often as the interpreter lets them."""
    sys.setswitchinterval(1e-6)
    together = threading.Barrier(THREADS)

    def begin(number: int) -> None:
        together.wait()
        first(number)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(count: int) -> int:
    """Fork `count` processes, one after the other; how many did not end well."""
    settings = Settings()
    panes, slot = save(Panes(settings, Engine(settings).make_tables()).state(), settings), save(SlotState(0, {}), settings)
    failed = 0
    for _ in range(count):
        child = os.fork()
        if not child:
            all_at_once(lambda n: load(slot, SlotState, settings) if n % 2 else load(panes, PanesState, settings))
            os._exit(0)
        failed += os.waitpid(child, 0)[1] != 0
    return failed


if __name__ == "__main__":
    print(main(int(sys.argv[1])))
