"""The page's own files, served by Panel's component handler: with `panel serve` as well, without a flag.

Each is addressed with a digest of its content, so a browser keeps it for good and never mixes two versions. Modules import each
other by bare name (``adtally/tiles.js``); the import map of the page says where each is.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from functools import cache
from pathlib import Path
from typing import ClassVar

import jinja2
import panel as pn

STATIC = Path(__file__).parents[1] / "static"
_MODULES = sorted(path.name for path in STATIC.glob("*.js"))
_STYLES = sorted(path.name for path in STATIC.glob("*.css"))


class Assets:
    """Panel serves exactly the files that are named here (`panel.io.server.ComponentResourceHandler`).

    Each stands alone under its own name: for every request Panel finds the paths of all files of a list, and a visit asks for thirty.
    """

    _resources: ClassVar[dict[str, list[str]]] = {name: [f"static/{name}"] for name in _MODULES}


@cache
def url(name: str) -> str:
    """Where the file `name` of `static/` is, relative to any page of the dashboard."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"./components/{__name__}/{Assets.__name__}/_resources/{name}/static/{name}?v={digest}"


def modules() -> list[str]:
    """Where the page's modules are, to be fetched side by side."""
    return [url(name) for name in _MODULES if name != "early.js"]


@cache
def _compiled(name: str) -> jinja2.Template:
    # Compiling takes milliseconds and hundreds of kilobytes, which every visit would pay.
    return pn.Template((STATIC / name).read_text(encoding="utf-8")).template


def template(name: str, **given: str) -> pn.Template:
    """A page out of the template `name` of `static/`, with `given` and `variables` put in."""
    made = pn.Template(_compiled(name))
    # es-module-shims, by which Panel loads its scripts, tries what the browser can do in a script of its own; it takes this for it.
    nonce = {"nonce": secrets.token_urlsafe(16)}
    for key, value in {**variables(), **nonce, **given}.items():
        made.add_variable(key, value)
    return made


@cache
def variables() -> dict[str, object]:
    """What the page templates put in: the frame that they fill, style, the script that sets the theme, logo, and where the modules are.

    The style sheets go into the page: one round trip less before the first figure. So does the early script, which must set the
    theme before anything is painted.
    """
    return {
        "frame": _compiled("frame.html"),
        "style": "".join((STATIC / name).read_text(encoding="utf-8") for name in _STYLES),
        "early": (STATIC / "early.js").read_text(encoding="utf-8"),
        "icon": "data:image/svg+xml;base64," + base64.b64encode((STATIC / "logo.svg").read_bytes()).decode(),
        "importmap": json.dumps({"imports": {f"adtally/{name}": url(name) for name in _MODULES}}),
        "modules": modules(),
    }
