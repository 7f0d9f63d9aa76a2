"""Check what people read against the list of words that this repository does not use: ``.ci/words.py [FILE ...]``.

The list is ``words.toml``, next to this file. Every line of a document is checked; of source code the comments, docstrings, string
literals and names of tests. Without arguments all files that Git knows are checked. Exit code 1 and a line for each finding, else 0.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("words.toml")

DOCUMENTS = {".md", ".txt", ".html", ".css"}
HASH_COMMENTS = {".sh", ".yml", ".yaml", ".toml"}
C_COMMENTS = {".c", ".h", ".js", ".mjs", ".ts", ".java"}
SKIPPED = re.compile(
    r"\.ci/words\.toml|tests/(?:.*/)?test_words\.py|LICENSE|.*\.lock|.*package-lock\.json|benchmarks/peers/(?:pathway|quix)_ads\.py"
)
C_TEXT = re.compile(
    r"""(?P<text>/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)""",
    re.DOTALL,
)

_PARTS = re.compile(r"[ \t\r]*\n\s*(?:#|\*(?!\*)|//)?[ \t]*|[ \t]+|[^\s]+")


class Word(NamedTuple):
    """A banned turn of phrase, and what to write in its place."""

    pattern: re.Pattern[str]
    use: str


class Occurrence(NamedTuple):
    """A banned word in a file; lines are counted from 1."""

    path: str
    line: int
    text: str
    use: str


def words(path: Path = LIST) -> list[Word]:
    """Return the list."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["word"]
    return [
        Word(re.compile(rf"\b(?:{entry['pattern']})\b", 0 if entry.get("exact") else re.IGNORECASE), entry["use"])
        for entry in entries
    ]


def python_text(source: str) -> Iterator[tuple[int, str]]:
    """Yield comments, string literals and names of tests, each with the line in which it begins; comments of neighbouring lines as one."""
    previous = ""
    comment: list[str] = []
    begin = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        name = tokenize.tok_name[token.type]
        if name == "COMMENT":
            begin = begin if comment else token.start[0]
            comment.append(token.string)
            continue
        if comment and name != "NL":
            yield begin, "\n".join(comment)
            comment = []
        if name in ("STRING", "FSTRING_MIDDLE"):
            yield token.start[0], token.string
        elif previous == "def" and token.string.startswith("test_"):
            yield token.start[0], token.string.replace("_", " ")
        previous = token.string


def c_text(source: str) -> Iterator[tuple[int, str]]:
    """Yield comments and string literals of C, JavaScript or Java, each with the line in which it begins."""
    for match in C_TEXT.finditer(source):
        yield source.count("\n", 0, match.start()) + 1, match.group()


def text_of(name: str, source: str) -> Iterable[tuple[int, str]]:
    """Return what people read in a file; an empty list for a kind of file that is not checked."""
    suffix = Path(name).suffix
    if suffix == ".py":
        return python_text(source)
    if suffix in C_COMMENTS:
        return c_text(source)
    if suffix in DOCUMENTS | HASH_COMMENTS or Path(name).name in ("Makefile", "Dockerfile", "run") or not suffix:
        return [(1, source)]
    return []


def unwrapped(text: str) -> tuple[str, list[int]]:
    """Return `text` with every line end and indent as one space, and for each of its characters how many lines it is below the first."""
    parts: list[str] = []
    lines: list[int] = []
    below = 0
    for part in _PARTS.findall(text):
        parts.append(" " if part.isspace() or "\n" in part else part)
        lines.extend([below] * len(parts[-1]))
        below += part.count("\n")
    return "".join(parts), lines


def findings(name: str, source: str, banned: list[Word]) -> Iterator[Occurrence]:
    """Yield what is banned in one file."""
    for line, text in text_of(name, source):
        joined, below = unwrapped(text)
        for word in banned:
            for match in word.pattern.finditer(joined):
                yield Occurrence(name, line + below[match.start()], match.group(), word.use)


def tracked() -> list[str]:
    """Return the files that Git knows, relative to the root."""
    git = shutil.which("git")
    if git is None:
        raise SystemExit(".ci/words.py: git is needed to list the files; name them instead")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - Git itself
    return [name for name in listed.stdout.split("\0") if name]


def check(names: Iterable[str]) -> Iterator[Occurrence]:
    """Yield what is banned in the files `names`, relative to the root; binary files are left out."""
    banned = words()
    for name in names:
        if SKIPPED.fullmatch(name) or not (ROOT / name).is_file() or (ROOT / name).is_symlink():
            continue
        try:
            source = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        yield from findings(name, source, banned)


def main() -> int:
    """Print what is banned, or with ``--count`` how many findings each file has."""
    parser = argparse.ArgumentParser(prog=".ci/words.py", description="Check the words of docs, comments and messages.")
    parser.add_argument("--count", action="store_true", help="print the number of findings of each file only")
    parser.add_argument("--documents", action="store_true", help="check Markdown files only")
    parser.add_argument("files", nargs="*", help="files to check, relative to the root; all without it")
    options = parser.parse_args()
    names = options.files or tracked()
    found = list(check(name for name in names if not options.documents or name.endswith(".md")))
    if options.count:
        lines = [f"{number:5} {name}" for name, number in Counter(finding.path for finding in found).most_common()]
        lines.append(f"{len(found):5} in all")
    else:
        lines = [f'{finding.path}:{finding.line}: "{finding.text}": write {finding.use}' for finding in found]
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
