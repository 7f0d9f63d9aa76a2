"""The HTTP server of a process, whether its loop turns, and how old events are."""

from __future__ import annotations

import http.client
import random
import socket
import threading
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from dataflows.contract.errors import SettingsError
from dataflows.contract.settings import Settings
from dataflows.telemetry.ages import SPAN_SECONDS, Ages, Recent
from dataflows.telemetry.families import Metric, MetricTable
from dataflows.telemetry.server import LIVE_SECONDS, Pulse, Served, serve
from tests.support.flows import free_port
from tests.support.telemetries import ask


class Ticking:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


COUNT = Metric("adtally_things_total", "counter", "Things.", ("kind",))


def served(live: str = "", ready: str = "") -> Served:
    registry = CollectorRegistry()
    registry.register(MetricTable([COUNT], lambda: [(COUNT, ('hostile"\n\\',), 3)]))
    return Served(registry, lambda: live, lambda: ready)


@pytest.fixture
def port() -> Iterator[int]:
    settings = replace(Settings(), metrics_port=free_port())
    close = serve(settings, served(ready="the broker does not answer"))
    assert close is not None
    yield settings.metrics_port
    close()


def test_it_answers_what_is_alive_and_why_what_is_not_ready_is_not(port: int) -> None:
    assert ask(port, "/livez") == (200, "live\n")
    assert ask(port, "/readyz") == (503, "not ready: the broker does not answer\n")
    assert ask(port, "/readyz?verbose", "HEAD") == (503, "")
    assert ask(port, "/elsewhere")[0] == 404
    assert ask(port, "/metrics", "POST")[0] == 405


def test_it_listens_on_an_address_of_ipv6_too() -> None:
    settings = replace(Settings(), metrics_port=free_port(), metrics_address="::1")
    close = serve(settings, served())
    assert close is not None
    connection = http.client.HTTPConnection("::1", settings.metrics_port, timeout=10)
    connection.request("GET", "/livez")
    assert connection.getresponse().read() == b"live\n"
    close()


def test_an_answer_is_not_kept_nor_guessed_at_and_names_no_software(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    answer = connection.getresponse()
    assert answer.read().endswith(b"# EOF\n")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    told = {name: answer.headers[name] for name in ("Cache-Control", "X-Content-Type-Options", "Server")}
    assert told == {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "adtally"}


def test_a_value_of_a_label_can_not_forge_a_line(port: int) -> None:
    status, text = ask(port, "/metrics")
    assert status == 200
    (line,) = [line for line in text.splitlines() if not line.startswith("#")]
    assert line == 'adtally_things_total{kind="hostile\\"\\n\\\\"} 3.0'


def test_a_silent_client_does_not_delay_others(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
        assert ask(port, "/livez")[0] == 200


def test_without_a_port_nothing_listens() -> None:
    assert serve(Settings(), served()) is None


@pytest.mark.parametrize("number", [0, 2])
def test_a_taken_port_is_one_line_that_names_it_and_the_setting(number: int) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        with pytest.raises(
            SettingsError, match=rf"port {taken} on 127\.0\.0\.1, for metrics, is already in use; .*ADTALLY_METRICS_PORT"
        ) as caught:
            serve(replace(Settings(), metrics_port=taken - number), served(), number)
    assert "\n" not in str(caught.value)


def test_an_address_that_is_not_of_this_machine_is_one_line() -> None:
    with pytest.raises(SettingsError, match=r"metrics can't be served on 192\.0\.2\.1 port"):
        serve(replace(Settings(), metrics_port=free_port(), metrics_address="192.0.2.1"), served())


def test_a_port_beyond_the_last_is_refused() -> None:
    with pytest.raises(SettingsError, match="no port for process 9"):
        serve(replace(Settings(), metrics_port=65_530), served(), 9)


def test_a_stalled_loop_is_not_alive_and_one_that_has_not_begun_is() -> None:
    clock = Ticking()
    pulse = Pulse(clock)
    clock.now += 10 * LIVE_SECONDS
    assert (pulse.stall_reason(), pulse.turned()) == ("", False)
    pulse.beat()
    clock.now += LIVE_SECONDS
    assert (pulse.stall_reason(), pulse.turned()) == ("", True)
    clock.now += 1
    assert pulse.stall_reason() == "its main loop has not run for 61 s"
    pulse.beat()
    assert pulse.stall_reason() == ""


def test_one_stalled_thread_is_noticed_among_others_that_run() -> None:
    clock = Ticking()
    pulse = Pulse(clock)
    other = threading.Thread(target=pulse.beat)
    other.start()
    other.join()
    clock.now += LIVE_SECONDS + 1
    pulse.beat()
    assert "not run" in pulse.stall_reason()


def rank(ages: list[float], share: float) -> float:
    """The nearest-rank quantile, by definition: the least value that at least `share` of all do not exceed."""
    ordered = sorted(ages)
    return next(age for place, age in enumerate(ordered, 1) if place >= share * len(ordered))


@pytest.mark.parametrize("seed", range(5))
def test_quantiles_are_those_of_known_ages_to_within_one_percent(seed: int) -> None:
    rng = random.Random(seed)
    known = [min(rng.lognormvariate(-1, 1.5), 140) for _ in range(rng.randrange(1, 3000))]
    ages = Ages(60, monotonic=Ticking())
    for age in known:
        assert ages.take(age)
    found = ages.recent()
    assert found.p50 == pytest.approx(rank(known, 0.5), rel=0.0101)
    assert found.p99 == pytest.approx(rank(known, 0.99), rel=0.0101)
    assert found.measured == len(known)


def test_old_results_are_counted_apart_and_do_not_change_a_figure() -> None:
    told: list[float] = []
    ages = Ages(60, told.append, Ticking())
    for age in (0.2, 0.2, 0.2):
        ages.take(age)
    alone = ages.recent()
    # 60 s of window and 90 s after it: so old an event of a live minute can be, and no older.
    assert ages.take(150.0)
    assert not ages.take(150.1)
    for _ in range(1000):
        assert not ages.take(86_400.0)
    found = ages.recent()
    assert (found.p50, found.measured, found.catching_up) == (alone.p50, 4, 1001)
    assert ages.left_out == 1001
    assert told == [0.2, 0.2, 0.2, 150.0]


def test_an_age_below_zero_means_that_clocks_disagree_and_is_not_measured() -> None:
    ages = Ages(60, monotonic=Ticking())
    assert not ages.take(-0.001)
    assert ages.recent() == Recent(None, None, 0, 0)


def test_the_figures_are_those_of_the_last_minutes() -> None:
    clock = Ticking()
    ages = Ages(60, monotonic=clock)
    ages.take(100.0)
    clock.now += SPAN_SECONDS - 10
    ages.take(1.0)
    assert ages.recent().measured == 2
    clock.now += 10
    found = ages.recent()
    assert (found.measured, found.p99) == (1, pytest.approx(1.0, rel=0.0101))
    clock.now += SPAN_SECONDS
    assert ages.recent() == Recent(None, None, 0, 0)


def test_memory_stays_bounded_however_long_it_runs() -> None:
    clock = Ticking()
    ages = Ages(60, monotonic=clock)
    for step in range(20_000):
        clock.now += 1
        ages.take(step % 149 + 0.5)
    assert ages.recent().measured <= SPAN_SECONDS
