"""All answers of a group get the same reward: there is nothing left to learn from.

What it means
    Group-relative methods (GRPO and its kin) learn from differences of rewards within a group of answers. Without differences the
    advantage is zero.

Why it matters
    Steps cost as much as before and change nothing.

How it is told
    Over the last 30 % of the run the standard deviation of the reward is below 5 % of its start (at least ten points). A
    warning if the reward did not rise; where it did, the task is solved and it is a note.

First check
    Print the answers of one group and their rewards.

First action
    Filter prompts whose answers all get the same reward, and sample at a higher temperature.

Success rule
    The standard deviation of the reward stays above a tenth of its start.

Not to be confused with
    entropy-collapse (the answers are all the same), a reward function that is constant by mistake (zero from the first step).

Limits
    A binary reward on solved prompts has no spread by nature.

Sources
    Literature 7.2 and 7.7 (reward_std to 0, more than 0.8 to 0.9 of the groups without spread).
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
from tbdiag.detectors._returns import RETURNS, measure_return
from tbdiag.detectors._tails import begins, lasts, say, since, tail
from tbdiag.model import Domain
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median


def detect(view: View) -> Finding | NotApplicable | None:
    """Spread of the reward at the end against its start, and what the reward did."""
    spread, known = view.curve("reward_std"), measure_return(view)
    if spread is None or spread.n < 10:
        return NotApplicable("fewer than ten points of a reward spread", ("reward_std",))
    first, end = median(spread.value[: max(3, spread.n // 20)]), median(tail(spread))
    if first <= 0 or end < 0 or end > view["share"] * first:
        return None
    index = since(spread.value <= 2 * view["share"] * first)
    index = spread.n - 1 if index is None else index
    solved = known is not None and known.improved
    evidence = [say("The standard deviation of the reward falls from {first:.3g} to {end:.3g}.", (spread,), first=first, end=end)]
    if known is not None:
        evidence.append(say("The reward goes from {start:.4g} to {reached:.4g}.", (known.curve,), start=known.first, reached=known.end))
    return Finding(
        id="reward-std-collapse",
        severity=Severity.NOTE if solved or known is None else Severity.WARNING,
        confidence=confidence(view["share"] * first / max(end, 1e-12), doubts=2 if solved or known is None else 1),
        title=f"No reward differences left: standard deviation {end:.3g} after {first:.3g}",
        onset=begins(spread.step, index),
        extent=lasts(spread.step, index),
        evidence=tuple(evidence),
        causes=(
            Cause("The policy gives the same answer to a prompt every time"),
            Cause("Prompts that are too hard or too easy: all answers get the same reward"),
            Cause("A reward function that fails and returns a constant"),
        ),
        first_check="Print the answers of one group and their rewards.",
        first_action="Filter prompts whose answers all get the same reward, and sample at a higher temperature.",
        fixes=(
            "Filter prompts without reward differences",
            "Raise the sampling temperature or the entropy bonus",
            "Check the reward function on known answers",
        ),
        success_rule=SuccessRule(
            all=(predicate("reward_std", "median", ">", 0.1 * first, window=(0.7, 1.0), source="a tenth of this run's start"),),
            sentence=f"The standard deviation of the reward stays above {0.1 * first:.3g} in the last 30 % of the run.",
        ),
        phase=PREDICTIONS,
        roles=("reward_std",),
    )


def _collapses() -> object:
    rng = np.random.default_rng(191)
    n = 60
    return _synth.make_run(
        {
            "train/reward": 0.2 + rng.normal(0, 0.02, n),
            "train/reward_std": 0.4 * np.exp(-np.arange(n) / 8.0),
            "train/kl": np.linspace(0, 0.1, n),
            "train/completions/mean_length": np.full(n, 200.0),
        },
        every=5,
    )


def _keeps() -> object:
    rng = np.random.default_rng(192)
    n = 60
    return _synth.make_run(
        {
            "train/reward": np.linspace(0.2, 0.7, n) + rng.normal(0, 0.02, n),
            "train/reward_std": 0.35 + rng.normal(0, 0.03, n),
            "train/kl": np.linspace(0, 0.1, n),
            "train/completions/mean_length": np.full(n, 200.0),
        },
        every=5,
    )


EXAMPLES = (
    Example("the spread fades while the reward is flat", _collapses, fires=True),
    Example("the spread stays", _keeps, fires=False),
)

DETECTOR = Detector(
    id="reward-std-collapse",
    title="Reward spread collapse",
    summary="All answers of a group get the same reward: there is nothing left to learn from.",
    severity=Severity.WARNING,
    phase=PREDICTIONS,
    detect=detect,
    doc=__doc__ or "",
    needs=("reward_std",),
    wants=RETURNS,
    domains=frozenset({Domain.REINFORCEMENT, Domain.PREFERENCE}),
    thresholds={"share": Threshold(0.05, "5 % of the start")},
    examples=EXAMPLES,
)
