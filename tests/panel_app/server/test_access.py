"""Who may see the dashboard, and the security headers of its answers."""

from __future__ import annotations

import base64
import hashlib
import http.cookiejar
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jinja2
import psutil
import pytest
from msgspec.structs import replace
from panel.config import config
from tornado.web import create_signed_value
from typing_extensions import override

from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings
from panel_app.server import login as login_module
from panel_app.server.access import PREFIX, TABLE, Access, from_environment, is_loopback
from panel_app.server.bridge import Bridge
from panel_app.server.dashboard import Dashboard
from panel_app.server.gate import Gate
from panel_app.server.headers import digests, policy
from tests.support.certificates import Authority
from tests.support.dashboards import ROOT, get, run
from tests.support.feeds import World
from tests.support.flows import environment, free_port
from tests.support.results import result
from tests.support.waiting import until

PASSWORD = "dash-pass-4715"
SECRET = "oauth-secret-4716"
OAUTH = {f"{PREFIX}OAUTH_PROVIDER": "generic", f"{PREFIX}OAUTH_KEY": "adtally", f"{PREFIX}OAUTH_SECRET": SECRET}


def test_without_variables_nothing_is_asked_and_only_this_machine_is_let_in() -> None:
    assert not from_environment({}).wants_login
    gate = Gate(from_environment({}))
    assert gate.refusal({}, "127.0.0.1") == gate.refusal({}, "::1") == ""
    for remote in ("10.0.0.1", "", None, "localhost.example"):
        assert "has no login" in gate.refusal({}, remote)
    assert gate.refusal({}, "10.0.0.1", panels_login=True) == ""
    assert Gate(from_environment({f"{PREFIX}OPEN_TO_EVERYONE": "true"})).refusal({}, "10.0.0.1") == ""


def test_who_says_to_be_a_guest_is_not_believed() -> None:
    assert Gate(Access(password=PASSWORD)).refusal({"is_guest": "1", "user": "ada"}, "127.0.0.1")


def test_a_login_that_was_ended_is_answered_no_figures_on_a_connection_that_is_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "cookie_secret", SECRET)
    dashboard = Dashboard(settings, Access(password=PASSWORD))
    gate = dashboard.gate
    signed = create_signed_value(SECRET, "user", "ada").decode()
    bridge = Bridge(dashboard, {"view": lambda number, _data: f'{{"id":{number}}}'}, login=signed)
    sent: list[str] = []
    monkeypatch.setattr(bridge, "_send_msg", sent.append)
    assert gate.refusal({"user": signed}, "127.0.0.1") == ""
    bridge._handle_msg({"kind": "view", "id": 1})  # pyright: ignore[reportPrivateUsage]  # as Panel calls it
    gate.end(signed)
    gate.end("an unknown cookie")
    bridge._handle_msg({"kind": "view", "id": 2})  # pyright: ignore[reportPrivateUsage]  # as Panel calls it
    assert sent == ['{"id":1}', '{"ended":true}']
    assert "logged out" in gate.refusal({"user": signed}, "127.0.0.1")
    assert not gate.has_ended("an unknown cookie")
    assert gate.refusal({"user": create_signed_value(SECRET, "user", "bob").decode()}, "127.0.0.1") == ""


