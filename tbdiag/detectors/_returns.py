"""The return of a reinforcement learning run: what it gained, what it lost again, whether it moved at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tbdiag.detectors._base import CURVES, Cause, Evidence, Finding, Interval, NotApplicable, Severity, SuccessRule, View, predicate
from tbdiag.detectors._words import braced, say, unit
from tbdiag.features import CurveFacts
from tbdiag.features.curves import Trace
from tbdiag.features.tasks import logs_minus_entropy, never_succeeds, task_moves, trains_language_policy
from tbdiag.model import Mark, Role
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import Float64, mad, median, running_median
from tbdiag.stats.trend import find_trend

RETURNS = ("train_reward", "reward", "val_reward")
"""Role keys of the return, the training return first: it is logged most often."""


@dataclass(frozen=True)
class Return:
    """First, best and last level of the return; `gain` and `loss` are positive and in its own unit."""

    curve: CurveFacts
    first: float
    best: float
    end: float
    gain: float
    loss: float

    @property
    def improved(self) -> bool:
        """Whether the end is above the start by more than four standard deviations of the noise and by a twentieth of its size."""
        up = self.end - self.first
        return up > 4 * self.curve.sigma and up > 0.05 * max(abs(self.first), abs(self.end))

    @property
    def fell(self) -> bool:
        """Whether a third of the gain, and more than four standard deviations, was lost again."""
        clear = self.gain > 6 * self.curve.sigma and self.loss > 4 * self.curve.sigma and self.loss > 0.3 * self.gain
        return clear and not is_slight(self.gain, self.loss, max(abs(self.first), abs(self.best)))


def is_slight(gain: float, fall: float, size: float) -> bool:
    """Whether a return of that size only moves about: solved tasks hardly scatter, so that noise alone is no measure of what they gain and lose.

    A policy that began solved ended 9 % lower.
    """
    return gain < 0.05 * size and fall < 0.15 * size


def measure_return(view: View) -> Return | None:
    """The return's levels, or None below eight points."""
    curve = next((c for c in (view.curve(k) for k in RETURNS) if c is not None and c.n >= 8), None)
    if curve is None:
        return None
    gain = curve.first_cost - curve.best_cost
    return Return(curve, curve.first, curve.best, curve.end, gain, curve.end_cost - curve.best_cost)


