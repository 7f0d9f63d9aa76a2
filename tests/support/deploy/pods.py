"""Pods of the dataflow as a kubelet runs them: each its own command, started again some time after it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from dataflows.contract.settings import Settings
from tests.support.deploy.manifests import objects
from tests.support.flows import environment, free_port, wait_for

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "adtally"]
NAME = "adtally-dataflow"


def pod_environment(number: int, members: int, folder: Path, port: int) -> dict[str, str]:
    """The environment that the manifests give pod `number`, with a loopback address and a folder for what only Kubernetes has."""
    found = objects(ROOT / "deploy" / "kubernetes-cluster")
    (container,) = found["StatefulSet", NAME]["spec"]["template"]["spec"]["containers"]
    host = _host(number)
    fields = {"metadata.name": f"{NAME}-{number}", "status.podIP": host}
    given: dict[str, str] = dict(found["ConfigMap", "adtally"]["data"])
    given |= {one["name"]: one["value"] if "value" in one else _field(one, fields) for one in container["env"]}
    return {
        **given,
        "ADTALLY_MEMBERS": str(members),
        "ADTALLY_MEMBER_ADDRESS": given["ADTALLY_MEMBER_ADDRESS"].replace(f"{NAME}-{{}}.{NAME}:2101", f"127.0.0.1{{}}:{port}"),
        "ADTALLY_RECOVERY_FOLDER": str(folder / f"volume-{number}" / "store"),
        "ADTALLY_METRICS_ADDRESS": host,
    }


def _host(number: int) -> str:
    return f"127.0.0.1{number}"


def _field(variable: Mapping[str, Any], fields: Mapping[str, str]) -> str:
    return fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]


class Pods:
    """The pods of one StatefulSet; their volumes and logs are in `folder`."""

    def __init__(self, settings: Settings, folder: Path, delay: float = 0.5) -> None:
        """`delay`: seconds after its end in which a pod is restarted, one with a higher number later."""
        self._settings = settings
        self._folder = folder
        self._delay = delay
        self._port = free_port()
        self._metrics = free_port()
        self._members = 0
        self._due: dict[int, float] = {}
        self.restarts = 0
        self.running: dict[int, subprocess.Popen[bytes]] = {}

    def log(self, number: int) -> Path:
        """What pod `number` said, over all its starts."""
        return self._folder / f"pod-{number}.log"

    def scale(self, members: int, *order: int) -> None:
        """Start the pods that `order` names, in this order; by default all."""
        self._members = members
        for number in order or range(members):
            self.start(number)

    def start(self, number: int) -> None:
        """Start one pod."""
        command = [*COMMAND, "run", "-s", "1"]
        with self.log(number).open("ab") as out:
            self.running[number] = subprocess.Popen(
                command, env=self._environment(number), cwd=self._folder, stdout=out, stderr=out
            )

    def probe(self, number: int, what: str) -> bool:
        """Whether a probe of a pod says yes: ``ready`` or ``live``."""
        asked = subprocess.run(
            [*COMMAND, "probe", what], env=self._environment(number), cwd=self._folder, check=False, capture_output=True
        )
        return asked.returncode == 0

    def look(self) -> None:
        """Start again what has ended, once its time has come."""
        now = time.monotonic()
        for number, process in self.running.items():
            if process.poll() is not None and now >= self._due.setdefault(number, now + self._delay * (1 + number)):
                del self._due[number]
                self.restarts += 1
                self.start(number)

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something, and meanwhile start again what has ended."""
        wait_for(lambda: (self.look(), condition())[1], what)

    def met(self, number: int) -> int:
        """How many connections to pod `number` are there, of those that have its address."""
        place = (_host(number), self._port)
        with suppress(psutil.Error):  # it has ended, or is about to become what it will be
            found = psutil.Process(self.running[number].pid).net_connections("tcp4")
            return sum(one.laddr == place and one.status == psutil.CONN_ESTABLISHED for one in found)
        return 0

    def stop(self) -> list[int]:
        """Scale to 0: SIGTERM to each; their exit codes."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(90) for process in self.running.values()]
        self.running.clear()
        self._due.clear()
        return codes

    def close(self) -> None:
        """Leave nothing behind."""
        for process in self.running.values():
            process.kill()
            process.wait()

    def _environment(self, number: int) -> dict[str, str]:
        own = pod_environment(number, self._members, self._folder, self._port)
        # What the deployment's own settings say goes before what the manifests do.
        given = {**own, **{key: value for key, value in environment(self._settings).items() if key.startswith("ADTALLY_")}}
        given |= {"ADTALLY_METRICS_PORT": str(self._metrics), "ADTALLY_LOG_FORMAT": "human", "ADTALLY_REPLICATION": "1"}
        paths = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        return {**environment(self._settings), **given, **paths}
