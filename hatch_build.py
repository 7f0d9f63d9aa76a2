"""The build hook: compiles the native engine into the wheel, which then is one of this platform.

Without a C compiler the build succeeds too, and says so: that wheel runs everywhere, with the slow engine.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeEngine(BuildHookInterface[BuilderConfig]):
    """Builds the library of `dataflows.native`, in place for an editable installation."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the files are gathered; `version` is ``standard`` or ``editable``."""
        native = _build_module(Path(self.root))
        try:
            if version == "editable":
                native.build()
                return
            self._folder = tempfile.TemporaryDirectory()
            library = native.build(Path(self._folder.name))
        except native.BuildError as error:
            if os.environ.get("CIBUILDWHEEL"):
                raise  # a wheel that is published has the engine
            self._warn(f"slow engine: adtally is as exact without its native engine, and takes about six times the CPU ({error})")
            return
        build_data["force_include"][str(library)] = f"dataflows/native/{library.name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{_platform()}"

    def _warn(self, line: str) -> None:
        self.app.display_warning(line)
        # pip keeps what a build says to itself; a person at a terminal must see this.
        try:
            with open("/dev/tty", "w", encoding="utf-8") as terminal:
                terminal.write(f"\nadtally: {line}\n")
        except OSError:
            pass  # no terminal: the output of the build has it (pip install -v)


def _build_module(root: Path) -> Any:
    """Return `dataflows.native.build` without running its packages' own ``__init__``, whose dependencies a build does not have."""
    for name in ("dataflows", "dataflows.native"):
        package = ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[name] = package
    from dataflows.native import build

    return build


def _platform() -> str:
    """Return the platform of the compiled library, as the name of a wheel has it."""
    found = sysconfig.get_platform()
    if found.endswith("universal2") and not os.environ.get("ARCHFLAGS"):
        found = found.removesuffix("universal2") + platform.machine()  # the compiler builds for this machine only
    return found.replace("-", "_").replace(".", "_")
