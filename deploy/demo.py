"""The whole pipeline on this machine: ``adtally demo``, which is what ``make demo`` and ``./start_mvp.sh`` run.

It starts the embedded broker (or uses the one in ``ADTALLY_BROKERS``), the generator, the dataflow and the dashboard, and ends them all
on SIGTERM or Ctrl-C, when one of them dies, or when it is itself killed.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dataflows.contract.errors import AdtallyError
from dataflows.contract.settings import Settings
from dataflows.kafka.topics import Topics
from dataflows.process import ports
from dataflows.process.ownership import check_packages
from deploy.kafka import embedded
from deploy.processes.cluster import recovery_store
from deploy.processes.foreground import StopSignal, one_at_a_time, say
from deploy.processes.supervisor import ChildProcess, Supervisor, python

PORT = 8503
RATE = 20
BACKFILL = "30m"
FAULTS = ("--disorder", "2%", "--duplicates", "0.5%", "--late", "0.1%", "--malformed", "0.2%")
"""Defects that real traffic has too, so that the demo shows that they are counted correctly, and shows the output of `rejected`."""
SETTINGS = {
    "ADTALLY_BREAKDOWNS": "ad=adgroup_id,ad_id;keyword;placement;device;country;page=landing_page",
    "ADTALLY_EVENT_TYPES": "add_to_cart,lead:conversion,renewal:purchase,chargeback:refund",
}
"""Settings of the demo that show what adtally can do; a variable that is set, also to nothing, takes their place."""
RUN = Path("run")
METRICS_PORT = 9470
METRICS_VARIABLE = "ADTALLY_METRICS_PORT"


def check_port(port: int) -> None:
    """Raise `AdtallyError` if the dashboard can't have `port`."""
    if ports.taken(port):
        who = ports.holder(port)
        held = f" (by {who})" if who else ""
        other = port + 1 if port < 65_535 else PORT
        raise AdtallyError(
            f"port {port} is already in use{held}; stop that process, or use another port for the "
            f"dashboard: adtally demo --port {other}"
        )


def settings_of_demo(environment: Mapping[str, str]) -> dict[str, str]:
    """Return those of `SETTINGS` that are not in `environment`."""
    return {name: value for name, value in SETTINGS.items() if name not in environment}


def recovery_folder(run: Path, address: str | None) -> tuple[Path, bool]:
    """Return a recovery store for the dataflow under `run`, and whether it is new.

    The embedded broker (None) gets a new one, since its offsets start at 0 in each run; a broker at `address` the one of that
    address, kept between runs.
    """
    name = "embedded"
    if address is not None:
        readable = re.sub(r"[^A-Za-z0-9.-]+", "-", address)[:60]
        name = f"{readable}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"
    folder = run / "recovery" / name
    if address is None:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder, recovery_store(folder, 1)


def pipeline(address: str, recovery: Path, port: int, backfill: bool) -> list[ChildProcess]:
    """Return generator, dataflow and dashboard of the demo, on the broker at `address`; the generator with past events if `backfill`."""
    shown = metrics_ports(os.environ.get(METRICS_VARIABLE, ""))
    own = settings_of_demo(os.environ)

    def to(part: str) -> dict[str, str]:
        return {**own, "ADTALLY_BROKERS": address, METRICS_VARIABLE: str(shown[part])}

    past = ("--backfill", BACKFILL) if backfill else ()
    flow = python("-m", "bytewax.run", "dataflows.marketing", "-r", str(recovery), "-s", "5", "-b", "0")
    return [
        ChildProcess("generator", python("-m", "generator", "synthetic", "--rate", str(RATE), *FAULTS, *past), to("generator")),
        ChildProcess("dataflow", flow, to("dataflow")),
        ChildProcess("dashboard", python("-m", "panel_app", "--port", str(port)), to("dashboard")),
    ]


def metrics_ports(first_port: str) -> dict[str, int]:
    """Return the port of each part's metrics: `first_port` (or 9470) and the next ones, a free port where one is taken; 0 means none."""
    first = int(first_port) if first_port.isdecimal() and int(first_port) <= 65_533 else METRICS_PORT
    wanted = {part: first + number if first else 0 for number, part in enumerate(("dataflow", "generator", "dashboard"))}
    return {part: ports.free() if port and ports.taken(port) else port for part, port in wanted.items()}


