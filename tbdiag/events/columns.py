"""Growing columns of one event file: points in the order of the file, a column a tag."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Points:
    """Points of one scalar tag in file order.

    Attributes:
        position: int64 ``[n]``, byte offset of the value in the file; strictly ascending.
        step: int64 ``[n]``; wall_time: float64 ``[n]``, seconds since the epoch; value: ``[n]``, the logged dtype.
    """

    position: Int64
    step: Int64
    wall_time: Float64
    value: npt.NDArray[Any]

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


class ScalarSink:
    """Collects points of one tag: single ones in lists, many at once as arrays."""

    __slots__ = ("_chunks", "_position", "_step", "_value", "_wall_time", "dtype")

    def __init__(self) -> None:
        self._chunks: list[tuple[Int64, Int64, Float64, npt.NDArray[Any]]] = []
        self._position: list[int] = []
        self._step: list[int] = []
        self._wall_time: list[float] = []
        self._value: list[Any] = []
        self.dtype: np.dtype[Any] | None = None

    def append(self, position: int, step: int, wall_time: float, value: Any, dtype: np.dtype[Any]) -> None:
        """Add one point."""
        if dtype != self.dtype:
            self._seal()
            self.dtype = dtype
        self._position.append(position)
        self._step.append(step)
        self._wall_time.append(wall_time)
        self._value.append(value)

    def extend(self, position: Int64, step: Int64, wall_time: Float64, value: npt.NDArray[Any]) -> None:
        """Add many points, ``[n]`` each, positions ascending among themselves."""
        self._chunks.append((position, step, wall_time, value))

    def _seal(self) -> None:
        if self._step:
            self._chunks.append(
                (
                    np.array(self._position, dtype=np.int64),
                    np.array(self._step, dtype=np.int64),
                    np.array(self._wall_time, dtype=np.float64),
                    np.array(self._value, dtype=self.dtype),
                )
            )
            self._position, self._step, self._wall_time, self._value = [], [], [], []

    def finish(self) -> Points:
        """All points in file order; where dtypes differ, the one that holds them all."""
        self._seal()
        columns = list(zip(*self._chunks, strict=True))
        self._chunks = []
        joined = [part[0] if len(part) == 1 else np.concatenate(part) for part in columns]
        position, step, wall_time, value = joined
        if position.size > 1 and not bool(np.all(position[1:] >= position[:-1])):
            order = np.argsort(position, kind="stable")
            position, step, wall_time, value = position[order], step[order], wall_time[order], value[order]
        return Points(position, step, wall_time, value)


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

    def finish(self) -> Histograms:
        """All histograms in file order."""
        order = sorted(range(len(self._position)), key=self._position.__getitem__)
        blocks = [self._blocks[i] for i in order]
        sizes = np.array([block[2].size for block in blocks], dtype=np.int64)
        offset = np.zeros(sizes.size + 1, dtype=np.int64)
        np.cumsum(sizes, out=offset[1:])
        return Histograms(
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
