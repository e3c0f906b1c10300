"""The policy moves too far per update: the KL divergence blows up and the return falls.

What it means
    Updates change the policy more than the samples they are computed from can justify.

Why it matters
    A policy thrown out of its region collects bad data and learns from that; it rarely recovers.

How it is told
    Over at least a tenth of the logged points the approximate KL divergence is above 0.05 and above five times its early
    median: that of the first half of the points or that of the first tenth, whichever is lower (of the first half for the
    divergence from a reference model, which grows by design). A warning if the return loses more than a third of its gain,
    else a note.

First check
    Compare the step at which the KL divergence rises with the learning rate and the number of epochs per batch.

First action
    Set a target KL divergence of 0.02, so that updates stop early. Where the divergence from a reference model is logged (train/kl of
    TRL's GRPO): lower the learning rate to a third, or to 1e-6 where it is above 2e-6, and restart before the rise.

Success rule
    The approximate KL divergence stays below 0.05 at nine points of ten (that from a reference model: below the limit of this run).

Not to be confused with
    the KL divergence to a reference model in preference tuning, which grows by design.

Limits
    Estimators differ (k1, k3); limits hold for PPO-like methods.

Sources
    Literature 7.7 (median above 0.05, or five times up); Spinning Up (target 0.01, stop at 1.5 times).
"""

from __future__ import annotations

from typing import Any

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
from tbdiag.detectors._tails import say
from tbdiag.detectors._words import lower_to_usual
from tbdiag.features.tasks import kl_to_reference
from tbdiag.model import Domain
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median


