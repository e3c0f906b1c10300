"""One run -> its report: signals, features, outcomes, then what they mean together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tbdiag.config import Config
from tbdiag.detectors import load_detectors
from tbdiag.diagnosis.doubts import Doubt, find_doubt
from tbdiag.diagnosis.experiment import choose_experiment
from tbdiag.diagnosis.explaining import explain_away, order_findings, rank_story
from tbdiag.diagnosis.missing import audit_evidence, follow_audit
from tbdiag.diagnosis.notes import write_note
from tbdiag.diagnosis.suppression import find_stale, suppress
from tbdiag.diagnosis.units import say_own_unit
from tbdiag.diagnosis.verdict import choose_verdict, find_best_checkpoint, find_label, holds_curves, list_set_aside, write_headline
from tbdiag.diagnosis.views import make_curve, make_histogram_view, make_rows
from tbdiag.engine import run_detectors_together
from tbdiag.features import Features
from tbdiag.model import Finding, Note, Outcome, OutcomeKind, ReadIssue, Report, Role, Run, RunReport
from tbdiag.success.fingerprint import make_fingerprint

MAX_CURVES = 200
"""Curves kept of one run: all main signals first, then by role; the rest is named in the signals table."""
MAX_HISTOGRAMS = 60
LIVE_SECONDS = 1800.0
LIVE_GAPS = 20.0
QUIET_WHILE_LIVE = frozenset({"unconverged", "plateau", "underfitting", "stalled"})
"""Findings that a run still being written cannot have; a half-written last record is no truncated log either."""


QUIET_ON_TINY = frozenset(
    {"overfitting", "generalization-gap", "leakage", "val-better", "over-confidence", "noisy-validation", "label-noise", "epoch-sawtooth"}
)
"""What a tiny overfit test is expected to show: memorising is its aim, and what it validates on, if anything, says nothing."""
QUIET_ON_PASSED = frozenset({"unconverged", "plateau", "underfitting", "weight-growth"})


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found in a run, before any of it is written down: all that a night keeps of a healthy run comes from here.

    Attributes:
        outcomes: one a detector, by id; findings: in the order in which they are told.
        live_until: see the function of that name; None where no time was given to judge it by.
        doubt: what speaks against health; None beside what says more (an error, a warning, a curve that never moved, what was accepted or
            left out).
    """

    run: Run
    config: Config
    features: Features
    live: bool
    outcomes: tuple[Outcome, ...]
    findings: tuple[Finding, ...]
    live_until: float | None = None
    doubt: Doubt | None = None

    @property
    def status(self) -> str:
        """``live`` or ``ended``."""
        return "live" if self.live else "ended"

    @property
    def verdict(self) -> str:
        """See `choose_verdict`."""
        return choose_verdict(self.findings, self.features, self.doubt)

    @property
    def headline(self) -> str:
        """One line that tells the verdict."""
        return write_headline(
            find_label(self.run), self.verdict, self.findings, self.outcomes, self.doubt, curves=holds_curves(self.features)
        )


def judge_run(run: Run, config: Config | None = None, *, now: float | None = None) -> Judged:
    """Judge one readable run; see `diagnose_run` for the arguments."""
    return judge_runs_together([run], config, now=now)[0]


def judge_runs_together(runs: Sequence[Run], config: Config | None = None, *, now: float | None = None) -> list[Judged]:
    """Judge some readable runs, all of which are in memory: the same as one after the other, and quicker (see `run_detectors_together`)."""
    from tbdiag.roles import resolve

    config = config or Config()
    many = [Features(resolve(run, config)) for run in runs]
    found = run_detectors_together(many, config)
    return [_conclude(run, config, features, outcomes, now) for run, features, outcomes in zip(runs, many, found, strict=True)]


def _conclude(run: Run, config: Config, features: Features, outcomes: tuple[Outcome, ...], now: float | None) -> Judged:
    until = live_until(run) if now is not None else None
    live = now is not None and until is not None and now <= until
    if live:
        outcomes = tuple(_silence(o, run, live) for o in outcomes)
    outcomes = _expect_memorising(outcomes, features)
    outcomes = suppress(outcomes, run.name, config, now)
    first, last = features.steps
    findings = order_findings(explain_away(tuple(o.finding for o in outcomes if o.finding), last - first))
    findings = tuple(replace(f, fingerprint=make_fingerprint(f, run.name)) for f in findings)
    findings = tuple(say_own_unit(f, features) for f in findings)
    told = any(f.severity.rank < 2 or f.id in ("no-learning", "tiny-overfit-passed") for f in findings)
    doubt = None if told or any(list_set_aside(outcomes)) else find_doubt(findings, features)
    return Judged(run, config, features, live, outcomes, findings, until, doubt)


