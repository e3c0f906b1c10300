"""The return of a reinforcement learning run falls after its best and does not come back.

What it means
    The policy had learned something and lost it again. Where nothing of it comes back, divergence is reported too and this
    stands under it, in the words of reinforcement learning.

Why it matters
    The last checkpoint is worse than an earlier one, and more training does not repair it by itself.

How it is told
    The return had gained more than six noise standard deviations; from its smoothed best it loses more than four of them
    and more than a third of the gain, and is still there at the end, over at least the last fifth of the run. A warning
    where seven tenths of the gain are gone at the end, a note below, and with self-play (an Elo rating is logged) or a
    curriculum (lessons, levels), where the opponent or the task gets harder. Also a note: the last point alone gives back
    seven tenths of the gain, and the KL divergence there is twice as large as it ever was before; or, while the return of training stands or
    rises, five evaluations in a row or more (a sixth of all) all lay two fifths of the gain above every one of the first and of the last quarter.

First check
    Look at KL divergence, entropy and the value loss at the step at which the return turns.

First action
    Go back to the checkpoint of the best return and continue with the learning rate divided by 3.

Success rule
    The return ends within a tenth of its gain of its best.

Not to be confused with
    an environment or curriculum that gets harder, exploration noise, the last episodes of a rolling mean.

Limits
    Returns of self-play have no fixed scale; a rolling mean that starts anew with every call looks like a fall, until it has filled.

Sources
    Literature 7.7 (falls by more than 4 sigma and 30 % of its gain and stays).
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    CURVES,
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
from tbdiag.detectors._returns import DIVERGING_CRITIC, MEND_CRITIC, RETURNS, Return, critic_grows, measure_return
from tbdiag.detectors._tails import say
from tbdiag.features import CurveFacts
from tbdiag.features.tasks import task_moves
from tbdiag.model import Domain, Mark
from tbdiag.stats.confidence import confidence


def detect(view: View) -> Finding | NotApplicable | None:
    """The return's end against its best."""
    known = measure_return(view)
    if known is None:
        return NotApplicable("fewer than eight points of a return", ("train_reward",))
    curve = known.curve
    late = curve.cost[curve.between(1.0 - view["stays"], 1.0)]
    kl = view.curve("approx_kl")
    if not known.fell and kl is not None and _breaks_off(view, known, kl):
        return _at_the_last_point(known, kl)
    evaluated = view.curve("val_reward")
    if not known.fell and evaluated is not None and evaluated is not curve and (stretch := _stood_above(view, evaluated)) is not None:
        return _in_evaluation(view, evaluated, curve, stretch)
    if not known.fell or float(np.quantile(late, 0.25)) <= curve.best_cost + view["fell"] * known.gain:
        return None
    best, last = curve.best_step, int(curve.step[-1])
    turned = np.flatnonzero(curve.smooth[curve.best_index :] > curve.best_cost + view["fell"] * known.gain)
    until = int(curve.step[curve.best_index + int(turned[0])]) if turned.size else last
    text = "The return was best at step {step:,.0f} with {best:.4g} and ended at {end:.4g}; it had started at {first:.4g}."
    lost = known.loss >= view["lost"] * known.gain and not task_moves(view.signals)
    evidence = say(
        text,
        (curve,),
        (Mark("best", "best return", best, known.best),),
        step=float(best),
        best=known.best,
        end=known.end,
        first=known.first,
    )
    critic = critic_grows(view, Interval(best, until))
    return Finding(
        id="return-collapse",
        severity=Severity.WARNING if lost else Severity.NOTE,
        confidence=confidence(known.loss / ((view["lost"] if lost else 0.3) * known.gain), doubts=1),
        title=f"Return collapse: the return falls from {known.best:.4g} to {known.end:.4g} after step {best:,}",
        onset=Interval(best, until),
        extent=Interval(best, last),
        evidence=(evidence,) if critic is None else (evidence, critic),
        causes=(
            *(() if critic is None else (DIVERGING_CRITIC,)),
            Cause("Policy updates that are too large (learning rate, epochs per batch, clip range)"),
            Cause("Entropy that ran out, so that the policy cannot recover"),
            Cause("A value function that no longer predicts the return"),
        ),
        first_check="Look at KL divergence, entropy and the value loss at the step at which the return turns.",
        first_action=f"Go back to the checkpoint at step {best:,} and continue with the learning rate divided by 3.",
        fixes=(
            *(() if critic is None else (MEND_CRITIC,)),
            "Lower the learning rate or anneal it to zero",
            "Set a target KL divergence",
            "Raise the entropy bonus",
            "Use more samples per update",
        ),
        success_rule=SuccessRule(
            all=(predicate(curve.signal.key, "rise", "<=", 0.1 * known.gain, source="a tenth of this run's gain"),),
            sentence=f"The return ends at most {0.1 * known.gain:.4g} below its best.",
        ),
        phase=CURVES,
        roles=(curve.signal.key,),
    )


