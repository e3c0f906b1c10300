"""Steps of one run on one axis.

Frameworks mix axes in one log: MMEngine counts the train loss in iterations and its validation in epochs, scripts log the
learning rate by step and the losses by epoch. Rules compare series by step, so every series is put on the finest axis in use:

* two series are on different axes when they end at about the same wall time but the last step of one is more than
  `RATIO` times that of the other (literature 6.3, point 6), or 1.8 times where all wall times between agree;
* the coarser one gets a copy whose steps are those that the finer one had reached at the same wall time; where wall times
  say nothing (all equal, not finite), steps are stretched in proportion. The fit is made straight where a straight line
  describes it to within two logged points, since epochs are equally long;
* name, tag and values stay; `Signal.logged` keeps the series as it was, and `Signal.logged_step` leads back: onsets and the
  best checkpoint are reported in the log's own unit of the series that they are read from (for MMEngine: epochs for
  findings on validation, iterations for findings on the train loss).

Copies on other axes (``loss vs samples``) were dropped before.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tbdiag.model import Axis, Series, Signal
from tbdiag.model.runs import Int64, is_stepless

Float64 = npt.NDArray[np.float64]

RATIO = 5.0
"""Last steps that differ by more than this factor at the same wall time are on different axes."""
LEAST_RATIO = 1.8
"""By so much at least they differ where every single wall time agrees that one of them counts in its own unit."""
COARSE_LIMIT = 2000
"""A series that passes this step is not counted in epochs."""
SAME_END = 0.15
"""Two series end at the same time when their last wall times differ by less than this share of the longer span."""


def find_reference(mains: list[Signal]) -> Series | None:
    """The series whose steps all others are put on: of the main training series the one with the largest last step."""
    best: Series | None = None
    for signal in mains:
        series = signal.series
        if series is None or len(series) < 3 or signal.axis in {Axis.SAMPLE, Axis.TOKEN, Axis.SECOND}:
            continue
        if best is None or _other_axis(best, series):
            best = series
    return best


def _span(series: Series) -> tuple[float, float] | None:
    wall = series.wall_time
    if wall.size < 2 or not np.all(np.isfinite(wall[[0, -1]])):
        return None
    return float(wall[0]), float(wall[-1])


def _other_axis(coarse: Series, fine: Series) -> bool:
    """Whether `coarse` counts in a larger unit than `fine`."""
    if len(coarse) < 2 or len(fine) < 3:
        return False
    low, high = int(coarse.step[-1]), int(fine.step[-1])
    if low <= 0 or low > COARSE_LIMIT or (high <= RATIO * low and high / low < LEAST_RATIO):
        return False  # most pairs end here, before anything is computed
    if np.any(np.diff(coarse.step) <= 0):
        return False
    if high <= RATIO * low:
        return _counts_its_own(coarse, fine)
    if np.median(np.diff(coarse.step)) > 10:
        return False
    a, b = _span(coarse), _span(fine)
    if a is None or b is None or max(a[1], b[1]) <= min(a[0], b[0]):  # wall times say nothing: one point an epoch, counted without a gap
        return len(coarse) >= 3 and bool(np.all(np.diff(coarse.step) == 1))
    span = max(a[1], b[1]) - min(a[0], b[0])
    return abs(a[1] - b[1]) <= SAME_END * span


def _counts_its_own(coarse: Series, fine: Series) -> bool:
    """Whether `coarse` counts epochs of few steps, or validation's own batches: evenly, and at every wall time `fine` had got `high / low` times as far."""
    ratio = float(fine.step[-1]) / float(coarse.step[-1])
    if ratio < LEAST_RATIO or min(len(coarse), len(fine)) < 5:
        return False
    every = int(coarse.step[1] - coarse.step[0])
    if int(coarse.step[0]) not in {0, 1, every} or np.any(np.diff(coarse.step) != every):
        return False
    wall, reference = coarse.wall_time.astype(np.float64), fine.wall_time.astype(np.float64)
    if not (np.all(np.isfinite(wall)) and np.all(np.isfinite(reference))) or np.any(np.diff(reference) < 0) or np.any(np.diff(wall) <= 0):
        return False
    reached = np.interp(wall, reference, fine.step.astype(np.float64))
    place = ((coarse.step - coarse.step[0]) / every + 1) / len(coarse) * float(fine.step[-1])
    return bool(np.max(np.abs(reached - place)) <= 1.5 * float(fine.step[-1]) / len(coarse))


