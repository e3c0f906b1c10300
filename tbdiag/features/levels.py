"""How good a value is, where that can be told: bounded metrics against chance, losses against the loss of guessing.

A loss without a known chance level has no bad level; functions return None then, and detectors stay careful.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import exp, log

from tbdiag.features import Features
from tbdiag.features.curves import CurveFacts
from tbdiag.model import Direction, Domain, Scale
from tbdiag.stats.noise import median

_ZERO = re.compile(
    r"(^|[^a-z])(f1|f_?score|fbeta|precision|recall|m?ap(\d|$|_|\b)|map|m?iou|jaccard|dice|dsc|kappa|qwk|uas|las$|mcc|matthews|r2|r_squared|nse$|nash_sutcliffe|kge$|d2|delta_?1|exact_match|em$|pck)"
)
_ACCURACY = re.compile(r"acc|top_?\d|hit_?rate$|hits?_?(at|@)|(^|_)hits?(_?\d|$)|correct")
_AUC = re.compile(r"auc|auroc|roc|c_?index|concordance")
_DETERMINATION = re.compile(r"(^|[^a-z])([rd]2|r_?squared|nse($|[^a-z])|nash_sutcliffe)")
_RECOGNITION = re.compile(r"(^|[^a-z])(wer|cer|per)([^a-z]|$)")
_ERROR = re.compile(r"error|(^|[^a-z])(wer|cer|err)([^a-z]|$)")


@dataclass(frozen=True, slots=True)
class Level:
    """Meaning of a metric's values: the value of guessing, the best value, and how the guess is known."""

    chance: float
    best: float
    why: str

    def quality(self, value: float) -> float:
        """0 at chance, 1 at the best possible value; negative below chance."""
        return (value - self.chance) / (self.best - self.chance)


@dataclass(frozen=True, slots=True)
class Guess:
    """Number of classes and the loss of guessing among them in nats, where they can be told, and how."""

    classes: int | None
    chance: float | None
    why: str


def guessing(features: Features) -> Guess:
    """What guessing would give: as the signals know it, else from a point at which loss and accuracy both say ``1 / K``.

    That is the first point of an untrained classifier, or the level at which a run stands that never became anything else.
    """
    return features.guess


def find_guess(features: Features) -> Guess:
    """Work `guessing` out; `Features.guess` keeps it."""
    signals = features.signals
    if signals.classes or signals.chance:
        return Guess(signals.classes, signals.chance, signals.chance_why)
    for split in ("train", "val"):
        loss, metric = features.curve(f"{split}_loss"), features.curve(f"{split}_metric")
        if loss is None or metric is None or not loss.n or not metric.n or not _ACCURACY.search(metric.signal.stem.lower()):
            continue
        unit = 100.0 if metric.signal.scale is Scale.PERCENT else 1.0
        accuracy = float(metric.value[0]) / unit
        first = float(loss.value[0])
        # An untrained classifier's loss is ln K and its accuracy 1 / K; where the two agree, the first point was untrained.
        classes = max(round(exp(min(first, 9.0))), 2)
        # Of two classes three in four right is no guessing any more; of many the first batches scatter more than that.
        most = min(2.0, 1.1 + 0.13 * classes)
        near = 0.6 < first < 9 and 0.5 < accuracy * exp(first) < most and first < 1.2 * log(classes)
        if (
            near
            and not _below_guessing(features, exp(-first))
            and not (split == "val" and _learned_before(features, first, accuracy * exp(first)))
        ):
            return Guess(classes, log(classes), f"the first point's loss and accuracy are those of guessing among about {classes} classes")
        among = _stands_at_guessing(loss, metric, unit)
        if among:
            return Guess(among, log(among), f"loss and accuracy stand where guessing among {among} classes puts them")
    return Guess(None, None, "")


def _learned_before(features: Features, first: float, ahead: float) -> bool:
    """Whether training had begun clearly above the first validation loss: validation came when something had been learned.

    A loss four times as high was thrown up by the first updates; coming down from there is not learning yet. `ahead`: how many times as
    often as by guessing the first evaluation is right; at 1.6 times less of a fall says it.
    """
    train = features.curve("train_loss")
    least = 1.2 if ahead > 1.6 else 1.25
    return train is not None and train.n > 0 and least * first < float(train.value[0]) < 4 * first


def _below_guessing(features: Features, chance: float) -> bool:
    """Whether validation began at two thirds of this chance or less: then there are more classes."""
    val = features.curve("val_metric")
    unit = 100.0 if val is not None and val.signal.scale is Scale.PERCENT else 1.0
    return val is not None and val.n > 0 and bool(_ACCURACY.search(val.signal.stem.lower())) and float(val.value[0]) < 0.67 * unit * chance


def _stands_at_guessing(loss: CurveFacts, metric: CurveFacts, unit: float) -> int | None:
    """Number of classes among which the model guesses evenly over the last half of the run; None where it does not.

    Whatever a model has learned makes its accuracy larger than ``exp(-loss)``, the geometric mean of what it gives the right answer;
    only even guessing makes both ``1 / K``. The accuracy must never have been better than that either.
    """
    if min(loss.n, metric.n) < 6:
        return None
    level = median(loss.trace.cost[loss.trace.within(0.5, 1.0)])
    accuracy = median(metric.value[metric.between(0.5, 1.0)]) / unit
    if not 0.6 < level < 9 or accuracy <= 0:
        return None
    classes = round(exp(level))
    near = abs(accuracy * classes - 1) < 0.1 and abs(level - log(classes)) < max(0.03, 0.5 * loss.trace.noise_bounds[0])
    return classes if near and float(metric.value.max()) / unit < 1.25 * accuracy else None


