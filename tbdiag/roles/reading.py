"""What one tag says on its own: role, split, stem, layer, class. Pure and cached; the run as a whole is judged in `resolve`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from tbdiag.model import Axis, Direction, Role, Split
from tbdiag.roles.vocabulary import ACTIVATION_KINDS, LONGEST, NOISE, VOCABULARY, Word
from tbdiag.roles.words import find_splits, split_word, tokenize

Tokens = tuple[str, ...]

PARAMETER_WORDS = frozenset(
    {"weight", "weights", "bias", "biases", "kernel", "gamma", "beta", "embedding", "embeddings", "param", "params", "parameters"}
)
LAYER_WORDS = frozenset(
    {"layer", "layers", "block", "blocks", "conv", "fc", "dense", "linear", "stage", "encoder", "decoder", "head", "norm", "h"}
)
NORM_NOISE = frozenset(
    [
        "l2",
        "l1",
        "2",
        "0",
        "pre",
        "post",
        "before",
        "after",
        "clip",
        "clipping",
        "clipped",
        "unclipped",
        "inf",
        "model",
        "network",
        "net",
        "params",
        "parameters",
        "param",
        "grad",
        "grads",
        "gradient",
        "gradients",
        "norm",
        "norms",
        "all",
        "max",
        "preclip",
        "weight",
        "weights",
        "optim",
        "optimizer",
        "g",
        "d",
        "actor",
        "critic",
        "policy",
        "value",
        "generator",
        "discriminator",
    ]
)
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
    }
)
PREDICTED = frozenset({"pred", "preds", "prediction", "predictions", "predicted", "output", "outputs"})
LABELLED = frozenset({"label", "labels", "target", "targets", "gt", "true", "truth"})
CLASS_WORDS = frozenset({"class", "classes", "cls", "cat", "category", "label"})
QUANTILE = re.compile(r"^(p\d{1,2}|q\d{1,2}|max|min|median|mean|std|percentile)$")
WEAK = frozenset({Role.COUNTER, Role.EPOCH, Role.STEP_TIME})
WEAK_WORDS = frozenset({"step", "steps", "epoch", "epochs", "iter", "iteration", "iterations", "episodes", "time"})
LAYERED = {Role.GRAD_NORM: Role.LAYER_GRAD_NORM, Role.WEIGHT_NORM: Role.LAYER_WEIGHT_NORM}
AXIS_WORDS = {
    "samples": Axis.SAMPLE,
    "tokens": Axis.TOKEN,
    "iterations": Axis.STEP,
    "steps": Axis.STEP,
    "time": Axis.SECOND,
    "seconds": Axis.SECOND,
    "epoch": Axis.EPOCH,
    "epochs": Axis.EPOCH,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """Meaning of one tag. `extra` holds words that qualify the measure; `base` the tokens of the series that it repeats on `axis`."""

    role: Role
    split: Split = Split.NONE
    direction: Direction = Direction.NONE
    stem: str = ""
    rank: int = 0
    extra: Tokens = ()
    layer: str | None = None
    class_id: str | None = None
    sub_kind: str | None = None
    base: Tokens | None = None
    axis: Axis | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Hit:
    """Where the measure stands in a tag, and the meaningful words before and after it."""

    tokens: Tokens
    tag: str
    start: int
    size: int
    before: Tokens
    after: Tokens

    @property
    def words(self) -> Tokens:
        return self.tokens[self.start : self.start + self.size]


@lru_cache(maxsize=65536)
def read_scalar(tag: str, skip: int = 0) -> Reading:
    """Reading of a scalar tag; the first `skip` tokens are a prefix that all tags of the run share."""
    tokens = tokenize(tag)[skip:]
    if len(tokens) > 2 and tokens[-2] == "vs" and tokens[-1] in AXIS_WORDS:
        inner = _read(tokens[:-2], tag)
        return replace(inner, base=tokens[:-2], axis=AXIS_WORDS[tokens[-1]])
    return _read(tokens, tag)


def _read(tokens: Tokens, tag: str) -> Reading:
    splits = find_splits(tokens)
    split = splits[-1][1] if splits else Split.NONE
    special = _layer_norm(tokens, tag) or _activation(tokens, tag) or _share(tokens, split) or _sample_loss(tokens, split)
    if special is not None:
        return special
    hits = _find_phrases(tokens)
    if not hits:
        return Reading(Role.UNKNOWN, split, why="no word of it is known")
    start, size, word = max(hits, key=lambda h: (h[1], h[2].rank, h[0]))
    split = _nearest(splits, start, size)
    covered = {i for s, n, w in hits if w.role is word.role for i in range(s, s + n)}
    before, after = _leftovers(tokens, covered, splits, start)
    hit = _Hit(tokens, tag, start, size, before, after)
    reading = Reading(
        word.role,
        split,
        word.direction,
        word.stem,
        word.rank,
        before + after,
        sub_kind=word.sub_kind,
        why=f'"{" ".join(tokens[start : start + size])}"',
    )
    if reading.extra and word.role in WEAK and size == 1 and tokens[start] in WEAK_WORDS and (after or not _alone(hit)):
        return Reading(Role.UNKNOWN, split, why=f"no word of it but {reading.why} is known")
    if word.role in LAYERED or word.role is Role.UPDATE_RATIO:
        return _layered(reading, hit)
    if word.role is Role.LOSS:
        return _loss(reading, hit)
    if word.role in {Role.METRIC, Role.CONFIDENCE}:
        return _metric(reading, hit)
    return reading


def _find_phrases(tokens: Tokens) -> list[tuple[int, int, Word]]:
    """Every phrase of the vocabulary in the tokens: position, number of words, meaning."""
    out = []
    n = len(tokens)
    for i in range(n):
        for size in range(min(LONGEST, n - i), 0, -1):
            word = VOCABULARY.get(" ".join(tokens[i : i + size]))
            if word is not None:
                out.append((i, size, word))
    return out


def _nearest(splits: list[tuple[int, Split]], start: int, size: int) -> Split:
    """Split whose word is nearest to the measure; of two equally near the later."""
    if not splits:
        return Split.NONE
    return min(splits, key=lambda s: (min(abs(s[0] - start), abs(s[0] - (start + size - 1))), -s[0]))[1]


def _leftovers(tokens: Tokens, covered: set[int], splits: list[tuple[int, Split]], start: int) -> tuple[Tokens, Tokens]:
    """Meaningful words before and after the measure; words before a split word that precedes the measure are a prefix and dropped."""
    first = max((i + 1 for i, _ in splits if i < start), default=0)
    keep = [i for i, t in enumerate(tokens) if i not in covered and t not in NOISE and split_word(t) is None]
    return tuple(tokens[i] for i in keep if first <= i < start), tuple(tokens[i] for i in keep if i > start)


def _alone(hit: _Hit) -> bool:
    """Whether the path component that holds the measure holds nothing else that matters (so that words before it are folders)."""
    for part in hit.tag.split("/"):
        own = tokenize(part)
        if all(t in own for t in hit.words):
            return all(t in hit.words or t in NOISE or split_word(t) is not None for t in own)
    return False


def _loss(reading: Reading, hit: _Hit) -> Reading:
    statistic = [t for t in hit.tokens if t in {"max", "min", "std"}]
    if statistic:
        return replace(reading, role=Role.LOSS_COMPONENT, stem=f"loss_{statistic[0]}", why=reading.why + f", but its {statistic[0]}")
    if not hit.before and not hit.after:
        return reading
    if not hit.after and _alone(hit):
        return replace(reading, rank=reading.rank - 2)
    if not hit.before and all(t.isdigit() for t in hit.after):
        return replace(reading, rank=reading.rank - 1)
    qualifiers = (*hit.before, *hit.after)
    return replace(
        reading, role=Role.LOSS_COMPONENT, stem="_".join((*qualifiers, reading.stem)), why=reading.why + f" of {' '.join(qualifiers)}"
    )


def _metric(reading: Reading, hit: _Hit) -> Reading:
    if reading.role is Role.METRIC and "@" not in hit.tag:
        for i, token in enumerate(hit.tokens[:-1]):
            if token in CLASS_WORDS:
                return replace(reading, role=Role.CLASS_METRIC, class_id="_".join(hit.tokens[i + 1 :]), why=reading.why + " of one class")
        last = hit.after[-1] if hit.after else ""
        if last.isdigit():
            return replace(reading, class_id=last, extra=tuple(t for t in reading.extra if t != last))
    if reading.extra and reading.role is Role.METRIC:
        return replace(reading, stem="_".join((reading.stem, *reading.extra)))
    return reading


def _layered(reading: Reading, hit: _Hit) -> Reading:
    outside = [t for t in hit.after if t not in NORM_NOISE or t in PARAMETER_WORDS]
    numbered = not _alone(hit) or any(t.rstrip("0123456789") in LAYER_WORDS for t in hit.before)
    outside += [t for t in hit.before if t in PARAMETER_WORDS or (numbered and t[-1:].isdigit())]
    if not outside and not (hit.after and hit.after[-1].isdigit()):
        return reading
    layer = strip_words(hit.tag, hit.words)
    role = LAYERED.get(reading.role, reading.role)
    return replace(reading, role=role, layer=layer, extra=(), why=reading.why + f" of layer {layer}")


def strip_words(tag: str, words: Tokens) -> str:
    """What is left of a tag without the words of its measure, split words and noise: the name of the layer."""
    parts: list[str] = []
    taken = False
    for part in tag.split("/"):
        own = tokenize(part)
        if not taken and words and all(t in own for t in words):
            taken = True
            if all(t in words or t in NOISE or split_word(t) is not None for t in own):
                continue
        elif all(t in NOISE or split_word(t) is not None for t in own):
            continue
        parts.append(part)
    if not taken:  # the words of the measure stand in several components: gradient/norm/layer
        parts = [p for p in parts if not all(t in words for t in tokenize(p))] or parts
    left = "/".join(parts)
    if len(parts) == 1 and words:
        cut = re.sub(r"[\W_]*".join(map(re.escape, words)), "\0", left, count=1, flags=re.IGNORECASE)
        pieces = [p.strip("_-. /:") for p in cut.split("\0")]
        left = max(pieces, key=len) or left
    return left


def _layer_norm(tokens: Tokens, tag: str) -> Reading | None:
    """``gradients/fc1.weight/norm``: what is measured stands at both ends of the layer's name."""
    words = tuple(t for t in tokens if split_word(t) is None and t not in NOISE)
    if len(words) < 3 or words[-1] not in {"norm", "l2"}:
        return None
    kind = words[0]
    if kind not in _GRADIENTS and kind not in {"weight", "weights", "param", "params"}:
        return None
    layer = "/".join(p for p in tag.split("/") if not all(t in {kind, "norm", "l2"} or split_word(t) is not None for t in tokenize(p)))
    if not layer or not any(t not in NORM_NOISE for t in words[1:-1]):
        return None
    role = Role.LAYER_GRAD_NORM if kind in _GRADIENTS else Role.LAYER_WEIGHT_NORM
    return Reading(role, stem=role.value.removeprefix("layer_"), layer=layer, why=f'"{kind} ... norm" of layer {layer}')


