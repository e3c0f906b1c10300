"""Steps in the log's own unit: validation may be logged in epochs beside training in steps, and people look it up there."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from tbdiag.features import Features
from tbdiag.model import Finding, Interval, Series, Signal
from tbdiag.model.findings import own_unit
from tbdiag.model.runs import is_stepless

_STEP = re.compile(r"\bstep ([\d,]*\d)")


def own_step(name: str, step: int, features: Features) -> int:
    """The step under which the series `name` logged its point at `step` of the common axis (the nearest one)."""
    pair = _moved(name, features)
    if pair is None:
        return step
    logged, aligned = pair
    return int(logged.step[_nearest(aligned, step)])


def say_own_unit(finding: Finding, features: Features) -> Finding:
    """Turn onset and extent into the unit of the series that proves the finding, and name both in its title."""
    name = next((n for e in finding.evidence for n in e.series), None)
    pair = _moved(name, features) if name is not None else None
    signal = _find(name, features) if name is not None else None
    if pair is None or signal is None or name is None:
        return finding
    unit = signal.axis.value
    word = own_unit(unit)

    def turn(interval: Interval | None) -> Interval | None:
        if interval is None:
            return None
        return Interval(own_step(name, interval.first_step, features), own_step(name, interval.last_step, features))

    def name_both(match: re.Match[str]) -> str:
        step = int(match.group(1).replace(",", ""))
        return f"{match.group(0)} ({word} {own_step(name, step, features):,})"

    return replace(
        finding,
        title=_STEP.sub(name_both, finding.title),
        onset=turn(finding.onset),
        extent=turn(finding.extent),
        drawn_onset=finding.onset,
        drawn_extent=finding.extent,
        onset_axis=unit,
    )


def _find(name: str, features: Features) -> Signal | None:
    return next((s for s in features.signals.all if s.name == name), None)


def _moved(name: str, features: Features) -> tuple[Series, Series] | None:
    """The series as logged and as aligned, where alignment changed its steps."""
    logged, signal = features.run.series.get(name), _find(name, features)
    if logged is None or signal is None or signal.series is None or not len(logged) or len(logged) != len(signal.series):
        return None
    if is_stepless(logged.step):
        return None  # there is no unit to go back to
    return None if np.array_equal(logged.step, signal.series.step) else (logged, signal.series)


def _nearest(series: Series, step: int) -> int:
    return int(np.argmin(np.abs(series.step - step)))
