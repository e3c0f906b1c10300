"""The one rule by which restarts are resolved, tag by tag within a directory.

Points are taken in the order in which they were written: files by name, records as they lie in the file. An *attempt* ends where a tag's
step goes back. **The later attempt wins from its first step on:** earlier points at or beyond that step are superseded; so are earlier
points of the same step within an attempt. A SessionLog START supersedes, in every tag of its directory, earlier points at or beyond its
step. Four exceptions:

- disorder: a step that goes back by at most two (or half a percent of the span) past at most two points, and repeats none of them, comes
  from a writer that hands in its points late; it is sorted, not resolved;
- a tag whose points (three or more) all carry the same step was logged without a step; all points stay, or those of the last launch
  where the values of a later file begin anew (`tbdiag.logs.launches`);
- a tag of one file that goes back three times or more, each time to where it began and after as many points, was logged with the index of
  the batch in its epoch; all points stay, and the steps go on where the epoch before ended;
- a tag of one file that goes back twenty times or more, at one point in fifty or more, never by 15 % of the span, was written by several
  writers of one process in turn (an agent's parallel environments): it is sorted, and points of one step go to the next free steps, or,
  where that would move one by more than 1 % of the span, the last of each step counts.

Superseded points are kept aside and reported, never dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tbdiag.model import Restart
from tbdiag.model.runs import is_stepless
from tbdiag.stats.overlap import same_values

ROUNDED = 2.0
"""Seconds by which files that follow one another may overlap: TensorFlow heads a file with the whole second before it opened it."""

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Track:
    """Points of one tag of one directory in the order of writing.

    Attributes:
        file: int ``[n]``, index of the file; position: int64 ``[n]``, byte offset in it.
        value: ``[n]`` numbers by which attempts are compared, or None.
    """

    name: str
    file: Int64
    position: Int64
    step: Int64
    wall_time: Float64
    value: npt.NDArray[np.generic] | None


@dataclass(slots=True)
class Break:
    """Where an attempt of one tag ends: the last point before and the first point behind, as ``(file, position)``."""

    before: tuple[int, int]
    behind: tuple[int, int]
    wall_time: float
    first_step: int
    last_step: int
    points: int
    same: int
    differing: int


@dataclass(slots=True, eq=False)
class Resolution:
    """What is kept of a track: indices in ascending step order, superseded indices in order of writing, and why."""

    kept: Int64
    superseded: Int64
    breaks: list[Break]
    repeats: Break | None
    stepless: bool = False
    in_turn: bool = False
    """Whether several writers of one process took turns."""
    step: Int64 | None = None
    """Steps of what is kept, where they are not those that were logged."""


def resolve_track(track: Track, starts: list[tuple[int, int, int]], launch: int = 0) -> Resolution | None:
    """Apply the rule to one tag; None where nothing is to be resolved.

    Args:
        starts: ``(file, position, step)`` of SessionLog STARTs of the directory.
        launch: index of the file with which the last launch begins, as the values of tags without steps tell it.
    """
    step = track.step
    n = step.size
    if n < 2 or (not starts and bool(np.all(step[1:] > step[:-1]))):
        return None
    if not starts and is_stepless(step):
        if (cut := int(np.count_nonzero(track.file < launch))) and cut < n:
            gone = np.zeros(n, dtype=bool)
            again = _supersede(track, gone, cut, int(step[0]))
            return Resolution(np.flatnonzero(~gone), np.flatnonzero(gone), [again], None, stepless=True)
        return Resolution(np.arange(n), np.zeros(0, dtype=np.int64), [], None, stepless=True)
    cuts = _find_cuts(step)
    if not starts and (going_on := _join_passes(track, cuts)) is not None:
        return Resolution(np.arange(n), np.zeros(0, dtype=np.int64), [], None, step=going_on)
    if not starts and (sorted_in := _sort_turns(track, cuts)) is not None:
        return sorted_in
    session_cuts = _session_cuts(track, starts)
    gone = np.zeros(n, dtype=bool)
    breaks = []
    for cut in cuts:
        stop = next((c for c in cuts if c > cut), n)
        breaks.append(_supersede(track, gone, int(cut), int(step[cut:stop].min())))
    for cut, first_step, place in session_cuts:
        found = _supersede(track, gone, cut, first_step)
        found.behind = place
        if found.points:
            breaks.append(found)
    order = np.lexsort((np.arange(n), step))
    order = order[~gone[order]]
    last_of_step = np.ones(order.size, dtype=bool)
    last_of_step[:-1] = step[order][1:] != step[order][:-1]
    repeated = order[~last_of_step]
    kept = order[last_of_step]
    repeats = _repeats(track, np.sort(repeated), kept) if repeated.size else None
    gone[repeated] = True
    _count_agreement(track, breaks, gone, kept)
    if not gone.any() and bool(np.all(kept == np.arange(n))):
        return None
    return Resolution(kept, np.flatnonzero(gone), breaks, repeats)


def _find_cuts(step: Int64) -> Int64:
    """Indices at which a new attempt begins: the step went back, and not by mere disorder."""
    back = np.flatnonzero(step[1:] < step[:-1]) + 1
    if not back.size:
        return back
    span = int(step.max()) - int(step.min())
    slack = max(2, int(0.005 * span))
    cuts: list[int] = []
    for i in back.tolist():
        start = cuts[-1] if cuts else 0
        ahead = step[start:i]
        overtaken = ahead[ahead >= step[i]]
        late = (
            overtaken.size <= 2 and int(overtaken.max(initial=step[i])) - int(step[i]) <= slack and not bool(np.any(overtaken == step[i]))
        )
        if not late:
            cuts.append(i)
    return np.array(cuts, dtype=np.int64)


def _join_passes(track: Track, cuts: Int64) -> Int64 | None:
    """Steps that go on from pass to pass, int64 ``[n]``; None where the steps do not begin again with every pass over the data."""
    step, wall = track.step, track.wall_time
    if cuts.size < 3 or np.any(track.file != track.file[0]) or not np.all(np.isfinite(wall)) or np.any(np.diff(wall) < 0):
        return None
    passes = np.split(np.arange(step.size), cuts)
    sizes = np.array([p.size for p in passes])
    usual = int(np.median(sizes))
    inside = np.concatenate([np.diff(step[p]) for p in passes])
    if usual < 2 or np.any(inside <= 0) or sizes[-1] > usual + 1 or np.any(np.abs(sizes[:-1] - usual) > max(1, usual // 20)):
        return None
    stride = int(np.median(inside))
    first, last = np.array([step[p[0]] for p in passes]), np.array([step[p[-1]] for p in passes[:-1]])
    if np.ptp(first) > stride or np.ptp(last) > stride:
        return None
    # A job that is started again and again takes its time to begin.
    waits, paces = wall[cuts] - wall[cuts - 1], np.array([wall[p[-1]] - wall[p[0]] for p in passes[:-1]])
    if np.median(waits) > max(2.0 * float(np.median(paces)), 1.0):
        return None
    period = int(last.max()) - int(first.min()) + stride
    return step + period * np.repeat(np.arange(len(passes)), sizes)


_TURNS = 20
"""Steps back of one file that no one relaunches so often: parallel environments went back 175 and 843 times, trials that report late 98 times."""
_FAR_BACK = 0.15
"""Of the span: those writers went back by 0.1 to 9 % of it, relaunches over their own log by 27 % and more."""
_ROOM = 0.01
"""Of the span, by which points of one step may be moved."""


def _sort_turns(track: Track, cuts: Int64) -> Resolution | None:
    """The points of several writers of one process in order of their steps; None where steps go back for another reason."""
    step, wall, n = track.step, track.wall_time, track.step.size
    back = np.flatnonzero(step[1:] < step[:-1]) + 1
    if back.size < max(_TURNS, n / 50) or not cuts.size or np.any(track.file != track.file[0]):
        return None
    span = int(step.max()) - int(step.min())
    depth = np.maximum.accumulate(step)[back] - step[back]
    if not np.all(np.isfinite(wall)) or np.any(np.diff(wall) < 0) or int(depth.max()) >= _FAR_BACK * span:
        return None
    order = np.argsort(step, kind="stable")
    logged, place = step[order], np.arange(n)
    free = place + np.maximum.accumulate(logged - place)
    if int((free - logged).max()) <= _ROOM * span:
        return Resolution(order, np.zeros(0, dtype=np.int64), [], None, in_turn=True, step=free)
    last = np.append(logged[1:] != logged[:-1], True)
    return Resolution(order[last], np.sort(order[~last]), [], None, in_turn=True)


def _session_cuts(track: Track, starts: list[tuple[int, int, int]]) -> list[tuple[int, int, tuple[int, int]]]:
    found = []
    for file, position, step in starts:
        before = (track.file < file) | ((track.file == file) & (track.position < position))
        cut = int(np.count_nonzero(before))
        if cut > 0:
            found.append((cut, step, (file, position)))
    return found


def _supersede(track: Track, gone: npt.NDArray[np.bool_], cut: int, first_step: int) -> Break:
    newly = np.flatnonzero((track.step[:cut] >= first_step) & ~gone[:cut])
    gone[newly] = True
    last = int(track.step[newly].max()) if newly.size else first_step
    behind = min(cut, track.step.size - 1)
    return Break(
        before=(int(track.file[cut - 1]), int(track.position[cut - 1])),
        behind=(int(track.file[behind]), int(track.position[behind])),
        wall_time=float(track.wall_time[behind]),
        first_step=first_step,
        last_step=max(first_step, last),
        points=int(newly.size),
        same=0,
        differing=0,
    )


def _repeats(track: Track, repeated: Int64, kept: Int64) -> Break:
    first = int(repeated[0])
    at = (int(track.file[first]), int(track.position[first]))
    found = Break(
        at, at, float(track.wall_time[first]), int(track.step[repeated].min()), int(track.step[repeated].max()), repeated.size, 0, 0
    )
    _compare(track, found, repeated, kept)
    return found


def _count_agreement(track: Track, breaks: list[Break], gone: npt.NDArray[np.bool_], kept: Int64) -> None:
    if not breaks:
        return
    lost = np.flatnonzero(gone)
    for part in breaks:
        inside = lost[(track.step[lost] >= part.first_step) & (track.step[lost] <= part.last_step)]
        _compare(track, part, inside, kept)


def _compare(track: Track, part: Break, lost: Int64, kept: Int64) -> None:
    if track.value is None or not lost.size or not kept.size:
        return
    value = track.value.astype(np.float64)
    steps = track.step[kept]
    at = np.searchsorted(steps, track.step[lost])
    at_safe = np.minimum(at, steps.size - 1)
    shared = steps[at_safe] == track.step[lost]
    old, new = value[lost[shared]], value[kept[at_safe[shared]]]
    equal = same_values(old, new, value)
    part.same += int(np.count_nonzero(equal))
    part.differing += int(np.count_nonzero(~equal))


def merge_breaks(
    breaks: list[tuple[str, Break]], repeats: list[Break], spans: list[tuple[float, float] | None], starts: list[tuple[int, int, int]]
) -> list[Restart]:
    """One `Restart` for each event that several tags saw, in order of writing, and one for all repeated steps.

    Args:
        breaks: ``(tag, break)`` of all tags of one directory.
        spans: first and last wall time of each file, None where unknown.
        starts: ``(file, position, step)`` of SessionLog STARTs.
    """
    rest = sorted(breaks, key=lambda pair: (pair[1].behind, pair[1].before))
    restarts = []
    while rest:
        point = rest[0][1].behind
        here = [rest[0], *(pair for pair in rest[1:] if pair[1].before < point)]
        rest = [pair for pair in rest[1:] if pair[1].before >= point]
        restarts.append(_restart(here, spans, starts))
    if repeats:
        same, differing = sum(r.same for r in repeats), sum(r.differing for r in repeats)
        restarts.append(
            Restart(
                kind="duplicate-step",
                first_step=min(r.first_step for r in repeats),
                last_step=max(r.last_step for r in repeats),
                wall_time=min(r.wall_time for r in repeats),
                points=sum(r.points for r in repeats),
                tags=len(repeats),
                agree=_agree(same, differing),
            )
        )
    return restarts


def _agree(same: int, differing: int) -> bool | None:
    return None if not same + differing else differing <= 0.05 * (same + differing)


def _restart(here: list[tuple[str, Break]], spans: list[tuple[float, float] | None], starts: list[tuple[int, int, int]]) -> Restart:
    parts = [part for _, part in here]
    before, behind = max(p.before for p in parts), min(p.behind for p in parts)
    kind = "step-regression"
    if any(before < (file, position) <= behind for file, position, _ in starts):
        kind = "session-start"
    elif before[0] != behind[0]:
        old, new = spans[before[0]], spans[behind[0]]
        if old is not None and new is not None and old[1] - new[0] > ROUNDED:
            kind = "overlapping-writers"
    with_points = [p for p in parts if p.points] or parts
    return Restart(
        kind=kind,
        first_step=min(p.first_step for p in with_points),
        last_step=max(p.last_step for p in with_points),
        wall_time=min(p.wall_time for p in parts),
        points=sum(p.points for p in parts),
        tags=len({name for name, _ in here}),
        agree=_agree(sum(p.same for p in parts), sum(p.differing for p in parts)),
    )
