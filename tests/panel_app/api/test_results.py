"""`/api/results` and the other addresses of its own: right answers, one line for wrong questions, and headers that keep them harmless."""

from __future__ import annotations

import base64
import gzip
import http.client
import io
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from adtally.__main__ import main
from dataflows.contract.breakdowns import Value, topic_of
from dataflows.contract.errors import InputError
from dataflows.contract.schema import breakdown_codec, breakdown_key, rfc3339
from dataflows.contract.settings import Settings
from figures.files.formats import FORMATS
from figures.store.store import Store
from figures.views.result_table import table
from figures.views.selection import INTERVALS, selection
from panel_app.api.results import PARAMETERS, asked_for
from tests.support.dashboards import ROOT, get, server
from tests.support.feeds import World
from tests.support.flows import environment
from tests.support.results import BEGIN, result
from tests.support.settings import own_names
from tests.support.waiting import until

DEVICES: dict[Value, int] = {"phone": 1, "(other)": 2, None: 3, True: 4}
HOSTILE = ['=HYPERLINK("http://evil.example","x")', "<script>alert(1)</script>", 'a"\r\nSet-Cookie: x=1']


def ask(address: str, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (names in small letters) and body."""
    place = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


@pytest.fixture(scope="module")
def five_minutes(embedded_broker: str) -> Settings:
    """Settings of results that hold five minutes of four campaigns, three of them with hostile names."""
    settings = msgspec.structs.replace(own_names(embedded_broker), breakdowns="device", event_types="lead")
    names = ["sale", *HOSTILE]
    world = World(settings)
    world.send(*(result(minute, name, clicks=minute + 1, counts={"lead": 2}) for minute in range(5) for name in names))
    (device,) = settings.breakdown_list
    codec = breakdown_codec(device)
    for minute, (value, clicks) in itertools.product(range(5), DEVICES.items()):
        row = result(minute, clicks=clicks, counts={"lead": 1})
        key = breakdown_key(row.window_start, row.campaign_id, row.channel, (value,), row.currency)
        world.producer.produce(topic_of(settings.results_topic, device), codec.encode(row, (value,)), key)
    assert world.producer.flush(30) == 0
    return settings


@pytest.fixture(scope="module")
def address(five_minutes: Settings) -> Iterator[str]:
    """A dashboard that holds them, for the tests that only read it."""
    with server() as start:
        found = start(five_minutes)
        until(lambda: '"rows":20' in get(f"{found}/healthz")[1])
        yield found


@pytest.mark.xdist_group("the api")
def test_the_api_answers_in_every_format_with_harmless_headers(address: str) -> None:
    status, headers, body = ask(address, "/api/results?campaign=sale")
    told = json.loads(body)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert [row["clicks"] for row in told["rows"]] == [1, 2, 3, 4, 5]
    assert (told["count"], told["complete"], told["currency"]) == (5, True, "USD")
    assert (told["from"], told["to"]) == (rfc3339(BEGIN), rfc3339(BEGIN + 300))

    _, headers, body = ask(address, "/api/results?format=csv&interval=total")
    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="adtally-total-[0-9TZ-]+-UTC-USD\.csv"', headers["content-disposition"])
    assert "set-cookie" not in headers
    assert not re.search(rb"(^|\n|,|\")[=+@-]", body)

    _, _, body = ask(address, "/api/results?format=parquet&interval=hour&by=campaign")
    assert sorted(pl.read_parquet(body)["campaign_id"]) == sorted(["sale", *HOSTILE])
    _, _, body = ask(address, f"/api/results?format=arrow&campaign={urllib.parse.quote(HOSTILE[0])}&limit=2")
    assert pl.read_ipc_stream(io.BytesIO(body))["clicks"].to_list() == [1, 2]

    many = "&".join(f"campaign=c{at}" for at in range(10_000))
    assert json.loads(ask(address, f"/api/results?{many}&campaign=sale")[2])["count"] == 5
    page = ask(address, f"/?{many}&campaign=sale&rows=all")[2].decode()
    first = json.loads(re.findall(r'id="first">(.*?)</script>', page)[0])
    assert ([row["name"] for row in first["page"]["campaigns"]["rows"]], first["notes"]) == (["sale"], [])
    status, _, body = ask(address, f"/api/results?campaign={'a' * 2**20}")
    assert (status, b"longer than" in body) == (400, True)

    status, headers, body = ask(address, "/api/results?limit=2&tz=Asia/Kathmandu&currency=JPY&week=sunday&format=csv", "HEAD")
    assert (status, body, headers["x-adtally-rows"], headers["x-adtally-complete"]) == (200, b"", "2", "false")
    assert (headers["x-adtally-tz"], headers["x-adtally-currency"], headers["x-adtally-week"]) == (
        "Asia/Kathmandu",
        "JPY",
        "sunday",
    )
    assert headers["x-adtally-rates"].startswith("ECB reference rates to ")
    assert int(headers["x-adtally-rates-days-from-earlier"]) >= 0
    assert headers["content-disposition"].endswith('-Asia-Kathmandu-JPY.csv"')

    for path, wanted in (("/api/results?format=csv", 200), ("/healthz", 200), ("/api/results?from=<script>", 400)):
        status, headers, body = ask(address, path)
        assert status == wanted
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "server" not in headers
    assert list(json.loads(body)) == ["error"]
    assert b"script" not in body
    status, headers, body = ask(address, "/api/results", "POST")
    assert (status, headers["content-type"]) == (405, "application/json")


@pytest.mark.xdist_group("the api")
def test_a_breakdown_is_asked_for_by_name_field_and_value(address: str, five_minutes: Settings) -> None:
    def rows(query: str) -> list[dict[str, Any]]:
        status, _, body = ask(address, f"/api/results?interval=total&{query}")
        assert status == 200, body
        return json.loads(body)["rows"]

    until(lambda: len(rows("breakdown=device")) == 4)
    for query in ("breakdown=device", "breakdown=device&by=device", "by=campaign,channel,device"):
        assert {row["device"]: row["clicks"] for row in rows(query)} == {value: 5 * clicks for value, clicks in DEVICES.items()}
    assert [row["device"] for row in rows("by=device")] == ["(other)", "phone", None, True]
    assert [row["counts"] for row in rows("by=none")] == [{"lead": 5 * 4 * 2}]
    filters = {
        "device=phone&by=none": 5,
        "f.device=phone&f.device.null=1&by=none": 20,
        "x.device.other=1&by=none": 30,
        "device=pc": 0,
    }
    for query, clicks in filters.items():
        assert sum(row["clicks"] for row in rows(query)) == clicks
    for query in ("breakdown=ad", "by=city", "x.device.null=2", "f.city=a", "devise=phone"):
        assert ask(address, f"/api/results?{query}")[0] == 400

    done = export(five_minutes, "--breakdown", "device", "--interval", "total", "--filter", "x.device=phone", "--out", "-")
    assert done.returncode == 0, done.stderr
    read = pl.read_csv(io.StringIO(done.stdout))
    assert read.select("device", "other", "clicks", "counts.lead").rows() == [
        ("(other)", False, 10, 5),
        (None, False, 15, 5),
        (None, True, 20, 5),
    ]
    wrong = export(five_minutes, "--filter", "city=Rome", "--out", "-")
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)


@pytest.mark.xdist_group("the api")
def test_what_a_page_asks_is_answered_at_plain_addresses_too(address: str) -> None:
    status, headers, body = ask(address, "/api/view?campaign=sale&rows=all&nonsense=1")
    told = json.loads(body)
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "application/json", "private, no-cache")
    page = ask(address, "/?campaign=sale&rows=all&nonsense=1")[2].decode()
    first = json.loads(re.findall(r'id="first">(.*?)</script>', page)[0])
    assert {name: told[name] for name in ("page", "view", "notes", "attention", "token")} == {
        name: first[name] for name in ("page", "view", "notes", "attention", "token")
    }
    assert told["notes"]

    # The same figures have the same tag, however much time has passed; another view has another one.
    tag = headers["etag"]
    status, headers, body = ask(address, "/api/view?campaign=sale&rows=all&nonsense=1", **{"If-None-Match": tag})
    assert (status, headers["etag"], body) == (304, tag, b"")
    assert ask(address, "/api/view?campaign=sale&rows=all", **{"If-None-Match": tag})[0] == 200
    status, headers, body = ask(address, "/api/view?rows=all", **{"Accept-Encoding": "gzip"})
    assert (status, headers["content-encoding"], headers["vary"]) == (200, "gzip", "Accept-Encoding")
    assert len(json.loads(gzip.decompress(body))["page"]["campaigns"]["rows"]) == 4

    assert json.loads(ask(address, "/api/names?dimension=campaign&search=SAL")[2])["names"] == ["sale"]
    assert json.loads(ask(address, "/api/stock?reason=late")[2])["stock"]["rows"] == 20
    assert json.loads(ask(address, "/api/table?by=campaign&kind=bar&campaign=sale")[2])["total"] == 1
    sheet = json.loads(ask(address, "/api/sheet?what=campaigns&format=csv&campaign=sale")[2])
    rows = base64.b64decode(sheet["data"]).decode("utf-8-sig").splitlines()
    assert (len(rows), "sale" in rows[1]) == (2, True)

    status, _, body = ask(address, f"/api/names?search={'a' * 2**20}")
    assert (status, b"longer than" in body) == (400, True)
    assert [ask(address, path, "POST")[0] for path in ("/api/view", "/api/names", "/api/clear")] == [405, 405, 404]
    assert ask(address, "/api/view", "HEAD")[2] == b""


@pytest.mark.xdist_group("the api")
def test_an_embed_is_confined_at_plain_addresses_as_on_its_connection(address: str) -> None:
    told = json.loads(ask(address, "/api/view?embed=1&campaign=sale&rows=all")[2])
    assert [row["name"] for row in told["page"]["campaigns"]["rows"]] == ["sale"]
    assert {one["campaign"] for one in told["attention"]["findings"]} <= {"sale"}
    assert json.loads(ask(address, "/api/table?embed=1&campaign=sale&by=campaign&kind=bar")[2])["total"] == 1
    assert ask(address, "/api/names?embed=1&campaign=sale&dimension=campaign")[0] == 400


QUESTIONS = [
    "from=yesterday",
    "format=xml",
    "limit=0",
    "limit=-1",
    "limit=1e3",
    "limit=99999999999",
    "limit=",
    "interval=",
    "interval=%00",
    "by=",
    "unknown=1",
    "campaing=a",
    "campaign=%ff",
    "campaign=",
    "channel=&channel=search",
    "campaign=a&campaign",
    "from=",
    "to=",
    "format=json&format=csv",
    "format=csv&separator=",
    "format=csv&separator=%3B%3B",
    "format=csv&separator=a",
    "format=csv&bom=yes",
    "format=csv&bom=",
    "format=csv&decimal_comma=1",
    "format=json&bom=1",
    "format=parquet&separator=;",
    "separator=;&separator=,",
    "limit=1&limit=2",
    "from",
    "&&",
    "to=2026-01-01T00:00:00",
    "campaign=" + "a" * 2**20,
]


@pytest.mark.parametrize("query", [text for text in QUESTIONS if text not in ("interval=", "by=")])
def test_a_bad_question_is_one_line_that_repeats_nothing(query: str) -> None:
    with pytest.raises(InputError) as caught:
        asked_for(query)
    assert len(str(caught.value).splitlines()) == 1
    assert "yesterday" not in str(caught.value)


@pytest.mark.parametrize("query", ["", "interval=", "by="])
def test_what_is_left_empty_is_at_its_default(query: str) -> None:
    asked, form, _ = asked_for(query)
    assert (asked.start, asked.interval, asked.by, form) == (None, "minute", ("campaign", "channel"), FORMATS["json"])


@pytest.mark.parametrize(
    "query", ["format=csv&bom=1&separator=;", "bom=1&separator=%3B", "bom=1&separator=%3b&format=csv&limit=2"]
)
def test_csv_for_spreadsheets_is_asked_for_in_the_query(query: str) -> None:
    _, form, _ = asked_for(query)
    assert b"".join(form.write(pl.DataFrame({"a": [1.5], "b": ["x;y"]}), {})) == b'\xef\xbb\xbfa;b\r\n1.5;"x;y"\r\n'


def test_under_a_login_the_api_wants_it_and_the_probe_does_not(settings: Settings, serve: Callable[..., str]) -> None:
    World(settings).send(result())
    flags = ("--basic-auth", "secret", "--cookie-secret", "crumbs", "--plugins", "panel_app.routes")
    found = serve(settings, "-m", "panel", "serve", "panel_app/app.py", "--port", "{port}", *flags)
    assert get(f"{found}/healthz")[0] in (200, 503)
    status, headers, body = ask(found, "/api/results")
    assert status == 401
    assert "location" not in headers
    assert "log in" in json.loads(body)["error"]


def export(settings: Settings, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "adtally", "export", *flags]
    return subprocess.run(command, cwd=ROOT, env=environment(settings), capture_output=True, text=True, timeout=120, check=False)


def test_the_command_writes_what_the_api_answers(settings: Settings, tmp_path: Path) -> None:
    world = World(settings)
    world.send(*(result(minute, name, clicks=1) for minute in range(5) for name in ("sale", *HOSTILE)))
    world.send(b"no result", result(3, "sale", clicks=9, revision=13), result(minute=1, currency="euro"))
    out = tmp_path / "results.parquet"
    done = export(settings, "--campaign", "sale", "--from", rfc3339(BEGIN + 60), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(out)["clicks"].to_list() == [1, 1, 9, 1]
    (line,) = done.stderr.splitlines()
    assert "4 rows written" in line
    assert "2 records" in line
    # Partitions are read in any order, so either of the two may be the last.
    assert "(the last: its currency is 'euro'" in line or "(the last: JSON is malformed" in line
    assert [one.name for one in tmp_path.iterdir()] == ["results.parquet"]

    again = export(settings, "--out", str(out))
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert len(pl.read_parquet(out)) == 4
    assert export(settings, "--out", str(out), "--force", "--interval", "total", "--by", "none").returncode == 0
    assert pl.read_parquet(out)["clicks"].to_list() == [1 * 20 + 8]

    text = export(settings, "--interval", "hour", "--bom", "--separator", ";", "--out", "-").stdout
    assert text.splitlines()[0].startswith("\ufeffwindow_start;window_end;campaign_id")
    assert "'=HYPERLINK" in text


CANNOT = [
    (("--out", "{folder}"), 2, "folder"),
    (("--out", "{folder}/no/such/file.csv"), 2, "can't be written"),
    (("--out", "{folder}/x.csv", "--from", "tomorrow"), 2, "RFC 3339"),
    (("--out", "{folder}/x.csv", "--interval", "fortnight"), 2, "interval"),
    (("--out", "{folder}/x.csv", "--tz", "Europe/Berln"), 2, "was Europe/Berlin meant"),
    (("--out", "{folder}/x.csv", "--range", "today", "--to", "2026-01-01"), 2, "range can't be given together"),
    (("--out", "{folder}/x.xlsx", "--force"), 2, "--bom"),
    (("--out", "{folder}/x.csv", "--separator", ";;"), 2, "separator must be one of"),
    (("--out", "{folder}/x.csv", "--campaign", ""), 2, "campaign is given without a name"),
    (("--out", "{folder}/x.csv", "--channel", os.fsdecode(b"\xff")), 2, "not UTF-8"),
]


@pytest.mark.xdist_group("the api")
@pytest.mark.parametrize("cannot", CANNOT)
def test_what_the_command_cannot_do_is_one_line_and_leaves_nothing(
    five_minutes: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cannot: tuple[tuple[str, ...], int, str],
) -> None:
    flags, code, words = cannot
    monkeypatch.setenv("ADTALLY_BROKERS", five_minutes.brokers)
    monkeypatch.setenv("ADTALLY_RESULTS_TOPIC", five_minutes.results_topic)
    assert main(["export", *(flag.format(folder=tmp_path) for flag in flags)]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert list(tmp_path.iterdir()) == []


DOCS = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of docs/api.md in a language."""
    return re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)


@pytest.mark.xdist_group("the api")
def test_every_example_of_the_documentation_runs(address: str, five_minutes: Settings, tmp_path: Path) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    urls = re.findall(r"http://localhost:8503(/[^'\"]*)", "\n".join([*lines, *blocks("python")]))
    assert len(urls) == 7
    for url in urls:
        assert ask(address, url)[0] == 200, url
    commands = [shlex.split(line) for line in lines if line.startswith("adtally export")]
    assert len(commands) == 3
    for command in commands:
        flags = [str(tmp_path / flag) if flag.startswith(("results.", "day.")) else flag for flag in command[2:]]
        done = export(five_minutes, *flags)
        assert done.returncode == 0, done.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["day.csv", "results.parquet"]


def test_the_documentation_names_every_parameter_format_interval_and_column() -> None:
    told = set(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", DOCS, flags=re.DOTALL)))
    store = Store()
    store.apply([result()])
    columns = table(store.snapshot(), selection({}), window=60, currency="USD").frame.columns
    assert set(PARAMETERS) | set(FORMATS) | set(INTERVALS) | set(columns) <= told
