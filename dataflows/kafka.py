"""Client configuration and topics: what every part that talks to Kafka shares. It knows no Bytewax.

Whatever an operator sets as ``ADTALLY_KAFKA_…`` goes to every client and wins over the values here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ClusterMetadata  # pyright: ignore[reportPrivateImportUsage]  # the documented place
from confluent_kafka.cimpl import NewTopic

from dataflows.client import redact
from dataflows.errors import BrokerError, DeliveryError, RefusedError
from dataflows.refusal import Complaints, forbidden, hint, is_forbidden, is_refusal, lack, plain_words
from dataflows.settings import Settings

log = logging.getLogger("adtally.kafka")
Config = dict[str, Any]

# librdkafka writes its own lines to standard error unless it is given a logger; ours are said once, in our words.
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
    # A broker is dropped from the client's list, and a request that waited for it is told so.
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
"""Errors that pass by themselves: a broker that is away, a leader that moves, a topic that comes."""

NO_GROUP = {KafkaError.GROUP_AUTHORIZATION_FAILED}
"""What a consumer is told that only reads: each has a group by its configuration, and the right to one is needed by who uses it."""


def client_config(settings: Settings, role: str) -> Config:
    """Configuration that every client shares; `role` shows in the broker's logs as the client id."""
    return {
        "bootstrap.servers": settings.brokers,
        "client.id": f"adtally-{role}",
        # A short back-off: a broker that comes back is found within a second.
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 30_000,
        "broker.address.family": "v4",
        "logger": _quiet,
        "error_cb": _tell,
        **settings.client,
    }


def _tell(error: KafkaError) -> None:
    """Say once in a process why a broker is not reached, where waiting does not help: librdkafka tries on without a word."""
    if is_refusal(error):
        _tell_once(plain_words(error))


@cache
def _tell_once(words: str) -> None:
    log.warning("a broker can't be reached: %s", words)


def consumer_config(settings: Settings, role: str) -> Config:
    """A consumer that is told its partitions and offsets by its owner, and never jumps where an offset is gone."""
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
    """What Kafka says, in one line without codes."""
    inner = error.args[0] if isinstance(error, KafkaException) and error.args else error
    return inner.str().rstrip(".") if isinstance(inner, KafkaError) else str(inner).rstrip(".")


STOPPED = (KafkaException, SystemError)
"""What a call of a producer raises that can't go on; the second one where a callback of ours ran while the first was under way."""


def why_stopped(error: Exception) -> KafkaError:
    """Why a producer can't go on, of what it raised (`STOPPED`); raises `error` again if that is not what it tells."""
    met = error if isinstance(error, KafkaException) else error.__cause__
    if not isinstance(met, KafkaException):
        raise error
    return met.args[0]


