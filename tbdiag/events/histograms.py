"""TF1 histogram protos -> moments and buckets.

Layout::

    HistogramProto   min [1], max [2], num [3], sum [4], sum_squares [5] doubles (zeros are not written);
                     bucket_limit [6], bucket [7] packed doubles: right edges and counts

A record with one such histogram (PyTorch, TF1) is read on a short way: its outline has one shape, so a handful of looks at fixed places
tells where the two arrays lie, and their bytes are copied once, from the buffer into the column.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from tbdiag.events.wire import BYTES, FIXED64, Bytes, WireError, walk_fields

_double = struct.Struct("<d").unpack_from
_pack = struct.Struct("<5d").pack


def decode_histo(data: Bytes, pos: int, end: int) -> tuple[bytes, bytes, bytes]:
    """Moments ``[min, max, num, sum, sum_squares]``, right edges ``[k]`` and counts ``[k]`` as the bytes of doubles.

    Where a writer gave one array more entries than the other, the longer one is cut: TensorBoard raises an error there.
    """
    moments = np.zeros(5)
    columns: tuple[list[bytes], list[bytes]] = ([], [])
    for number, kind, start, stop in walk_fields(data, pos, end):
        if number <= 5 and kind == FIXED64:
            moments[number - 1] = np.frombuffer(data[start:stop], "<f8")[0]
        elif number in (6, 7) and kind in (BYTES, FIXED64):
            if (stop - start) % 8:
                raise WireError("packed doubles of odd length")
            columns[number - 6].append(data[start:stop])
        elif number <= 7:
            raise WireError("histogram field of another type")
    right, count = (b"".join(parts) for parts in columns)
    size = min(len(right), len(count))
    return moments.tobytes(), right[:size], count[:size]


def _varint(buffer: Any, at: int) -> tuple[int, int]:
    value = buffer[at]
    if value < 0x80:
        return value, at + 1
    second = buffer[at + 1]
    if second < 0x80:
        return value & 0x7F | second << 7, at + 2
    third = buffer[at + 2]
    if third < 0x80:
        return value & 0x7F | (second & 0x7F) << 7 | third << 14, at + 3
    return -1, at


class Outline:
    """Where the parts of a record with one histogram lie; made by `outline`."""

    __slots__ = ("count", "moments", "right", "start", "step", "tag", "wall_time")

    def __init__(self, wall_time: float, step: int, tag: bytes) -> None:
        self.wall_time, self.step, self.tag = wall_time, step, tag
        self.moments = b""
        self.start = 0
        self.right = (0, 0)
        self.count = (0, 0)


def outline(buffer: Any, begin: int, length: int) -> Outline | None:
    """Outline of the record at ``[begin, begin + length)`` if it is one histogram in the usual order of fields, else None.

    Every key and length on the way is looked at, so that a record that is read here could not be read otherwise.
    """
    end = begin + length
    # wall_time, step, summary, value, tag: each length must reach exactly to the end of what holds it.
    if length < 64 or buffer[begin] != 0x09:
        return None
    at = begin + 9
    step = 0
    if buffer[at] == 0x10:
        step, at = _varint(buffer, at + 1)
    if step < 0 or buffer[at] != 0x2A:
        return None
    size, at = _varint(buffer, at + 1)
    if at + size != end or buffer[at] != 0x0A:
        return None
    size, at = _varint(buffer, at + 1)
    if at + size != end or buffer[at] != 0x0A:
        return None
    size, at = _varint(buffer, at + 1)
    if size < 0 or at + size + 2 > end or buffer[at + size] != 0x2A:
        return None
    found = Outline(_double(buffer, begin + 1)[0], step, bytes(buffer[at : at + size]))
    size, at = _varint(buffer, at + size + 1)
    if at + size != end:
        return None
    found.start = at
    return _arrays(buffer, at, end, found)


def _arrays(buffer: Any, at: int, end: int, found: Outline) -> Outline | None:
    moments = [0.0] * 5
    key = 0x09
    for i in range(5):
        if at < end and buffer[at] == key:
            if at + 9 > end:
                return None
            moments[i] = _double(buffer, at + 1)[0]
            at += 9
        key += 8
    if at >= end or buffer[at] != 0x32:
        return None
    size, at = _varint(buffer, at + 1)
    following = at + size
    if size < 0 or size % 8 or following >= end or buffer[following] != 0x3A:
        return None
    found.right = (at, following)
    count, at = _varint(buffer, following + 1)
    if count != size or at + count != end:
        return None
    found.count = (at, end)
    found.moments = _pack(*moments)
    return found
