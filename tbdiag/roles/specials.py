"""Tags whose meaning lies in several words at once: shares of classes, activations, norms of layers, losses of samples."""

from __future__ import annotations

import re

from tbdiag.model import Direction, Role, Split
from tbdiag.roles.measure import CLASS_WORDS, Reading, Tokens
from tbdiag.roles.splits import split_word
from tbdiag.roles.vocabulary import ACTIVATION_KINDS, NOISE
from tbdiag.roles.words import tokenize

SHARE_WORDS = frozenset(
    {
        "frac",
        "fraction",
        "fractions",
        "share",
        "shares",
        "count",
        "counts",
        "ratio",
        "proportion",
        "rate",
        "percent",
        "distribution",
        "dist",
        "freq",
        "num",
        "prob",
    }
)
PREDICTED = frozenset({"pred", "preds", "prediction", "predictions", "predicted", "output", "outputs"})
LABELLED = frozenset({"label", "labels", "target", "targets", "gt", "true", "truth"})
GRADIENTS = frozenset({"grad", "grads", "gradient", "gradients"})
ACTIVATIONS = frozenset({"activation", "activations", "act", "acts", "units", "neurons"})
_NUMBERED = re.compile(r"(^|[/_])(predicted|pred|preds|predicted_class)[/_]\d+$")
QUANTILE = re.compile(r"^([pq]\d{1,2}|max|min|median|mean|std)$")


def read_special(tokens: Tokens, tag: str, split: Split) -> Reading | None:
    """Reading of a tag that no single phrase explains, or None."""
    return (
        _layer_norm(tokens, tag)
        or _activation(tokens, tag)
        or _share(tokens, tag, split)
        or _sample_loss(tokens, split)
        or _phones(tag, split)
    )


def class_of(tokens: Tokens, measure: Tokens) -> str:
    """Which class a tag names: the words that are neither the measure nor class, split or filling words."""
    outside = {*measure, *CLASS_WORDS, *SHARE_WORDS, *NOISE, "loss"}
    plain = [t not in outside and split_word(t) is None for t in tokens]
    named = max((i for i, t in enumerate(tokens) if t in CLASS_WORDS), default=-1)
    last = max((i for i, t in enumerate(tokens) if t in measure or t in SHARE_WORDS), default=-1)
    split = max((i for i, t in enumerate(tokens) if split_word(t) is not None), default=-1)
    for start in ((named,) if named >= 0 else ()) + (last, split):
        left = [t for i, t in enumerate(tokens) if i > start and plain[i]]
        if left:
            return "_".join(left[:3])
    return ""


def _share(tokens: Tokens, tag: str, split: Split) -> Reading | None:
    predicted = [t for t in tokens if t in PREDICTED]
    labelled = [t for t in tokens if t in LABELLED]
    classy = any(t in {"class", "classes", "cls"} for t in tokens)
    bare_words = [t for t in tokens if t not in NOISE and split_word(t) is None]  # ``share_0/epoch``, ``Share_Va_0``
    counted = len(bare_words) > 1 and bare_words[-1].isdigit() and bare_words[-(3 if classy else 2) :][0] in {"share", "frac"}
    if not labelled and not predicted and counted:
        predicted = ["share"]
    # ``predicted/3``: nothing but the word and a class
    bare = bool(_NUMBERED.search(tag))
    shared = bare or any(t in SHARE_WORDS for t in tokens)
    if not (predicted or labelled or classy) or not (shared or (classy and predicted)):
        return None
    ident = class_of(tokens, (*predicted, *labelled))
    if not ident or (not ident[-1].isdigit() and not classy and "/" not in ident and len(ident.split("_")) > 2):
        return None
    role = Role.PREDICTION_SHARE if predicted else Role.LABEL_SHARE
    if ident.split("_")[0] in _OTHER:
        return None
    return Reading(role, split, stem=role.value, class_id=ident, why=f"share of class {ident}")


_OTHER = frozenset(
    {
        "std",
        "entropy",
        "loss",
        "accuracy",
        "acc",
        "recall",
        "precision",
        "f1",
        "iou",
        "confidence",
        "norm",
        "smoothing",
        "error",
        "auc",
        "noise",
        "positive",
        "negative",
    }
)
"""Words that make a share of something else than a class."""


