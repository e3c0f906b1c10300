"""Finding the next whole frame after damage: a vectorised search for a length whose checksum is right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tbdiag.events.checksum import crc_rows, mask, masked_crc

_WINDOW = 1 << 20
_HEADER = 12


def find_frame(read: Callable[[int, int], bytes], start: int, size: int, budget: list[int]) -> int | None:
    """Offset of the first whole frame at or after `start`: header and payload checksums right; None if there is none.

    Args:
        read: ``read(offset, n)`` gives up to `n` bytes of the file.
        size: bytes of the file that count.
        budget: ``[bytes]`` that may still be checksummed for candidates, shared by the searches of one file, so that a file made of
            false headers costs a bounded time; the search gives up when it is spent.
    """
    base = start
    while base + _HEADER + 4 <= size:
        window = read(base, min(_WINDOW + _HEADER, size - base))
        if len(window) < _HEADER:
            return None
        for candidate, length in _candidates(window, base, size):
            if budget[0] < 0:
                return None
            budget[0] -= length + 64
            frame = read(candidate + _HEADER, length + 4)
            if len(frame) == length + 4 and masked_crc(frame[:length]) == int.from_bytes(frame[length:], "little"):
                return candidate
        base += _WINDOW
    return None


def _candidates(window: bytes, base: int, size: int) -> list[tuple[int, int]]:
    raw = np.frombuffer(window, dtype=np.uint8)
    n = min(raw.size - _HEADER + 1, _WINDOW)
    # A length below 4 GiB has four zero bytes in its upper half; that alone drops nearly every offset.
    zero = raw[4 : 8 + n - 1] == 0
    hit = zero[:n] & zero[1 : n + 1] & zero[2 : n + 2] & zero[3 : n + 3]
    at = np.flatnonzero(hit)
    if not at.size:
        return []
    low = (
        raw[at].astype(np.int64)
        | raw[at + 1].astype(np.int64) << 8
        | raw[at + 2].astype(np.int64) << 16
        | raw[at + 3].astype(np.int64) << 24
    )
    keep = (low > 0) & (low <= size - base - at - _HEADER - 4)
    at, low = at[keep], low[keep]
    if not at.size:
        return []
    headers = raw[at[:, None] + np.arange(_HEADER)]
    stored = np.ascontiguousarray(headers[:, 8:]).view("<u4").ravel()
    right = mask(crc_rows(headers[:, :8])) == stored
    return [(base + int(offset), int(length)) for offset, length in zip(at[right], low[right], strict=True)]
