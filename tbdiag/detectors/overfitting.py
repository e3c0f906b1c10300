"""Training keeps improving while validation worsens after its best.

What it means
    From some step on the model learns what holds only for the training data. The validation loss has a minimum, then rises,
    while the training loss goes on falling.

Why it matters
    Every step after the minimum makes the model worse where it counts, and the last checkpoint is not the best one.

How it is told
    The validation loss ends more than 4 noise standard deviations (corrected for autocorrelation) above its smoothed best
    and by more than 5 % of its best (or 7 % of its range), the best lies in the first 85 % of the run, and the training
    loss does not rise over the same steps (it falls where its trend falls by a sixth, too). A rise of more than 10 % which goes on in every block (Kendall's test, p < 0.02)
    needs 2 sigmas only; one that a curve falling throughout does not explain (isotonic regression with and without a turn)
    needs none, while training falls. A rise that is one single step, twice any other, is sudden-shift. With fewer than ten points noise
    cannot be estimated; then validation must end at least 10 % above its best, and by 15 % of what it had gained, after
    rising in at least two successive intervals to the end, while training falls. Without a validation loss the validation
    metric is read the same way, its fall measured against its range.

First check
    Verify that no sample, user, scene or time window lies in both splits, and that preprocessing is the same.

First action
    Rerun with early stopping, its patience a twentieth of the evaluations (at least three), less where validation rises by more than 5 % and
    4 noise standard deviations within these. It is the one change that is sure to end the
    damage, and costs less than this run did. Whether regularisation lowers the best itself is the next question, and the next rung.

Success rule
    The next run ends no more than 4 noise standard deviations and 5 % (the size below which nothing is called overfitting) above its
    best, and its best is no worse than this run's by more than noise. The run may be shorter than this one, but not shorter than half of what
    this run needed to its best.

Not to be confused with
    over-confidence (the loss rises but the metric does not fall), divergence (training rises too), generalization-gap (validation
    never got better), sudden-shift (validation jumps in one step).

Limits
    Double descent and grokking look like overfitting until they end. A validation loss that rises while the metric still
    improves is reported with less confidence.

Sources
    Prechelt, "Early stopping - but when?" (generalisation loss, strips). The rise test alone, simulated on flat curves of 10 to 300 points:
    false alarms at most 1 % for white noise, 2 % at autocorrelation 0.5 and 5 % at 0.8; together with the other conditions see
    docs/false-alarms.md.
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
from tbdiag.detectors._descent import goes_on_falling
from tbdiag.detectors._several import other_sets
from tbdiag.detectors._words import label, say, short, stop_early, unit
from tbdiag.features import CurveFacts
from tbdiag.features.levels import loss_left, stays_at_guessing
from tbdiag.features.onsets import rise_onset
from tbdiag.features.pairs import Pair, pair_up
from tbdiag.model import Mark, Role, Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.monotone import find_turn
from tbdiag.stats.noise import estimate_noise, median
from tbdiag.stats.rise import Rise, measure_rise
from tbdiag.stats.spikes import largest_climb
from tbdiag.stats.trend import find_trend


def detect(view: View) -> Finding | NotApplicable | None:
    """Compare the end of validation with its best, and training over the same steps."""
    by_loss = view.curve("val_loss") is not None and view.curve("train_loss") is not None
    val = view.curve("val_loss") if by_loss else view.curve("val_metric")
    train = view.curve("train_loss") if by_loss else (view.curve("train_metric") or view.curve("train_loss"))
    if val is None or train is None:
        return NotApplicable("no validation or no training curve", ("val_loss", "train_loss"))
    if val.n < 4:
        return NotApplicable(f"only {val.n} validation points")
    rise = measure_rise(val.trace.cost, 0.0)
    if val.n >= 10 and _is_small(view, val, rise, by_loss):
        return None
    rise = measure_rise(val.trace.cost, val.trace.noise.sigma)
    strength = _strength(view, val, rise, by_loss)
    if strength < 1 or _jumped(val, rise) or (by_loss and stays_at_guessing(val, view.features)):
        return None
    pair = pair_up(train, val)
    then, now, noise = _training(pair, rise.best_index)
    # Five per cent up is up, however noisy: then both get worse, and that is no overfitting.
    if now > then + min(2 * noise, 0.05 * abs(then)) or (val.n < 10 and now >= then):
        return None
    falls = now < then - 2 * noise or goes_on_falling(pair.train_at[rise.best_index :])
    learned = train.start_cost - min(then, now)
    if not falls and strength < 2:
        return None  # a training loss that only stays where it is needs a plainer rise
    if not falls and (learned < 3 * train.sigma or learned < 0.05 * abs(train.start_cost)):
        return None  # training never moved: there is nothing to overfit with
    metric = view.curve("val_metric") if by_loss else None
    worse, better = _metric_change(metric)
    best_step = int(val.trace.last_step[rise.best_index])
    from_start = _from_start(view, val, rise)
    onset = rise_onset(val)
    name = label(val)
    smoothed, end = val.sign * rise.best, val.sign * rise.end
    # Told is the point that a checkpoint was saved at, as the report's best checkpoint names it; smoothing only decides.
    lowest = int(np.argmin(val.cost))
    told, best = int(val.step[lowest]), float(val.value[lowest])
    exact = bool(np.isclose(best, smoothed))
    of_this = "" if exact else " (this run's, smoothed)"
    evidence = [
        say(
            f"The {name} was best at {unit(val)} {{best_step:,}} with {{best:.4g}} and ended at {{end:.4g}}, "
            + ("worse by {rise:.3g}" if exact else "smoothed worse by {rise:.3g}")
            + (" ({sigmas:.3g} noise standard deviations)." if rise.sigmas else "."),
            (val,),
            (Mark("best", "best validation", told, best), Mark("level", "end", None, end)),
            best_step=told,
            best=best,
            end=end,
            rise=rise.amount,
            **({"sigmas": rise.sigmas} if rise.sigmas else {}),
        ),
        say(
            f"Over the same {unit(val)}s the {label(train)} {'improved' if falls else 'stayed'} from {{then:.4g}} to {{now:.4g}}.",
            (train,),
            then=train.sign * then,
            now=train.sign * now,
        ),
    ]
    if metric is not None and (worse or better):
        evidence.append(
            say(
                f"The {label(metric)} {'fell back from' if worse else 'still improved, from'} {{start:.4g}} to {{stop:.4g}}.",
                (metric,),
                start=metric.best if worse else metric.first,
                stop=metric.end,
            )
        )
    evidence += other_sets(view, val)
    return Finding(
        id="overfitting",
        severity=Severity.WARNING,
        confidence=confidence(
            strength,
            supports=int(falls) + int(worse) + int(val.n >= 10),
            doubts=int(better) + int(best_step > val.step[0] + 0.7 * (val.step[-1] - val.step[0])),
        ),
        title=f"Overfitting: the {name} worsens from {best:.4g} to {end:.4g} after {unit(val)} {told:,} while training "
        + ("improves" if falls else "stays"),
        onset=onset,
        extent=Interval(onset.first_step, int(val.step[-1])),
        evidence=tuple(evidence),
        causes=_causes(from_start, val),
        first_check="Evaluate the training set with the validation code (no augmentation, evaluation mode): do both splits get the same treatment?"
        if from_start
        else "Verify that no sample, user, scene or time window lies in both splits, and that preprocessing is the same.",
        first_action=stop_early(val, told, view["relative_rise"]),
        fixes=(
            "Verify split integrity: no near-duplicates, split by group or time",
            "Align preprocessing: normalisation, tokenisation and resizing identical in both splits",
            _regularise(view),
            "Increase effective data: more data, better augmentation",
            "Reduce capacity: a smaller model",
        ),
        success_rule=_rule(view, val, rise, of_this),
        phase=CURVES,
        roles=(val.signal.key, train.signal.key),
    )


def _is_small(view: View, val: CurveFacts, rise: Rise, by_loss: bool) -> bool:
    """Whether the rise is too small for `_strength`, whatever the noise: most runs end here, before their noise is worked out."""
    relative = rise.amount / abs(rise.best) if rise.best else float("inf")
    span = max(val.first_cost - rise.best, 0.1 * abs(median(val.trace.cost)))
    of_range = rise.amount / (view["range_share"] * span) if span > 0 else float("inf")
    positive = by_loss and float(val.value.min()) > 0
    return (max(relative / view["relative_rise"], min(of_range, relative / 0.02)) if positive else of_range) < 1


def _strength(view: View, val: CurveFacts, rise: Rise, by_loss: bool) -> float:
    """The deciding ratio to its threshold; below 1 nothing is found."""
    span = max(val.start_cost - rise.best, 0.0)
    relative = rise.amount / abs(rise.best) if rise.best else float("inf")
    positive = by_loss and float(val.value.min()) > 0
    if val.n < 10:
        before = val.trace.cost[: rise.best_index + 1]
        if rise.streak < 2 or (before.size > 2 and rise.amount < 2 * largest_climb(before, before.size)):
            return 0.0  # what came back before may come back again
        if not positive:
            return rise.amount / max(0.25 * span, 1e-12)
        # Noise of a few per cent can rise twice in a row; it does not lose a seventh of what was gained, nor a third of the level.
        return min(relative / view["few_points_rise"], max(rise.amount / max(0.15 * span, 1e-12), relative / 0.3))
    share = (val.trace.step[rise.best_index] - val.trace.step[0]) / max(val.trace.step[-1] - val.trace.step[0], 1.0)
    if share >= view["latest_best"]:
        return 0.0
    level = abs(median(val.trace.cost))
    of_range = rise.amount / (view["range_share"] * max(span, 0.1 * level)) if span > 0 or level > 0 else 0.0
    # A fifteenth of a tiny gain is nothing: two hundredths of the level at least.
    size = max(relative / view["relative_rise"], min(of_range, relative / 0.02)) if positive else of_range
    # With few points the noise itself is known within a factor only (41 % at ten points).
    sure = rise.sigmas / (view["sigmas"] * (1 + 3 / val.trace.n))
    plain = relative > 2 * view["relative_rise"] if positive else of_range > 3
    if sure < 1 and rise.sigmas > view["trend_sigmas"] and plain:
        # A rise twice as large as it must be that goes on block by block needs fewer sigmas: the trend test has its own level.
        trend = find_trend(val.trace.cost[rise.best_index :], 6)
        sure = 1.0 if trend.tau > 0 and trend.p < 0.02 and trend.blocks >= 6 else sure
    if sure < 1 and size >= 2:
        # Noise may hide the end in single points; all of them together tell a curve that turned from one that only fell.
        sure = max(sure, min(find_turn(val.trace.cost).ratio, 1.9))
    return float(min(sure, size))


def _jumped(val: CurveFacts, rise: Rise) -> bool:
    """Whether the rise is one single step between two levels, or the last point before NaN and no other."""
    after = val.trace.cost[rise.best_index :]
    if val.bad_step.size and val.bad_step[-1] > val.step[-1] and 1 < after.size <= 4:
        return bool(after[-2] - rise.best < 0.5 * rise.amount)
    if after.size < 6 or val.n < 10:
        return False
    steps = np.diff(after)
    i = int(np.argmax(steps))
    before, behind = after[: i + 1], after[i + 1 :]
    if before.size < 2 or behind.size < 3:
        return False  # what is worse from the second evaluation on had no level to leave
    # No other step comes near it; the level before had not yet risen, the level behind no longer rises much.
    return bool(
        steps[i] > max(0.6 * rise.amount, 2 * float(np.partition(steps, -2)[-2]))
        and median(before) - rise.best < 0.1 * rise.amount
        and behind[-1] - behind[0] < 0.4 * rise.amount
        and behind.min() - rise.best > 0.5 * rise.amount
    )


def _training(pair: Pair, best: int) -> tuple[float, float, float]:
    """Training cost around the best validation point, at the end, and the noise of their difference."""
    at = pair.train_at
    # Behind the best point: before it training was still falling fast.
    then = median(at[best : best + 3]) if at.size >= 10 else median(at[max(best - 1, 0) : best + 2])
    now = median(at[-max(1, at.size // 10) :])
    return then, now, estimate_noise(at).sigma if at.size >= 10 else 0.0


def _metric_change(metric: CurveFacts | None) -> tuple[bool, bool]:
    """Whether the metric fell back from its best, and whether it is still at its best and improved late."""
    if metric is None or metric.n < 4:
        return False, False
    rise = measure_rise(metric.trace.cost, metric.trace.noise.sigma)
    gain = metric.first_cost - rise.best
    if gain <= 0:
        return metric.n >= 10 and rise.sigmas > 4, False
    worse = rise.amount > 0.05 * gain and (rise.sigmas > 3 or metric.n < 10) and rise.best_index < metric.trace.n - 2
    return worse, not worse and rise.best_index >= 0.85 * (metric.trace.n - 1) and metric.n >= 6


def _causes(from_start: bool, val: CurveFacts) -> tuple[Cause, ...]:
    many = Cause("Too many epochs or too much capacity for the amount of data")
    differs = Cause(
        "Training and validation data are split, labelled or preprocessed differently",
        f"the {label(val)} worsens from its first point on" if from_start else "",
    )
    rest = (Cause("Too little or wrong augmentation"), Cause("Label noise that is memorised"))
    return (differs, many, *rest) if from_start else (many, differs, *rest)


def _from_start(view: View, val: CurveFacts, rise: Rise) -> bool:
    """Whether validation was at its best at once, and nothing says that it had learned anything until then."""
    if rise.best_index > 0 and not (val.n >= 20 and rise.best_index <= val.trace.n // 25):
        return False
    left = loss_left(val, view.features, val.best) if val.signal.role is Role.LOSS else None
    gained = float(val.cost[0]) - rise.best
    return not ((left is not None and left < 0.9) or gained > max(4 * val.sigma, rise.amount))


def _regularise(view: View) -> str:
    known = view.signals.config.get("weight_decay")
    if isinstance(known, (int, float)) and not isinstance(known, bool) and known > 0:
        return f"Increase regularisation: weight decay from {short(known)} to {short(5 * known)}"
    return "Increase regularisation: " + (
        "a dropout of 0.3" if known == 0 else "weight decay times 5, or a dropout of 0.3 where there was none"
    )


def _rule(view: View, val: CurveFacts, rise: Rise, of_this: str) -> SuccessRule:
    """No rise that this detector would call one, from a best that is no worse; an early end is no fault, an end before the best is."""
    smoothed, span = val.sign * rise.best, max(val.start_cost - rise.best, 0.0)
    few = val.n < 10  # noise cannot be estimated: a share of the best stands for it
    positive = val.signal.role is Role.LOSS and float(val.value.min()) > 0
    size = view["few_points_rise" if few else "relative_rise"] * abs(rise.best) if positive else view["range_share"] * span
    sds = 0.0 if few else 4.0
    if size + sds * val.sigma > 0.7 * val.rise:  # a rise that only its trend tells: half of it must be gone
        size, sds = 0.5 * val.rise, 0.0
    key, worst = val.signal.key, smoothed + val.sign * size if few else smoothed
    better, spare = "<=" if val.sign > 0 else ">=", 0.0 if few else 2.0 * val.sign
    why = f"best({key}) of this run" + ("" if few else ", smoothed")
    return SuccessRule(
        all=(
            predicate(key, "rise", "<=", size, sd_times=sds, source="the smallest rise that is called overfitting"),
            predicate(key, "best", better, worst, sd_times=spare, source=why),
        ),
        sentence=f"The {label(val)} ends within {size:.2g}{' and 4 sd' if sds else ''} of its best, and that is no worse than "
        + (f"{worst:.4g}." if few else f"{smoothed:.4g}{of_this} by more than 2 sd."),
        guards=("same-signals", "half-to-the-best", "nothing-non-finite"),
    )


def _overfit() -> Run:
    rng = np.random.default_rng(7)
    x = np.linspace(0, 1, 60)
    val = _synth.decay(60, 2.3, 0.6, 12.0) + 0.9 * np.clip(x - 0.3, 0, None) + rng.normal(0, 0.01, 60)
    return _synth.make_run({"loss/train": _synth.decay(60, 2.3, 0.05) + rng.normal(0, 0.01, 60), "loss/val": val}, every=100)


def _four_epochs() -> Run:
    return _synth.make_run({"train/loss": [0.90, 0.55, 0.31, 0.18], "val/loss": [0.92, 0.63, 0.68, 0.82]})


def _dense() -> Run:
    rng = np.random.default_rng(17)
    n = 3000
    x = np.linspace(0, 1, n)
    train = _synth.decay(n, 4.0, 0.3, 5.0) + _synth.ar1(n, 0.1, 0.5, rng)
    val = _synth.decay(60, 4.0, 1.0, 10.0) + 0.8 * np.clip(np.linspace(0, 1, 60) - 0.5, 0, None) + rng.normal(0, 0.02, 60)
    return _synth.make_run(
        {
            "train_loss": _synth.make_series("train_loss", train),
            "val_loss": _synth.make_series("val_loss", val, step=(x[49::50] * n).astype(int)),
        }
    )


def _healthy() -> Run:
    rng = np.random.default_rng(8)
    return _synth.make_run(
        {
            "loss/train": _synth.decay(60, 2.3, 0.3) + rng.normal(0, 0.02, 60),
            "loss/val": _synth.decay(60, 2.3, 0.4) + rng.normal(0, 0.02, 60),
        },
        every=100,
    )


def _good_case() -> Run:
    return _synth.make_run({"train/loss": [0.90, 0.55, 0.31, 0.18], "val/loss": [0.92, 0.63, 0.45, 0.38]})


def _hidden_in_noise() -> Run:
    rng = np.random.default_rng(18)
    x = np.linspace(0, 1, 80)
    val = _synth.decay(80, 0.13, 0.07, 20.0) + 0.028 * np.clip(3 * x - 1, 0, 1) + rng.normal(0, 0.011, 80)
    return _synth.make_run({"loss": _synth.decay(80, 0.25, 0.02, 6.0), "val_loss": val})


EXAMPLES = (
    Example("validation rises after a third of the run", _overfit, fires=True, onset=(1200, 2800)),
    Example("four epochs", _four_epochs, fires=True, onset=(1, 2)),
    Example("3,000 training steps, validation every 50", _dense, fires=True, onset=(1000, 2000)),
    Example("a rise that no single point shows", _hidden_in_noise, fires=True),
    Example("both improve to the end", _healthy, fires=False),
    Example("four epochs that improve", _good_case, fires=False),
)

DETECTOR = Detector(
    id="overfitting",
    title="Overfitting",
    summary="Training keeps improving while validation worsens after its best.",
    severity=Severity.WARNING,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=(("train_loss", "train_metric"), ("val_loss", "val_metric")),
    wants=(Role.LOSS.value,),
    domains=DIRECTED,
    thresholds={
        "sigmas": Threshold(
            4.0, "rise test, flat curves: at most 1 % alone at rho 0, 2 % at 0.5, 4.5 % at 0.8; the other conditions bring it below 0.1 %"
        ),
        "trend_sigmas": Threshold(2.0, "together with Kendall's test on six blocks, one-sided p < 0.01"),
        "relative_rise": Threshold(0.05, "generalisation loss of 5 %: Prechelt's largest criterion; less does not matter"),
        "range_share": Threshold(
            0.07,
            "of what validation had gained: none of 384 healthy labelled and 15,000 simulated runs lost as much for good",
        ),
        "few_points_rise": Threshold(0.10, "generalisation loss of 10 % where noise cannot be estimated"),
        "latest_best": Threshold(0.85, "a later best is the end of the run"),
    },
    examples=EXAMPLES,
    explains=("generalization-gap", "over-confidence"),
)
