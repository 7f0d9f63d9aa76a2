"""Connections between the processes of a cluster: the end of a peer is noticed, whatever it has sent; silent ones are probed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from dataflows.process.peers import SILENT_SECONDS, Peers
from tests.support.flows import free_port, wait_for


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """One that listens on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one


def place(of: socket.socket) -> str:
    host, port = of.getsockname()[:2]
    return f"{host}:{port}"


def connected(listener: socket.socket, stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection, of which the first has called."""
    caller = stack.enter_context(socket.create_connection(listener.getsockname()))
    return caller, stack.enter_context(listener.accept()[0])


@pytest.mark.parametrize("process", [0, 1], ids=["that called us", "that we called"])
def test_a_peer_that_is_gone_is_noticed_even_if_what_it_sent_has_not_been_read(listener: socket.socket, process: int) -> None:
    with ExitStack() as stack:
        caller, called = connected(listener, stack)
        mine, other = (called, caller) if process == 0 else (caller, called)
        peers = Peers([place(listener), f"127.0.0.1:{free_port()}"], process)
        assert not peers.look()
        other.sendall(b"x")
        assert mine.recv(1, socket.MSG_PEEK) == b"x"
        assert not peers.look()
        other.close()
        wait_for(peers.look, "the end of the connection")


@pytest.mark.parametrize("process", [0, 1], ids=["that called us", "that we called"])
def test_a_peer_that_ends_before_the_first_look_is_noticed(listener: socket.socket, process: int) -> None:
    with ExitStack() as stack:
        caller, called = connected(listener, stack)
        peers = Peers([place(listener), f"127.0.0.1:{free_port()}"], process)
        (caller if process == 0 else called).close()
        wait_for(peers.look, "the end of the connection")


def test_the_system_looks_after_a_connection_to_a_peer_and_after_no_other_one(listener: socket.socket) -> None:
    with ExitStack() as stack:
        caller, called = connected(listener, stack)
        stranger = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        others = connected(stranger, stack)
        Peers([place(listener), f"127.0.0.1:{free_port()}"], 0).look()
        kept = [one for one in (caller, called, *others) if one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
        assert kept == [called]
        first, then, times = (
            called.getsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_KEEP{name}")) for name in ("IDLE", "INTVL", "CNT")
        )
        assert first + then * times == SILENT_SECONDS
        assert called.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == SILENT_SECONDS * 1000


def test_other_connections_than_those_to_peers_may_come_and_go(listener: socket.socket) -> None:
    peers = Peers([f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"], 0)
    with ExitStack() as stack:
        caller, called = connected(listener, stack)
        assert not peers.look()
        called.close()
        assert not peers.look()
        caller.close()
        assert not peers.look()
