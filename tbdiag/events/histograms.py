"""TF1 histogram protos -> moments and buckets.

Layout::

    HistogramProto   min [1], max [2], num [3], sum [4], sum_squares [5] doubles (zeros are not written);
                     bucket_limit [6], bucket [7] packed doubles: right edges and counts

Records with one such histogram (PyTorch, TF1) are read on a short way: the keys and lengths of many of them are followed at once, which
tells where their two arrays lie, and these bytes are copied once, from the arena into the column.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.events.columns import Float64, Int64
from tbdiag.events.wire import BYTES, FIXED64, Bytes, WireError, walk_fields

UInt8 = npt.NDArray[np.uint8]

_MIN_RECORD = 64


def decode_histo(data: Bytes, pos: int, end: int) -> tuple[list[float], UInt8, UInt8]:
    """Moments ``[min, max, num, sum, sum_squares]``, right edges ``[k]`` and counts ``[k]``, these as the bytes of doubles.

    Where a writer gave one array more entries than the other, the longer one is cut: TensorBoard raises an error there.
    """
    moments = [0.0] * 5
    columns: tuple[list[bytes], list[bytes]] = ([], [])
    for number, kind, start, stop in walk_fields(data, pos, end):
        if number <= 5 and kind == FIXED64:
            moments[number - 1] = float(np.frombuffer(data[start:stop], "<f8")[0])
        elif number in (6, 7) and kind in (BYTES, FIXED64):
            if (stop - start) % 8:
                raise WireError("packed doubles of odd length")
            columns[number - 6].append(data[start:stop])
        elif number <= 7:
            raise WireError("histogram field of another type")
    right, count = (np.frombuffer(b"".join(parts), dtype=np.uint8) for parts in columns)
    size = min(right.size, count.size)
    return moments, right[:size], count[:size]


@dataclass(slots=True, eq=False)
class Located:
    """Records that hold one histogram proto each, and where its parts lie in the arena.

    Attributes:
        record: int64 ``[n]``, which of the records given; wall_time: float64 ``[n]``; step, tag_at, tag_size: int64 ``[n]``.
        start: int64 ``[n]``, where the proto begins; moments: float64 ``[n, 5]``.
        right, count: int64 ``[n]``, where the two arrays begin; size: int64 ``[n]``, bytes of each.
    """

    record: Int64
    wall_time: Float64
    step: Int64
    tag_at: Int64
    tag_size: Int64
    start: Int64
    moments: Float64
    right: Int64
    count: Int64
    size: Int64

    def take(self, index: Int64) -> Located:
        """Those at `index`."""
        return Located(*(getattr(self, column.name)[index] for column in fields(self)))


def locate_histos(arena: UInt8, at: Int64, lengths: Int64) -> Located:
    """Find the parts of all records that are one histogram in the usual order of fields.

    Every key and length on the way is looked at, so that a record that is read here could not be read otherwise; the others are left out.

    Args:
        at, lengths: int64 ``[m]``, payloads in the arena, which is at least 64 bytes longer than the last of them.
    """
    doubles: Any = np.ndarray((arena.size - 7,), dtype="<f8", buffer=arena, strides=(1,))
    record = np.flatnonzero(lengths >= _MIN_RECORD)
    begin = at[record]
    end = begin + lengths[record]
    # wall_time, step, summary, value, tag: each length must reach exactly to the end of what holds it.
    right = arena[begin] == 0x09
    pos = begin + 9
    stepped = arena[pos] == 0x10
    step, behind = _varints(arena, pos + 1)
    step, pos = np.where(stepped, step, 0), np.where(stepped, behind, pos)
    right &= step >= 0
    for key in (0x2A, 0x0A):
        right &= arena[pos] == key
        size, pos = _varints(arena, pos + 1)
        right &= pos + size == end
    right &= arena[pos] == 0x0A
    tag_size, tag_at = _varints(arena, pos + 1)
    right &= (tag_size >= 0) & (tag_at + tag_size + 8 < end)
    record, begin, end, step, tag_size, tag_at = (column[right] for column in (record, begin, end, step, tag_size, tag_at))
    pos = tag_at + tag_size
    right = arena[pos] == 0x2A
    size, start = _varints(arena, pos + 1)
    right &= start + size == end
    pos = start
    moments = np.zeros((record.size, 5))
    for number in range(5):
        written = (pos + 9 < end) & (arena[pos] == (number + 1) << 3 | 1)
        moments[:, number] = np.where(written, doubles[pos + 1], 0.0)
        pos = pos + 9 * written
    right &= arena[pos] == 0x32
    size, edges = _varints(arena, pos + 1)
    pos = edges + size
    right &= (size >= 0) & (size % 8 == 0) & (pos + 2 < end)
    pos = np.where(right, pos, begin)
    right &= arena[pos] == 0x3A
    counts_size, counts = _varints(arena, pos + 1)
    right &= (counts_size == size) & (counts + size == end)
    columns = (record, doubles[begin + 1], step, tag_at, tag_size, start, moments, edges, counts, size)
    return Located(*(column[right] for column in columns))


def _varints(arena: UInt8, at: Int64) -> tuple[Int64, Int64]:
    """Values of varints of up to three bytes at each of `at`, and the places behind them; longer ones are -1."""
    words: Any = np.ndarray((arena.size - 3,), dtype="<u4", buffer=arena, strides=(1,))
    word = words[at].astype(np.int64)
    second = word >> 7 & 1
    third = second & word >> 15
    value = word & 0x7F | (word >> 1 & 0x7F << 7) * second | (word >> 2 & 0x7F << 14) * third
    value[(third & word >> 23) != 0] = -1
    return value, at + 1 + second + third
