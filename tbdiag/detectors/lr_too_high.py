"""The learning rate is so high that the model is thrown about instead of learning.

What it means
    Updates overshoot: the loss was thrown far up at the start, or stands and jumps at a level that it reached at once, with a
    rate that few optimisers bear.

Why it matters
    A lower rate usually learns at once; everything else that is wrong may be a consequence.

How it is told
    The logged or configured rate is at least 0.05 (one, for an optimiser known to be SGD; a hundredth, for one known to be
    Adam) and is never lowered, and one of these shows: less than 7 % is gained after the first tenth of the run although more
    than 60 % of the starting loss is left (or 80 % of the loss of guessing, or the first value was eight times as high); or
    the loss began more than twice as high as guessing allows (or as it ended, with three tenths of it left) and validation
    jumps by more than 2 % of its level from one evaluation to the next, or training by more than 8 %. Or the optimiser is
    known to be Adam and the rate a tenth or more, unless the loss got below a twentieth of its start. Or, at any rate: the
    logged median ratio of updates to weights is above 0.1 and the loss does not fall by half. A note where the run had learned and broke later: divergence or
    nan-inf tell that better. Or, whether a rate is known or not: within the first tenth of the run the norm of the weights
    trebles and stays there, and the metric ends less than half-way to perfect, or the loss within a tenth of guessing, or the
    loss gains nothing after the throw while validation ends a seventh above its best.

First check
    Is the rate the one that was meant; does a run with a tenth of it learn?

First action
    Lower the learning rate to a tenth, of the limit where it is above that; to a hundredth where the run ends half as high again as it began.

Success rule
    The next run ends lower than this one by more than a tenth and two standard errors of its end.

Not to be confused with
    divergence and instability, which show what happens whatever the rate; loss-mismatch.

Limits
    No limit holds for every optimiser; without a rate in the log only the symptoms are reported.

Sources
    UMLAUT (Adam above 1e-2), cs231n on update ratios, tuning playbook.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    DIRECTED,
    HYPERPARAMETERS,
    Cause,
    Detector,
    Evidence,
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
from tbdiag.detectors._words import label, learning_rate, lower_unbearable_rate, say, schedule, short
from tbdiag.features import CurveFacts
from tbdiag.features.levels import end_quality, guessing
from tbdiag.model import Role, Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import estimate_noise, median
from tbdiag.stats.oscillation import detrended
from tbdiag.stats.trend import find_trend


def detect(view: View) -> Finding | NotApplicable | None:
    """An extreme rate with a symptom, or updates as large as the weights."""
    train = view.curve("train_loss")
    if train is None:
        return NotApplicable("no training loss", ("train_loss",))
    rate = learning_rate(view)
    ratios = view.group(Role.UPDATE_RATIO)
    if rate is None and not ratios and view.curve("weight_norm") is None:
        return NotApplicable("no learning rate, update ratio or norm of the weights", ("lr",))
    if train.n < 6:
        return NotApplicable(f"only {train.n} points")
    plan = schedule(view)
    evidence: list[Evidence] = []
    margins: list[float] = []
    optimizer = str(view.signals.config.get("optimizer", "")).lower()
    limit = view["sgd"] if "sgd" in optimizer else view["adam"] if "adam" in optimizer else view["rate"]
    kept = plan is None or (plan.end > 0.5 * plan.peak and plan.peak_share < 0.2)
    if rate is not None and rate >= limit and kept:
        margins.append(rate / limit)
        evidence += _symptoms(view, train) or (_beyond_adam(train, rate) if "adam" in optimizer and rate >= view["adam_ill"] else [])
    supports = len(evidence)
    large = not evidence
    if large:
        evidence, margins = _updates(view, ratios, train)
    thrown = not evidence
    if thrown:
        evidence, margins = _throws_weights(view, train)
    if not evidence:
        return None
    if rate is not None:
        when = " in the configuration." if plan is None else " throughout." if kept else " at its peak."
        evidence.insert(0, say("The learning rate is {rate:.3g}" + when, ("lr",), rate=rate))
    named = f" ({short(rate)})" if rate is not None else ""
    # What a large update did to the loss is not known: it may stand as well as be thrown about.
    what = f"every update is {evidence[-1].numbers['ratio']:.0%} of the weights, and the {label(train)}" if large and not thrown else ""
    # The noise of an end is that of a median of many points; a tenth is more than another seed makes of it.
    margin = max(0.1 * abs(train.end), 2 * 1.25 * train.sigma / np.sqrt(train.tail_points))
    # A run that learned and then broke shows that better than any limit on the rate: divergence and nan-inf lead there.
    broke = train.bad_step.size > 0 or (train.gain > max(0.2 * abs(train.first_cost), 2 * train.sigma) and train.rise > 0.5 * train.gain)
    return Finding(
        id="lr-too-high",
        severity=Severity.NOTE if broke and not thrown else Severity.WARNING,
        confidence=confidence(*margins, supports=supports - 1, doubts=1),
        title=f"The learning rate is too high{named}: {what or f'the {label(train)} is thrown about and'} does not get below {train.best:.4g}",
        onset=Interval(int(train.step[0]), int(train.trace.last_step[min(2, train.trace.n - 1)])),
        extent=Interval(int(train.step[0]), int(train.step[-1])),
        evidence=tuple(evidence),
        causes=(
            Cause("The learning rate is one or more orders of magnitude too high for this optimiser"),
            Cause("No warm-up where the architecture needs one"),
            Cause("Inputs are not normalised, so that gradients are large"),
        ),
        first_check="Is the rate the one that was meant; does a run with a tenth of it learn?",
        # Half as high again as it began, as in divergence.
        first_action=lower_unbearable_rate(view, limit, lost=0 < 1.5 * float(train.cost[0]) < train.end_cost),
        fixes=("Run a learning-rate range test", "Add a warm-up of 1 to 5 % of the steps", "Clip gradients at 1.0", "Normalise the inputs"),
        success_rule=SuccessRule(
            all=(
                predicate("train_loss", "end", "<", train.end - margin, source="a tenth and 2 standard errors below the end of this run"),
            ),
            sentence=f"The {label(train)} ends below {train.end - margin:.4g}, clearly below the {train.end:.4g} of this run.",
        ),
        phase=HYPERPARAMETERS,
        roles=("lr", "train_loss"),
    )


def _symptoms(view: View, train: CurveFacts) -> list[Evidence]:
    """What an excessive rate does to the curves."""
    out: list[Evidence] = []
    if (end_quality(view.curve("val_metric"), view.features) or 0.0) > 0.8:
        return out
    val = view.curve("val_loss")
    chance = guessing(view.features).chance
    trace = train.trace
    early = median(trace.cost[trace.within(0.05, 0.2)]) if trace.n >= 12 else float(trace.cost[1])
    end, start = train.end_cost, float(train.cost[0])
    usual = chance if chance is not None else max(min(start, train.start_cost), 1e-12)
    # A run that learned well first may diverge later; then its rate was bearable for long.
    begins = [start, *([float(val.trace.cost[0])] if val is not None else []), *([chance] if chance else [])]
    if train.best_cost < 0.3 * min(begins):
        return out
    # A slow, steady descent is the opposite: too little moves.
    falls = _descends(train)
    stands = early - end < view["gain"] * abs(early) and not falls and not (val is not None and _descends(val))
    high = end > view["of_guessing"] * chance if chance is not None else end > view["of_start"] * start or start > 8 * early > 0
    # It must have moved at first, or be jumping: a model that never moved says nothing about its rate.
    if stands and high and end > 0 and start - early > 0.05 * abs(start):
        out.append(
            say(
                f"After the first tenth of the run the {label(train)} hardly moved: {{early:.4g}} then, {{end:.4g}} at the end.",
                (train,),
                early=early,
                end=end,
            )
        )
    restless = train.sigma / abs(end) if end else 0.0
    thrown = start > 2 * max(usual, end) if chance is not None else 2 * end < start < end / 0.3
    thrown = thrown and not (falls and restless <= view["restless"])  # what falls on calmly is not thrown about, whatever validation does
    if val is not None and val.n >= 6 and end > 0 and (thrown or stands):
        late = val.trace.cost[val.trace.n // 3 :]
        # Uncapped: single wild evaluations are the symptom.
        jump = 1.0234 * float(np.mean(np.abs(detrended(late)))) / max(abs(median(late)), 1e-12)
        if jump > view["jumps"]:
            out.append(
                say(f"From one evaluation to the next the {label(val)} jumps by {{jump:.1%}} of its level.", (val,), jump=jump),
            )
    if thrown and end > 0 and (out or restless > view["restless"]):
        out.append(
            say(
                f"The {label(train)} began at {{start:.4g}}, ended at {{end:.4g}} and scatters by {{restless:.0%}} of that from point to point.",
                (train,),
                start=start,
                end=end,
                restless=restless,
            )
        )
    return out


def _beyond_adam(train: CurveFacts, rate: float) -> list[Evidence]:
    """Whatever the curves show: of 700 labelled runs every one that Adam trained at a tenth or more was ill."""
    early = min(float(train.cost[0]), median(train.trace.cost[train.trace.within(0.05, 0.2)]) if train.trace.n >= 12 else np.inf)
    if not 0 < 0.05 * early < train.end_cost:
        return []
    text = f"Adam moves every weight by about {{rate:.2g}} a step at this rate; usual rates are 0.0001 to 0.01. The {label(train)} ends at {{end:.4g}}."
    return [say(text, (train,), rate=rate, end=train.end)]


def _descends(curve: CurveFacts) -> bool:
    """Whether a curve falls throughout, after its first tenth."""
    tail = curve.trace.cost[curve.trace.within(0.1, 1.0)]
    trend = find_trend(tail)
    return trend.falling and -trend.change > 2 * estimate_noise(tail).sigma


def _updates(view: View, ratios: tuple[CurveFacts, ...], train: CurveFacts) -> tuple[list[Evidence], list[float]]:
    """Update-to-weight ratios; some log them in powers of ten. Weights near zero have large ones in runs that learn, too."""
    if not train.signed and train.end_cost < 0.5 * train.start_cost:
        return [], []
    for curve in ratios:
        middle = median(curve.value)
        value = 10.0**middle if middle < 0 else middle
        if curve.n >= 5 and value > view["update"]:
            return [say("The median update is {ratio:.2g} of the weights.", (curve,), ratio=value)], [value / view["update"]]
    return [], []


def _throws_weights(view: View, train: CurveFacts) -> tuple[list[Evidence], list[float]]:
    """Weights that the first steps threw to a multiple of their size, where they stay, and a loss that never gets well below guessing."""
    norm, val = view.curve("weight_norm"), view.curve("val_loss")
    if norm is None or norm.n < 12 or not float(norm.value.min()) > 0 or train.signed:
        return [], []
    first, early = float(norm.value[0]), median(norm.value[norm.n // 10 : max(norm.n // 5, norm.n // 10 + 2)])
    if early < view["thrown"] * first or not 0.7 * early < norm.end < 1.5 * early:
        return [], []
    chance = guessing(view.features).chance
    quality = end_quality(view.curve("val_metric") or view.curve("train_metric"), view.features)
    # Nothing is gained after the throw, and validation had been better.
    since = median(train.trace.cost[train.trace.within(0.1, 0.3)]) if train.trace.n >= 12 else float("inf")
    fell = val is not None and since < 1.05 * train.end_cost and val.end_cost > 1.15 * float(val.trace.cost.min())
    if not (fell or (chance is not None and train.end_cost > 0.9 * chance) or (quality is not None and quality < 0.5)):
        return [], []
    if train.n < 12 or (quality is not None and quality > 0.5):
        return [], []
    text = (
        f"The first tenth of the run took the weights from a norm of {{first:.3g}} to {{early:.3g}}, where they stayed; the {label(train)} ends "
        "at {end:.4g}, from {start:.4g}."
    )
    return [say(text, (norm, train), first=first, early=early, end=train.end, start=train.first)], [early / (view["thrown"] * first)]


def _stands() -> Run:
    rng = np.random.default_rng(131)
    loss = np.concatenate([[5.8, 4.7], np.full(80, 4.5)]) + rng.normal(0, 0.05, 82)
    val = 4.52 + rng.normal(0, 0.02, 11)
    return _synth.make_run(
        {
            "train/loss": _synth.make_series("train/loss", loss, every=4),
            "val/loss": _synth.make_series("val/loss", val, every=30),
            "lr": _synth.make_series("lr", np.full(82, 0.06), every=4),
        }
    )


def _thrown() -> Run:
    rng = np.random.default_rng(132)
    loss = 5.2 + _synth.decay(80, 9.0, 0.0, 12.0) + rng.normal(0, 0.5, 80)
    val = 5.4 + _synth.decay(20, 4.0, 0.0, 12.0) + rng.normal(0, 0.4, 20)
    return _synth.make_run(
        {
            "train/loss": _synth.make_series("train/loss", loss),
            "val/loss": _synth.make_series("val/loss", val, every=4),
            "lr": _synth.make_series("lr", np.full(80, 0.5)),
        }
    )


def _sgd() -> Run:
    rng = np.random.default_rng(133)
    n = 100
    lr = np.full(n, 0.1)
    return _synth.make_run(
        {
            "train/loss": _synth.decay(n, 2.3, 0.05, 6.0) + rng.normal(0, 0.02, n),
            "val/loss": _synth.decay(n, 2.3, 0.1, 6.0) + rng.normal(0, 0.01, n),
            "lr": lr,
        }
    )


def _adam() -> Run:
    rng = np.random.default_rng(134)
    return _synth.make_run({"train/loss": 0.6 + rng.normal(0, 0.02, 100), "lr": np.full(100, 1e-3)})


def _weights(end: float) -> Run:
    rng = np.random.default_rng(135)
    n = 60
    norm = 120 - _synth.decay(n, 100, 0.0, 40.0)
    loss = np.maximum(_synth.decay(n, 4.0, end, 30.0), 0.9 * end) + rng.normal(0, 0.02, n)
    loss[4:10] = min(1.4, float(loss[4]))
    return _synth.make_run({"train/loss": loss, "weight_norm": norm, "val/loss": loss + 0.02})


def _large_updates(end: float) -> Run:
    rng = np.random.default_rng(136)
    loss = _synth.decay(80, 2.3, end) + rng.normal(0, 0.02, 80)
    return _synth.make_run({"train/loss": loss, "update_to_weight_ratio": 0.4 * np.exp(rng.normal(0, 0.1, 80))})


EXAMPLES = (
    Example("updates as large as four tenths of the weights, and nothing is learned", lambda: _large_updates(2.2), fires=True),
    Example("ratios of weights near zero, and it learns", lambda: _large_updates(0.3), fires=False),
    Example("the weights are thrown to five times their norm, the loss back to guessing", lambda: _weights(1.95), fires=True),
    Example("the weights grow as much and the model learns", lambda: _weights(0.3), fires=False),
    Example("stands at once at a high level", _stands, fires=True),
    Example("thrown up at the start, then jumps about", _thrown, fires=True),
    Example("SGD at 0.1 that learns", _sgd, fires=False),
    Example("Adam at 1e-3", _adam, fires=False),
)

DETECTOR = Detector(
    id="lr-too-high",
    title="Learning rate too high",
    summary="The learning rate is so high that the model is thrown about instead of learning.",
    severity=Severity.WARNING,
    phase=HYPERPARAMETERS,
    detect=detect,
    doc=__doc__ or "",
    needs=("train_loss",),
    wants=("lr", "update_ratio", "val_loss", "val_metric", "train_metric", "weight_norm"),
    domains=DIRECTED,
    thresholds={
        "rate": Threshold(0.05, "Adam above 0.01 and most other optimisers above 0.05 do not train"),
        "adam": Threshold(0.01, "UMLAUT: upper limit of the rate for Adam"),
        "adam_ill": Threshold(0.1, "whatever the curves show: of 700 labelled runs every one that Adam trained at that was ill"),
        "of_guessing": Threshold(0.8, "share of the loss of guessing that is left where the loss hardly moved after the first tenth"),
        "of_start": Threshold(0.6, "share of the first loss, where the loss of guessing is not known"),
        "sgd": Threshold(1.0, "SGD with normalisation trains at 0.1 and more"),
        "gain": Threshold(0.07, "less than 7 % gained after the first tenth"),
        "jumps": Threshold(0.02, "evaluations on a fixed set normally scatter by 1 to 2 %"),
        "restless": Threshold(0.08, "minibatch noise of a loss that is not small is 1 to 5 % of it"),
        "thrown": Threshold(
            3.0, "times the norm of the first point: of 138 healthy trainings none came beyond 2.5 within a tenth of its steps"
        ),
        "update": Threshold(0.1, "cs231n: about 1e-3 is healthy; a tenth of the weights per step is not"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("divergence", "instability", "no-learning"),
)
