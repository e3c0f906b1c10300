"""Places where steps went backwards in a series that tells of the training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tbdiag.model import Axis, Restart, Role

if TYPE_CHECKING:
    from tbdiag.features import Features

ASIDE = frozenset({Role.EPOCH, Role.COUNTER, Role.IGNORED, Role.THROUGHPUT, Role.STEP_TIME, Role.LOADER_TIME, Role.MEMORY})
"""Roles whose repeats say nothing of the training; so do repeats on an axis of seconds, in which two updates may fall."""


def find_seams(features: Features) -> tuple[Restart, ...]:
    """Restarts that replaced points of a series that tells of the training, with the number of those points and tags alone."""
    run = features.run
    seams = tuple(r for r in run.restarts if r.points > 0)
    if not seams or not run.superseded:
        return seams
    signals = {(s.series.subrun, s.series.tag): s for s in features.signals.all if s.series is not None}
    lost = []
    for series in run.superseded.values():
        signal = signals.get((series.subrun, series.tag))
        if signal is None or (signal.role not in ASIDE and signal.axis is not Axis.SECOND):
            lost.append(series.step)
    out = []
    for seam in seams:
        counts = [int(np.count_nonzero((step >= seam.first_step) & (step <= seam.last_step))) for step in lost]
        told = [c for c in counts if c]
        if told:
            out.append(replace(seam, points=min(seam.points, sum(told)), tags=min(seam.tags, len(told))))
    return tuple(out)
