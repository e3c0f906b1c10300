"""Weight matrices that no gradient reaches, and names that say that this is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tbdiag.detectors._base import Evidence, Interval, Severity, View
from tbdiag.detectors._tails import name_some, say
from tbdiag.features.tasks import uses_tensorflow

_ON_PURPOSE = re.compile(
    r"lora|adapter|prefix|prompt|peft|freez|frozen|backbone|pretrain|fine_?tun|linear_?prob|feature_?extract|distil|teacher|(^|[._/])base(_layer|_model)?[._/]"
)

_ADAPTER = re.compile(r"lora|adapter|prefix|prompt|peft|teacher|distil")
"""Words that explain frozen layers wherever they stand: what is trained beside them, or what they are."""

_HEAD = re.compile(r"(^|[._/])(\w*head|classifier|classification|logits|output_layer|fc_out)([._/]|$)")

_BASE = 8
"""Matrices from which on the first ones of a model, all of them still while what follows moves and learns, are a pretrained base that was kept.
The frozen layers of labelled faulty runs are one to three; the smallest bases in use (VGG, ResNet, BERT) have eight and more."""

_TABLE = re.compile(r"(^|[._/])(\w*emb(ed(ding)?s?)?\w*|wte|glove|word2vec|vocab\w*)([._/]|$)")


def _is_wrapped(frozen: str, moving: Iterable[str]) -> bool:
    """Whether trained parameters belong to the very module that wraps the frozen one: an adapter around kept weights."""
    around = frozen.rsplit(".", 2)[0] if frozen.count(".") >= 2 else ""
    return bool(around) and any(name.rsplit(".", 1)[0] == around for name in moving)


def _gets_gradient(view: View, name: str) -> bool:
    """Whether a gradient of the matrix of this name was logged and is never zero; prefixes of either name (``weight.``) do not count."""
    ends = (name, *(name[i + 1 :] for i, sign in enumerate(name) if sign in "./" and name[i + 1 :].count(".") + name[i + 1 :].count("/")))
    own = [x for x in view.layers("gradient") if x.matrix and x.layer in ends]
    return any(x.curve.n >= 2 and float(np.min(np.abs(x.curve.value))) > 0 for x in own)


def frozen_by_choice(view: View, frozen: Sequence[str], layers: Sequence[str]) -> bool:
    """Whether names or the configuration say that these of all `layers` are kept on purpose, which is worth no alarm.

    A table of pretrained vectors, adapters, a backbone, the first eight matrices or more of a model that learns. Where nothing but an output layer moves on top of the table, no choice of
    vectors explains it: nothing makes features. Nor does a backbone explain a head that stands still while the backbone moves and
    the loss does not get anywhere. What gets a gradient at every point was not taken out of the graph: no optimiser holds it.
    """
    if all(_gets_gradient(view, name) for name in frozen):
        return False
    words = " ".join([*layers, *(f"{k} {v}" for k, v in view.signals.config.items())]).lower()
    moving = [name for name in layers if name not in frozen]
    loss = view.curve("train_loss") or view.curve("val_loss")
    stuck = loss is not None and loss.n >= 4 and loss.drop < 0.5 * abs(loss.first)
    if stuck and not _ADAPTER.search(" ".join(layers).lower()) and moving and all(_HEAD.search(name.lower()) for name in frozen):
        return False
    base = len(frozen) >= _BASE and list(layers[: len(frozen)]) == list(frozen) and not stuck
    table = all(_TABLE.search(name.lower()) for name in frozen) and len(moving) >= 2
    return bool(_ON_PURPOSE.search(words)) or table or base or all(_is_wrapped(name, moving) for name in frozen)


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
    evidence = say(
        f"The gradient of {name_some(list(names))} is exactly zero at all {{points:.0f}} logged points ({{zero:.0f}} of {{layers:.0f}} weight matrices).",
        [x.name for x in zero],
        points=float(zero[0].curve.n),
        zero=float(len(zero)),
        layers=float(len(layers)),
    )
    step = zero[0].curve.step
    extent = Interval(int(step[0]), int(step[-1]))
    purpose = frozen_by_choice(view, names, [x.layer for x in layers])
    return Unreached(names, len(layers), zero[0].curve.n, extent, evidence, purpose)


def unfreeze(view: View, target: str, severity: Severity) -> str:
    """First action: give the optimiser what it does not hold, in the words of the framework."""
    if target not in ("the model", "the frozen layers"):
        action = f"Print the largest change of every parameter after one step, and give the optimiser the parameters of {target}"
    elif uses_tensorflow(view.features):
        action = f"Set trainable for all of {target} that should be trained, and compile the model again."
    else:
        action = f"Set requires_grad for all parameters of {target} that should be trained and build the optimiser from model.parameters() again."
    return action if severity is not Severity.NOTE else f"Where this was not meant: {action[0].lower()}{action[1:]}"
