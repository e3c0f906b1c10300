"""The learning rate is zero while steps continue.

What it means
    The optimiser is called but changes nothing: the schedule has run out, or the rate never left zero.

Why it matters
    From there on every step is wasted, and the run looks like a plateau or like no learning at all.

How it is told
    The logged learning rate is at most 1e-12, or below a millionth of its peak, at 99 % of the points, or from a step
    before 80 % of the run on to the end, over at least five points. The last points of a linear or cosine schedule, and the
    first point of a warm-up, are not enough. Of several parameter groups the main one counts.

First check
    How many optimiser steps does the scheduler expect, and how many are there?

First action
    Set the scheduler's total steps to the real number of optimiser steps (steps per epoch / accumulation x epochs).

Success rule
    The learning rate is below a hundredth of its peak on at most a tenth of the points.

Not to be confused with
    lr-too-low (small but not zero), frozen-weights (rate above zero, weights do not move).

Limits
    Needs a logged learning rate. Where the training loss goes on falling the logged rate is not the one that trains (it was rounded, or is that
    of another parameter group), and nothing is said.

Sources
    Deterministic. trainproof fails runs whose rate is zero throughout.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    EVERY,
    HYPERPARAMETERS,
    Cause,
    Detector,
    Example,
    Finding,
    Interval,
    NotApplicable,
    Severity,
    SuccessRule,
    Threshold,
    View,
    predicate,
)
from tbdiag.detectors._words import say, short, unit
from tbdiag.model import Mark, Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import Float64, median


def _learns(view: View, start: int) -> bool:
    """Whether the training loss goes on falling from a step on, by a twentieth and by six of its sd: then the rate is not zero."""
    train = view.curve("train_loss")
    if train is None or train.signed:
        return False
    cost = train.cost[train.step >= start][1:]  # the first of them was reached before
    if cost.size < 6:
        return False
    k = max(1, cost.size // 10)
    fall = median(cost[:k]) - median(cost[-k:])
    return fall > max(6 * train.sigma, 0.05 * abs(median(cost[:k])))


def detect(view: View) -> Finding | NotApplicable | None:
    """Find the last stretch of zeros."""
    lr = view.curve("lr")
    if lr is None:
        return NotApplicable("no learning rate", ("lr",))
    if lr.n < view["points"]:
        return NotApplicable(f"only {lr.n} points")
    peak = float(np.max(np.abs(lr.value)))
    zero = np.abs(lr.value) <= max(1e-12, 1e-6 * peak)
    alive = np.flatnonzero(~zero)
    begin = int(alive[-1]) + 1 if alive.size else 0
    count = lr.n - begin
    span = max(int(lr.step[-1] - lr.step[0]), 1)
    share = float(lr.step[-1] - lr.step[begin]) / span if begin < lr.n else 0.0
    whole = float(np.mean(zero)) >= 0.99
    if not whole and (count < view["points"] or share < view["share"]):
        return None
    start = int(lr.step[begin]) if begin < lr.n else int(lr.step[0])
    if _learns(view, int(lr.step[0]) if whole else start):
        return NotApplicable("the loss falls where the logged rate is zero: it was rounded, or belongs to weights that are not trained")
    before = int(lr.step[begin - 1]) if begin else start
    evidence = [
        say(
            f"The learning rate is zero on {{count:,}} of {{n:,}} points, from {unit(lr)} {{start:,}} to the end"
            + (" (its peak was {peak:.3g})." if peak > 1e-12 else "."),
            (lr,),
            (Mark("event", "zero from here", start),),
            count=int(np.sum(zero)),
            n=lr.n,
            start=start,
            **({"peak": peak} if peak > 1e-12 else {}),
        )
    ]
    rate = view.signals.setting("learning_rate")
    wanted = f" (the configuration says {short(rate)})" if rate is not None and rate > 0 else ""
    never = "Set the learning rate above zero" + wanted + " and check that the scheduler does not multiply it by zero."
    return Finding(
        id="lr-zero",
        severity=Severity.ERROR,
        confidence=confidence(supports=1) if whole else confidence(share / view["share"], supports=1),
        title="The learning rate is zero " + ("throughout" if whole else f"from {unit(lr)} {start:,} on"),
        onset=Interval(before, start),
        extent=Interval(start, int(lr.step[-1])),
        evidence=tuple(evidence),
        causes=(
            Cause("The schedule is shorter than the run: total steps too small", "" if whole else "it was positive before"),
            Cause("The scheduler is stepped per batch instead of per epoch"),
            Cause("The learning rate was set to zero, or an integer division made it zero", "it was never above zero" if whole else ""),
            Cause("Reduction on plateau with a minimum of zero"),
        ),
        first_check="How many optimiser steps does the scheduler expect, and how many are there?",
        first_action=never
        if whole
        else "Set the scheduler's total steps to the real number of optimiser steps (steps per epoch / accumulation x epochs).",
        fixes=(
            "Print the intended learning rate for every step",
            "Set a minimum learning rate",
            "Log the learning rate of every parameter group",
        ),
        success_rule=SuccessRule(
            all=(
                predicate(
                    "lr", "share_below", "<=", 0.1, argument=0.01 * peak if peak > 1e-12 else 1e-12, source="a hundredth of the peak"
                ),
            ),
            sentence="The learning rate is below a hundredth of its peak on at most a tenth of the points.",
        ),
        phase=HYPERPARAMETERS,
        roles=("lr",),
    )


def _run(lr: Float64, seed: int, every: int = 1) -> Run:
    n = lr.size
    loss = 1.0 + np.random.default_rng(seed).normal(0, 0.02, n)
    return _synth.make_run({"train/loss": loss, "lr": lr}, every=every)


def _never() -> Run:
    return _run(np.zeros(25), 111)


def _ran_out() -> Run:
    return _run(1e-3 * np.clip(1 - np.linspace(0, 2, 200), 0, None), 112, every=10)


def _linear() -> Run:
    return _run(1e-3 * np.linspace(1, 0, 200), 113)


def _warm_up() -> Run:
    return _run(1e-3 * np.minimum(np.arange(100) / 10, 1.0), 114)


EXAMPLES = (
    Example("never above zero", _never, fires=True, onset=(0, 1)),
    Example("the schedule ends half-way", _ran_out, fires=True, onset=(980, 1010)),
    Example("linear decay that ends with the run", _linear, fires=False),
    Example("warm-up from zero", _warm_up, fires=False),
)

DETECTOR = Detector(
    id="lr-zero",
    title="Learning rate zero",
    summary="The learning rate is zero while steps continue.",
    severity=Severity.ERROR,
    phase=HYPERPARAMETERS,
    detect=detect,
    doc=__doc__ or "",
    needs=("lr",),
    wants=("train_loss",),
    domains=EVERY,
    thresholds={
        "share": Threshold(0.2, "the last fifth of the run: no schedule ends so early on purpose"),
        "points": Threshold(5, "fewer points at the end are the end of a schedule"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("lr-schedule", "plateau", "no-learning"),
)
