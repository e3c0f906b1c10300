"""Features of a run of which only the report is left: decimated curves with the figures that the report keeps of all points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tbdiag.features import CurveFacts, Features
from tbdiag.model import Axis, Direction, Domain, EventFile, ReadIssue, Role, Run, Scale, Series, Signal, Signals, Split
from tbdiag.model.signals import SPLIT_ROLES
from tbdiag.stats.noise import Noise


@dataclass(frozen=True, eq=False)
class StoredCurve(CurveFacts):
    """A decimated curve that answers with what was measured on all points wherever the report kept it."""

    kept: Mapping[str, Any]

    def _kept(self, key: str, otherwise: float) -> float:
        value = self.kept.get(key)
        return otherwise if value is None else float(value)

    @cached_property
    def noise(self) -> Noise:
        """Noise of all points, as the report keeps it."""
        base = super().noise
        return Noise(self._kept("noise", base.sigma), base.r1, base.quantum, base.n_eff)

    @cached_property
    def first_cost(self) -> float:
        """First cost of all points."""
        return self.sign * self._kept("first", self.sign * super().first_cost)

    @cached_property
    def end_cost(self) -> float:
        """End cost of all points."""
        return self.sign * self._kept("end", self.sign * super().end_cost)

    @property
    def best_cost(self) -> float:
        """Best cost of all points."""
        return self.sign * self._kept("best", self.sign * super().best_cost)

    @property
    def best_step(self) -> int:
        """Step of the best of all points."""
        return int(self._kept("best_step", super().best_step))


class StoredFeatures(Features):
    """Features made of a report. `log_values` are the statistics of the log that a report can tell; others are unknown."""

    def __init__(self, signals: Signals, kept: Mapping[str, Mapping[str, Any]], log_values: Mapping[str, float]) -> None:
        super().__init__(signals)
        self.kept = kept
        self.log_values = log_values

    def of(self, signal: Signal) -> CurveFacts:
        """Facts of a stored curve; of a derived series as `Features` makes them."""
        facts = super().of(signal)
        kept = self.kept.get(signal.name)
        if kept is None or isinstance(facts, StoredCurve):
            return facts
        known = {name: getattr(facts, name) for name in CurveFacts.__dataclass_fields__}
        stored = StoredCurve(**(known | {"total": int(kept["n"])}), kept=kept)
        self._by_name[signal.name] = stored
        return stored


def features_of_report(run: Mapping[str, Any]) -> StoredFeatures:
    """Features of one run of a report (an entry of ``report["runs"]``). Histograms cannot be had back from a report."""
    rows = {row["tag"]: row for row in run.get("signals", ())}
    signals, series, kept = [], {}, {}
    for curve in run.get("curves", ()):
        made = _series(curve)
        series[made.name] = made
        kept[made.name] = curve
        signals.append(_signal(curve, made, rows.get(curve["tag"], {})))
    issues = tuple(ReadIssue(i["kind"], i["file"], i["message"], damage=i.get("damage", True)) for i in run.get("read_issues", ()))
    config = {k: v["value"] if isinstance(v, Mapping) else v for k, v in run.get("config", {}).items()}
    span = run.get("span", {})
    files = tuple(EventFile(f"{i}", 0, 0, 1) for i in range(int(span.get("files") or 0)))
    made_run = Run(name=run["name"], path=run.get("path", ""), series=series, issues=issues, files=files)
    classes = config.get("classes")
    made_signals = Signals(
        run=made_run,
        all=tuple(signals),
        domain=_member(Domain, run.get("domain"), Domain.SUPERVISED),
        framework=str(run.get("framework", "")),
        config=config,
        classes=int(classes) if isinstance(classes, (int, float)) and not isinstance(classes, bool) else None,
        epoch_steps=np.asarray(run.get("epoch_steps", ()), dtype=np.int64) if run.get("epoch_steps") else None,
    )
    return StoredFeatures(made_signals, kept, _log_values(run, issues))


def _log_values(run: Mapping[str, Any], issues: tuple[ReadIssue, ...]) -> dict[str, float]:
    span = run.get("span", {})
    values = {
        "crc_errors": sum(i.kind in ("truncated", "corrupt", "bad-record", "shrunk") for i in issues),
        "empty_files": sum(i.kind in ("empty-file", "no-records") for i in issues),
        "damaged": sum(i.damage for i in issues),
        "restarts": span.get("restarts"),
        "points": span.get("points"),
        "last_step": span.get("last_step"),
        "series": None if span.get("series") is None else span["series"] + (span.get("histogram_series") or 0),
        "settings": len(run.get("config", {})),
    }
    values |= {f"has_{m['id'].replace('-', '_')}": m["present"] for m in run.get("missing_evidence", ())}
    return {k: float(v) for k, v in values.items() if v is not None}


def _series(curve: Mapping[str, Any]) -> Series:
    steps = np.asarray(curve["steps"], dtype=np.int64)
    values = np.asarray([np.nan if v is None else v for v in curve["values"]], dtype=np.float64)
    known = {s: {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}.get(name, np.nan) for s, name in curve.get("nonfinite", ())}
    finite = np.isfinite(values)
    # Points that were not finite may have been left out by the decimation: they are put back beside those that stayed.
    extra = np.asarray(sorted(set(known) - set(steps[~finite].tolist())), dtype=np.int64)
    steps = np.concatenate((steps, extra))
    values = np.concatenate((values, np.asarray([known[int(s)] for s in extra], dtype=np.float64)))
    order = np.argsort(steps, kind="stable")
    start, end = curve.get("first_wall_time"), curve.get("last_wall_time")
    span = float(steps.max() - steps.min()) if steps.size else 0.0
    share = (steps[order] - steps.min()) / span if span else np.zeros(steps.size)
    clock = np.full(steps.size, np.nan) if start is None or end is None else start + share * (end - start)
    return Series(tag=curve["tag"], subrun="", step=steps[order], wall_time=clock, value=values[order])


def _signal(curve: Mapping[str, Any], series: Series, row: Mapping[str, Any]) -> Signal:
    split = _member(Split, curve.get("split"), Split.NONE)
    key = str(curve["role"])
    plain = key.removeprefix(f"{split.value}_") if split is not Split.NONE else key
    role = _member(Role, plain, Role.UNKNOWN)
    if role is Role.UNKNOWN or role not in SPLIT_ROLES:
        role = _member(Role, key, role)
    return Signal(
        name=series.name,
        role=role,
        split=split,
        direction=_member(Direction, curve.get("direction"), Direction.NONE),
        stem=str(curve.get("stem", "")),
        why=str(row.get("why", "from an earlier report")),
        series=series,
        scale=_member(Scale, row.get("scale"), Scale.UNKNOWN),
        axis=_member(Axis, curve.get("axis"), Axis.STEP),
        layer=curve.get("layer"),
        depth=curve.get("depth"),
        main=bool(curve.get("main")),
    )


def _member(kind: Any, value: object, otherwise: Any) -> Any:
    return next((m for m in kind if m.value == value), otherwise)
