"""Frames: where records begin and end, and whether their lengths can be trusted.

A TFRecord file is a sequence of frames, all integers little-endian::

    length    uint64          bytes of the payload
    crc       uint32          masked CRC32C of the eight length bytes
    payload   length bytes    one serialised Event
    crc       uint32          masked CRC32C of the payload

Nothing marks the end: a frame that runs past it is one that is still being written, or was cut.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.events.checksum import crc_rows, mask, masked_crc

HEADER = 12
FOOTER = 4
OVERHEAD = HEADER + FOOTER

_header = struct.Struct("<QI").unpack_from
_MAX_KNOWN = 1 << 16
_LESSON, _MIN_LESSON, _LESSONS = 64, 16, 64
_MAX_LEAP = 16
_MAX_CYCLE_BYTES = 1 << 16

UInt8 = npt.NDArray[np.uint8]
Int64 = npt.NDArray[np.int64]


class Stop(Enum):
    """Why a walk ended."""

    ENOUGH = "as many frames as were asked for"
    PARTIAL = "the next frame reaches beyond the bytes at hand"
    BAD = "the checksum of a length is wrong"


class _Headers:
    """Headers of frames that followed each other twice, and may go on so: compared all at once, a quarter of the time of walking them."""

    def __init__(self, buffer: Any, start: int, lengths: Sequence[int]) -> None:
        frames = [length + OVERHEAD for length in lengths]
        self.size = sum(frames)
        self.count = len(frames)
        self.first = lengths[0]
        self._read = struct.Struct("".join(f"{HEADER}s{size - HEADER}x" for size in frames)).unpack_from
        self._headers = self._read(buffer, start)
        self._lengths = array("I", lengths)
        begins = np.cumsum([HEADER, *frames[:-1]]) + np.arange(_MAX_LEAP)[:, None] * self.size
        self._begins = begins.astype(np.uintc).ravel()

    def leap(self, buffer: Any, pos: int, filled: int, at: array[int], lengths: array[int], limit: int) -> int:
        """Collect the whole cycles from `pos` on, of `limit` frames at most; where the next frame begins."""
        size, read, headers = self.size, self._read, self._headers
        start = pos
        last = min(filled, pos + min(limit // self.count, _MAX_LEAP) * size) - size
        while pos <= last and read(buffer, pos) == headers:
            pos += size
        if pos > start:
            cycles = (pos - start) // size
            at.frombytes((self._begins[: cycles * self.count] + np.uintc(start)).tobytes())
            lengths.extend(self._lengths * cycles)
        return pos


class Walker:
    """Walks frames one after the other; the checksum of every length is checked."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        self._cycle: _Headers | None = None
        self._leapt = False
        self._lessons = _LESSONS

    def walk(self, buffer: Any, pos: int, filled: int, at: array[int], lengths: array[int], limit: int) -> tuple[int, Stop]:
        """Collect whole frames from `pos` on, about `limit` of them: where each payload begins and its length.

        Returns:
            Where the next frame begins, and why the walk ended there.
        """
        known, cycle = self._known, self._cycle
        first = cycle.first if cycle is not None else -1
        add_at, add_length = at.append, lengths.append
        header = _header
        for _ in range(limit):
            begin = pos + HEADER
            if begin > filled:
                return pos, Stop.PARTIAL
            length, crc = header(buffer, pos)
            if length == first and cycle is not None:
                behind = cycle.leap(buffer, pos, filled, at, lengths, limit)
                if behind > pos:
                    self._leapt = True
                    pos = behind
                    continue
            if known.get(length) != crc:
                if masked_crc(length.to_bytes(8, "little")) != crc:
                    return pos, Stop.BAD
                if len(known) < _MAX_KNOWN:
                    known[length] = crc
            following = begin + length + FOOTER
            if following > filled:
                return pos, Stop.PARTIAL
            add_at(begin)
            add_length(length)
            pos = following
        return pos, Stop.ENOUGH

    def learn(self, buffer: Any, at: array[int], lengths: array[int]) -> None:
        """A stretch of records ended: where it was periodic the next one may be walked a cycle at a time."""
        leapt, self._leapt = self._leapt, False
        count = min(len(lengths), _LESSON)
        if leapt or not self._lessons or count < _MIN_LESSON:
            return
        self._lessons -= 1
        recent = lengths[-count:]
        for period in range(2, count // 2 + 1):
            if recent[-1] == recent[-1 - period] and recent[period:] == recent[:-period]:
                start, end = at[-period] - HEADER, at[-1] + lengths[-1] + FOOTER
                if end - start == sum(recent[-period:]) + period * OVERHEAD <= _MAX_CYCLE_BYTES:
                    self._cycle = _Headers(buffer, start, recent[-period:])
                return


def find_frames(arena: UInt8, pos: int, filled: int) -> tuple[Int64, Int64]:
    """Whole frames from `pos` on, without walking: all headers at once.

    A length below 65,536 has six zero bytes behind its lower two, so a header lies just before a run of zeros. Headers that follow each
    other without a gap from `pos` on are the frames; at the first gap (damage, a longer record, a run of zeros that another joins) the
    search ends, and walking goes on.

    Returns:
        Where each payload begins and its length, int64 ``[n]``.
    """
    header, length = _find_headers(arena, pos, filled)
    following = header + length + OVERHEAD
    if not header.size or header[0] != pos:
        return header[:0], length[:0]
    gaps = np.flatnonzero(header[1:] != following[:-1])
    count = int(gaps[0]) + 1 if gaps.size else header.size
    if following[count - 1] > filled:
        count -= 1
    return header[:count] + HEADER, length[:count]


def _find_headers(arena: UInt8, pos: int, filled: int) -> tuple[Int64, Int64]:
    """Every offset from `pos` on at which a length below 65,536 with its right checksum follows a byte that is not zero, and the lengths."""
    base = pos & ~1
    zero = arena[base : base + (filled - base & ~1)].view("<u2") == 0
    four = zero[:-1] & zero[1:]
    run = (np.flatnonzero(four[1:] > four[:-1]) + 1) * 2 + base  # where runs of four zeros begin, at even offsets
    run = run[run <= filled - 11]
    # The last byte before the zeros that is not zero is the length where that is below 256, and the upper of its two where it is not.
    at = run - 1 - (arena[run - 1] == 0)
    stated = np.ndarray((arena.size - 7,), dtype="<u8", buffer=arena, strides=(1,))
    stored = np.ndarray((arena.size - 3,), dtype="<u4", buffer=arena, strides=(1,))
    length = stated[at]
    right = (_short_checksums()[length & np.uint64(0xFF)] == stored[at + 8]) & (length < 256)
    wrong = np.flatnonzero(~right)
    if wrong.size:
        at[wrong] -= 1
        length[wrong] = stated[at[wrong]]
        raw = length[wrong].astype("<u8").view(np.uint8).reshape(-1, 8)
        right[wrong] = (mask(crc_rows(raw)) == stored[at[wrong] + 8]) & (length[wrong] < _MAX_KNOWN)
    right &= at >= pos
    return at[right], length[right].astype(np.int64)


@lru_cache(maxsize=1)
def _short_checksums() -> npt.NDArray[np.uint32]:
    """Masked checksum of every length below 256."""
    return mask(crc_rows(np.arange(256, dtype="<u8").view(np.uint8).reshape(-1, 8)))


def frame_length(buffer: Any, pos: int) -> int:
    """Payload length that the header at `pos` states."""
    return int(_header(buffer, pos)[0])