def test_the_login_asks_for_a_name_only_where_people_have_one() -> None:
    page = jinja2.Environment(autoescape=True).from_string(
        (ROOT / "panel_app" / "static" / "templates" / "login.html").read_text()
    )
    for named in (True, False):
        text = page.render(login_endpoint="/login", named=named)
        assert ("<label>Name" in text) is named
        assert text.count('name="username"') == text.count('name="password"') == 1
        assert ("hidden>" in text) is not named
    assert "<input" not in page.render(out=True, provider="google")


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        *((host, True) for host in ("127.0.0.1", "localhost", "::1", "127.8.0.1", "::ffff:127.0.0.1")),
        *((host, False) for host in ("0.0.0.0", "::", "", "10.0.0.1", "dash.example")),
    ],
)
def test_an_address_is_of_this_machine_alone_or_it_is_not(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


def test_passwords_come_from_files_and_stand_in_no_repr(tmp_path: Path) -> None:
    file = tmp_path / "users.json"
    file.write_text(json.dumps({"ada": PASSWORD}))
    asked = from_environment({f"{PREFIX}USERS_FILE": str(file)})
    assert asked.users == {"ada": PASSWORD}
    table = asked.of_panel()["basic_auth"]
    assert "ada" in table
    assert "bob" not in table
    assert (table["ada"] == PASSWORD, table["ada"] == "other") == (True, False)
    anyone = from_environment({f"{PREFIX}PASSWORD": PASSWORD}).of_panel()["basic_auth"]
    assert ("anyone" in anyone, anyone["anyone"] == PASSWORD, anyone["anyone"] == "") == (True, True, False)
    assert PASSWORD not in repr(asked)


@pytest.mark.parametrize(
    ("user", "let_in"),
    [
        ("ada@example.com", True),
        ("eve@EXAMPLE.com", True),
        ("bob", True),
        ("eve@example.com.evil", False),
        ("", False),
        ("eve", False),
    ],
)
def test_who_has_logged_in_elsewhere_must_be_among_those_who_may(user: str, let_in: bool) -> None:
    asked = from_environment({**OAUTH, f"{PREFIX}OAUTH_ALLOW": "bob, @example.com"})
    assert asked.allows(user) is let_in
    assert asked.allows(None) is False


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({f"{PREFIX}PASWORD": PASSWORD}, "not a setting of the dashboard"),
        ({f"{PREFIX}PASSWORD": PASSWORD, f"{PREFIX}USERS": f'{{"a":"{PASSWORD}"}}'}, "set only one of them"),
        ({f"{PREFIX}USERS": PASSWORD}, "must be a JSON object"),
        ({f"{PREFIX}USERS": f'{{"*":"{PASSWORD}"}}'}, "is not a name"),
        ({f"{PREFIX}OPEN_TO_EVERYONE": "yes"}, "true or false"),
        ({f"{PREFIX}PASSWORD_FILE": "/no/such"}, "can't be read"),
        (OAUTH, "OAUTH_ALLOW is missing"),
        ({**OAUTH, f"{PREFIX}OAUTH_PROVIDER": "myspace", f"{PREFIX}OAUTH_ALLOW": "*"}, "must be one of"),
        ({f"{PREFIX}OAUTH_PROVIDER": "google", f"{PREFIX}OAUTH_ALLOW": "*"}, "OAUTH_KEY is missing"),
    ],
)
def test_what_cannot_be_used_is_one_line_without_a_secret(given: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        from_environment(given)
    assert "\n" not in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_variables_of_a_kubernetes_service_are_not_settings() -> None:
    links = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8503_TCP", "PORT_8503_TCP_ADDR")
    given = {f"{PREFIX}{name}": "tcp://10.0.0.1:8503" for name in links}
    assert not from_environment(given).wants_login
    assert from_environment(given | {f"{PREFIX}PASSWORD": PASSWORD}).wants_login
    with pytest.raises(SettingsError, match="is not a setting"):
        from_environment(given | {f"{PREFIX}SERVICE_PASSWORD": PASSWORD})


def test_the_documentation_holds_every_variable() -> None:
    documented = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    for name, words in TABLE.items():
        assert f"| `{PREFIX}{name}` | {words} |" in documented


def test_beyond_this_machine_it_is_open_only_with_the_flag() -> None:
    ended = run("--port", str(free_port()), "--address", "0.0.0.0")
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "ADTALLY_DASHBOARD_PASSWORD_FILE" in line
    assert "--open-to-everyone" in line


def test_a_certificate_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    ended = run("--port", str(free_port()), "--tls-certificate", str(tmp_path / "none.pem"))
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert str(tmp_path / "none.pem") in line


class Browser:
    """Keeps cookies, and follows redirections if it is to."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.jar = http.cookiejar.CookieJar()
        handlers = [urllib.request.HTTPCookieProcessor(self.jar), urllib.request.HTTPSHandler(context=tls)]
        self._opener = urllib.request.build_opener(*handlers)

    def ask(self, url: str, form: dict[str, str] | None = None) -> tuple[int, dict[str, str], str]:
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        try:
            with self._opener.open(url, data, timeout=20) as answer:
                headers = {key.lower(): value for key, value in answer.headers.items()}
                return answer.status, headers | {"url": answer.url}, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, {key.lower(): value for key, value in error.headers.items()}, error.read().decode()


@pytest.fixture
def start() -> Iterator[Callable[..., str]]:
    """Start a dashboard on settings with flags, and what else is in its environment; its address once it serves."""
    running: list[subprocess.Popen[str]] = []

    def begin(settings: Settings, *flags: str, **given: str) -> str:
        command = [sys.executable, "-m", "panel_app", *flags]
        child = subprocess.Popen(command, cwd=ROOT, env={**environment(settings), **given}, text=True, stdout=subprocess.PIPE)
        running.append(child)
        assert child.stdout
        found = re.search(r"https?://\S+", child.stdout.readline())
        assert found
        return found[0]

    yield begin
    for child in running:
        child.terminate()
        assert child.wait(60) == 0


def test_behind_a_password_nothing_is_seen_without_it(settings: Settings, start: Callable[..., str], tmp_path: Path) -> None:
    World(settings).send(result(clicks=4321))
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    flags = ("--port", str(free_port()), "--address", "0.0.0.0")
    address = start(settings, *flags, **{f"{PREFIX}PASSWORD_FILE": str(file)})
    until(lambda: '"rows":1' in get(f"{address}/healthz")[1])

    stranger = Browser()
    for page in ("/", "/explore", "/data", "/autoload.js?bokeh-autoload-element=1"):
        _, headers, body = stranger.ask(f"{address}{page}")
        assert "/login" in headers["url"]
        assert "4321" not in body
    questions = ("results", "view", "names", "stock", "table", "sheet")
    assert {stranger.ask(f"{address}/api/{question}")[0] for question in questions} == {401}
    assert "4321" not in stranger.ask(f"{address}/login", {"username": "ada", "password": "wrong"})[2]
    assert stranger.ask(f"{address}/api/results")[0] == 401

    ada = Browser()
    status, headers, body = ada.ask(f"{address}/login", {"username": "ada", "password": PASSWORD})
    assert (status, headers["url"].rstrip("/")) == (200, address)
    assert '"value":4321' in body
    assert ada.ask(f"{address}/api/results")[0] == 200
    login = [cookie for cookie in ada.jar if cookie.name == "user"]
    assert [cookie.has_nonstandard_attr("HttpOnly") for cookie in login] == [True]
    assert [cookie.get_nonstandard_attr("SameSite") for cookie in login] == ["Lax"]

    # A shared link outlives a wrong password, a name is not needed, and no text comes out of the URL.
    nameless = Browser()
    assert "/login" in nameless.ask(f"{address}/?range=3h&campaign=a%26b")[1]["url"]
    assert "call 555" not in nameless.ask(f"{address}/login?error=call+555")[2]
    assert nameless.ask(f"{address}/login", {"username": "", "password": "wrong"})[0] == 401
    status, headers, _ = nameless.ask(f"{address}/login", {"username": "", "password": PASSWORD})
    assert (status, headers["url"]) == (200, f"{address}/?range=3h&campaign=a%26b")
    assert nameless.ask(f"{address}/api/results")[0] == 200

    guesser = Browser()
    for _ in range(login_module.MOST - 2):  # two wrong passwords came from this address above
        assert "Wrong password." in guesser.ask(f"{address}/login", {"username": "ada", "password": "guess"})[2]
    status, headers, body = guesser.ask(f"{address}/login", {"username": "ada", "password": PASSWORD})
    assert status == 429
    assert 0 < int(headers["retry-after"]) <= login_module.SECONDS + 1
    assert "Too many wrong passwords came from your address" in body
    assert guesser.ask(f"{address}/api/results")[0] == 401
    assert ada.ask(f"{address}/api/results")[0] == 200

    # One password for all: no one is asked for a name. Logging out ends the login, and with it every copy of its cookie.
    assert not re.search(r"<label>Name", body)
    copy = Browser()
    for cookie in ada.jar:
        copy.jar.set_cookie(cookie)
    assert '"logout":"./logout"' in ada.ask(f"{address}/data")[2]
    assert "You are logged out." in ada.ask(f"{address}/logout")[2]
    assert not [cookie.name for cookie in ada.jar]
    assert ada.ask(f"{address}/api/results")[0] == 401
    assert "/login" in ada.ask(f"{address}/")[1]["url"]
    assert copy.ask(f"{address}/api/results")[0] == 403
    assert "4321" not in copy.ask(f"{address}/")[2]
    assert nameless.ask(f"{address}/api/results")[0] == 200


def own_address() -> str:
    """An address of this machine under which others know it."""
    found = (one.address for many in psutil.net_if_addrs().values() for one in many if one.family == socket.AF_INET)
    return next((one for one in found if not is_loopback(one)), "")


@pytest.mark.skipif(not own_address(), reason="this machine has no address but its own")
def test_panel_serve_without_a_login_answers_its_own_machine_and_shows_others_no_figures(
    settings: Settings,
    serve: Callable[..., str],
) -> None:
    World(settings).send(result(clicks=4321))
    flags = ("--plugins", "panel_app.routes", "--allow-websocket-origin", "*")
    here = serve(settings, "-m", "panel", "serve", "panel_app/app.py", "--port", "{port}", *flags)
    until(lambda: '"value":4321' in get(f"{here}/app")[1])
    until(lambda: '"clicks":4321' in get(f"{here}/api/results")[1])
    assert "adtally/data.js" in get(f"{here}/app?page=data")[1]
    there = here.replace("localhost", own_address())
    assert get(f"{there}/app")[0] == 200
    assert "4321" not in get(f"{there}/app")[1]
    assert get(f"{there}/api/view")[0] == 403
    status, body = get(f"{there}/api/results")
    assert (status, "answers only its own machine" in body) == (403, True)


@pytest.mark.long
def test_the_security_headers_of_each_answer(settings: Settings, start: Callable[..., str]) -> None:
    World(settings).send(result())
    address = start(settings, "--port", str(free_port()))
    browser = Browser()
    for path in ("/", "/explore", "/data", "/?embed=1", "/healthz", "/no/such", "/autoload.js?bokeh-autoload-element=1"):
        _, headers, body = browser.ask(f"{address}{path}")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] in ("same-origin", "no-referrer")
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers
        if not headers["content-type"].startswith("text/html"):
            continue
        told = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert told["frame-ancestors"] == ("'self'" if "embed" in path else "'none'")
        assert told["object-src"] == told["base-uri"] == "'none'"
        assert not re.search(r"unsafe|\*|https?:", told["script-src"])
        assert told["script-src"].count("sha256-") >= (3 if path != "/no/such" else 0)
        assert not re.search(r"\son[a-z]+=", body)


@pytest.mark.long
def test_it_serves_https_itself(settings: Settings, start: Callable[..., str], tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    issued = authority.issue("dash", host="DNS:localhost")
    files = ("--tls-certificate", str(issued.certificate), "--tls-key", str(issued.key))
    address = start(settings, "--port", str(free_port()), *files, **{f"{PREFIX}PASSWORD": PASSWORD})
    assert address.startswith("https://localhost:")
    browser = Browser(ssl.create_default_context(cafile=str(authority.certificate)))
    status, headers, _ = browser.ask(f"{address}/login", {"username": "ada", "password": PASSWORD})
    assert (status, headers["url"].rstrip("/")) == (200, address)
    assert [cookie.secure for cookie in browser.jar if cookie.name == "user"] == [True]
    assert "max-age" in headers["strict-transport-security"]


@pytest.fixture
def provider() -> Iterator[tuple[str, list[str]]]:
    """Where people log in: an OAuth provider that lets in everyone, as the user that its list names."""
    who = ["ada@example.com"]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            given = urllib.parse.parse_qs(query)
            if path == "/authorize":
                self.send_response(302)
                back = urllib.parse.urlencode({"code": "c-1", "state": given["state"][0]})
                self.send_header("Location", f"{given['redirect_uri'][0]}?{back}")
                self.end_headers()
            else:
                self._json({"email": who[0]})

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            assert urllib.parse.parse_qs(asked)["client_secret"] == [SECRET]
            self._json({"access_token": "t-1", "token_type": "bearer"})

        def _json(self, body: dict[str, str]) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", who
    server.shutdown()


@pytest.mark.long
def test_behind_a_login_elsewhere_only_those_who_may_see_anything(
    settings: Settings, start: Callable[..., str], provider: tuple[str, list[str]]
) -> None:
    World(settings).send(result(clicks=4321))
    there, who = provider
    extra = {"AUTHORIZE_URL": f"{there}/authorize", "TOKEN_URL": f"{there}/token", "USER_URL": f"{there}/user"}
    given = {**OAUTH, f"{PREFIX}OAUTH_EXTRA": json.dumps(extra), f"{PREFIX}OAUTH_ALLOW": "@example.com"}
    port = free_port()
    given[f"{PREFIX}OAUTH_REDIRECT_URI"] = f"http://localhost:{port}/login"
    address = start(settings, "--port", str(port), **given)
    until(lambda: '"rows":1' in get(f"{address}/healthz")[1])
    assert Browser().ask(f"{address}/api/results")[0] == 401
    ada = Browser()
    assert '"value":4321' in ada.ask(f"{address}/")[2]
    assert ada.ask(f"{address}/api/results")[0] == 200
    assert "Your session at generic is still open" in ada.ask(f"{address}/logout")[2]
    assert ada.ask(f"{address}/api/results")[0] == 401
    who[0] = "eve@evil.example"
    eve = Browser()
    _, _, body = eve.ask(f"{address}/")
    assert "4321" not in body
    status, _, body = eve.ask(f"{address}/api/results")
    assert (status, "not among those" in body) == (403, True)


def test_the_policy_of_a_page_allows_its_own_scripts_and_no_other() -> None:
    page = b'<script nonce="n-1">a()</script><script src="x.js"></script><script type="application/json">{}</script>'
    page += b"<SCRIPT>b()\r\n</SCRIPT>"

    def digest(text: bytes) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"

    assert digests(page) == ["'nonce-n-1'", digest(b"a()"), digest(b"b()\n")]
    assert f"script-src 'self' blob: {' '.join(digests(page))};" in policy(page, "'none'")
    assert policy(b"", "'none'").endswith("frame-ancestors 'none'")


def test_settings_of_the_dashboard_do_not_disturb_those_of_the_others() -> None:
    assert Settings.from_environment({f"{PREFIX}PASSWORD": PASSWORD, **OAUTH}) == Settings()
    assert replace(Settings(), brokers="a:1") != Settings()
