"""The schedule of the learning rate does not fit the run.

What it means
    The warm-up never ends, the rate collapses long before the run does, or it jumps up in the middle of training and the loss
    with it.

Why it matters
    The budget is spent at rates that were not meant, and the result says little about the model.

How it is told
    Warm-up: the rate rises throughout and is highest at the last point (at least five points, doubling at least). Collapse:
    it falls below a thousandth of its peak (but not to zero) before 60 % of the run (or below a fiftieth before 30 %) and
    stays there. Jump: after the first tenth of the run it rises at least threefold between two points, not as one of
    several cycles, and the training loss rises at once by more than 6 noise standard deviations; to a rate twice as high as
    any before it the medians of twenty points before and after must differ by 4 standard errors, and of fewer than twenty
    points in all the next three must lie above the last four. No warm-up: the rate is at
    its peak from the first point on, the smoothed loss is thrown above one and a half times its first value within the
    first tenth, and is back there only after more than a tenth of the run (a note). A rate that never decays, or a decaying
    schedule that stops at more than 30 % of its peak, is no fault by itself.

First check
    Print the intended rate of every step from the scheduler beside the logged one.

First action
    Set the scheduler's total and warm-up steps from the real number of optimiser steps.

Success rule
    As the fault was: the rate peaks within the first fifth of the run; is below a thousandth of its peak on at most a fifth of the points;
    never doubles from one point to the next while the loss ends near its best; or the loss is not thrown up in the first tenth.

Not to be confused with
    lr-zero (it reaches zero), warm restarts and one-cycle schedules (by design).

Limits
    Needs a logged learning rate; per-epoch logging hides what happens in the first epoch.

Sources
    Tuning playbook (warm-up up to a tenth of the steps); deterministic shape tests on logarithms.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    DIRECTED,
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
from tbdiag.detectors._words import label, say, schedule, short, unit
from tbdiag.features import CurveFacts
from tbdiag.features.schedule import Schedule
from tbdiag.model import Domain, Evidence, Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import Float64, estimate_noise, median


def detect(view: View) -> Finding | NotApplicable | None:
    """Shape of the learning rate."""
    lr, plan = view.curve("lr"), schedule(view)
    if lr is None or plan is None:
        return NotApplicable("no learning rate with two points", ("lr",))
    if lr.n < 5 or plan.peak <= 0:
        return None
    for kind, test in (("warm-up", _never_warm), ("collapse", _collapsed), ("jump", _jumped), ("cold", _cold_start)):
        found = test(view, lr, plan) if not plan.constant or kind == "cold" else None
        if found:
            return _finding(lr, plan, kind, found)
    return None


def _never_warm(view: View, lr: CurveFacts, plan: Schedule) -> tuple[Evidence, Interval, float] | None:
    steps = np.diff(lr.value)
    rising = bool(np.all(steps >= -1e-6 * plan.peak)) and float(np.mean(steps > 0)) > 0.8
    if not rising or plan.peak_share < view["warm_share"] or float(lr.value[0]) > 0.5 * plan.peak:
        return None
    evidence = say(
        "The learning rate rises throughout, from {first:.3g} to {last:.3g} at the last point.",
        (lr,),
        first=float(lr.value[0]),
        last=float(lr.value[-1]),
    )
    return evidence, Interval(int(lr.step[0]), int(lr.step[min(1, lr.n - 1)])), 4.0


def _collapsed(view: View, lr: CurveFacts, plan: Schedule) -> tuple[Evidence, Interval, float] | None:
    # Very early, a fiftieth of the peak is as good as nothing, too.
    return _below(lr, plan, view["collapse"], view["collapse_share"]) or _below(lr, plan, 0.02, 0.3)


def _below(lr: CurveFacts, plan: Schedule, level: float, latest: float) -> tuple[Evidence, Interval, float] | None:
    """A learning rate that stays below `level` of its peak from a share of the run before `latest` on."""
    low = lr.value < level * plan.peak
    alive = np.flatnonzero(~low)
    begin = int(alive[-1]) + 1
    if begin >= lr.n or plan.zero_share > 0.2 or plan.cyclic:
        return None
    span = max(float(lr.step[-1] - lr.step[0]), 1.0)
    share = float(lr.step[begin] - lr.step[0]) / span
    if share > latest or lr.n - begin < 5:
        return None
    evidence = say(
        f"The learning rate falls below {{limit:.2g}} (peak {{peak:.3g}}) by {unit(lr)} {{step:,}}, {{share:.0%}} of the run.",
        (lr,),
        limit=level * plan.peak,
        peak=plan.peak,
        step=int(lr.step[begin]),
        share=share,
    )
    # Where it began to fall is where the mistake begins, if that was at once.
    first = lr.step[0] if share < 0.15 else lr.step[begin - 1]
    return evidence, Interval(int(first), int(lr.step[begin])), latest / max(share, 0.05)


def _jumped(view: View, lr: CurveFacts, plan: Schedule) -> tuple[Evidence, Interval, float] | None:
    train = view.curve("train_reward") if view.signals.domain is Domain.REINFORCEMENT else view.curve("train_loss")
    if plan.cyclic or train is None or train.n < 10 or train.signal.axis is not lr.signal.axis:
        return None
    span = max(float(lr.step[-1] - lr.step[0]), 1.0)
    for i in plan.jumps:
        before, after = float(lr.value[i]), float(lr.value[i + 1])
        if after < view["jump"] * before or float(lr.step[i + 1] - lr.step[0]) < 0.1 * span:
            continue
        left = train.cost[train.step <= lr.step[i]][-20:]
        # A rate that is back at the next point has thrown what follows at once: later points only show the recovery.
        single = i + 2 < lr.n and float(lr.value[i + 2]) < 0.5 * after
        right = train.cost[train.step >= lr.step[i + 1]][: 5 if single else 20]
        few = train.n < 20 and left.size >= 4 and _all_above(left[-4:], right)
        if left.size < 8 and not few:
            continue
        said = f"At {unit(lr)} {{step:,}} the learning rate jumps from {{before:.3g}} to {{after:.3g}}, and the {label(train)} "
        numbers = {"step": int(lr.step[i + 1]), "before": before, "after": after}
        onset = Interval(int(lr.step[i]), int(lr.step[i + 1]))
        lost = _lost_after(train, lr.step[i + 1])
        if lost is not None:
            return say(said + "is NaN or infinite from {lost:,} on.", (lr, train), **numbers, lost=lost), onset, 4.0
        if right.size < 3:
            continue
        sigma = max(estimate_noise(left).sigma, 1e-12)
        # Against the better half of what was before, at its worst within the next points.
        rise = float(np.quantile(right, 0.75)) - median(left)
        level = median(left)
        # A fifth of the level; or a third of what had been gained, where the run never gets it back (a warm restart does).
        lost_gain = rise > (train.start_cost - level) / 3 > 0 and train.end_cost > level + 3 * sigma
        # Beyond any rate before it, no restart is meant: there twenty points against twenty tell what single points hide in their noise.
        beyond = after > 2 * float(lr.value[: i + 1].max())
        lasts = beyond and (few or (right.size >= 10 and _outlasts(train.cost[train.step <= lr.step[i]], right)))
        if (rise < 6 * sigma and not lasts) or (rise < 0.2 * abs(level) and not lost_gain):
            continue
        evidence = say(said + ("rises" if train.sign > 0 else "falls") + " by {rise:.3g}.", (lr, train), **numbers, rise=rise)
        return evidence, onset, rise / (6 * sigma)
    return None


def _all_above(left: Float64, right: Float64) -> bool:
    """Whether the next three losses lie above the last four: by chance once in 35 times."""
    return right.size >= 3 and float(right[:3].min()) > float(left.max())


def _outlasts(before: Float64, right: Float64) -> bool:
    """Whether the medians of the last twenty points and of those after differ by four standard errors (of a median: 1.25 sd / sqrt(n))."""
    left, sigma = before[-20:], estimate_noise(before[-60:]).sigma
    return bool(median(right) - median(left) > 4 * 1.25 * sigma * np.sqrt(1 / left.size + 1 / right.size))


def _cold_start(view: View, lr: CurveFacts, plan: Schedule) -> tuple[Evidence, Interval, float] | None:
    """A loss that the full rate of the first steps threw far above its start, for more than a tenth of the run."""
    train = view.curve("train_loss") if view.signals.domain is not Domain.REINFORCEMENT else None  # its losses have no direction
    if train is None or train.n < 40 or float(lr.value[0]) < 0.9 * plan.peak or train.signal.axis is not lr.signal.axis:
        return None
    first, smooth = float(train.cost[0]), train.smooth
    early = train.between(0.0, 0.1)
    if int(np.count_nonzero(smooth[early] > first + view["thrown"] * abs(first))) < 3:
        return None
    above = smooth > first + max(view["thrown"] * abs(first), 8 * train.sigma)
    back = np.flatnonzero(smooth[int(np.argmax(smooth[early])) :] <= first)
    if int(np.sum(above[early])) < 3 or not back.size or train.end_cost > first:
        return None  # never thrown, or never back: then divergence or instability tell it
    begin, end = int(np.argmax(above)), int(np.argmax(smooth[early])) + int(back[0])
    share = float(train.step[end] - train.step[0]) / max(float(train.step[-1] - train.step[0]), 1.0)
    if share < view["cold_share"]:
        return None
    evidence = say(
        f"At the full rate of {{rate:.3g}} from the first point on, the {label(train)} rose from {{first:.4g}} to {{top:.4g}} and was back only at "
        f"{unit(train)} {{back:,}}, {{share:.0%}} of the run.",
        (lr, train),
        rate=float(lr.value[0]),
        first=first,
        top=float(smooth[early].max()),
        back=int(train.step[end]),
        share=share,
    )
    return evidence, Interval(int(train.step[max(begin - 1, 0)]), int(train.step[begin])), share / view["cold_share"]


def _lost_after(train: CurveFacts, jump: int) -> int | None:
    """Step from which the loss is non-finite for good, if it was finite up to a jump and broke within the next twenty points."""
    if not train.bad_step.size or train.bad_step[0] < jump or train.step[-1] > train.bad_step[0]:
        return None
    return int(train.bad_step[0]) if int(np.sum(train.step >= jump)) < 20 else None


def _finding(lr: CurveFacts, plan: Schedule, kind: str, found: tuple[Evidence, Interval, float]) -> Finding:
    evidence, onset, margin = found
    titles = {
        "warm-up": f"The warm-up never ends: the learning rate is highest ({short(plan.peak)}) at the last point",
        "collapse": f"The learning rate collapses early, by {unit(lr)} {onset.last_step:,}",
        "jump": f"The learning rate jumps up at {unit(lr)} {onset.last_step:,}, and the loss with it",
        "cold": f"No warm-up: the full learning rate of {short(float(lr.value[0]))} threw the loss up at the start",
    }
    actions = {
        "warm-up": f"End the warm-up after 5 % of the run: set warmup_steps to {max(1, int(0.05 * (lr.step[-1] - lr.step[0])))} ({unit(lr)}s).",
        "collapse": "Set the scheduler's total steps to the real number of optimiser steps (steps per epoch / accumulation x epochs).",
        "jump": f"Keep the learning rate at its value before {unit(lr)} {onset.last_step:,} and rerun from the checkpoint before it.",
        "cold": f"Warm the learning rate up over the first 5 % of the run ({max(1, int(0.05 * (lr.step[-1] - lr.step[0])))} {unit(lr)}s).",
    }
    causes = {
        "warm-up": Cause("Warm-up steps were given in the wrong unit, or exceed the run"),
        "collapse": Cause("The scheduler is stepped per batch instead of per epoch"),
        "jump": Cause("A new phase, a resumed scheduler or a changed batch size reset the rate"),
        "cold": Cause("Adaptive optimisers know no scale in their first steps, and take them far too large"),
    }
    peak = predicate("lr", "max_share", "<=", 0.2, source="a fifth of the run")
    low = predicate("lr", "share_below", "<=", 0.2, argument=0.001 * plan.peak, source="a thousandth of the peak")
    calm = predicate("train_loss", "rise", "<=", 0.0, sd_times=4.0)
    # A loss that recovered says nothing of the rate; a warm-up that begins at zero doubles at first.
    late = (onset.last_step - int(lr.step[0])) > 0.1 * (int(lr.step[-1]) - int(lr.step[0]))
    steady = predicate("lr", "jumps_up", "<=", 0.0, argument=2.0, window=(0.1 if late else 0.02, 1.0), if_logged=True)
    start = predicate("train_loss", "max", "<=", 0.0, minus="first", minus_times=1.0 + 0.5, window=(0.0, 0.1))
    rules = {
        "cold": ((start,), "In its first tenth the training loss stays below one and a half times its first values."),
        "warm-up": ((peak,), "The learning rate peaks within the first fifth of the run."),
        "collapse": ((low,), "The learning rate is below a thousandth of its peak on at most a fifth of the points."),
        "jump": (
            (calm, steady),
            "The training loss ends within 4 sd of its best, and the learning rate does not jump to twice its value again.",
        ),
    }
    predicates, sentence = rules[kind]
    return Finding(
        id="lr-schedule",
        # Unscaled inputs and bad weights throw a loss up as well: of those three the rate is only the easiest to change.
        severity=Severity.NOTE if kind == "cold" else Severity.WARNING,
        confidence=confidence(margin, supports=int(kind == "warm-up"), doubts=2 * int(kind == "cold")),
        title=titles[kind],
        onset=onset,
        extent=Interval(onset.first_step, int(lr.step[-1])),
        evidence=(evidence,),
        causes=(causes[kind], Cause("Total or warm-up steps do not match the real number of optimiser steps")),
        first_check="Print the intended rate of every step from the scheduler beside the logged one.",
        first_action=actions[kind],
        fixes=(
            "Plot the schedule before training",
            "Derive total steps from the loader's length",
            "Save and restore the scheduler's state on resume",
        ),
        success_rule=SuccessRule(all=predicates, sentence=sentence),
        phase=HYPERPARAMETERS,
        roles=("lr",),
    )


def _run(lr: Float64, seed: int, loss: Float64 | None = None) -> Run:
    n = lr.size
    values = _synth.decay(n, 2.3, 0.5) if loss is None else loss
    return _synth.make_run({"train/loss": values + np.random.default_rng(seed).normal(0, 0.02, n), "lr": lr}, every=10)


def _warming() -> Run:
    return _run(1e-4 * np.arange(1, 12) / 11, 141)


def _early() -> Run:
    return _run(1e-3 * np.exp(-0.065 * np.arange(200.0)), 142)


def _jump() -> Run:
    lr = np.full(200, 1e-3)
    lr[120:] = 2e-2
    loss = _synth.decay(200, 2.3, 0.3)
    loss[120:] = 3.0
    return _run(lr, 143, loss)


def _cosine() -> Run:
    x = np.linspace(0, 1, 200)
    return _run(1e-3 * np.minimum(x / 0.05, 0.5 * (1 + np.cos(np.pi * x))) + 1e-7, 144)


def _restarts() -> Run:
    x = np.arange(240)
    return _run(1e-3 * 0.5 * (1.02 + np.cos(np.pi * (x % 60) / 60)), 145)


def _cold() -> Run:
    x = np.linspace(0, 1, 200)
    return _run(np.full(200, 3e-3), 146, 0.4 + 1.9 * np.exp(-6 * x) + 9.0 * np.exp(-((x - 0.05) ** 2) / 0.004) * (x > 0.01))


def _bump() -> Run:
    x = np.linspace(0, 1, 200)
    return _run(np.full(200, 3e-3), 147, 0.4 + 1.9 * np.exp(-6 * x) + 3.0 * np.exp(-((x - 0.02) ** 2) / 0.0001))


def _glitches() -> Run:
    lr, loss = np.full(200, 1e-3), _synth.decay(200, 2.3, 0.3)
    for at in (50, 141):
        lr[at] = 0.1
        loss[at + 1 : at + 6] += (2.0, 0.9, 0.4, 0.2, 0.1)
    return _run(lr, 148, loss)


EXAMPLES = (
    Example("two glitches of one point that throw the loss: the first leads", _glitches, fires=True, onset=(490, 500)),
    Example("thrown up by a full rate, back after a fifth of the run: a note", _cold, fires=False, onset=(0, 60)),
    Example("a bump at the start that is over at once", _bump, fires=False),
    Example("warm-up to the end", _warming, fires=True),
    Example("decays per step", _early, fires=True, onset=(1000, 1100)),
    Example("jumps twentyfold", _jump, fires=True, onset=(1190, 1200)),
    Example("warm-up and cosine", _cosine, fires=False),
    Example("warm restarts", _restarts, fires=False),
)

DETECTOR = Detector(
    id="lr-schedule",
    title="Learning-rate schedule",
    summary="The schedule of the learning rate does not fit the run.",
    severity=Severity.WARNING,
    phase=HYPERPARAMETERS,
    detect=detect,
    doc=__doc__ or "",
    needs=("lr",),
    wants=("train_loss", "train_reward"),
    domains=DIRECTED | {Domain.REINFORCEMENT},
    thresholds={
        "warm_share": Threshold(0.95, "highest at the end of the run"),
        "collapse": Threshold(0.001, "a thousandth of the peak moves nothing any more"),
        "collapse_share": Threshold(0.6, "cosine and linear schedules get there in the last tenth"),
        "thrown": Threshold(0.5, "half above the first value: minibatches and early bumps stay below"),
        "cold_share": Threshold(0.1, "a bump that costs less of the run is worth no rerun"),
        "jump": Threshold(3.0, "threefold: no usual decay or cycle rises so in one step"),
    },
    examples=EXAMPLES,
    explains=("divergence", "instability", "plateau"),
)
