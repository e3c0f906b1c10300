"""One run in a worker: read, judge, reduce to what the state keeps."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tbdiag.model.report import to_plain
from tbdiag.nightly.naming import name_report, show_name
from tbdiag.nightly.tasks import FoundRow, Judgement, Setup, Task

if TYPE_CHECKING:
    from tbdiag.diagnosis import Judged
    from tbdiag.model import Finding, Report, Run, SuccessRule

SPARK_POINTS = 28
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_OWNER_KEYS = ("owner", "user", "username", "author")
_EXPERIMENT_KEYS = ("experiment", "experiment_name", "exp_name", "run_group", "group")
_SPARK_ROLES = ("val_loss", "train_loss", "val_metric", "reward", "train_reward", "train_metric")


def judge_run(task: Task, setup: Setup) -> Judgement:
    """Read and judge one run; what a report would say is written down only where a report is wanted."""
    return judge_together([task], setup)[0]


def judge_together(tasks: Sequence[Task], setup: Setup) -> list[Judgement]:
    """`judge_run` of several small runs: all are read, then all are judged, so that the code of each stage stays at hand."""
    from tbdiag.diagnosis import judge_runs_together
    from tbdiag.nightly.source import read_listed

    read = [read_listed(task.listing, setup.columns, setup.now) for task in tasks]
    judged = iter(judge_runs_together([run for run, _ in read if run.readable], setup.config, now=setup.now))
    return [
        _reduce_judged(next(judged), head, task, setup) if run.readable else _judge_unreadable(run, head, task, setup)
        for task, (run, head) in zip(tasks, read, strict=True)
    ]


def _reduce_judged(judged: Judged, head: bytes, task: Task, setup: Setup) -> Judgement:
    run = judged.run
    writes = _writes(run)
    return Judgement(
        verdict=judged.verdict,
        headline=show_name(judged.headline),
        findings=tuple(_reduce(f, judged.findings) for f in judged.findings),
        first_write=min(writes, default=None),
        last_write=max(writes, default=None),
        live_until=judged.live_until,
        was_live=judged.live,
        last_step=judged.features.steps[1],
        ending=how_it_ends(judged),
        points=sum(len(s) for s in run.series.values()),
        spark=draw_spark(judged),
        head=head,
        names=_names(run.hparams, judged.features.signals.config),
        report=_render(judged, setup, task),
    )


def _judge_unreadable(run: Run, head: bytes, task: Task, setup: Setup) -> Judgement:
    from tbdiag.diagnosis import build_report, live_until, write_unreadable

    report = write_unreadable(run)
    begun = _has_begun(run, task, setup.now)
    writes = _writes(run)
    return Judgement(
        verdict="unreadable" if begun is None else "unclear",
        headline=show_name(report.headline if begun is None else f"{run.name}: nothing written yet"),
        findings=(),
        first_write=min(writes, default=None),
        last_write=max(writes, default=None),
        live_until=live_until(run) if begun is None else begun,
        was_live=begun is not None,
        last_step=0,
        ending="cut" if _is_cut(run) else "",
        points=sum(len(s) for s in run.series.values()),
        spark="",
        head=head,
        names=_names(run.hparams, {}),
        report=_write(build_report([report]), task) if setup.reports == "all" else None,
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


def draw_spark(judged: Judged) -> str:
    """The most telling curve of a run with a finding at warning or above as `SPARK_POINTS` base-36 characters, bottom to top.

    Steps are spread evenly over the width; each character is the last value at or before its place, so a late NaN shows as a gap, ``-``.
    """
    from tbdiag.diagnosis.views import thin_points

    if not any(f.severity.rank <= 1 for f in judged.findings):
        return ""
    telling = next((f.roles for f in judged.findings if f.caused_by is None and f.roles), ())
    wanted = [*telling, *_SPARK_ROLES]
    candidates = [s for s in judged.features.signals.all if s.series is not None and len(s.series) > 1 and s.key in wanted]
    if not candidates:
        return ""
    signal = min(candidates, key=lambda s: (wanted.index(s.key), not s.main, s.name))
    assert signal.series is not None
    points, values = thin_points(signal.series)
    return _draw(points, values, log_scale=judged.features.of(signal).log_scale)


def _draw(points: Sequence[int], values: Sequence[float | None], *, log_scale: bool) -> str:
    steps = np.asarray(points, dtype=np.float64)
    value = np.array([math.nan if v is None else v for v in values], dtype=np.float64)
    finite = np.isfinite(value)
    if not finite.any():
        return "-" * SPARK_POINTS
    place = np.searchsorted(steps, np.linspace(steps[0], steps[-1], SPARK_POINTS), side="right") - 1
    shown = value[place]
    if log_scale:
        shown = np.log(np.where(shown > 0, shown, np.nan))
    good = np.isfinite(shown)
    if not good.any():
        return "-" * SPARK_POINTS
    low, high = float(shown[good].min()), float(shown[good].max())
    level = np.zeros(SPARK_POINTS) if high <= low else (np.where(good, shown, low) - low) / (high - low) * 35
    return "".join(_DIGITS[int(v + 0.5)] if ok else "-" for v, ok in zip(level.tolist(), good.tolist(), strict=True))


def _reduce(finding: Finding, findings: tuple[Finding, ...]) -> FoundRow:
    """A finding as it is stored; a head is as severe as the worst that it explains, so that a run that broke is news at once."""
    from tbdiag.diagnosis.explaining import rank_story

    onset, severity = finding.onset, rank_story(finding, findings)
    return FoundRow(
        id=finding.id,
        severity=severity,
        confidence=round(float(finding.confidence), 3),
        title=show_name(finding.title),
        action=show_name(finding.first_action),
        onset=(int(onset.first_step), int(onset.last_step)) if onset else None,
        caused_by=finding.caused_by,
        fingerprint=finding.fingerprint,
        rule=_write_rule(finding.success_rule) if severity < 2 else "",  # those of notes are not judged on later runs
    )


@lru_cache(maxsize=256)
def _write_rule(rule: SuccessRule) -> str:
    """A rule as JSON; many runs of a night share one."""
    return json.dumps(to_plain(rule), separators=(",", ":"), ensure_ascii=False)


def how_it_ends(judged: Judged) -> str:
    """See `Judgement.ending`. The planned length is what the configuration found in the log says."""
    signals = judged.features.signals
    main = signals.main("train_loss")
    key = {"step": "total_steps", "epoch": "epochs"}.get(main.axis.value if main is not None else "step", "")
    planned = signals.setting(key) or 0.0
    known = planned > 0
    if known and judged.features.steps[1] >= planned - max(1.0, 0.02 * planned):
        return "planned"
    for role in ("train_loss", "val_loss"):
        signal = signals.main(role)
        if signal is not None and signal.series is not None and len(signal.series) and not math.isfinite(signal.series.value[-1]):
            return "broken"
    if _is_cut(judged.run):
        return "cut"
    return "short" if known else ""


def _is_cut(run: Run) -> bool:
    return any(issue.kind == "truncated" and issue.damage for issue in run.issues)


def find_last_write(run: Run) -> float | None:
    """Wall time of the last record, seconds since the epoch; None where there is none."""
    return max(_writes(run), default=None)


def _writes(run: Run) -> list[float]:
    return [t for f in run.files for t in (f.first_wall_time, f.last_wall_time) if t is not None and math.isfinite(t)]


def _names(hparams: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, str]:
    out = {}
    for name, keys in (("owner", _OWNER_KEYS), ("experiment", _EXPERIMENT_KEYS)):
        for key in keys:
            value = config.get(key, hparams.get(key))
            if isinstance(value, str) and value.strip():
                out[name] = show_name(value.strip())[:80]
                break
    return out


def _render(judged: Judged, setup: Setup, task: Task) -> bytes | None:
    if setup.reports == "none" or (setup.reports != "all" and not any(f.severity.rank <= 1 for f in judged.findings)):
        return None
    from tbdiag.diagnosis import build_report, write_run_report

    return _write(build_report([write_run_report(judged)]), task)


def _write(report: Report, task: Task) -> bytes:
    from tbdiag.nightly.source import path_key
    from tbdiag.render import render

    file = name_report(path_key(task.listing), show_name(task.listing.name))
    return render(report, "html", file=file).encode("utf-8", "replace")
