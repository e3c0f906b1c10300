"""One measure, one stem: words that only say which part of the data a main series was taken from do not make two measures of it."""

from __future__ import annotations

from collections.abc import Iterable

from tbdiag.model import Role, Split
from tbdiag.roles.plan import Draft
from tbdiag.roles.words import tokenize

_PARTS = frozenset(
    [
        *(
            "minibatch",
            "microbatch",
            "microstep",
            "mini",
            "micro",
            "mb",
            "batch",
            "step",
            "steps",
            "iter",
            "pass",
            "epoch",
            "running",
            "online",
        ),
        *("aggregated", "aggregate", "avg", "mean", "set", "data", "seen", "unseen", "stream", "phase", "determined", "a", "b", "t", "v"),
    ]
)
"""``minibatch_loss`` beside ``heldout_loss``, ``Loss on unseen data``: of what, and not what, was measured."""


def align_stems(drafts: Iterable[Draft]) -> None:
    """Give the main losses, and the main metrics, of training and validation one stem where they differ in such words only.

    So do words that both tags hold, as the name of the experiment: ``baseline_v3/loss`` beside ``baseline_v3/validation/loss``.
    """
    mains = {(d.role, d.split): d for d in drafts if d.main and d.role in {Role.LOSS, Role.METRIC}}
    for role in (Role.LOSS, Role.METRIC):
        train, val = mains.get((role, Split.TRAIN)), mains.get((role, Split.VAL))
        if train is None or val is None or train.stem == val.stem or train.direction is not val.direction:
            continue
        one, other = train.stem.split("_"), val.stem.split("_")
        shared = set(tokenize(f"{train.subrun}/{train.tag}")) & set(tokenize(f"{val.subrun}/{val.tag}"))
        apart = set(one) ^ set(other)
        common = "_".join(dict.fromkeys(w for w in one if w in set(other)))
        if common and apart <= _PARTS | shared:
            for d in (train, val):
                d.why += f'; both splits log the "{common.replace("_", " ")}"'
                d.stem = common
