"""Client configuration: what every part that talks to Kafka shares. It knows no Bytewax.

Properties that an operator sets as ``ADTALLY_KAFKA_…`` go to every client and override the values here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from dataflows.contract.client_properties import redact
from dataflows.contract.errors import DeliveryError, RefusedError
from dataflows.contract.settings import Settings
from dataflows.kafka.diagnosis import hint, is_forbidden, is_refusal, lack, plain_words

log = logging.getLogger("adtally.kafka")

CLOSE_SECONDS = 5.0
"""Longest wait for the close of a consumer, which usually takes milliseconds."""
Config = dict[str, Any]

# librdkafka writes its own lines to standard error unless it has a logger; our code logs each error once, in its own words.
_quiet = logging.getLogger("adtally.librdkafka")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False

AWAY = {
    KafkaError._TRANSPORT,
    KafkaError._FAIL,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._RESOLVE,
    # A broker is dropped from the client's list, and a request that waited for it fails.
    KafkaError._DESTROY_BROKER,
    KafkaError._UNKNOWN_BROKER,
}
"""Errors of a broker that does not answer."""

PASSING = AWAY | {
    KafkaError._INTR,
    KafkaError._NODE_UPDATE,
    KafkaError._RETRY,
    KafkaError._WAIT_CACHE,
    KafkaError._WAIT_COORD,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.NOT_CONTROLLER,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.THROTTLING_QUOTA_EXCEEDED,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.UNKNOWN_TOPIC_ID,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
"""Errors that pass by themselves: an unreachable broker, a leader that moves, a topic that is being created."""

NO_GROUP = {KafkaError.GROUP_AUTHORIZATION_FAILED}
"""Errors that a consumer without commits ignores: it has a group by its configuration, but needs no right to it."""


def client_config(settings: Settings, role: str) -> Config:
    """Return the configuration that every client shares; `role` shows in the broker's logs as the client id."""
    return {
        "bootstrap.servers": settings.brokers,
        "client.id": f"adtally-{role}",
        # A short back-off: a broker that comes back is found within a second.
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 30_000,
        "broker.address.family": "v4",
        "logger": _quiet,
        "error_cb": _log_error,
        **settings.client,
    }


def _log_error(error: KafkaError) -> None:
    """Log once per process why a broker can't be reached if waiting does not help: librdkafka retries silently."""
    if is_refusal(error):
        _log_once(plain_words(error))


@cache
def _log_once(words: str) -> None:
    log.warning("a broker can't be reached: %s", words)


def consumer_config(settings: Settings, role: str) -> Config:
    """Configuration of a consumer whose owner assigns partitions and offsets; it never skips ahead if an offset no longer exists."""
    return {
        "group.id": settings.group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        # A batch that was damaged on its way or on the broker's disk must not be counted.
        "check.crcs": True,
        # Both are measured (docs/performance.md): without them a drain waits for the fetcher most of the time …
        "fetch.queue.backoff.ms": 10,
        "fetch.wait.max.ms": 100,
        # … and the backlog that librdkafka keeps in memory is bounded.
        "fetch.message.max.bytes": 262_144,
        "queued.max.messages.kbytes": 4_096,
        **client_config(settings, role),
    }


def producer_config(settings: Settings, role: str) -> Config:
    """An idempotent producer: acknowledged by all replicas, in order, no record twice because of a retry."""
    return {
        "enable.idempotence": True,
        "compression.type": "lz4",
        "linger.ms": 5,
        # As the Java clients do: a twin that another client resends lands on the same partition.
        "partitioner": "murmur2_random",
        **client_config(settings, role),
    }


def describe(error: KafkaError | KafkaException) -> str:
    """Return Kafka's error message in one line without codes."""
    inner = error.args[0] if isinstance(error, KafkaException) and error.args else error
    return inner.str().rstrip(".") if isinstance(inner, KafkaError) else str(inner).rstrip(".")


STOPPED = (KafkaException, SystemError)
"""Exceptions of a producer that can't continue; the second one is raised if one of our callbacks ran while the first was raised."""


def why_stopped(error: Exception) -> KafkaError:
    """Return why a producer can't continue after `error` (`STOPPED`); raises `error` again if it does not say that."""
    met = error if isinstance(error, KafkaException) else error.__cause__
    if not isinstance(met, KafkaException):
        raise error
    return met.args[0]


def make_producer(settings: Settings, role: str, **extra: Any) -> Producer:
    """Return an idempotent producer (`producer_config`); raises `RefusedError` for a client property that librdkafka does not take."""
    try:
        return Producer({**producer_config(settings, role), **extra})
    except KafkaException as error:
        raise unusable(settings, error) from None


def make_consumer(settings: Settings, role: str, **extra: Any) -> Consumer:
    """Return a consumer (`consumer_config`); raises `RefusedError` for a client property that librdkafka does not take."""
    try:
        return Consumer({**consumer_config(settings, role), **extra})
    except KafkaException as error:
        raise unusable(settings, error) from None


def close_within(close: Callable[[], object], seconds: float = CLOSE_SECONDS) -> None:
    """Call `close` of a consumer, and wait for its end for `seconds` at most.

    In a thread of its own, because closing has no time limit in librdkafka: the broker may have just stopped answering, and a consumer
    that has met a damaged batch sometimes never ends.
    """
    closing = threading.Thread(target=close, name="adtally-close", daemon=True)
    closing.start()
    closing.join(seconds)


def cached_lag(consumer: Consumer, position: TopicPartition) -> int | None:
    """Return the number of messages from `position` to the end of its partition as the client last received it, without a query.

    None before it has received an end.
    """
    try:
        _, end = consumer.get_watermark_offsets(position, cached=True)
    except KafkaException:
        return None
    return None if end < 0 else max(0, end - position.offset)


def unusable(settings: Settings, error: KafkaException) -> RefusedError:
    """Return the error for client properties that librdkafka does not accept, without their secrets."""
    words = redact(describe(error).partition("create admin client: ")[2] or describe(error), settings.client)
    return RefusedError(f"the Kafka client can't be set up: {words}; {hint(words) or 'check the ADTALLY_KAFKA_… variables'}.")


def deliver(
    settings: Settings,
    role: str,
    topic: str,
    records: Iterable[tuple[bytes | str, bytes]],
    timeout: float = 30.0,
    *,
    headers: list[tuple[str, str | bytes | None]] | None = None,
) -> int:
    """Write (key, value) records to `topic`, each with `headers`, and wait until the broker has acknowledged each; their number.

    For commands that write a few and end; the flow has an outbox of its own. Raises `BrokerError`, or `DeliveryError` where records
    were refused, or not taken within `timeout` seconds.
    """
    producer = make_producer(settings, role)
    refused: list[KafkaError] = []

    def heard(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            refused.append(error)

    sent = 0
    try:
        for key, value in records:
            while True:
                try:
                    producer.produce(topic, value, key, headers=headers or [], on_delivery=heard)
                    break
                except BufferError:
                    producer.poll(0.1)
            sent += 1
        unanswered = producer.flush(timeout)  # which fills `refused`, so it comes first
        missing = len(refused) + unanswered
    except STOPPED as error:
        refused.insert(0, why_stopped(error))
        missing = max(1, sent)
    if missing:
        why = describe(refused[0]) if refused else f"the broker did not answer within {timeout:g} s"
        if refused and is_forbidden(refused[0]):
            why = lack("Write", f"topic {topic}")
        raise DeliveryError(
            f"{missing} of {sent} records of {topic} were not acknowledged ({why}); run the command again: nothing is counted twice."
        )
    return sent
