"""The dashboard as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from dataflows.contract.settings import Settings
from tests.support.flows import environment, free_port
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]


def run(*flags: str, **given: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("ADTALLY_")} | given
    command = [sys.executable, "-m", "panel_app", *flags]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


@contextmanager
def server() -> Generator[Callable[..., str]]:
    """What starts a dashboard on settings and gives its address once it answers; all of them are gone when the block ends."""
    running: list[subprocess.Popen[str]] = []

    def start(settings: Settings, *command: str) -> str:
        port = free_port()
        words = [part.format(port=port) for part in command] or ["-m", "panel_app", "--port", str(port)]
        env = environment(settings)
        child = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=env, text=True, stdout=subprocess.DEVNULL)
        running.append(child)
        address = f"http://localhost:{port}"
        until(lambda: get(f"{address}/{'app' if command else 'healthz'}")[0] in (200, 503))
        return address

    yield start
    for child in running:
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) in (0, -signal.SIGTERM)


class DashboardProcess:
    """The dashboard as a process."""

    def __init__(self, settings: Settings, log: Path) -> None:
        port = free_port()
        self.log = log
        self._address = f"http://localhost:{port}/healthz"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "panel_app", "--port", str(port)], env=environment(settings), stdout=out, stderr=out
            )

    def health(self) -> tuple[int, str, int]:
        """The answer to a probe: the status, the feed's state, the rows held; zeros and nothing before it serves."""
        status, body = get(self._address)
        if not body:
            return status, "", 0
        told = json.loads(body)
        return status, told["state"], told["rows"]

    def says(self, words: str) -> int:
        return sum(words in line for line in self.log.read_text().splitlines())


@contextmanager
def serving(settings: Settings, log: Path) -> Generator[DashboardProcess]:
    """A dashboard that is gone when the block ends."""
    one = DashboardProcess(settings, log)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()
