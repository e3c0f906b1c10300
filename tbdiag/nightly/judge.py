"""One run in a worker: read, judge, reduce to what the state keeps."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tbdiag.model.report import to_plain
from tbdiag.nightly.naming import show_name
from tbdiag.nightly.tasks import FoundRow, Judgement, Setup, Task

if TYPE_CHECKING:
    from tbdiag.model import Curve, Finding, Run, RunReport

SPARK_POINTS = 28
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_OWNER_KEYS = ("owner", "user", "username", "author")
_EXPERIMENT_KEYS = ("experiment", "experiment_name", "exp_name", "run_group", "group")
_SPARK_ROLES = ("val_loss", "train_loss", "val_metric", "reward", "train_reward", "train_metric")


def judge_run(task: Task, setup: Setup) -> Judgement:
    """Read and judge one run."""
    from tbdiag.diagnosis import diagnose_run, live_until
    from tbdiag.nightly.source import read_listed

    run, head = read_listed(task.listing, setup.columns, setup.now)
    until = live_until(run)
    report = diagnose_run(run, setup.config, now=setup.now, views="always" if setup.reports == "all" else "findings")
    verdict, was_live, headline = report.verdict, report.status == "live", report.headline
    if verdict == "unreadable" and (begun := _has_begun(run, task, setup.now)) is not None:
        verdict, was_live, until, headline = "unclear", True, begun, f"{run.name}: nothing written yet"
    return Judgement(
        verdict=verdict,
        headline=show_name(headline),
        findings=tuple(_reduce(f) for f in report.findings),
        first_write=min(_writes(run), default=None),
        last_write=find_last_write(run),
        live_until=until,
        was_live=was_live,
        last_step=int(report.span.get("last_step") or 0),
        ending=how_it_ends(run, report),
        points=sum(len(s) for s in run.series.values()),
        spark=draw_spark(report.curves, _telling(report)),
        head=head,
        names=_names(run.hparams, report.config),
        report=_render(report, setup),
    )


def _has_begun(run: Run, task: Task, now: float) -> float | None:
    """Until when a run without a whole record may just have begun: its files are new and hold no damage; None otherwise."""
    from tbdiag.diagnosis.assemble import LIVE_SECONDS

    if any(i.damage and i.kind not in ("empty-file", "no-records", "truncated") for i in run.issues):
        return None
    until: float = max((f.mtime_ns for f in task.listing.files), default=0) / 1e9 + LIVE_SECONDS
    return until if now <= until else None


def judge_rules(task: Task, setup: Setup) -> tuple[tuple[int, str, str, str], ...]:
    """Judge success rules of earlier runs' findings on this run: ``(run, finding, outcome, why)`` each."""
    from tbdiag.features import Features
    from tbdiag.nightly.source import read_listed
    from tbdiag.roles import resolve
    from tbdiag.success import check, rule_from_dict

    features = Features(resolve(read_listed(task.listing, setup.columns, setup.now)[0], setup.config))
    earlier: dict[int, Features | None] = {}
    out = []
    for run, finding, text in task.rules:
        if run not in earlier:
            before = task.earlier.get(run)
            read = read_listed(before, None, setup.now)[0] if before is not None else None
            earlier[run] = Features(resolve(read, setup.config)) if read is not None and read.readable else None
        result = check(rule_from_dict(json.loads(text)), features, earlier[run])
        out.append((run, finding, result.status.value, show_name(result.reason)))
    return tuple(out)


