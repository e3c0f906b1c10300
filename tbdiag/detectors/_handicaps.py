"""What makes training's samples, labels or loss harder than validation's: settings, terms of the loss, wrong labels."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from tbdiag.detectors._base import Evidence, View
from tbdiag.detectors._words import label, say
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guessing
from tbdiag.features.pairs import Pair
from tbdiag.model import Role, Split
from tbdiag.roles.words import tokenize
from tbdiag.stats.noise import Float64, median

HANDICAP_ROLES = ("loss_component", "train_accuracy", "val_accuracy")
"""What this module looks at; a detector that uses it declares them."""

AUXILIARY = frozenset(
    {
        "domain", "adv", "adversarial", "aux", "auxiliary", "reg", "regularization", "regularisation", "regularizer", "regulariser", "penalty",
        "kl", "kld", "commit", "commitment", "vq", "codebook", "mmd", "coral", "consistency", "distill", "distillation", "balance",
        "balancing", "router", "orthogonal", "orthogonality", "sparsity", "l1", "l2", "tv", "gp",
    }
)  # fmt: skip
"""Words of a term that is added to a loss to shape the model, and is often left out where the model is only measured."""

DETECTION = frozenset({"YOLOv5", "Ultralytics"})
"""Frameworks that lay four pictures together in training unless told otherwise, where they train on boxes (`mosaic` in their defaults)."""


def list_settings(view: View) -> list[str]:
    """Settings that make training samples, their labels or the network harder than validation's, in words."""
    found = []
    for key, least, word in (
        ("mixup", 0.0, "mixup"),
        ("cutmix", 0.0, "CutMix"),
        ("mosaic", 0.0, "mosaic"),
        ("label_smoothing", view["smoothing"], "label smoothing"),
        ("dropout", view["dropout"], "dropout"),
        ("label_noise", view["label_noise"], "a noise rate"),
    ):
        value = view.signals.config.get(key)
        if isinstance(value, float) and value > 0 and value >= least:
            found.append(f"{word} of {value:g}")
    return found


def uses_mosaic(view: View) -> bool:
    """Whether pictures are laid together in training by the framework's defaults, and nothing in the configuration says otherwise."""
    boxes = any("box" in tokenize(c.name) for c in view.group(Role.LOSS_COMPONENT, Split.TRAIN))
    return view.signals.framework in DETECTION and boxes and "mosaic" not in view.signals.config


@dataclass(frozen=True, slots=True)
class Terms:
    """Auxiliary terms of the training loss that were not logged for validation.

    Attributes:
        rest: level of the training loss without them; None where the logged terms do not make up the loss, so that their weights are not known.
    """

    curves: tuple[CurveFacts, ...]
    rest: float | None


def find_terms(view: View, pair: Pair) -> Terms | None:
    """Terms of the training loss that validation lacks; None where there are none, or they are next to nothing beside the gap."""
    parts = view.group(Role.LOSS_COMPONENT, Split.TRAIN)
    twins = {c.signal.stem for c in view.group(Role.LOSS_COMPONENT, Split.VAL)}
    extra = [c for c in parts if c.signal.stem not in twins and not AUXILIARY.isdisjoint(tokenize(c.name))]
    gap = pair.tail_train() - pair.tail_val()
    extra = [c for c in extra if _level(c) > 0.1 * gap]
    if not extra:
        return None
    weights = _find_weights(pair.train, parts)
    if weights is None:
        return Terms(tuple(extra), None)
    held = [(c, weights[c.name] * _level(c)) for c in extra]
    held = [(c, level) for c, level in held if level > 0.1 * gap]
    return Terms(tuple(c for c, _ in held), pair.tail_train() - sum(level for _, level in held)) if held else None


def _level(curve: CurveFacts) -> float:
    return median(curve.trace.cost[curve.trace.within(0.5, 1.0)])


def _find_weights(whole: CurveFacts, parts: tuple[CurveFacts, ...]) -> dict[str, float] | None:
    """Weight of each part, where their weighted sum is the whole to one per cent at every step that all of them share."""
    steps = whole.step
    for part in parts:
        steps = np.intersect1d(steps, part.step)
    if steps.size < 2 * len(parts) + 4:
        return None
    columns: Float64 = np.stack([p.value[np.searchsorted(p.step, steps)] for p in parts], axis=1)
    target = whole.value[np.searchsorted(whole.step, steps)]
    weights = np.linalg.lstsq(columns, target, rcond=None)[0]
    if float(np.quantile(np.abs(columns @ weights - target), 0.9)) > 0.01 * abs(median(target)) or float(weights.min()) < -0.01:
        return None
    return {p.name: float(w) for p, w in zip(parts, weights, strict=True)}


@dataclass(frozen=True, slots=True)
class NoisyLabels:
    """Training labels that behave as if a share of them was drawn at random.

    Attributes:
        wrong: share of the answers that disagree with the labels.
    """

    wrong: float
    evidence: Evidence


def read_noisy_labels(view: View) -> NoisyLabels | None:
    """Whether accuracy and loss of training stand where labels lead of which a share is drawn at random, and validation knows better.

    Every sample is then equally uncertain and the loss is the entropy of that; samples of unequal difficulty, as dropout or augmentation
    make them, leave less. Where the number of classes is only guessed from a first loss, an untrained model that is not even adds to it:
    there up to a quarter fewer classes will do.
    """
    accuracy, loss, val = view.curve("train_accuracy"), view.curve("train_loss"), view.curve("val_accuracy")
    k = guessing(view.features).classes
    if accuracy is None or loss is None or val is None or k is None or k < 3 or min(accuracy.n, loss.n) < 8 or val.n < 5:
        return None
    right, before = _mean(accuracy, 0.8, 1.0), _mean(accuracy, 0.6, 0.8)
    learned = (right * k - 1) / (k - 1)
    if not view["least_learned"] < learned < view["most_learned"] or abs(right - before) > view["stands"]:
        return None
    if _mean(val, 0.8, 1.0) - right < view["val_knows"] * (1 - right):
        return None
    level = _mean(loss, 0.8, 1.0)
    fewest = k if view.signals.classes is not None else max(3, round(0.75 * k))
    entropies = {n: _entropy(right, n) for n in range(fewest, k + 1)}
    classes = min(entropies, key=lambda n: abs(level / entropies[n] - 1))
    if abs(level / entropies[classes] - 1) > view["entropy"]:
        return None
    return NoisyLabels(
        1 - right,
        say(
            f"The training accuracy stands at {{right:.3g}} and the {label(loss)} at {{level:.4g}}; {{entropy:.4g}} is the entropy of labels of "
            "which a share of {wrong:.2g} is drawn at random among {classes:.0f} classes. Samples of unequal difficulty would leave less.",
            (accuracy.signal.why, loss),
            right=right,
            level=level,
            entropy=entropies[classes],
            wrong=(1 - right) * classes / (classes - 1),
            classes=classes,
        ),
    )


def _mean(curve: CurveFacts, low: float, high: float) -> float:
    """Mean over a share of the run: accuracies of single batches take few values, and a median of them is off by half a sample."""
    return float(np.mean(curve.value[curve.between(low, high)]))


def _entropy(right: float, classes: int) -> float:
    return -(right * log(right) + (1 - right) * log((1 - right) / (classes - 1)))
