"""Kubernetes objects of a kustomization, without kubectl: its resources, and over them its patches, as far as ours go."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml

Manifest = dict[str, Any]
Objects = dict[tuple[str, str], Manifest]
"""By kind and name."""


def objects(folder: Path) -> Objects:
    """What ``kubectl apply -k folder`` would make; a test compares where kubectl is installed."""
    kustomization: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found: Objects = {}
    for name in kustomization["resources"]:
        at = (folder / name).resolve()
        found |= objects(at) if at.is_dir() else _read(at)
    for patch in kustomization.get("patches", ()):
        for key, over in _read(folder / patch["path"]).items():
            found[key] = merged(found[key], over)
    return found


def _read(file: Path) -> Objects:
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(file.read_text())}


def merged(under: Any, over: Any) -> Any:
    """A strategic merge: maps by key, where null takes away; lists of what has a name, by that name; anything else is replaced."""
    if isinstance(under, dict) and isinstance(over, dict):
        below, above = cast(Manifest, under), cast(Manifest, over)
        kept = {key: value for key, value in below.items() if key not in above}
        return kept | {key: merged(below.get(key), value) for key, value in above.items() if value is not None}
    if isinstance(under, list) and isinstance(over, list) and all(isinstance(one, dict) and "name" in one for one in over):
        mine = {one["name"]: one for one in cast(list[Manifest], under)}
        above = {one["name"]: one for one in cast(list[Manifest], over)}
        return [merged(mine.get(name), one) for name, one in {**mine, **above}.items()]
    return over
