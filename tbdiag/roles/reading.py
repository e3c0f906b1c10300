"""What one tag says on its own: role, split, stem, layer, class. Pure and cached; the run as a whole is judged in `resolve`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from tbdiag.model import Axis, Direction, Role, Split
from tbdiag.roles.measure import CLASS_WORDS, PARAMETER_WORDS, Reading, Tokens
from tbdiag.roles.specials import class_of, read_special
from tbdiag.roles.splits import find_splits, split_word
from tbdiag.roles.vocabulary import LONGEST, NOISE, VOCABULARY, Word
from tbdiag.roles.words import tokenize

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
        "raw",
        "opt",
        "optim",
        "optimizer",
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
WEAK = frozenset({Role.COUNTER, Role.EPOCH, Role.STEP_TIME})
WEAK_WORDS = frozenset({"step", "steps", "epoch", "epochs", "iter", "iteration", "iterations", "episodes", "time", "samples", "tokens"})
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


_ORDER = re.compile(r"(?:^|(?<=/))\d{1,2}[_\- ]+(?=[A-Za-z])")
"""Numbers that only sort the tags: ``1_Loss/2_Reconstruction_Loss/train``."""


_LETTERS: dict[Tokens, tuple[Role, Direction, str]] = {
    **dict.fromkeys((("l",), ("j",), ("nats",), ("obj",), ("cross",)), (Role.LOSS, Direction.LOWER, "loss")),
    ("a",): (Role.METRIC, Direction.HIGHER, "accuracy"),
    **{(f"rank{n}",): (Role.METRIC, Direction.HIGHER, f"rank{n}") for n in (1, 5, 10)},
    ("metric",): (Role.METRIC, Direction.HIGHER, "metric"),
    ("ep", "r"): (Role.REWARD, Direction.HIGHER, "reward"),
    **dict.fromkeys((("weights",),), (Role.WEIGHT_NORM, Direction.NONE, "weight_norm")),
    **dict.fromkeys((("grad",), ("gradient",), ("gradients",)), (Role.GRAD_NORM, Direction.NONE, "grad_norm")),
}
"""What a last part of a tag means that holds nothing else but words of splits."""


@lru_cache(maxsize=65536)
def read_scalar(tag: str, skip: int = 0) -> Reading:
    """Reading of a scalar tag; the first `skip` tokens are a prefix that all tags of the run share."""
    tokens = tokenize(_ORDER.sub("", tag))[skip:] if tag[:1].isdigit() and not skip else tokenize(tag)[skip:]
    if len(tokens) > 2 and tokens[-2] == "vs" and tokens[-1] in AXIS_WORDS:
        inner = _read(tokens[:-2], tag)
        return replace(inner, base=tokens[:-2], axis=AXIS_WORDS[tokens[-1]])
    return _read(tokens, tag)


def _read(tokens: Tokens, tag: str) -> Reading:
    splits = find_splits(tokens)
    split = splits[-1][1] if splits else Split.NONE
    special = read_special(tokens, tag, split)
    if special is not None:
        return special
    hits = _find_phrases(tokens)
    whole = split is not Split.NONE and all(t in NOISE or t == "sum" or split_word(t) is not None for t in tokens)
    if not hits and whole and not {"total", "sum"}.isdisjoint(tokens):
        return Reading(Role.LOSS, split, Direction.LOWER, "loss", -3, why="the total of a split")
    last = () if hits else _last_words(tag)
    short = _LETTERS.get(last)
    if short is not None and (
        split is not Split.NONE or short[0] in {Role.GRAD_NORM, Role.WEIGHT_NORM, Role.REWARD} or short[2].startswith("rank")
    ):
        return Reading(short[0], split, short[1], short[2], -3, why=f'"{" ".join(last)}" and nothing else')
    if not hits:
        return Reading(Role.UNKNOWN, split, why="no word of it is known")
    start, size, word = max(hits, key=_weight)
    if word.role in _FOLDERS:
        start, size, word = max(_of_the_leaf(hits, tokens, tag), key=_weight)
    split = _nearest(splits, start, size)
    if word.role is Role.METRIC and word.direction is Direction.LOWER and any(w.role is Role.LOSS and w.rank < 0 for _, _, w in hits):
        # ``CE/MSE``: whichever of the two the task asks for.
        return Reading(Role.LOSS, split, Direction.LOWER, "loss", -2, why=f'"{" ".join(tokens)}"')
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


def _last_words(tag: str) -> Tokens:
    """Words of the last part of a tag that holds others than those of splits: of ``model/holdout/J``, ``J/holdout`` and ``J_holdout`` the J."""
    for part in reversed(tag.split("/")):
        words = tuple(t for t in tokenize(_ORDER.sub("", part)) if split_word(t) is None)
        if words:
            return words
    return ()


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


def _weight(hit: tuple[int, int, Word]) -> tuple[int, int, int]:
    """By which of several phrases a tag is read: the longest, of these the one of the highest rank, of these the last."""
    return hit[1], hit[2].rank, hit[0]


_FOLDERS = frozenset({Role.LOSS, Role.GENERATOR_LOSS})


def _of_the_leaf(hits: list[tuple[int, int, Word]], tokens: Tokens, tag: str) -> list[tuple[int, int, Word]]:
    """``lm-loss-validation/accuracy``: a metric that the last part names alone is what is measured, and the loss only the folder."""
    if "/" not in tag:
        return hits
    first = len(tokens) - len(tokenize(tag.rsplit("/", 1)[1]))
    own = [h for h in hits if h[0] >= first]
    if any(h[2].role in _FOLDERS for h in own) or not any(h[2].role is Role.METRIC and h[2].direction is Direction.HIGHER for h in own):
        return hits
    return own


def _nearest(splits: list[tuple[int, Split]], start: int, size: int) -> Split:
    """Split whose word is nearest to the measure; of two equally near the later."""
    if not splits:
        return Split.NONE
    return min(splits, key=lambda s: (min(abs(s[0] - start), abs(s[0] - (start + size - 1))), -s[0]))[1]


def _leftovers(tokens: Tokens, covered: set[int], splits: list[tuple[int, Split]], start: int) -> tuple[Tokens, Tokens]:
    """Meaningful words before and after the measure; words before a split word that precedes the measure are a prefix and dropped."""
    first = max((i + 1 for i, _ in splits if i < start), default=0)
    keep = [
        i
        for i, t in enumerate(tokens)
        if i not in covered and t not in NOISE and split_word(t) is None and t != "per" and (not i or tokens[i - 1] != "per")
    ]
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


_LOSSES = frozenset({"loss", "losses", "cost"})


def _is_loss(reading: Reading, hit: _Hit) -> bool:
    """Whether a measure is spoken of as a loss: ``ssim_loss``, ``loss_ssim``, ``Loss/MSE``; ``Loss/accuracy`` and ``loss_acc`` are none."""
    if reading.stem in {"accuracy", "top5_accuracy"} and not (hit.tokens and hit.tokens[-1] in _LOSSES):
        return False
    for part in hit.tag.replace(" - ", "/").split("/"):
        own = tokenize(part)
        if all(t in own for t in hit.words):
            return any(t in _LOSSES for t in own) or (reading.direction is Direction.LOWER and any(t in _LOSSES for t in hit.tokens))
    return False


def _metric(reading: Reading, hit: _Hit) -> Reading:
    if reading.role is Role.METRIC and not _LOSSES.isdisjoint(hit.tokens) and _is_loss(reading, hit):
        why = f"{reading.why}, as a loss"
        words = tuple(t for t in reading.extra if t not in _LOSSES)
        if not words and reading.direction is Direction.LOWER:
            return replace(reading, role=Role.LOSS, stem="loss", rank=-3, extra=(), why=why)
        stem = "_".join((*words, reading.stem, "loss"))
        return replace(reading, role=Role.LOSS_COMPONENT, direction=Direction.LOWER, stem=stem, extra=words, why=why)
    if reading.role is Role.METRIC and "@" in hit.tag and hit.after[-1:] in {("1",), ("5",)} and reading.stem in {"accuracy", "prec"}:
        # ``prec@1``, as ImageNet's scripts call the share of answers that are right.
        return replace(reading, stem="accuracy" if hit.after[-1] == "1" else "top5_accuracy", extra=hit.before)
    if reading.role is Role.METRIC and "@" not in hit.tag:
        if any(t in CLASS_WORDS for t in hit.tokens[:-1]):
            ident = class_of(hit.tokens, hit.words)
            if ident:
                return replace(reading, role=Role.CLASS_METRIC, class_id=ident, extra=(), why=reading.why + f" of class {ident}")
        last = hit.after[-1] if hit.after else ""
        if last.isdigit() or (len(hit.after) == 1 and "/" in hit.tag and _alone(hit)):
            return replace(reading, class_id=last, extra=tuple(t for t in reading.extra if t != last))
    if reading.extra and reading.role is Role.METRIC:
        return replace(reading, stem="_".join((reading.stem, *reading.extra)))
    return replace(reading, stem="accuracy") if reading.stem in {"hit", "hits"} else reading  # ``hit@10`` is a cut of a ranking


_ALL = frozenset({"params", "parameters", "weights"})
"""``Params/GradNorm`` is of all of them."""


def _layered(reading: Reading, hit: _Hit) -> Reading:
    outside = [t for t in hit.after if t not in NORM_NOISE or t in PARAMETER_WORDS]
    numbered = not _alone(hit) or any(t.rstrip("0123456789") in LAYER_WORDS for t in hit.before)
    outside += [t for t in hit.before if (t in PARAMETER_WORDS and t not in _ALL) or (numbered and t[-1:].isdigit())]
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
