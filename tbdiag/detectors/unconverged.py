"""It was still clearly improving when the run ended.

What it means
    The budget ended before the learning did: the last quarter of the run still brought a good share of all that was gained.

Why it matters
    Going on is the cheapest improvement there is, and any comparison with other runs is unfair until then.

How it is told
    The last quarter of the run's steps brought more than 7 % of the whole gain (an exponential decay of 2.4 time constants
    brings that much; a straight line a quarter; 10 % where the learning rate changes), the trend there is significant,
    validation has not risen since its best, and the learning rate has not been annealed below a tenth of its peak. Or every
    loss fell by more than 15 % of its level in the last quarter, at 70 % or more of the pace of the quarter before (or, above
    15 % of its start, as steadily in logarithms in that quarter's second half as in its first), however little that is of a
    high start; or a curve stood for most of the run and left that level only in its last three points. With fewer than ten
    points training and validation must both have made more than 11 % of their gain there (8 % under a constant rate, falling
    at every one). A metric within 5 % of perfect is good enough to stay silent, and within 20 % where the last quarter brought
    less than 5 % of the level (a fine-tuning that had little to gain). A loss that stands in its last eighth or after one late drop, or had climbed by three fifths of what the
    last quarter brought, follows a schedule (the former two unless the rate is known to be constant; the last unless a metric less than
    0.7 of the way to perfect made 22 % of its gain there without having swung so). Without any loss the metrics are read, with 11 %
    for 7 % and 15 % for 5 %. Of a perplexity the logarithm is read. Of agents 13 % count, unless the last evaluation's standard deviation,
    which was not 0 before, is 0 and its return is the last and best of training: that is the most there is.

First check
    Was the run stopped by a limit of time or epochs, or killed?

First action
    Resume with the schedule stretched, for as long as a power law through the curve needs until its last quarter brings half of what is
    called unconverged (half as many steps again, up to three times as many). A curve that is nearly straight tells no such end: its
    steps are too small, and a rate raised fivefold costs no budget. Where the configuration plans more epochs than the log holds, the
    plan comes first: resume towards its end.

Success rule
    The next run ends better than this one by more than 2 noise standard deviations, and unconverged is not found again.

Not to be confused with
    lr-too-low (it could be faster), underfitting (flat at a bad level), a run that is still being written.

Limits
    A curve that only begins to fall at the end looks the same whether or not it would go on.

Sources
    Shares of decay curves (derivation above); simulation of decaying families; Domhan et al. 2015 on extrapolation.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    CURVES,
    DIRECTED,
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
from tbdiag.detectors._descent import drops_and_stands, falls_on, last_quarter, near, stands_at_end
from tbdiag.detectors._going_on import go_on, go_to_end, say_end, say_how_long, why_short
from tbdiag.detectors._late import cannot_tell, drowns, just_begins, late_share, swings, tops_out
from tbdiag.detectors._words import label, say, say_planned, schedule
from tbdiag.features import CurveFacts
from tbdiag.features.levels import counts_words, end_quality, rest_of_loss
from tbdiag.features.planned import find_planned
from tbdiag.features.schedule import Schedule
from tbdiag.model import Domain, Role, Run
from tbdiag.stats.confidence import confidence


def detect(view: View) -> Finding | NotApplicable | None:
    """Share of the gain that the last quarter brought."""
    reinforcement = view.signals.domain is Domain.REINFORCEMENT
    keys = ("reward", "train_reward", "val_reward") if reinforcement else ("val_loss", "train_loss")
    curves = [c for c in map(view.curve, keys) if c is not None and c.n >= 4]
    if not curves and not reinforcement:
        curves = [c for c in map(view.curve, ("val_metric", "train_metric")) if c is not None and c.n >= 4]
    if not curves:
        return NotApplicable("no loss or reward with four points", (keys[0],))
    curve = curves[0]
    plan = schedule(view)
    if plan is not None and plan.annealed and not reinforcement:
        return None
    if reinforcement and tops_out(curve, view.curve("val_reward"), view.curve("reward_std")):
        return None
    if not reinforcement and float(curve.value.min()) > 0 and curve.start_cost - curve.end_cost < 0.03 * curve.start_cost:
        return None  # it has not begun to learn
    by_metric = curve.signal.role is Role.METRIC
    if any(c.bad_step.size and c.bad_step[-1] >= c.step[-1] for c in curves) or (not reinforcement and _left(curves[-1])):
        return None  # it ended in NaN, or training has left its best
    metric = view.curve("val_metric") or view.curve("train_metric")
    quality = end_quality(metric, view.features)
    share, sure = late_share(curve, 0.8 if reinforcement else 0.9)
    if not reinforcement and _stands(next((c for c in curves if c.n >= 24), curve), plan):
        return None
    scheduled = plan is not None and not plan.constant  # what a step down or a restart brings at the end is no slow decay
    limit = _limit(view, curves, plan)
    if not reinforcement and swings(curve):
        if (
            metric is None
            or quality is None
            or quality > 0.7
            or curve is metric
            or not (share >= limit and sure and _climbs_on(view, metric))
        ):
            return None
        curve, (share, sure) = metric, late_share(metric)
    if (share < limit or not sure) and metric is not None and quality is not None and quality < 0.7 and curve.rise <= 4 * curve.sigma:
        # The metric may still climb where the loss has slowed down.
        of_metric, certain = late_share(metric)
        if of_metric > max(limit, view["few_points_share"]) and certain and metric.n >= 4:
            curve, share, sure = metric, of_metric, certain
    if not reinforcement and not scheduled and just_begins(curve):
        others: list[tuple[float, bool]] = []
    elif share < limit or not sure:
        if reinforcement or scheduled or curve is not view.curve("val_loss") or not all(_keeps_pace(view, c) for c in curves):
            return None
        share, limit, others = late_share(curve)[0], 0.0, []
    else:
        found = _ask_others(view, curve, [] if reinforcement or curve is metric else curves[1:], limit)
        if found is None:
            return None
        others = found
    if quality is not None and quality > (0.85 if by_metric else 0.95):
        return None
    if curve.signal.role is Role.LOSS and float(curve.value.min()) >= 0 and curve.end < 0.02 * curve.first:
        return None
    start, stop = last_quarter(curve)
    little = curve.signal.role is Role.LOSS and not curve.signed and start - stop < view["matters"] * stop
    if little and quality is not None and quality > view["good"]:
        return None  # a small share of what a good start left to gain
    if little and start - stop < 0.005 * stop and share < 1.5 * limit and _gained_little(curves):
        return None  # a fine-tuned model's last per cent; the first evaluation came when most was learned
    unfinished = plan is not None and not plan.constant and not plan.annealed
    evidence = [
        say(
            f"The last quarter of the run brought the {label(curve)} from {{start:.4g}} to {{stop:.4g}}: {{share:.0%}} of all it gained.",
            (curve,),
            start=start,
            stop=stop,
            share=share,
        )
    ]
    ahead = go_on(curve)
    if ahead is not None and not unfinished:
        evidence.append(
            say(
                "A power law through its last two thirds leads from {stop:.4g} to {ahead:.4g} after half as many steps again.",
                (curve,),
                stop=stop,
                ahead=ahead,
            )
        )
    if quality is not None and metric is not None and curve is not metric:
        evidence.append(say(f"The {label(metric)} is {{value:.4g}} at the end.", (metric,), value=metric.end))
    planned = find_planned(view.signals) if not reinforcement else None
    cut = planned is not None and planned.limit is None
    if planned is not None:
        evidence.append(say_planned(planned, curve.name))
    last = int(curve.step[-1])
    span = last - int(curve.step[0])
    return Finding(
        id="unconverged",
        severity=Severity.WARNING,
        confidence=confidence(share / limit if limit else 1.0, supports=len([s for s, _ in others if s > limit]), doubts=int(curve.n < 6)),
        title=f"Unconverged: the {label(curve)} was still improving at the end ({share:.0%} of its gain in the last quarter)",
        onset=Interval(int(curve.step[0] + 0.75 * span), last),
        extent=Interval(int(curve.step[0] + 0.75 * span), last),
        evidence=tuple(evidence),
        causes=(
            Cause("The budget of steps was too small", "the schedule was not finished" if unfinished else why_short(planned)),
            Cause("The learning rate is too low"),
            Cause(
                "The run was stopped or killed", f"the configuration plans {planned.epochs:g} epochs" if planned is not None and cut else ""
            ),
        ),
        first_check="Was the run stopped by a limit of time or epochs, or killed?",
        first_action=say_how_long(view, curve, share, limit) if planned is None else go_to_end(planned, curve),
        fixes=(
            "Train longer and confirm that it still improves",
            "Raise the learning rate 2 to 5 times",
            "Adjust the schedule: later decay",
        ),
        success_rule=SuccessRule(
            all=(
                predicate(
                    curve.signal.key,
                    "end",
                    "<" if curve.sign > 0 else ">",
                    curve.end,
                    sd_times=-2.0 * curve.sign,
                    source=f"end({curve.signal.key}) of this run",
                ),
            ),
            sentence=f"The {label(curve)} ends better than {curve.end:.4g}{say_end(curve)} by more than 2 sd of its noise.",
        ),
        phase=CURVES,
        roles=(curve.signal.key,),
    )


def _climbs_on(view: View, metric: CurveFacts) -> bool:
    """Whether a metric brought nearly as much in the last quarter as a straight line, and had never gone back by much of that."""
    share, sure = late_share(metric)
    return metric.n >= 10 and sure and share > view["metric_climbs"] and not swings(metric)


def _limit(view: View, curves: list[CurveFacts], plan: Schedule | None) -> float:
    """Share of the gain that the last quarter must have brought, by the kind of the curve, its points, the schedule, and how much is left."""
    if view.signals.domain is Domain.REINFORCEMENT:
        return view["reward_share"]
    curve = curves[0]
    dense = curve.n >= 10 and curve.signal.role is not Role.METRIC
    limit = view["scheduled_share" if plan is not None and not plan.constant else "share"] if dense else view["few_points_share"]
    if 6 <= curve.n < 10 and plan is not None and plan.constant and bool(np.all(np.diff(curve.trace.cost) < 0)):
        limit *= view["constant_rate"]  # no schedule brings it down at the end
    elif curve.n < 10 and len(curves) > 1 and curves[1].n >= 20 and late_share(curves[1])[0] >= view["share"] and late_share(curves[1])[1]:
        limit *= view["agreed"]  # a dense training loss says the same
    rest = rest_of_loss(curve, view.features, curve.end)
    if counts_words(view.features) and rest is not None and rest > view["words_left"]:
        # So much of the loss of guessing is left only at the very beginning of training on text.
        limit *= view["words_begun"] if rest > view["words_hardly"] else view["words"]
    return limit


def _ask_others(view: View, curve: CurveFacts, others: list[CurveFacts], limit: float) -> list[tuple[float, bool]] | None:
    """Late shares of the other curves that can tell, or None where one of them gained too little late."""
    # A validation loss that fell from each evaluation to the next says enough beside a training loss that drowns in its noise.
    if curve.n >= 6 and bool(np.all(np.diff(curve.trace.cost) < 0)):
        others = [c for c in others if not (drowns(c) or (curve.n >= 10 and cannot_tell(c, limit)))]
    # A training loss that began far above the first evaluation was thrown up by its first step, and gained little of that by learning.
    top = 3 * curve.first_cost if curve is view.curve("val_loss") and curve.first_cost > 0 else float("inf")
    shares = [late_share(c, top=top if c is view.curve("train_loss") else float("inf")) for c in others]
    few = view["share"] if len(others) == 1 and others[0].n >= 20 else limit
    return None if any(s < (0.5 * limit if curve.n >= 10 else few) for s, _ in shares) else shares


def _gained_little(curves: list[CurveFacts]) -> bool:
    """Whether no loss gained more than a third of its start: a model that was good before, or data that allow little."""
    return all(c.signal.role is Role.LOSS and c.start_cost - c.end_cost < 0.34 * c.start_cost for c in curves)


def _left(train: CurveFacts) -> bool:
    """Whether the curve ended clearly above its best."""
    return train.rise > max(6 * train.sigma, 0.3 * max(train.gain, 0.0))


def _keeps_pace(view: View, curve: CurveFacts) -> bool:
    """Whether a positive loss falls in logarithms as fast in its last quarter as in the one before, by a good part of its level.

    Against a first value that is soon left behind the last quarter brings little, however steeply the loss still falls.
    """
    trace = curve.trace
    if curve.signed or curve.signal.role is not Role.LOSS or trace.n < 6 or float(trace.cost[-1]) <= 0:
        return False
    step = (trace.step - trace.step[0]) / max(float(trace.step[-1] - trace.step[0]), 1.0)
    half, quarter, end = (near(step, trace.cost, at) for at in (0.5, 0.75, 1.0))
    late, before = quarter - end, half - quarter
    # Of few points the noise is hardly known; six in a row that fall in every interval are no luck (one in 720).
    sure = trace.n < 10 or (trace.n >= 12 and bool(np.all(np.diff(trace.cost[trace.n // 2 :]) < 0)))
    noise, eighth = 0.0 if sure else trace.noise.sigma * np.sqrt(2 / max(1, trace.n // 16)), near(step, trace.cost, 0.875)
    steady = late > view["pace"] * before > 0 or (
        trace.n >= 10
        and end > 0.15 * float(trace.cost[0])
        and quarter > eighth > end
        and 1.5 * np.log(quarter / eighth) > np.log(eighth / end) > view["pace"] * np.log(quarter / eighth)
    )
    return bool(steady and late > view["of_level"] * quarter and late > 4 * noise and falls_on(trace.cost))


def _stands(curve: CurveFacts, plan: Schedule | None) -> bool:
    """Whether a loss came down by a stair of rates that nobody logged; a rate that is known to be constant makes none."""
    if curve.signal.role is not Role.LOSS or curve.trace.n < 24 or (plan is not None and plan.constant):
        return False
    start, stop = last_quarter(curve)
    gained = curve.sign * (start - stop)
    return stands_at_end(curve.trace.cost, gained) or drops_and_stands(curve.trace.cost, gained, curve.sigma)


def _cut_short() -> Run:
    rng = np.random.default_rng(41)
    x = np.linspace(0, 1, 40)
    loss = 2.3 - 1.2 * x + 0.1 * x**2
    return _synth.make_run({"train/loss": loss + rng.normal(0, 0.02, 40), "val/loss": loss + 0.02 + rng.normal(0, 0.01, 40)}, every=25)


def _nine_points() -> Run:
    return _synth.make_run({"train/loss": [11.0, 10.6, 10.1, 9.7, 9.2, 8.7, 8.2, 7.7, 7.2]})


def _converged() -> Run:
    rng = np.random.default_rng(42)
    return _synth.make_run(
        {
            "train/loss": _synth.decay(80, 2.3, 0.3, 5.0) + rng.normal(0, 0.01, 80),
            "val/loss": _synth.decay(80, 2.3, 0.4, 5.0) + rng.normal(0, 0.01, 80),
        }
    )


def _annealed() -> Run:
    rng = np.random.default_rng(43)
    n = 100
    x = np.linspace(0, 1, n)
    loss = 2.3 - 1.2 * x
    return _synth.make_run(
        {
            "train/loss": loss + rng.normal(0, 0.02, n),
            "val/loss": loss + rng.normal(0, 0.02, n),
            "lr": 1e-3 * 0.5 * (1 + np.cos(np.pi * x)) + 1e-6,
        }
    )


EXAMPLES = (
    Example("nearly straight descent", _cut_short, fires=True),
    Example("nine points", _nine_points, fires=True),
    Example("exponential decay, five time constants", _converged, fires=False),
    Example("the schedule has ended", _annealed, fires=False),
)

DETECTOR = Detector(
    id="unconverged",
    title="Unconverged",
    summary="It was still clearly improving when the run ended.",
    severity=Severity.WARNING,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=(("train_loss", "val_loss", "val_metric", "train_metric", "reward", "train_reward", "val_reward"),),
    wants=("val_metric", "train_metric", "lr", "reward_std"),
    domains=DIRECTED | {Domain.REINFORCEMENT},
    thresholds={
        "share": Threshold(
            0.07, "an exponential decay makes that much in 2.4 time constants; of 61 healthy trainings from scratch none was above 0.044"
        ),
        "scheduled_share": Threshold(0.10, "where the learning rate changes: an exponential decay of two time constants"),
        "few_points_share": Threshold(
            0.11,
            "an exponential decay of four to nine points and 1.8 time constants makes that much; it alarmed on none of 794 healthy trainings",
        ),
        "metric_climbs": Threshold(0.22, "beside a loss that swings: twice the share of few points; a straight line brings 0.25"),
        "constant_rate": Threshold(0.7, "of that share, where a rate is known to be constant: no schedule brings the loss down at the end"),
        "agreed": Threshold(0.85, "of that share, where a dense training loss says the same"),
        "words_left": Threshold(0.62, "share of the loss of guessing that text keeps only at the very beginning of training"),
        "words": Threshold(0.4, "of the usual share, then"),
        "words_hardly": Threshold(0.75, "share of the loss of guessing that text keeps where training has hardly begun"),
        "words_begun": Threshold(0.25, "of the usual share, then"),
        "pace": Threshold(0.7, "an exponential decay of three time constants over the run keeps up 47 % from quarter to quarter"),
        "of_level": Threshold(0.15, "half as many steps again would bring a quarter of the loss"),
        "matters": Threshold(0.05, "of a level that the metric calls good: half as many steps again would bring less than that"),
        "good": Threshold(0.8, "share of the way from guessing to perfect"),
        "reward_share": Threshold(0.13, "half of a straight line's quarter: returns are noisy and rise in steps"),
    },
    examples=EXAMPLES,
)
