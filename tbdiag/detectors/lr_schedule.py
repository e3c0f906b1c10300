"""The schedule of the learning rate does not fit the run.

What it means
    The warm-up never ends, the rate collapses long before the run does, it jumps up in the middle of training and the loss
    with it, or it never decays and the loss bounces.

Why it matters
    The budget is spent at rates that were not meant, and the result says little about the model.

How it is told
    Warm-up: the rate rises throughout and is highest at the last point (at least five points, doubling at least). Collapse:
    it falls below a thousandth of its peak (but not to zero) before 60 % of the run (or below a fiftieth before 30 %) and
    stays there; or below a hundredth before half of the run, where the last quarter of the way there had brought 8 % of all
    that the training loss gained, and all the rest of the run brings less than a fifth of that. Jump: after the first tenth
    of the run it rises at least threefold between two points, not as one of several cycles nor where it goes up and down at a
    tenth of its points each, as one that follows the KL divergence, and the training loss rises at once by more than 6 noise
    standard deviations; to a rate twice as high as any before it the medians of twenty points
    before and after must differ by 4 standard errors, or the next two points lie above the last four by 8 standard
    deviations; of fewer than twenty points in all the next three must lie above the last four; to a rate ten times as high it is enough
    that the next evaluations reach three times the worst of the four before. No warm-up: the rate is at
    its peak from the first point on, the smoothed loss is thrown above one and a half times its first value within the
    first tenth, and is back there only after more than a tenth of the run (a note). Never decays: the rate is constant, the
    training loss gained a fifth and then nothing over half of the run (validation over 30 %) and scatters by 8 % of its
    level, and neither a metric nor the loss says that the end is good (a note, where anything was validated). A rate that
    is constant while the loss falls, or a decaying schedule that stops at more than 30 % of its peak, is no fault. Where the
    configuration plans epochs of which the log holds less than a fifth, it is not the warm-up that is too long: the run was stopped.

First check
    Print the intended rate of every step from the scheduler beside the logged one.

First action
    Set the scheduler's total and warm-up steps from the real number of optimiser steps.

Success rule
    As the fault was: the rate peaks within the first fifth of the run; is below the limit that it fell below on at most a
    fifth of the points; never doubles from one point to the next while the loss ends near its best; the loss is not thrown up
    in the first tenth; or it ends a twentieth lower where the rate never decayed.

Not to be confused with
    lr-zero (it reaches zero), warm restarts and one-cycle schedules (by design).

Limits
    Needs a logged learning rate; per-epoch logging hides what happens in the first epoch.

Sources
    Tuning playbook (warm-up up to a tenth of the steps); deterministic shape tests on logarithms.
"""

from __future__ import annotations

from dataclasses import replace

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
from tbdiag.detectors._schedules import Fault, cold_start, collapsed, jumped, never_decays, never_warm
from tbdiag.detectors._words import about, say_planned, scale_lr, schedule, short, unit
from tbdiag.features import CurveFacts
from tbdiag.features.planned import Planned, find_planned
from tbdiag.features.schedule import Schedule
from tbdiag.model import Domain, Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import Float64

NOTES = ("cold", "constant")
"""Unscaled inputs and bad weights throw a loss up as well, and noisy labels keep one restless: there the rate is only the easiest to change."""

FEWEST_WARM_UP = 20
"""Fewer steps than that warm nothing up: Adam's second moments alone need hundreds."""


def detect(view: View) -> Finding | NotApplicable | None:
    """Shape of the learning rate."""
    lr, plan = view.curve("lr"), schedule(view)
    if lr is None or plan is None:
        return NotApplicable("no learning rate with two points", ("lr",))
    if lr.n < 5 or plan.peak <= 0:
        return None
    faults = (("warm-up", never_warm), ("collapse", collapsed), ("jump", jumped), ("cold", cold_start), ("constant", never_decays))
    for kind, test in faults:
        found = test(view, lr, plan) if not plan.constant or kind in NOTES else None
        if found:
            return _finding(view, lr, plan, kind, found)
    return None


