"""Large records that are only looked at from outside: parsed in place, a few bytes at a time."""

from __future__ import annotations

import struct
from typing import overload

from tbdiag.events.checksum import extend_crc, mask_int
from tbdiag.events.decode import is_blob
from tbdiag.events.source import Source
from tbdiag.events.wire import AUDIO, BYTES, IMAGE, SUMMARY, TENSOR, Event, Value, WireError, read_varint, signed64

_PIECE = 256
_CHUNK = 1 << 20
_MIN_MEDIA = 1024
_MAX_METADATA = 4096
_double = struct.Struct("<d").unpack


class LazyBytes:
    """The payload of one record in a file; what is asked for is read, in small pieces, and the rest is not touched."""

    def __init__(self, source: Source, offset: int, length: int, head: bytes = b"") -> None:
        self._source, self._offset, self._length = source, offset, length
        self._start = 0
        self._piece = head

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int, /) -> int: ...
    @overload
    def __getitem__(self, index: slice, /) -> bytes: ...
    def __getitem__(self, index: int | slice, /) -> int | bytes:
        if isinstance(index, slice):
            start, stop, _ = index.indices(self._length)
            return self._get(start, stop - start)
        at = index - self._start
        if 0 <= at < len(self._piece):
            return self._piece[at]
        return self._get(index, 1)[0]

    def _get(self, start: int, count: int) -> bytes:
        at = start - self._start
        if at < 0 or at + count > len(self._piece):
            self._piece = self._source.read(self._offset + start, max(count, min(_PIECE, self._length - start)))
            self._start, at = start, 0
        part = self._piece[at : at + count]
        if len(part) < count:
            raise WireError("the record was cut while it was read")
        return part


def checksum_is_right(source: Source, begin: int, length: int) -> bool:
    """Whether the stored checksum of the payload at ``[begin, begin + length)`` fits, read in chunks."""
    crc = 0
    done = 0
    while done < length:
        part = source.read(begin + done, min(_CHUNK, length - done))
        if not part:
            return False
        crc = int(extend_crc(crc, part))
        done += len(part)
    return source.read(begin + length, 4) == mask_int(crc).to_bytes(4, "little")


def media_outline(head: bytes, length: int, plugins: dict[bytes, str]) -> Event | None:
    """What the first bytes of a large record tell, if it holds one value of a tag that is known to carry media; else None.

    Keys and lengths are followed down to the payload; what comes behind it (the tag's metadata, seen before) is not looked at.
    """
    try:
        return _outline(head, length, plugins)
    except (IndexError, WireError):
        return None


def _outline(head: bytes, length: int, plugins: dict[bytes, str]) -> Event | None:
    if head[0] != 0x09:
        return None
    at, step = 9, 0
    if head[at] == 0x10:
        step, at = read_varint(head, at + 1, len(head))
    for key in (0x2A, 0x0A):
        if head[at] != key:
            return None
        size, at = read_varint(head, at + 1, len(head))
        if at + size != length:
            return None
    if head[at] != 0x0A:
        return None
    size, at = read_varint(head, at + 1, len(head))
    tag = head[at : at + size]
    at += size
    payload = head[at] >> 3
    media = payload in (IMAGE, AUDIO) or (payload == TENSOR and is_blob(plugins.get(tag, "")))
    if not media or head[at] & 7 != BYTES or tag not in plugins:
        return None
    size, at = read_varint(head, at + 1, len(head))
    if size < _MIN_MEDIA or at + size > length or length - at - size > _MAX_METADATA:
        return None
    value = Value(tag=tag, payload=payload, start=at, end=at + size)
    return Event(wall_time=_double(head[1:9])[0], step=signed64(step), what=SUMMARY, values=[value])
