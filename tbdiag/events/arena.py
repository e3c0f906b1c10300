"""The buffer that a file passes through from front to back, and where in the file its bytes came from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tbdiag.events.columns import Damage, FileColumns, Int64, Places, in_file_order
from tbdiag.events.decode import Contents

SLACK = 64
"""Bytes behind the arena's room, so that words may be read at its end."""


class Arena:
    """Bytes of a file at hand.

    Attributes:
        buffer, arena: the same bytes as bytearray and as uint8 ``[room + SLACK]``.
        filled, pos: arena offsets behind the last byte at hand and of the next frame to walk.
        shift: file offset less arena offset, at `pos`; segments: (arena offset, shift) from there on, where blobs were skipped.
    """

    def __init__(self, arena: bytearray, start: int) -> None:
        self.buffer = arena
        self.arena = np.frombuffer(arena, dtype=np.uint8)
        self.room = len(arena) - SLACK
        self.filled = self.pos = 0
        self.shift = start
        self.segments: list[tuple[int, int]] = [(0, start)]

    def _offset(self, index: int) -> int:
        return index + self.shift

    def _move_to_front(self) -> None:
        rest = self.filled - self.pos
        self.buffer[:rest] = self.buffer[self.pos : self.filled]
        self.shift += self.pos
        self.filled, self.pos = rest, 0
        self.segments = [(0, self.shift)]

    def _jump(self, offset: int) -> None:
        """Go on at a file offset ahead. What was walked stays in the arena; the bytes between are given up."""
        target = offset - self.shift
        if target <= self.filled:
            self.pos = target
            return
        self.filled = self.pos
        self.shift = offset - self.pos
        self.segments.append((self.pos, self.shift))

    def _position(self, index: int) -> int:
        for start, shift in reversed(self.segments):
            if index >= start:
                return index + shift
        return index + self.shift

    def _positions(self, index: Int64) -> Int64:
        """`_position` of many."""
        if len(self.segments) == 1:
            return index + self.segments[0][1]
        starts, shifts = (np.array(column, dtype=np.int64) for column in zip(*self.segments, strict=True))
        positions: Int64 = index + shifts[np.maximum(np.searchsorted(starts, index, side="right") - 1, 0)]
        return positions

    def _place_rows(self, begins: Sequence[int], stride: int, count: int) -> list[Places]:
        """`_position` of `count` bytes, `stride` apart, from each of `begins` (ascending) on."""
        if begins[0] >= self.segments[-1][0]:
            shift = self.segments[-1][1]
            return [range(begin + shift, begin + shift + count * stride, stride) for begin in begins]
        return list(self._positions(np.array(begins)[:, None] + np.arange(0, count * stride, stride)))


def close_columns(out: Contents, size: int, end: int, damage: list[Damage]) -> FileColumns:
    """What was read of a file of `size` bytes up to byte `end`, as columns in the order of the file."""
    return FileColumns(
        size=size,
        end=end,
        records=out.records,
        file_version=out.file_version.decode("utf-8", "backslashreplace"),
        first_wall_time=out.first_wall[1] if out.first_wall is not None else None,
        last_wall_time=out.last_wall[1] if out.last_wall is not None else None,
        scalars=in_file_order({tag: sink.finish() for tag, sink in out.scalars.items()}),
        histos=in_file_order({tag: sink.finish() for tag, sink in out.histos.items()}),
        histogram_tensors=in_file_order({tag: sink.finish() for tag, sink in out.histogram_tensors.items()}),
        tensors={tag: items.in_order() for tag, items in out.tensors.items()},
        texts={tag: items.in_order() for tag, items in out.texts.items()},
        media={tag: items.in_order() for tag, items in out.media.items()},
        hparams=out.hparams,
        plugins=out.plugins,
        session_starts=sorted(out.session_starts),
        rejected=out.rejected,
        nan_wall_times=out.nan_wall_times,
        damage=sorted(damage, key=lambda part: part.start),
    )
