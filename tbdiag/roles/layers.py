"""Depth of layers: position from the input, so that vanishing and exploding can be told from first to last layer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tbdiag.model import Role

if TYPE_CHECKING:
    from tbdiag.roles.plan import Draft

LAYERED = (
    Role.LAYER_GRAD_NORM,
    Role.LAYER_WEIGHT_NORM,
    Role.UPDATE_RATIO,
    Role.ACTIVATION_STAT,
    Role.WEIGHT_HISTOGRAM,
    Role.GRADIENT_HISTOGRAM,
    Role.ACTIVATION_HISTOGRAM,
)
_FRONT = re.compile(r"(^|[._/])(emb|embed|embedding|embeddings|wte|wpe|stem|patch_embed|input|in_proj_first|conv_in|tok)", re.IGNORECASE)
_BACK = re.compile(
    r"(^|[._/])(head|lm_head|classifier|cls_head|output_layer|out_layer|logits|fc_out|conv_out|predictions|pred|out)([._/]|$)",
    re.IGNORECASE,
)
_DECODER = re.compile(r"(^|[._/])(decoder|dec|up|ups|upsample)", re.IGNORECASE)
_NUMBER = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts ``layer2`` before ``layer10``."""
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p.lower()) for p in _NUMBER.split(name) if p)


def sort_layers(names: Iterable[str]) -> list[str]:
    """Layer names from input to output.

    The order in which they were first logged is the order of the model's parameters, unless it is merely alphabetical; then
    embeddings come first, heads last, and numbers count as numbers.
    """
    seen = list(dict.fromkeys(names))
    if len(seen) > 2 and seen != sorted(seen) and seen != sorted(seen, key=str.lower):
        first = [i for i, n in enumerate(seen) if _FRONT.search(n)]
        if not first or first[0] == 0 or not _BACK.search(seen[0]):
            return seen
    return sorted(seen, key=lambda n: (_stage(n), natural_key(n)))


def _stage(name: str) -> int:
    if _BACK.search(name):
        return 3
    if _DECODER.search(name):
        return 2
    return 0 if _FRONT.search(name) else 1


def order_layers(drafts: list[Draft]) -> None:
    """Give every layered draft the depth of its layer among the layers of its role; folders that all layers share are dropped."""
    layered = [d for d in drafts if d.role in LAYERED and d.layer]
    while layered and len({d.layer for d in layered}) > 1:
        heads = {(d.layer or "").partition("/")[0] if "/" in (d.layer or "") else None for d in layered}
        if len(heads) != 1 or None in heads:
            break
        for d in layered:
            d.layer = (d.layer or "").partition("/")[2]
    for role in LAYERED:
        group = [d for d in drafts if d.role is role and d.layer]
        depth = {layer: i for i, layer in enumerate(sort_layers([d.layer for d in group if d.layer]))}
        for d in group:
            d.depth = depth[d.layer or ""]
