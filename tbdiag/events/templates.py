"""Files that repeat another one byte for byte but for what was measured: read at once, by their *template*.

The runs of a sweep log the same tags at the same steps, so their files have the same size, the same frames, tags and steps in the same
places; they differ in wall times, values and the checksums over these. One file that was read record by record tells where all of that
lies. Another file of its size is compared with it, masked by what may vary, and if it agrees its columns are gathered from the places of
the first: exact, not a guess, and without framing, parsing or looking anything up. All checksums are checked by one pass over the file
(see `checksum`). A file that does not agree in every fixed byte, or whose checksums are wrong, is read as any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.events import wire
from tbdiag.events.checksum import crc_of_array, unmask
from tbdiag.events.columns import FileColumns, Int64, Places, Points
from tbdiag.events.framing import FOOTER, HEADER, OVERHEAD, frame_length
from tbdiag.events.layouts import LayoutCache
from tbdiag.events.source import Source

MAX_BYTES = 1 << 19
"""Larger files are read by blocks in little more time."""
_MIN_BYTES = 1 << 12
_MAX_SAME_SIZE, _MAX_FAILURES, _MAX_TEMPLATES, _MAX_SIZES = 2, 2, 24, 4096
_PADDING = 8

UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Tag:
    """One tag's part of a template: its points are ``[first, last)`` of the wall times, ``[value_first, value_last)`` of its dtype's values."""

    tag: bytes
    places: tuple[Places, ...]
    step: Int64
    dtype: str
    first: int
    last: int
    value_first: int
    value_last: int


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """What the files of one size and content but for measurements have in common.

    Attributes:
        fixed, constant: uint64 ``[ceil(size / 8)]``, bits that are equal in all of them, and those bits.
        checksums_at: int64, offsets of the payloads' checksums; checksum: CRC of the whole file when they are stored unmasked.
        walls_at: int64, offsets of the wall times, tag after tag; values_at: the same of the values of each dtype.
        ends: offsets of the first and the last record's wall time.
        columns: what is the same of all: everything but wall times and values.
    """

    size: int
    fixed: npt.NDArray[np.uint64]
    constant: npt.NDArray[np.uint64]
    checksums_at: Int64
    checksum: int
    walls_at: Int64
    values_at: dict[str, Int64]
    ends: tuple[int, int]
    tags: tuple[_Tag, ...]
    columns: FileColumns

    def read(self, arena: bytearray) -> FileColumns | None:
        """Columns of the file in `arena`, whose checksums are unmasked in place; None where it does not agree or is damaged."""
        words = np.frombuffer(arena, dtype=np.uint64, count=self.fixed.size) ^ self.constant
        words &= self.fixed
        if words.any():
            return None
        stored = _view(arena, "<u4")
        stored[self.checksums_at] = unmask(stored[self.checksums_at])
        if crc_of_array(np.frombuffer(arena, dtype=np.uint8, count=self.size)) != self.checksum:
            return None
        walls = _view(arena, "<f8")
        wall_time = walls[self.walls_at]
        first, last = (float(walls[at]) for at in self.ends)
        # A sum of squares is not a number exactly where one of them is not.
        if math.isnan(float(np.dot(wall_time, wall_time)) + first + last):
            return None
        values = {dtype: _view(arena, dtype)[at] for dtype, at in self.values_at.items()}
        scalars = {
            t.tag: Points(t.places, t.step, wall_time[t.first : t.last], values[t.dtype][t.value_first : t.value_last]) for t in self.tags
        }
        same = self.columns
        return FileColumns(same.size, same.end, same.records, same.file_version, first, last, scalars, plugins=dict(same.plugins))


_TABLES = ("histos", "histogram_tensors", "tensors", "texts", "media", "hparams", "rejected")
_LISTS = ("session_starts", "damage")


def _view(arena: bytearray, dtype: str) -> npt.NDArray[Any]:
    """All elements of `dtype` that begin at any byte."""
    return np.ndarray((len(arena) - np.dtype(dtype).itemsize + 1,), dtype=dtype, buffer=arena, strides=(1,))


def make_template(data: bytes, columns: FileColumns, layouts: LayoutCache) -> Template | None:
    """The template of a file that was read, or None where it holds anything but numbers, or is damaged in any way."""
    size = len(data)
    if columns.end != size or columns.size != size or columns.nan_wall_times or not columns.scalars:
        return None
    if any(getattr(columns, name) for name in (*_TABLES, *_LISTS)):
        return None
    found = _locate(data, layouts)
    if found is None:
        return None
    varies, wall_of, checksums_at, ends = found
    tags: list[_Tag] = []
    walls: list[int] = []
    values: dict[str, list[int]] = {}
    steps: dict[bytes, Int64] = {}
    for tag, points in columns.scalars.items():
        position = points.position.tolist()
        dtype = points.value.dtype.str
        at = values.setdefault(dtype, [])
        if not set(position) <= wall_of.keys():
            return None
        step = steps.setdefault(points.step.tobytes(), points.step.copy())
        step.flags.writeable = False
        tags.append(_Tag(tag, points.places, step, dtype, len(walls), len(walls) + len(position), len(at), len(at) + len(position)))
        walls += [wall_of[place] for place in position]
        at += position
    arena = bytearray(data) + bytearray(-size % _PADDING + _PADDING)
    stored = _view(arena, "<u4")
    fixed = np.frombuffer(bytes(-size % _PADDING).rjust(size + -size % _PADDING, b"\xff"), dtype=np.uint8).copy()
    for start, stop in varies:
        fixed[start:stop] = 0
    words = fixed.view(np.uint64)
    constant = np.frombuffer(arena, dtype=np.uint64, count=words.size) & words
    stored[checksums_at] = unmask(stored[checksums_at])
    template = Template(
        size=size,
        fixed=words,
        constant=constant,
        checksums_at=checksums_at,
        checksum=crc_of_array(np.frombuffer(arena, dtype=np.uint8, count=size)),
        walls_at=np.array(walls, dtype=np.int64),
        values_at={dtype: np.array(at, dtype=np.int64) for dtype, at in values.items()},
        ends=ends,
        tags=tuple(tags),
        columns=replace(columns, scalars={}, plugins=dict(columns.plugins)),
    )
    again = template.read(bytearray(data) + bytearray(-size % _PADDING + _PADDING))
    return template if again is not None and _same(again, columns) else None


def _locate(data: bytes, layouts: LayoutCache) -> tuple[list[tuple[int, int]], dict[int, int], Int64, tuple[int, int]] | None:
    """Bytes that vary, the place of the wall time by that of the value, places of checksums, and the wall times of both ends."""
    varies: list[tuple[int, int]] = []
    wall_of: dict[int, int] = {}
    checksums: list[int] = []
    walls: list[int] = []
    at = 0
    while at < len(data):
        length = frame_length(data, at)
        begin, end = at + HEADER, at + HEADER + length
        payload = data[begin:end]
        layout = layouts.find(payload)
        if layout is None:
            if not _is_version(payload):
                return None
            walls.append(begin + 1)
        elif layout.wall_at < 0 or any(slot.shape or slot.bfloat16 for slot in layout.slots):
            return None
        else:
            walls.append(begin + layout.wall_at)
            for slot in layout.slots:
                value = begin + slot.value_at
                wall_of[value] = walls[-1]
                varies.append((value, value + slot.dtype.itemsize))
        varies += [(walls[-1], walls[-1] + 8), (end, end + FOOTER)]
        checksums.append(end)
        at += length + OVERHEAD
    return varies, wall_of, np.array(checksums, dtype=np.int64), (walls[0], walls[-1])


def _is_version(payload: bytes) -> bool:
    """Whether a record holds the version of the format, behind its wall time, and no step."""
    try:
        event = wire.parse_event(payload, 0, len(payload))
    except wire.WireError:
        return False
    return event.file_version is not None and payload[:1] == b"\x09" and event.step == 0


def _same(a: FileColumns, b: FileColumns) -> bool:
    """Whether two files' columns are equal in everything, the order of tags and all dtypes included."""
    if list(a.scalars) != list(b.scalars):
        return False
    for one, other in zip(a.scalars.values(), b.scalars.values(), strict=True):
        pairs = ((one.position, other.position), (one.step, other.step), (one.wall_time, other.wall_time), (one.value, other.value))
        if any(x.dtype != y.dtype or x.tobytes() != y.tobytes() for x, y in pairs):
            return False
    return all(getattr(a, f.name) == getattr(b, f.name) for f in fields(FileColumns) if f.name != "scalars")


