"""The C sources of the native engine, and where its library belongs. It uses the standard library only: the build of a wheel loads it."""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent
CSRC = FOLDER / "csrc"
UNITS = (
    *(
        "admission",
        "cells",
        "client",
        "due",
        "fast",
        "fetch",
        "ids",
        "layout",
        "memory",
        "pack",
        "panes",
        "records",
        "send",
        "tally",
        "text",
    ),
)
SOURCES = tuple(f"{unit}.c" for unit in UNITS)
HEADERS = tuple(sorted(file.name for file in CSRC.glob("*.h")))
FLAGS = ("-std=c11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden")
LINKED = ("-lm",)


def library_file(sources: Path = CSRC) -> Path:
    """Return where the library of `sources` belongs; its name is a digest of what it was built from, so a stale one is never used."""
    digest = hashlib.sha256(" ".join((*FLAGS, *LINKED)).encode())
    for name in (*HEADERS, *SOURCES):
        digest.update((sources / name).read_bytes())
    return FOLDER / f"tally-{digest.hexdigest()[:16]}.so"
