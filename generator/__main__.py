"""``python -m generator``: the same as ``adtally generate``."""

from __future__ import annotations

import sys

from generator.cli import main

sys.exit(main())
