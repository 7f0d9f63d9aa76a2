"""Rates are read from the ECB's files exactly, and a file that can't be used is refused in one line that names the place."""

import datetime as dt
import zipfile
from fractions import Fraction
from pathlib import Path

import pytest

from dataflows.contract.errors import InputError
from figures.rates.files import packaged, read_rates, table_of
from figures.rates.table import RateTable

FRIDAY = dt.date(2026, 11, 27)


def written(folder: Path, text: str | bytes, name: str = "rates.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_packaged_history_has_the_rates_of_the_ecb_as_published() -> None:
    table = packaged()
    assert table.name.startswith("ECB reference rates to 20")
    for currency, published in (("USD", "1.1789"), ("JPY", "133.73"), ("ITL", None)):
        rate = table.rate("EUR", currency, dt.date(1999, 1, 4))
        assert (rate and Fraction(rate.numerator, rate.denominator)) == (published and Fraction(published))
    assert {"USD", "GBP", "JPY", "CHF", "EUR"} <= table.currencies


@pytest.mark.parametrize(
    "text",
    [
        "Date,USD,JPY,\n2026-11-27,1.1172,175.68,\n2026-11-26,1.113,N/A,\n",
        "Date,USD,JPY,\n2026-11-26,1.113,,\n2026-11-27,1.1172,175.68,\n",  # unsorted, an empty cell for N/A
        "\ufeffDate,USD,JPY\r\n2026-11-27,1.1172,175.68\r\n2026-11-26,1.113,N/A\r\n",  # a byte order mark, Windows' line ends
        'Date, USD, JPY, \n"27 November 2026", 1.1172, 175.68, \n\n2026-11-26,1.1130,N/A,\n',  # the ECB's file of the last day
        "Date,EUR,USD,JPY\n2026-11-27,1,1.1172,1.7568e2\n2026-11-26,1.0,1.113,N/A\n",
    ],
)
def test_a_file_may_have_any_form_of_the_ecb(tmp_path: Path, text: str) -> None:
    rates = read_rates(written(tmp_path, text))
    table = RateTable("rates.csv", rates)
    dollars, yen = (table.rate("EUR", currency, FRIDAY) for currency in ("USD", "JPY"))
    assert dollars is not None
    assert yen is not None
    assert (Fraction(dollars.numerator, dollars.denominator), Fraction(yen.numerator, yen.denominator)) == (
        Fraction("1.1172"),
        Fraction("175.68"),
    )
    assert table.rate("EUR", "JPY", dt.date(2026, 11, 26)) is None
    assert table_of(str(tmp_path / "rates.csv")).name == "rates.csv to 2026-11-27"


def test_a_zip_is_read_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "rates.bin"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "not rates")
        archive.writestr("eurofxref-hist.csv", "Date,USD,\n2026-11-27,1.1172,\n")
    assert read_rates(path) == {"USD": {FRIDAY: "1.1172"}}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "line 1: the first line must begin with Date"),
        ("day,USD\n", "line 1: the first line must begin with Date"),
        ("Date;USD\n2026-11-27;1,1\n", "line 1: the first line must begin with Date"),
        ("Date,\n", "line 1: the first line names no currency"),
        ("Date,usd\n", "line 1: 'usd' is not a currency code"),
        ("Date,USD,GBP,USD\n", "line 1: the first line names USD twice"),
        ("Date,USD\n2026-11-27,1.1\n27/11/2026,1.1\n", "line 3: '27/11/2026' is not a day"),
        ("Date,USD\n2026-02-30,1.1\n", "line 2: '2026-02-30' is not a day"),
        ("Date,USD\n2026-11-27,1.1\n\n2026-11-27,1.2\n", "line 4: 2026-11-27 is on line 2 too"),
        ("Date,USD\n2026-11-27,0\n", "line 2: '0' is not a rate of USD"),
        ("Date,USD\n2026-11-27,-1.1\n", "line 2: '-1.1' is not a rate of USD"),
        ("Date,USD\n2026-11-27,nan\n", "line 2: 'nan' is not a rate of USD"),
        ("Date,USD\n2026-11-27,\u0661\n", "line 2: '\u0661' is not a rate of USD"),
        ('Date,USD\n2026-11-27,"1,1"\n', "line 2: '1,1' is not a rate of USD"),
        ("Date,USD\n2026-11-27,1,1\n", "line 2: it has 2 columns after the date, and the first line 1"),
        ("Date,USD,JPY,\n2026-11-27,1.1", "line 2: it has 1 columns after the date"),  # a download that was cut off
        ("Date,USD,,JPY\n2026-11-27,1.1,7,175\n", "line 2: '7' is in a column without a currency"),
        ("Date,EUR,USD\n2026-11-27,1.5,1.1\n", "line 2: the rate of EUR is 1.5"),
        (b"Date,USD\n2026-11-27,1.1\n\xff\xfe", "line 3: it is not UTF-8 text"),
        ('Date,USD\n2026-11-27,"1.1', "line 2: unexpected end of data"),
    ],
)
def test_a_bad_line_is_named_with_its_file(tmp_path: Path, text: str | bytes, line: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError) as refused:
        read_rates(path)
    message = str(refused.value)
    assert message.startswith(f"{path}, {line}")
    assert "\n" not in message


def test_something_else_than_a_file_of_rates_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing.csv can't be read: No such file"):
        read_rates(tmp_path / "missing.csv")
    with pytest.raises(InputError, match="can't be read: Is a directory"):
        read_rates(tmp_path)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "Date,USD\n")
        archive.writestr("b.csv", "Date,USD\n")
    with pytest.raises(InputError, match=r"two.zip holds 2 CSV files"):
        read_rates(tmp_path / "two.zip")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("a.csv", "Date,USD\n2026-11-27,none\n")
    with pytest.raises(InputError, match=r"bad.zip/a.csv, line 2: 'none' is not a rate of USD"):
        read_rates(tmp_path / "bad.zip")
    whole = (tmp_path / "bad.zip").read_bytes()
    cut = written(tmp_path, whole.replace(b"2026", b"2O26"), "damaged.zip")
    with pytest.raises(InputError, match=r"damaged.zip can't be read"):
        read_rates(cut)
