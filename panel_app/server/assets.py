"""Addresses and templates of the dashboard's own files, which Panel's component handler serves: with `panel serve` as well, without a flag.

Each file is addressed with a digest of its content, so a browser keeps it for good and never mixes two versions. Modules import each
other by bare name (``adtally/tiles.js``); the import map of the page says where each is.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from functools import cache

import jinja2
import panel as pn

from panel_app.static import FOLDER, MODULES, TEMPLATES, Assets

_STYLES = sorted(FOLDER.glob("css/*.css"))


@cache
def url(name: str) -> str:
    """Address of the ES module `name`, relative to any page of the dashboard."""
    digest = hashlib.sha256((FOLDER / MODULES[name]).read_bytes()).hexdigest()[:12]
    return f"./components/{Assets.__module__}/{Assets.__name__}/_resources/{name}/{MODULES[name]}?v={digest}"


def modules() -> list[str]:
    """Addresses of the page's modules, to be fetched in parallel."""
    return [url(name) for name in MODULES if name != "early.js"]


@cache
def _compiled(name: str) -> jinja2.Template:
    # Compiling takes milliseconds and hundreds of kilobytes, which every visit would pay.
    return pn.Template((TEMPLATES / name).read_text(encoding="utf-8")).template


def template(name: str, **given: str) -> pn.Template:
    """Return the template `name` of `static/templates`, filled with `variables` and `given`."""
    page = pn.Template(_compiled(name))
    # es-module-shims, by which Panel loads its scripts, tries what the browser can do in a script of its own; it takes this for it.
    nonce = {"nonce": secrets.token_urlsafe(16)}
    for key, value in {**variables(), **nonce, **given}.items():
        page.add_variable(key, value)
    return page


@cache
def variables() -> dict[str, object]:
    """Return the variables of the page templates: the frame that they fill, style, the script that sets the theme, logo, module addresses.

    The style sheets are inlined: one round trip less before the first figure. So is the early script, which must set the
    theme before anything is painted.
    """
    return {
        "frame": _compiled("frame.html"),
        "style": "".join(path.read_text(encoding="utf-8") for path in _STYLES),
        "early": (FOLDER / MODULES["early.js"]).read_text(encoding="utf-8"),
        "icon": "data:image/svg+xml;base64," + base64.b64encode((FOLDER / "logo.svg").read_bytes()).decode(),
        "importmap": json.dumps({"imports": {f"adtally/{name}": url(name) for name in MODULES}}),
        "modules": modules(),
    }


def embeddable(data: bytes) -> str:
    """Return JSON that is safe in a script element: no name in it can end that element."""
    return data.decode().replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
