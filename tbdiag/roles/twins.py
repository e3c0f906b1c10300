"""Twins: two series of which one was taken in training and the other in validation, though no tag says so in words that are known.

A script names both alike but for one place (``cost @learn``, ``cost @exam``), and evaluates more rarely than it trains. Where a run has no
validation loss, or nothing that is called a loss at all, that is enough to tell: what falls in both is the loss, the sparser is validation's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tbdiag.model import Direction, Domain, Role, Run, Split
from tbdiag.roles.plan import Draft
from tbdiag.roles.shapes import ALIKE_AT_START, GRID, JUDGED, MOST, came_first, first_level, last_level, start_alike, trend_of
from tbdiag.roles.splits import JUDGING_WORDS, LEARNING_WORDS, WEAK_WORDS, split_word
from tbdiag.roles.standins import STAND_INS
from tbdiag.roles.vocabulary import NOISE
from tbdiag.roles.words import tokenize


@dataclass(frozen=True, slots=True)
class _Shared:
    """Names of the run's scores, and of what steers training, one space between two words and around them."""

    scored: str
    steering: str


def settle_twins(drafts: list[Draft], run: Run, domain: Domain) -> None:
    """Find the two losses where no validation loss is known, and give whatever is named like them their splits."""
    if domain not in JUDGED:
        return
    losses = [d for d in drafts if d.role in {Role.LOSS, Role.LOSS_COMPONENT} and d.name in run.series]
    if any(d.role is Role.LOSS and d.split in {Split.VAL, Split.TEST} for d in losses):
        return
    named = [d for d in losses if d.split is not Split.VAL]
    shared = _Shared(_names_of_scores(drafts, run), _names_of_steering(drafts))
    for one, other, words in _pairs(named or [d for d in drafts if _may_be_loss(d, run)]):
        # Parts of a loss are named alike as well; there words that are known must tell, or those that scores have too.
        train, val, said = _tell(one, other, words, run, by_number=not named, shared=shared)
        if train is None or val is None:
            continue
        common = {Split.NONE, one.split} if one.split is other.split else {Split.NONE}  # ``fit/inner`` and ``fit/outer``: all of them fit
        # A test set stands for validation, and the metrics of it do so together with its loss.
        held_out = Split.TEST if val.split is Split.TEST else Split.VAL
        for d, split in ((train, Split.TRAIN), (val, held_out)):
            d.why = (
                f'{d.why}; {split.value}, by its twin "{(val if d is train else train).name}": alike but for "{words[0]}" and "{words[1]}"'
            )
            stem = next((s for s in STAND_INS if d.stem.startswith(s)), "loss")  # of a perplexity the logarithm is read
            d.role, d.direction, d.stem, d.split, d.extra = Role.LOSS, Direction.LOWER, stem, split, ()
        _spread(drafts, said, common)
        return


def settle_scores(drafts: list[Draft], run: Run, domain: Domain) -> None:
    """Where a run has losses and nothing that is called a metric: the first series of validation that rises between 0 and 1, or to 100."""
    if domain not in JUDGED or any(d.role in {Role.METRIC, Role.PREFERENCE_ACCURACY} for d in drafts):
        return
    held_out = next((d.split for d in drafts if d.role is Role.LOSS and d.split in {Split.VAL, Split.TEST}), None)
    if held_out is None:
        return
    rising = [d for d in drafts if d.role is Role.UNKNOWN and _rises(d, run)]
    for d in rising:
        split = d.split if d.split is not Split.NONE else _says(" ".join(tokenize(f"{d.subrun}/{d.tag}")))
        if split in {Split.VAL, Split.TEST}:
            _call_metric(d, held_out, "rises between bounds, and nothing else is a metric")
            for one, other, words in _pairs([x for x in rising if x is d or x.role is Role.UNKNOWN]):
                if d in (one, other) and {_says(w) for w in words} == {Split.TRAIN, Split.VAL}:
                    _call_metric(other if one is d else one, Split.TRAIN, f'the twin of "{d.name}"')
                    return
            return


