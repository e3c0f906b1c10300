"""The policy ratio is clipped for a large part of the samples.

What it means
    Updates would move the policy far outside the clip range: most samples of a batch contribute nothing after the first epochs.

Why it matters
    Samples are wasted and the policy moves as far as clipping lets it, on every update.

How it is told
    The median clip fraction over the last 80 % of the run is above 0.4. A warning if the return did not rise, else a note.

First check
    Compare the learning rate and the number of epochs per batch with the ones that are usual for the method.

First action
    Divide the learning rate by 3.

Success rule
    The median clip fraction is below 0.3.

Not to be confused with
    clipping-saturated (clipping of the gradient norm), kl-blow-up.

Limits
    The fraction depends on the clip range; limits hold for the usual 0.1 to 0.3.

Sources
    Literature 7.7 (above 0.4 sustained: learning rate or epochs too high).
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
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
from tbdiag.detectors._returns import RETURNS, measure_return
from tbdiag.detectors._tails import say, tail
from tbdiag.model import Domain
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median


def detect(view: View) -> Finding | NotApplicable | None:
    """Median clip fraction, and whether the return rose."""
    curve = view.curve("policy_clip_fraction")
    if curve is None or curve.n < 10:
        return NotApplicable("fewer than ten points of a policy clip fraction", ("policy_clip_fraction",))
    level = median(tail(curve, 0.8))
    if level <= view["share"] or float(curve.value.max()) > 1.0:
        return None
    known = measure_return(view)
    stuck = known is not None and not known.improved
    evidence = [say("The policy ratio is clipped for {share:.1%} of the samples (median).", (curve,), share=level)]
    if known is not None:
        evidence.append(say("The return goes from {first:.4g} to {end:.4g}.", (known.curve,), first=known.first, end=known.end))
    lr = view.curve("lr")
    peak = float(lr.value.max()) if lr is not None else 0.0
    action = f"Lower the learning rate from {peak:g} to {peak / 3:.2g}." if peak > 0 else "Divide the learning rate by 3."
    return Finding(
        id="policy-clipping",
        severity=Severity.WARNING if stuck else Severity.NOTE,
        confidence=confidence(level / view["share"], doubts=1 + int(not stuck)),
        title=f"Policy clipping: {level:.0%} of the samples are clipped",
        onset=Interval(int(curve.step[0]), int(curve.step[max(curve.n // 5, 1)])),
        extent=Interval(int(curve.step[0]), int(curve.step[-1])),
        evidence=tuple(evidence),
        causes=(
            Cause("A learning rate that is too high"),
            Cause("Too many epochs over the same samples"),
            Cause("A clip range that is too narrow"),
        ),
        first_check="Compare the learning rate and the number of epochs per batch with the ones that are usual for the method.",
        first_action=action,
        fixes=("Divide the learning rate by 3", "Fewer epochs per batch", "Larger batches"),
        success_rule=SuccessRule(
            all=(predicate("policy_clip_fraction", "median", "<", 0.3),),
            sentence="The median policy clip fraction is below 0.3.",
        ),
        phase=HYPERPARAMETERS,
        roles=("policy_clip_fraction",),
    )


def _clipped() -> object:
    rng = np.random.default_rng(151)
    n = 60
    return _synth.make_run(
        {"rollout/ep_rew_mean": 20 + rng.normal(0, 1, n), "train/clip_fraction": 0.6 + rng.normal(0, 0.03, n)}, every=2048
    )


def _usual() -> object:
    rng = np.random.default_rng(152)
    n = 60
    return _synth.make_run(
        {"rollout/ep_rew_mean": np.linspace(20, 200, n), "train/clip_fraction": 0.12 + rng.normal(0, 0.03, n)}, every=2048
    )


EXAMPLES = (
    Example("six samples of ten clipped, return flat", _clipped, fires=True),
    Example("an eighth of the samples clipped", _usual, fires=False),
)

DETECTOR = Detector(
    id="policy-clipping",
    title="Policy clipping",
    summary="The policy ratio is clipped for a large part of the samples.",
    severity=Severity.WARNING,
    phase=HYPERPARAMETERS,
    detect=detect,
    doc=__doc__ or "",
    needs=("policy_clip_fraction",),
    wants=("lr", *RETURNS),
    domains=frozenset({Domain.REINFORCEMENT}),
    thresholds={"share": Threshold(0.4, "literature 7.7: sustained above 0.4")},
    examples=EXAMPLES,
    scale_free=False,
)
