"""The proxy must do what it says: a fault that does not happen proves nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.system.faults.proxy import Proxy, Way


def echo(listener: socket.socket) -> None:
    """Send back what comes, to each client, until the listener is closed."""

    def serve(client: socket.socket) -> None:
        with client:
            try:
                while data := client.recv(65_536):
                    client.sendall(data)
            except OSError:
                return

    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(client,), daemon=True).start()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy before a server that sends back what it gets."""
    made = Proxy()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made.target = listener.getsockname()[1]
        threading.Thread(target=echo, args=(listener,), daemon=True).start()
        yield made
        made.close()
        listener.shutdown(socket.SHUT_RDWR)


def connect(proxy: Proxy, first: bytes = b"hello") -> socket.socket:
    """A connection that works."""
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=20)
    client.sendall(first)
    assert received(client, len(first)) == first
    return client


def received(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (piece := client.recv(count - len(data))):
        data += piece
    return data


def is_silent(client: socket.socket) -> bool:
    client.settimeout(0.3)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(20)
    return False


def test_everything_passes_through_undisturbed(proxy: Proxy) -> None:
    with connect(proxy) as client:
        data = bytes(range(256)) * 4000
        threading.Thread(target=client.sendall, args=(data,), daemon=True).start()
        assert received(client, len(data)) == data


def test_with_latency_an_answer_takes_twice_as_long_at_least(proxy: Proxy) -> None:
    with connect(proxy) as client:
        proxy.latency(0.2, 0.05)
        begun = time.monotonic()
        client.sendall(b"ping")
        assert received(client, 4) == b"ping"
        assert time.monotonic() - begun >= 0.3


def test_a_reset_ends_all_connections_with_an_error_and_new_ones_work(proxy: Proxy) -> None:
    with connect(proxy) as one, connect(proxy) as other:
        assert proxy.reset() == 2
        for client in (one, other):
            with pytest.raises(ConnectionResetError):
                received(client, 1)
    connect(proxy).close()


@pytest.mark.parametrize("ways", [(), (Way.TO_BROKER,), (Way.TO_CLIENT,)], ids=["both", "to the broker", "to the client"])
def test_a_black_hole_accepts_and_is_silent_and_delivers_once_it_is_over(proxy: Proxy, ways: tuple[Way, ...]) -> None:
    with connect(proxy) as old, socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as new:
        proxy.black_hole(*ways)
        for client in (old, new):
            client.sendall(b"ping")
            assert is_silent(client)
        proxy.clear()
        assert [received(client, 4) for client in (old, new)] == [b"ping"] * 2


def test_only_the_client_that_is_named_is_slow(proxy: Proxy) -> None:
    with connect(proxy, b"I am reader-1") as slow, connect(proxy, b"I am reader-2") as other:
        proxy.slow("reader-1", 0.1)
        for client in (slow, other):
            client.sendall(b"four bytes and more")
        assert received(other, 19)
        assert is_silent(slow)
        proxy.clear()


def test_the_connection_of_a_client_is_closed_if_its_broker_is_away(proxy: Proxy) -> None:
    proxy.target = 1
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as client:
        assert client.recv(1) == b""
