"""The policy's entropy is gone and the return has not risen.

What it means
    The policy always takes the same actions. Without exploration it cannot find anything better.

Why it matters
    The return stays where it is, whatever the remaining budget.

How it is told
    The entropy over the last 30 % of the run is below 5 % of its first values, and the return has not risen above its start
    by more than four noise standard deviations at the end: it never rose, or it rose and was lost again; nor has it a
    rising trend. The first values are the first three where the return ends below its own first three. A note with
    self-play or a curriculum, or where the return ends 1.5 deviations above its start. An entropy that fades while the return rises is a policy that got sure of itself, and no
    finding.

First check
    Print the action distribution of the policy on a few states.

First action
    Raise the entropy bonus tenfold (from 0 to 0.01 where there was none).

Success rule
    The entropy stays above a tenth of its first values until the return has risen.

Not to be confused with
    convergence (entropy falls, return is high), prediction-collapse in supervised training.

Limits
    The entropy of continuous policies may be negative; then nothing is said.

Sources
    Literature 7.7 (entropy below 5 % of its start before the reward gains).
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    PREDICTIONS,
    Cause,
    Detector,
    Example,
    Finding,
    NotApplicable,
    Severity,
    SuccessRule,
    Threshold,
    View,
    predicate,
)
from tbdiag.detectors._returns import RETURNS, Return, measure_return
from tbdiag.detectors._tails import begins, lasts, say, since, tail
from tbdiag.features.tasks import logs_minus_entropy, task_moves
from tbdiag.model import Domain
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median
from tbdiag.stats.trend import find_trend


def detect(view: View) -> Finding | NotApplicable | None:
    """Entropy at the end against its start, while the return did not rise."""
    entropy, known = view.curve("entropy"), measure_return(view)
    if entropy is None or entropy.n < 8:
        return NotApplicable("fewer than eight points of an entropy", ("entropy",))
    if known is None or known.improved or _rises(view, known):
        return None
    negative = logs_minus_entropy(entropy) or median(entropy.value) < 0  # some log the entropy's negative as a loss
    value = -entropy.value if negative else entropy.value
    if float(value.min()) < -1e-3 or value[: max(3, entropy.n // 20)].max() <= 0:
        return None
    first, end = float(np.median(value[: max(3, entropy.n // 20)])), abs(median(tail(entropy)))
    at_once = float(np.median(known.curve.value[:3]))
    if end > view["share"] * first and at_once - known.end > max(4 * known.curve.sigma, view["less"] * abs(at_once)):
        first = max(first, float(np.median(value[:3])))  # it had gone within the first twentieth, and the return with it
    if first <= 0 or end > view["share"] * first:
        return None
    index = since(value <= view["share"] * first)
    index = entropy.n - 1 if index is None else index
    numbers = {"first": first, "end": end, "start": known.first, "reached": known.end}
    text, then = (
        "The entropy falls from {first:.3g} to {end:.3g} while the return goes from {start:.4g} to {reached:.4g}.",
        "before the return rises",
    )
    if known.fell:
        numbers |= {"best": known.best, "step": float(known.curve.best_step)}
        text = (
            "The entropy falls from {first:.3g} to {end:.3g}; the return rose from {start:.4g} to {best:.4g} by step {step:,.0f} and ends "
            "at {reached:.4g}."
        )
        then = "and the return is lost"
    evidence = say(text, (entropy, known.curve), **numbers)
    return Finding(
        id="entropy-collapse",
        # Against an opponent or a task that gets harder a policy may learn much while its return stays; or its noise hides what it gained.
        severity=Severity.NOTE if task_moves(view.signals) or _may_rise(view, known) else Severity.WARNING,
        confidence=confidence(view["share"] * first / max(end, 1e-12), doubts=1),
        title=f"Entropy collapse: the policy's entropy falls from {first:.3g} to {end:.3g} {then}",
        onset=begins(entropy.step, index),
        extent=lasts(entropy.step, index),
        evidence=(evidence,),
        causes=(
            Cause("No entropy bonus, or one that is too small"),
            Cause("A learning rate that is too high for the first updates"),
            Cause("Rewards of a scale that drowns the entropy bonus"),
        ),
        first_check="Print the action distribution of the policy on a few states.",
        first_action="Raise the entropy bonus tenfold (from 0 to 0.01 where there was none).",
        fixes=("Raise the entropy bonus", "Lower the learning rate", "Normalise rewards and advantages", "Set a target KL divergence"),
        success_rule=SuccessRule(
            all=(predicate(known.curve.signal.key, "end", ">", known.end, sd_times=4.0, source="end of this run's return"),),
            sentence=f"The return ends above {known.end:.4g} by more than four standard deviations of its noise.",
        ),
        phase=PREDICTIONS,
        roles=("entropy", known.curve.signal.key),
    )


def _rises(view: View, known: Return) -> bool:
    """Whether the return has a rising trend, or most of one and two noise standard deviations above its start: few points, much noise.

    Or it rose at once: it ends four of them above its very first point, and hardly below its best.
    """
    curve, trend = known.curve, find_trend(known.curve.trace.cost)
    began = float(curve.value[0])
    if known.end - began > max(4 * curve.sigma, 0.8 * (known.best - began)) > 0:
        return True
    return trend.falling or (trend.tau < view["rising"] and known.end - known.first > 2 * known.curve.sigma)


def _may_rise(view: View, known: Return) -> bool:
    """Whether the end lies above the start by more than two medians of noise do in one run of fifty, or the course leans that way."""
    above = known.end - known.first
    leans = find_trend(known.curve.trace.cost).tau < view["rising"]
    return not known.fell and (above > view["above"] * known.curve.sigma or (above > 0 and leans))


def _stuck() -> object:
    rng = np.random.default_rng(121)
    n = 60
    return _synth.make_run(
        {"rollout/ep_rew_mean": 20 + rng.normal(0, 1, n), "train/entropy_loss": -(0.69 * np.exp(-np.arange(n) / 5.0) + 0.001)}, every=2048
    )


def _solved_at_once() -> object:
    rng = np.random.default_rng(123)
    reward = np.r_[-40.0, 131 + rng.normal(0, 0.6, 59)]
    return _synth.make_run(
        {"rollout/ep_rew_mean": reward, "train/entropy_loss": -(0.69 * np.exp(-np.arange(60) / 12.0) + 0.009)}, every=2048
    )


def _noisy(rises: float) -> object:
    rng = np.random.default_rng(124)
    reward = np.linspace(0, rises, 40) + rng.normal(0, 1, 40)
    return _synth.make_run(
        {"rollout/ep_rew_mean": reward, "train/entropy_loss": -(0.69 * np.exp(-np.arange(40) / 5.0) + 0.001)}, every=2048
    )


def _sure() -> object:
    rng = np.random.default_rng(122)
    n = 60
    return _synth.make_run(
        {
            "rollout/ep_rew_mean": np.linspace(20, 480, n) + rng.normal(0, 4, n),
            "train/entropy_loss": -(0.69 * np.exp(-np.arange(n) / 8.0) + 0.001),
        },
        every=2048,
    )


EXAMPLES = (
    Example("entropy gone while the return is flat", _stuck, fires=True),
    Example("entropy gone because the task is solved", _sure, fires=False),
    Example("entropy gone, and the return scatters where it was", lambda: _noisy(0.0), fires=True),
    Example("entropy gone, and the return may have risen by its noise", lambda: _noisy(1.0), fires=False),
    Example("a task that is solved by the second point", _solved_at_once, fires=False),
)

DETECTOR = Detector(
    id="entropy-collapse",
    title="Entropy collapse",
    summary="The policy's entropy is gone and the return has not risen.",
    severity=Severity.WARNING,
    phase=PREDICTIONS,
    detect=detect,
    doc=__doc__ or "",
    needs=("entropy", RETURNS),
    wants=RETURNS,
    domains=frozenset({Domain.REINFORCEMENT}),
    thresholds={
        "share": Threshold(0.05, "literature 7.7: below 5 % of its start"),
        "less": Threshold(0.01, "of its size, by which a return must end below its first points: solved tasks hardly scatter"),
        "above": Threshold(1.5, "noise standard deviations by which the return ends above its start: then a note"),
        "rising": Threshold(
            -0.55, "Kendall's tau of six to eight means of the return turned into a cost; 2 % of noisy returns that rose alarmed"
        ),
    },
    examples=EXAMPLES,
)
