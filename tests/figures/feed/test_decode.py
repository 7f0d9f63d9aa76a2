"""What a record of `results` may hold: a sum beyond 64 bits is exact, and one beyond what can be added up is refused in words."""

from __future__ import annotations

import msgspec
import pytest

from dataflows.contract.metrics import SUMS
from dataflows.contract.schema import encode
from figures.feed.decode import Codec, UnreadableError
from tests.support.results import BEGIN, result


def record(name: str, number: str) -> bytes:
    """A record of `results` with `number` as JSON writes it."""
    return encode(msgspec.structs.replace(result(), **{name: 7_777_777})).replace(b"7777777", number.encode())


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**64, 2**96 - 1, 1 - 2**96])
def test_a_sum_beyond_64_bits_is_read_as_it_is(name: str, value: int) -> None:
    read, _ = Codec().read(record(name, str(value)), BEGIN)
    assert getattr(read, name) == value


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("digits", [str(2**96), str(-(2**96)), "9" * 400])
def test_a_sum_beyond_96_bits_is_refused_by_its_name(name: str, digits: str) -> None:
    with pytest.raises(UnreadableError, match=f"^its {name} is beyond 96 bits"):
        Codec().read(record(name, digits), BEGIN)


@pytest.mark.parametrize("digits", ["9" * 5000, "1e400", "1.5", "-0.0"])
def test_what_is_not_a_whole_number_that_python_reads_is_refused(digits: str) -> None:
    with pytest.raises(UnreadableError, match=r"."):
        Codec().read(record("clicks", digits), BEGIN)


@pytest.mark.parametrize("revision", [2**63, -(2**63) - 1, 2**64, 2**80])
def test_a_revision_that_does_not_fit_is_refused(revision: int) -> None:
    with pytest.raises(UnreadableError, match="revision"):
        Codec().read(record("revision", str(revision)), BEGIN)
