"""The librdkafka that is bundled with confluent-kafka, and the handles of its clients, for calls that bypass confluent-kafka's objects.

librdkafka itself passes the handle of each client that it makes to a plug-in, which is its documented interface for interceptors: nothing
depends on how confluent-kafka lays out its objects.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import c_char_p, c_int, c_int32, c_size_t, c_void_p
from functools import lru_cache
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, cimpl

from dataflows.native.library import library

AnyClient = TypeVar("AnyClient", Consumer, Producer)

PLUGINS = "plugin.library.paths"
"""librdkafka's property that names plug-ins, with a semicolon between two of them."""

_MAJOR = 2
"""Major version of librdkafka whose public structs fetch.h and send.c declare."""

_CALLED_BY_PLUGIN = (
    "conf_interceptor_add_on_new",
    "interceptor_add_on_acknowledgement",
    "interceptor_add_on_destroy",
)
"""The functions of librdkafka in the order of `PluginApi` in client.c."""

_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "rd_kafka_version": (c_int,),
    "rd_kafka_queue_get_partition": (c_void_p, c_void_p, c_char_p, c_int32),
    "rd_kafka_queue_forward": (None, c_void_p, c_void_p),
    "rd_kafka_queue_destroy": (None, c_void_p),
    "rd_kafka_queue_io_event_enable": (None, c_void_p, c_int, c_char_p, c_size_t),
    "rd_kafka_topic_new": (c_void_p, c_void_p, c_char_p, c_void_p),
    "rd_kafka_topic_destroy": (None, c_void_p),
}


def not_usable_reason(called: Sequence[str]) -> str | None:
    """Return why librdkafka can't be used here past confluent-kafka, in words; None if it can.

    `called`: its functions, without their ``rd_kafka_``, that C is to call.
    """
    if reason := library()[1]:
        return reason
    client, reason = client_library()
    if client is None:
        return reason
    missing = next((name for name in (*_CALLED_BY_PLUGIN, *called) if not hasattr(client, f"rd_kafka_{name}")), None)
    return _lacks(f"rd_kafka_{missing}") if missing else _no_handle_reason()


@lru_cache(maxsize=1)
def client_library() -> tuple[Any, str]:
    """Return the librdkafka that confluent-kafka uses, from what its extension module is linked with; or None and the reason in words."""
    client = ctypes.CDLL(cimpl.__file__)
    for name, (result, *arguments) in _SIGNATURES.items():
        function = getattr(client, name, None)
        if function is None:
            return None, _lacks(name)
        function.restype, function.argtypes = result, arguments
    major = client.rd_kafka_version() >> 24
    return (client, "") if major == _MAJOR else (None, f"librdkafka {major} is not the {_MAJOR} that it is written for")


@lru_cache(maxsize=1)
def _no_handle_reason() -> str | None:
    """Return why librdkafka passes no handle to the plug-in; None if it does, which a producer without brokers shows."""
    path = plugin_properties()[PLUGINS]
    if ";" in path:
        return f"librdkafka loads no plug-in from {path}"
    try:
        ClientHandle.capture(lambda own: Producer({**own, "log_level": 0}))
    except KafkaException as error:  # a librdkafka that was built without them, a system that loads none
        return f"librdkafka takes no plug-in: {error.args[0].str()}"
    except RuntimeError as error:
        return str(error)
    return None


def _lacks(name: str) -> str:
    return f"the librdkafka of this confluent-kafka shows no {name}"


def functions_of(client: Any, names: Sequence[str]) -> Any:
    """Return the addresses of librdkafka's functions of these names, without their ``rd_kafka_``.

    Raises `AttributeError` if one is missing.
    """
    return (c_void_p * len(names))(*(ctypes.cast(getattr(client, f"rd_kafka_{name}"), c_void_p).value for name in names))


def plugin_properties(others: str = "") -> dict[str, str]:
    """Return the property that loads this library into a client as librdkafka's plug-in; `others`: plug-ins to load as well."""
    native: Any = library()[0]
    native.client_prepare(functions_of(client_library()[0], _CALLED_BY_PLUGIN))
    return {PLUGINS: ";".join([*filter(None, others.split(";")), native._name])}


class ClientHandle:
    """librdkafka's handle of one client of confluent-kafka, and the outcomes of the records that C sent with it."""

    def __init__(self) -> None:
        """Expect the client that this thread makes next; only `capture` calls it. Raises `MemoryError`."""
        self._library: Any = library()[0]
        self.address: int = self._library.client_begin()
        """Address of the `Client` in client.h."""
        if not self.address:
            raise MemoryError

    def __del__(self) -> None:
        if getattr(self, "address", None):
            self._library.client_release(self.address)

    @classmethod
    def capture(cls, make: Callable[[dict[str, str]], AnyClient], others: str = "") -> tuple[AnyClient, ClientHandle]:
        """Return the client that `make` makes in this thread of its configuration and the properties that it is given, and its handle.

        `others`: plug-ins to load as well, as in `PLUGINS`. Raises what `make` raises, `RuntimeError` if librdkafka passed no handle,
        and `MemoryError`.
        """
        properties = plugin_properties(others)
        handle = cls()
        try:
            client = make(properties)
        finally:
            handle._library.client_end()
        if handle.value is None:
            raise RuntimeError("the client was made without the plug-in of this library")
        return client, handle

    @property
    def value(self) -> int | None:
        """The handle (``rd_kafka_t *``); None once the client is gone."""
        return self._library.client_handle(self.address)

    def sent(self) -> int:
        """Return how many records librdkafka's buffer took so far."""
        return self._library.client_sent(self.address)

    def refused(self) -> int:
        """Return how many records the broker refused."""
        return self._library.client_refused(self.address)

    def refusal(self) -> KafkaError | None:
        """Return why the broker refused the first of these; None if there are none."""
        code = self._library.client_code(self.address)
        return KafkaError(code) if code else None
