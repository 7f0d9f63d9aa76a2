"""Files as people have them: each is read whatever program wrote it, or refused in one line that names the cause."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import lzma
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.contract.errors import InputError
from generator import cli
from generator.formats.base import BadRows, Context
from generator.formats.encodings import encoding_of
from generator.formats.inputs import Input, gather
from generator.formats.own import JsonLinesFormat
from generator.formats.registry import FORMATS
from tests.support.replays import BANDIT, HEADER, RETAIL, line, replay

ROOT = Path(__file__).parents[2]
PLAIN = RETAIL.read_bytes()
PAYLOADS = replay("online-retail", RETAIL).payloads


def separated(separator: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows(csv.reader(PLAIN.decode().splitlines()))
    return text.getvalue().encode()


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def compressed(codec: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(PLAIN)
    return sink.getvalue().to_pybytes()


def header_as(rename: Callable[[bytes], bytes]) -> bytes:
    head, _, rest = PLAIN.partition(b"\n")
    return rename(head) + b"\n" + rest


READ = {
    "UTF-8 with a mark": b"\xef\xbb\xbf" + PLAIN,
    "UTF-16 little-endian": PLAIN.decode().encode("utf-16"),
    "UTF-16 big-endian with a mark": b"\xfe\xff" + PLAIN.decode().encode("utf-16-be"),
    "UTF-16 without a mark": PLAIN.decode().encode("utf-16-le"),
    "UTF-16 big-endian without a mark": PLAIN.decode().encode("utf-16-be"),
    "UTF-32": PLAIN.decode().encode("utf-32"),
    "UTF-16 with tabs and CRLF": separated("\t").decode().encode("utf-16"),
    "semicolons": separated(";"),
    "bars": separated("|"),
    "tabs": separated("\t"),
    "sep=": b"sep=,\r\n" + PLAIN,
    "sep=; after a mark": b"\xef\xbb\xbfSEP=;\r\n" + separated(";"),
    "sep= in quotes": b'"sep=;"\n' + separated(";"),
    "sep= with another character": b"sep=^\n" + separated("^"),
    "sep= with a tab": b"sep=\t\n" + separated("\t"),
    "sep= with a tab in letters": b"sep=\\t\n" + separated("\t"),
    "sep= with separators behind": b"sep=;;;;;\n" + separated(";"),
    "a blank first line": b"\n" + PLAIN,
    "blank lines of several kinds": b"\r\n  \r\n,,,,,,,\r\n" + PLAIN,
    "line ends of old Macs": PLAIN.replace(b"\n", b"\r"),
    "no line end at the end": PLAIN.rstrip(b"\n"),
    "a header in capitals": header_as(bytes.upper),
    "a header with blanks": header_as(lambda head: head.replace(b"No", b" No").replace(b",", b" , ")),
    "a header with underscores": header_as(lambda head: head.replace(b"erID", b"er_id").replace(b"eD", b"e_d")),
    "a header in quotes over two lines": b'"Remark\nof mine",' + PLAIN.replace(b"\n", b"\nx,").removesuffix(b"x,"),
    "gzip": gzip.compress(PLAIN),
    "gzip of gzip": gzip.compress(gzip.compress(PLAIN)),
    "gzip in two members": gzip.compress(PLAIN[:1000]) + gzip.compress(PLAIN[1000:]),
    "bzip2": bz2.compress(PLAIN),
    "xz": lzma.compress(PLAIN),
    "zstd": compressed("zstd"),
    "lz4": compressed("lz4"),
    "zip": zipped(**{"a.csv": PLAIN, "__MACOSX/._a.csv": b"x"}),
    "gzip of zip of gzip": gzip.compress(zipped(a=gzip.compress(PLAIN))),
    "zip of UTF-16": zipped(a=PLAIN.decode().encode("utf-16")),
}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
def test_a_file_is_read_by_its_content_whatever_its_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "export"
    path.write_bytes(READ[kind])
    assert replay("online-retail", path).payloads == PAYLOADS


REFUSED = {
    "a gzip that is cut off": (gzip.compress(PLAIN)[:-20], "gzip data is cut off or damaged"),
    "a gzip that is damaged": (gzip.compress(PLAIN)[:300] + b"\0" * 100, "gzip data is cut off or damaged"),
    "a gzip with something behind": (gzip.compress(PLAIN) + b"more", "gzip data is cut off or damaged"),
    "gzip, five times": (gzip.compress(gzip.compress(gzip.compress(gzip.compress(gzip.compress(PLAIN))))), "more than 4 times"),
    "a bzip2 that is cut off": (bz2.compress(PLAIN)[:-20], "bzip2 data is cut off"),
    "an xz that is cut off": (lzma.compress(PLAIN)[:-20], "xz data is cut off"),
    "a zstd that is damaged": (compressed("zstd")[:200] + b"\xff" * 50, "zstd data is cut off or damaged"),
    "a zip that is cut off": (zipped(a=PLAIN)[:-40], "zip data is cut off"),
    "a zip of two": (zipped(a=PLAIN, b=PLAIN), "a zip must hold one file, and this one holds 2: a, b"),
    "a zip of none": (zipped(), "a zip must hold one file, and this one holds 0"),
    "a zip that is encrypted": (zipped(a=PLAIN).replace(b"\x14\0\0\0\x08\0", b"\x14\0\x01\0\x08\0"), "zip member is encrypted"),
    "an Excel workbook": (zipped(**{"[Content_Types].xml": b"", "xl/a.xml": b""}), "an Excel workbook (xlsx, a zip)"),
    "an old Excel workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (xls)"),
    "7-Zip": (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    "Parquet": (b"PAR1", "a Parquet file"),
    "tar": (b"a.csv".ljust(257, b"\0") + b"ustar\x0000".ljust(255, b"\0"), "a tar archive"),
    "nothing": (b"", "the file is empty; its first line must name the columns InvoiceNo"),
    "blank lines": (b"\n\r\n;;;\n", "the file is empty except for blank lines"),
    "no header": (PLAIN.partition(b"\n")[2], "no column InvoiceNo, StockCode, "),
    "a column too few": (separated(";").replace(b"Country", b"Land", 1), "no column Country in its first line (read with semicolons)"),
    "a column too few, and tabs": (separated("\t").replace(b"Country", b"Land", 1), "(read with tabs)"),
    "a column twice": (PLAIN.replace(b"Description", b"unit price", 1), "column UnitPrice appears twice, as columns 3 and 6"),
    "sep= that is wrong": (b"sep=;\n" + PLAIN, "in line 2, below sep=;;"),
    "other columns below a blank line": (b"\n\nfoo,bar\n", "in line 3, below its blank first line (read with commas)"),
    "sep= without one": (b"sep=\n" + PLAIN, "sep=, must name one character"),
    "sep= with a word": (b"sep=comma\n" + PLAIN, "must name one character"),
    "UTF-16 that is cut off": (PLAIN.decode().encode("utf-16")[:-1], "it is not UTF-16 text to its end"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_can_not_be_read_is_refused_by_its_cause(tmp_path: Path, kind: str) -> None:
    content, words = REFUSED[kind]
    path = tmp_path / "export.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        replay("online-retail", path)
    assert str(refused.value).startswith(f"{path}: ")
    assert words.lower() in str(refused.value).lower()


def test_jsonl_is_read_in_utf_16_and_compressed_too(tmp_path: Path) -> None:
    lines = b"\n".join(PAYLOADS)
    for content in (lines.decode().encode("utf-16"), zipped(a=lines), b"\xef\xbb\xbf\n\n" + lines, b"\n\n \n", b""):
        (tmp_path / "events").write_bytes(content)
        assert replay("jsonl", tmp_path / "events").payloads == (PAYLOADS if len(content) > 9 else [])
    (tmp_path / "events").write_bytes(gzip.compress(lines)[:-40])
    with pytest.raises(InputError, match="gzip data is cut off"):
        replay("jsonl", tmp_path / "events")


def test_a_quote_that_is_never_closed_makes_its_row_bad_and_swallows_none(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    opened, closed = line(country='"France'), line(country='"Fr\nance"')
    path.write_text("\n".join([HEADER, line(), opened, line(), ""]))
    found = replay("online-retail", path)
    assert (len(found.events), found.bad) == (1, {"not CSV (a quote that is never closed)": 1})
    assert "quotes.csv:3-4: " in found.said[0]
    path.write_text("\n".join([HEADER, line(), closed]))
    assert [event.campaign_id for event in replay("online-retail", path).events] == ["France", "Fr\nance"]


def test_text_of_windows_is_read_in_the_encoding_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "windows.csv"
    path.write_bytes(f"{HEADER}\n{line(country='Österreich')}\n".encode("cp1252"))
    assert replay("online-retail", path).bad == {"Country is not UTF-8": 1}
    assert replay("online-retail", path, encoding="cp1252").events[0].campaign_id == "Österreich"


def test_zero_bytes_alone_do_not_make_a_file_utf_16() -> None:
    assert encoding_of(b"\0" * 512) == "utf-8"
    assert encoding_of(b"") == encoding_of(b"a") == encoding_of(b"a\0bcdefgh") == "utf-8"


def test_a_line_without_an_end_is_one_bad_row_and_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    good = line(invoice="1").encode()
    with path.open("wb") as file:
        file.write(HEADER.encode() + b"\n" + good + b"\n")
        file.seek(20_000_000, os.SEEK_CUR)
        file.write(b"\n" + good + b"\n")
    found = replay("online-retail", path)
    assert (len(found.events), found.bad) == (2, {"not CSV (a line of more than 1,048,576 characters)": 1})
    path.write_bytes(PAYLOADS[0] + b"\n" + b" " * 5_000_000 + b"x\n" + PAYLOADS[1])
    for keep_bad in (False, True):
        found = replay("jsonl", path, keep_bad=keep_bad)
        assert found.payloads == PAYLOADS[:2]
        assert list(found.bad.values()) == [1]


def run(form: str, *names: str, stdin: bytes | None = None, before: str = "") -> tuple[int, list[bytes], str]:
    """The command in a process of its own, for what it is given as standard input."""
    command = f"{before} exec {sys.executable} -m generator replay --dry-run --quiet --format {form} {' '.join(names)}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, input=stdin, capture_output=True, timeout=120, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr.decode()


def test_standard_input_is_read_once_and_in_any_form() -> None:
    assert run("online-retail", "-", stdin=gzip.compress(PLAIN))[:2] == (0, PAYLOADS)
    assert run("online-retail", f"<(cat {RETAIL})", "/dev/stdin", stdin=HEADER.encode())[:2] == (0, PAYLOADS)
    code, lines, said = run("online-retail", "-", "-", stdin=PLAIN)
    assert (code, lines, said) == (2, [], "adtally: standard input: named twice; each file is replayed once.\n")


def test_a_closed_standard_input_and_an_empty_pipe_are_one_line() -> None:
    code, lines, said = run("jsonl", "- <&-")
    assert (code, lines, said) == (2, [], "adtally: standard input: it is closed.\n")
    code, lines, said = run("online-retail", "<(true)")
    assert (code, lines) == (2, [])
    assert "the file is empty" in said


@pytest.mark.parametrize("shut", ["2>&-", "2>/dev/full"])
def test_what_can_not_be_said_neither_ends_a_dry_run_nor_mixes_with_its_events(shut: str) -> None:
    assert run("online-retail", str(RETAIL), shut)[:2] == (0, PAYLOADS)


def test_a_replay_that_is_interrupted_while_it_reads_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"x\n" * 100_000)
    file = Input(str(tmp_path / "bad"), stopped=lambda: complaints.count > 10_000)
    complaints = BadRows()
    with pytest.raises(KeyboardInterrupt):
        list(JsonLinesFormat().read(file, Context()).rows(complaints))


def test_a_file_whose_name_is_not_utf_8_has_keys_that_are(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.jsonl")
    path.write_bytes(b"{")
    assert [row.identity for row in JsonLinesFormat().read(Input(str(path)), Context(keep_bad=True)).rows(BadRows())] == [
        "�.jsonl-1"
    ]


def test_a_named_pipe_is_waited_for_and_waiting_ends_on_request(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(PLAIN))
    writer.start()
    assert replay("online-retail", path).payloads == PAYLOADS
    writer.join()
    with pytest.raises(KeyboardInterrupt):
        Input(str(path), stopped=lambda: True).open()


def test_what_can_not_be_opened_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, words in (
        ("missing.csv", "no such file"),
        ("x" * 300, "file name too long"),
        ("file/a.csv", "not a directory"),
    ):
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match=words):
            gather([str(tmp_path / name)], (".csv",))
    full = io.FileIO("/dev/full", "r+")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full)
    read, write = os.pipe()
    os.write(write, PLAIN[:100])
    os.close(write)
    with pytest.raises(InputError, match=r"can't hold /dev/fd/\d+: no space left on device; set TMPDIR"):
        Input(f"/dev/fd/{read}").open()
    os.close(read)


CELLS = ["1", "-1", "2,5", "1.234", "2010-12-01", "C1", "1/2/2010", "1291191960", "0001-01-01", "9" * 40]
ROWS = st.lists(st.lists(st.one_of(st.text(max_size=8), st.sampled_from(CELLS)), min_size=4, max_size=8), max_size=12)
HEADS = [b"", PLAIN[:700], BANDIT.read_bytes()[:3000], PAYLOADS[0], gzip.compress(PLAIN)[:200]]


@pytest.mark.parametrize("form", ["online-retail", "open-bandit"])
@settings(max_examples=50)
@given(rows=ROWS)
def test_good_and_bad_rows_are_all_rows_whatever_is_in_them(form: str, rows: list[list[str]]) -> None:
    head = HEADER.split(",") if form == "online-retail" else ["timestamp", "item_id", "position", "click"]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([head, *rows])
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))
        try:
            found = replay(form, Path(file.name), dates="day-first", decimal="comma")
        except InputError:
            return
    clicks = sum(event.event_type == "click" for event in found.events)
    assert len(found.events) - clicks + found.bad.total() == len(rows)


@pytest.mark.parametrize("form", sorted(FORMATS))
@settings(max_examples=50)
@given(head=st.sampled_from(HEADS), rest=st.binary(max_size=200))
def test_any_bytes_are_rows_or_one_error(form: str, head: bytes, rest: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(head + rest)
        with contextlib.suppress(InputError):
            replay(form, Path(file.name))


def test_the_summary_says_how_a_column_was_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "semicolons.csv"
    path.write_text(f"{HEADER.replace(',', ';')}\n1;A;x;2;13/12/2010 08:26;2,55;1;France\n2;A;x;2;13/12/2010 08:26;?;1;France\n")
    assert cli.main(["replay", "--dry-run", "--quiet", "--format", "online-retail", str(path)]) == 0
    assert capsys.readouterr().err.splitlines()[1:] == [
        f"adtally: InvoiceDate is read day-first, as line 2 of {path} (13/12/2010 08:26) decides",
        f"adtally: numbers are read with decimal commas, as in line 2 of {path} (2,55)",
        "adtally: sent 1, acknowledged 1, failed 0, bad rows 1",
    ]
