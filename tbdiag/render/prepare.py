"""Report or its plain dict -> the plain dict that renderers read: complete keys, no private names, a bounded number of points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tbdiag.errors import ReportError
from tbdiag.model.report import VERIFY, verify_command
from tbdiag.render.decimate import keep_extremes
from tbdiag.render.privacy import scrub

POINTS = 400
"""Most points of a curve; what the report's curves hold."""

_RUN_DEFAULTS: dict[str, Any] = {
    "path": "",
    "status": "ended",
    "headline": "",
    "span": {},
    "config": {},
    "findings": [],
    "next_experiment": None,
    "note": None,
    "signals": [],
    "curves": [],
    "checks": [],
    "missing_evidence": [],
    "read_issues": [],
    "best_checkpoint": None,
    "histograms": [],
    "domain": "supervised",
    "framework": "",
    "own_rules": [],
    "epoch_steps": [],
}
_FINDING_DEFAULTS: dict[str, Any] = {
    "confidence": 0.0,
    "onset": None,
    "extent": None,
    "drawn_onset": None,
    "drawn_extent": None,
    "onset_axis": "",
    "evidence": [],
    "causes": [],
    "first_check": "",
    "first_action": "",
    "fixes": [],
    "success_rule": None,
    "caused_by": None,
    "caused_by_why": "",
    "fingerprint": "",
    "roles": [],
    "chain": [],
}
_CURVE_DEFAULTS: dict[str, Any] = {
    "n": 0,
    "noise": None,
    "best": None,
    "best_step": None,
    "end": None,
    "first": None,
    "split": "none",
    "direction": "none",
    "stem": "",
    "main": False,
    "layer": None,
    "depth": None,
    "axis": "step",
    "log_scale": False,
    "nonfinite": [],
}


def plain(report: Any) -> dict[str, Any]:
    """The plain dict of a report (object or dict), with every key that renderers use.

    Raises:
        ReportError: it is no report, or of a schema version that this program does not know.
    """
    data = report.to_dict() if hasattr(report, "to_dict") else report
    if not isinstance(data, Mapping) or not isinstance(data.get("runs"), list):
        raise ReportError("not a tbdiag report: it has no list of runs")
    version = str(data.get("schema_version", ""))
    if version.split(".", maxsplit=1)[0] != "1":
        raise ReportError(f"report has schema version {version or 'none'}, this tbdiag reads 1.x: update tbdiag")
    runs: list[dict[str, Any]] = []
    out: dict[str, Any] = {
        "schema_version": version,
        "tool": dict(data.get("tool") or {}),
        "runs": runs,
        "problems": list(data.get("problems") or []),
    }
    for run in data["runs"]:
        if not isinstance(run, Mapping) or "name" not in run or "verdict" not in run:
            raise ReportError("not a tbdiag report: a run has no name or no verdict")
        full = {**_RUN_DEFAULTS, **run}
        full["findings"] = [{**_FINDING_DEFAULTS, **f} for f in full["findings"]]
        full["curves"] = [{**_CURVE_DEFAULTS, **c} for c in full["curves"]]
        runs.append(full)
    return out


def prepare(report: Any, *, show_paths: bool = False) -> dict[str, Any]:
    """`plain`, without host names, user names and home directories unless `show_paths`."""
    data = plain(report)
    if show_paths:
        return data
    cleaned: dict[str, Any] = scrub(data)
    return cleaned


def name_file(report: dict[str, Any], file: str) -> dict[str, Any]:
    """The report with the name of a saved report in the commands that read one."""
    runs = []
    for run in report["runs"]:
        chosen = run["next_experiment"]
        if chosen and str(chosen.get("command") or "").startswith(VERIFY):
            chosen = {**chosen, "command": verify_command(file)}
        runs.append({**run, "next_experiment": chosen})
    return {**report, "runs": runs}


def with_points(report: dict[str, Any], limit: int) -> dict[str, Any]:
    """The report with at most `limit` points a curve, each value at the seven digits that a float32 has."""
    runs = [{**run, "curves": [_reduced(c, limit) for c in run["curves"]]} for run in report["runs"]]
    return {**report, "runs": runs}


_FEW = 48
"""Below so many numbers numpy is no quicker."""


def _reduced(curve: dict[str, Any], limit: int) -> dict[str, Any]:
    steps, values = curve["steps"], curve["values"]
    if len(values) > limit:
        kept = keep_extremes(values, limit)
        steps, values = [steps[i] for i in kept], [values[i] for i in kept]
    return {**curve, "steps": list(steps), "values": _seven_digits(values)}


def _seven_digits(values: list[float | None]) -> list[float | None]:
    if None in values:
        return [None if v is None else float(f"{v:.7g}") for v in values]
    if len(values) < _FEW:
        return [float(f"{v:.7g}") for v in values]
    import numpy as np

    from tbdiag.model.rounding import round_to_seven_digits

    rounded: list[float | None] = round_to_seven_digits(np.array(values, dtype=np.float64)).tolist()
    return rounded


__all__ = ["POINTS", "name_file", "plain", "prepare", "with_points"]