def no_return(view: View) -> Finding | NotApplicable | None:
    """No learning in reinforcement learning: the return shows no trend while the policy's entropy stays where it began, or it only falls."""
    reward = view.curve("reward") or view.curve("train_reward") or view.curve("val_reward")
    if reward is None:
        return NotApplicable("no reward", ("reward",))
    if reward.n < 15:
        return NotApplicable(f"only {reward.n} points of the reward")
    trace = reward.trace
    trend = find_trend(trace.cost)
    first = median(trace.cost[: max(3, trace.n // 10)])
    opening = median(trace.cost[:3])
    best = int(trace.smooth.argmin())
    gain = max(first, opening) - float(trace.smooth.min())  # some tasks are solved within the first tenth
    lost_at_once = opening < first and best < max(3, trace.n // 10)  # what was lost within the first tenth was no gain of it
    after = opening - float(trace.smooth[best]) if best >= 3 else 0.0
    # A sparse reward that is met once by chance and never again counts as never met.
    nothing = float(np.mean(reward.value == 0)) > view["never_met"] and not np.any(reward.value[-(reward.n // 4) :])
    unsolved = never_succeeds(view.signals, view["lucky"])
    lowest = float(reward.cost.max())
    barren = unsolved is not None and reward.n >= 50 and bool(np.all(reward.cost[-(reward.n // 4) :] == lowest))
    entropy = view.curve("entropy")
    minus = -1.0 if entropy is not None and logs_minus_entropy(entropy) else 1.0
    # The policy has settled, on actions that bring less than its first ones; where they bring as much, it may have begun with good ones.
    settled = (
        entropy is not None
        and entropy.n >= 10
        and 0 < minus * entropy.end < view["settled"] * minus * entropy.first
        and reward.end_cost > max(opening, median(reward.cost[:3])) + trace.noise.sigma
        and not task_moves(view.signals)
    )
    if settled and lost_at_once:
        gain = after
    # Costs rise: the policy ends worse than the one it began with, and was never better.
    falls = trend.tau > 0.4 and trend.change > 0 and not task_moves(view.signals)  # lessons that get harder take returns down
    worse = falls and _is_below(trace, first, view["worse"], 4 if settled else 6)
    # Best at its first points and much worse from then on: within the first tenth it had fallen already, and nothing was gained.
    if falls and lost_at_once and _is_below(trace, opening, view["lost"], 6):
        worse, first, gain = True, opening, after
    if not barren and (
        trend.falling
        or gain > 4 * trace.noise.sigma
        or (float(np.ptp(trace.cost)) == 0 and not nothing)
        or _rating_rises(view)
        or _another_rises(view, reward)
    ):
        return None
    kept = _kept_until(trace, first) if worse else None
    still = entropy is not None and entropy.n >= 5 and float(np.ptp(entropy.trace.cost)) < view["unmoved"] * abs(entropy.first)
    wide = (
        not worse and not barren and float(np.ptp(trace.smooth)) > max(0.3 * abs(median(trace.cost)), 6 * mad(np.diff(trace.cost)) / 1.414)
    )
    if wide and not still and (trace.smooth[-1] <= first or task_moves(view.signals)):
        return None  # it moves about, slowly and widely, and may be on its way up
    numbers = {"first": -first if reward.sign < 0 else first, "end": reward.end}
    if nothing:
        numbers["zero"] = float(np.mean(reward.value == 0))
    course = (
        "no better, and was never clearly above its start"
        if wide and not still
        else "0 at {zero:.0%} of the points"
        if nothing
        else "the lowest that it ever was, at all points of the last quarter"
        if barren
        else "which is worse: it was never clearly above its start"
        if worse
        else "without a trend"
    )
    evidence = [say(f"The reward began at {{first:.4g}} and ended at {{end:.4g}}, {course}.", (reward,), **numbers)]
    if barren and unsolved is not None:
        most = float(unsolved.series.value.max()) if unsolved.series is not None else 0.0
        text = f"{braced(unsolved.name)} is 0 in the last quarter and was {{most:.2g}} at most."
        evidence.append(say(text, (unsolved.name,), most=most))
    if still and entropy is not None:
        evidence.append(say("The policy's entropy stays at {start:.4g}.", (entropy,), start=minus * entropy.first))
    if settled and entropy is not None:
        evidence.append(
            say(
                "The policy's entropy fell from {start:.4g} to {end:.4g}: it has settled, on actions that bring less than its first ones.",
                (entropy,),
                start=minus * entropy.first,
                end=minus * entropy.end,
            )
        )
    shown = (still or worse or nothing or settled or barren) and not wide  # what moves about may be gaining something
    spread = view.features.curve("reward_std")
    equal = spread is not None and spread.n >= 3 and not np.any(spread.value)
    policy = trains_language_policy(view.signals)
    level = numbers["first"] if worse else reward.end  # what the untrained policy got is no success
    if policy and equal and spread is not None:
        evidence.append(
            say(
                "The standard deviation of the reward is 0 at all {points:.0f} points: answers of a group do not differ in it, so that nothing is learned from them.",
                (spread,),
                points=float(spread.n),
            )
        )
    return Finding(
        id="no-learning",
        severity=Severity.WARNING if shown else Severity.NOTE,
        confidence=confidence(1.5, supports=int(still)) if shown else 0.55,
        title=f"No learning: the reward never rises above its first level of {numbers['first']:.4g}, and falls to {reward.end:.4g} after step {int(trace.step[kept]):,}"
        if kept is not None
        else f"No learning: the reward falls from {numbers['first']:.4g} to {reward.end:.4g} and never rose"
        if worse
        else f"No learning: the reward ends at {reward.end:.4g}, no better than it began ({numbers['first']:.4g})"
        if wide and not still
        else f"No learning: the reward stays at {reward.end:.4g}"
        + (" and the policy does not change" if still else " and no episode succeeds" if barren else ""),
        onset=Interval(int(reward.step[0]), int(trace.last_step[1]))
        if kept is None
        else Interval(*trace.last_step[kept : kept + 3 : 2].tolist()),
        extent=Interval(int(reward.step[0] if kept is None else trace.last_step[kept]), int(reward.step[-1])),
        evidence=tuple(evidence),
        **(
            _of_a_policy(equal=equal)
            if policy
            else _of_an_agent(worse=worse, still=still)
            if kept is None
            else _of_a_loss(int(trace.last_step[kept]))
        ),
        success_rule=SuccessRule(
            all=(predicate(reward.signal.key, "end", ">", level, sd_times=4.0, source=f"{'start' if worse else 'end'} of this run"),),
            sentence=f"The reward ends above {level:.4g}{', where it began,' if worse else ''} by more than 4 sd of its noise.",
        ),
        phase=CURVES,
        roles=(reward.signal.key,),
    )


def _is_below(trace: Trace, level: float, share: float, sigmas: float) -> bool:
    """Whether the return ends below a level (a cost), by a share of its size and by more than its noise."""
    end = float(trace.smooth[-1])
    return end - level > share * max(abs(end), abs(level)) and trace.beyond_noise(end - level, sigmas)


def _kept_until(trace: Trace, level: float) -> int | None:
    """Block until which a return that ends below a level (a cost) kept it within 15 % of that fall; None where that was less than 15 % of the run.

    What a wrong sign does begins with the first update.
    """
    near = np.flatnonzero(trace.smooth <= level + 0.15 * (float(trace.smooth[-1]) - level))
    last = int(near[-1]) if near.size else 0
    return last if 0.15 * trace.n <= last < trace.n - 3 else None


def _rating_rises(view: View) -> bool:
    """Whether a rating of self-play climbs: the reward against an equal opponent stays where it is, however much both learn."""
    rated = (s.series for s in view.signals.role(Role.METRIC) if s.stem == "elo" and s.series is not None)
    return any(len(x) >= 15 and _climbs(x.value.astype(np.float64)) for x in rated)


def _climbs(value: Float64) -> bool:
    """Whether a rating has a rising trend, or ends five times above its start of what it moves from point to point: of twenty points no trend is sure."""
    k = max(3, value.size // 6)
    moves = 1.5 * median(np.abs(np.diff(value)))
    return bool(find_trend(value).rising or median(value[-k:]) - median(value[:k]) > 5 * moves > 0)


def _another_rises(view: View, judged: CurveFacts) -> bool:
    """Whether another return climbs: partners that take turns, or exploration, hide in one what evaluation shows in the other."""
    others = (c for c in map(view.curve, RETURNS) if c is not None and c is not judged and c.n >= 15)
    return any(find_trend(c.trace.cost).falling and c.first_cost - c.end_cost > 4 * c.sigma for c in others)


def _of_an_agent(*, worse: bool, still: bool) -> dict[str, Any]:
    """Causes and actions for an agent in an environment."""
    return {
        "causes": (
            Cause(
                "The sign of the advantage, of the reward or of the policy loss is wrong",
                "the policy gets worse the longer it is trained" if worse else "",
            ),
            Cause("The learning rate is too low or the policy is not updated", "the entropy does not move" if still else ""),
            Cause("The reward is too sparse to be found by exploring"),
            Cause("Observations or rewards are not scaled"),
        ),
        "first_check": "Does the policy change at all: entropy, approximate KL divergence, weights?",
        "first_action": "Check the signs of the advantage, of the reward and of the policy loss on one batch by hand."
        if worse
        else "Run the same agent on the easiest version of the environment.",
        "fixes": (
            "Raise the learning rate 2 to 5 times",
            "Shape the reward or start from easier states",
            "Normalise observations and rewards",
        ),
    }


def _of_a_loss(step: int) -> dict[str, Any]:
    """Causes and actions for an agent that kept what it began with for a while."""
    return {
        "causes": LOST_RETURN,
        "first_check": f"Compare value loss, value estimate, entropy and policy loss before and after step {step:,}.",
        "first_action": f"Go back to the checkpoint at step {step:,} and continue with the learning rate divided by 3.",
        "fixes": (*MEND_RETURN, MEND_CRITIC),
    }


def _of_a_policy(*, equal: bool) -> dict[str, Any]:
    """Causes and actions for a language model: what it writes and what the reward function makes of it can be read."""
    return {
        "causes": (
            Cause(
                "The reward function cannot read the completions: they are cut at the length limit, or have another format than its parser expects",
                "all completions get the same reward" if equal else "",
            ),
            Cause("The prompts are too hard or too easy: all answers of a group get the same reward"),
            Cause("The learning rate is too low or the policy is not updated"),
        ),
        "first_check": "Are completions cut at the length limit, and does the reward function find the answer in a correct one?",
        "first_action": "Read ten completions with their rewards: whether they end before the length limit, and whether the reward function "
        "gives a correct one what it deserves.",
        "fixes": (
            "Raise the length limit of the completions",
            "Test the reward function on known answers",
            "Begin with easier prompts, or with supervised fine-tuning on the format",
        ),
    }


def value_explodes(view: View) -> tuple[CurveFacts, float] | None:
    """A value loss that left any size that errors of the returns can have, and its margin over that; None where there is none.

    Estimates of returns are wrong by twice the largest return at most, so that a squared error beyond ten times its square is no
    error of this task. Where no return is logged the loss alone must tell. It must have grown a thousandfold from its lowest level of
    the last nine tenths, and the last tenth must stay a hundred times above that.
    """
    value = view.curve("value_loss")
    if value is None or value.n < 20 or float(value.value.min()) < 0:
        return None
    late = running_median(value.value, 5)[value.n // 10 :]
    low, end = float(late[:-3].min()), median(late[-max(3, value.n // 20) :])
    reward = next((c for c in map(view.curve, RETURNS) if c is not None), None)
    largest = view["value_error"] * max(float(np.abs(reward.value).max()), 1.0) ** 2 if reward is not None else view["value_alone"]
    if low <= 0 or float(late[-max(3, value.n // 10) :].min()) < 100 * low:
        return None
    margin = min(end / largest, end / (view["value_growth"] * low))
    return (value, min(margin, 16.0)) if margin >= 1 else None


def critic_grows(view: View, onset: Interval) -> Evidence | None:
    """A value loss that grows tenfold where a return collapses, and stays there.

    Its level before is the median of its second half up to there; it leaves half as much again within a tenth of the run around the onset.
    """
    value = view.curve("value_loss")
    if value is None or value.n < 20 or float(value.value.min()) < 0:
        return None
    before = value.value[value.step <= onset.first_step]
    usual = median(before[before.size // 2 :]) if before.size >= 10 else 0.0
    end = median(value.value[-max(3, value.n // 10) :])
    if usual <= 0 or end < 10 * usual:
        return None
    left = np.flatnonzero(running_median(value.value, 5) <= 1.5 * usual)
    index = int(left[-1]) + 1 if left.size else 0
    if index >= value.n or abs(int(value.step[index]) - onset.middle) > 0.1 * float(value.step[-1] - value.step[0]):
        return None
    text = f"The {value.signal.stem.replace('_', ' ')} grew from {{usual:.3g}} to {{end:.3g}}, from {unit(value)} {{step:,.0f}} on: the critic's estimates diverge."
    return say(text, (value,), usual=usual, end=end, step=float(value.step[index]))


DIVERGING_CRITIC = Cause(
    "Estimates of the critic that diverge: its targets are too high and feed on themselves", "the value loss grew tenfold there"
)
LOST_RETURN = (
    Cause("Learning rate too high: an update left what had been learned"),
    Cause("Updates of the policy too large: too many epochs over the same samples, a wide clip range, no target of the KL divergence"),
    Cause("Environment, reward or objective changed at that step"),
)
"""What loses a return for good; a return knows no half precision and no bad batch."""
MEND_RETURN = (
    "Stop each update at a target KL divergence (0.02), or take fewer epochs over the same samples",
    "Clip the gradient norm at 0.5",
    "Anneal the learning rate and the clip range",
    "Keep the checkpoint of the best return",
)
MEND_CRITIC = "Hold the critic: a lower learning rate, slower target networks, clipped gradients, the smaller of two estimates"


def return_dips(view: View) -> Finding | NotApplicable | None:
    """Spikes in reinforcement learning: a calm return breaks down by a third of its gain and comes back."""
    reward = next((c for c in map(view.curve, RETURNS) if c is not None and c.n >= 60), None)
    if reward is None:
        return NotApplicable("fewer than sixty points of a return", ("reward",))
    trace = reward.trace
    level = running_median(trace.cost, 41)
    gain = reward.first_cost - float(level.min())
    deep = trace.cost - level > view["dip"] * gain
    first = int(np.argmax(deep))
    calm = slice(max(first - trace.n // 10, 0), first)
    if gain <= 0 or not deep.any() or first < trace.n // 5 or mad(trace.cost[calm] - level[calm]) > 0.03 * gain:
        return None
    dip = np.flatnonzero(deep)
    last = int(dip[-1])
    back = trace.cost[last + 1 :]
    # Shorter than a tenth of the run, and the return is back where it was.
    if dip.size > trace.n // 10 or back.size < 3 or median(back[-5:]) > level[first] + 0.15 * gain:
        return None
    worst = int(dip[np.argmax(trace.cost[dip])])
    if dip.size == 1 and float(trace.cost[worst] - level[worst]) < 0.6 * gain:
        return None  # at the highest return there is, a point of unlucky episodes is all the noise that shows
    numbers = {"usual": reward.sign * level[first], "worst": reward.sign * float(trace.cost[worst]), "step": float(trace.last_step[worst])}
    step = int(trace.last_step[worst])
    text = "The return was calm at {usual:.4g}, broke down to {worst:.4g} by step {step:,.0f}, and came back."
    return Finding(
        id="spikes",
        severity=Severity.WARNING,
        confidence=confidence(float(trace.cost[worst] - level[first]) / (view["dip"] * gain), doubts=1),
        title=f"The return breaks down from {numbers['usual']:.4g} to {numbers['worst']:.4g} at step {step:,} and recovers",
        onset=Interval(int(trace.last_step[max(first - 1, 0)]), int(trace.last_step[first])),
        extent=Interval(int(trace.last_step[first]), int(trace.last_step[last])),
        evidence=(say(text, (reward,), (Mark("event", "break-down", step),), **numbers),),
        causes=(
            Cause("A policy update that was too large: value loss or gradients exploded for a moment"),
            Cause("The policy had become nearly deterministic, so that one update changed it much"),
            Cause("Rare episodes that the policy had not met"),
        ),
        first_check=f"Compare value loss, KL divergence and gradient norm around step {step:,}.",
        first_action="Stop each update at a target KL divergence (0.02), or lower the learning rate to a third.",
        fixes=("Clip the gradient norm at 0.5", "Anneal the learning rate", "Keep the checkpoint of the best return"),
        success_rule=SuccessRule(
            all=(predicate(reward.signal.key, "dip", "<=", 0.15 * gain, source="0.15 of this run's gain"),),
            sentence=f"The return never falls more than {0.15 * gain:.4g} below its usual level.",
        ),
        phase=CURVES,
        roles=(reward.signal.key,),
    )
