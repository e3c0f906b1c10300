"""Training keeps improving while validation worsens after its best.

What it means
    From some step on the model learns what holds only for the training data. The validation loss has a minimum, then rises,
    while the training loss goes on falling.

Why it matters
    Every step after the minimum makes the model worse where it counts, and the last checkpoint is not the best one.

How it is told
    The validation loss ends more than 4 noise standard deviations (corrected for autocorrelation) above its smoothed best and by
    more than 2 % of its range, the best lies in the first 85 % of the run, and the training loss after that step is still
    below its value there. With fewer than ten points noise cannot be estimated; then validation must end at least 10 % above its
    best after rising in the last two intervals or more, while training falls over the same steps.

First check
    Verify that no sample, user, scene or time window lies in both splits, and that preprocessing is the same.

First action
    Rerun unchanged except for stronger regularisation: weight decay times 5 (dropout 0.2 where there was none).

Success rule
    The next run's best validation loss is below this run's best by more than its noise, and its end stays within 4 noise standard deviations of its best.

Not to be confused with
    over-confidence (the loss rises but the metric does not fall), divergence (training rises too), generalization-gap (validation
    never got better), sudden-shift (validation jumps in one step).

Limits
    Needs a validation loss. Double descent and grokking look like overfitting until they end.

Sources
    Prechelt, "Early stopping - but when?" (generalisation loss); simulation of the rise test: false alarms <= 2 % at 4 sigma for
    n = 10..300 and autocorrelation 0..0.8, far lower together with the other conditions.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    CURVES,
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
from tbdiag.model import Mark


def detect(view: View) -> Finding | NotApplicable | None:
    """Compare the validation loss's end with its best, and the training loss after that step."""
    val, train = view.curve("val_loss"), view.curve("train_loss")
    if val is None or train is None:
        return NotApplicable("no validation or training loss", ("val_loss", "train_loss"))
    if val.n < 4:
        return NotApplicable(f"only {val.n} validation points")
    rise = val.rise
    after = train.after(val.best_step)
    later = train.cost[after]
    if later.size < 2 or val.best_index >= val.n - 2:
        return None
    train_then = float(np.median(train.cost[max(after.start - 3, 0) : after.start])) if after.start else train.first_cost
    train_falls = train.end_cost < train_then - (2 * train.sigma if train.n >= 10 else 0.0)
    share = (val.best_step - val.step[0]) / max(int(val.step[-1] - val.step[0]), 1)
    if val.n >= 10:
        enough = rise > view["sigmas"] * val.sigma and rise > view["range_share"] * (val.first_cost - val.best_cost)
    else:
        steps_up = np.diff(val.cost[val.best_index :])
        enough = rise > view["few_points_rise"] * abs(val.best_cost) and steps_up.size >= 2 and bool(np.all(steps_up > 0))
    if not (enough and train_falls and share < view["latest_best"]):
        return None
    relative = rise / abs(val.best_cost) if val.best_cost else float("inf")
    confidence = float(np.clip(0.6 + 0.3 * min(relative, 1.0), 0.0, 0.95))
    onset_end = int(val.step[min(val.best_index + max(2, val.n // 10), val.n - 1)])
    return Finding(
        id="overfitting",
        severity=Severity.WARNING,
        confidence=confidence,
        title=f"Overfitting: the validation loss rises from {val.best:.4g} to {val.end:.4g} after step {val.best_step:,} while training improves",
        onset=Interval(val.best_step, onset_end),
        extent=Interval(val.best_step, int(val.step[-1])),
        evidence=(
            Evidence(
                f"The validation loss was best at step {val.best_step:,} with {val.best:.4g} and ended at {val.end:.4g}.",
                {"best_step": val.best_step, "best": val.best, "end": val.end},
                (val.name, train.name),
                (Mark("best", "best validation", val.best_step, val.best),),
            ),
        ),
        causes=(
            Cause("Too many epochs or too much capacity for the amount of data"),
            Cause("Training and validation data are distributed or preprocessed differently"),
            Cause("Label noise that is memorised"),
        ),
        first_check="Verify that no sample, user, scene or time window lies in both splits, and that preprocessing is the same.",
        first_action="Rerun unchanged except for stronger regularisation: weight decay times 5 (dropout 0.2 where there was none).",
        fixes=(
            "Verify split integrity and align preprocessing",
            "Reduce capacity or increase regularisation",
            "Increase effective data: more data, better augmentation",
            "Stop early at the best validation loss",
        ),
        success_rule=SuccessRule(
            all=(
                predicate("val_loss", "best", "<", val.best, sd_times=-1.0, source="best(val_loss) of this run"),
                predicate("val_loss", "end", "<=", 0.0, minus="best", sd_times=4.0),
            ),
            sentence=f"The best validation loss is below {val.best:.4g} by more than its noise, and the end stays within 4 sd of the best.",
        ),
        phase=CURVES,
        roles=("val_loss", "train_loss"),
    )


def _overfit() -> object:
    rng = np.random.default_rng(7)
    x = np.linspace(0, 1, 60)
    val = _synth.decay(60, 2.3, 0.6, 12.0) + 0.9 * np.clip(x - 0.3, 0, None) + rng.normal(0, 0.01, 60)
    return _synth.make_run({"loss/train": _synth.decay(60, 2.3, 0.05) + rng.normal(0, 0.01, 60), "loss/val": val}, every=100)


def _healthy() -> object:
    rng = np.random.default_rng(8)
    return _synth.make_run(
        {
            "loss/train": _synth.decay(60, 2.3, 0.3) + rng.normal(0, 0.02, 60),
            "loss/val": _synth.decay(60, 2.3, 0.4) + rng.normal(0, 0.02, 60),
        },
        every=100,
    )


EXAMPLES = (
    Example("validation rises after a third of the run", _overfit, fires=True, onset=(1200, 2800)),
    Example("both improve to the end", _healthy, fires=False),
)

DETECTOR = Detector(
    id="overfitting",
    title="Overfitting",
    summary="Training keeps improving while validation worsens after its best.",
    severity=Severity.WARNING,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=("train_loss", "val_loss"),
    wants=("val_metric",),
    thresholds={
        "sigmas": Threshold(4.0, "rise test, false alarms <= 2 % on flat curves"),
        "range_share": Threshold(0.02, "smaller rises do not matter"),
        "few_points_rise": Threshold(0.10, "generalisation loss of 10 % where noise cannot be estimated"),
        "latest_best": Threshold(0.85, "a later best is the end of the run"),
    },
    examples=EXAMPLES,
    explains=("generalization-gap", "over-confidence"),
)