def _call_metric(d: Draft, split: Split, why: str) -> None:
    d.role, d.direction, d.stem, d.split, d.extra, d.why = Role.METRIC, Direction.HIGHER, "metric", split, (), why


def _rises(d: Draft, run: Run) -> bool:
    if d.histogram or d.name not in run.series or d.layer is not None:
        return False
    value = run.series[d.name].value.astype(np.float64)
    value = value[np.isfinite(value)]
    if value.size < 5 or float(value.min()) < 0 or float(value.max()) > 100 or 1 < float(value.max()) < 10:
        return False
    return last_level(value) > 1.1 * first_level(value) and trend_of(value) > 0.3


def _may_be_loss(d: Draft, run: Run) -> bool:
    """Whether a series of unknown meaning, or an error, falls as a loss does."""
    if (
        d.histogram
        or d.name not in run.series
        or not (d.role is Role.UNKNOWN or (d.role is Role.METRIC and d.direction is Direction.LOWER))
    ):
        return False
    value = run.series[d.name].value.astype(np.float64)
    value = value[np.isfinite(value)]
    if value.size < 5 or float(value.min()) <= 0:
        return False
    return last_level(value) < 0.97 * first_level(value) and trend_of(value) < -0.3


def _pairs(drafts: list[Draft]) -> Iterator[tuple[Draft, Draft, tuple[str, str]]]:
    """Series that are named alike but for some words in one place, in the order in which they were logged."""
    drafts = drafts[:MOST]
    words = [_words(d) for d in drafts]
    for i, one in enumerate(drafts):
        for j in range(i + 1, len(drafts)):
            a, b = words[i], words[j]
            head = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
            rest = min(len(a), len(b)) - head
            end = next((n for n in range(rest) if a[-1 - n] != b[-1 - n]), rest)
            apart = a[head : len(a) - end], b[head : len(b) - end]
            if head + end and any(apart) and all(len(x) <= 4 for x in apart):
                yield one, drafts[j], _cut(*apart)


def _cut(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, str]:
    """Words that are apart without those that say nothing and without repetitions (``total`` and ``exam exam``), where both keep some."""
    short = [tuple(dict.fromkeys(w for w in words if w not in NOISE)) for words in (a, b)]
    if all(short) and short[0] != short[1]:
        a, b = short
    return " ".join(a), " ".join(b)


def _words(d: Draft) -> tuple[str, ...]:
    """Words of a name without those at its end that only say how often it was taken: ``train_loss_step`` is the twin of ``val_loss``."""
    words = tokenize(f"{d.subrun}/{d.tag}")
    while len(words) > 2 and words[-1] in _HOW_OFTEN:
        words = words[:-1]
    return words


_HOW_OFTEN = frozenset({"step", "steps", "batch", "epoch", "epochs", "iter"})


