"""The dashboard's own files: ES modules, style sheets, templates. This module declares which of them Panel may serve.

Panel's component handler serves files relative to the module that declares them, so the declaration is in the folder of the files.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

FOLDER = Path(__file__).parent
TEMPLATES = FOLDER / "templates"

MODULES = {path.name: path.relative_to(FOLDER).as_posix() for path in sorted(FOLDER.glob("js/*/*.js"))}
"""Path of each ES module relative to `FOLDER`, by its name, under which modules import each other."""


class Assets:
    """Panel serves exactly the files that are listed here (`panel.io.server.ComponentResourceHandler`).

    Each file has a list of its own: for every request Panel resolves the paths of all files of a list, and a visit requests thirty.
    """

    _resources: ClassVar[dict[str, list[str]]] = {name: [path] for name, path in MODULES.items()}
