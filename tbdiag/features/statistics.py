"""The statistics that success rules may name: name -> function of a curve (and an argument) -> float.

All are taken over the rule's window. ``best``, ``first``, ``end`` are values as logged, picked by the role's direction; ``rise``,
``drop`` and ``reach_step`` follow the direction (positive rise: worse; positive drop: better); the others are plain.
`LOG_STATISTICS` are those of the pseudo role ``log``: they look at the run's files instead of a curve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tbdiag.features.curves import CurveFacts
from tbdiag.features.evidence import ARTEFACTS, is_present
from tbdiag.features.restarts import find_seams
from tbdiag.stats.noise import mad, prefix_medians, running_median, sliding

if TYPE_CHECKING:
    from tbdiag.features import Features

Statistic = Callable[[CurveFacts, "float | None"], float]
LogStatistic = Callable[["Features", "float | None"], float]

SPIKE_SIGMAS = 8.0
"""Height of a spike over the running median, in robust deviations of the residual (literature: no Gaussian point in 200,000)."""


def _residual(c: CurveFacts) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return c.value - running_median(c.value, 21)


def _residual_sd(c: CurveFacts, _: float | None) -> float:
    if c.n < 10:  # a running median of so few points follows every swing: take the differences instead
        return float(np.sqrt(np.mean(np.diff(c.value) ** 2) / 2)) if c.n > 1 else float("nan")
    return mad(_residual(c))


def _spikes(c: CurveFacts, a: float | None) -> float:
    residual = c.sign * _residual(c)
    scale = mad(residual)
    return float(np.sum(residual > (SPIKE_SIGMAS if a is None else a) * scale)) if scale > 0 else 0.0


def _excursions(c: CurveFacts, a: float | None) -> float:
    above = c.sign * _residual(c) > (0.0 if a is None else a)
    return float(np.count_nonzero(above[1:] & ~above[:-1]) + bool(above.size and above[0]))


def _growth(c: CurveFacts, _: float | None) -> float:
    """Of a trace's levels (medians of three blocks), each against the median of all before it; 1 where there are too few to tell."""
    y = c.sign * c.trace.cost
    if y.size < 8 or float(y.min()) < 0:
        return float("nan") if y.size and float(y.min()) < 0 else 1.0
    ahead = np.median(sliding(y, 3), axis=1)
    first = max(5, y.size // 10)
    before = prefix_medians(y, first, ahead.size)
    known = before > 0
    return float(np.max(ahead[first:][known] / before[known], initial=1.0))


def _dip(c: CurveFacts, _: float | None) -> float:
    return max(float(np.max(c.trace.cost - running_median(c.trace.cost, 41))), 0.0)


def _reach_step(c: CurveFacts, a: float | None) -> float:
    there = np.flatnonzero(c.smooth <= c.sign * (0.0 if a is None else a))
    return float(c.step[there[0]]) if there.size else float("inf")


def _slope(c: CurveFacts, _: float | None) -> float:
    blocks = np.array_split(np.arange(c.n), min(c.n, 40))
    y = np.array([np.median(c.value[b]) for b in blocks])
    x = np.array([np.median(c.step[b]) for b in blocks], dtype=np.float64)
    i, j = np.triu_indices(y.size, 1)
    apart = x[j] > x[i]
    slope = float(np.median((y[j] - y[i])[apart] / (x[j] - x[i])[apart])) if apart.any() else 0.0
    return slope * float(c.step[-1] - c.step[0])


def _jumps_up(c: CurveFacts, a: float | None) -> float:
    return float(np.sum(c.value[1:] > (2.0 if a is None else a) * np.maximum(c.value[:-1], 0.0)))


def _longest_gap(c: CurveFacts) -> float:
    clock = c.wall_time[np.isfinite(c.wall_time)]
    return float(np.max(np.diff(clock))) if clock.size > 1 else 0.0


def _gap_ratio(c: CurveFacts, _: float | None) -> float:
    clock = c.wall_time[np.isfinite(c.wall_time)]
    typical = float(np.median(np.diff(clock))) if clock.size > 2 else 0.0
    return _longest_gap(c) / typical if typical > 0 else 1.0


def measure_pace(c: CurveFacts) -> tuple[float, float] | None:
    """Seconds per step over the first half of a curve's intervals and over the last fifth; None below seven intervals with both."""
    wait, apart = np.diff(c.wall_time), np.diff(c.step).astype(np.float64)
    good = (wait > 0) & (apart > 0)
    pace = wait[good] / apart[good]
    if pace.size < 7:
        return None
    return float(np.median(pace[: pace.size // 2])), float(np.median(pace[-max(3, pace.size // 5) :]))


def _pace_ratio(c: CurveFacts) -> float:
    pace = measure_pace(c)
    return pace[1] / pace[0] if pace is not None and pace[0] > 0 else float("nan")


STATISTICS: dict[str, Statistic] = {
    "first": lambda c, _: c.first,
    "end": lambda c, _: c.end,
    "best": lambda c, _: c.best,
    "min": lambda c, _: float(c.value.min()),
    "max": lambda c, _: float(c.value.max()),
    "mean": lambda c, _: float(c.value.mean()),
    "median": lambda c, _: float(np.median(c.value)),
    "quantile": lambda c, a: float(np.quantile(c.value, 0.5 if a is None else a)),
    "sd": lambda c, _: c.sigma,
    "residual_sd": _residual_sd,
    "range": lambda c, _: float(c.value.max() - c.value.min()),
    "drop": lambda c, _: c.drop,
    "rise": lambda c, _: c.rise,
    "dip": _dip,
    "slope": _slope,
    "best_step": lambda c, _: float(c.best_step),
    "best_share": lambda c, _: float((c.best_step - c.step[0]) / max(int(c.step[-1] - c.step[0]), 1)),
    "max_share": lambda c, _: float((c.step[int(np.argmax(c.value))] - c.step[0]) / max(int(c.step[-1] - c.step[0]), 1)),
    "reach_step": _reach_step,
    "last_step": lambda c, _: float(c.step[-1]),
    "steps": lambda c, _: float(c.step[-1] - c.step[0]),
    "points": lambda c, _: float(c.n),
    "nonfinite": lambda c, _: float(c.bad_step.size),
    "share_above": lambda c, a: float(np.mean(c.value > (0.0 if a is None else a))),
    "share_below": lambda c, a: float(np.mean(c.value < (0.0 if a is None else a))),
    "distinct": lambda c, _: float(np.unique(c.value).size),
    "spikes": _spikes,
    "excursions": _excursions,
    "growth": _growth,
    "jumps_up": _jumps_up,
    "gap": lambda c, _: _longest_gap(c),
    "gap_ratio": _gap_ratio,
}
"""Every statistic of a curve by name. More are added here, each with its meaning in `MEANINGS`."""


def _issues(*kinds: str) -> LogStatistic:
    return lambda f, _: float(sum(issue.kind in kinds for issue in f.run.issues))


def _nonfinite(f: Features, _: float | None) -> float:
    return float(sum(int(np.sum(~np.isfinite(s.value.astype(np.float64)))) for s in f.run.series.values()))


def _main_curve(f: Features) -> CurveFacts | None:
    keys = ("train_loss", "reward", "train_reward", "val_loss", "val_metric")
    return next((c for c in map(f.curve, keys) if c is not None and c.n), None)


def _log_gap(ratio: bool) -> LogStatistic:
    def measure(f: Features, _: float | None) -> float:
        curve = _main_curve(f)
        if curve is None:
            return float("nan")
        return _gap_ratio(curve, None) if ratio else _longest_gap(curve)

    return measure


def _log_pace(f: Features, _: float | None) -> float:
    curve = _main_curve(f)
    return _pace_ratio(curve) if curve is not None and bool(np.all(np.isfinite(curve.wall_time))) else float("nan")


def _has(artefact: str) -> LogStatistic:
    return lambda f, _: float(is_present(artefact, f))


LOG_STATISTICS: dict[str, LogStatistic] = {
    "crc_errors": _issues("truncated", "corrupt", "bad-record", "shrunk"),
    "empty_files": _issues("empty-file", "no-records"),
    "damaged": lambda f, _: float(sum(issue.damage for issue in f.run.issues)),
    "step_regressions": lambda f, _: float(sum(r.kind != "session-start" for r in find_seams(f))),
    "restarts": lambda f, _: float(len(f.run.restarts)),
    "superseded": lambda f, _: float(sum(len(s) for s in f.run.superseded.values())),
    "nonfinite": _nonfinite,
    "series": lambda f, _: float(len(f.run.series) + len(f.run.histograms)),
    "points": lambda f, _: float(sum(len(s) for s in f.run.series.values())),
    "last_step": lambda f, _: float(f.steps[1]),
    "gap": _log_gap(ratio=False),
    "gap_ratio": _log_gap(ratio=True),
    "pace_ratio": _log_pace,
    "settings": lambda f, _: float(len(f.signals.config)),
    **{f"has_{a.id.replace('-', '_')}": _has(a.id) for a in ARTEFACTS},
}
"""Every statistic of the pseudo role ``log`` by name."""

MEANINGS: dict[str, str] = {
    "first": "median of the first points (2 % of the run, at least three; the first point below ten points)",
    "end": "median of the last points (10 % of the run, at least three; the last point below ten points)",
    "best": "best value of the 5-point running median, by the role's direction",
    "min": "smallest value",
    "max": "largest value",
    "mean": "mean",
    "median": "median",
    "quantile": "quantile; the argument is the share, as in `quantile(grad_norm, 0.99)`",
    "sd": "standard deviation of the noise, corrected for autocorrelation and rounding",
    "residual_sd": "robust standard deviation around the 21-point running median (below ten points: of the differences)",
    "range": "largest minus smallest value",
    "drop": "improvement from first to end (positive: better)",
    "rise": "how much worse than its best the curve ends (0 or more)",
    "dip": "how far the curve, thinned to 200 blocks, is worse than its running median over 41 of them at most (0 or more)",
    "slope": "Theil-Sen slope times the span of steps: the change that the trend makes over the window",
    "best_step": "step of the best",
    "best_share": "position of the best, as a share of the steps",
    "max_share": "position of the largest value, as a share of the steps",
    "reach_step": "first step at which the running median is at least as good as the argument (infinite: never)",
    "last_step": "last step",
    "steps": "span of steps",
    "points": "number of finite points (0 where the role was not logged)",
    "nonfinite": "number of NaN and infinite points",
    "share_above": "share of points above the argument",
    "share_below": "share of points below the argument",
    "distinct": "number of distinct values",
    "spikes": "points worse than the running median by more than 8 (or the argument) residual deviations",
    "excursions": "stretches that are worse than the 21-point running median by more than the argument, in the unit of the series",
    "growth": "how many times its level before (the median of all of it) the curve, thinned to 200 blocks, reaches for three of them",
    "jumps_up": "points more than twice (or the argument times) their predecessor",
    "gap": "longest wall-clock time between two points, in seconds",
    "gap_ratio": "longest over typical wall-clock time between two points",
    "pace_ratio": "wall-clock time per step over the last fifth of the intervals against that over the first half",
    "crc_errors": "records that fail their checksum, files cut within a record",
    "empty_files": "event files without any record",
    "damaged": "places where data was lost in reading",
    "step_regressions": "places where steps went backwards or writers overlapped",
    "restarts": "places where writing began again",
    "superseded": "points that a later write replaced",
    "series": "number of logged scalar and histogram series",
    "settings": "number of settings found in the log (learning rate, seed ...)",
    **{f"has_{a.id.replace('-', '_')}": f"1 where the log holds the {a.title}, else 0" for a in ARTEFACTS},
}
"""What each statistic means, for the documentation."""
