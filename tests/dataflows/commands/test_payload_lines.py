"""Payloads as lines: one each whatever is in it, of the same JSON value, and readable again as editors save them."""

from __future__ import annotations

import base64
import codecs
import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.commands.payload_lines import read_lines, to_line
from dataflows.commands.rejected import corrected
from dataflows.contract.errors import InputError
from dataflows.contract.schema import Rejected
from dataflows.intake.decode import EventDecoder
from tests.support.records import payload

JSON = st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def rejected_event(content: bytes | None) -> Rejected:
    try:
        text, encoded = (None if content is None else content.decode()), None
    except UnicodeDecodeError:
        text, encoded = None, base64.b64encode(content or b"").decode()
    return Rejected("malformed", "", "logs", 0, 0, "2026-01-01T00:00:00Z", text, encoded)


@given(
    JSON.map(lambda value: {"it": value}), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.sampled_from(["", "\ufeff"])
)
def test_the_line_of_a_json_payload_is_json_of_the_same_value(value: object, end: str, ascii_only: bool, bom: str) -> None:
    text = bom + json.dumps(value, indent=1, ensure_ascii=ascii_only).replace("\n", end)
    line = to_line(
        rejected_event(text.encode("utf-8", "surrogatepass"))
        if max(text) < "\ud800" or max(text) > "\udfff"
        else rejected_event(b"{}")
    )
    assert line.isprintable()
    if line != "{}":
        assert json.loads(line) == value


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, ""),
        (b"", ""),
        (b"\xff\xfe{", r"\xff\xfe{"),
        ('{"name":"Caf\xe9"}'.encode("latin-1"), r'{"name":"Caf\xe9"}'),
        ('{"name":"Café"}'.encode("utf-16"), '{"name":"Café"}'),
        ('{"name":"Cafe"}'.encode("utf-16-le"), '{"name":"Cafe"}'),
        (b'{"a":"b\nc"}\n{}', r'{"a":"b\u000ac"} {}'),
        ('{"a":"\u2028\u0085\ufeff\u202e\U000e0001"}'.encode(), r'{"a":"\u2028\u0085\ufeff\u202e\udb40\udc01"}'),
        (b"\x1f\x8b\x08\x00", r"\u001f\x8b\u0008\u0000"),
    ],
)
def test_a_payload_that_is_not_text_is_a_line_too(content: bytes | None, line: str) -> None:
    assert to_line(rejected_event(content)) == line


EVENTS = [payload("a", 0, campaign_id="Ä\u2028b"), payload("b", 1)]
LINES = b"\n".join([*EVENTS, b""]).decode()


@pytest.mark.parametrize(
    "save",
    [
        lambda text: text.encode(),
        lambda text: text.rstrip().replace("\n", "\n\n").encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
        lambda text: text.replace("\n", "\r\n").encode("utf-16"),
        lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: gzip.compress(text.encode("utf-8-sig")),
    ],
)
def test_lines_are_read_as_editors_save_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Callable[[str], bytes]
) -> None:
    file = tmp_path / "mend.jsonl"
    file.write_bytes(save(LINES))
    assert [event for _, event in corrected(file, EventDecoder())] == EVENTS
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(save(LINES))))
    assert [event for _, event in corrected(Path("-"), EventDecoder())] == EVENTS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04rest", "zip archive"),
        (gzip.compress(b"x" * 99, mtime=0)[:-9], "damaged gzip"),
        ("{}".encode("utf-32"), "UTF-32"),
        ("{}x".encode("utf-16")[:-1], "neither UTF-8 nor UTF-16"),
    ],
)
def test_a_file_that_cant_be_read_is_named_with_the_cause(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "mend.jsonl"
    file.write_bytes(content)
    with pytest.raises(InputError, match=rf"mend\.jsonl .*{words}"):
        list(read_lines(file))
