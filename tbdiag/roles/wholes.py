"""Series that stand for others of their kind: the whole beside the parts of a loss, an epoch's mean beside its single batches."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from tbdiag.model import Direction, Domain, Role, Run, Split
from tbdiag.roles.plan import Draft
from tbdiag.roles.splits import split_word
from tbdiag.roles.words import tokenize

_WHOLE = frozenset({"overall", "total", "sum", "whole", "combined", "all"})
"""Words that say nothing but that it is all of them together."""
_PARTS = frozenset({"pixel", "perceptual", "style", "content", "tv", "variation", "variance", "smoothness", "hole", "adversarial"})
"""Words of parts of a loss that mean something else, or nothing, where no whole stands beside them."""


def settle_wholes(drafts: list[Draft], run: Run, domain: Domain) -> None:
    """``Training/Overall`` and ``Validation/Overall``: the loss, where nothing is called so and parts of a loss lie beside them."""
    if domain in {Domain.REINFORCEMENT, Domain.GAN} or any(d.role is Role.LOSS for d in drafts):
        return
    parts = {(_folder(d), d.split) for d in drafts if d.role is Role.LOSS_COMPONENT and "/" in d.tag}
    wholes = [(d, split) for d in drafts if (split := _whole_of(d, run)) is not None and (_folder(d), split) in parts]
    if {split for _, split in wholes} != {Split.TRAIN, Split.VAL} or len(wholes) != 2:
        return
    for d, split in wholes:
        d.role, d.direction, d.stem, d.split, d.extra = Role.LOSS, Direction.LOWER, "loss", split, ()
        d.why = f'"{_words(d)[-1]}", beside parts of a loss; nothing else is called loss'
        for other in drafts:
            if other.role is Role.UNKNOWN and not other.histogram and _folder(other) == _folder(d) and not _PARTS.isdisjoint(_words(other)):
                other.role, other.direction, other.stem, other.split = Role.LOSS_COMPONENT, Direction.LOWER, "_".join(_words(other)), split
                other.why = f'"{" ".join(_words(other))}", a part of {d.name}'


def _whole_of(d: Draft, run: Run) -> Split | None:
    """Split of a series of unknown meaning whose only words are those of a whole."""
    if d.role is not Role.UNKNOWN or d.histogram or d.name not in run.series or not len(run.series[d.name]):
        return None
    value = run.series[d.name].value[np.isfinite(run.series[d.name].value)]
    tenth = max(1, value.size // 10)
    if value.size and value.max() <= 1 and value[-tenth:].mean() > value[:tenth].mean():
        return None  # a share that climbs: an accuracy over all classes
    words = _words(d)
    splits = {s for t in tokenize(d.name) if (s := split_word(t)) is not None}
    return splits.pop() if words and _WHOLE.issuperset(words) and len(splits) == 1 else None


def _words(d: Draft) -> list[str]:
    return [t for t in tokenize(d.tag) if split_word(t) is None]


def _folder(d: Draft) -> str:
    return d.name.rpartition("/")[0]


_FORK = re.compile(r"^(?P<name>.+)_(step|epoch)(?P<loader>/dataloader_idx_\d+)?$")


def settle_forks(drafts: Iterable[Draft], run: Run) -> None:
    """``val_loss_step`` beside ``val_loss_epoch``: of an evaluation the mean counts. Its batches have a counter of their own."""
    means = {d.name: d for d in drafts if d.name in run.series and len(run.series[d.name]) > 1}
    for d in means.values():
        found = _FORK.match(d.name)
        if d.split not in {Split.VAL, Split.TEST} or d.role not in {Role.LOSS, Role.METRIC} or found is None or found[2] != "step":
            continue
        mean = means.get(f"{found['name']}_epoch{found['loader'] or ''}")
        if mean is not None and mean.role is d.role and mean.split is d.split:
            d.preferred = min(d.preferred, -1)
            d.why += f"; single batches, {mean.name} is their mean"
