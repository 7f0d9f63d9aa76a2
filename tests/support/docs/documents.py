"""The commands that stand in the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[3]

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))),
    "deploy/kubernetes/README.md",
    "benchmarks/README.md",
)

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`((?:make|python -m|adtally)[ ][^`]+)`(?!`)")
_COMMENT = re.compile(r"(?:^|\s{2,})#.*$")


class CodeBlock(msgspec.Struct, frozen=True):
    """A fenced block of a page."""

    page: str
    language: str
    text: str


def blocks() -> Iterator[CodeBlock]:
    """Every fenced block, in the order of the pages."""
    for page in PAGES:
        for found in _FENCE.finditer((ROOT / page).read_text()):
            indent = len(found["indent"])
            yield CodeBlock(page, found["language"], "".join(line[indent:] for line in found["text"].splitlines(keepends=True)))


def commands() -> list[str]:
    """Every command of a shell block: a line, or several that a backslash joins; without comments."""
    found: list[str] = []
    for block in blocks():
        if block.language in ("sh", "bash", "console", "shell"):
            for line in block.text.replace("\\\n", "").splitlines():
                command = " ".join(_COMMENT.sub("", line).split(" ")).strip()
                if command:
                    found.append(re.sub(r"  +", " ", command))
    return found


def inline() -> list[str]:
    """Commands in running text and tables."""
    return [text for page in PAGES for text in _INLINE.findall((ROOT / page).read_text())]


def python_block(page: str, word: str) -> str:
    """The Python block of `page` that holds `word`."""
    (text,) = [block.text for block in blocks() if block.page == page and block.language == "python" and word in block.text]
    return text
