"""The policy ratio is clipped for a large part of the samples.

What it means
    Updates would move the policy far outside the clip range: most samples of a batch contribute nothing after the first epochs.

Why it matters
    Samples are wasted and the policy moves as far as clipping lets it, on every update.

How it is told
    The median clip fraction over the last 80 % of the run is above 0.4. A warning if the return did not rise, else a note. It begins
    where four fifths of the points from there on are above 0.3, else with the run.

First check
    Compare the learning rate and the number of epochs per batch with the ones that are usual for the method.

First action
    Divide the learning rate by 3; where clipping began later in the run, restart from before it.

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
from tbdiag.detectors._jumps import lower_and_restart
from tbdiag.detectors._returns import RETURNS, measure_return
from tbdiag.detectors._tails import say, tail
from tbdiag.detectors._words import lower_to_usual, unit
from tbdiag.features import CurveFacts
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
    index = _rises_at(curve, view["share"])
    if index:
        text = (
            "The policy ratio is clipped for {share:.1%} of the samples from {unit} {step:,.0f} on (median), and for {before:.1%} before."
        )
        before, after = median(curve.value[:index]), median(curve.value[index:])
        evidence = [say(text.replace("{unit}", unit(curve)), (curve,), share=after, before=before, step=float(curve.step[index]))]
    else:
        after = level
        evidence = [
            say(
                "The policy ratio is clipped for {share:.1%} of the samples (median after the first fifth of the run).",
                (curve,),
                share=level,
            )
        ]
    onset = (
        Interval(int(curve.step[index - 1]), int(curve.step[index]))
        if index
        else Interval(int(curve.step[0]), int(curve.step[max(curve.n // 5, 1)]))
    )
    if known is not None:
        evidence.append(say("The return goes from {first:.4g} to {end:.4g}.", (known.curve,), first=known.first, end=known.end))
    action = lower_and_restart(view, curve, onset) if index else f"{lower_to_usual(view)}."
    return Finding(
        id="policy-clipping",
        severity=Severity.WARNING if stuck else Severity.NOTE,
        confidence=confidence(level / view["share"], doubts=1 + int(not stuck)),
        title=f"Policy clipping: {after:.0%} of the samples are clipped",
        onset=onset,
        extent=Interval(onset.last_step if index else onset.first_step, int(curve.step[-1])),
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


def _rises_at(curve: CurveFacts, share: float) -> int:
    """Index from which on four fifths of the points are above three quarters of the limit, where that is after the first fifth; else 0."""
    high = curve.value > 0.75 * share
    lasting = np.cumsum(high[::-1])[::-1] >= 0.8 * np.arange(curve.n, 0, -1)
    found = np.flatnonzero(high & lasting)
    return int(found[0]) if found.size and curve.n // 5 < found[0] <= curve.n - 5 else 0


def _clipped() -> object:
    rng = np.random.default_rng(151)
    n = 60
    return _synth.make_run(
        {"rollout/ep_rew_mean": 20 + rng.normal(0, 1, n), "train/clip_fraction": 0.6 + rng.normal(0, 0.03, n)}, every=2048
    )


def _later() -> object:
    rng = np.random.default_rng(153)
    n = 100
    reward = np.concatenate((np.linspace(20, 200, 50), np.linspace(200, 20, 10), np.full(40, 20.0))) + rng.normal(0, 2, n)
    clipped = np.where(np.arange(n) < 50, 0.1, 0.6) + rng.normal(0, 0.02, n)
    return _synth.make_run({"rollout/ep_rew_mean": reward, "train/clip_fraction": clipped}, every=2048)


def _usual() -> object:
    rng = np.random.default_rng(152)
    n = 60
    return _synth.make_run(
        {"rollout/ep_rew_mean": np.linspace(20, 200, n), "train/clip_fraction": 0.12 + rng.normal(0, 0.03, n)}, every=2048
    )


EXAMPLES = (
    Example("six samples of ten clipped, return flat", _clipped, fires=True),
    Example("clipped from the middle of the run on", _later, fires=True, onset=(2048 * 48, 2048 * 52)),
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
    wants=("lr", "grad_norm", *RETURNS),
    domains=frozenset({Domain.REINFORCEMENT}),
    thresholds={"share": Threshold(0.4, "literature 7.7: sustained above 0.4")},
    examples=EXAMPLES,
    scale_free=False,
)
