"""The learning rate is so low that nothing moves, or everything crawls.

What it means
    Updates are too small for the budget: the loss stays where it was, or falls slowly along a nearly straight line.

Why it matters
    A run with five times the rate would reach the same loss in a fifth of the steps.

How it is told
    The configured learning rate, or the median of the logged one, is below 2e-6, and the loss (or the return) does not
    move, nor that of validation: less than 3 % of its start or three standard errors, no trend. Or the rate is constant and the training or validation loss falls smoothly
    (noise below 3 % of its level) and steadily (the last third is at least half as steep as the first) by less than a fifth
    of its start: a warning below 2e-6, below 1.5e-4 a note beside unconverged. A warning below 1.5e-4 as well, under any
    schedule, where the run ends as a model that knows nothing; steadily then means against the sum of the rates (below 2e-5
    a fall of less than 3 % counts as well, if nearly every later point is lower than every earlier one). Whatever the rate, or if
    none was logged: a warning where every logged update-to-weight ratio is below 1e-5 in its median (1e-3 is usual; below 6e-8
    see frozen-weights), the loss does not move, and the run ends as a model that knows nothing.

First check
    Is the rate the one that was meant, in every parameter group, and are weights changing at all?

First action
    Raise the learning rate five times (towards a usual ratio where updates were logged). Where it is below 2e-6 and nothing moves: to a
    usual rate of the task where the log tells it (2e-5 for a pretrained model, 1e-6 for preferences or GRPO), to 1e-4 where the model
    knows nothing or an agent learns from scratch, else a hundredfold at most in one step.

Success rule
    The next run reaches this run's final loss in half the steps.

Not to be confused with
    lr-zero, no-learning (other causes of a flat loss), unconverged (a good rate, too few steps), fine-tuning that starts good.

Limits
    Needs a learning rate or update ratios in the log. Optimisers that adapt the rate (Prodigy, D-Adaptation) log something else.

Sources
    UMLAUT's lower limit of 1e-7; seed texts: raise the rate 2 to 5 times; cs231n for updates against weights.
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
from tbdiag.detectors._small_updates import FLOAT32, USUAL, Updates, measure_updates, say_updates
from tbdiag.detectors._words import label, learning_rate, raise_tiny_rate, say, scale_lr, schedule, short
from tbdiag.features import CurveFacts
from tbdiag.features.levels import loss_left, metric_level
from tbdiag.model import Domain, Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median
from tbdiag.stats.trend import find_trend


def detect(view: View) -> Finding | NotApplicable | None:
    """A rate that is too low for the curve first, then updates that are."""
    rate, updates = learning_rate(view), measure_updates(view)
    if rate is None and updates is None:
        return NotApplicable("no learning rate above zero", ("lr",))
    keys = ("reward", "train_reward", "val_reward") if view.signals.domain is Domain.REINFORCEMENT else ("train_loss", "val_loss")
    curve = next((c for c in map(view.curve, keys) if c is not None), None)
    if curve is None:
        return NotApplicable("no loss or reward", (keys[0],))
    found = _by_rate(view, curve, rate) if rate is not None else None
    return found or _by_updates(view, curve, rate, updates)


def _by_updates(view: View, curve: CurveFacts, rate: float | None, updates: Updates | None) -> Finding | None:
    """A loss of knowing nothing that does not move, under updates that are a hundredth of the usual ones or less."""
    if updates is None or not FLOAT32 <= updates.ratio <= view["update"] or view.signals.domain is Domain.REINFORCEMENT:
        return None
    if curve.n < 8 or not _flat(curve) or not _untrained(view, curve):
        return None
    return _finding(view, curve, rate, severity=Severity.WARNING, margin=view["update"] / updates.ratio, updates=updates)


def _by_rate(view: View, curve: CurveFacts, rate: float) -> Finding | None:
    """A tiny rate and a curve that does not move, or a slow straight descent."""
    if curve.n < 4 or rate >= view["slow"]:
        return None
    lr = view.curve("lr")
    # What the run trained with for most of its time, not the peak of a first point.
    rate = min(rate, median(lr.value)) if lr is not None and median(lr.value) > 0 else rate
    # Batches may drown what a fixed validation set shows.
    fixed = view.curve("val_loss") if curve.signal.key == "train_loss" else None
    flat = _flat(curve)
    moves = _moves(curve) or (fixed is not None and fixed.n >= 6 and (not _flat(fixed) or _moves(fixed)))
    tiny = rate < view["tiny"]
    plan = schedule(view)
    steady = plan is None or plan.constant
    # A fixed validation set shows a crawl that the noise of minibatches hides.
    crawls = next(
        (
            c
            for c in (fixed, curve)
            if c is not None
            and c.n >= 8
            and (not _flat(c) or (rate < view["hardly"] and _falls_throughout(c)))
            and _crawls(c, None if steady else lr, view["crawl"])
        ),
        None,
    )
    crawling = crawls if steady or (crawls is not None and _untrained(view, crawls)) else None
    if tiny and flat and not moves:
        return _finding(view, curve, rate, severity=Severity.ERROR, margin=view["tiny"] / rate)
    if tiny and crawling is not None and view.signals.domain in (Domain.SUPERVISED, Domain.LANGUAGE_MODEL):
        return _finding(view, crawling, rate, severity=Severity.WARNING, margin=view["tiny"] / rate)
    if crawling is not None and (not flat or (rate < view["hardly"] and _falls_throughout(crawling))) and _untrained(view, crawling):
        return _finding(view, crawling, rate, severity=Severity.WARNING, margin=view["slow"] / rate)
    if crawling is not None and not flat:
        return _finding(view, crawling, rate, severity=Severity.NOTE, margin=1.0)
    return None


def _untrained(view: View, loss: CurveFacts) -> bool:
    """Whether the end is still that of a model that knows nothing: nine tenths of the loss of guessing, or a metric near its bottom."""
    left = loss_left(loss, view.features, loss.end)
    if left is not None:
        return left > view["guessing"]
    metric = view.curve("val_metric") or view.curve("train_metric")
    level = metric_level(metric, view.features) if metric is not None else None
    if level is None or metric is None:
        return False
    # Where the number of classes is not known, an answer that never changes is none of a model that learned.
    same = metric.n >= 6 and float(np.ptp(metric.value)) < 0.005 * abs(level.best - level.chance)
    return level.quality(metric.end) < (0.5 if same else view["quality"])


def _flat(curve: CurveFacts) -> bool:
    trace = curve.trace
    trend, start, moved = find_trend(trace.cost), abs(curve.first_cost), _gained(curve)
    return not (trend.falling and moved > max(0.01 * start, 1.5 * trace.noise.sigma)) and moved < max(0.03 * start, 3 * trace.noise.sigma)


def _moves(curve: CurveFacts) -> bool:
    """Whether the last tenth lies below the first by 3 % and three standard errors of the difference of the two medians."""
    noise = curve.trace.noise
    error = noise.sigma * min(float(np.sqrt(np.pi / max(0.1 * noise.n_eff, 1.0))), 1.0)
    return _gained(curve) > max(0.03 * abs(curve.first_cost), 3 * error)


def _gained(curve: CurveFacts) -> float:
    """How far the median of the last tenth of the points lies below that of the first."""
    k = max(1, curve.trace.n // 10)
    return median(curve.trace.cost[:k]) - median(curve.trace.cost[-k:])


def _falls_throughout(curve: CurveFacts) -> bool:
    """Whether nearly every later point is lower than every earlier one, however little that is."""
    return curve.trace.n >= 8 and find_trend(curve.trace.cost, 8).tau < -0.85


def _crawls(curve: CurveFacts, lr: CurveFacts | None, most: float) -> bool:
    """A smooth, slow descent by less than `most` of the start that is nearly straight, in the sum of the rates where they are not constant."""
    trace = curve.trace
    if trace.n < 8 or curve.start_cost <= 0:
        return False
    third = trace.n // 3
    k = max(1, trace.n // 12)
    a, b, c, d = (median(trace.cost[max(i - k, 0) : i + k + 1]) for i in (0, third, 2 * third, trace.n - 1))
    smooth = trace.noise.sigma < 0.03 * abs(d)
    first, last = 1.0, 1.0
    if lr is not None:
        rates = np.interp(trace.step, lr.step.astype(np.float64), lr.value)
        first, last = float(rates[:third].sum()), float(rates[-third:].sum())
    return smooth and a > b > c > d and (c - d) * first > 0.5 * (a - b) * last and (a - d) < most * a


def _finding(
    view: View, curve: CurveFacts, rate: float | None, *, severity: Severity, margin: float, updates: Updates | None = None
) -> Finding:
    tiny = severity is Severity.ERROR
    evidence, name, action = [], "", ""
    if rate is not None:
        scratch = view.signals.domain is Domain.REINFORCEMENT or _untrained(view, curve)
        action = raise_tiny_rate(view, scratch=scratch) if tiny else scale_lr(view, 5.0 if rate >= view["tiny"] else 10.0)
        text = f"With a learning rate of {{rate:.3g}} the {label(curve)} went from {{first:.4g}} to {{end:.4g}}."
        evidence = [say(text, (curve,), rate=rate, first=curve.first, end=curve.end)]
        name = f" ({short(rate)})"
    if updates is not None:
        # A tenth of what the usual ratio asks for: ratios differ tenfold among trainings that go well.
        action = scale_lr(view, max(5.0, float(10.0 ** np.floor(np.log10(0.1 * USUAL / updates.ratio)))))
    known = updates or measure_updates(view)
    if known is not None:
        evidence.append(say_updates(known, rate))
    return Finding(
        id="lr-too-low",
        severity=severity,
        confidence=confidence(margin, supports=int(rate is not None and rate < 1e-7), doubts=int(severity is Severity.NOTE)),
        title=f"The learning rate is too low{name}: the {label(curve)} " + ("does not move" if tiny or updates is not None else "crawls"),
        onset=Interval(int(curve.step[0]), int(curve.trace.last_step[min(1, curve.trace.n - 1)])),
        extent=Interval(int(curve.step[0]), int(curve.step[-1])),
        evidence=tuple(evidence),
        causes=(
            Cause("The learning rate was set too low, or divided by a scheduler"),
            Cause("The rate is in other units: per sample, or already divided by accumulation"),
            Cause("Weights in low precision swallow small updates"),
        ),
        first_check="Is the rate the one that was meant, in every parameter group, and are weights changing at all?",
        first_action=f"{action} and rerun otherwise unchanged.",
        fixes=("Run a learning-rate range test", "Check warm-up and decay", "Keep master weights in float32"),
        success_rule=SuccessRule(
            all=(
                predicate(
                    curve.signal.key,
                    "reach_step",
                    "<=",
                    float(curve.step[0] + 0.5 * (curve.step[-1] - curve.step[0])),
                    argument=curve.best,
                    source="half of this run's steps",
                ),
                predicate(curve.signal.key, "drop", ">", curve.drop, sd_times=4.0, source=f"drop({curve.signal.key}) of this run"),
            ),
            sentence=f"The {label(curve)} reaches {curve.best:.4g} in half of this run's steps, and improves by more than its noise beyond that.",
        ),
        phase=HYPERPARAMETERS,
        roles=("lr", curve.signal.key),
    )


def _stuck() -> Run:
    rng = np.random.default_rng(121)
    return _synth.make_run({"train/loss": 2.31 + rng.normal(0, 0.005, 30), "val/loss": np.full(30, 2.312), "lr": np.full(30, 1e-8)})


def _stuck_long() -> Run:
    rng = np.random.default_rng(122)
    return _synth.make_run({"train/loss": 0.69 + rng.normal(0, 0.02, 2000), "lr": np.full(2000, 5e-8)})


def _fine_tuning() -> Run:
    rng = np.random.default_rng(123)
    return _synth.make_run({"train/loss": _synth.decay(100, 1.4, 0.3) + rng.normal(0, 0.03, 100), "lr": np.full(100, 1e-6)})


def _preferences(end: float) -> Run:
    """Batches scatter by a third of what a preference loss gains in its first quarter."""
    rng = np.random.default_rng(129)
    return _synth.make_run({"train/loss": _synth.decay(90, 0.693, end, 8.0) + rng.normal(0, 0.05, 90), "lr": np.full(90, 3e-7)})


def _usual() -> Run:
    rng = np.random.default_rng(124)
    return _synth.make_run({"train/loss": 0.05 + rng.normal(0, 0.002, 100), "lr": np.full(100, 3e-4)})


def _crawling() -> Run:
    rng = np.random.default_rng(125)
    val = np.linspace(0.135, 0.125, 16) + rng.normal(0, 1e-5, 16)
    return _synth.make_run({"train/loss": np.linspace(0.13, 0.12, 16) + rng.normal(0, 4e-3, 16), "val/loss": val, "lr": np.full(16, 1e-6)})


def _updates(ratio: float, end: float) -> Run:
    rng = np.random.default_rng(126)
    loss = _synth.decay(100, 2.303, end) + rng.normal(0, 0.01, 100)
    made = {
        "train/loss": loss,
        "update_ratio/fc1": ratio * np.exp(rng.normal(0, 0.3, 100)),
        "val/acc": np.full(100, 0.1 if end > 2 else 0.8),
    }
    return replace(_synth.make_run(made), hparams={"num_classes": 10.0})


EXAMPLES = (
    Example("updates of a millionth of the weights, at the loss of guessing", lambda: _updates(1e-6, 2.303), fires=True),
    Example("updates of a ten thousandth, at the loss of guessing", lambda: _updates(1e-4, 2.303), fires=False),
    Example("updates of a millionth by the log, and it learns", lambda: _updates(1e-6, 0.6), fires=False),
    Example("1e-8, nothing moves", _stuck, fires=True),
    Example("5e-8 over 2,000 steps", _stuck_long, fires=True),
    Example("1e-6, and validation falls along a line", _crawling, fires=True),
    Example("1e-6, but it learns", _fine_tuning, fires=False),
    Example("3e-7, and a preference loss that falls by a quarter among noisy batches", lambda: _preferences(0.5), fires=False),
    Example("3e-7, and a preference loss that stays at ln 2", lambda: _preferences(0.693), fires=True),
    Example("usual rate, converged", _usual, fires=False),
)

DETECTOR = Detector(
    id="lr-too-low",
    title="Learning rate too low",
    summary="The learning rate is so low that nothing moves, or everything crawls.",
    severity=Severity.ERROR,
    phase=HYPERPARAMETERS,
    detect=detect,
    doc=__doc__ or "",
    needs=(("train_loss", "val_loss", "reward", "train_reward", "val_reward"),),
    wants=("lr", "update_ratio", "val_loss", "val_metric", "train_metric", "val_accuracy", "train_accuracy"),
    domains=DIRECTED | {Domain.REINFORCEMENT},
    thresholds={
        "hardly": Threshold(
            2e-5, "the usual rate of a fine-tuning; below it a fall by a hundredth is the rate's work, if nothing had been learned before"
        ),
        "tiny": Threshold(2e-6, "below any rate that trains from scratch; fine-tuning at 1e-6 moves its loss"),
        "update": Threshold(1e-5, "cs231n: about 1e-3 is healthy; rates of fine-tunings with Adam make 1e-4 and more of it"),
        "guessing": Threshold(0.9, "share of the loss of guessing that an untrained model keeps"),
        "quality": Threshold(0.15, "of the way from guessing to perfect, that an untrained model stays below"),
        "crawl": Threshold(0.2, "of its start, gained in the whole run: more is no crawl"),
        "slow": Threshold(1.5e-4, "above, a crawl has other causes"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("no-learning", "underfitting", "plateau"),
)
