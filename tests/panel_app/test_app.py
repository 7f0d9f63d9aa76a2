"""The dashboard as a process: its command, its probes and its pages."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
from collections.abc import Callable, Iterator

import pytest
from tornado.websocket import WebSocketClosedError

from dataflows.contract.settings import Settings
from figures.service import Service
from panel_app.cli import main
from panel_app.pages.overview import handlers
from panel_app.server import assets, flags
from panel_app.server.assets import embeddable
from panel_app.serving import is_news
from tests.support.dashboards import get, run, server
from tests.support.feeds import World
from tests.support.flows import free_port
from tests.support.results import BEGIN, result
from tests.support.settings import own_names
from tests.support.viewers import Viewer
from tests.support.waiting import until


@pytest.fixture(scope="module")
def address(embedded_broker: str) -> Iterator[str]:
    """A dashboard that holds two minutes of one campaign, for the tests that only read it."""
    settings = own_names(embedded_broker)
    World(settings).send(result(clicks=4321), result(minute=1, clicks=0))
    with server() as start:
        yield start(settings)


def test_a_taken_port_is_one_line_that_names_it_and_the_cure() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        ended = run("--port", str(port))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert str(port) in line
    assert "--port" in line


BAD_FLAGS = [
    ("--port", "x"),
    ("--port", "0"),
    ("--port", "65536"),
    ("--port", "\u0663"),
    ("--nonsense",),
    ("--allow-origin", "https://dash.example.com"),
    ("--allow-origin", "dash.example.com:https"),
    ("--embed-in", "wiki.example.com"),
]


@pytest.mark.parametrize("given", BAD_FLAGS)
def test_bad_flags_end_with_2_and_one_line_that_says_why(given: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(given) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("adtally: ")
    assert line.endswith("(see adtally dashboard --help)")


def test_a_setting_that_cannot_be_used_is_one_line() -> None:
    ended = run("--port", str(free_port()), ADTALLY_STORE_HOURS="many")
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "ADTALLY_STORE_HOURS" in line


def test_an_address_of_ipv6_is_written_in_brackets_and_is_not_an_origin_of_its_own() -> None:
    assert flags.written("::1") == "[::1]"
    assert flags.written("10.0.0.1") == "10.0.0.1"
    assert "10.0.0.1:8503" in flags.origins("10.0.0.1", 8503, [])
    assert not [one for one in flags.origins("::1", 8503, []) if one.count(":") > 1]


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_a_port_in_use_is_reported_on_an_address_of_ipv6_too() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as busy:
        port = busy.getsockname()[1]
        assert flags.taken("::1", port).startswith(f"port {port} on ::1 is already in use")
    assert flags.taken("::1", free_port()) == ""


@pytest.mark.parametrize(("error", "said"), [(WebSocketClosedError(), False), (OSError(), True), (None, True)])
def test_a_tab_that_closes_during_an_answer_is_not_logged(error: Exception | None, said: bool) -> None:
    why = (type(error), error, None) if error else None
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "Task exception was never retrieved", None, why)
    assert is_news(record) is said


@pytest.mark.xdist_group("a dashboard")
def test_health_is_200_while_the_feed_reads_and_tells_what_is_held(address: str) -> None:
    until(lambda: get(f"{address}/healthz")[0] == 200)
    until(lambda: json.loads(get(f"{address}/healthz")[1])["rows"] == 2)


def test_health_is_503_while_no_broker_answers(serve: Callable[..., str]) -> None:
    address = serve(Settings(brokers="127.0.0.1:1"))
    until(lambda: '"down"' in get(f"{address}/healthz")[1])
    assert get(f"{address}/healthz")[0] == 503


@pytest.mark.xdist_group("a dashboard")
def test_both_pages_and_every_module_are_served_from_here_with_the_figures_in_them(address: str) -> None:
    until(lambda: '"rows":2' in get(f"{address}/healthz")[1])
    status, body = get(f"{address}/")
    assert status == 200
    assert '"value":4321' in body
    for module in assets.modules():
        assert get(f"{address}/{module.removeprefix('./')}")[0] == 200
    status, body = get(f"{address}/explore")
    assert status == 200
    assert "adtally/explore.js" in body
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', body)


@pytest.mark.long
def test_panel_serve_offers_both_pages_without_a_flag(settings: Settings, serve: Callable[..., str]) -> None:
    World(settings).send(result())
    address = serve(settings, "-m", "panel", "serve", "panel_app/app.py", "--port", "{port}")
    assert "adtally/main.js" in get(f"{address}/app")[1]
    assert "adtally/explore.js" in get(f"{address}/app?page=explore")[1]


def test_a_viewer_is_a_page_with_a_connection_and_none_that_was_only_fetched_or_closed(
    serve: Callable[..., str], settings: Settings
) -> None:
    address = serve(settings)

    def viewers(number: int) -> bool:
        return f'"viewers":{number},' in get(f"{address}/healthz")[1]

    async def come_and_go() -> None:
        viewer = await Viewer(f"{address}/").open()
        until(lambda: viewers(1))
        viewer.close()

    assert get(f"{address}/")[0] == 200
    assert viewers(0)
    asyncio.run(come_and_go())
    until(lambda: viewers(0))


def test_viewers_of_one_view_share_one_answer_and_get_no_page_that_they_have(settings: Settings) -> None:
    service = Service(settings)
    service.store.apply([result()])
    first = json.loads(service.answer("range=1h", number=1))
    assert first["page"]["tiles"]
    again = json.loads(service.answer("range=1h&theme=dark", number=2, have=first["token"]))
    assert again["page"] is None
    assert again["id"] == 2
    other = json.loads(service.answer("range=15m", have=first["token"]))
    assert other["page"] is not None


def test_every_viewer_sees_a_clear_with_what_an_undo_would_restore(settings: Settings) -> None:
    service = Service(settings)
    service.store.apply([result(), result(minute=1)])
    assert service.clear() == 2
    live = json.loads(service.answer(""))["live"]
    assert (live["rows"], live["undo_rows"], live["cleared"]) == (0, 2, True)
    assert service.undo() == 2
    live = json.loads(service.answer(""))["live"]
    assert (live["rows"], live["undo_rows"], live["cleared"]) == (2, 0, False)


def test_an_embedded_page_has_nothing_that_could_clear(settings: Settings) -> None:
    service = Service(settings)
    assert {"clear", "undo"} <= set(handlers(service))
    assert set(handlers(service, read_only=True)) == {"view", "names", "download"}


def test_no_name_can_end_the_script_element_that_carries_it() -> None:
    assert "<" not in embeddable(json.dumps({"name": "</script><script>alert(1)</script>"}).encode())


def test_age_is_measured_from_the_end_of_the_newest_window(settings: Settings) -> None:
    service = Service(settings, clock=lambda: BEGIN + 60 + 95.0)
    assert json.loads(service.answer(""))["live"]["age"] is None
    service.store.apply([result()])
    assert json.loads(service.answer(""))["live"]["age"] == 95.0
