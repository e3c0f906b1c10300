"""Histogram tags: gradients, activations, predictions or weights, and of which layer."""

from __future__ import annotations

import re
from functools import lru_cache

from tbdiag.model import Role, Split
from tbdiag.roles.measure import PARAMETER_WORDS, Reading
from tbdiag.roles.splits import find_splits, split_word
from tbdiag.roles.vocabulary import NOISE
from tbdiag.roles.words import tokenize

HIST_GRADIENT = frozenset({"grad", "grads", "gradient", "gradients"})
HIST_ACTIVATION = frozenset({"activation", "activations", "act", "acts", "output", "outputs", "features", "hidden", "units"})
HIST_PREDICTION = frozenset(
    {
        "pred",
        "preds",
        "prediction",
        "predictions",
        "predicted",
        "logits",
        "probs",
        "probabilities",
        "softmax",
        "confidences",
        "confidence",
        "probability",
    }
)
HIST_WEIGHT = frozenset(
    {
        "weight",
        "weights",
        "param",
        "params",
        "parameters",
        "values",
        "kernel",
        "bias",
        "histogram",
        "gamma",
        "beta",
        "embeddings",
        "data",
        "weights_",
    }
)


_LETTER = re.compile(r"^(?:hist|hists|histogram|histograms)[./_\-]([gwa])[./_\-](.+)$", re.IGNORECASE)
"""``hist.g.NAME``: one letter for gradients, weights or activations."""
_LETTERS = {
    "g": (Role.GRADIENT_HISTOGRAM, "gradients"),
    "w": (Role.WEIGHT_HISTOGRAM, "weights"),
    "a": (Role.ACTIVATION_HISTOGRAM, "activations"),
}


@lru_cache(maxsize=65536)
def read_histogram(tag: str, skip: int = 0) -> Reading:
    """Reading of a histogram tag: gradients, activations, predictions, or weights, and of which layer."""
    lettered = _LETTER.match(tag)
    if lettered:
        role, what = _LETTERS[lettered[1].lower()]
        return Reading(role, Split.NONE, stem=role.value, layer=lettered[2], why=f'histogram of "{lettered[1]}", {what}')
    parts = [p for p in tag.split("/") if p]
    tokens = tokenize(tag)[skip:]
    splits = find_splits(tokens)
    split = splits[-1][1] if splits else Split.NONE
    edges = [t for p in parts for t in ((tokenize(p)[:1] + tokenize(p)[-1:]) if not _dotted(p) else tokenize(p)[-1:])]
    lead = [t for t in tokens[:3] if split_word(t) is None and t not in NOISE][:1]
    words = set(edges) | set(lead)
    for kinds, role in (
        (HIST_GRADIENT, Role.GRADIENT_HISTOGRAM),
        (HIST_PREDICTION, Role.PREDICTION_HISTOGRAM),
        (HIST_ACTIVATION, Role.ACTIVATION_HISTOGRAM),
        (HIST_WEIGHT, Role.WEIGHT_HISTOGRAM),
    ):
        found = next((t for t in tokens if t in words and t in kinds), None)
        if found is None:
            continue
        if role is Role.ACTIVATION_HISTOGRAM and tokens[-1] in {"weight", "bias", "kernel"} and found in {"output", "outputs"}:
            continue
        if role is Role.PREDICTION_HISTOGRAM:
            return Reading(role, split, stem="prediction", why=f'histogram of "{found}"')
        layer = _histogram_layer(tag, kinds)
        return Reading(role, split, stem=role.value, layer=layer, why=f'histogram of "{found}"')
    if any(_dotted(p) for p in parts):
        return Reading(Role.WEIGHT_HISTOGRAM, split, stem="weight_histogram", layer=tag, why="histogram named like a parameter")
    return Reading(Role.UNKNOWN, split, why="histogram of an unknown kind")


def _dotted(part: str) -> bool:
    return bool(re.search(r"\w\.\w", part))


def _histogram_layer(tag: str, kinds: frozenset[str]) -> str:
    tag, sign, number = tag.partition("#")  # of several layers under one tag, in order of writing
    generic = (
        HIST_GRADIENT | HIST_ACTIVATION | {"values", "histogram", "histograms", "weights", "params", "parameter", "parameters", "hist"}
    ) & (kinds | {"values", "histogram", "histograms", "weights", "params", "parameter", "parameters", "hist"})
    parts = [p for p in tag.split("/") if p and not all(t in generic or split_word(t) is not None for t in tokenize(p))]
    left = "/".join(parts) or tag
    words = "|".join(sorted(generic, key=len, reverse=True))
    left = re.sub(rf"^({words})[_\-. ]+(?=.)", "", left, flags=re.IGNORECASE)
    if kinds - PARAMETER_WORDS:
        words = "|".join(sorted(kinds - PARAMETER_WORDS, key=len, reverse=True))
        left = re.sub(rf"(?<=.)[_\-. ]+({words})$", "", left, flags=re.IGNORECASE)
    return left + sign + number
