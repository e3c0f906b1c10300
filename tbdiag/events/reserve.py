"""Memory for columns that grow to the size of the file: taken once where possible, and that of histograms in large pieces."""

from __future__ import annotations

import numpy as np

from tbdiag.events.columns import Float64

_LARGE_FILE = 1 << 23
_MAX_PIECE = 1 << 26
_MAX_AHEAD = 1 << 22  # elements of one column
_MAX_AHEAD_ALL = 1 << 28  # of all columns of a file
_MARGIN = 17 / 16


class Reserve:
    """Room for the columns of one file.

    A column that grows piece by piece is copied in the end, and held twice while it is: so it is given at once the room that it will
    need if the file goes on as it began. What is never touched of it takes no memory.

    Histograms of a large file lie in pieces of up to 64 MB: numpy asks for large ones in pages of 2 MB where the system has them, and the
    first touch of one costs as much as that of a few of its 512 small pages. That first touch is half the time of reading histograms.

    Attributes:
        ahead: bytes of the file by those that were decoded when the records at hand will be. What a column holds by then, times this, is
            what it will hold if the file goes on as it began.
    """

    __slots__ = ("_left", "_piece", "_rest", "ahead")

    def __init__(self, size: int) -> None:
        self.ahead = 1.0
        self._piece = min(size, _MAX_PIECE) // 8 if size >= _LARGE_FILE else 0
        self._rest: Float64 = np.empty(0)
        self._left = min(size // 4, _MAX_AHEAD_ALL)

    def expect(self, size: int) -> int:
        """How many elements a column of now `size` should have room for."""
        if self.ahead <= 1.0:
            return size
        more = min(int(size * (self.ahead * _MARGIN - 1.0)), _MAX_AHEAD, self._left)
        self._left -= more
        return size + more

    def take(self, count: int) -> Float64:
        """`count` doubles of histograms, not set."""
        if not self._piece:
            return np.empty(count)
        if count > self._rest.size:
            self._rest = np.empty(max(count, self._piece))
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken


class Buckets:
    """A growing column of doubles, of histograms."""

    __slots__ = ("_array", "_reserve", "_size")

    def __init__(self, reserve: Reserve) -> None:
        self._reserve = reserve
        self._array: Float64 = np.empty(0)
        self._size = 0

    def room(self, count: int) -> Float64:
        """`count` more elements, to be filled at once."""
        size = self._size + count
        if size > self._array.size:
            grown = self._reserve.take(max(self._reserve.expect(size), 9 * self._array.size // 8))
            grown[: self._size] = self._array[: self._size]
            self._array = grown
        room = self._array[self._size : size]
        self._size = size
        return room

    def finish(self) -> Float64:
        """All elements."""
        return self._array[: self._size]