_GRADIENTS = frozenset({"grad", "grads", "gradient", "gradients"})


def _activation(tokens: Tokens, tag: str) -> Reading | None:
    for size in (4, 3, 2, 1):
        phrase = " ".join(tokens[-size:]) if len(tokens) > size else ""
        kind = ACTIVATION_KINDS.get(phrase)
        if kind is None:
            continue
        rest = tokens[:-size]
        known = any(t in {"activation", "activations", "act", "acts", "relu", "neurons", "units"} for t in rest)
        if not known and (size == 1 or any(t in {"grad", "gradient", "loss", "weight"} for t in rest)):
            return None
        layer = strip_words(tag, tokens[-size:])
        layer = re.sub(r"^(activations?|acts?)[/_.\- ]+", "", layer, flags=re.IGNORECASE)
        return Reading(Role.ACTIVATION_STAT, stem=f"activation_{kind}", layer=layer, sub_kind=kind, why=f'"{phrase}" of activations')
    return None


SPREAD_WORDS = frozenset({"std", "stddev", "variance", "var", "entropy", "spread", "min", "max", "median"})


def _share(tokens: Tokens, split: Split) -> Reading | None:
    for i, token in enumerate(tokens):
        role = Role.PREDICTION_SHARE if token in PREDICTED else Role.LABEL_SHARE if token in LABELLED or token == "class" else None
        if role is None:
            continue
        rest = [t for t in tokens[i + 1 :] if t not in CLASS_WORDS and split_word(t) is None]
        share = next((j for j, t in enumerate(rest) if t in SHARE_WORDS), None)
        if share is None:
            continue
        ident = [t for j, t in enumerate(rest) if j != share and t not in {"per", "for", "of", "mean"}]
        if any(t in SPREAD_WORDS for t in ident):
            return None  # 'pred/std_ratio' is a statistic of the outputs, not the share of a class called std
        if ident and len(ident) <= 3:
            return Reading(
                role,
                split,
                stem="prediction_share" if role is Role.PREDICTION_SHARE else "label_share",
                class_id="_".join(ident),
                why="share of one class",
            )
    return None


def _sample_loss(tokens: Tokens, split: Split) -> Reading | None:
    if "loss" not in tokens and "losses" not in tokens:
        return None
    kind = tokens[-1]
    if QUANTILE.match(kind) and (
        "sample" in tokens or "samples" in tokens or "quantile" in tokens or "quantiles" in tokens or kind[0] in "pq"
    ):
        return Reading(Role.SAMPLE_LOSS, split, Direction.LOWER, "sample_loss", sub_kind=kind, why=f"{kind} of the loss of single samples")
    return None
