"""Growing columns: points arrive one by one or many at once, in whatever order decoding them yields, and leave in file order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.events.columns import Float64, Histograms, Int64, Places, Points, join_places


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
    """Collects histograms of one tag and encoding; edges and counts go straight into one growing buffer each."""

    __slots__ = ("_count", "_left", "_moments", "_position", "_right", "_size", "_step", "_wall_time", "tensor")

    def __init__(self, tensor: bool) -> None:
        self.tensor = tensor
        self._position: list[int] = []
        self._step: list[int] = []
        self._wall_time: list[float] = []
        self._size: list[int] = []
        self._moments = bytearray()
        self._left, self._right, self._count = bytearray(), bytearray(), bytearray()

    def append(self, position: int, step: int, wall_time: float, moments: Any, right: Any, count: Any) -> None:
        """Add one proto: buffers of five, k and k doubles."""
        self._position.append(position)
        self._step.append(step)
        self._wall_time.append(wall_time)
        self._size.append(len(right) // 8)
        self._moments += moments
        self._right += right
        self._count += count

    def extend(self, places: Places, step: Int64, wall_time: Float64, table: npt.NDArray[Any]) -> None:
        """Add many histogram tensors of one shape, ``table[m, k, 3]``; sums are NaN, they are not written."""
        table = table.astype(np.float64, copy=False)
        m, k = table.shape[:2]
        moments = np.full((m, 5), np.nan)
        moments[:, 2] = table[:, :, 2].sum(axis=1)
        if k:
            moments[:, 0], moments[:, 1] = table[:, 0, 0], table[:, -1, 1]
        self._position += places if isinstance(places, range) else places.tolist()
        self._step += step.tolist()
        self._wall_time += wall_time.tolist()
        self._size += [k] * m
        self._moments += moments.tobytes()
        self._left += table[:, :, 0].tobytes()
        self._right += table[:, :, 1].tobytes()
        self._count += table[:, :, 2].tobytes()

    def finish(self) -> Histograms:
        """All histograms in file order."""
        sizes = np.array(self._size, dtype=np.int64)
        position = np.array(self._position, dtype=np.int64)
        offset = np.zeros(sizes.size + 1, dtype=np.int64)
        np.cumsum(sizes, out=offset[1:])
        found = Histograms(
            position=position,
            step=np.array(self._step, dtype=np.int64),
            wall_time=np.array(self._wall_time, dtype=np.float64),
            moments=np.frombuffer(self._moments, "<f8").reshape(-1, 5),
            offset=offset,
            right=np.frombuffer(self._right, "<f8"),
            count=np.frombuffer(self._count, "<f8"),
            left=np.frombuffer(self._left, "<f8") if self.tensor else None,
        )
        if position.size > 1 and bool(np.any(position[1:] < position[:-1])):
            return found.take(np.argsort(position, kind="stable"))
        return found