class TemplateCache:
    """Templates of files that were read. One is made of the second file of a size; a size that gives none twice is given up."""

    def __init__(self) -> None:
        self._known: dict[int, list[Template]] = {}
        self._failures: dict[int, int] = {}
        self._count = 0

    def read(self, source: Source, arena: bytearray) -> FileColumns | None:
        """Read a file by the template that it agrees with, if there is one; `arena` has room for it and a few bytes more."""
        size = source.size
        for template in self._known.get(size, ()):
            arena[size : size + _PADDING] = bytes(_PADDING)
            view = memoryview(arena)[:size]
            got = source.readinto(0, view)
            view.release()
            found = template.read(arena) if got == size else None
            if found is not None:
                return found
        return None

    def learn(self, source: Source, columns: FileColumns, layouts: LayoutCache) -> None:
        """Note a file that was read from its beginning."""
        size = source.size
        if not _MIN_BYTES <= size <= MAX_BYTES or columns.size != size:
            return
        if size not in self._failures:
            if len(self._failures) >= _MAX_SIZES:
                self._failures.clear()
            self._failures[size] = 0
            return
        if self._failures[size] >= _MAX_FAILURES or len(self._known.get(size, ())) >= _MAX_SAME_SIZE:
            return
        template = make_template(source.read(0, size), columns, layouts)
        if template is None:
            self._failures[size] += 1
            return
        if self._count >= _MAX_TEMPLATES:
            self._known.clear()
            self._count = 0
        self._known.setdefault(size, []).append(template)
        self._count += 1
