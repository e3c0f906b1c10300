"""Places where steps went backwards in a series that tells of the training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tbdiag.model import Axis, Restart, Role, Series, Signal, Split
from tbdiag.stats.overlap import same_values

if TYPE_CHECKING:
    from tbdiag.features import Features

ASIDE = frozenset({Role.EPOCH, Role.COUNTER, Role.IGNORED, Role.THROUGHPUT, Role.STEP_TIME, Role.LOADER_TIME, Role.MEMORY})
"""Roles whose repeats say nothing of the training; so do repeats on an axis of seconds, in which two updates may fall."""


TELLING = frozenset({Role.LOSS, Role.LOSS_COMPONENT, Role.LR, Role.GRAD_NORM})
"""Roles that every launch of a training writes from its first steps on."""


def _spans(signal: Signal, series: Series) -> bool:
    """Whether a signal was logged over all the steps of a series, but for less than one of its own intervals at the end."""
    own = signal.series
    if own is None or len(own) < 2 or not series.step.size:
        return False
    every = float(np.median(np.diff(own.step)))
    low, high = int(series.step.min()), int(series.step.max())  # in the order of writing, which goes back
    inside = np.count_nonzero((own.step >= low) & (own.step <= high))
    return bool(own.step[0] <= high < own.step[-1] + every and inside >= 3)


def find_seams(features: Features) -> tuple[Restart, ...]:
    """Restarts that replaced points of a series that tells of the training, with the number of those points and tags alone."""
    run = features.run
    seams = tuple(r for r in run.restarts if r.points > 0)
    if not seams or not run.superseded:
        return seams
    signals = {(s.series.subrun, s.series.tag): s for s in features.signals.all if s.series is not None}
    if all(r.kind == "duplicate-step" for r in seams) and _repeats_by_design(features):
        return ()
    lost = []
    known = [s for s in signals.values() if s.role in TELLING and s.series is not None and len(s.series) > 1]
    for series in run.superseded.values():
        signal = signals.get((series.subrun, series.tag))
        if signal is not None and signal.role is Role.UNKNOWN and any(s.name not in run.superseded and _spans(s, series) for s in known):
            continue  # a training that was started again would have written its loss again
        if signal is None or (signal.role not in ASIDE and signal.axis is not Axis.SECOND):
            kept = run.series.get(series.name)
            lost.append((series.step, np.isin(series.step, kept.step) if kept is not None else np.zeros(len(series), dtype=bool)))
    out = []
    for seam in seams:
        # Where nothing could be compared, points of which the step was kept are repeats of their own: histograms went back, no scalar did.
        free = seam.kind == "step-regression" and seam.agree is None and seam.first_step < seam.last_step
        counts = [int(np.count_nonzero((s >= seam.first_step) & (s <= seam.last_step) & ~(again & free))) for s, again in lost]
        told = [c for c in counts if c]
        if told:
            out.append(replace(seam, points=min(seam.points, sum(told)), tags=min(seam.tags, len(told))))
    return tuple(out)


_FORKS = frozenset({"PyTorch Lightning", "pytorch-forecasting"})
"""Frameworks that log a batch and the mean over its epoch under one name, if they are told to: two points at the ends of epochs."""


def _repeats_by_design(features: Features) -> bool:
    """Whether repeated steps are what a framework writes: means at the ends of epochs, which have an evaluation; or the final evaluation.

    Ultralytics evaluates the best weights once more when training has ended, and logs that at the last epoch.
    """
    run, framework = features.run, features.signals.framework
    if framework not in _FORKS | {"Ultralytics"}:
        return False
    signals = {(s.series.subrun, s.series.tag): s for s in features.signals.all if s.series is not None}
    told = [s for s in run.superseded.values() if (d := signals.get((s.subrun, s.tag))) is not None and d.role not in ASIDE]
    if any(np.unique(s.step).size < len(s) for s in told):
        return False
    if framework == "Ultralytics":
        last = max(int(s.step[-1]) for s in run.series.values() if len(s))
        return all(np.all(s.step == last) for s in told)
    judged = [run.series[d.name].step for d in features.signals.all if d.split in {Split.VAL, Split.TEST} and d.name in run.series]
    return bool(judged) and all(np.all(np.isin(s.step, np.concatenate(judged))) for s in told)


def list_differing(features: Features) -> tuple[str, ...]:
    """Names of series of which a repeated step holds another value than the later write: by more than a hundredth of the series' range."""
    run = features.run
    kept = {(s.subrun, s.tag): s for s in run.series.values()}
    out = []
    for lost in run.superseded.values():
        series = kept.get((lost.subrun, lost.tag))
        if series is None or not len(series) or not len(lost):
            continue
        at = np.minimum(np.searchsorted(series.step, lost.step), len(series) - 1)
        shared = series.step[at] == lost.step
        old, new = lost.value[shared].astype(np.float64), series.value[at[shared]].astype(np.float64)
        if not same_values(old, new, np.concatenate((series.value, lost.value))).all():
            out.append(series.name)
    return tuple(sorted(out))
