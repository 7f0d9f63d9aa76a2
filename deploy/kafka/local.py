"""A real Apache Kafka (KRaft, one node) on this machine: ``adtally kafka run|start|stop|status``.

`LocalKafka` is the same for tests, which also kill and pause it. Each has a port and a data folder of its own: several run side by side.
"""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Literal, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from dataflows.contract.errors import AdtallyError
from dataflows.process import ports
from deploy.kafka import jars, server_properties
from deploy.kafka.server_properties import Listener
from deploy.processes.watchdog import Watchdog, alive, await_frozen, end, send

START_SECONDS = 90.0


class LocalKafka:
    """One Kafka node whose state is in `data`, on `port` of this machine (a free one if None).

    Usable as a context manager. The JVM ends with this process, however that ends, unless it was started with `detached`.
    """

    def __init__(
        self,
        data: Path,
        port: int | None = None,
        heap: str = "512m",
        detached: bool = False,
        *,
        proxy: int | None = None,
        listeners: Sequence[Listener] = (),
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """`proxy`: port of a proxy on this machine; it finds Kafka on `behind_proxy`, whose address the proxy's clients get from Kafka.

        `listeners`: additional ones, each on a free port (`address`). `properties`: additional properties of the broker.
        """
        self.data = data.resolve()
        self.port = port or ports.free()
        self.behind_proxy = ports.free() if proxy else None
        self._proxy = proxy
        self._listeners = {listener.name: (listener, ports.free()) for listener in listeners}
        self._properties = properties or {}
        self._heap = heap
        self._pid = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog = None if detached else Watchdog()

    def __enter__(self) -> Self:
        """Start it."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop it."""
        self.close()

    @property
    def bootstrap(self) -> str:
        """Return ``host:port`` for clients."""
        return f"{ports.HOST}:{self.port}"

    def address(self, name: str) -> str:
        """Return ``host:port`` of the listener `name`."""
        return f"{ports.HOST}:{self._listeners[name][1]}"

    @property
    def log(self) -> Path:
        """Log file of the JVM."""
        return self.data / "kafka.log"

    @property
    def pid(self) -> int:
        """The process id of the JVM, 0 when it does not run."""
        return self._pid

    def start(self, timeout: float = START_SECONDS) -> None:
        """Start it and wait until it answers, `timeout` seconds at most; raises `AdtallyError`, one line."""
        lib = jars.fetch()
        if ports.taken(self.port):
            who = ports.holder(self.port)
            raise AdtallyError(f"port {self.port} is already in use{f' (by {who})' if who else ''}; use another --port.")
        self.data.mkdir(parents=True, exist_ok=True)
        properties = self._configure(lib)
        with self.log.open("ab") as output:
            command = self._java(lib, f"-Xmx{self._heap}", "kafka.Kafka", str(properties))
            self._process = (
                self._watchdog.start(command, output)
                if self._watchdog
                else subprocess.Popen(  # noqa: S603 - our own arguments
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
            )
        self._pid = self._process.pid
        try:
            self._await(timeout)
        except BaseException:
            self.kill()
            raise

    def stop(self, timeout: float = 30.0) -> None:
        """End it in order (SIGTERM), after `timeout` seconds by force."""
        self._end(timeout)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        if self._pid:
            send(self._pid, signal.SIGKILL)
        self._end(0.0)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open, nothing answers."""
        send(self._pid, signal.SIGSTOP)
        await_frozen(self._pid)

    def resume(self) -> None:
        """Resume it (SIGCONT)."""
        send(self._pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop it and its watchdog."""
        self.stop()
        if self._watchdog:
            self._watchdog.close()

    def ended(self) -> bool:
        """Whether the JVM that was started has ended."""
        return self._process is not None and self._process.poll() is not None

    def _end(self, timeout: float) -> None:
        if not self._process:
            return
        if self._process.poll() is None:
            send(self._pid, signal.SIGTERM)
            send(self._pid, signal.SIGCONT)  # a paused process handles SIGTERM only after it
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                send(self._pid, signal.SIGKILL)
        self._process.wait()
        if self._watchdog:
            self._watchdog.forget(self._pid)
        self._process, self._pid = None, 0

    @staticmethod
    def _java(lib: Path, *arguments: str) -> list[str]:
        log = ["-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss"]
        return ["java", "-XX:+UseSerialGC", *log, "-cp", str(lib / "*"), *arguments]

    def _configure(self, lib: Path) -> Path:
        """Write server.properties, and format the storage if it is new."""
        properties = self.data / "server.properties"
        more = dict(self._listeners.values())
        properties.touch(mode=0o600)  # it may hold passwords
        properties.write_text(
            server_properties.properties(
                self.data,
                self.port,
                self._controller_port(),
                behind=self.behind_proxy,
                proxy=self._proxy,
                more=more,
                others=self._properties,
            )
        )
        if not (self.data / "log" / "meta.properties").exists():
            # As a flag's value it must not begin with a dash, which Kafka's own generator avoids too.
            cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
            tool = self._java(lib, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties))
            done = subprocess.run(tool, capture_output=True, encoding="utf-8", errors="replace", check=False)  # noqa: S603 - our own arguments
            if done.returncode:
                raise AdtallyError(f"Kafka can't use {self.data}: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
        return properties

    def _controller_port(self) -> int:
        # A port other than the clients' ports, which are free but not yet bound.
        taken = {self.port, self.behind_proxy, *(port for _, port in self._listeners.values())}
        return next(port for port in iter(ports.free, 0) if port not in taken)

    def _await(self, timeout: float) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 200})
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.ended():
                raise AdtallyError(f"Kafka ended while it started: {_last_line(self.log)} (log: {self.log})")
            with contextlib.suppress(KafkaException):
                if admin.list_topics(timeout=1.0).brokers:
                    return
        raise AdtallyError(f"Kafka does not answer on {self.bootstrap} after {timeout:.0f} s (log: {self.log})")


