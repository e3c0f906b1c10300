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
    (a fifth; a third where no rate was logged) and gradients have not shrunk, so that the weights hardly move any more; or they lie
    on a smooth line from the first quarter on (or a smoother one from 45 % on), gaining less than a tenth of what had been, while batches
    scatter ten times as much and 28 % of the loss is left; or the logged learning rate was below 2 % of its peak before 30 % of the run. A
    flat end under a learning rate that is annealed late is the schedule, not a plateau.

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
from tbdiag.detectors._flatness import (
    flat_part,
    longest_flat_part,
    share_gained,
    stands_half_way,
    stands_since_first,
    stays_where_it_was,
    stopped_early,
)
from tbdiag.detectors._standstill import annealed_late, crawls, stopped_moving
from tbdiag.detectors._words import label, say, say_left, scale_lr, schedule, unit
from tbdiag.features import CurveFacts
from tbdiag.features.levels import counts_words, loss_left, metric_level, rest_of_loss
from tbdiag.features.onsets import between, swings_about
from tbdiag.features.schedule import decayed_by
from tbdiag.model import Domain, Mark, Run
from tbdiag.stats.confidence import confidence


def detect(view: View) -> Finding | NotApplicable | None:
    """Find the flat part, then ask whether its level is good."""
    val, train = view.curve("val_loss"), view.curve("train_loss")
    curve = val if val is not None and val.n >= 8 else train
    if curve is None or train is None or curve.n < 8:
        return NotApplicable("no training loss", ("train_loss",)) if train is None else NotApplicable(f"only {train.n} points")
    stopped = (stopped_early(curve) and stopped_early(train)) or (
        curve is not train and stands_since_first(curve, train, view["since_first"])
    )
    metric = view.curve("val_metric") or view.curve("train_metric")
    crawl = None if annealed_late(view) else crawls(view, curve, train, metric)
    stopped = stopped or crawl is not None
    if (not stopped and longest_flat_part(curve, train) < view["share"]) or not (crawl or _may_be_bad(view, curve, train, metric)):
        return None
    learned = max(train.start_cost - train.end_cost, 0.0) if curve is val else 0.0
    since, share = flat_part(curve, learned)
    # Both splits must stand still; a training loss that goes on falling is overfitting or a generalisation gap.
    if stopped:
        since, share = min(since, curve.trace.within(0.0, 0.2).stop - 1), max(share, 0.8)
    if share < view["share"] or (
        curve is val and train.n >= 8 and flat_part(train)[1] < 0.5 * view["share"] and not (stopped or stopped_early(train))
    ):
        return None
    end = curve.end_cost
    only_val = curve is val and val.best_index <= max(1, val.n // 20) and share_gained(train) > 0.5
    if only_val or max(share_gained(curve), share_gained(train)) < 0.03:
        return None  # only validation stands, where it began, a generalisation gap; or nothing was ever learned
    if swings_about(curve, since, learned):
        return None  # it stands nowhere
    if curve.trace.noise.quantum > max(0.1 * abs(end), 0.02 * curve.gain):
        return NotApplicable("the loss is rounded so coarsely that it may have gone on falling")
    if curve.rise > max(0.1 * curve.gain, 0.02 * abs(curve.best)) and curve.beyond_noise(curve.rise, 4):
        return None
    reason, margins, evidence = _bad_level(view, curve, train, metric, since=since, share=share)
    if not reason and crawl is not None:
        reason, margins, evidence = "frozen", [1.5], [crawl]
    if not reason:
        return None
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


def _may_be_bad(view: View, curve: CurveFacts, train: CurveFacts, metric: CurveFacts | None) -> bool:
    """False where a metric that is good leaves none of the reasons of `_bad_level`; most healthy runs end here, at little cost."""
    level = metric_level(metric, view.features) if metric is not None and metric.n >= 2 else None
    quality = level.quality(metric.end) if level is not None and metric is not None else None
    if quality is None or quality < view["half_way"]:
        return True
    spent, last = view.curve("lr"), curve.trace.cost[-4:]
    if spent is not None and quality < 0.9 and decayed_by(spent, 0.3, 0.02):
        return True
    still = quality < 0.97 and float(np.ptp(last)) <= view["frozen"] * abs(float(last[-1]))
    return still and curve is not train and not annealed_late(view)


def _bad_level(
    view: View, curve: CurveFacts, train: CurveFacts, metric: CurveFacts | None, *, since: int, share: float
) -> tuple[str, list[float], list[Evidence]]:
    """Why the level is not good: ``level``, ``frozen`` or ``no-reference`` with margins and evidence; empty where it may be good."""
    left = loss_left(curve, view.features, curve.end)
    level = metric_level(metric, view.features) if metric is not None and metric.n >= 2 else None
    quality = level.quality(metric.end) if level is not None and metric is not None else None
    words = counts_words(view.features)
    rest = rest_of_loss(curve, view.features, curve.end)
    known = left is not None or (rest or 0) > 0.8
    if (
        metric is not None
        and quality is not None
        and quality < view["quality"]
        and rest is not None
        and rest > view["left"]
        and known
        and not words
    ):
        return (
            "level",
            [view["quality"] / max(quality, 0.05), rest / view["left"]],
            [
                say(
                    f"The {label(metric)} is {{value:.4g}}, {{quality:.0%}} of the way from guessing to perfect; {say_left(rest, 'rest')}.",
                    (metric,),
                    value=metric.end,
                    quality=quality,
                    rest=rest,
                )
            ],
        )
    if left is not None and left > 0.85 and (quality is None or quality < view["quality"]):
        return "level", [left / 0.85], [say(f"At the end {say_left(left, 'left')}.", (curve,), left=left)]
    spent = view.curve("lr")
    frozen = None if annealed_late(view) else stopped_moving(view, curve, train, since)
    # A schedule that nobody logged brings a good run to a stand as well; then much of the loss must be left.
    much = 0.2 if spent is not None or (quality is not None and quality < view["quality"]) else view["unlogged"]
    if frozen is not None and (quality is None or quality < 0.97) and (rest is None or rest > much) and curve.end_cost > 0:
        return "frozen", [2.0], [frozen]
    if spent is not None and decayed_by(spent, 0.3, 0.02) and (quality is None or quality < 0.9) and (rest is None or rest > 0.2):
        last = float(spent.value[-1])
        return (
            "frozen",
            [1.0],
            [say("The learning rate was down to {last:.3g} by then, from {peak:.3g}.", (spent,), last=last, peak=float(spent.value.max()))],
        )
    plan = schedule(view)
    if metric is not None and quality is not None and quality < view["quality"] and (plan is None or plan.end > 0.5 * plan.peak):
        stands = stays_where_it_was(metric, view["share"])
        if stands and (rest is None or rest > view["left"]) and share > 0.6:
            return "level", [view["quality"] / max(quality, 0.05)], [stands]
    kept = plan is None or (plan.end > 0.5 * plan.peak and not plan.cyclic)
    half = metric is not None and quality is not None and quality < view["half_way"] and kept and share >= view["long"]
    if half and metric is not None and rest is not None and stands_half_way(train, rest, view["left"]):
        text = f"The {label(metric)} is {{value:.4g}}, {{quality:.0%}} of the way from guessing to perfect; neither split gains, and {say_left(rest, 'rest')}."
        found = say(text, (metric,), value=metric.end, quality=quality or 0.0, rest=rest)
        return "level", [share / view["long"], rest / view["left"]], [found]
    total, train_total = share_gained(curve), share_gained(train)
    # A fine-tuning gains as little and stands as long; that the learning rate was kept up all the while tells them apart, or a gain beyond theirs.
    kept_up = plan is not None and plan.end > 0.5 * plan.peak and not plan.cyclic
    ends = (rest, rest_of_loss(train, view.features, train.end))
    unreached = (quality is None or quality < view["quality"]) and all(r is not None and r > view["left"] for r in ends)
    own_work = not words and view.signals.domain is Domain.SUPERVISED and (kept_up or (plan is None and train_total > view["tuned"]))
    if unreached and own_work and curve is not train and stands_since_first(curve, train, view["since_first"]):
        text = f"In {{n}} evaluations the {label(curve)} hardly left the level of its first ones, {{first:.4g}}, while {{rest:.0%}} of the loss that training began with remains."
        found = say(text, (curve, train), n=curve.n, first=curve.first, rest=rest or 0.0)
        return "no-reference", [(rest or 0.0) / view["left"], 1.5], [found]
    if quality is None and left is None and not words and kept_up and total < 0.1 and 0.03 < train_total < 0.3 and share > 0.6:
        return (
            "no-reference",
            [0.1 / max(total, 0.01)],
            [
                say(
                    f"In all the {label(train)} gained {{train_gain:.0%}} of its start"
                    + (f" and the {label(curve)} {{gain:.0%}}." if curve is not train else "."),
                    (train,),
                    train_gain=train_total,
                    **({"gain": total} if curve is not train else {}),
                )
            ],
        )
    return "", [], []


def _stuck() -> Run:
    rng = np.random.default_rng(21)
    n = 60
    return _synth.make_run(
        {
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


EXAMPLES = (
    Example("evaluations creep along a line while batches scatter", lambda: _crawling(2e-5), fires=True),
    Example("evaluations scatter as they creep", lambda: _crawling(0.004), fires=False),
    Example("accuracy stuck at a third", _stuck, fires=True),
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
        "unlogged": Threshold(1 / 3, "of the first loss: a schedule that nobody logged brings good runs to a stand at less"),
        "frozen": Threshold(2e-3, "evaluations equal to three digits"),
        "line": Threshold(3e-4, "of 490 healthy trainings, much loss left, the straightest scattered by 8e-4 or bent sixteenfold"),
        "line_left": Threshold(0.28, "of the first loss; a good run whose unlogged schedule came to nothing early keeps less"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("underfitting",),
)