def map_steps(coarse: Series, fine: Series) -> Int64:
    """Steps of `coarse` on the axis of `fine`; int64 ``[n]``, strictly growing."""
    step = coarse.step.astype(np.float64)
    wall, reference = coarse.wall_time.astype(np.float64), fine.wall_time.astype(np.float64)
    end = float(fine.step[-1])
    zero = 1.0 if step[0] == 0 else 0.0
    straight = (step + zero) * end / (step[-1] + zero)
    if (
        not np.all(np.isfinite(wall))
        or not np.all(np.isfinite(reference))
        or np.any(np.diff(reference) < 0)
        or reference[-1] <= reference[0]
    ):
        mapped = straight
    else:
        mapped = np.interp(wall, reference, fine.step.astype(np.float64))
        every = max(float(np.median(np.diff(fine.step))), 1.0)
        if np.median(np.abs(mapped - straight)) <= 2 * every:
            mapped = straight
    return _growing(np.round(mapped).astype(np.int64))


def _growing(steps: Int64) -> Int64:
    """The same steps, each at least one above the step before."""
    out = steps.copy()
    for i in range(1, out.size):
        out[i] = max(out[i], out[i - 1] + 1)
    return out


def put_on_one_axis(signals: list[Signal]) -> tuple[list[Signal], Series | None]:
    """`align`, after scalar series without steps got their place in the order of writing as the step; they have no unit of their own to go back to."""
    bare = {s.name for s in signals if s.series is not None and is_stepless(s.series.step)}
    if not bare:
        return align(signals)
    aligned, moved = align([_count(s) if s.name in bare and s.series is not None else s for s in signals])
    return [replace(s, logged=None, axis=Axis.STEP) if s.name in bare else s for s in aligned], moved


def _count(signal: Signal) -> Signal:
    assert signal.series is not None
    counted = replace(signal.series, step=np.arange(len(signal.series), dtype=np.int64))
    return replace(signal, series=counted, why=f"{signal.why}; logged without a step, counted in the order of writing")


def align(signals: list[Signal]) -> tuple[list[Signal], Series | None]:
    """Put every scalar series of a run on the finest axis; signals that need nothing are returned as they are.

    Returns:
        The signals, and the main series that was moved because it counts epochs (None if none was).
    """
    keys = ("train_loss", "lr", "grad_norm", "train_reward", "train_metric")
    by_key = {s.key: s for s in signals if s.main}
    reference = find_reference([by_key[k] for k in keys if k in by_key])
    if reference is None:
        return signals, None
    cache: dict[tuple[int, int, int, float], Int64] = {}
    out: list[Signal] = []
    moved: Series | None = None
    for signal in signals:
        series = signal.series
        if (
            series is None
            or series is reference
            or signal.axis in {Axis.SAMPLE, Axis.TOKEN, Axis.SECOND}
            or not _other_axis(series, reference)
        ):
            out.append(signal)
            continue
        key = (int(series.step[0]), int(series.step[-1]), len(series), float(series.wall_time[0]))
        if key not in cache:
            cache[key] = map_steps(series, reference)
        copy = replace(series, step=cache[key])
        epochs = float(np.median(np.diff(series.step))) <= 2
        said = "logged by epoch" if epochs else "counts steps of its own"
        why = f"{signal.why}; {said}, put on the steps of {reference.name} by wall time"
        out.append(replace(signal, series=copy, logged=series, axis=Axis.EPOCH if epochs else Axis.STEP, why=why))
        if signal.main and moved is None:
            moved = copy
    return out, moved
