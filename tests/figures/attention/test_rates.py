"""The statistics behind *Needs attention*: exact tails against fractions, the quick bound against the exact tail."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from figures.attention import rates


def exact(least: int, total: int, probability: Fraction) -> Fraction:
    terms = (math.comb(total, at) * probability**at * (1 - probability) ** (total - at) for at in range(max(least, 0), total + 1))
    return sum(terms, start=Fraction(0))


@given(some.integers(0, 120), some.integers(0, 120), some.integers(1, 999))
def test_the_tail_is_that_of_the_binomial(least: int, total: int, thousandths: int) -> None:
    probability = Fraction(thousandths, 1000)
    wanted = float(exact(least, total, probability))
    assert rates.tail(least, total, float(probability)) == pytest.approx(wanted, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        # One-sided chances of Przyborowski and Wilenski's conditional test, as sums of fractions.
        ((1, 1.0), (9, 1.0), Fraction(11, 1024)),
        ((0, 1.0), (10, 1.0), Fraction(1, 1024)),
        ((0, 1.0), (4, 3.0), Fraction(81, 256)),
    ],
)
def test_two_rates_are_compared_given_their_sum(first: tuple[int, float], second: tuple[int, float], wanted: Fraction) -> None:
    assert rates.chance(*first, *second, ratio=1.0, up=False) == pytest.approx(float(wanted))


def test_a_change_is_measured_against_the_one_that_would_not_matter() -> None:
    halved = rates.chance(50, 1, 1000, 10, ratio=1.0, up=False)
    assert halved < 1e-6
    assert rates.chance(50, 1, 1000, 10, ratio=0.5, up=False) > 0.4
    assert rates.chance(200, 1, 1000, 10, ratio=2.0, up=True) > 0.4


def test_noisy_counts_carry_less() -> None:
    plain = rates.chance(50, 1, 1000, 10, ratio=1.0, up=False)
    assert rates.chance(50, 1, 1000, 10, ratio=1.0, up=False, dispersion=5.0) > 100 * plain


@pytest.mark.parametrize("over", [(0.0, 1.0), (1.0, 0.0)])
def test_without_exposure_nothing_is_said(over: tuple[float, float]) -> None:
    assert rates.chance(0, over[0], 100, over[1], ratio=1.0, up=False) == 1.0


@pytest.mark.parametrize("total", [10**7, 10**9])
def test_the_tail_of_millions_of_events_is_exact_too(total: int) -> None:
    middle = 1 / math.sqrt(math.pi * total / 2)  # of an even number of tosses, the chance of just as many heads as tails
    assert rates.tail(total // 2, total, 0.5) == pytest.approx(0.5 + middle / 2, rel=1e-7)
    ten_sigma = rates.tail(int(0.3 * total + 10 * math.sqrt(0.21 * total)), total, 0.3)
    assert ten_sigma == pytest.approx(math.erfc(10 / math.sqrt(2)) / 2, rel=0.1)
    assert rates.tail(int(0.9 * total), total, 0.5) == rates.SMALLEST


@pytest.mark.parametrize(
    ("least", "probability", "wanted"), [(0, 0.0, 1.0), (1, 0.0, rates.SMALLEST), (5, 1.0, 1.0), (6, 0.5, 0.0)]
)
def test_the_tail_at_the_ends(least: int, probability: float, wanted: float) -> None:
    assert rates.tail(least, 5, probability) == wanted


counts = some.integers(0, 5000)
exposures = some.floats(0.01, 100)


@given(counts, counts, some.tuples(exposures, exposures), some.sampled_from([0.5, 1.0, 2.0]), some.booleans())
def test_the_quick_bound_never_misses_what_the_exact_test_would_find(
    count: int, count0: int, over: tuple[float, float], ratio: float, up: bool
) -> None:
    arrays = [np.array([float(value)]) for value in (count, over[0], count0, over[1])]
    found = float(rates.evidence(*arrays, ratio=ratio, up=up)[0])
    chance = rates.chance(count, over[0], count0, over[1], ratio=ratio, up=up)
    # Where the change goes the other way the bound says 0, and the chance is one of the middle or above.
    assert -math.log(max(chance, rates.SMALLEST)) <= max(found, math.log(4)) + 1e-6


def test_the_dispersion_of_poisson_counts_is_about_one_and_that_of_noise_what_it_is() -> None:
    draw = np.random.default_rng(5)
    over = np.ones(5000)
    quiet, noisy = draw.poisson(20, 5000).astype(np.float64), (3 * draw.poisson(7, 5000)).astype(np.float64)
    for lumps in (True, False):
        assert rates.dispersion(quiet, over, lumps=lumps) == pytest.approx(1.0, abs=0.1)
        assert rates.dispersion(noisy, over, lumps=lumps) == pytest.approx(3.0, rel=0.15)


def test_a_lasting_step_is_not_noise_but_lumps_are() -> None:
    step = np.concatenate([np.full(100, 10.0), np.full(100, 20.0)])
    assert rates.dispersion(step, np.ones(200), lumps=False) == 1.0
    lumps = np.where(np.arange(200) % 25 == 0, 400.0, 0.0)
    assert rates.dispersion(np.full(200, 4.0), lumps, lumps=True) > 20


@pytest.mark.parametrize("rate", [0.0, 3.0, 40.0])
def test_the_beginning_of_a_change_is_found(rate: float) -> None:
    series = np.concatenate([np.full(50, 12.0), np.full(30, rate)])
    assert rates.begun(series, np.ones(80), usual=12.0, rate=rate) == 50
