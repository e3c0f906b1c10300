"""Preference tuning lowers the likelihood of the chosen answers too.

What it means
    The margin between chosen and rejected answers grows because both become less likely, the rejected ones faster.

Why it matters
    The probability that is taken away goes somewhere else, often to answers that nobody preferred.

How it is told
    Over the last 30 % of the run the reward of the chosen answers is below zero and below its start by more than four noise
    standard deviations and by a fifth of the margin, while the margin grows. A note: moderate displacement is usual.

First check
    Sample answers of the tuned model on a few prompts and compare them with the chosen ones.

First action
    Add a term for the likelihood of the chosen answers (weight 1) to the loss.

Success rule
    The reward of the chosen answers ends above zero.

Not to be confused with
    overfitting (evaluation accuracy falls), divergence.

Limits
    Rewards are log ratios against the reference model; their scale depends on beta.

Sources
    Literature 6.2 and 7.7; Razin et al., "Unintentional unalignment: likelihood displacement in direct preference optimization" (2024).
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
from tbdiag.detectors._tails import begins, lasts, say, since, tail
from tbdiag.model import Domain
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median


def detect(view: View) -> Finding | NotApplicable | None:
    """Reward of the chosen answers against zero and the margin."""
    chosen, rejected = view.curve("chosen_reward"), view.curve("rejected_reward")
    if chosen is None or rejected is None or chosen.n < 8 or rejected.n < 8:
        return NotApplicable("fewer than eight points of chosen and rejected rewards", ("chosen_reward", "rejected_reward"))
    end, other = median(tail(chosen)), median(tail(rejected))
    first = median(chosen.value[: max(3, chosen.n // 20)])
    margin = end - other
    if end >= 0 or margin <= 0 or first - end <= max(4 * chosen.sigma, view["margin_share"] * margin):
        return None
    index = since(chosen.value < 0)
    index = chosen.n - 1 if index is None else index
    text = "The reward of the chosen answers falls from {first:.3g} to {end:.3g}, that of the rejected ones to {other:.3g}: the margin of {margin:.3g} grows downwards."
    return Finding(
        id="likelihood-displacement",
        severity=Severity.NOTE,
        confidence=confidence((first - end) / max(view["margin_share"] * margin, 1e-12), doubts=1),
        title=f"Likelihood displacement: chosen answers become less likely (reward {end:.3g})",
        onset=begins(chosen.step, index),
        extent=lasts(chosen.step, index),
        evidence=(say(text, (chosen, rejected), first=first, end=end, other=other, margin=margin),),
        causes=(
            Cause("Chosen and rejected answers that are nearly the same"),
            Cause("A learning rate that is too high, or a beta that is too small"),
            Cause("Chosen answers that the reference model finds unlikely"),
        ),
        first_check="Sample answers of the tuned model on a few prompts and compare them with the chosen ones.",
        first_action="Add a term for the likelihood of the chosen answers (weight 1) to the loss.",
        fixes=(
            "Add a likelihood term for chosen answers",
            "Lower the learning rate or raise beta",
            "Drop pairs that are nearly the same",
            "Tune on the chosen answers first",
        ),
        success_rule=SuccessRule(
            all=(predicate("chosen_reward", "median", ">", 0.0, window=(0.7, 1.0)),),
            sentence="The median reward of the chosen answers is above zero in the last 30 % of the run.",
        ),
        phase=PREDICTIONS,
        roles=("chosen_reward", "rejected_reward"),
    )


def _displaced() -> object:
    rng = np.random.default_rng(171)
    n = 60
    x = np.linspace(0, 1, n)
    return _synth.make_run(
        {
            "train/loss": 0.69 - 0.4 * x,
            "train/rewards/chosen": -3 * x + rng.normal(0, 0.1, n),
            "train/rewards/rejected": -6 * x + rng.normal(0, 0.1, n),
            "train/rewards/margins": 3 * x + rng.normal(0, 0.1, n),
            "train/rewards/accuracies": 0.5 + 0.35 * x,
        },
        every=10,
    )


def _good() -> object:
    rng = np.random.default_rng(172)
    n = 60
    x = np.linspace(0, 1, n)
    return _synth.make_run(
        {
            "train/loss": 0.69 - 0.4 * x,
            "train/rewards/chosen": 1.0 * x + rng.normal(0, 0.1, n),
            "train/rewards/rejected": -2 * x + rng.normal(0, 0.1, n),
            "train/rewards/margins": 3 * x + rng.normal(0, 0.1, n),
            "train/rewards/accuracies": 0.5 + 0.35 * x,
        },
        every=10,
    )


EXAMPLES = (
    Example("both rewards fall, the rejected one faster", _displaced, fires=True),
    Example("chosen rises, rejected falls", _good, fires=False),
)

DETECTOR = Detector(
    id="likelihood-displacement",
    title="Likelihood displacement",
    summary="Preference tuning lowers the likelihood of the chosen answers too.",
    severity=Severity.NOTE,
    phase=PREDICTIONS,
    detect=detect,
    doc=__doc__ or "",
    needs=("chosen_reward", "rejected_reward"),
    domains=frozenset({Domain.PREFERENCE}),
    thresholds={"margin_share": Threshold(0.2, "a smaller fall is within what every run does")},
    examples=EXAMPLES,
)
