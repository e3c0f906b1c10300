"""What one event file holds: points in the order of the file, a column a tag, and the bytes that were lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

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

    @property
    def first(self) -> int:
        """Byte offset of the first value."""
        return int(self.places[0][0]) if self.step.size else 0

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

    @property
    def first(self) -> int:
        """Byte offset of the first histogram."""
        return int(self.position[0]) if self.step.size else 0

    def take(self, index: Int64) -> Histograms:
        """The histograms at `index`, in that order."""
        sizes = np.diff(self.offset)[index]
        offset = np.zeros(sizes.size + 1, dtype=np.int64)
        np.cumsum(sizes, out=offset[1:])
        rows = np.arange(int(offset[-1])) + np.repeat(self.offset[:-1][index] - offset[:-1], sizes)
        left = self.left[rows] if self.left is not None else None
        return Histograms(
            self.position[index],
            self.step[index],
            self.wall_time[index],
            self.moments[index],
            offset,
            self.right[rows],
            self.count[rows],
            left,
        )


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

    def in_order(self) -> Items:
        """The same in file order: large records are decoded before the smaller ones around them."""
        place = self.position
        if all(a <= b for a, b in pairwise(place)):
            return self
        order = sorted(range(len(place)), key=place.__getitem__)
        return Items(
            [place[i] for i in order],
            [self.step[i] for i in order],
            [self.wall_time[i] for i in order],
            [self.value[i] for i in order],
            self.payload_bytes,
        )

    def extend(self, other: Items) -> None:
        """Add later points of the same tag."""
        self.position += other.position
        self.step += other.step
        self.wall_time += other.wall_time
        self.value += other.value
        self.payload_bytes += other.payload_bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes ``[start, end)`` that could not be read.

    Attributes:
        kind: ``truncated`` (the last frame is incomplete), ``corrupt`` (a checksum is wrong), ``bad-record`` (checksums right, but no
            Event), or ``limit`` (too much damage to search through, or a record too large to decode).
        why: what was seen there.
    """

    kind: str
    start: int
    end: int
    why: str


@dataclass(slots=True)
class FileColumns:
    """Everything one event file holds, in file order.

    Attributes:
        end: offset behind the last whole frame; reading goes on there when the file has grown.
        size: bytes of the file when it was read.
        records: whole records read.
        session_starts: ``(position, step, wall time)`` of each SessionLog START.
        rejected: ``(tag, reason) -> count`` of values that hold no number that can be read.
    """

    size: int = 0
    end: int = 0
    records: int = 0
    file_version: str = ""
    first_wall_time: float | None = None
    last_wall_time: float | None = None
    scalars: dict[bytes, Points] = field(default_factory=dict)
    histos: dict[bytes, Histograms] = field(default_factory=dict)
    histogram_tensors: dict[bytes, Histograms] = field(default_factory=dict)
    tensors: dict[bytes, Items] = field(default_factory=dict)
    texts: dict[bytes, Items] = field(default_factory=dict)
    media: dict[bytes, Items] = field(default_factory=dict)
    hparams: dict[str, float | str | bool] = field(default_factory=dict)
    plugins: dict[bytes, str] = field(default_factory=dict)
    session_starts: list[tuple[int, int, float]] = field(default_factory=list)
    rejected: dict[tuple[bytes, str], int] = field(default_factory=dict)
    nan_wall_times: int = 0
    damage: list[Damage] = field(default_factory=list)

    @property
    def readable(self) -> int:
        """Bytes of the file that were read as whole frames."""
        return self.size - sum(part.end - part.start for part in self.damage)


Column = TypeVar("Column", Points, Histograms)


def in_file_order(columns: dict[bytes, Column]) -> dict[bytes, Column]:
    """Tags in the order of their first values: that of the model's layers, where a program logs them one after another."""
    return dict(sorted(columns.items(), key=lambda item: item[1].first))


def join_places(pieces: tuple[Places, ...]) -> Int64:
    """Byte offsets as one array."""
    arrays = [np.arange(p.start, p.stop, p.step, dtype=np.int64) if isinstance(p, range) else p for p in pieces]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
