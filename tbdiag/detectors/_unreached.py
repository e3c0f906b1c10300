"""Weight matrices that no gradient reaches, and names that say that this is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tbdiag.detectors._base import Evidence, Interval, View
from tbdiag.detectors._tails import name_some, say

ON_PURPOSE = re.compile(
    r"lora|adapter|prefix|prompt|peft|freez|frozen|backbone|pretrain|fine_?tun|linear_?prob|feature_?extract|distil|teacher|(^|[._/])base(_layer|_model)?[._/]"
)

TABLE = re.compile(r"(^|[._/])(\w*emb(ed(ding)?s?)?\w*|wte|glove|word2vec|vocab\w*)([._/]|$)")


def is_wrapped(frozen: str, moving: Iterable[str]) -> bool:
    """Whether trained parameters belong to the very module that wraps the frozen one: an adapter around kept weights."""
    around = frozen.rsplit(".", 2)[0] if frozen.count(".") >= 2 else ""
    return bool(around) and any(name.rsplit(".", 1)[0] == around for name in moving)


@dataclass(frozen=True)
class Unreached:
    """Matrices without any gradient among `layers`; `purpose` where their names or the configuration say that they are frozen by choice."""

    names: tuple[str, ...]
    layers: int
    points: int
    extent: Interval
    evidence: Evidence
    purpose: bool


def find_unreached(view: View) -> Unreached | None:
    """Matrices whose gradient is exactly zero at every point while others get one: nothing leads from the loss to them."""
    layers = [x for x in view.layers("gradient") if x.matrix and x.curve.n >= view["points"] and not x.curve.bad_step.size]
    zero = [x for x in layers if float(np.max(np.abs(x.curve.value))) == 0.0]
    if not zero or len(zero) == len(layers):
        return None
    names = tuple(x.layer for x in zero)
    words = " ".join([*names, *(x.layer for x in layers), *(f"{k} {v}" for k, v in view.signals.config.items())]).lower()
    table = all(TABLE.search(n.lower()) for n in names) and len(layers) - len(zero) >= 2
    evidence = say(
        f"The gradient of {name_some(list(names))} is exactly zero at all {{points:.0f}} logged points ({{zero:.0f}} of {{layers:.0f}} weight matrices).",
        [x.name for x in zero],
        points=float(zero[0].curve.n),
        zero=float(len(zero)),
        layers=float(len(layers)),
    )
    step = zero[0].curve.step
    extent = Interval(int(step[0]), int(step[-1]))
    moving = [x.layer for x in layers if x.layer not in names]
    purpose = bool(ON_PURPOSE.search(words)) or table or all(is_wrapped(n, moving) for n in names)
    return Unreached(names, len(layers), zero[0].curve.n, extent, evidence, purpose)