def _stood_above(view: View, curve: CurveFacts) -> slice | None:
    """The longest stretch of evaluations that all lie above every one of the first and the last quarter, by a share of the gain.

    Noise makes no such stretch, however few episodes an evaluation has: its luck would have to hold, and to fail throughout the end.
    """
    quarter = curve.n // 4
    if quarter < 5:
        return None
    ends = min(float(curve.cost[:quarter].min()), float(curve.cost[-quarter:].min()))
    above = np.concatenate(([False], curve.cost < ends - view["above"] * curve.gain, [False]))
    first, stop = np.flatnonzero(~above[:-1] & above[1:]), np.flatnonzero(above[:-1] & ~above[1:])
    longest = int(np.argmax(stop - first)) if first.size else 0
    if not first.size or stop[longest] - first[longest] < max(view["stretch"], curve.n / 6):
        return None
    return slice(int(first[longest]), int(stop[longest]))


def _in_evaluation(view: View, evaluated: CurveFacts, training: CurveFacts, stretch: slice) -> Finding:
    """A note: what evaluation had reached is gone, though the mean of many training episodes hides it."""
    after = int(evaluated.step[stretch.stop - 1])
    numbers = {
        "points": float(stretch.stop - stretch.start),
        "since": float(evaluated.step[stretch.start]),
        "after": float(after),
        "least": evaluated.sign * float(evaluated.cost[stretch].max()),
        "most": evaluated.sign * float(evaluated.cost[-(evaluated.n // 4) :].min()),
    }
    text = (
        "From step {since:,.0f} to {after:,.0f} all {points:.0f} evaluations returned {least:.4g} or more; in the last quarter none returned "
        "more than {most:.4g}."
    )
    best = int(evaluated.step[int(np.argmin(evaluated.cost))])
    rule = predicate(evaluated.signal.key, "rise", "<=", view["fell"] * evaluated.gain, source="a third of this run's gain")
    return Finding(
        id="return-collapse",
        severity=Severity.NOTE,
        confidence=0.75,
        title=f"Return collapse in evaluation: the return falls from {evaluated.best:.4g} to {evaluated.end:.4g} after step {after:,}",
        onset=Interval(after, int(evaluated.step[stretch.stop])),
        extent=Interval(after, int(evaluated.step[-1])),
        evidence=(say(text, (evaluated, training), (Mark("event", "last good evaluation", after),), **numbers),),
        causes=(
            Cause("Policy updates that are too large (learning rate, epochs per batch, clip range)"),
            Cause("A policy that relies on its exploration: without it, as evaluation acts, it fails"),
            Cause("The environment of evaluation differs from that of training"),
        ),
        first_check="Evaluate the last checkpoint and the best one over 50 episodes, with and without exploration.",
        first_action=f"Go back to the checkpoint at step {best:,} and continue with the learning rate divided by 3.",
        fixes=("Lower the learning rate or anneal it to zero", "Set a target KL divergence", "Keep the checkpoint of the best evaluation"),
        success_rule=SuccessRule(
            all=(rule,), sentence=f"The evaluated return ends at most {view['fell'] * evaluated.gain:.4g} below its best."
        ),
        phase=CURVES,
        roles=(evaluated.signal.key, training.signal.key),
    )


def _breaks_off(view: View, known: Return, kl: CurveFacts) -> bool:
    """Whether the last point of the return gives back what was gained, with an update that moved the policy further than any before."""
    curve = known.curve
    if min(curve.n, kl.n) < 10 or kl.step[-1] <= curve.step[-2]:
        return False
    back = float(curve.cost[-1]) - curve.best_cost
    return (
        known.gain > 6 * curve.sigma
        and back > max(view["lost"] * known.gain, 6 * curve.sigma)
        and float(kl.value[-1]) > view["leap"] * max(float(kl.value[:-1].max()), 0.01)
    )


def _at_the_last_point(known: Return, kl: CurveFacts) -> Finding:
    """A note: one point is no collapse yet, but the last policy is not the one that was trained before."""
    curve = known.curve
    before, last = int(curve.step[-2]), int(curve.step[-1])
    numbers = {
        "before": float(curve.value[-2]),
        "end": float(curve.value[-1]),
        "kl": float(kl.value[-1]),
        "most": float(kl.value[:-1].max()),
    }
    text = "At the last point the return falls from {before:.4g} to {end:.4g} and the KL divergence is {kl:.3g}; before it was {most:.3g} at most."
    rule = predicate(curve.signal.key, "rise", "<=", 0.1 * known.gain, source="a tenth of this run's gain")
    return Finding(
        id="return-collapse",
        severity=Severity.NOTE,
        confidence=0.6,
        title=f"Return collapse at the last point: the return falls from {numbers['before']:.4g} to {numbers['end']:.4g}",
        onset=Interval(before, last),
        extent=Interval(before, last),
        evidence=(say(text, (curve, kl), (Mark("event", "last point", last),), **numbers),),
        causes=(
            Cause("A policy update that was too large (learning rate, epochs per batch, clip range)", "the KL divergence leaps with it"),
        ),
        first_check="Evaluate the last checkpoint and the one before it.",
        first_action=f"Go back to the checkpoint before step {before:,} and continue with a target KL divergence of 0.02.",
        fixes=("Set a target KL divergence", "Lower the learning rate or anneal it to zero", "Keep the checkpoint of the best return"),
        success_rule=SuccessRule(all=(rule,), sentence=f"The return ends at most {0.1 * known.gain:.4g} below its best."),
        phase=CURVES,
        roles=(curve.signal.key,),
    )


def _collapses() -> object:
    rng = np.random.default_rng(111)
    n = 100
    reward = np.concatenate((np.linspace(20, 400, 60), np.linspace(400, 60, 10), np.full(30, 60.0))) + rng.normal(0, 8, n)
    return _synth.make_run(
        {"rollout/ep_rew_mean": reward, "train/approx_kl": np.full(n, 0.01), "train/entropy_loss": -np.linspace(0.7, 0.3, n)}, every=2048
    )


def _learns() -> object:
    rng = np.random.default_rng(112)
    n = 100
    reward = 400 - 380 * np.exp(-np.linspace(0, 4, n)) + rng.normal(0, 15, n)
    return _synth.make_run(
        {"rollout/ep_rew_mean": reward, "train/approx_kl": np.full(n, 0.01), "train/entropy_loss": -np.linspace(0.7, 0.3, n)}, every=2048
    )


EXAMPLES = (
    Example("the return falls from 400 to 60", _collapses, fires=True, onset=(110000, 150000)),
    Example("a noisy return that rises", _learns, fires=False),
)

DETECTOR = Detector(
    id="return-collapse",
    title="Return collapse",
    summary="The return of a reinforcement learning run falls after its best and does not come back.",
    severity=Severity.WARNING,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=(RETURNS,),
    wants=("value_loss", "approx_kl", *RETURNS),
    domains=frozenset({Domain.REINFORCEMENT}),
    thresholds={
        "stays": Threshold(0.2, "share of the run over which the loss of return must last"),
        "fell": Threshold(0.3, "of its gain, lost again throughout that time"),
        "stretch": Threshold(
            5,
            "evaluations in a row, and a sixth of all, above every one of both ends; 2 of 12,000 simulated agents that learn have them, with noise half the gain",
        ),
        "above": Threshold(0.4, "of the gain, by which that stretch lies above both ends"),
        "leap": Threshold(2.0, "the last KL divergence over the largest before; in 12 public runs that did not break it was 0.94 at most"),
        "lost": Threshold(0.7, "with seven tenths of the gain gone the last policy is of no use"),
    },
    examples=EXAMPLES,
)