def _last_line(file: Path) -> str:
    lines = file.read_text(errors="replace").splitlines() if file.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "without any output")


def running(data: Path) -> tuple[int, str] | None:
    """Return the process id and ``host:port`` of the Kafka whose state is in `data`, if it runs."""
    try:
        pid, address = (data / "running").read_text().split()
    except (OSError, ValueError):
        return None
    # After a crash and a restart of the machine, the process id may belong to another process.
    return (int(pid), address) if str(data.resolve() / "server.properties") in _command(pid) else None


def _command(pid: str) -> str:
    proc = Path("/proc")
    if (proc / "self" / "cmdline").exists():  # a small Linux image has no ps
        with contextlib.suppress(OSError):
            return (proc / pid / "cmdline").read_text(encoding="utf-8", errors="replace")
        return ""
    ps = ["ps", "-o", "command=", "-p", pid]
    return subprocess.run(ps, capture_output=True, encoding="utf-8", errors="replace", check=False).stdout  # noqa: S603 - as on PATH


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what the command says


def _start(data: Path, port: int, detached: bool) -> LocalKafka:
    if process := running(data):
        raise AdtallyError(f"Kafka already runs on {process[1]} with the data folder {data} (process {process[0]}).")
    jars.fetch(_say)
    kafka = LocalKafka(data, port, detached=detached)
    try:
        kafka.start()
    except BaseException:
        kafka.close()
        raise
    (data / "running").write_text(f"{kafka.pid} {kafka.bootstrap}\n")
    _say(f"Apache Kafka on {kafka.bootstrap}; data and log in {data}")
    return kafka


def _run(data: Path, port: int) -> int:
    """Run Kafka in the foreground, until Ctrl-C or SIGTERM."""
    signals: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    kafka = _start(data, port, detached=False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    _say(f"use it with: ADTALLY_BROKERS={kafka.bootstrap} adtally demo; stop it with Ctrl-C")
    while not signals and not kafka.ended():
        time.sleep(0.1)
    died = kafka.ended()
    kafka.close()
    (data / "running").unlink(missing_ok=True)
    if died and not signals:
        raise AdtallyError(f"Kafka ended: {_last_line(kafka.log)} (log: {kafka.log})")
    _say("stopped")
    return 0


def _stop(data: Path) -> int:
    process = running(data)
    if not process:
        _say(f"no Kafka runs with the data folder {data}")
        return 0
    end([process[0]], grace=30.0)
    while alive(process[0]):
        time.sleep(0.05)
    (data / "running").unlink(missing_ok=True)
    _say("stopped")
    return 0


def _status(data: Path) -> int:
    process = running(data)
    _say(f"Apache Kafka on {process[1]}, process {process[0]}" if process else f"no Kafka runs with the data folder {data}")
    return 0 if process else 1


def command(what: Literal["run", "start", "stop", "status"], port: int, data: Path | None) -> int:
    """Run the command ``adtally kafka``; return its exit code, 1 of ``status`` when none runs. Raises `AdtallyError`."""
    data = data or jars.HOME / "data"
    if what == "run":
        return _run(data, port)
    if what == "start":
        _start(data, port, detached=True)
        # The detached JVM is left behind on purpose: no warning that its process still runs.
        sys.stdout.flush()
        os._exit(0)
    return _stop(data) if what == "stop" else _status(data)