class Topics:
    """The topics of one deployment: waits for the broker, creates what is missing, tells how many partitions there are."""

    def __init__(self, settings: Settings, role: str = "topics", rights: Mapping[str, str] | None = None) -> None:
        """`rights`: those that its part needs on topics, by name; to see one, which goes with any other, where it is not among them."""
        self.settings = settings
        self._rights = rights or {}
        self._complaints = Complaints(settings)
        try:
            config: Config = {**client_config(settings, role), "error_cb": self._complaints.heed}
            self._admin = AdminClient(config)
        except KafkaException as error:
            raise _unusable(settings, error) from None

    def partitions(self, topic: str, timeout: float = 5.0) -> int:
        """Partitions of `topic`, 0 if there is no such topic.

        Raises `BrokerError` if none answers within `timeout` seconds, and `RefusedError` as soon as it is clear that none lets this client
        in, or that it may not see the topic.
        """
        found = self._ask(topic, timeout).topics[topic]
        if found.error is not None and found.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise forbidden(self.settings, self._rights.get(topic, "Describe"), f"topic {topic}")
        return len(found.partitions)

    def _ask(self, topic: str, timeout: float) -> ClusterMetadata:
        deadline = time.monotonic() + timeout
        patience = 0.5
        while True:
            try:
                found = self._admin.list_topics(topic, timeout=max(0.0, min(patience, deadline - time.monotonic())))
            except KafkaException as error:
                if error.args[0].code() not in AWAY:
                    raise BrokerError(
                        f"the broker at {self.settings.brokers} refuses to describe topic {topic}: {describe(error)}."
                    ) from None
            else:
                self._complaints.clear()
                return found
            self._admin.poll(0.1)  # what the connections met is told only when it is asked for
            if refusal := self._complaints.refusal():
                raise refusal
            if time.monotonic() >= deadline:
                raise self._complaints.unreachable()
            patience *= 2

    def ensure(self, *topics: str, timeout: float = 10.0) -> None:
        """Create those of `topics` that are missing, with the contract's configuration for each.

        A broker without an admin API (the embedded one) creates a topic when it is first asked for. Raises `BrokerError`.
        """
        missing = [name for name in topics if not self.partitions(name, timeout)]
        wanted = [
            NewTopic(name, self.settings.partitions, self.settings.replication, config=self._config(name)) for name in missing
        ]
        for name, done in self._admin.create_topics(wanted, operation_timeout=timeout).items() if wanted else ():
            try:
                done.result(timeout)
            except TimeoutError:
                raise BrokerError(
                    f"the broker at {self.settings.brokers} does not answer to the wish for topic {name}."
                ) from None
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    why = lack("Create", f"topic {name}") if is_forbidden(error.args[0]) else f"{describe(error)}; create it"
                    raise BrokerError(
                        f"topic {name} is missing on {self.settings.brokers} and can't be created: {why}."
                    ) from None
        deadline = time.monotonic() + timeout
        while any(not self.partitions(name, timeout) for name in missing):
            if time.monotonic() > deadline:
                raise BrokerError(f"topic {', '.join(missing)} was created but does not appear on {self.settings.brokers}.")
            time.sleep(0.05)

    def _config(self, topic: str) -> dict[str, str]:
        # Kafka's own time. On the logs `too_far_ahead` is measured against it, so that every replay decides alike; on the others a machine
        # whose clock is an hour ahead could not write otherwise: Kafka refuses what comes from the future.
        time = {"message.timestamp.type": "LogAppendTime"}
        return time if topic == self.settings.logs_topic else {**time, "cleanup.policy": "compact"}

    def wait(self, *topics: str, give_up: Callable[[], bool] = lambda: False) -> bool:
        """`ensure`, however long the broker takes to come; says so once. False if `give_up` said so first.

        Raises `RefusedError`: a broker that is there and does not let this client in is not waited for.
        """
        said = False
        while not give_up():
            try:
                self.ensure(*topics, timeout=2.0)
            except RefusedError:
                raise
            except BrokerError as error:
                if not said:
                    log.warning("waiting: %s", error)
                said = True
            else:
                if said:
                    log.warning("the broker at %s is there", self.settings.brokers)
                return True
        return False


def make_producer(settings: Settings, role: str, **extra: Any) -> Producer:
    """An idempotent producer (`producer_config`); raises `RefusedError` for a client property that librdkafka does not take."""
    try:
        return Producer({**producer_config(settings, role), **extra})
    except KafkaException as error:
        raise _unusable(settings, error) from None


def make_consumer(settings: Settings, role: str, **extra: Any) -> Consumer:
    """A consumer (`consumer_config`); raises `RefusedError` for a client property that librdkafka does not take."""
    try:
        return Consumer({**consumer_config(settings, role), **extra})
    except KafkaException as error:
        raise _unusable(settings, error) from None


def heard_lag(consumer: Consumer, place: TopicPartition) -> int | None:
    """Messages from the offset of `place` to the end of its partition, as far as the client has heard by itself: no broker is asked.

    None before it has heard of an end.
    """
    try:
        _, end = consumer.get_watermark_offsets(place, cached=True)
    except KafkaException:
        return None
    return None if end < 0 else max(0, end - place.offset)


def _unusable(settings: Settings, error: KafkaException) -> RefusedError:
    words = redact(describe(error).partition("create admin client: ")[2] or describe(error), settings.client)
    return RefusedError(f"the Kafka client can't be set up: {words}; {hint(words) or 'look at the ADTALLY_KAFKA_… variables'}.")


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
        missing = len(refused) + producer.flush(timeout)
    except STOPPED as error:
        refused.insert(0, why_stopped(error))
        missing = max(1, sent)
    if missing:
        why = describe(refused[0]) if refused else f"the broker did not answer within {timeout:g} s"
        if refused and is_forbidden(refused[0]):
            why = lack("Write", f"topic {topic}")
        raise DeliveryError(f"{missing} of {sent} records of {topic} were not taken ({why}); run it again: nothing counts twice.")
    return sent


@cache
def warn_of_create_time(topic: str) -> None:
    """Say once in a process that the topic's times are not the broker's own."""
    log.warning(
        "topic %s keeps its producers' times (CreateTime): what is too far ahead then depends on their clocks; "
        "set message.timestamp.type=LogAppendTime on it",
        topic,
    )
