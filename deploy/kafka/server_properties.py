"""The ``server.properties`` of a Kafka on this machine: one node, and the listeners that clients find it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dataflows.process import ports

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}{behind}
advertised.listeners=PLAINTEXT://{host}:{port}{proxied}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
log.dirs={data}/log
# One node holds one replica of each.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Few internal partitions: it starts and stops in seconds.
offsets.topic.num.partitions=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
# After a crash the node may come back only when its old session is over: by default 9 s.
broker.session.timeout.ms=5000
broker.heartbeat.interval.ms=1000
# A wrong topic name must show, not make a topic.
auto.create.topics.enable=false
num.partitions=4
# Nothing goes by age: tests and replays send events with old times.
log.retention.ms=-1
log.retention.bytes=-1
"""


@dataclass(frozen=True, eq=False)
class Listener:
    """An additional listener, for clients that use TLS or log in.

    `name` in capitals; `protocol` as Kafka has it (``SSL``, ``SASL_SSL`` …); `properties` without Kafka's ``listener.name.<name>.``.
    """

    name: str
    protocol: str
    properties: Mapping[str, str] = field(default_factory=dict[str, str])


def properties(
    data: Path,
    port: int,
    controller: int,
    *,
    behind: int | None,
    proxy: int | None,
    more: Mapping[Listener, int],
    others: Mapping[str, str],
) -> str:
    """Return the text of the file for a node whose state is in `data`.

    All ports are of this machine: `port` for clients, `controller` for the node itself, `behind` for a proxy, `proxy` for clients behind
    the proxy, and those of the listeners in `more`. `others`: further properties of the broker.
    """
    host = ports.HOST
    opened = {listener.name: at for listener, at in more.items()}
    text = _PROPERTIES.format(
        host=host,
        port=port,
        controller=controller,
        behind=_listed({"PROXIED": behind, **opened}),
        proxied=_listed({"PROXIED": proxy, **opened}),
        protocols="".join(f",{listener.name}:{listener.protocol}" for listener in more),
        data=data,
    )
    own = (
        f"listener.name.{listener.name.lower()}.{key}={value}\n"
        for listener in more
        for key, value in listener.properties.items()
    )
    return text + "".join(own) + "".join(f"{key}={value}\n" for key, value in others.items())


def _listed(listeners: Mapping[str, int | None]) -> str:
    return "".join(f",{name}://{ports.HOST}:{port}" for name, port in listeners.items() if port)
