"""Fixtures that every test may use: a broker of its own, topics of its own; and what may be skipped where."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from dataflows import native
from dataflows.contract.settings import Settings
from tests.support.secured import SecuredKafka
from tests.support.settings import SHARED, own_names
from tests.system.faults.proxy import ProxiedKafka

REQUIRED = set(filter(None, os.environ.get("ADTALLY_REQUIRE", "").split(",")))
"""Kinds of tests (kafka, browser, long, native, promtool) that CI asks for: there, one that is skipped is a failure."""

# The tests ignore what the developer's shell has set, such as the brokers of a deployment or the format of log lines.
for _name in [name for name in os.environ if name.startswith(("ADTALLY_", "BYTEWAX_"))]:
    if _name not in ("ADTALLY_REQUIRE", "ADTALLY_ARTEFACTS"):
        del os.environ[_name]

COMMANDS = {"kafka": ("java", "mvn"), "browser": ("chromium",), "long": ()}

# A shared machine is slow at times, which says nothing about the code; and a failure must be the same in the next run.
slow = [HealthCheck.too_slow]
hypothesis_settings.register_profile("adtally", deadline=None, suppress_health_check=slow, derandomize=True)
hypothesis_settings.register_profile("long", deadline=None, suppress_health_check=slow, max_examples=1_000_000, print_blob=True)
hypothesis_settings.load_profile("adtally")


def pytest_xdist_auto_num_workers() -> int:
    """Return two workers more than there are cores: half of a test's time is waiting for brokers, processes and time limits."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say of each test that needs more than Python why it does not run here."""
    for item in items:
        if item.get_closest_marker("shared") and not SHARED.is_dir():
            item.add_marker(pytest.mark.skip(reason="the real input in ../shared/data is not here"))
        if item.get_closest_marker("native") and (reason := native.why_not()):
            item.add_marker(pytest.mark.skip(reason=f"no native engine: {reason}; it needs a C compiler"))
        if item.get_closest_marker("promtool") and not shutil.which("promtool") and "promtool" not in REQUIRED:
            item.add_marker(
                pytest.mark.skip(reason="promtool is not installed here (Debian: apt-get install prometheus); CI has it")
            )
        for kind, commands in COMMANDS.items():
            if not item.get_closest_marker(kind) or kind in REQUIRED:
                continue
            missing = [command for command in commands if shutil.which(command) is None]
            needs = f"needs {' and '.join(missing)}, not installed here" if missing else "takes minutes, left to CI"
            item.add_marker(pytest.mark.skip(reason=f"{kind} test: {needs}; ADTALLY_REQUIRE={kind} runs it"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Where tests are asked for, a skipped one is a failure."""
    if report.skipped and REQUIRED & set(report.keywords):
        report.outcome = "failed"


@pytest.fixture(autouse=True)
def undisturbed() -> Iterator[None]:
    """The log lines as they were, whatever a test sets up or a command does that runs in this process."""
    root, ours = logging.getLogger(), logging.getLogger("adtally")
    before = list(root.handlers), root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


@pytest.fixture
def asked_anew() -> Iterator[None]:
    """What the native engine can do here is found out again by this test, and by whichever comes after it."""
    # Imported here: it brings Kafka's client, which not every test needs.
    from dataflows.native import client, queue, sender

    found_out = (
        *(client.client_library, client._no_handle_reason, queue.no_queue_reason, sender.no_sender_reason),  # pyright: ignore[reportPrivateUsage]  # asked once in a process
    )
    for one in found_out:
        one.cache_clear()
    yield
    for one in found_out:
        one.cache_clear()


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[str]:
    """``host:port`` of the cluster that is built into librdkafka, inside this test process."""
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 2})
    (broker,) = cluster.list_topics(timeout=30).brokers.values()
    yield f"127.0.0.1:{broker.port}"
    del cluster


@pytest.fixture(scope="session")
def proxied_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedKafka]:
    """An Apache Kafka of this test run, also behind a proxy; a test that kills it, pauses it or disturbs its network restores it."""
    with ProxiedKafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def real_kafka(proxied_kafka: ProxiedKafka) -> str:
    """``host:port`` of the same, undisturbed."""
    return proxied_kafka.bootstrap


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """An Apache Kafka of this test run that wants TLS and logins."""
    with SecuredKafka(tmp_path_factory.mktemp("secured")) as kafka:
        yield kafka


@pytest.fixture
def settings(embedded_broker: str) -> Settings:
    """Settings on the embedded broker with topics and a group that no other test has."""
    return own_names(embedded_broker)


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def on_each_broker(request: pytest.FixtureRequest) -> Settings:
    """The same on the embedded broker, and again on a real Apache Kafka."""
    brokers: str = request.getfixturevalue("embedded_broker" if request.param == "embedded" else "real_kafka")
    return own_names(brokers)