def metric_level(curve: CurveFacts, features: Features) -> Level | None:
    """Chance and best value of a metric with bounds; None for metrics without (MAE, BLEU, perplexity, unknown names)."""
    name = (curve.signal.stem or curve.signal.name).lower()
    unit = 100.0 if curve.signal.scale is Scale.PERCENT or (curve.signal.scale is Scale.UNKNOWN and float(curve.value.max()) > 1.5) else 1.0
    if float(curve.value.max()) > 1.01 * unit or (unit == 100.0 and float(curve.value.max()) > 100.5):
        return None
    if curve.signal.direction is Direction.LOWER:
        if not _ERROR.search(name):
            return None
        classes = guessing(features).classes
        if classes and classes >= 2 and not _RECOGNITION.search(name):
            return Level(unit * (1 - 1 / classes), 0.0, f"guessing among {classes} classes")
        return Level(unit, 0.0, "an error rate of 1 is the worst")
    if curve.signal.direction is not Direction.HIGHER:
        return None
    if _AUC.search(name):
        return Level(0.5 * unit, unit, "an AUC of 0.5 is guessing")
    if _ZERO.search(name):
        return Level(0.0, unit, "0 is no skill")
    if _ACCURACY.search(name):
        classes = guessing(features).classes
        if classes and classes >= 2:
            return Level(unit / classes, unit, f"guessing among {classes} classes")
        return Level(0.0, unit, "the number of classes is not known")
    return None


def end_quality(metric: CurveFacts | None, features: Features, least: int = 1) -> float | None:
    """`Level.quality` of a metric at its end; None without a metric of `least` points, and where nothing tells its scale."""
    level = metric_level(metric, features) if metric is not None and metric.n >= least else None
    return level.quality(metric.end) if level is not None and metric is not None else None


def is_determination(curve: CurveFacts) -> bool:
    """Whether the values are a coefficient of determination (R2, D2), 0 for always answering with the mean, by name."""
    return bool(_DETERMINATION.search((curve.signal.stem or curve.signal.name).lower()))


def is_perplexity(curve: CurveFacts) -> bool:
    """Whether the values are exponentials of a loss in nats."""
    return curve.signal.stem == "perplexity"


def nats(curve: CurveFacts, value: float) -> float:
    """The value of a loss, or the logarithm of that of a perplexity."""
    return max(log(value), 0.0) if value > 0 and is_perplexity(curve) else value


def loss_left(curve: CurveFacts, features: Features, value: float) -> float | None:
    """Share of the loss of guessing that is left at `value`; None where that loss is not known or the loss can be negative."""
    chance = guessing(features).chance
    if chance is None or chance <= 0 or float(curve.value.min()) < 0:
        return None
    return nats(curve, value) / chance


def validates_below(val: CurveFacts, train: CurveFacts, features: Features) -> bool:
    """Whether validation got a tenth below both training and guessing: label smoothing or dropout holds the training loss up then."""
    return val.best_cost < 0.9 * train.best_cost and (loss_left(val, features, val.best) or 1.0) < 0.9


def counts_words(features: Features) -> bool:
    """Whether the targets are tokens (or as many classes), whose entropy is high and unknown, so that a low accuracy is normal."""
    if features.signals.domain in (Domain.LANGUAGE_MODEL, Domain.PREFERENCE, Domain.DIFFUSION):
        return True
    return (guessing(features).classes or 0) > 25 or any(x.stem == "bits" for x in features.signals.all)


def guesses_text(features: Features) -> bool:
    """Whether guessing is among the pieces of a vocabulary of text, whose frequencies alone bring a loss to 60 or 70 % of it.

    Bytes, residues and the codes of a quantiser have few values, all nearly as frequent.
    """
    return features.signals.domain is Domain.LANGUAGE_MODEL and (guessing(features).classes or 0) >= 10_000


def rest_of_loss(curve: CurveFacts, features: Features, value: float) -> float | None:
    """Share of the loss of guessing that is left; of the largest early value where guessing is unknown; None for signed losses."""
    left = loss_left(curve, features, value)
    if left is not None or value <= 0 or float(curve.value.min()) < 0:
        return left
    train = features.curve("train_loss")
    starts = [nats(c, float(c.value[: max(1, c.n // 50)].max())) for c in (curve, train) if c is not None and c.n]
    return nats(curve, value) / max(starts) if max(starts) > 0 else None


def stays_at_guessing(val: CurveFacts, features: Features) -> bool:
    """Whether validation never got better than guessing although training did: nothing of what was learned holds there.

    The validation loss must be at its best at the first evaluation (or never below the loss of guessing), the validation metric
    within 5 % of guessing throughout; where guessing is not known, below a quarter, unmoved, and half the scale under training.
    A coefficient of determination that never leaves zero says it without the loss.
    """
    metric, train = features.curve("val_metric"), features.curve("train_metric")
    if metric is None or train is None or min(metric.n, train.n) < 4 or counts_words(features):
        return False
    level, reached = metric_level(metric, features), metric_level(train, features)
    if level is None or reached is None or reached.quality(train.end) < level.quality(metric.best) + 0.5:
        return False
    if is_determination(metric) and is_determination(train):
        return level.quality(metric.best) < 0.05
    left = loss_left(val, features, val.best)
    if val.best_index > 0 and (left is None or left < 0.95):
        return False
    quality = level.quality(metric.best)
    if level.chance:
        # The best of many evaluations on a small set lies above guessing by luck, and the first one may answer what is most frequent.
        if metric.n >= 8:
            quality = max(level.quality(float(v)) for v in (metric.value[1:].min(), metric.value[1:].max()))
        return quality < 0.05 or (quality < 0.15 and metric.n >= 10 and level.quality(median(metric.value)) < 0.05)
    return quality < 0.25 and quality - level.quality(metric.first) < 0.05
