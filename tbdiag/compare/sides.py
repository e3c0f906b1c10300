"""One side of a comparison: the runs of a logdir, read and judged, or of an earlier report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tbdiag.errors import LogdirError, UsageError
from tbdiag.features import Features
from tbdiag.success.stored import features_of_report

if TYPE_CHECKING:
    from tbdiag.config import Config

REPORT_SUFFIXES = (".json", ".html", ".htm")
MOST_PARTS = 4
"""Parts of a path that a label holds at most."""


@dataclass(frozen=True, slots=True, eq=False)
class SideRun:
    """One run of a side: its report as plain data, and its features (of all points, or of a report's curves)."""

    name: str
    data: Mapping[str, Any]
    features: Features
    whole: bool

    @property
    def findings(self) -> Sequence[Mapping[str, Any]]:
        """Findings of the run's report."""
        return list(self.data.get("findings", ()))

    def finding(self, finding_id: str) -> Mapping[str, Any] | None:
        """The run's finding with this id, or None."""
        return next((f for f in self.findings if f["id"] == finding_id), None)

    @property
    def readable(self) -> bool:
        """Whether anything of the run could be read."""
        return self.data.get("verdict") != "unreadable"


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A side: a short label for people, its runs by name, and the report that they stand in."""

    label: str
    runs: tuple[SideRun, ...]
    report: Mapping[str, Any]
    from_report: bool


def load_side(path: str, config: Config | None = None) -> Side:
    """Read one side: a report (``.json``, ``.html``) or a logdir, whose runs are judged.

    Raises:
        LogdirError: nothing is there, or nothing of it can be read.
        ReportError: the file holds no report.
    """
    place = Path(path)
    if place.is_file() and place.suffix.lower() in REPORT_SUFFIXES and "tfevents" not in place.name:
        return _load_report(place)
    if "://" not in path and not place.exists():
        raise LogdirError(f"{path} does not exist: give a logdir, an event file, or an earlier report (.json or .html)")
    return _load_logdir(path, config)


def load_sides(paths: Sequence[str], config: Config | None = None) -> list[Side]:
    """`load_side` of several paths, with labels that tell them apart: ``a/version_0`` and ``b/version_0``."""
    sides = [load_side(path, config) for path in paths]
    for parts in range(1, MOST_PARTS + 1):
        labels = ["/".join(Path(path).parts[-parts:]) or path for path in paths]
        if len(set(labels)) == len({str(Path(path)) for path in paths}):
            return sides if parts == 1 else [replace(side, label=label) for side, label in zip(sides, labels, strict=True)]
    return sides


def _load_report(place: Path) -> Side:
    from tbdiag.render import load_report

    report = load_report(place)
    runs = tuple(SideRun(str(run["name"]), run, features_of_report(run), False) for run in report["runs"])
    return Side(place.name, runs, report, True)


def _load_logdir(path: str, config: Config | None) -> Side:
    from tbdiag.config import Config
    from tbdiag.diagnosis import build_report, diagnose_run
    from tbdiag.logs import iter_runs
    from tbdiag.roles import resolve

    settings = config or Config()
    judged, features = [], {}
    for run in iter_runs([path]):
        judged.append(diagnose_run(run, settings))
        features[run.name] = Features(resolve(run, settings))
    report = build_report(judged, config=settings).to_dict()
    runs = tuple(SideRun(data["name"], data, features[data["name"]], True) for data in report["runs"])
    return Side(Path(path).name or path, runs, report, False)


def match_runs(before: Side, after: Side, pairs: Sequence[str] = ()) -> tuple[list[tuple[SideRun, SideRun | None]], list[SideRun]]:
    """Pairs of runs in order of the earlier side's names, and the later runs that no earlier one was matched with.

    One run a side match whatever their names; several match by name. `pairs` holds ``OLD=NEW`` by which the user matches runs.

    Raises:
        UsageError: a pair is malformed or names a run that is not there.
    """
    old = {run.name: run for run in before.runs}
    new = {run.name: run for run in after.runs}
    partner: dict[str, str] = {}
    for pair in pairs:
        left, right = _split_pair(pair, old, new)
        partner[left] = right
    free_old, free_new = [n for n in old if n not in partner], [n for n in new if n not in partner.values()]
    if len(free_old) == 1 and len(free_new) == 1:
        partner[free_old[0]] = free_new[0]
    for name in free_old:
        if name not in partner and name in free_new:
            partner[name] = name
    matched = [(old[name], new.get(partner.get(name, ""))) for name in sorted(old)]
    taken = set(partner.values())
    return matched, [new[name] for name in sorted(new) if name not in taken]


def _split_pair(pair: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, str]:
    for at in (i for i, c in enumerate(pair) if c == "="):
        if pair[:at] in old and pair[at + 1 :] in new:
            return pair[:at], pair[at + 1 :]
    if "=" not in pair:
        raise UsageError(f"--match {pair}: write OLD=NEW, the names of two runs")
    left = pair.split("=", 1)[0]
    known, side = (new, "later") if left in old else (old, "earlier")
    raise UsageError(f"--match {pair}: no such run on the {side} side; its runs are {', '.join(sorted(known)[:8]) or 'none'}")
