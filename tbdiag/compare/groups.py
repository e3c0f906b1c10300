"""Which runs of two sides are compared: by name, with seeds of one configuration together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tbdiag.compare.changes import is_relevant, same_value
from tbdiag.compare.sides import Side, SideRun, match_runs

_SEED = re.compile(r"(?i)(?:^|(?<=[/_.\- ]))(?:seed|rng|trial|repeat|rep|replicate|fold|run|version|s)[_\-=.]?\d+(?=$|[/_.\- ])")
_NUMBER = re.compile(r"(?:^|(?<=/))\d+(?=$|/)")


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Runs of both sides that are compared with each other: several a side are seeds of one configuration."""

    name: str
    base: tuple[SideRun, ...]
    head: tuple[SideRun, ...]


def seed_free(name: str) -> str:
    """A run's name without what tells its seed: ``exp/seed_3`` and ``exp/seed_4`` are the same configuration."""
    return re.sub(r"[/_.\- ]{2,}", "/", _NUMBER.sub("", _SEED.sub("", name))).strip("/_.- ")


def make_groups(base: Side, head: Side, match: Sequence[str] = (), *, seeds: bool = False) -> tuple[list[Group], list[str]]:
    """Groups in order of name, and the names of runs that have no partner on the other side.

    Args:
        base, head: the sides.
        match: ``OLD=NEW`` pairs of run names, which are then compared one to one.
        seeds: all runs of a side are seeds of one configuration.

    Raises:
        UsageError: a pair is malformed or names a run that is not there.
    """
    if match:
        return _one_to_one(*match_runs(base, head, match))
    if seeds:
        return [Group("all runs", base.runs, head.runs)], []
    left, right = _by_configuration(base.runs), _by_configuration(head.runs)
    if len(left) == 1 and len(right) == 1:
        left_name, right_name = next(iter(left)), next(iter(right))
        return [Group(left_name or right_name or "run", tuple(left[left_name]), tuple(right[right_name]))], []
    if _name_by_name(base, head):
        return _one_to_one(*match_runs(base, head))
    groups = [Group(name or "run", tuple(left[name]), tuple(right[name])) for name in sorted(set(left) & set(right))]
    lonely = [run.name for side, other in ((left, right), (right, left)) for name in sorted(set(side) - set(other)) for run in side[name]]
    return groups, lonely


def _one_to_one(pairs: Sequence[tuple[SideRun, SideRun | None]], extra: Sequence[SideRun]) -> tuple[list[Group], list[str]]:
    """A group for each pair of runs, and the names of those without a partner."""
    groups = [Group(a.name, (a,), (b,)) for a, b in pairs if b is not None]
    return groups, [a.name for a, b in pairs if b is None] + [run.name for run in extra]


def _name_by_name(base: Side, head: Side) -> bool:
    """Several configurations a side, none with more than one run: names decide."""
    return all(len(runs) == 1 for side in (base, head) for runs in _by_configuration(side.runs).values())


def _by_configuration(runs: Sequence[SideRun]) -> dict[str, list[SideRun]]:
    """Runs by name without seed; a name whose runs differ in a relevant setting keeps its runs apart."""
    found: dict[str, list[SideRun]] = {}
    for run in sorted(runs, key=lambda r: r.name):
        found.setdefault(seed_free(run.name), []).append(run)
    out: dict[str, list[SideRun]] = {}
    for name, many in found.items():
        if all(_same_settings(many[0], run) for run in many[1:]):
            out[name] = many
        else:
            out.update({run.name: [run] for run in many})
    return out


def _same_settings(a: SideRun, b: SideRun) -> bool:
    x, y = a.features.signals.config, b.features.signals.config
    return all(same_value(x[k], y[k]) for k in set(x) & set(y) if is_relevant(k))
