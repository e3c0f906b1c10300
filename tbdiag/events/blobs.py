"""Large records that are only looked at from outside: parsed in place, a few bytes at a time."""

from __future__ import annotations

from typing import overload

from tbdiag.events.checksum import extend_crc, mask_int
from tbdiag.events.source import Source
from tbdiag.events.wire import WireError

_PIECE = 256
_CHUNK = 1 << 20


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
