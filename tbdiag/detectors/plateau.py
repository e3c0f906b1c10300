"""It improved, then stood still for a large share of the budget at a level that is not good.

What it means
    The model learned something and then stopped: validation (or training) gains nothing more although the run goes on.

Why it matters
    The rest of the budget is spent for nothing, and the level reached is not what the task allows.

How it is told
    The curve gained something first, and does not swing by more than half of that. From some step on, for at least 40 % of
    the run, it improves by less than 1 % of its gain beyond noise; and one thing says that the level is not good: a bounded
    metric is less than half-way from chance to perfect while more than half of the loss of guessing is left; or, the rate being
    kept up, such a metric was exactly the same at its last eight evaluations or more, or no better than at its first; or, where
    neither split gained anything in 65 % of the run (60 % for training) under a rate that was kept up, more than half of the loss
    is left and the metric is less than three quarters of the way to perfect; or validation never left its first evaluations by
    more than 2.5 %, in nine of them or more, while more than half of the loss of both splits remains, no metric is half-way to
    perfect and the rate was kept up (or is not known, and training gained a third of its first loss, more than fine-tunings
    do); or, where nothing says what is good, validation
    had gained less than 10 % and training less than 30 % in all under a logged learning rate that was kept up; or the evaluations have become the same number to four digits although much loss is left
    (a third) and gradients have not shrunk, so that the weights hardly move any more; or they lie
    on a smooth line from the first quarter on (or a smoother one from 45 % on), gaining less than a tenth of what had been, while batches
    scatter ten times as much and 28 % of the loss is left; or the last quarter of the evaluations, four at least, is the same number to the
    last digit after evaluations that all differed; or the logged learning rate was below 2 % of its peak before 30 % of the run. A
    flat end under a learning rate that is annealed late is the schedule, not a plateau; where the metric of training is nine tenths of
    the way to perfect, nothing is left to learn.

First check
    Look at the learning rate and the gradient norm over the flat part: does the optimiser still move anything?

First action
    Resume from the beginning of the plateau with a tenth of the learning rate for a tenth of the budget; where the learning
    rate has decayed to nothing: hold it at its peak for that long instead.

Success rule
    The next run ends below this run's end by more than 3 of this run's noise standard deviations, beyond where this one began to stand still. It
    may be short: a tenth of the budget tells.

Not to be confused with
    no-learning (nothing was ever gained), a converged run at a good level, underfitting (both splits bad, flat or not), the
    stable phase of a schedule whose decay is still to come.

Limits
    A loss has no bad level by itself; without a metric, a chance level or hardly any gain nothing is said.

Sources
    ReduceLROnPlateau's definition; tuning playbook; simulation over flat and decaying curves.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    CURVES,
    SUPERVISED,
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
from tbdiag.detectors._flat_levels import find_flat
from tbdiag.detectors._standstill import annealed_late, repeats, stopped_moving
from tbdiag.detectors._words import label, say, scale_lr, schedule, unit
from tbdiag.features.onsets import between
from tbdiag.features.schedule import decayed_by
from tbdiag.model import Mark, Run
from tbdiag.stats.confidence import confidence


def detect(view: View) -> Finding | NotApplicable | None:
    """Find the flat part, then ask whether its level is good."""
    val, train = view.curve("val_loss"), view.curve("train_loss")
    curve = val if val is not None and val.n >= 8 else train
    if curve is None or train is None or curve.n < 8:
        return NotApplicable("no training loss", ("train_loss",)) if train is None else NotApplicable(f"only {train.n} points")
    metric = view.curve("val_metric") or view.curve("train_metric")
    same = repeats(curve, train)
    learned = max(train.start_cost - train.end_cost, 0.0) if curve is val else 0.0
    if same is None:
        found = find_flat(view, curve, train, metric, learned)
        if not isinstance(found, tuple):
            return found
        since, share, reason, margins, evidence = found
    else:
        since, share, reason, margins, evidence = same[0], 1 - same[0] / curve.n, "frozen", [2.0], [same[1]]
    end = curve.end_cost
    plan = schedule(view)
    lr = view.curve("lr")
    # Annealed only over the flat part's end: the run was meant to stand still there.
    decayed = plan is not None and plan.annealed
    early_decay = decayed and lr is not None and decayed_by(lr, 0.6)
    onset = between(curve.trace, max(since - max(1, curve.trace.n // 50), 0), min(since + max(1, curve.trace.n // 50), curve.trace.n - 1))
    start = curve.trace.last_step[since]
    evidence.insert(
        0,
        say(
            f"The {label(curve)} "
            + ("came from {first:.4g} to {level:.4g}" if since else "was at {level:.4g} (first {first:.4g})")
            + f" by {unit(curve)} {{since:,}} and stayed there for the last {{share:.0%}} of the run (end {{end:.4g}}).",
            (curve,) if curve is train else (curve, train),
            (Mark("event", "flat from here", int(start)), Mark("level", "end", None, curve.end)),
            first=curve.first,
            level=curve.sign * float(curve.trace.smooth[since]),
            since=int(start),
            share=share,
            end=curve.end,
        ),
    )
    still = None if reason == "frozen" or annealed_late(view) else stopped_moving(view, curve, train, since)
    evidence += [] if still is None else [still]
    constant = plan is not None and plan.constant
    frozen = (reason == "frozen" or early_decay or still is not None) and not constant
    causes = (
        Cause("The learning rate decayed too early, so that nothing moves any more", "evaluations no longer change" if frozen else ""),
        Cause(
            "The learning rate is too high for this stage: the loss bounces at its level",
            "the rate never decays" if constant else "",
        ),
        Cause("Model too small or too constrained, or features without enough signal"),
        Cause("A floor set by label noise or by a loss and output that do not match"),
    )
    action = (
        f"Hold the learning rate at its peak beyond {unit(curve)} {int(start):,} for a tenth of the budget."
        if frozen
        else f"{scale_lr(view, 0.1)} and resume from {unit(curve)} {int(start):,} for a tenth of the budget."
    )
    # The noise of this run: a short one that falls steeply has none that could be told from its slope.
    lower = curve.sign * (end - max(3 * curve.sigma, 0.05 * max(curve.gain, learned)))
    return Finding(
        id="plateau",
        severity=Severity.WARNING,
        confidence=confidence(share / view["share"], *margins, supports=int(reason == "level"), doubts=int(reason == "no-reference")),
        title=f"Plateau: the {label(curve)} stands at {curve.end:.4g} since {unit(curve)} {int(start):,} ({share:.0%} of the run)",
        onset=onset,
        extent=Interval(int(start), int(curve.step[-1])),
        evidence=tuple(evidence),
        causes=causes if frozen else causes[1:] if constant else (*causes[1:], causes[0]),
        first_check="Look at the learning rate and the gradient norm over the flat part: does the optimiser still move anything?",
        first_action=action,
        fixes=(
            "Adjust the schedule: decay later, or restart it",
            "Run the tiny overfit test to tell capacity from optimisation",
            "Increase capacity or reduce strong regularisation",
            "Improve the input representation; audit labels for systematic noise",
        ),
        success_rule=SuccessRule(
            all=(
                predicate(
                    curve.signal.key,
                    "end",
                    "<" if curve.sign > 0 else ">",
                    lower,
                    source=f"end({curve.signal.key}) of this run less 3 sd of its noise, at least a twentieth of what it gained",
                    window=(0.9, 1.0),
                ),
                predicate(curve.signal.key, "last_step", ">", float(start), source="where this run's plateau begins"),
            ),
            sentence=f"The {label(curve)} ends better than {lower:.4g}, this run's end less 3 sd of its noise (a twentieth of what was gained at least), beyond {unit(curve)} {int(start):,}.",
            # A tenth of the budget has not half of the points.
            guards=("same-signals", "nothing-non-finite"),
        ),
        phase=CURVES,
        roles=(curve.signal.key,),
    )


def _stuck(trained: float | None = None) -> Run:
    """A third of the accuracy in validation; `trained`: where the one of training ends."""
    rng = np.random.default_rng(21)
    n = 60
    more = {} if trained is None else {"train/accuracy": trained - _synth.decay(n, trained - 0.1, 0.0, 18.0)}
    return _synth.make_run(
        {
            **more,
            "train/loss": _synth.decay(n, 2.3, 1.75, 18.0) + rng.normal(0, 0.01, n),
            "val/loss": _synth.decay(n, 2.3, 1.78, 18.0) + rng.normal(0, 0.005, n),
            "val/accuracy": 0.36 - _synth.decay(n, 0.26, 0.0, 18.0) + rng.normal(0, 0.004, n),
        },
        every=50,
    )


def _decayed_to_nothing() -> Run:
    rng = np.random.default_rng(22)
    train = _synth.decay(90, 2.3, 0.85, 15.0) + rng.normal(0, 0.05, 90)
    val = _synth.decay(30, 2.2, 0.768, 15.0)
    step = np.arange(1, 31) * 15
    return _synth.make_run({"loss": _synth.make_series("loss", train, every=5), "val_loss": _synth.make_series("val_loss", val, step=step)})


def _converged_well() -> Run:
    rng = np.random.default_rng(23)
    made = {"train/loss": (2.3, 0.05, 0.005), "val/loss": (2.3, 0.09, 0.004), "val/accuracy": (0.1, 0.97, 0.002)}
    return _synth.make_run({k: _synth.decay(100, a, b, 20.0) + rng.normal(0, sd, 100) for k, (a, b, sd) in made.items()})


def _still_falling() -> Run:
    rng = np.random.default_rng(24)
    n = 400
    loss = 4.0 * (np.arange(n) + 10.0) ** -0.2
    return _synth.make_run({"train/loss": loss + rng.normal(0, 0.08, n), "val/loss": loss + rng.normal(0, 0.02, n)})


def _rate_gone() -> Run:
    rng = np.random.default_rng(25)
    n = 60
    loss = _synth.decay(n, 0.1, -0.3, 40.0)
    return _synth.make_run(
        {
            "train/loss": loss + rng.normal(0, 0.02, n),
            "val/loss": loss + rng.normal(0, 0.001, n),
            "lr": 1e-3 * np.maximum(0.5 ** np.arange(n), 1e-4),
        }
    )


def _crawling(scatter: float) -> Run:
    """A third of the accuracy is missing; evaluations creep down after the second, `scatter` apart."""
    rng = np.random.default_rng(26)
    val = np.concatenate(([0.95, 0.66], 0.65 - 0.001 * np.arange(14))) + rng.normal(0, scatter, 16)
    batches = _synth.decay(160, 1.4, 0.66, 30.0) + rng.normal(0, 0.04, 160)
    made = {"val/loss": val, "val/acc": 0.78 - _synth.decay(16, 0.2, 0.0, 30.0)}
    return _synth.make_run({"train/loss": batches, **{k: _synth.make_series(k, v, np.arange(9, 160, 10)) for k, v in made.items()}})


def _repeated(best_so_far: bool) -> Run:
    """Evaluations that are the same from the eighth of fourteen on; or the best of those so far, which repeats as it goes."""
    rng = np.random.default_rng(27)
    val = _synth.decay(14, 1.09, 0.7, 4.0) + rng.normal(0, 0.02, 14)
    val = np.minimum.accumulate(np.where(np.arange(14) % 3, val + 0.1, val)) if best_so_far else np.where(np.arange(14) < 8, val, val[7])
    batches = _synth.decay(140, 1.1, 0.7, 8.0) + rng.normal(0, 0.05, 140)
    return _synth.make_run({"train/loss": batches, "val/loss": _synth.make_series("val/loss", val, np.arange(9, 140, 10))})


EXAMPLES = (
    Example("evaluations are the same to the last digit", lambda: _repeated(False), fires=True),
    Example("the best loss so far", lambda: _repeated(True), fires=False),
    Example("evaluations creep along a line while batches scatter", lambda: _crawling(2e-5), fires=True),
    Example("evaluations scatter as they creep", lambda: _crawling(0.004), fires=False),
    Example("accuracy stuck at a third", _stuck, fires=True),
    Example("accuracy stuck at a third, that of training too", lambda: _stuck(0.4), fires=True),
    Example("the same, but training gets nearly all right", lambda: _stuck(0.97), fires=False),
    Example("evaluations stop changing with much loss left", _decayed_to_nothing, fires=True),
    Example("a log likelihood whose learning rate is gone", _rate_gone, fires=True),
    Example("flat because it is good", _converged_well, fires=False),
    Example("slow power law", _still_falling, fires=False),
)

DETECTOR = Detector(
    id="plateau",
    title="Plateau",
    summary="It improved, then stood still for a large share of the budget at a level that is not good.",
    severity=Severity.WARNING,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=("train_loss",),
    wants=("val_loss", "val_metric", "train_metric", "lr", "grad_norm"),
    domains=SUPERVISED,
    thresholds={
        "share": Threshold(0.4, "longer than any annealed end that is meant to be flat"),
        "quality": Threshold(0.5, "half-way from chance to perfect"),
        "long": Threshold(0.65, "about two thirds of the run"),
        "half_way": Threshold(0.75, "of 794 healthy trainings none stood so long at so much loss below it"),
        "left": Threshold(0.5, "share of the loss of guessing that is left"),
        "since_first": Threshold(
            0.025, "of 1,129 healthy trainings none that kept half of its loss gained less than 4.5 % after its first evaluations"
        ),
        "tuned": Threshold(0.32, "of the first loss: fine-tunings that stand after their first epoch gain 5 to 30 %"),
        "guessing": Threshold(0.85, "so much of the loss of guessing left is bad whatever the metric"),
        "gained": Threshold(0.1, "of its start, by validation, where nothing else says what is good"),
        "train_gained": Threshold(0.3, "of its start, by training, where nothing else says what is good"),
        "trained": Threshold(0.9, "of the way to perfect, by a metric of training: it has nothing left to learn"),
        "spent": Threshold(0.02, "of its peak: a learning rate that hardly moves anything any more"),
        "spent_by": Threshold(0.3, "share of the run by which the rate is spent: no schedule ends so early on purpose"),
        "much": Threshold(1 / 3, "of the first loss, left where evaluations stand still: schedules bring good runs to a stand at 0.3"),
        "frozen": Threshold(2e-3, "evaluations equal to three digits"),
        "line": Threshold(3e-4, "of 490 healthy trainings, much loss left, the straightest scattered by 8e-4 or bent sixteenfold"),
        "line_left": Threshold(0.28, "of the first loss; a good run whose unlogged schedule came to nothing early keeps less"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("underfitting",),
)