def _finding(view: View, lr: CurveFacts, plan: Schedule, kind: str, found: Fault) -> Finding:
    evidence, onset, margin = found
    train = view.curve("train_loss")
    # The noise of an end is that of a median of many points; a twentieth is more than another seed makes of it.
    lower = train.end - max(0.05 * abs(train.end), 3 * 1.25 * train.sigma / np.sqrt(train.tail_points)) if train is not None else 0.0
    titles = {
        "warm-up": f"The warm-up never ends: the learning rate is highest ({short(plan.peak)}) at the last point",
        "collapse": f"The learning rate collapses early, by {unit(lr)} {onset.last_step:,}",
        "jump": f"The learning rate jumps up at {unit(lr)} {onset.last_step:,}, and the loss with it",
        "cold": f"No warm-up: the full learning rate of {short(float(lr.value[0]))} threw the loss up at the start",
        "constant": f"The learning rate never decays ({short(plan.peak)}), and the loss bounces at its level since {unit(lr)} {onset.last_step:,}",
    }
    actions = {
        "warm-up": _end_warm_up(lr),
        "collapse": "Set the scheduler's total steps to the real number of optimiser steps (steps per epoch / accumulation x epochs).",
        "jump": f"Keep the learning rate at its value before {unit(lr)} {onset.last_step:,} and rerun from the checkpoint before it.",
        "cold": f"Warm the learning rate up over the first 5 % of the run ({max(1, int(0.05 * (lr.step[-1] - lr.step[0])))} {unit(lr)}s).",
        "constant": f"{scale_lr(view, 0.1)} and resume from the last checkpoint for a tenth of the budget.",
    }
    causes = {
        "warm-up": Cause("Warm-up steps were given in the wrong unit, or exceed the run"),
        "collapse": Cause("The scheduler is stepped per batch instead of per epoch"),
        "jump": Cause("A new phase, a resumed scheduler or a changed batch size reset the rate"),
        "cold": Cause("Adaptive optimisers know no scale in their first steps, and take them far too large"),
        "constant": Cause("The learning rate is too high for this stage: a schedule that decays lets the loss settle"),
    }
    peak = predicate("lr", "max_share", "<=", 0.2, source="a fifth of the run")
    limit = float(evidence.numbers["limit"]) if kind == "collapse" else 0.0
    low = predicate("lr", "share_below", "<=", 0.2, argument=limit, source="the limit that this run's rate fell below too early")
    calm = predicate("train_loss", "rise", "<=", 0.0, sd_times=4.0)
    # A loss that recovered says nothing of the rate; a warm-up that begins at zero doubles at first.
    late = (onset.last_step - int(lr.step[0])) > 0.1 * (int(lr.step[-1]) - int(lr.step[0]))
    steady = predicate("lr", "jumps_up", "<=", 0.0, argument=2.0, window=(0.1 if late else 0.02, 1.0), if_logged=True)
    start = predicate("train_loss", "max", "<=", 0.0, minus="first", minus_times=1.0 + 0.5, window=(0.0, 0.1))
    rules = {
        "cold": ((start,), "In its first tenth the training loss stays below one and a half times its first values."),
        "warm-up": ((peak,), "The learning rate peaks within the first fifth of the run."),
        "collapse": ((low,), f"The learning rate is below {short(limit)} on at most a fifth of the points."),
        "jump": (
            (calm, steady),
            "The training loss ends within 4 sd of its best, and the learning rate does not jump to twice its value again.",
        ),
    }
    if kind == "constant":
        fallen = predicate("train_loss", "end", "<", lower, source="a twentieth and 3 standard errors below the end of this run")
        rules[kind] = ((fallen,), f"The training loss ends below {lower:.4g}, clearly below the end of this run.")
    predicates, sentence = rules[kind]
    planned = _stopped_within(view, lr) if kind == "warm-up" else None
    if planned is not None:
        titles[kind] = f"The log ends within the warm-up, at {planned.share:.0%} of the {planned.epochs:g} planned epochs"
        causes[kind] = Cause("The run was stopped or killed", f"the configuration plans {planned.epochs:g} epochs")
        actions[kind] = (
            f"Resume from the last checkpoint (or start anew) and train to the planned end, about {about(planned.steps)} {unit(lr)}s; "
            "leave the schedule as it is."
        )
    stopped = (say_planned(planned, lr.name),) if planned is not None else ()
    return Finding(
        id="lr-schedule",
        severity=Severity.NOTE if kind in NOTES else Severity.WARNING,
        confidence=confidence(margin, supports=int(kind == "warm-up"), doubts=2 * int(kind in NOTES)),
        title=titles[kind],
        onset=onset,
        extent=Interval(onset.first_step, int(lr.step[-1])),
        evidence=(evidence, *stopped),
        causes=(
            causes[kind],
            Cause("Labels or small batches whose noise no rate averages away")
            if kind == "constant"
            else Cause("Total or warm-up steps do not match the real number of optimiser steps"),
        ),
        first_check="Was the run stopped by a limit of time or epochs, or killed?"
        if stopped
        else "Print the intended rate of every step from the scheduler beside the logged one.",
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


def _end_warm_up(lr: CurveFacts) -> str:
    """What to set instead; a twentieth of what may be the head of a longer run is no warm-up."""
    span = int(lr.step[-1] - lr.step[0])
    steps = max(1, int(0.05 * span))
    if unit(lr) == "step" and steps < FEWEST_WARM_UP:
        return (
            f"Train past the warm-up: these {span:,} steps hardly began it. If the whole run is no longer than that, "
            f"end the warm-up by step {int(lr.step[0]) + span // 5:,}."
        )
    return f"End the warm-up after 5 % of the run: set warmup_steps to {steps} ({unit(lr)}s)."


def _stopped_within(view: View, lr: CurveFacts) -> Planned | None:
    """The plan of which the log holds so little that the warm-up may well have been right."""
    planned = find_planned(view.signals)
    if planned is None or planned.limit is not None or planned.share >= view["head"] or unit(lr) != "step":
        return None
    steps, ratio = (view.signals.config.get(name) for name in ("warmup_steps", "warmup_ratio"))
    fits = not isinstance(steps, float) or steps <= view["head"] * planned.steps
    return planned if fits and (not isinstance(ratio, float) or ratio <= view["head"]) else None


def _run(lr: Float64, seed: int, loss: Float64 | None = None) -> Run:
    n = lr.size
    values = _synth.decay(n, 2.3, 0.5) if loss is None else loss
    return _synth.make_run({"train/loss": values + np.random.default_rng(seed).normal(0, 0.02, n), "lr": lr}, every=10)


def _warming() -> Run:
    return _run(1e-4 * np.arange(1, 12) / 11, 141)


def _stopped() -> Run:
    run = _run(1e-4 * np.arange(1, 20) / 19, 153)
    epoch = _synth.make_series("train/epoch", 0.07 * np.arange(1, 20) / 19, np.arange(19) * 10)
    return replace(run, series={**run.series, "train/epoch": epoch}, hparams={"num_train_epochs": 3.0, "warmup_steps": 500.0})


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


def _sparse(kind: str) -> Run:
    """Forty points, the rate thirty times as high from half of the run on: the loss is thrown up and falls again, or never minds."""
    x = np.linspace(0, 1, 40)
    thrown = {"thrown": 0.7 * np.exp(-(x - 0.5) / 0.1), "minds": 0.0 * x}[kind]
    return _run(np.where(x > 0.5, 3e-3, 1e-4), 149, 0.4 + 2 * np.exp(-5 * x) + np.where(x > 0.5, thrown, 0.0))


def _runs_out(falls: bool) -> Run:
    """A rate that is at half a per cent of its peak from 40 % of the run on, under a loss that fell until then or had settled."""
    x = np.linspace(0, 1, 300)
    rate = 4.0 if falls else 20.0
    return _run(1e-3 * np.maximum(5e-3, 1 - x / 0.4), 150, 0.9 + 1.4 * np.exp(-rate * np.minimum(x, 0.4)))


def _never(scatter: float) -> Run:
    loss = _synth.decay(300, 2.3, 0.9, 20.0) + np.random.default_rng(151).normal(0, scatter, 300)
    run = _run(np.full(300, 0.03), 152, loss)
    val = _synth.make_series("val/loss", _synth.decay(20, 2.3, 0.95, 20.0), np.arange(20) * 150)
    return replace(run, series={**run.series, "val/loss": val})


def _evaluations(peak: float) -> Run:
    """The rate jumps from 0.001 to 0.2 in mid-run; batches scatter as before, the next evaluation is at `peak`."""
    rng = np.random.default_rng(63)
    train, val = _synth.decay(50, 0.73, 0.3, 3.0) + rng.normal(0, 0.05, 50), _synth.decay(10, 0.66, 0.3, 3.0)
    val[5] = peak
    rate = np.where(np.arange(50) < 25, 1e-3, 0.2)
    at = np.arange(50) * 10
    made = {"train/loss": (train, at), "lr": (rate, at), "val/loss": (val, np.arange(10) * 50 + 45)}
    return _synth.make_run({k: _synth.make_series(k, v, step) for k, (v, step) in made.items()})


def _agent(follows: bool) -> Run:
    """An agent whose return falls at half of the run, where its rate rises fivefold: one step of a rate that always moves, or the only one."""
    rng, n = np.random.default_rng(64), 300
    rate = np.where(np.arange(n) < 150, 1e-5, 6e-5)
    if follows:
        rate = 1e-5 * 1.5 ** rng.integers(0, 5, n)
        rate[:3], rate[149:151] = 1e-3, (1e-5, 6e-5)
    reward = 20 - _synth.decay(n, 20.0, 0.0, 6.0) - 6.0 * (np.arange(n) >= 150) + rng.normal(0, 0.3, n)
    series = {
        "Train/mean_reward": reward,
        "Loss/learning_rate": rate,
        "Policy/mean_noise_std": _synth.decay(n, 1.0, 0.3),
        "Perf/total_fps": np.full(n, 9e4),
    }
    return _synth.make_run(series, every=1)


EXAMPLES = (
    Example("two glitches of one point that throw the loss: the first leads", _glitches, fires=True, onset=(490, 500)),
    Example("thrown up by a full rate, back after a fifth of the run: a note", _cold, fires=False, onset=(0, 60)),
    Example("a bump at the start that is over at once", _bump, fires=False),
    Example("warm-up to the end", _warming, fires=True),
    Example("warm-up, in a run that was stopped at 2 % of its plan", _stopped, fires=True),
    Example("decays per step", _early, fires=True, onset=(1000, 1100)),
    Example("jumps twentyfold", _jump, fires=True, onset=(1190, 1200)),
    Example("only the next evaluation tells of a rate two hundred times as high", lambda: _evaluations(12.0), fires=True, onset=(230, 260)),
    Example("the next evaluation is a little higher", lambda: _evaluations(0.9), fires=False),
    Example("forty points, thrown up by a rate thirty times as high", lambda: _sparse("thrown"), fires=True, onset=(190, 210)),
    Example("forty points, and the loss does not mind the higher rate", lambda: _sparse("minds"), fires=False),
    Example("a two hundredth of the peak while the loss still fell", lambda: _runs_out(falls=True), fires=True, onset=(1170, 1200)),
    Example("a two hundredth of the peak after the loss had settled", lambda: _runs_out(falls=False), fires=False),
    Example("a constant rate and a loss that bounces: a note", lambda: _never(0.12), fires=False, onset=(300, 1000)),
    Example("a constant rate and a calm loss", lambda: _never(0.0), fires=False),
    Example("an agent's rate that jumps once, and the return falls", lambda: _agent(follows=False), fires=True, onset=(140, 160)),
    Example("an agent's rate that follows the KL divergence up and down", lambda: _agent(follows=True), fires=False),
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
    wants=("train_loss", "train_reward", "val_loss", "val_metric", "train_metric"),
    domains=DIRECTED | {Domain.REINFORCEMENT},
    thresholds={
        "head": Threshold(0.2, "share of the planned epochs in which a warm-up has its place; the success rule asks for the same"),
        "warm_share": Threshold(0.95, "highest at the end of the run"),
        "collapse": Threshold(0.001, "a thousandth of the peak moves nothing any more"),
        "still_fell": Threshold(0.08, "of what the loss gained; healthy schedules that are through by then gained 3 % in that quarter"),
        "collapse_share": Threshold(0.6, "cosine and linear schedules get there in the last tenth"),
        "early_collapse": Threshold(0.02, "very early, a fiftieth of the peak is as good as nothing, too"),
        "early_share": Threshold(0.3, "share of the run that counts as very early"),
        "stopped": Threshold(0.01, "a hundredth of the peak, where the loss fell until then and does nothing in all the rest"),
        "stopped_share": Threshold(0.5, "share of the run by which that is too early"),
        "thrown": Threshold(0.5, "half above the first value: minibatches and early bumps stay below"),
        "cold_share": Threshold(0.1, "a bump that costs less of the run is worth no rerun"),
        "stands": Threshold(0.5, "share of the run without a gain: longer than a stage of most schedules"),
        "restless": Threshold(0.08, "minibatch noise of a loss that is not small is 1 to 5 % of it"),
        "good": Threshold(0.9, "of the way to perfect, or of the loss: little is left to find"),
        "jump_sigmas": Threshold(6.0, "noise standard deviations by which the loss rises at the jump"),
        "near_sigmas": Threshold(8.0, "the same, told by the points next to the jump alone"),
        "jump_harm": Threshold(0.2, "of the level, by which the loss rises at the jump; or a third of what was gained, for good"),
        "far": Threshold(10.0, "times any rate before it: what such a jump does to the next evaluation alone is enough"),
        "evaluation": Threshold(3.0, "times the worst of the four evaluations before it, beyond what evaluations scatter by"),
        "jump": Threshold(3.0, "threefold: no usual decay or cycle rises so in one step"),
    },
    examples=EXAMPLES,
    explains=("divergence", "instability", "plateau"),
)