def _tell(
    one: Draft, other: Draft, words: tuple[str, str], run: Run, *, by_number: bool, shared: _Shared
) -> tuple[Draft | None, Draft | None, dict[str, Split]]:
    """Which is training's and which validation's: by words that are known beside each other, else (`by_number`) by how often they were logged.

    Words that the scores of the run (`shared.scored`, their names) have as well are no part of a loss: then how often tells too, and one known word.
    """
    if NOISE.issuperset(w for text in words for w in text.split()):
        return None, None, {}  # the same by step and by epoch
    says = [_says(w) for w in words]
    n = [len(run.series[d.name]) for d in (one, other)]
    if min(n) < 3:
        return None, None, {}
    beside = [_is_beside(w, shared) for w in words]
    if not all(words):
        marked = words.index("") == 0
        train, val = (one, other) if marked else (other, one)
        told = says[marked] is Split.VAL and not WEAK_WORDS.issuperset(_telling(words[marked])) and 2 * n[marked] <= 3 * n[not marked]
        told = told or (says[marked] is None and beside[marked] and 3 * n[marked] <= 2 * n[not marked])
        if not told and (says[marked] is not None or not _is_marked(train, val, words[marked], run, shared)):
            return None, None, {}
        return train, val, {words[marked]: Split.VAL}
    if says[0] is says[1] is None:
        if beside[0] is not beside[1]:
            which = beside.index(True)
            train, val = (other, one) if which == 0 else (one, other)
            # ``live_loss`` and ``acc`` beside ``own_loss`` and ``own_acc``: the scores have one of the words, and one score is without it.
            if _has_bare_score(words[which], shared) and _is_marked(train, val, words[which], run, shared):
                return train, val, {words[which]: Split.VAL}
        if (by_number or all(beside)) and 3 * min(n) <= 2 * max(n):
            first: Draft | None = one if n[0] > n[1] else other
        else:
            first = _find_train(one, other, words, run, shared)
        says = [None, None] if first is None else [Split.TRAIN, Split.VAL] if first is one else [Split.VAL, Split.TRAIN]
        by_number = True
    elif says[0] is None and says[1] is not None:
        says[0], by_number = (Split.VAL if says[1] is Split.TRAIN else Split.TRAIN), by_number or beside[0]
    elif says[1] is None and says[0] is not None:
        says[1], by_number = (Split.VAL if says[0] is Split.TRAIN else Split.TRAIN), by_number or beside[1]
    if {*says} != {Split.TRAIN, Split.VAL} or not (by_number or any(_says(w) is Split.VAL for w in words)):
        return None, None, {}
    train, val = (one, other) if says[0] is Split.TRAIN else (other, one)
    # Validation is not logged oftener than training, unless both words say which is which.
    if None in map(_says, words) and len(run.series[val.name]) > 1.5 * len(run.series[train.name]):
        return None, None, {}
    weak = all(not w or WEAK_WORDS.issuperset(w) for w in (_telling(text) for text in words))
    if weak and not by_number and 3 * len(run.series[val.name]) > 2 * len(run.series[train.name]):
        return None, None, {}
    return train, val, {w: s for w, s in zip(words, says, strict=True) if s is not None}


def _is_marked(train: Draft, val: Draft, word: str, run: Run, shared: _Shared) -> bool:
    """Whether the loss with an unknown word more is validation's: it begins like the other and is rarer by half, or a score has both names too."""
    n = len(run.series[train.name]), len(run.series[val.name])
    if val.split is not Split.NONE or n[1] < 5 or not _names_data(word):
        return False
    both = _has_bare_score(word, shared)
    as_often = n[0] == n[1] and came_first(train, val, run) is not val
    return (2 * n[1] <= n[0] or (both and as_often)) and start_alike(train, val, run, GRID if both else ALIKE_AT_START)


def _has_bare_score(word: str, shared: _Shared) -> bool:
    """Whether a score has the word, and another one is named like it but for the word."""
    scores = [f" {s.strip()} " for s in shared.scored.split("  ")]
    return any(f" {word} " in s and s.replace(f" {word} ", " ") in scores for s in scores)


def _find_train(one: Draft, other: Draft, words: tuple[str, str], run: Run, shared: _Shared) -> Draft | None:
    """Which of two losses that begin alike is training's, if no word is known: what rates and gradients stand beside, else what is written first.

    Programs write training's first: 85 of 86 labelled runs whose splits were logged equally often.
    """
    scored = all(_is_beside(w, shared) for w in words)
    if not start_alike(one, other, run, GRID if scored else ALIKE_AT_START):
        return None
    steered = [_names_data(w) and any(f" {t} " in shared.steering for t in (w, *w.split())) for w in words]
    if steered[0] is not steered[1]:
        return one if steered[0] else other
    bare = one.role is other.role is Role.LOSS and one.split is other.split is Split.NONE
    bare = bare and all(w.replace(" ", "").isalpha() and _names_data(w) for w in words)
    n = len(run.series[one.name]), len(run.series[other.name])
    return came_first(one, other, run) if (bare or scored) and 3 * min(n) > 2 * max(n) else None