def _sample_loss(tokens: Tokens, split: Split) -> Reading | None:
    if "loss" not in tokens and "losses" not in tokens:
        return None
    kind = tokens[-1]
    quantile = any(t in {"quantile", "quantiles", "percentile", "percentiles"} for t in tokens)
    if quantile and kind.isdigit():
        kind = f"p{kind}"
    if QUANTILE.match(kind) and (quantile or "sample" in tokens or "samples" in tokens or (kind[0] in "pq" and kind[1:].isdigit())):
        return Reading(Role.SAMPLE_LOSS, split, Direction.LOWER, "sample_loss", sub_kind=kind, why=f"{kind} of the loss of single samples")
    return None


def _phones(tag: str, split: Split) -> Reading | None:
    """``PER/valid``: in small letters the word says nothing."""
    if not _PHONES.search(tag):
        return None
    return Reading(Role.METRIC, split, Direction.LOWER, "per", why='"PER", the phone error rate')


_PHONES = re.compile(r"(^|/)PER(/|$)")


def _layer_norm(tokens: Tokens, tag: str) -> Reading | None:
    """``gradients/fc1.weight/norm``: what is measured stands at both ends of the layer's name."""
    words = tuple(t for t in tokens if split_word(t) is None and t not in NOISE)
    if len(words) < 3 or words[-1] not in {"norm", "l2"}:
        return _parameter_gradient(words, tag)
    kind = words[0]
    if kind not in GRADIENTS and (kind not in {"weight", "weights", "param", "params"} or GRADIENTS.issuperset(words[1:-1])):
        return None  # ``Params/GradNorm`` is that of all
    layer = _without(tag, frozenset({kind, "norm", "l2"}))
    if not layer or all(t in _NO_LAYER or (t.isdigit() and "/" not in tag) for t in words[1:-1]):
        return None
    role = Role.LAYER_GRAD_NORM if kind in GRADIENTS else Role.LAYER_WEIGHT_NORM
    return Reading(role, stem=role.value.removeprefix("layer_"), layer=layer, why=f'"{kind} ... norm" of layer {layer}')


def _parameter_gradient(words: Tokens, tag: str) -> Reading | None:
    """``grad/layers.3.weight``: a number for the gradient of a parameter is its norm, or as good as one from layer to layer."""
    if (
        len(words) < 3
        or words[0] not in GRADIENTS
        or words[-1] not in {"weight", "kernel"}
        or not {"norm", "norms", "l2"}.isdisjoint(words)
    ):
        return None
    layer = _without(tag, GRADIENTS)
    return Reading(Role.LAYER_GRAD_NORM, stem="grad_norm", layer=layer, why=f'"{words[0]}" of parameter {layer}')


_NO_LAYER = frozenset({"l1", "l2", "norm", "inf", "pre", "post", "clip", "model", "all"})


def _activation(tokens: Tokens, tag: str) -> Reading | None:
    known = any(t in ACTIVATIONS for t in tokens)
    if not known and (len(tokens) < 2 or any(t in _NOT_UNITS for t in tokens)):
        return None
    for size in (4, 3, 2, 1):
        for start in range(len(tokens) - size, -1, -1):
            phrase = " ".join(tokens[start : start + size])
            kind = ACTIVATION_KINDS.get(phrase)
            if kind is None or (phrase in {"std", "stddev", "mean"} and not known):
                continue
            layer = _without(tag, frozenset(tokens[start : start + size]) | ACTIVATIONS)
            if not layer and not known:
                return None
            split = next((s for s in map(split_word, tokens) if s is not None), Split.NONE)
            return Reading(
                Role.ACTIVATION_STAT, split, stem=f"activation_{kind}", layer=layer or None, sub_kind=kind, why=f'"{phrase}" of activations'
            )
    return None


_NOT_UNITS = GRADIENTS | {"loss", "reward", "weight", "weights", "clip", "pred", "preds", "predictions", "std"} - {"std"}


def _without(tag: str, words: frozenset[str]) -> str:
    """A tag without the path components, and the words at the ends of components, that name the measure: the layer."""
    parts = []
    for part in tag.split("/"):
        own = tokenize(part)
        if all(t in words or t in NOISE or split_word(t) is not None for t in own):
            continue
        pattern = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
        clean = re.sub(rf"^((({pattern})(?![a-z0-9]))[\W_]*)+|([\W_]*((?<![a-z0-9])({pattern})))+$", "", part, flags=re.IGNORECASE)
        parts.append(clean.strip("_-. :") or part)
    return "/".join(parts)
