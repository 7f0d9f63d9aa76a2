"""Has a rate changed? The conditional exact test for two Poisson rates, and what of it is quick for thousands of them at once.

`count` events over an exposure `over` (minutes, impressions, money spent) are compared with `count0` over `over0`. If the first
rate is `ratio` times the second, then of all `count + count0` events each falls into the first part with probability
`ratio * over / (ratio * over + over0)`: the tail of that binomial is the chance. (Przyborowski & Wilenski, "Homogeneity of results in
testing samples from Poisson series", Biometrika 31, 1940.) With a `ratio` other than 1 it asks whether the change is larger than that.
Clicks out of impressions are binomial, not Poisson; the test is then too careful and never too bold.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

SMALLEST = 1e-300
"""Lower bound of a chance: smaller probabilities are reported as this value."""

_INNER_SHARE = 0.7
_INNER = round(float(special.chdtr(3, special.chdtri(1, 1 - _INNER_SHARE))) / _INNER_SHARE, 4)
"""Mean of the smaller 70 % of squares of standard normal values: E[X; X < q] of a chi-square X is the distribution with 2 more degrees."""


def part(over: Any, over0: Any, ratio: float) -> Any:
    """Return the probability that an event falls into the first part, if its rate is `ratio` times the other; floats or arrays of them."""
    return ratio * over / (ratio * over + over0)


def chance(count: float, over: float, count0: float, over0: float, *, ratio: float, up: bool, dispersion: float = 1.0) -> float:
    """Probability of at least this many (`up`) or at most this few events if the rate is `ratio` times the other; 1 where no test is
    possible.

    With a `dispersion` (variance over mean) above 1 the counts carry as much less information: both are divided by it, as in
    quasi-likelihood (McCullagh & Nelder, Generalized Linear Models, 1989, chapter 9), and rounded to the careful side.
    """
    if over <= 0 or over0 <= 0:
        return 1.0
    total = math.floor((count + count0) / dispersion)
    own = math.floor(count / dispersion) if up else math.ceil(count / dispersion)
    probability = float(part(over, over0, ratio))
    return tail(own, total, probability) if up else tail(total - own, total, 1.0 - probability)


def tail(least: int, total: int, probability: float) -> float:
    """Return P(X >= `least`) for X binomial of `total` trials, at least `SMALLEST` where it is possible at all.

    It is the regularised incomplete beta function (Abramowitz & Stegun 26.5.24), which is exact to ten digits for any `total`.
    """
    if least <= 0:
        return 1.0
    if least > total:
        return 0.0
    return max(float(special.betainc(least, total - least + 1, min(max(probability, 0.0), 1.0))), SMALLEST)


def evidence(count: Floats, over: Floats, count0: Floats, over0: Floats, *, ratio: float, up: bool) -> Floats:
    """Minus the logarithm of the least that `chance` can be (at a dispersion of 1), by element; 0 where the change goes the other way.

    Relative entropy times the number of events, less what separates Chernoff's bound from the exact tail at most
    (Ash, Information Theory, 1990, lemma 4.7.2): an element below a threshold is certainly no candidate for it.
    """
    total = count + count0
    known = (over > 0) & (over0 > 0) & (total > 0)
    bound = np.zeros(len(count))
    with np.errstate(divide="ignore", invalid="ignore"):
        probability = part(over, over0, ratio)
        share = count / total
        # Most elements can't be significant, and logarithms are slow.
        at = np.flatnonzero(known & (share > probability if up else share < probability))
        share, probability, total = share[at], probability[at], total[at]
        divergence = special.rel_entr(share, probability) + special.rel_entr(1 - share, 1 - probability)
        bound[at] = total * divergence + 0.5 * np.log(2 * total)
    return bound


def dispersion(counts: Floats, over: Floats, *, lumps: bool) -> float:
    """Variance over mean of `counts` (one per minute) whose expectation is in proportion to `over`; at least 1.

    From the differences of neighbours (von Neumann, Annals of Mathematical Statistics 12, 1941), so that a slow curve or a lasting
    step in the series is not taken for noise. Without `lumps` (exposure that comes in lumps, as fees do) from the smaller 70 % of them,
    so that a burst now and then is not either. 1 for fewer than 20 minutes.
    """
    exposed = float(over.sum())
    if len(counts) < 20 or exposed <= 0 or not counts.any():
        return 1.0
    rate = float(counts.sum()) / exposed
    expected = rate * (over[1:] + over[:-1])
    squares = np.square(np.diff(counts - rate * over))[expected > 0]
    expected = expected[expected > 0]
    if lumps:
        return max(1.0, float(squares.sum() / expected.sum()))
    inner = np.sort(squares / expected)[: max(int(_INNER_SHARE * len(squares)), 1)]
    return max(1.0, float(inner.mean()) / _INNER)


def begun(counts: Floats, over: Floats, *, usual: float, rate: float) -> int:
    """Return the index at which the rate most likely changed from `usual` to `rate`, which it has had since.

    The largest likelihood ratio over all beginnings, as in Page's CUSUM (Biometrika 41, 1954).
    """
    exposed = max(float(over.sum()), 1e-12)
    new, old = max(rate, 0.5 / exposed), max(usual, 0.5 / exposed)
    gain = counts * np.log(new / old) - (new - old) * over
    return int(np.argmax(np.cumsum(gain[::-1])[::-1]))
