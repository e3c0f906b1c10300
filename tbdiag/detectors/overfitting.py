"""Training keeps improving while validation worsens after its best.

What it means
    From some step on the model learns what holds only for the training data. The validation loss has a minimum, then rises,
    while the training loss goes on falling.

Why it matters
    Every step after the minimum makes the model worse where it counts, and the last checkpoint is not the best one.

How it is told
    The validation loss ends more than 4 noise standard deviations (corrected for autocorrelation) above its smoothed best
    and by more than 5 % of its best (or 7 % of its range), the best lies in the first 85 % of the run, and the training
    loss does not rise over the same steps (it falls where its trend falls by a sixth, too; where it stands, the rise must be twice as
    plain, or, at twenty evaluations, half of its best and 7 % of its range, with none of the last quarter half-way back). A rise of more
    than 10 % which goes on in every block (Kendall's test, p < 0.02), or a loss that doubled and of which none of the last third comes
    half-way back, needs 2 sigmas only; one that a curve falling throughout does not explain (isotonic regression with and without a turn)
    needs none, while training falls. A rise that is one single step, twice any other, is sudden-shift. With fewer than ten points noise
    cannot be estimated; then validation must end at least 10 % above its best, and by 15 % of what it had gained, after
    rising in at least three successive intervals to the end (20 % after two; or by 20 % alone, after four, or in an order of the points
    that is no luck, Kendall's p < 0.005), while training falls. Below fifteen points
    the estimate is mostly the descent's: a rise of more than 10 %, of 20 % above the lowest point and of twice what the curve climbed
    before that counts as well where it goes on at each of four evaluations or more, or by Kendall's test of the single points
    (p < 0.005). Without a validation loss the validation metric is read the same way, its fall measured against its range. Beside a
    loss that does not rise, a bounded metric counts that gained a tenth of the way from guessing to perfect and lost 0.05 of it
    again, and 15 % of what it had gained, while the same metric of training does not fall.

First check
    Verify that no sample, user, scene or time window lies in both splits, and that preprocessing is the same.

First action
    Rerun with early stopping, its patience a twentieth of the evaluations (at least three), less where validation rises by more than 5 % and
    4 noise standard deviations within these. It is the one change that is sure to end the
    damage, and costs less than this run did; whether regularisation lowers the best itself is the next question. Where the metric still
    improves behind the best of the loss, an early end would give that up: then label smoothing, or more regularisation (no accuracy).

Success rule
    The next run ends no more than 4 noise standard deviations and 5 % (the size below which nothing is called overfitting) above its
    best, no worse than this run's by more than noise, and is no shorter than half of what this run needed to its best.

Not to be confused with
    over-confidence (the loss rises but the metric does not fall), divergence (training rises too), generalization-gap (validation
    never got better), sudden-shift (validation jumps in one step).

Limits
    With fewer than ten points and training falling, a validation loss that stays where it was is called rising in up to 0.6 % of runs where
    it scatters by 3 % of its level, in up to 1.5 % at 5 % (simulated, 4 to 9 points). Double descent and grokking look like overfitting until
    they end. A validation loss that rises while the metric still improves is reported with less confidence (0.8 at most where a third of all that
    the metric gained came behind the loss's best, and as a note where it is a mean average precision: detectors are chosen by that); keep the metric's best checkpoint.

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
from tbdiag.detectors._disagreement import (
    allow_for_metric,
    doubt_rise,
    falls_alone,
    keep_metric,
    metric_change,
    regularise,
    say_metric,
)
from tbdiag.detectors._no_labels import LABEL_ROLES, no_labels
from tbdiag.detectors._rises import best_at_once, has_jumped, is_small, measure_strength, stays_up, training_since
from tbdiag.detectors._several import other_sets
from tbdiag.detectors._words import label, say, stop_early, unit
from tbdiag.features import CurveFacts
from tbdiag.features.disagreement import look_behind
from tbdiag.features.levels import stays_at_guessing
from tbdiag.features.onsets import rise_onset
from tbdiag.features.pairs import pair_up
from tbdiag.model import Mark, Role, Run
from tbdiag.stats.confidence import HIGHEST, confidence
from tbdiag.stats.monotone import FEWEST
from tbdiag.stats.rise import Rise, measure_rise


def detect(view: View) -> Finding | NotApplicable | None:
    """Compare the end of validation with its best, and training over the same steps."""
    by_loss = view.curve("val_loss") is not None and view.curve("train_loss") is not None
    val = view.curve("val_loss") if by_loss else view.curve("val_metric")
    train = view.curve("train_loss") if by_loss else (view.curve("train_metric") or view.curve("train_loss"))
    if val is None or train is None:
        return NotApplicable("no validation or no training curve", ("val_loss", "train_loss"))
    if val.n < 4:
        return NotApplicable(f"only {val.n} validation points")
    if empty := no_labels(view):
        return empty
    found = _judge(view, val, train, by_loss)
    score = view.curve("val_metric")
    if found is not None or not by_loss or score is None or score.n < 10:
        return found
    return _judge(view, score, train, False, beside=val)


def _judge(view: View, val: CurveFacts, train: CurveFacts, by_loss: bool, beside: CurveFacts | None = None) -> Finding | None:
    """One validation curve beside a training curve; `beside`: the calm validation loss under which it is a metric that falls."""
    rise = measure_rise(val.trace.cost, 0.0)
    if val.n >= 10 and is_small(view, val, rise, by_loss):
        return None
    rise = measure_rise(val.trace.cost, val.trace.noise.sigma)
    strength = measure_strength(view, val, rise, by_loss)
    if strength < 1 or has_jumped(val, rise) or (by_loss and stays_at_guessing(val, view.features)):
        return None
    if beside is not None and not falls_alone(view, val, beside, rise):
        return None
    pair = pair_up(train, val)
    then, now, noise = training_since(pair, rise.best_index)
    # Five per cent up is up, however noisy: then both get worse, and that is no overfitting.
    if now > then + min(2 * noise, 0.05 * abs(then)) or (val.n < 10 and now >= then):
        return None
    falls = now < then - 2 * noise or goes_on_falling(pair.train_at[rise.best_index :])
    learned = train.start_cost - min(then, now)
    if not falls and strength < 2 and not (by_loss and now <= then and stays_up(view, val, rise)):
        return None  # a training loss that only stays where it is needs a plainer rise
    if not falls and (learned < 3 * train.sigma or learned < 0.05 * abs(train.start_cost)):
        return None  # training never moved: there is nothing to overfit with
    metric = view.curve("val_metric") if by_loss else None
    worse, better = metric_change(metric)
    behind = look_behind(val, metric) if metric is not None else None
    gains = behind is not None and behind.gains and not worse
    best_step = int(val.trace.last_step[rise.best_index])
    from_start = best_at_once(view, val, rise)
    onset = rise_onset(val)
    if val.n < FEWEST:  # the bend is known to several points only; it does not lie before the best one
        at = int(val.trace.last_step[int(np.argmin(val.trace.cost))])
        onset = Interval(max(onset.first_step, at), max(onset.last_step, at))
    name = label(val)
    smoothed, end = val.sign * rise.best, val.sign * rise.end
    lowest = int(np.argmin(val.cost))  # told is the point that a checkpoint was saved at; smoothing only decides
    told, best = int(val.step[lowest]), float(val.value[lowest])
    exact, climbs = bool(np.isclose(best, smoothed)), np.diff(val.cost[lowest:])
    by_order = val.n < FEWEST and 0 < rise.sigmas < view["sigmas"]  # a noise that the steep descent makes up says nothing
    of_this = "" if exact else " (this run's, smoothed)"
    evidence = [
        say(
            f"The {name} was best at {unit(val)} {{best_step:,}} with {{best:.4g}} and {'ended at' if val.n < 10 else 'lies, over the last tenth, at'} {{end:.4g}}, "
            + ("worse by {rise:.3g}" if exact else "smoothed worse by {rise:.3g}")
            + (
                ", and up at {ups} of {steps} evaluations."
                if by_order
                else " ({sigmas:.3g} noise standard deviations)."
                if rise.sigmas
                else "."
            ),
            (val,),
            (Mark("best", "best validation", told, best), Mark("level", "end", None, end)),
            best_step=told,
            best=best,
            end=end,
            rise=rise.amount,
            **({"ups": int((climbs > 0).sum()), "steps": climbs.size} if by_order else {"sigmas": rise.sigmas} if rise.sigmas else {}),
        ),
        say(
            f"Over the same {unit(val)}s the {label(train)} {'improved' if falls else 'stayed'} from {{then:.4g}} to {{now:.4g}}.",
            (train,),
            then=train.sign * then,
            now=train.sign * now,
        ),
    ]
    if metric is not None and behind is not None:
        evidence.append(say_metric(metric, behind, worse))
    if beside is not None:
        evidence.append(
            say(
                f"The {label(beside)} did not follow: it was {{then:.4g}} at its best and {{now:.4g}} at the end.",
                (beside,),
                then=beside.best,
                now=beside.end,
            )
        )
    evidence += other_sets(view, val)
    cap, severity = doubt_rise(view, metric, behind) if gains else (HIGHEST, Severity.WARNING)
    return Finding(
        id="overfitting",
        severity=severity,
        confidence=confidence(
            strength,
            supports=int(falls) + int(worse) + int(val.n >= 10),
            doubts=max(int(better), 2 * int(gains), int(beside is not None))
            + int(best_step > val.step[0] + 0.7 * (val.step[-1] - val.step[0])),
            cap=cap,
        ),
        title=f"{'The' if severity is Severity.NOTE else 'Overfitting: the'} {name} worsens from {best:.4g} to {end:.4g} after {unit(val)} {told:,} while training "
        + ("improves" if falls else "stays")
        + (f", but the {label(metric)} still improves" if gains and metric is not None else "")
        + (f", but the {label(beside)} does not" if beside is not None else ""),
        onset=onset,
        extent=Interval(onset.first_step, int(val.step[-1])),
        evidence=tuple(evidence),
        causes=_causes(from_start, val, beside),
        first_check="Evaluate the training set with the validation code (no augmentation, evaluation mode): do both splits get the same treatment?"
        if from_start
        else "Verify that no sample, user, scene or time window lies in both splits, and that preprocessing is the same.",
        first_action=keep_metric(view, metric, behind)
        if gains and metric is not None and behind is not None
        else stop_early(val, told, view["relative_rise"]),
        fixes=(
            *(
                (f"Fit one temperature on the validation logits of the checkpoint that is best by {label(metric)}",)
                if gains and metric is not None
                else ()
            ),
            "Verify split integrity: no near-duplicates, split by group or time",
            "Align preprocessing: normalisation, tokenisation and resizing identical in both splits",
            regularise(view),
            "Increase effective data: more data, better augmentation",
            "Reduce capacity: a smaller model",
        ),
        success_rule=allow_for_metric(_rule(view, val, rise, of_this), metric)
        if gains and metric is not None
        else _rule(view, val, rise, of_this),
        phase=CURVES,
        roles=(val.signal.key, train.signal.key),
    )


def _causes(from_start: bool, val: CurveFacts, beside: CurveFacts | None) -> tuple[Cause, ...]:
    many = Cause("Too many epochs or too much capacity for the amount of data")
    differs = Cause(
        "Training and validation data are split, labelled or preprocessed differently",
        f"the {label(val)} worsens from its first point on" if from_start else "",
    )
    rest = (Cause("Too little or wrong augmentation"), Cause("Label noise that is memorised"))
    if beside is not None:
        weighs = Cause(
            f"The {label(val)} weighs what the {label(beside)} does not: a fixed threshold, rare classes, whole samples instead of parts",
            f"the {label(beside)} does not rise",
        )
        return (many, weighs, differs, *rest)
    return (differs, many, *rest) if from_start else (many, differs, *rest)


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


def _all_but_one() -> Run:
    val = [1.70, 1.60, 1.83, 2.21, 2.23, 2.56, 2.50, 2.70]
    return _synth.make_run({"train/loss": [2.46, 0.92, 0.60, 0.39, 0.27, 0.21, 0.11, 0.08], "val/loss": val})


def _up_and_down() -> Run:
    val = [1.70, 1.45, 1.52, 1.60, 1.41, 1.62, 1.48, 1.58]
    return _synth.make_run({"train/loss": [2.46, 1.72, 1.60, 1.49, 1.37, 1.31, 1.21, 1.18], "val/loss": val})


def _tripled(stays: float) -> Run:
    val = np.array([0.126, 0.628, 0.518, 0.515, 0.469, 0.52, 0.355, 0.454, 0.378, 0.459, 0.444, 0.402, 0.353, 0.357])
    val[9:] = val[0] + stays * (val[9:] - val[0])
    return _synth.make_run({"train/loss": _synth.decay(14, 0.2, 0.05, 12.0), "val/loss": val})


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
    made = {"loss/train": 0.3, "loss/val": 0.4}
    return _synth.make_run({k: _synth.decay(60, 2.3, end) + rng.normal(0, 0.02, 60) for k, end in made.items()}, every=100)


def _hidden_in_noise() -> Run:
    rng = np.random.default_rng(18)
    x = np.linspace(0, 1, 80)
    val = _synth.decay(80, 0.13, 0.07, 20.0) + 0.028 * np.clip(3 * x - 1, 0, 1) + rng.normal(0, 0.011, 80)
    return _synth.make_run({"loss": _synth.decay(80, 0.25, 0.02, 6.0), "val_loss": val})


EXAMPLES = (
    Example("validation rises after a third of the run", _overfit, fires=True, onset=(1200, 2800)),
    Example(
        "four epochs",
        lambda: _synth.make_run({"train/loss": [0.90, 0.55, 0.31, 0.18], "val/loss": [0.92, 0.63, 0.68, 0.82]}),
        fires=True,
        onset=(1, 2),
    ),
    Example("eight epochs, one of which did not rise", _all_but_one, fires=True, onset=(1, 2)),
    Example("fourteen evaluations that scatter at three times the first", lambda: _tripled(1.0), fires=True),
    Example("fourteen evaluations that scatter, and come back", lambda: _tripled(0.2), fires=False),
    Example("eight epochs, up and down", _up_and_down, fires=False),
    Example("3,000 training steps, validation every 50", _dense, fires=True, onset=(1000, 2000)),
    Example("a rise that no single point shows", _hidden_in_noise, fires=True),
    Example("both improve to the end", _healthy, fires=False),
    Example(
        "four epochs that improve",
        lambda: _synth.make_run({"train/loss": [0.90, 0.55, 0.31, 0.18], "val/loss": [0.92, 0.63, 0.45, 0.38]}),
        fires=False,
    ),
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
    wants=(Role.LOSS.value, *LABEL_ROLES),
    domains=DIRECTED,
    thresholds={
        "sigmas": Threshold(
            4.0, "rise test, flat curves: at most 1 % alone at rho 0, 2 % at 0.5, 4.5 % at 0.8; the other conditions bring it below 0.1 %"
        ),
        "trend_sigmas": Threshold(2.0, "together with Kendall's test on six blocks, one-sided p < 0.01"),
        "relative_rise": Threshold(0.05, "generalisation loss of 5 %: Prechelt's largest criterion; less does not matter"),
        "range_share": Threshold(
            0.07, "of what validation had gained: none of 384 healthy labelled and 15,000 simulated runs lost that for good"
        ),
        "few_points_rise": Threshold(
            0.10, "generalisation loss of 10 % where noise cannot be estimated; twice that where it rises only twice"
        ),
        "few_points_of_gain": Threshold(0.15, "of what was gained, for the same reason: noise of a few per cent can rise twice in a row"),
        "few_points_of_level": Threshold(0.3, "of its best, in place of that: what little was gained does not matter then"),
        "few_points_signed": Threshold(0.25, "of what was gained, where the values go below zero or are a metric's: they have no level"),
        "least_of_level": Threshold(0.02, "of its best, beside the share of what was gained: a fifteenth of a tiny gain is nothing"),
        "metric_learned": Threshold(0.1, "of the way from guessing to perfect, gained by a metric that falls beside a calm loss"),
        "metric_lost": Threshold(0.05, "of that way, lost again; no healthy labelled run of 690 loses more than 0.015 of it"),
        "metric_lost_of_gain": Threshold(0.15, "of what that metric had gained, lost again"),
        "doubled": Threshold(
            1.0, "of its best, where the noise of what scatters there hides 4 deviations; healthy labelled runs rise by 0.44 at most"
        ),
        "stays_up": Threshold(0.5, "of its best, beside training that stands; healthy labelled runs rise by 0.25 at most"),
        "gained_behind": Threshold(0.33, "of all that the metric gained, behind the loss's best: then the aim decides what is a fault"),
        "doubted": Threshold(0.8, "highest confidence then"),
        "latest_best": Threshold(0.85, "a later best is the end of the run"),
    },
    examples=EXAMPLES,
    explains=("generalization-gap", "over-confidence"),
)
