"""The limit of wrong passwords for each address."""

from __future__ import annotations

import pytest

from panel_app.server.login import MOST, SECONDS, WrongPasswords


@pytest.fixture
def now() -> list[float]:
    """The time, which a test may move."""
    return [1_000.0]


def test_after_too_many_wrong_passwords_an_address_may_try_again_when_the_first_of_them_is_old(now: list[float]) -> None:
    attempts = WrongPasswords(lambda: now[0])
    for _ in range(MOST):
        assert attempts.wait("192.0.2.1") == 0
        attempts.note("192.0.2.1")
        now[0] += 1
    assert attempts.wait("192.0.2.1") == SECONDS - MOST
    assert attempts.wait("192.0.2.2") == 0
    now[0] += SECONDS - MOST
    assert attempts.wait("192.0.2.1") == 0
    attempts.note("192.0.2.1")
    assert attempts.wait("192.0.2.1") == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("", None, True),
    ],
)
def test_a_host_with_a_whole_network_is_one_place(one: str, other: str | None, same: bool, now: list[float]) -> None:
    attempts = WrongPasswords(lambda: now[0])
    for _ in range(MOST):
        attempts.note(one)
    assert (attempts.wait(other) > 0) is same


def test_what_is_remembered_has_a_bound(now: list[float]) -> None:
    attempts = WrongPasswords(lambda: now[0], networks=3)
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3", "192.0.2.4"):
        for _ in range(MOST):
            attempts.note(address)
    assert [attempts.wait(f"192.0.2.{number}") > 0 for number in range(1, 5)] == [True, False, True, True]
