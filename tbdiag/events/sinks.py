"""Growing columns: points arrive one by one or many at once, in whatever order decoding them yields, and leave in file order."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.events.columns import Float64, Histograms, Int64, Places, Points, join_places
from tbdiag.events.histograms import Located
from tbdiag.events.reserve import Doubles, Reserve

UInt8 = npt.NDArray[np.uint8]


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
    """Collects points of one tag: single ones in lists, many at once as arrays."""

    __slots__ = ("_chunks", "_dtype", "_position", "_step", "_value", "_wall_time")

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self._position: list[int] = []
        self._step: list[int] = []
        self._wall_time: list[float] = []
        self._value: list[Any] = []
        self._dtype: np.dtype[Any] | None = None

    def append(self, position: int, step: int, wall_time: float, value: Any, dtype: np.dtype[Any]) -> None:
        """Add one point."""
        if dtype != self._dtype or (self._position and position < self._position[-1]):
            self._seal()
            self._dtype = dtype
        self._position.append(position)
        self._step.append(step)
        self._wall_time.append(wall_time)
        self._value.append(value)

    def extend(self, places: Places, step: Int64, wall_time: Float64, value: npt.NDArray[Any]) -> None:
        """Add many points, ``[n]`` each, with ascending places."""
        self._chunks.append(_Chunk(places, step, wall_time, value))

    def _seal(self) -> None:
        if self._step:
            self._chunks.append(
                _Chunk(
                    np.array(self._position, dtype=np.int64),
                    np.array(self._step, dtype=np.int64),
                    np.array(self._wall_time, dtype=np.float64),
                    np.array(self._value, dtype=self._dtype),
                )
            )
            self._position, self._step, self._wall_time, self._value = [], [], [], []

    def finish(self) -> Points:
        """All points in file order; where dtypes differ, the one that holds them all."""
        self._seal()
        chunks, self._chunks = self._chunks, []
        if len(chunks) > 1:
            chunks = _in_order(chunks)
        if len(chunks) == 1:
            only = chunks[0]
            # A view would keep the arrays of all tags that were decoded together.
            return Points((only.places,), only.step, only.wall_time, only.value)
        step, wall_time = np.concatenate([c.step for c in chunks]), np.concatenate([c.wall_time for c in chunks])
        value = np.concatenate([c.value for c in chunks])
        places = tuple(c.places for c in chunks)
        if any(a[-1] > b[0] for a, b in pairwise(places)):
            joined = join_places(places)
            order = np.argsort(joined, kind="stable")
            places = (joined[order],)
            step, wall_time, value = step[order], wall_time[order], value[order]
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

    __slots__ = ("_count", "_left", "_moments", "_position", "_right", "_size", "_step", "_wall_time", "tensor")

    def __init__(self, tensor: bool, reserve: Reserve) -> None:
        self.tensor = tensor
        self._position, self._step, self._size = array("q"), array("q"), array("q")
        self._wall_time, self._moments = array("d"), array("d")
        self._left, self._right, self._count = Doubles(reserve), Doubles(reserve), Doubles(reserve)

    def append(self, position: int, step: int, wall_time: float, moments: list[float], right: UInt8, count: UInt8) -> None:
        """Add one proto: five numbers, and the bytes of k edges and k counts."""
        self._note(np.array([position]), np.array([step]), np.array([wall_time]), np.array(moments), np.array([right.size // 8]))
        self._right.room(right.size // 8).view(np.uint8)[:] = right
        self._count.room(right.size // 8).view(np.uint8)[:] = count

    def extend_protos(self, arena: UInt8, position: Int64, found: Located) -> None:
        """Add many protos that were located in the arena."""
        self._note(position, found.step, found.wall_time, found.moments, found.size // 8)
        total = int(found.size.sum()) // 8
        for column, starts in ((self._right, found.right), (self._count, found.count)):
            room = column.room(total).view(np.uint8)
            done = 0
            for start, size in zip(starts.tolist(), found.size.tolist(), strict=True):
                room[done : done + size] = arena[start : start + size]
                done += size

    def extend(self, places: Places, step: Int64, wall_time: Float64, table: npt.NDArray[Any]) -> None:
        """Add many histogram tensors of one shape, ``table[m, k, 3]``; sums are NaN, they are not written."""
        m, k = table.shape[:2]
        left, right, count = (column.room(m * k).reshape(m, k) for column in (self._left, self._right, self._count))
        left[:], right[:], count[:] = table[:, :, 0], table[:, :, 1], table[:, :, 2]
        moments = np.full((m, 5), np.nan)
        moments[:, 2] = count.sum(axis=1)
        if k:
            moments[:, 0], moments[:, 1] = left[:, 0], right[:, -1]
        self._note(np.asarray(places, dtype=np.int64), step, wall_time, moments, np.full(m, k))

    def _note(self, position: Int64, step: Int64, wall_time: Float64, moments: Float64, size: Int64) -> None:
        self._position.frombytes(position.astype(np.int64, copy=False).tobytes())
        self._step.frombytes(step.astype(np.int64, copy=False).tobytes())
        self._wall_time.frombytes(wall_time.astype(np.float64, copy=False).tobytes())
        self._moments.frombytes(moments.tobytes())
        self._size.frombytes(size.astype(np.int64, copy=False).tobytes())

    def finish(self) -> Histograms:
        """All histograms in file order."""
        position, step, sizes = (np.frombuffer(column, dtype=np.int64) for column in (self._position, self._step, self._size))
        offset = np.zeros(sizes.size + 1, dtype=np.int64)
        np.cumsum(sizes, out=offset[1:])
        found = Histograms(
            position=position,
            step=step,
            wall_time=np.frombuffer(self._wall_time, dtype=np.float64),
            moments=np.frombuffer(self._moments, dtype=np.float64).reshape(-1, 5),
            offset=offset,
            right=self._right.finish(),
            count=self._count.finish(),
            left=self._left.finish() if self.tensor else None,
        )
        if position.size > 1 and bool(np.any(position[1:] < position[:-1])):
            return found.take(np.argsort(position, kind="stable"))
        return found
