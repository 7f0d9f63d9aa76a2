"""The topics of a deployment: wait for their broker, create missing ones with the contract's configuration. It does not know Bytewax."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AdminClient,  # pyright: ignore[reportPrivateImportUsage]  # the documented place
    ClusterMetadata,  # pyright: ignore[reportPrivateImportUsage]  # the documented place
    ConfigResource,  # pyright: ignore[reportPrivateImportUsage]  # the documented place
)
from confluent_kafka.cimpl import NewTopic

from dataflows.contract.errors import BrokerError, RefusedError
from dataflows.contract.settings import Settings
from dataflows.kafka.clients import AWAY, Config, client_config, describe, unusable
from dataflows.kafka.diagnosis import ConnectionErrors, forbidden, is_forbidden, lack

log = logging.getLogger("adtally.kafka")

EMBEDDED = "mockCluster"
"""Prefix of the cluster id of librdkafka's mock cluster (rdkafka_mock.c); Kafka's ids are 22 characters of base64."""


RESULTS_SEGMENT_BYTES = 64 * 2**20
"""Bytes of results a partition holds before Kafka may compact them; hosted Kafkas take no less than 50 MB."""


class Topics:
    """Client for the topics of one deployment: waits for the broker, creates missing topics, returns their number of partitions."""

    def __init__(self, settings: Settings, role: str = "topics", rights: Mapping[str, str] | None = None) -> None:
        """`rights`: those that its part needs on topics, by name; to see one, which goes with any other, where it is not among them."""
        self.settings = settings
        self._rights = rights or {}
        self._complaints = ConnectionErrors(settings)
        try:
            self._client: Config = {**client_config(settings, role), "error_cb": self._complaints.on_error}
            # A query must not create the topic: a broker that creates topics automatically uses its own defaults, not the contract's.
            self._admin = AdminClient({**self._client, "allow.auto.create.topics": False})
        except KafkaException as error:
            raise unusable(settings, error) from None

    def partitions(self, topic: str, timeout: float = 5.0) -> int:
        """Return the number of partitions of `topic`, 0 if the topic does not exist.

        Raises `BrokerError` if none answers within `timeout` seconds, and `RefusedError` as soon as it is clear that none lets this client
        in, or that it may not see the topic.
        """
        description = self._ask(self._admin, topic, timeout).topics[topic]
        if description.error is not None and description.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise forbidden(self.settings, self._rights.get(topic, "Describe"), f"topic {topic}")
        return len(description.partitions)

    def metadata(self, timeout: float = 5.0) -> ClusterMetadata:
        """Return the brokers and all topics of the cluster; raises as `partitions`."""
        self._ask(self._admin, self.settings.logs_topic, timeout)  # with patience, and with the reason where it fails
        return self._admin.list_topics(timeout=timeout)

    def rights(self, names: Sequence[str], timeout: float = 5.0) -> dict[str, set[str]] | None:
        """Return what this client may do on each of the topics `names` and on the group: ``{"topic logs": {"Read", …}}``.

        None if the broker does not report it.
        """
        if self._is_embedded(names[0], timeout):
            return None
        topics = self._admin.describe_topics(
            TopicCollection([*names]), include_authorized_operations=True, request_timeout=timeout
        )
        groups = self._admin.describe_consumer_groups(
            [self.settings.group], include_authorized_operations=True, request_timeout=timeout
        )
        rights: dict[str, set[str]] = {}
        for kind, answers in (("topic", topics), ("group", groups)):
            for name, answer in answers.items():
                try:
                    operations = answer.result(timeout).authorized_operations
                except (KafkaException, TimeoutError) as error:
                    if isinstance(error, TimeoutError) or not is_forbidden(error.args[0]):
                        return None
                    operations = []
                if operations is None:
                    return None
                rights[f"{kind} {name}"] = {operation.name.title() for operation in operations}
        return rights

    def _is_embedded(self, topic: str, timeout: float) -> bool:
        return str(self._ask(self._admin, topic, timeout).cluster_id).startswith(EMBEDDED)

    def _ask(self, client: AdminClient, topic: str, timeout: float) -> ClusterMetadata:
        deadline = time.monotonic() + timeout
        patience = 0.5
        while True:
            try:
                metadata = client.list_topics(topic, timeout=max(0.0, min(patience, deadline - time.monotonic())))
            except KafkaException as error:
                if error.args[0].code() not in AWAY:
                    raise BrokerError(
                        f"the broker at {self.settings.brokers} refuses to describe topic {topic}: {describe(error)}."
                    ) from None
            else:
                self._complaints.clear()
                return metadata
            client.poll(0.1)  # errors of the connections are delivered only by a poll
            if refusal := self._complaints.refusal():
                raise refusal
            if time.monotonic() >= deadline:
                raise self._complaints.unreachable()
            patience *= 2

    def ensure(self, *topics: str, timeout: float = 10.0) -> None:
        """Create those of `topics` that are missing, with the contract's configuration for each. Raises `BrokerError`."""
        missing = [name for name in topics if not self.partitions(name, timeout)]
        if missing:
            self._create(missing, timeout)
        deadline = time.monotonic() + timeout
        while any(not self.partitions(name, timeout) for name in missing):
            if time.monotonic() > deadline:
                raise BrokerError(f"topic {', '.join(missing)} was created but does not appear on {self.settings.brokers}.")
            time.sleep(0.05)

    def _create(self, missing: list[str], timeout: float) -> None:
        if self._is_embedded(missing[0], timeout):
            # The embedded broker has no request to create a topic: it creates one when a client that allows this queries it.
            client = AdminClient(self._client)
            for name in missing:
                self._ask(client, name, timeout)
            return
        wanted = [
            NewTopic(name, self.settings.partitions, self.settings.replication, config=self._properties(name)) for name in missing
        ]
        for name, done in self._admin.create_topics(wanted, operation_timeout=timeout).items():
            try:
                done.result(timeout)
            except TimeoutError:
                raise BrokerError(
                    f"the broker at {self.settings.brokers} did not answer the request to create topic {name}."
                ) from None
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    why = lack("Create", f"topic {name}") if is_forbidden(error.args[0]) else f"{describe(error)}; create it"
                    raise BrokerError(
                        f"topic {name} is missing on {self.settings.brokers} and can't be created: {why}."
                    ) from None

    def _properties(self, topic: str) -> dict[str, str]:
        # Kafka's own time. On the logs `too_far_ahead` is measured against it, so that every replay decides alike; on the others a machine
        # whose clock is an hour ahead could not write otherwise: Kafka refuses what comes from the future.
        properties = {"message.timestamp.type": "LogAppendTime"}
        if topic != self.settings.logs_topic:
            properties["cleanup.policy"] = "compact"
        if topic in (self.settings.results_topic, *self.settings.breakdown_topics):
            # Kafka compacts closed segments alone, and by default closes one at 1 GB: hours of upserts to read when a dashboard starts.
            properties["segment.bytes"] = str(RESULTS_SEGMENT_BYTES)
        return properties

    def strayed(self, *topics: str, timeout: float = 10.0) -> list[str]:
        """Return a line, with the cure, for each property of the existing `topics` that differs from the contract.

        Empty if the broker does not report them: the client lacks the right, or the broker is the embedded one, which has no properties.
        Raises `BrokerError` if none answers.
        """
        if self._is_embedded(topics[0], timeout):
            return []
        answers = self._admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name) for name in topics])
        lines: list[str] = []
        for resource, answer in answers.items():
            try:
                config = answer.result(timeout)
            except (KafkaException, TimeoutError):
                continue
            for name, wanted in self._properties(resource.name).items():
                # An operator may add retention by age to compaction, and may choose the size of a segment.
                if name != "segment.bytes" and wanted not in str(config[name].value).split(","):
                    lines.append(
                        f"topic {resource.name} has {name}={config[name].value} but the contract requires {wanted}; set it with: "
                        f"kafka-configs.sh --alter --entity-type topics --entity-name {resource.name} --add-config {name}={wanted}"
                    )
        return lines

    def wait(self, *topics: str, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Call `ensure` until the broker is available, and log the wait once. Return False if `give_up` returned true first.

        Raises `RefusedError` at once if the broker answers but does not accept this client.
        """
        is_reported = False
        while not give_up():
            try:
                self.ensure(*topics, timeout=2.0)
            except RefusedError:
                raise
            except BrokerError as error:
                if not is_reported:
                    log.warning("waiting for Kafka: %s", error)
                is_reported = True
            else:
                if is_reported:
                    log.warning("the broker at %s is available", self.settings.brokers)
                return True
        return False
