"""The value function explains nothing of the return.

What it means
    The critic's predictions are no better than the mean return (explained variance near zero), or worse (below zero).

Why it matters
    Advantages are then as noisy as returns: the policy learns slowly, or not at all.

How it is told
    The median explained variance after the first 30 % of the run is at most 0 (within 0.02) over at least ten points, and
    the return has not risen. A note: with short rollouts the figure is unreliable.

First check
    Compare the scale of returns with the scale of the value function's output.

First action
    Normalise returns (or rewards) and rerun.

Success rule
    The median explained variance after the first 30 % of the run is above 0.2.

Not to be confused with
    return-collapse, kl-blow-up.

Limits
    Per-minibatch figures (A2C with five steps) scatter around zero even where the critic is good.

Sources
    Literature 7.7 (at most 0 after 30 %: critic broken).
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    MODEL,
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
from tbdiag.detectors._returns import RETURNS, measure_return
from tbdiag.detectors._tails import say, tail
from tbdiag.model import Domain
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median


def detect(view: View) -> Finding | NotApplicable | None:
    """Median after the first part of the run."""
    curve = view.curve("explained_variance")
    if curve is None or curve.n < 15:
        return NotApplicable("fewer than fifteen points of an explained variance", ("explained_variance",))
    late = tail(curve, 0.7)
    level = median(late)
    known = measure_return(view)
    if late.size < 10 or level > view["limit"] or (known is not None and known.improved):
        return None
    evidence = say(
        "The explained variance has a median of {level:.2g} over the last {points:.0f} points.",
        (curve,),
        level=level,
        points=float(late.size),
    )
    start = int(curve.step[curve.n - late.size])
    return Finding(
        id="explained-variance-low",
        severity=Severity.NOTE,
        confidence=confidence(1.0, doubts=1),
        title=f"The value function explains nothing: explained variance {level:.2g}",
        onset=Interval(int(curve.step[0]), start),
        extent=Interval(start, int(curve.step[-1])),
        evidence=(evidence,),
        causes=(
            Cause("Returns of a scale that the value function cannot reach"),
            Cause("A value loss that is clipped or weighted too low"),
            Cause("A discount so near to one that returns are mostly noise"),
        ),
        first_check="Compare the scale of returns with the scale of the value function's output.",
        first_action="Normalise returns (or rewards) and rerun.",
        fixes=(
            "Normalise returns",
            "Raise the weight of the value loss",
            "Separate the value network from the policy",
            "Use longer rollouts",
        ),
        success_rule=SuccessRule(
            all=(predicate("explained_variance", "median", ">", 0.2, window=(0.3, 1.0)),),
            sentence="After the first 30 % of the run the median explained variance is above 0.2.",
        ),
        phase=MODEL,
        roles=("explained_variance",),
    )


def _broken() -> object:
    rng = np.random.default_rng(141)
    n = 60
    return _synth.make_run(
        {"rollout/ep_rew_mean": 20 + rng.normal(0, 1, n), "train/explained_variance": -0.1 + rng.normal(0, 0.05, n)}, every=2048
    )


def _fine() -> object:
    rng = np.random.default_rng(142)
    n = 60
    variance = np.clip(0.9 - np.exp(-np.arange(n) / 8.0) + rng.normal(0, 0.05, n), -1, 1)
    return _synth.make_run({"rollout/ep_rew_mean": np.linspace(20, 200, n), "train/explained_variance": variance}, every=2048)


EXAMPLES = (
    Example("below zero throughout", _broken, fires=True),
    Example("rises to 0.9", _fine, fires=False),
)

DETECTOR = Detector(
    id="explained-variance-low",
    title="Explained variance low",
    summary="The value function explains nothing of the return.",
    severity=Severity.NOTE,
    phase=MODEL,
    detect=detect,
    doc=__doc__ or "",
    needs=("explained_variance",),
    wants=RETURNS,
    domains=frozenset({Domain.REINFORCEMENT}),
    thresholds={"limit": Threshold(0.02, "zero within the scatter of the figure")},
    examples=EXAMPLES,
    scale_free=False,
)
