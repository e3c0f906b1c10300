"""Growing columns of one event file: points in the order of the file, a column a tag."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Places = range | Int64
"""Byte offsets of values, ascending; a range where they are evenly spaced."""


@dataclass(slots=True, eq=False)
class Points:
    """Points of one scalar tag in file order.

    Attributes:
        places: byte offsets of the values in the file, in pieces that follow each other.
        step: int64 ``[n]``; wall_time: float64 ``[n]``, seconds since the epoch; value: ``[n]``, the logged dtype.
    """

    places: tuple[Places, ...]
    step: Int64
    wall_time: Float64
    value: npt.NDArray[Any]

    @property
    def position(self) -> Int64:
        """Byte offset of each value, int64 ``[n]``, ascending."""
        return join_places(self.places)

    def __len__(self) -> int:
        return int(self.step.size)


@dataclass(slots=True, eq=False)
class Histograms:
    """Histograms of one tag and encoding in file order; buckets lie end to end (see `tbdiag.model.HistogramSeries`).

    Attributes:
        moments: float64 ``[n, 5]``: min, max, num, sum, sum of squares.
        left: None for TF1 protos.
    """

    position: Int64
    step: Int64
    wall_time: Float64
    moments: Float64
    offset: Int64
    right: Float64
    count: Float64
    left: Float64 | None


@dataclass(slots=True, eq=False)
class Items:
    """Points whose values are Python objects (texts, small tensors) or nothing at all (media), in file order."""

    position: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    wall_time: list[float] = field(default_factory=list)
    value: list[Any] = field(default_factory=list)
    payload_bytes: int = 0

    def append(self, position: int, step: int, wall_time: float, value: Any, payload_bytes: int = 0) -> None:
        """Add one point."""
        self.position.append(position)
        self.step.append(step)
        self.wall_time.append(wall_time)
        self.value.append(value)
        self.payload_bytes += payload_bytes

    def extend(self, other: Items) -> None:
        """Add later points of the same tag."""
        self.position += other.position
        self.step += other.step
        self.wall_time += other.wall_time
        self.value += other.value
        self.payload_bytes += other.payload_bytes


def join_places(pieces: tuple[Places, ...]) -> Int64:
    """Byte offsets as one array."""
    arrays = [np.arange(p.start, p.stop, p.step, dtype=np.int64) if isinstance(p, range) else p for p in pieces]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


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
    """Collects histograms of one tag and encoding."""

    __slots__ = ("_blocks", "_position", "_step", "_wall_time", "tensor")

    def __init__(self, tensor: bool) -> None:
        self.tensor = tensor
        self._position: list[int] = []
        self._step: list[int] = []
        self._wall_time: list[float] = []
        self._blocks: list[tuple[Float64, Float64 | None, Float64, Float64]] = []

    def append(self, position: int, step: int, wall_time: float, block: tuple[Float64, Float64 | None, Float64, Float64]) -> None:
        """Add one histogram: moments, left edges or None, right edges, counts."""
        self._position.append(position)
        self._step.append(step)
        self._wall_time.append(wall_time)
        self._blocks.append(block)

    def extend(self, places: Places, step: Int64, wall_time: Float64, table: npt.NDArray[Any]) -> None:
        """Add many histogram tensors of one shape, ``table[m, k, 3]``."""
        table = table.astype(np.float64, copy=False)
        moments = np.full((len(table), 5), np.nan)
        moments[:, 0], moments[:, 1], moments[:, 2] = table[:, 0, 0], table[:, -1, 1], table[:, :, 2].sum(axis=1)
        self._position += places if isinstance(places, range) else places.tolist()
        self._step += step.tolist()
        self._wall_time += wall_time.tolist()
        self._blocks += [(moments[i], table[i, :, 0], table[i, :, 1], table[i, :, 2]) for i in range(len(table))]

    def finish(self) -> Histograms:
        """All histograms in file order."""
        order = sorted(range(len(self._position)), key=self._position.__getitem__)
        blocks = [self._blocks[i] for i in order]
        sizes = np.array([block[2].size for block in blocks], dtype=np.int64)
        offset = np.zeros(sizes.size + 1, dtype=np.int64)
        np.cumsum(sizes, out=offset[1:])
        found = Histograms(
            position=np.array([self._position[i] for i in order], dtype=np.int64),
            step=np.array([self._step[i] for i in order], dtype=np.int64),
            wall_time=np.array([self._wall_time[i] for i in order], dtype=np.float64),
            moments=np.stack([block[0] for block in blocks]),
            offset=offset,
            right=np.concatenate([block[2] for block in blocks]).astype(np.float64, copy=False),
            count=np.concatenate([block[3] for block in blocks]).astype(np.float64, copy=False),
            left=np.concatenate([block[1] for block in blocks if block[1] is not None]).astype(np.float64, copy=False)
            if self.tensor
            else None,
        )
        self._blocks = []
        return found
