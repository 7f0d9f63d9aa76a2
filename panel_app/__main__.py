"""``python -m panel_app``: the same as ``adtally dashboard``."""

from __future__ import annotations

import sys

from panel_app.cli import main

if __name__ == "__main__":
    sys.exit(main())