def diagnose_run(run: Run, config: Config | None = None, *, now: float | None = None) -> RunReport:
    """Judge one run and write its report.

    Args:
        run: what was read.
        config: the user's settings.
        now: seconds since the epoch against which liveness is judged; without it every run counts as ended.
    """
    if not run.readable:
        return write_unreadable(run)
    return write_run_report(judge_run(run, config, now=now))


def write_run_report(judged: Judged) -> RunReport:
    """The report of a judged run. It costs about as much as the judgement."""
    run, features, findings, outcomes = judged.run, judged.features, judged.findings, judged.outcomes
    missing = audit_evidence(features, outcomes, findings)
    findings = follow_audit(findings, missing)
    experiment = choose_experiment(findings, features, missing, judged.verdict) if judged.doubt is None else None
    return RunReport(
        name=run.name,
        path=run.path,
        verdict=judged.verdict,
        status=judged.status,
        headline=judged.headline,
        span=_span(run, features),
        config=_config(features),
        findings=findings,
        next_experiment=experiment,
        note=write_note(findings, features, experiment, judged.verdict, outcomes, doubt=judged.doubt),
        signals=make_rows(features),
        curves=tuple(make_curve(s, features) for s in _worth_drawing(features)),
        checks=outcomes,
        missing_evidence=missing,
        read_issues=run.issues,
        best_checkpoint=find_best_checkpoint(features),
        histograms=tuple(make_histogram_view(s) for s in features.signals.all if s.histogram is not None)[:MAX_HISTOGRAMS],
        domain=features.signals.domain.value,
        framework=features.signals.framework,
        own_rules=_own_rules(judged.config, features),
        epoch_steps=_epochs(features),
    )


def build_report(
    runs: Iterable[RunReport], problems: Sequence[ReadIssue] = (), config: Config | None = None, *, now: float | None = None
) -> Report:
    """Put judged runs in order, worst first, then by name; suppressions that expired or match nothing are told once (see `find_stale`)."""
    from tbdiag import __version__

    ordered = sorted(runs, key=_badness)
    stale = find_stale(config, ordered, now) if config is not None else ()
    return Report(runs=tuple(ordered), tool={"name": "tbdiag", "version": __version__}, problems=(*problems, *stale))


def is_live(run: Run, now: float) -> bool:
    """Whether the run's last write is recent against its own cadence (20 median gaps, at least half an hour)."""
    until = live_until(run)
    return until is not None and now <= until