def _is_beside(words: str, shared: _Shared) -> bool:
    """Whether scores have the words, or one of them, as well."""
    return _names_data(words) and any(f" {w} " in shared.scored for w in (words, *words.split()))


def _names_data(words: str) -> bool:
    """Whether words may name a part of the data: they are no other model or head, and say more than how something was averaged."""
    return _NO_SPLIT.isdisjoint(words.split()) and not NOISE.issuperset(words.split())


_NO_SPLIT = frozenset(
    [
        "teacher",
        "student",
        "aux",
        "auxiliary",
        "baseline",
        "random",
        "majority",
        "reference",
        "ref",
        "best",
        "oracle",
        "actor",
        "critic",
        "policy",
        "value",
        "encoder",
        "decoder",
        "generator",
        "discriminator",
        "backbone",
        "head",
        "text",
        "image",
        "audio",
        "video",
        "style",
        "content",
        "coarse",
        "fine",
        "left",
        "right",
        "source",
        "target",
    ]
)
"""Words of other models, heads and answers: what is logged under them is no split of the data."""


def _names_of_scores(drafts: list[Draft], run: Run) -> str:
    """The words of all series that are scores, or rise as scores do, one space between two and around them."""
    kinds = {Role.METRIC, Role.CLASS_METRIC, Role.CONFIDENCE}
    unknown = [d for d in drafts if d.role is Role.UNKNOWN][:MOST]
    found = [d for d in drafts if d.role in kinds and not d.histogram][:MOST] + [d for d in unknown if _rises(d, run)]
    return "  ".join(" ".join(("", *tokenize(f"{d.subrun}/{d.tag}"), "")) for d in found)


def _names_of_steering(drafts: list[Draft]) -> str:
    """The words of rates, norms of gradients and shares that were clipped: what only training has."""
    kinds = {Role.LR, Role.GRAD_NORM, Role.CLIP_FRACTION, Role.LOSS_SCALE}
    return "  ".join(" ".join(("", *tokenize(f"{d.subrun}/{d.tag}"), "")) for d in drafts if d.role in kinds and not d.histogram)


def _says(words: str) -> Split | None:
    tokens = words.split()
    named = {split_word(t) for t in tokens} - {None}
    if named:
        return Split.TRAIN if named == {Split.TRAIN} else Split.VAL if Split.TRAIN not in named else None
    judging, learning = not JUDGING_WORDS.isdisjoint(tokens), not LEARNING_WORDS.isdisjoint(tokens)
    return None if judging is learning else Split.VAL if judging else Split.TRAIN


def _telling(words: str) -> set[str]:
    """Words that `_says` went by."""
    return {t for t in words.split() if split_word(t) is not None or t in LEARNING_WORDS or t in JUDGING_WORDS}


def _spread(drafts: list[Draft], said: dict[str, Split], common: set[Split]) -> None:
    """Give what is named like one of the twins its split, where it has none but what they had in `common`."""
    for d in drafts:
        if d.split not in common or d.histogram or d.role not in {Role.METRIC, Role.CLASS_METRIC, Role.CONFIDENCE, Role.PREDICTION_SHARE}:
            continue
        text = f" {' '.join(tokenize(f'{d.subrun}/{d.tag}'))} "
        found = {
            split
            for words, split in said.items()
            if f" {words} " in text
            or any(f" {w} " in text for w in words.split() if split_word(w) is None and len(w) > 1 and w not in NOISE)
        }
        if len(found) == 1:
            d.split = found.pop()
            named = {w for words, split in said.items() if split is d.split for w in words.split()}
            d.stem = "_".join(w for w in d.stem.split("_") if w not in named) or d.stem
            d.why += f", {d.split.value} as the loss that is named like it"
