"""Conventions of frameworks as data, and how the one that wrote a log is recognised. One file a framework in `conventions/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from tbdiag.model import Axis, Direction, Domain, Role, Scale, Split, Writer


@dataclass(frozen=True, slots=True)
class Tag:
    """What one tag (or a glob of tags) means in a framework; only what is given replaces what the words of the tag say.

    Attributes:
        pattern: ``tag`` or ``subrun::tag``; ``*`` stands for anything, case does not matter.
        main: True makes it the first choice of its key, False keeps it from being chosen.
    """

    pattern: str
    role: Role | None = None
    split: Split | None = None
    direction: Direction | None = None
    stem: str | None = None
    scale: Scale | None = None
    axis: Axis | None = None
    sub_kind: str | None = None
    main: bool | None = None
    writer: Writer | None = None
    layer: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Convention:
    """How one framework names what it logs.

    Attributes:
        name: the framework's name as reports say it.
        source: file(s) of the framework's repository that the facts come from.
        signs: glob over series names (``subrun/tag``) -> weight; the sum over the globs that match something is the score, 1 is enough.
        tags: meanings, first match wins; what none matches is read by the general rules.
        axis: unit of the step column where a tag does not say otherwise.
        domain: kind of training, where the framework implies it.
        writer: what the framework does to the values of every series whose tag entry names no other (a window of 0: the logging interval).
        losses_sum: no total loss is logged; the sum of the components of a split stands for it.
        notes: traps, for the documentation.
    """

    name: str
    source: str
    signs: Mapping[str, float]
    tags: tuple[Tag, ...] = ()
    axis: Axis = Axis.STEP
    domain: Domain | None = None
    writer: Writer = field(default_factory=Writer)
    losses_sum: bool = False
    notes: str = ""


def matches(pattern: str, name: str) -> bool:
    """Whether a glob (``*`` only, lower case) matches a lower-case name; no regular expression is compiled."""
    if "*" not in pattern:
        return pattern == name
    head, *middle, tail = pattern.split("*")
    if not name.startswith(head) or len(name) < len(head) + len(tail):
        return False
    at = len(head)
    for piece in middle:
        found = name.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(name) - len(tail) >= at and name.endswith(tail)


@lru_cache(maxsize=1)
def load_conventions() -> tuple[Convention, ...]:
    """Every convention of the `conventions` package, in order of name."""
    import importlib
    import pkgutil

    from tbdiag.roles import conventions

    found: list[Convention] = []
    for info in pkgutil.iter_modules(conventions.__path__):
        module = importlib.import_module(f"{conventions.__name__}.{info.name}")
        found.extend(getattr(module, "CONVENTIONS", None) or (module.CONVENTION,))
    return tuple(sorted(found, key=lambda c: c.name.lower()))


@lru_cache(maxsize=4096)
def recognise(names: frozenset[str]) -> tuple[Convention | None, float]:
    """The convention with the highest score for a run's lower-case series names, and the score; None below 1."""
    best: Convention | None = None
    top = 0.0
    together = "\n".join(sorted(names))
    for convention in load_conventions():
        score = sum(weight for sign, weight in convention.signs.items() if _present(sign, names, together))
        if score >= 1.0 and score > top:
            best, top = convention, score
    return best, top


def _present(sign: str, names: frozenset[str], together: str) -> bool:
    """Whether a sign matches any name; `together` is all of them in one text, to rule out most globs at once."""
    if "*" not in sign:
        return sign in names
    if any(piece not in together for piece in sign.split("*") if piece):
        return False
    return any(matches(sign, name) for name in names)


@lru_cache(maxsize=65536)
def find_tag(convention: Convention, subrun: str, tag: str) -> Tag | None:
    """First entry of a convention that matches a lower-case sub-run and tag."""
    name = f"{subrun}/{tag}" if subrun else tag
    for entry in convention.tags:
        pattern = entry.pattern.lower()
        if "::" in pattern:
            where, what = pattern.split("::", 1)
            if matches(where, subrun) and matches(what, tag):
                return entry
        elif matches(pattern, tag) or matches(pattern, name):
            return entry
    return None