def start_broker(parts: Supervisor, run: Path, stop: StopSignal, wanted: int = embedded.PORT) -> str:
    """Start the embedded broker on port `wanted`, or on a free one; its ``host:port``, empty if `stop` came first."""
    address = run / "broker.address"
    address.unlink(missing_ok=True)
    flags = ("--port", str(wanted), "--address-file", str(address), "--with-parent")
    parts.start(ChildProcess("broker", python("-m", "adtally", "broker", *flags)))
    wait(parts, stop, address.exists)
    return address.read_text() if address.exists() else ""


def wait(parts: Supervisor, stop: StopSignal, until: Callable[[], bool], seconds: float = float("inf")) -> bool:
    """Wait `until` something holds; False if `stop` or the time came first; raises `PartDiedError`."""
    deadline = time.monotonic() + seconds
    while not until():
        if stop.asked or time.monotonic() > deadline:
            return False
        parts.check()
        time.sleep(0.1)
    return True


def dashboard_answers(port: int) -> bool:
    """Whether the dashboard on `port` serves its page."""
    connection = http.client.HTTPConnection(ports.HOST, port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 400  # behind a login it leads to that
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def broker_given(environment: Settings) -> str | None:
    """Return the address in ``ADTALLY_BROKERS`` if it is set and answers, else None; raises `BrokerError`."""
    if not os.environ.get("ADTALLY_BROKERS"):
        return None
    Topics(environment, "demo").partitions(environment.logs_topic, timeout=5.0)
    return environment.brokers


def introduce(
    address: str, parts: Sequence[ChildProcess], settings: Settings, *, own: bool, port: int, logs: Path, backfill: bool
) -> None:
    """Print the address of each part, and how to stop the demo."""
    limits = "embedded: in memory, for demo and tests, not for data that matters" if own else "yours, from ADTALLY_BROKERS"
    past = f", and first the last {BACKFILL.removesuffix('m')} minutes of them" if backfill else ""
    other = own and not address.endswith(f":{embedded.PORT}")
    say()
    say(f"  broker     {address}  {limits}{f' (port {embedded.PORT} is in use)' if other else ''}")
    say(f"  generator  {RATE} synthetic events/s{past}")
    also = f"; by {', '.join(breakdown.name for breakdown in settings.breakdown_list)} too" if settings.breakdown_list else ""
    say(f"  dataflow   counts them by the minute, campaign, channel and currency{also}")
    say(f"  dashboard  http://localhost:{port}")
    shown = [f"{part.name} :{at}" for part in parts if (at := part.environment.get(METRICS_VARIABLE, "0")) != "0"]
    if shown:
        say(f"  metrics    http://{ports.HOST}:…/metrics  ({', '.join(shown)})")
    say()
    say(f"  logs       {logs}/{{{'broker,' if own else ''}generator,dataflow,dashboard}}.log  (make logs follows them)")
    say("  stop       Ctrl-C")
    say()


def run_demo(port: int, stop: StopSignal, run: Path = RUN) -> None:
    """Run the demo until `stop`; raises `AdtallyError` for whatever keeps it from running."""
    began = time.monotonic()
    check_packages()
    with one_at_a_time(run):
        settings = Settings.from_environment({**os.environ, **settings_of_demo(os.environ)})
        check_port(port)
        own_broker = broker_given(settings)
        parts = Supervisor(run / "logs")
        stop.at_once = parts.kill
        try:
            say("adtally demo: starting …")
            address = own_broker or start_broker(parts, run, stop)
            if address:
                # Where an earlier run has counted these minutes, past events would be late, or count on top of them.
                recovery, backfill = recovery_folder(run, own_broker)
                started = pipeline(address, recovery, port, backfill)
                for part in started:
                    parts.start(part)
                introduce(address, started, settings, own=own_broker is None, port=port, logs=run / "logs", backfill=backfill)
            if address and wait(parts, stop, lambda: dashboard_answers(port)):
                say(f"ready after {time.monotonic() - began:.0f} s: open http://localhost:{port}")
                wait(parts, stop, lambda: False)
            say("\nstopping …")
        finally:
            # The broker goes last: generator and dataflow flush to it.
            parts.stop("broker")
            parts.close()
    say("stopped")
