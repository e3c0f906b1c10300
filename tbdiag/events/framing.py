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


class Stop(Enum):
    """Why a walk ended."""

    ENOUGH = "as many frames as were asked for"
    PARTIAL = "the next frame reaches beyond the bytes at hand"
    BAD = "the checksum of a length is wrong"


class Walker:
    """Walks frames one after the other; the checksum of every length is checked."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}

    def walk(self, buffer: Any, pos: int, filled: int, at: list[int], lengths: list[int], limit: int) -> tuple[int, Stop]:
        """Collect whole frames from `pos` on: where each payload begins and its length.

        Returns:
            Where the next frame begins, and why the walk ended there.
        """
        known = self._known
        add_at, add_length = at.append, lengths.append
        header = _header
        for _ in range(limit):
            begin = pos + HEADER
            if begin > filled:
                return pos, Stop.PARTIAL
            length, crc = header(buffer, pos)
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


def find_frames(arena: npt.NDArray[np.uint8], pos: int, filled: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Whole frames from `pos` on, without walking: all headers at once.

    Every offset is a candidate whose length is below 65,536 (six zero bytes) and whose checksum is that of the length. Headers that
    follow each other without a gap from `pos` on are the frames; at the first gap (damage, a longer record, bytes that only look like a
    header) the search ends, and walking goes on.

    Returns:
        Where each payload begins and its length, int64 ``[n]``.
    """
    n = filled - pos - HEADER + 1
    none = np.zeros(0, dtype=np.int64)
    if n <= 0:
        return none, none
    zero = arena[pos + 2 : pos + n + 7] == 0
    two = zero[:-1] & zero[1:]
    four = two[:-2] & two[2:]
    candidate = np.flatnonzero(four[:n] & two[4 : n + 4])
    length = np.ndarray((n,), dtype="<u2", buffer=arena, offset=pos, strides=(1,))[candidate]
    stored = np.ndarray((n,), dtype="<u4", buffer=arena, offset=pos + 8, strides=(1,))[candidate]
    right = _length_checksums()[length] == stored
    header, size = candidate[right], length[right].astype(np.int64)
    following = header + size + OVERHEAD
    if not header.size or header[0]:
        return none, none
    gaps = np.flatnonzero(header[1:] != following[:-1])
    count = int(gaps[0]) + 1 if gaps.size else header.size
    if count and following[count - 1] > filled - pos:
        count -= 1
    return header[:count] + (pos + HEADER), size[:count]


@lru_cache(maxsize=1)
def _length_checksums() -> npt.NDArray[np.uint32]:
    """Masked checksum of every length below 65,536."""
    lengths = np.arange(1 << 16, dtype="<u8")
    return mask(crc_rows(lengths.view(np.uint8).reshape(-1, 8)))


def frame_length(buffer: Any, pos: int) -> int:
    """Payload length that the header at `pos` states."""
    return int(_header(buffer, pos)[0])
