"""Where the bytes of an event file come from: a local file read at offsets, or bytes in memory.

Files are never mapped: a mapped file that shrinks while it is read kills the process.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Protocol

HEAD_BYTES = 4096
"""First bytes of a file, by which a replaced one is told from one that grew."""


class Source(Protocol):
    """Bytes at offsets; `size` is what the file held when it was opened, and nothing beyond it is read."""

    size: int

    def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes at `offset`; fewer at the end of the file, or if it shrank meanwhile."""

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`; the number of bytes that were there."""


class LocalSource:
    """A local file.

    Raises:
        OSError: the file cannot be opened or is no regular file.
    """

    def __init__(self, path: str) -> None:
        # Without O_NONBLOCK a named pipe that happens to be called like an event file would hang here.
        self._handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
        status = os.fstat(self._handle)
        import stat

        if not stat.S_ISREG(status.st_mode):
            os.close(self._handle)
            raise OSError(f"{path!r} is not a regular file")
        self.size = status.st_size
        self.mtime_ns = status.st_mtime_ns

    def read(self, offset: int, count: int) -> bytes:
        """See `Source.read`."""
        return os.pread(self._handle, max(0, min(count, self.size - offset)), offset)

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """See `Source.readinto`."""
        done = 0
        wanted = min(len(buffer), self.size - offset)
        while done < wanted:
            n = os.preadv(self._handle, [buffer[done:wanted]], offset + done)
            if not n:
                break
            done += n
        return done

    def close(self) -> None:
        """Give the file back."""
        os.close(self._handle)

    def __enter__(self) -> LocalSource:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class BytesSource:
    """Bytes in memory, read like a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, count: int) -> bytes:
        """See `Source.read`."""
        return self._data[offset : offset + count]

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """See `Source.readinto`."""
        part = self._data[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        return len(part)
