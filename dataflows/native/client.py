"""The librdkafka that confluent-kafka brings, for what goes past its objects."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_char_p, c_int, c_int32, c_size_t, c_void_p
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from confluent_kafka import Consumer, Producer, cimpl

from dataflows.native.library import library

_TRIED = ((2, 16), (2, 17))
"""Versions of confluent-kafka, the second without, whose clients are known to begin with librdkafka's handle: see tests/test_fetch.py."""


def why_no_client(called: Sequence[str]) -> str | None:
    """Why librdkafka can't be used here past confluent-kafka, in words; None if it can.

    `called`: its functions, without their ``rd_kafka_``, that C is to call.
    """
    if reason := library()[1]:
        return reason
    client, reason = client_library()
    if client is None:
        return reason
    missing = next((name for name in called if not hasattr(client, f"rd_kafka_{name}")), None)
    return missing and _lacks(f"rd_kafka_{missing}")


@lru_cache(maxsize=1)
def client_library() -> tuple[Any, str]:
    """The librdkafka that confluent-kafka uses, found among what its extension module depends on, or None and the reason in words."""
    release = version("confluent-kafka")
    given = tuple(int(part) for part in release.split(".")[:2])
    if not _TRIED[0] <= given < _TRIED[1]:
        return None, f"confluent-kafka {release} is not one that it was tried with"
    client = ctypes.CDLL(cimpl.__file__)
    signatures: dict[str, tuple[Any, ...]] = {
        "rd_kafka_opaque": (c_void_p, c_void_p),
        "rd_kafka_queue_get_partition": (c_void_p, c_void_p, c_char_p, c_int32),
        "rd_kafka_queue_forward": (None, c_void_p, c_void_p),
        "rd_kafka_queue_destroy": (None, c_void_p),
        "rd_kafka_queue_io_event_enable": (None, c_void_p, c_int, c_char_p, c_size_t),
        "rd_kafka_topic_new": (c_void_p, c_void_p, c_char_p, c_void_p),
        "rd_kafka_topic_destroy": (None, c_void_p),
    }
    for name, (result, *arguments) in signatures.items():
        function = getattr(client, name, None)
        if function is None:
            return None, _lacks(name)
        function.restype, function.argtypes = result, arguments
    return client, ""


def _lacks(name: str) -> str:
    return f"the librdkafka of this confluent-kafka shows no {name}"


def functions_of(client: Any, names: Sequence[str]) -> Any:
    """The addresses of librdkafka's functions of these names, without their ``rd_kafka_``; raises `AttributeError` if one is missing."""
    return (c_void_p * len(names))(*(ctypes.cast(getattr(client, f"rd_kafka_{name}"), c_void_p).value for name in names))


def handle_of(client: Any, owner: Consumer | Producer) -> int:
    """librdkafka's handle of a consumer or producer, which stands first in the object; librdkafka itself confirms whose it is.

    Raises `RuntimeError` where it stands elsewhere.
    """
    handle = c_void_p.from_address(id(owner) + object.__basicsize__).value
    if not handle or client.rd_kafka_opaque(handle) != id(owner):
        raise RuntimeError(f"{type(owner).__name__} does not begin with librdkafka's handle")
    return handle
