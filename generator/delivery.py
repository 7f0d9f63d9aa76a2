"""Where messages go: to Kafka, or to standard output in a dry run. Nothing is given up while the broker is away."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import BinaryIO, Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Message as Delivered

from dataflows.contract.errors import DeliveryError
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import STOPPED, describe, make_producer, why_stopped
from dataflows.kafka.diagnosis import is_forbidden, lack
from dataflows.telemetry.log_lines import unwritten
from generator.batches import Message

QUEUE = 200_000
"""Maximum number of messages that wait in memory for the broker; beyond it the generator waits too."""


class Sink(Protocol):
    """Takes messages and reports what became of them."""

    sent: int
    failed: int
    reason: str
    """Reason of the first failure, in words."""

    def send(self, messages: Iterable[Message]) -> None:
        """Send `messages`, in this order."""
        ...

    def pending(self) -> int:
        """Number of messages that were sent and are neither acknowledged nor failed."""
        ...

    def away(self) -> bool:
        """Whether no broker answers."""
        ...

    def finish(self, give_up: Callable[[], bool]) -> None:
        """Wait until nothing is pending, or until `give_up` returns true."""
        ...


class KafkaSink:
    """An idempotent producer to `settings.logs_topic` that waits where it is full, and repeats until the broker has taken a message.

    `say` gets a line when the broker goes away and when it is back. `interrupted` is checked while waiting for room: once it is true,
    waiting ends, and messages that were not handed over are not counted as sent. `turned` is called repeatedly during that wait.
    Raises `BrokerError` for client properties that librdkafka refuses.
    """

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        interrupted: Callable[[], bool] = lambda: False,
        turned: Callable[[], None] = lambda: None,
    ) -> None:
        self.sent = 0
        self.failed = 0
        self.reason = ""
        self._settings = settings
        self._say = say
        self._interrupted = interrupted
        self._away = False
        self._acknowledged_then = 0
        self.turned = turned
        ours = {
            # 0 means no limit: while a broker restarts nothing is lost, however long it takes.
            "message.timeout.ms": 0,
            "linger.ms": 20,
            "batch.num.messages": 10_000,
            "queue.buffering.max.messages": QUEUE,
            "queue.buffering.max.kbytes": 262_144,
        }
        # ADTALLY_KAFKA_… settings of the operator take precedence, as everywhere.
        extra = {name: value for name, value in ours.items() if name not in settings.client}
        self._producer = make_producer(
            settings,
            "generator",
            # librdkafka counts what is acknowledged (`pending`); a Python call for each would halve the rate of a load test.
            **{"delivery.report.only.error": True, "on_delivery": self._delivered, "error_cb": self._trouble},
            **extra,
        )

    def send(self, messages: Iterable[Message]) -> None:
        """Produce each of `messages`, waiting for room; raises `DeliveryError` if the producer can't continue at all."""
        self._serve(0)
        produce, topic = self._producer.produce, self._settings.logs_topic
        for key, value in messages:
            try:
                produce(topic, value, key)
            except BufferError:
                if not self._wait_for_room(key, value):
                    return
            except KafkaException as error:
                self._refused(error)
            self.sent += 1

    def _wait_for_room(self, key: str, value: str | bytes) -> bool:
        """Produce once the queue has room; return False if interrupted before: the message was not handed over."""
        while not self._interrupted():
            self._serve(0.05)
            self.turned()
            try:
                self._producer.produce(self._settings.logs_topic, value, key)
            except BufferError:
                continue
            except KafkaException as error:
                self._refused(error)
            return True
        return False

    def _serve(self, timeout: float) -> None:
        self._run(self._producer.poll, timeout)
        if self._away and self._acknowledged() > self._acknowledged_then:
            self._away = False
            self._say(f"the broker at {self._settings.brokers} answers again")

    def _acknowledged(self) -> int:
        return self.sent - self.failed - self.pending()

    def pending(self) -> int:
        """Messages without an acknowledgement yet."""
        return len(self._producer)

    def away(self) -> bool:
        """Whether the broker is unreachable."""
        return self._away

    def finish(self, give_up: Callable[[], bool]) -> None:
        """Flush until everything is acknowledged or `give_up` is true (checked five times a second); raises `DeliveryError` as `send`."""
        while self._run(self._producer.flush, 0.2) and not give_up():
            self._serve(0)
        self._serve(0)

    def _run(self, call: Callable[[float], int], seconds: float) -> int:
        """Make a call that serves the producer's callbacks; raises `DeliveryError` if the producer can't continue at all."""
        try:
            return call(seconds)
        except STOPPED as error:
            self._serve_refusals()
            raise self._no_more(why_stopped(error)) from None

    def _serve_refusals(self) -> None:
        """Count the refusals that wait behind the error which ended a call: one call serves those up to the next such error."""
        for _ in range(len(self._producer)):
            with contextlib.suppress(*STOPPED):
                if not self._producer.poll(0):
                    return

    def _delivered(self, error: KafkaError | None, _message: Delivered) -> None:
        if error is not None:
            self.failed += 1
            self.reason = self.reason or self._why(error)

    def _why(self, error: KafkaError) -> str:
        return lack("Write", f"topic {self._settings.logs_topic}") if is_forbidden(error) else describe(error)

    def _no_more(self, error: KafkaError) -> DeliveryError:
        return DeliveryError(f"Kafka refuses events for topic {self._settings.logs_topic}: {self._why(error)}.")

    def _trouble(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self._away:
            self._away = True
            self._acknowledged_then = self._acknowledged()
            self._say(f"no broker answers at {self._settings.brokers}; events are kept in memory and sent when it answers again")

    def _refused(self, error: KafkaException) -> None:
        """Count a message that Kafka refuses (for example one that is too large); raise if it would refuse every other one too."""
        self.failed += 1
        self.reason = self.reason or self._why(error.args[0])
        if error.args[0].fatal():
            self.sent += 1
            raise self._no_more(error.args[0])


class StreamSink:
    """A line for each message on `stream`: the dry run. What is written counts as acknowledged."""

    def __init__(self, stream: BinaryIO) -> None:
        self.sent = 0
        self.failed = 0
        self.reason = ""
        self._stream = stream

    def send(self, messages: Iterable[Message]) -> None:
        """Write the values, one a line; raises `BrokenPipeError` if the reader is gone, and `OutputError` if writing fails."""
        lines = [value.encode() if isinstance(value, str) else value for _, value in messages]
        try:
            self._stream.write(b"\n".join(lines) + b"\n" if lines else b"")
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            self.sent += len(lines)
            self.failed += len(lines)
            raise unwritten(error) from None
        self.sent += len(lines)

    def pending(self) -> int:
        """Always 0."""
        return 0

    def away(self) -> bool:
        """Always false."""
        return False

    def finish(self, give_up: Callable[[], bool]) -> None:
        """Do nothing: each line was flushed."""
