"""``python -m tests.system.mutants.run NAME …``: as ``python -m bytewax.run dataflows.marketing …``, with the mutant NAME in it."""

from __future__ import annotations

import os
import runpy
import sys

from tests.system.mutants import breakdowns, catalogue
from tests.system.mutants.stock import FLOWS

MUTANTS = {**catalogue.MUTANTS, **breakdowns.MUTANTS}
"""All mutants by name."""

CONTROL = "control"
"""No mutant at all."""

REFERENCE = "control in Python"
"""No mutant either, in the engine that mutants change."""


def main() -> None:
    """Put the mutant in, and become `bytewax.run`."""
    name, *arguments = sys.argv[1:]
    if name not in FLOWS and name != CONTROL:
        os.environ["ADTALLY_NATIVE"] = "off"  # what a mutant of the intake changes is the one in Python
        if name != REFERENCE:
            MUTANTS[name]()
    sys.argv = ["bytewax.run", FLOWS.get(name, "dataflows.marketing"), *arguments]
    # alter_sys: the flow looks at the name of the main module to know that it is a command.
    runpy.run_module("bytewax.run", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