def draw_spark(curves: Iterable[Curve], telling: Iterable[str]) -> str:
    """The most telling curve as `SPARK_POINTS` base-36 characters, bottom to top, ``-`` where nothing finite was logged.

    Steps are spread evenly over the width; each character is the last value at or before its place, so a late NaN shows as a gap.
    """
    wanted = [*telling, *_SPARK_ROLES]
    candidates = [c for c in curves if c.n > 1 and c.role in wanted]
    if not candidates:
        return ""
    curve = min(candidates, key=lambda c: (wanted.index(c.role), not c.main, c.tag))
    steps = np.asarray(curve.steps, dtype=np.float64)
    value = np.array([math.nan if v is None else v for v in curve.values], dtype=np.float64)
    finite = np.isfinite(value)
    if not finite.any():
        return "-" * SPARK_POINTS
    place = np.searchsorted(steps, np.linspace(steps[0], steps[-1], SPARK_POINTS), side="right") - 1
    shown = value[place]
    if curve.log_scale:
        shown = np.log(np.where(shown > 0, shown, np.nan))
    good = np.isfinite(shown)
    if not good.any():
        return "-" * SPARK_POINTS
    low, high = float(shown[good].min()), float(shown[good].max())
    level = np.zeros(SPARK_POINTS) if high <= low else (np.where(good, shown, low) - low) / (high - low) * 35
    return "".join(_DIGITS[int(v + 0.5)] if ok else "-" for v, ok in zip(level.tolist(), good.tolist(), strict=True))


def _telling(report: RunReport) -> tuple[str, ...]:
    return next((f.roles for f in report.findings if f.caused_by is None and f.roles), ())


def _reduce(finding: Finding) -> FoundRow:
    onset = finding.onset
    return FoundRow(
        id=finding.id,
        severity=finding.severity.rank,
        confidence=round(float(finding.confidence), 3),
        title=show_name(finding.title),
        action=show_name(finding.first_action),
        onset=(int(onset.first_step), int(onset.last_step)) if onset else None,
        caused_by=finding.caused_by,
        fingerprint=finding.fingerprint,
        rule=json.dumps(to_plain(finding.success_rule), separators=(",", ":"), ensure_ascii=False),
    )


def how_it_ends(run: Run, report: RunReport) -> str:
    """See `Judgement.ending`. The planned length is what the configuration found in the log says."""
    last = int(report.span.get("last_step") or 0)
    axis = report.span.get("axis")
    key = {"step": "total_steps", "epoch": "epochs"}.get(str(axis), "")
    found = report.config.get(key)
    planned = found.get("value") if isinstance(found, Mapping) else None
    if isinstance(planned, (int, float)) and not isinstance(planned, bool) and planned > 0 and last >= planned - max(1.0, 0.02 * planned):
        return "planned"
    for role in ("train_loss", "val_loss"):
        curve = next((c for c in report.curves if c.role == role and c.main), None)
        if curve is not None and curve.values and curve.values[-1] is None:
            return "broken"
    if any(issue.kind == "truncated" and issue.damage for issue in run.issues):
        return "cut"
    return "short" if isinstance(planned, (int, float)) and not isinstance(planned, bool) and planned > 0 else ""


def find_last_write(run: Run) -> float | None:
    """Wall time of the last record, seconds since the epoch; None where there is none."""
    return max(_writes(run), default=None)


def _writes(run: Run) -> list[float]:
    return [t for f in run.files for t in (f.first_wall_time, f.last_wall_time) if t is not None and math.isfinite(t)]


def _names(hparams: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, str]:
    out = {}
    for name, keys in (("owner", _OWNER_KEYS), ("experiment", _EXPERIMENT_KEYS)):
        for key in keys:
            found = config.get(key)
            value = found.get("value") if isinstance(found, Mapping) else hparams.get(key)
            if isinstance(value, str) and value.strip():
                out[name] = show_name(value.strip())[:80]
                break
    return out


def _render(report: RunReport, setup: Setup) -> bytes | None:
    if setup.reports == "none":
        return None
    if setup.reports != "all" and not any(f.severity.rank <= 1 for f in report.findings):
        return None
    from tbdiag.diagnosis import build_report
    from tbdiag.render import render

    page = render(build_report([report]), "html")
    return zlib.compress(page.encode("utf-8", "replace"), 1)