def detect(view: View) -> Finding | NotApplicable | None:
    """Points above both limits, and what the return did."""
    kl = view.curve("approx_kl")
    if kl is None or kl.n < 10:
        return NotApplicable("fewer than ten points of a KL divergence", ("approx_kl",))
    reference = kl_to_reference(view.signals)
    calm = median(kl.value[: kl.n // 2])
    if not reference:  # a divergence that blew up within the first half makes the level of the half its own
        calm = min(calm, median(kl.value[: max(5, kl.n // 10)]), key=abs)
    high = kl.value > max(view["limit"], view["times"] * abs(calm))
    if float(np.mean(high)) < view["points"]:
        return None
    known = measure_return(view)
    fell = known is not None and known.fell
    first = int(np.flatnonzero(high)[0])
    of = " from the reference model" if reference else ""
    text = f"The KL divergence{of} is above {{limit:.3g}} at {{high:.0f}} of {{points:.0f}} logged points (up to {{largest:.3g}}); its median was {{calm:.3g}} early on."
    limit = max(view["limit"], view["times"] * abs(calm))
    evidence = [
        say(text, (kl,), limit=limit, high=float(high.sum()), points=float(kl.n), largest=float(kl.value.max()), calm=calm),
    ]
    if known is not None and fell:
        evidence.append(say("The return falls from {best:.4g} to {end:.4g}.", (known.curve,), best=known.best, end=known.end))
    largest = float(kl.value.max())
    told = _from_the_reference(view, int(kl.step[max(first - 1, 0)]), limit) if reference else _of_updates(view)
    return Finding(
        id="kl-blow-up",
        severity=Severity.WARNING if fell else Severity.NOTE,
        confidence=confidence(float(np.mean(high)) / view["points"], supports=int(fell), doubts=1 + int(not fell)),
        title=f"KL blow-up: the policy leaves the reference model, divergence up to {largest:.3g}"
        if reference
        else f"KL blow-up: updates move the policy by up to {largest:.3g}",
        onset=Interval(int(kl.step[max(first - 1, 0)]), int(kl.step[first])),
        extent=Interval(int(kl.step[first]), int(kl.step[np.flatnonzero(high)[-1]])),
        evidence=tuple(evidence),
        **told,
        phase=HYPERPARAMETERS,
        roles=("approx_kl",),
    )


def _of_updates(view: View) -> dict[str, Any]:
    """Causes, actions and success rule for the divergence of one update, which has a usual target."""
    return {
        "causes": (
            Cause("A learning rate that is too high"),
            Cause("Too many epochs over the same samples, or a clip range that is too wide"),
            Cause("Advantages that are not normalised"),
        ),
        "first_check": "Compare the step at which the KL divergence rises with the learning rate and the number of epochs per batch.",
        "first_action": "Set a target KL divergence of 0.02, so that updates stop early.",
        "fixes": ("Set a target KL divergence", "Divide the learning rate by 3", "Fewer epochs per batch", "Normalise advantages"),
        "success_rule": SuccessRule(
            all=(predicate("approx_kl", "quantile", "<", view["limit"], argument=0.9),),
            sentence=f"The approximate KL divergence is below {view['limit']:g} at nine points of ten.",
        ),
    }


def _from_the_reference(view: View, before: int, limit: float) -> dict[str, Any]:
    """The same for the divergence from a reference model, which a penalty holds and no target stops."""
    return {
        "causes": (
            Cause("A learning rate that is too high"),
            Cause("A weight of the KL penalty (beta) that is too low"),
            Cause("A reward that can be had by other means than the task"),
        ),
        "first_check": "Read ten completions from before and after the step at which the KL divergence rises, with their rewards.",
        "first_action": f"{lower_to_usual(view)} and restart from the last checkpoint before step {before:,}.",
        "fixes": ("Raise the weight of the KL penalty (beta)", "Clip the gradient norm", "Fewer updates per batch of completions"),
        "success_rule": SuccessRule(
            all=(predicate("approx_kl", "quantile", "<", float(f"{limit:.3g}"), argument=0.9, source="limit of this run"),),
            sentence=f"The KL divergence from the reference model is below {limit:.3g} at nine points of ten.",
        ),
    }


def _blows_up() -> object:
    rng = np.random.default_rng(131)
    n = 80
    kl = np.concatenate((0.01 * np.exp(rng.normal(0, 0.2, 50)), 0.3 * np.exp(rng.normal(0, 0.5, 30))))
    reward = np.concatenate((np.linspace(20, 300, 50), np.linspace(300, 40, 15), np.full(15, 40.0))) + rng.normal(0, 5, n)
    return _synth.make_run(
        {"rollout/ep_rew_mean": reward, "train/approx_kl": kl, "train/entropy_loss": -np.linspace(0.7, 0.3, n)}, every=2048
    )


def _leaves_the_reference() -> object:
    rng = np.random.default_rng(133)
    n = 80
    kl = np.concatenate((0.02 * np.exp(rng.normal(0, 0.1, 50)), 2.0 * np.exp(rng.normal(0, 0.5, 30))))
    reward = np.concatenate((np.linspace(0.1, 0.7, 50), np.linspace(0.7, 0.05, 15), np.full(15, 0.05))) + rng.normal(0, 0.02, n)
    return _synth.make_run(
        {
            "train/reward": reward,
            "train/reward_std": np.full(n, 0.3) + rng.normal(0, 0.02, n),
            "train/kl": kl,
            "train/learning_rate": np.full(n, 5e-6),
        },
        every=5,
    )


def _calm() -> object:
    rng = np.random.default_rng(132)
    n = 80
    return _synth.make_run(
        {
            "rollout/ep_rew_mean": np.linspace(20, 300, n) + rng.normal(0, 5, n),
            "train/approx_kl": 0.012 * np.exp(rng.normal(0, 0.4, n)),
            "train/entropy_loss": -np.linspace(0.7, 0.3, n),
        },
        every=2048,
    )


EXAMPLES = (
    Example("the KL divergence rises thirtyfold and the return falls", _blows_up, fires=True),
    Example("a language model leaves its reference, and the reward falls", _leaves_the_reference, fires=True),
    Example("a calm PPO run", _calm, fires=False),
)

DETECTOR = Detector(
    id="kl-blow-up",
    title="KL blow-up",
    summary="The policy moves too far per update: the KL divergence blows up and the return falls.",
    severity=Severity.WARNING,
    phase=HYPERPARAMETERS,
    detect=detect,
    doc=__doc__ or "",
    needs=("approx_kl",),
    wants=("lr", *RETURNS),
    domains=frozenset({Domain.REINFORCEMENT}),
    thresholds={
        "limit": Threshold(0.05, "literature 7.7: five times the usual target of 0.01"),
        "times": Threshold(5.0, "rise over the early median; literature 7.7"),
        "points": Threshold(0.1, "share of the logged points, so that single outliers say nothing"),
    },
    examples=EXAMPLES,
    scale_free=False,
)
