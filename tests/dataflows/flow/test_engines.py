"""Where the native engine can't fetch or send past confluent-kafka: Python does it and says so, or the flow does not start."""

from __future__ import annotations

import ctypes
import logging
import re
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from dataflows.contract.errors import RefusedError, SettingsError
from dataflows.contract.settings import Settings
from dataflows.flow.context import FlowContext
from dataflows.flow.engines import Engine
from dataflows.flow.sink import OutboxPart, TopicSink
from dataflows.kafka.produce import PythonSender
from dataflows.native import library
from dataflows.native.build import compiler
from dataflows.native.client import PLUGINS
from dataflows.native.sender import NativeSender
from dataflows.wire.records import Records
from tests.support.flows import read_topic

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("asked_anew")]

PAIRS = [(f"key {number}".encode(), str(number).encode()) for number in range(30)]


@pytest.fixture(scope="module")
def plug_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plug-in of librdkafka's that counts in `calls` for how many clients it was called."""
    folder = tmp_path_factory.mktemp("plug-in")
    source, made = folder / "own.c", folder / "own.so"
    source.write_text("int calls;\nint conf_init(void *conf, void **own, char *words, long size) { return ++calls, 0; }\n")
    subprocess.run([*compiler(), "-fPIC", "-shared", "-o", made, source], check=True)
    return made


def calls(plug_in: Path) -> int:
    return ctypes.c_int.in_dll(ctypes.CDLL(str(plug_in)), "calls").value


def of_flow(settings: Settings) -> OutboxPart:
    part = TopicSink(FlowContext(settings), {"results": settings.results_topic}).build_part("results", "00", None)
    part.write_batch([Records.of(PAIRS)])
    part.snapshot()
    assert {key: str(value).encode() for key, value in read_topic(settings, settings.results_topic)} == dict(PAIRS)
    return part


def sender(part: OutboxPart) -> type:
    return type(part._outboxes[0]._sender)  # pyright: ignore[reportPrivateUsage]  # which of both it is shows nowhere else


LACKS = {
    "a function": "the librdkafka of this confluent-kafka shows no rd_kafka_of_another_version",
    "plug-ins": "librdkafka takes no plug-in: dlopen() failed: /nowhere/tally.so: ",
    "a call of ours": "the client was made without the plug-in of this library",
    "paths with a semicolon": "librdkafka loads no plug-in from /a;b/tally.so",
}


@pytest.fixture(params=LACKS)
def lack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, plug_in: Path) -> str:
    """The reason given for why records can't be sent to librdkafka directly."""
    if request.param == "a function":
        monkeypatch.setattr("dataflows.native.sender._CALLED_BY_C", ("produceva", "of_another_version"))
    else:
        files = {"plug-ins": "/nowhere/tally.so", "a call of ours": str(plug_in), "paths with a semicolon": "/a;b/tally.so"}
        monkeypatch.setattr(library.library()[0], "_name", files[request.param])
    return LACKS[request.param]


def test_where_librdkafka_can_not_be_sent_to_directly_records_leave_by_confluent_kafka_and_it_is_said_once(
    settings: Settings, caplog: pytest.LogCaptureFixture, lack: str
) -> None:
    caplog.set_level(logging.INFO)
    assert sender(of_flow(settings)) is PythonSender
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"the native engine can't send records ({lack}")
    assert "); Python does it" in said
    assert "\n" not in said
    with pytest.raises(SettingsError) as caught:
        TopicSink(FlowContext(replace(settings, native="on")), {"results": settings.results_topic}).build_part(
            "results", "00", None
        )
    assert str(caught.value).startswith(f"ADTALLY_NATIVE=on, but the native engine can't send records: {lack}")


@pytest.mark.parametrize(
    ("name", "instead", "reason"),
    [
        (
            *("queue._CALLED_BY_C", ("queue_poll", "of_another_version")),
            "the librdkafka .* shows no rd_kafka_of_another_version",
        ),
        ("client._no_handle_reason", lambda: "librdkafka takes no plug-in: none", "librdkafka takes no plug-in: none"),
    ],
)
def test_where_librdkafka_can_not_be_asked_directly_messages_come_by_confluent_kafka_and_it_is_said_once(
    name: str, instead: object, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(f"dataflows.native.{name}", instead)
    caplog.set_level(logging.INFO)
    engine = Engine(Settings())
    for _ in range(2):
        assert not engine.fetches_natively
    (said,) = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(f"the native engine can't fetch messages \\({reason}\\); Python does it, .*", said)
    with pytest.raises(SettingsError, match=r"on, but the native engine can't fetch messages: .* ADTALLY_NATIVE=auto does it in"):
        _ = Engine(Settings(native="on")).fetches_natively


def test_where_it_can_it_is_done_in_c_and_nothing_is_said(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert sender(of_flow(replace(settings, native="on"))) is NativeSender
    assert Engine(Settings(native="on")).fetches_natively
    assert not caplog.records
    assert sender(of_flow(replace(settings, native="off"))) is PythonSender
    assert not Engine(Settings(native="off")).fetches_natively


@pytest.mark.parametrize("end", ["", ";"])
def test_plug_ins_of_the_operator_are_loaded_with_our_own(settings: Settings, plug_in: Path, end: str) -> None:
    before = calls(plug_in)
    with_own = replace(settings, client={PLUGINS: f"{plug_in}{end}"})
    part = TopicSink(FlowContext(with_own), {"results": settings.results_topic}).build_part("results", "00", None)
    assert calls(plug_in) == before + 1
    part.write_batch([Records.of(PAIRS)])
    part.snapshot()
    assert sender(part) is NativeSender
    assert {key for key, _ in read_topic(settings, settings.results_topic)} == {key for key, _ in PAIRS}


def test_a_plug_in_of_the_operator_that_is_not_there_ends_the_run_with_a_line_that_names_it(settings: Settings) -> None:
    missing = replace(settings, client={PLUGINS: "/nowhere/own.so"})
    with pytest.raises(RefusedError, match=r"can't be set up: dlopen\(\) failed: /nowhere/own\.so"):
        TopicSink(FlowContext(missing), {"results": settings.results_topic}).build_part("results", "00", None)
