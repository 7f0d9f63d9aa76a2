"""``adtally`` and ``python -m adtally``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from adtally.app import app
from dataflows.commands import frame


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` name; return the exit code."""
    return frame.run(app, arguments)


if __name__ == "__main__":
    sys.exit(main())
