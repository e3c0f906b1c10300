"""Is a difference between two configurations more than chance? Numbers only: estimates, intervals, p values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

ALPHA = 0.03
"""Level of the test over seeds; below the 5 % of false calls that are allowed, since a headline may be chosen among several."""
PERMUTATION_ALPHA = 0.05
MOST_SPLITS = 20_000
SINGLE_SIGMAS = 2.5
"""Single runs: differences beyond this many standard deviations of (noise and seed allowance) count."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A difference (head minus base) with its 95 % interval; `different` whether it is more than chance explains.

    `method` says in words how it was judged; `p` is the p value of the test over seeds (None for single runs).
    """

    difference: float
    low: float
    high: float
    p: float | None
    method: str
    different: bool


def compare_seeds(base: Float64, head: Float64, noise: float) -> Estimate:
    """Welch's t test over seeds, at least two runs a side, and the exact permutation test where it can reach its level.

    Args:
        base, head: one value a run, float64 ``[n]``, ``[m]``.
        noise: standard error of one run's value from the noise within runs; the spread over seeds cannot honestly be smaller.

    Source: Welch (1947), degrees of freedom by Satterthwaite; with two seeds a side a lucky small spread is the danger, so the
    variance has the floor of the noise within a run.
    """
    from scipy.special import stdtr, stdtrit

    n, m = base.size, head.size
    var_base = max(float(base.var(ddof=1)), noise**2) / n
    var_head = max(float(head.var(ddof=1)), noise**2) / m
    difference = float(head.mean() - base.mean())
    error = math.sqrt(var_base + var_head)
    if error == 0:
        return Estimate(difference, difference, difference, 0.0 if difference else 1.0, "every seed gave the same value", difference != 0)
    freedom = (var_base + var_head) ** 2 / (var_base**2 / (n - 1) + var_head**2 / (m - 1))
    p = float(2 * stdtr(freedom, -abs(difference) / error))
    half = float(stdtrit(freedom, 0.975)) * error
    method = f"Welch's t test over {n} and {m} runs"
    different = p < ALPHA
    splits = math.comb(n + m, n)
    if 2 / splits <= PERMUTATION_ALPHA and splits <= MOST_SPLITS:
        by_chance = permutation_p(base, head)
        method += f", permutation p = {by_chance:.3g}"
        different = different and by_chance <= PERMUTATION_ALPHA
    return Estimate(difference, difference - half, difference + half, p, method, different)


def permutation_p(base: Float64, head: Float64) -> float:
    """Exact two-sided p value of the difference of means over all ways to deal the runs to the sides."""
    both = np.concatenate((base, head))
    total, n = float(both.sum()), base.size
    seen = abs(float(head.mean() - base.mean()))
    count = hits = 0
    for chosen in combinations(range(both.size), n):
        part = float(both[list(chosen)].sum())
        difference = abs((total - part) / head.size - part / n)
        count += 1
        hits += difference >= seen * (1 - 1e-9)
    return hits / count


def compare_one_to_seeds(one: float, many: Float64, noise: float, *, one_is_head: bool) -> Estimate:
    """A single run against several seeds: does it lie outside what another seed would give (prediction interval)?"""
    from scipy.special import stdtr, stdtrit

    n = many.size
    spread = max(float(many.std(ddof=1)), noise)
    difference = (one - float(many.mean())) * (1 if one_is_head else -1)
    error = spread * math.sqrt(1 + 1 / n)
    method = f"prediction interval over {n} runs of one side"
    if error == 0:
        return Estimate(difference, difference, difference, 0.0 if difference else 1.0, method, difference != 0)
    p = float(2 * stdtr(n - 1, -abs(difference) / error))
    half = float(stdtrit(n - 1, 0.975)) * error
    return Estimate(difference, difference - half, difference + half, p, method, p < ALPHA)


def compare_singles(base: float, head: float, noise: float, allowance: float) -> Estimate:
    """One run a side: the seed's share of the difference is unknown, so it gets an allowance.

    Args:
        base, head: the two values.
        noise: standard error of the difference from the noise within both runs.
        allowance: standard deviation that another seed alone is granted, of one run's value.
    """
    difference = head - base
    error = math.sqrt(noise**2 + 2 * allowance**2)
    half = 1.96 * error
    different = abs(difference) > SINGLE_SIGMAS * error
    method = "noise within the runs, with an allowance for the seed (one run a side: give several seeds for a test)"
    return Estimate(difference, difference - half, difference + half, None, method, different)
