"""Hooks of mkdocs (`hooks` of mkdocs.yml): pages from other folders of the repository, and links in GitHub's form.

The Markdown is written to be read in the tree too, where a link may lead to a source file; the site has no sources, so there such a
link is a name. Needs the development environment (mkdocs).
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

ELSEWHERE = {"index.md": "README.md", "kubernetes.md": "deploy/kubernetes/README.md", "benchmarks.md": "benchmarks/README.md"}
"""Pages of the site that are not in docs/, and their paths in the repository."""

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def slug(text: str, separator: str) -> str:
    """Return the anchor of a heading as GitHub makes it, so that a link works in both."""
    kept = re.sub(r"[^\w\- ]", "", text.strip().lower())
    return kept.replace(" ", separator)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from elsewhere."""
    for page, path in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - mkdocs hands them over by name
    """Turn links to places in the tree into links to pages."""
    path = ELSEWHERE.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return relink(markdown, path)


def relink(markdown: str, source: str) -> str:
    """Return `markdown`, of the file `source`, with links to pages of the site; targets outside of the site become plain text."""
    pages = {there: page for page, there in ELSEWHERE.items()}
    folder = posixpath.dirname(pages.get(source, source.removeprefix("docs/"))) or "."

    def relinked(match: re.Match[str]) -> str:
        image, text, target = match.groups()
        path, mark, anchor = target.partition("#")
        if "://" in target or not path:
            return match[0]
        there = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if there in pages or there.startswith("docs/"):
            target = posixpath.relpath(pages.get(there, there.removeprefix("docs/")), folder)
            return f"{image}[{text}]({target}{mark}{anchor})"
        if not (ROOT / there).exists():
            return match[0]  # mkdocs reports it as a broken link
        return text if text.startswith("`") else f"{text} (`{there}`)"

    return _LINK.sub(relinked, markdown)
