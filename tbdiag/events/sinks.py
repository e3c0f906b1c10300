"""Growing columns: points arrive one by one or many at once, in whatever order decoding them yields, and leave in file order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.events.columns import Float64, Histograms, Int64, Places, Points, join_places
from tbdiag.events.histograms import Located
from tbdiag.events.reserve import Buckets, Reserve

UInt8 = npt.NDArray[np.uint8]

_NO_STEPS: Int64 = np.empty(0, dtype=np.int64)
_NO_TIMES: Float64 = np.empty(0)


@dataclass(slots=True, eq=False)
class _Chunk:
    places: Places
    step: Int64
    wall_time: Float64
    value: npt.NDArray[Any]

    def split(self, cuts: list[int]) -> list[_Chunk]:
        """Parts between file offsets, none of them empty."""
        places = self.places
        if isinstance(places, range):
            at = [min(max(-((places.start - cut) // places.step), 0), len(places)) for cut in cuts]
        else:
            at = np.searchsorted(places, cuts).tolist()
        edges = [0, *at, len(places)]
        return [_Chunk(places[a:b], self.step[a:b], self.wall_time[a:b], self.value[a:b]) for a, b in pairwise(edges) if b > a]


class ScalarSink:
    """Collects points of one tag: single ones in lists, many at once in columns that grow."""

    __slots__ = ("_before", "_dtype", "_places", "_position", "_reserve", "_single", "_size", "_step", "_value", "_wall_time")

    def __init__(self, reserve: Reserve) -> None:
        self._reserve = reserve
        self._size = 0
        self._places: list[Places] = []
        self._step: Int64 = _NO_STEPS
        self._wall_time: Float64 = _NO_TIMES
        self._value: npt.NDArray[Any] = _NO_TIMES
        self._before: list[npt.NDArray[Any]] = []  # values up to the last change of dtype
        self._position: list[int] = []
        self._single: list[tuple[int, float, Any]] = []
        self._dtype: np.dtype[Any] = _NO_TIMES.dtype

    def append(self, position: int, step: int, wall_time: float, value: Any, dtype: np.dtype[Any]) -> None:
        """Add one point."""
        if dtype != self._dtype or (self._position and position < self._position[-1]):
            self._seal()
            self._dtype = dtype
        self._position.append(position)
        self._single.append((step, wall_time, value))

    def extend(self, places: Places, step: Int64, wall_time: Float64, value: npt.NDArray[Any]) -> None:
        """Add many points, ``[n]`` each, with ascending places; they are copied."""
        if self._single:
            self._seal()
        self._copy(places, step, wall_time, value, value.dtype)

    def _copy(self, places: Places, step: Any, wall_time: Any, value: Any, dtype: np.dtype[Any]) -> None:
        a, b = self._size, self._size + len(places)
        if b > self._step.size:
            room = max(self._reserve.expect(b), 9 * a // 8)
            self._step, self._wall_time = _grow(self._step, a, room), _grow(self._wall_time, a, room)
            if a:
                self._value = _grow(self._value, a, room)
        if not a or self._value.dtype != dtype:
            if a:
                self._before.append(self._value[sum(map(len, self._before)) : a])
            self._value = np.empty(self._step.size, dtype)
        self._places.append(places)
        self._step[a:b], self._wall_time[a:b], self._value[a:b] = step, wall_time, value
        self._size = b

    def _seal(self) -> None:
        """Put the single points into the columns."""
        if self._single:
            step, wall_time, value = zip(*self._single, strict=True)
            first = self._position[0]
            places = np.array(self._position, dtype=np.int64) if len(step) > 1 else range(first, first + 1)
            self._position, self._single = [], []
            self._copy(places, step, wall_time, value, self._dtype)

    def finish(self) -> Points:
        """All points in file order; where dtypes differ, the one that holds them all."""
        self._seal()
        size, places = self._size, tuple(self._places)
        step, wall_time, value = self._step[:size], self._wall_time[:size], self._value[:size]
        if self._before:
            value = np.concatenate([*self._before, value[sum(map(len, self._before)) :]])
        # Given up here: what is put in another order must not be held beside it until all tags are.
        self._step, self._wall_time, self._value, self._before = _NO_STEPS, _NO_TIMES, _NO_TIMES, []
        if all(a[-1] <= b[0] for a, b in pairwise(places)):
            return Points(places, step, wall_time, value)
        return _put_in_order(places, step, wall_time, value)


def _grow(column: npt.NDArray[Any], size: int, room: int) -> npt.NDArray[Any]:
    grown = np.empty(room, column.dtype)
    grown[:size] = column[:size]
    return grown


def _put_in_order(places: tuple[Places, ...], step: Int64, wall_time: Float64, value: npt.NDArray[Any]) -> Points:
    """Points whose pieces do not follow each other in the file."""
    chunks = []
    begin = 0
    for part in places:
        end = begin + len(part)
        chunks.append(_Chunk(part, step[begin:end], wall_time[begin:end], value[begin:end]))
        begin = end
    chunks = _in_order(chunks)
    places = tuple(c.places for c in chunks)
    step, wall_time = np.concatenate([c.step for c in chunks]), np.concatenate([c.wall_time for c in chunks])
    value = np.concatenate([c.value for c in chunks])
    if any(a[-1] > b[0] for a, b in pairwise(places)):
        joined = join_places(places)
        order = np.argsort(joined, kind="stable")
        return Points((joined[order],), step[order], wall_time[order], value[order])
    return Points(places, step, wall_time, value)


def _in_order(chunks: list[_Chunk]) -> list[_Chunk]:
    """Sort chunks by place, and split those that reach over the beginning of another."""
    chunks.sort(key=lambda c: c.places[0])
    if all(a.places[-1] <= b.places[0] for a, b in pairwise(chunks)):
        return chunks
    starts = [int(c.places[0]) for c in chunks]
    parts = [part for c in chunks for part in c.split([s for s in starts if c.places[0] < s <= c.places[-1]])]
    parts.sort(key=lambda c: c.places[0])
    return parts


class HistogramSink:
    """Collects histograms of one tag and encoding; edges and counts go straight into one growing column each."""

    __slots__ = ("_chunks", "_count", "_left", "_moments", "_right", "tensor")

    def __init__(self, tensor: bool, reserve: Reserve) -> None:
        self.tensor = tensor
        self._chunks: list[tuple[Places, Int64, Float64, Int64]] = []
        self._moments: list[Float64] = []
        self._left, self._right, self._count = Buckets(reserve), Buckets(reserve), Buckets(reserve)

    def append(self, position: int, step: int, wall_time: float, moments: list[float], right: UInt8, count: UInt8) -> None:
        """Add one proto: five numbers, and the bytes of k edges and k counts."""
        size = right.size // 8
        self._right.room(size).view(np.uint8)[:] = right
        self._count.room(size).view(np.uint8)[:] = count
        self._chunks.append((np.array([position]), np.array([step]), np.array([wall_time]), np.array([size])))
        self._moments.append(np.array([moments]))

    def extend_protos(self, source: memoryview, places: Int64, found: Located, part: slice) -> None:
        """Add the many protos `part` of those `found` in the bytes of `source`; `places` are the file offsets of these few."""
        size = found.size[part]
        sizes = size.tolist()
        total = sum(sizes) // 8
        for column, starts in ((self._right, found.right), (self._count, found.count)):
            # Memoryviews, because slices of arrays cost twice as much as the copy.
            room = column.room(total).view(np.uint8).data
            done = 0
            for start, length in zip(starts[part].tolist(), sizes, strict=True):
                room[done : done + length] = source[start : start + length]
                done += length
        self._chunks.append((places, found.step[part], found.wall_time[part], size >> 3))
        self._moments.append(found.moments[part])

    def extend(self, places: Places, step: Int64, wall_time: Float64, table: npt.NDArray[Any]) -> None:
        """Add many histogram tensors of one shape, ``table[m, k, 3]``."""
        m, k = table.shape[:2]
        for part, column in enumerate((self._left, self._right, self._count)):
            column.room(m * k).reshape(m, k)[:] = table[:, :, part]
        self._chunks.append((places, step, wall_time, np.full(m, k)))

    def finish(self) -> Histograms:
        """All histograms in file order."""
        places, *columns = zip(*self._chunks, strict=True)
        step, wall_time, sizes = (np.concatenate(column) for column in columns)
        position = join_places(places)
        offset = np.zeros(sizes.size + 1, dtype=np.int64)
        np.cumsum(sizes, out=offset[1:])
        left, right, count = (column.finish() for column in (self._left, self._right, self._count))
        found = Histograms(
            position=position,
            step=step,
            wall_time=wall_time,
            moments=_tensor_moments(offset, left, right, count) if self.tensor else np.concatenate(self._moments),
            offset=offset,
            right=right,
            count=count,
            left=left if self.tensor else None,
        )
        self._chunks, self._moments = [], []
        if position.size > 1 and bool(np.any(position[1:] < position[:-1])):
            return found.take(np.argsort(position, kind="stable"))
        return found


def _tensor_moments(offset: Int64, left: Float64, right: Float64, count: Float64) -> Float64:
    """What the buckets tell of min, max and num, ``[n, 5]``; sums are NaN: histogram tensors do not carry them."""
    moments = np.full((offset.size - 1, 5), np.nan)
    moments[:, 2] = 0.0
    filled = np.flatnonzero(offset[1:] > offset[:-1])
    if filled.size:
        first = offset[filled]
        moments[filled, 0] = left[first]
        moments[filled, 1] = right[offset[filled + 1] - 1]
        moments[filled, 2] = np.add.reduceat(count, first)
    return moments
