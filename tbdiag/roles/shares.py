"""Shares of classes by shape: numbered series without a known word that together are one at every evaluation."""

from __future__ import annotations

import numpy as np

from tbdiag.model import Direction, Role, Run, Split
from tbdiag.roles.plan import Draft
from tbdiag.roles.words import tokenize

_MOST_CLASSES = 100
_OTHER_PARTS = frozenset(
    [
        "attention",
        "attn",
        "bucket",
        "component",
        "data",
        "dataset",
        "dataloader",
        "device",
        "domain",
        "expert",
        "experts",
        "gate",
        "gating",
        "head",
        "language",
        "layer",
        "level",
        "loss",
        "mix",
        "mixing",
        "mixture",
        "mode",
        "moe",
        "phase",
        "quantile",
        "rank",
        "router",
        "routing",
        "shard",
        "source",
        "stage",
        "task",
        "time",
        "token",
        "weight",
    ]
)
"""Words of what else is divided into parts of one: experts, sources of a mixture, components, time."""


def settle_unnamed_shares(drafts: list[Draft], run: Run) -> None:
    """Unknown series ``said/0``, ``said/1``, ... beside an evaluation of a classifier that sum to one are the shares of its predictions.

    Shares that never move are those of the labels. Where some word is known already nothing is looked at.
    """
    if any(d.role in {Role.PREDICTION_SHARE, Role.LABEL_SHARE} for d in drafts):
        return
    judged = [d for d in drafts if _tells_classes(d) and d.name in run.series and d.split in {Split.VAL, Split.TEST}]
    if not judged:
        return
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[Draft, str]]] = {}
    for d in drafts:
        if d.role is Role.UNKNOWN and not d.histogram and d.name in run.series and d.layer is None:
            words = tokenize(d.tag)
            if len(words) > 1 and words[-1].isdigit() and not _OTHER_PARTS & set(words):
                groups.setdefault((d.subrun, tuple(words[:-1])), []).append((d, words[-1]))
    for members in groups.values():
        if not 2 <= len(members) <= _MOST_CLASSES or len({int(ident) for _, ident in members}) < len(members):
            continue
        beside = next((j for j in judged if np.array_equal(run.series[j.name].step, run.series[members[0][0].name].step)), None)
        if beside is None or not _make_one([d for d, _ in members], run):
            continue
        moves = any(np.ptp(run.series[d.name].value) > 1e-6 for d, _ in members)
        role = Role.PREDICTION_SHARE if moves else Role.LABEL_SHARE
        for d, ident in members:
            d.role, d.split, d.direction, d.stem, d.class_id, d.extra = role, beside.split, Direction.NONE, role.value, ident, ()
            d.why = f'share of class {ident}: with the others of its name it is one at every step of "{beside.name}"'
        return


def _tells_classes(d: Draft) -> bool:
    return d.role in {Role.CONFIDENCE, Role.CLASS_METRIC} or (
        d.role is Role.METRIC and d.stem.startswith(("acc", "err", "top_1", "f1", "macro_f1"))
    )


def _make_one(members: list[Draft], run: Run) -> bool:
    """Whether series of the same steps lie within 0 and 1 and sum to one, within their rounding."""
    first = run.series[members[0].name].step
    if first.size < 2 or any(not np.array_equal(run.series[d.name].step, first) for d in members):
        return False
    values = np.array([run.series[d.name].value.astype(np.float64) for d in members])
    return bool(
        np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1 + 1e-6 and np.abs(values.sum(axis=0) - 1).max() < 0.01
    )