def live_until(run: Run) -> float | None:
    """Until when a run's silence means nothing, seconds since the epoch; None where nothing was written."""
    last = max((f.last_wall_time for f in run.files if f.last_wall_time is not None and math.isfinite(f.last_wall_time)), default=None)
    if last is None:
        return None
    longest = max(run.series.values(), key=len, default=None)
    gap = 0.0
    if longest is not None and len(longest) > 2:
        gaps = longest.wall_time[1:] - longest.wall_time[:-1]
        gap = float(np.partition(gaps, gaps.size // 2)[gaps.size // 2])
    return last + max(LIVE_SECONDS, LIVE_GAPS * gap if math.isfinite(gap) else 0.0)


def _badness(run: RunReport) -> tuple[int, int, int, int, str]:
    worst = [rank_story(h, run.findings) for h in run.heads]
    errors, warnings = worst.count(0), worst.count(1)
    order = ("unreadable", "findings", "unclear", "healthy").index(run.verdict)
    # An unreadable run is as bad as one with errors: nobody can say anything about it.
    return (0 if errors or run.verdict == "unreadable" else 1 if warnings else 2, -errors, -warnings, order, run.name)


def _silence(outcome: Outcome, run: Run, live: bool) -> Outcome:
    if not live or outcome.finding is None:
        return outcome
    half_written = outcome.id == "truncated-log" and all(i.kind == "truncated" for i in run.issues if i.damage)
    # A rate that is highest at the last point is that of a warm-up which goes on.
    warming = outcome.id == "lr-schedule" and any(p.statistic == "max_share" for p in outcome.finding.success_rule.all)
    if outcome.id in QUIET_WHILE_LIVE or half_written or warming:
        return Outcome(outcome.id, OutcomeKind.NOT_APPLICABLE, "the run is still being written")
    return outcome


def _expect_memorising(outcomes: tuple[Outcome, ...], features: Features) -> tuple[Outcome, ...]:
    """Outcomes of a tiny overfit test without what such a test is expected to show."""
    if not any(o.finding is not None and o.id in QUIET_ON_TINY | QUIET_ON_PASSED for o in outcomes) or features.tiny_test is None:
        return outcomes
    passed = any(o.id == "tiny-overfit-passed" and o.finding is not None for o in outcomes)
    quiet = QUIET_ON_TINY | QUIET_ON_PASSED if passed else QUIET_ON_TINY
    why = "the run is a tiny overfit test: memorising its samples is the aim"
    return tuple(Outcome(o.id, OutcomeKind.NOT_APPLICABLE, why) if o.finding is not None and o.id in quiet else o for o in outcomes)


def _span(run: Run, features: Features) -> dict[str, Any]:
    first, last = features.steps
    walls = _wall_times(run)
    return {
        "first_step": first,
        "last_step": last,
        "axis": features.axis.value,
        "points": sum(len(s) for s in run.series.values()),
        "series": len(run.series),
        "histogram_series": len(run.histograms),
        "seconds": round(max(walls) - min(walls), 3) if walls else None,
        "files": len(run.files),
        "bytes": sum(f.size for f in run.files),
        "bytes_readable": sum(f.readable for f in run.files),
        "restarts": len(run.restarts),
    }


_DAY = 86400.0
"""Seconds by which no clock is set back; a file whose points lie further before its version record has two clocks."""


def _wall_times(run: Run) -> list[float]:
    """First and last wall times of the files, seconds; where the points have a clock of their own (seconds since the start), those of the points."""
    walls = []
    for f in run.files:
        if f.first_wall_time is None or f.last_wall_time is None or f.first_wall_time - f.last_wall_time <= _DAY:
            walls += [t for t in (f.first_wall_time, f.last_wall_time) if t is not None]
    if walls or not run.files:
        return walls
    return [float(t) for s in run.series.values() if len(s) for t in (s.wall_time[0], s.wall_time[-1]) if math.isfinite(t)]


def _config(features: Features) -> dict[str, Any]:
    signals = features.signals
    found = {k: {"value": v, "source": signals.config_source.get(k, "")} for k, v in sorted(signals.config.items())}
    if signals.classes is not None:
        found.setdefault("classes", {"value": signals.classes, "source": signals.chance_why})
    return found


def _worth_drawing(features: Features) -> list[Any]:
    scalars = [s for s in features.signals.all if s.series is not None and len(s.series) and s.role is not Role.IGNORED]
    scalars.sort(key=lambda s: (not s.main, s.role is Role.UNKNOWN, s.role in (Role.EPOCH, Role.COUNTER), s.name))
    return scalars[:MAX_CURVES]


def _own_rules(config: Config, features: Features) -> tuple[Mapping[str, Any], ...]:
    if not config.success:
        return ()
    from tbdiag.success import check_config_rules

    return tuple(check_config_rules(config, features))


def _epochs(features: Features) -> tuple[int, ...]:
    steps = features.signals.epoch_steps
    return () if steps is None else tuple(int(s) for s in steps[:1000])


def write_unreadable(run: Run) -> RunReport:
    """The report of a run of which no record could be read."""
    lost = next((i for i in run.issues if i.damage), None)
    why = lost.message if lost else "no event file holds a valid record"
    finding: tuple[Finding, ...] = ()
    note = Note("unclear: nothing could be read", "not logged", "not logged", "not possible", "copy the log again", "the log can be read")
    return RunReport(
        name=run.name,
        path=run.path,
        verdict="unreadable",
        status="ended",
        headline=f"{find_label(run)}: unreadable ({why})",
        span={
            "first_step": 0,
            "last_step": 0,
            "axis": "step",
            "points": 0,
            "series": 0,
            "histogram_series": 0,
            "seconds": None,
            "files": len(run.files),
            "bytes": sum(f.size for f in run.files),
            "bytes_readable": 0,
            "restarts": 0,
        },
        config={},
        findings=finding,
        next_experiment=None,
        note=note,
        signals=(),
        curves=(),
        checks=tuple(Outcome(d.id, OutcomeKind.NOT_APPLICABLE, "nothing could be read") for d in load_detectors()),
        missing_evidence=(),
        read_issues=run.issues,
        best_checkpoint=None,
    )
