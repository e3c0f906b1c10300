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
from typing import Any

from tbdiag.events.checksum import masked_crc

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


def frame_length(buffer: Any, pos: int) -> int:
    """Payload length that the header at `pos` states."""
    return int(_header(buffer, pos)[0])
