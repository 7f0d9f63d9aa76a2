"""Formats by file name: the ending of a file chooses its format; an unknown ending is refused."""

from __future__ import annotations

from pathlib import PurePath

from dataflows.contract.errors import InputError
from figures.files.formats import FORMATS, TEXTS, FileFormat, csv_format, gzipped

ENDINGS: dict[str, str] = {
    ending: name for name, file_format in FORMATS.items() for ending in (file_format.ending, *file_format.others)
}
"""Key of `FORMATS` by file name ending, in lower case."""

_OTHER_FILES = ("xlsx", "xls", "xlsm", "ods", "numbers", "zip", "zst", "bz2", "xz", "7z", "tar", "tgz")
"""Endings of other file types, which are refused even with `--format`."""

_USE = "use .csv, .tsv, .json, .jsonl or one of these with .gz, .parquet, .feather or .arrows"


def format_of(path: str, name: str | None, csv: FileFormat | None) -> FileFormat:
    """Return the format of the file at `path`: by its ending, else `name` (a key of `FORMATS`), else CSV.

    `csv` is the CSV format if one of its options is given, else None. Raises `InputError` if the ending is unknown, or contradicts `name`
    or `csv`.
    """
    rest, ending = _parted(path.lower()) if path != "-" else ("", "")
    packed = ending == "gz"
    if packed:
        ending = _parted(rest)[1]
        if not ending and name is None:
            raise InputError(f"{path} does not name the format inside; use .csv.gz, .json.gz or .jsonl.gz.")
    known = ENDINGS.get(ending)
    if ending and known is None and (name is None or ending in _OTHER_FILES):
        sheet = (
            " For a spreadsheet use .csv with --bom, and --separator ';' if your spreadsheet has decimal commas."
            if "xls" in ending
            else ""
        )
        raise InputError(f".{ending} files can't be written; {_USE}.{sheet}")
    if name is not None and known is not None and name != known and (name, ending) != ("arrow", "arrow"):
        raise InputError(f"--format {name} and a file that ends in .{ending} contradict each other.")
    form = name or known or "csv"
    if packed and form not in TEXTS:
        raise InputError(f"{path} would be packed twice; leave .gz out.")
    if csv is not None and (form != "csv" or ending == "tsv"):
        raise InputError("--bom, --separator and --decimal-comma are for CSV.")
    chosen = csv_format("\t") if ending == "tsv" else csv or FORMATS[form]
    return gzipped(chosen) if packed else chosen


def _parted(name: str) -> tuple[str, str]:
    """Return a name without its ending, and the ending without its dot; a name such as .csv has no ending."""
    path = PurePath(name)
    return path.stem, path.suffix.removeprefix(".")
