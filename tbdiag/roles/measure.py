"""What the reading of one tag is made of: the `Reading` itself, and the words that several rules share."""

from __future__ import annotations

from dataclasses import dataclass

from tbdiag.model import Axis, Direction, Role, Split

Tokens = tuple[str, ...]

PARAMETER_WORDS = frozenset(
    {"weight", "weights", "bias", "biases", "kernel", "gamma", "beta", "embedding", "embeddings", "param", "params", "parameters"}
)
CLASS_WORDS = frozenset({"class", "classes", "cls", "category", "label"})


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
