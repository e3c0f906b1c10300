"""The next untried rung of a finding's ladder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LEVERS: dict[str, tuple[str, ...]] = {
    "rate": ("learning rate", "learning_rate", " lr", "lr "),
    "schedule": ("schedule", "warm-up", "warmup", "warm up", "decay to", "total_steps"),
    "clip": ("clip",),
    "regularise": ("weight decay", "weight_decay", "dropout", "regularis", "regulariz"),
    "stop": ("early stop", "stop early"),
    "batch": ("batch size", "batch_size"),
    "normalise": ("normalis", "normaliz", "standardis", "standardiz", "input scal"),
    "precision": ("precision", "fp32", "bf16", "fp16", "loss scal", "mixed"),
    "capacity": ("capacity", "smaller model", "larger model", "wider", "deeper", "units", "hidden"),
    "longer": ("longer", "more steps", "more epochs", "train on", "continue", "resume"),
    "data": ("more data", "augment"),
    "split": ("split", "leak", "duplicat"),
    "labels": ("label",),
    "class weights": ("class-weight", "class weight", "resampl", "oversampl", "weighted loss"),
    "initialise": ("initialis", "initializ", " init"),
    "stable loss": ("logits", "stable loss", "numerically stable"),
    "tiny overfit": ("tiny", "overfit one batch", "32", "64 sample"),
    "trainable": ("trainable", "requires_grad", "requires-grad", "frozen"),
    "gradients": ("inspect gradient", "gradient norms per layer", "per-layer gradient"),
    "shuffle": ("shuffl",),
    "activation": ("activation", "relu", "gelu"),
}
"""What an action takes hold of, and the words by which a sentence or a setting's name shows it."""


def levers(text: str) -> frozenset[str]:
    """What a sentence takes hold of."""
    padded = f" {text.lower().replace('-', ' ')} "
    return frozenset(name for name, words in LEVERS.items() if any(w.replace("-", " ") in padded for w in words))


def next_rung(finding: Mapping[str, Any], changed: Sequence[str] = (), tried: Sequence[str] = ()) -> str | None:
    """The first rung of the finding's ladder that was not tried yet, or None where the ladder has ended.

    Tried are the first action, the settings that changed, and the actions in `tried` (from a journal). A rung counts as tried
    where everything that it takes hold of was taken hold of before; one without a known lever is compared by its words.
    """
    actions = [finding["first_action"], *(key.replace("_", " ") for key in changed), *tried]
    held: frozenset[str] = frozenset().union(*map(levers, actions))
    said = {" ".join(a.lower().split()).rstrip(".") for a in (finding["first_action"], *tried)}
    for rung in finding.get("fixes", ()):
        hold = levers(rung)
        known = " ".join(rung.lower().split()).rstrip(".") in said
        if not known and not (hold and hold <= held):
            return str(rung)
    return None
