"""Stretches of a file in which the same few records follow each other again and again, read as a matrix.

A training loop logs the same tags in the same order at every step: a *cycle* of up to 64 records. Once one cycle is known, all bytes
after it are compared with it, masked by what may vary (see `layouts`), a cycle a row, at memory speed. The rows that agree need no
framing, no parsing and no look-up: their fields are columns at fixed offsets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.events import extract
from tbdiag.events.checksum import check_rows, masked_crc, unmask
from tbdiag.events.columns import Places
from tbdiag.events.decode import Contents
from tbdiag.events.layouts import Layout, LayoutCache

MAX_PERIOD = 64
MIN_RECORDS = 256
_HEADER = 12
_COMPARE_BYTES = 1 << 17
_MAX_CYCLE_BYTES = 1 << 16
_MAX_REMEMBERED, _MAX_TURNED, MAX_RECORD_BYTES = 64, 256, 1 << 12

UInt8 = npt.NDArray[np.uint8]


@dataclass(slots=True, eq=False)
class Cycle:
    """One period of a file.

    Attributes:
        size: bytes of the frames of one cycle; starts: offset of each payload in it; layouts: of each record.
        fixed, constant: uint8 ``[k * size]``, mask and content of `k` cycles; right: one cycle with right, unmasked checksums.
    """

    size: int
    starts: tuple[int, ...]
    layouts: tuple[Layout, ...]
    fixed: UInt8
    constant: UInt8
    right: bytes

    @property
    def period(self) -> int:
        """Records of one cycle."""
        return len(self.starts)

    def turn(self, first: int) -> Cycle:
        """The same cycle begun at its record `first`."""
        if not first:
            return self
        cut, size = self.starts[first] - _HEADER, self.size
        starts = [at - cut for at in self.starts[first:]] + [at - cut + size for at in self.starts[:first]]
        layouts = (*self.layouts[first:], *self.layouts[:first])
        fixed, constant = (np.roll(column, -cut) for column in (self.fixed, self.constant))
        return Cycle(size, tuple(starts), layouts, fixed, constant, self.right[cut:] + self.right[:cut])


class CycleCache:
    """Cycles that were read, found again by the layout of the record with which they begin.

    Runs of one program repeat each other's cycles, so that most of a file need not be walked before a block is found.
    """

    def __init__(self) -> None:
        self._places: dict[Layout, list[tuple[Cycle, int]]] = {}
        self._turned: dict[tuple[Cycle, int], Cycle] = {}
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def add(self, cycle: Cycle) -> None:
        """Remember a cycle of numbers; tables are large and rare."""
        if cycle.size > MAX_RECORD_BYTES or any(slot.shape for layout in cycle.layouts for slot in layout.slots):
            return
        if any(known.layouts == cycle.layouts for known in self.find(cycle.layouts[0])):
            return
        if self._count >= _MAX_REMEMBERED:
            self._count = 0
            self._places.clear()
            self._turned.clear()
        self._count += 1
        for i, layout in enumerate(cycle.layouts):
            self._places.setdefault(layout, []).append((cycle, i))

    def find(self, layout: Layout) -> Iterator[Cycle]:
        """Cycles that begin with a record of this layout, the last seen first."""
        for cycle, first in reversed(self._places.get(layout, ())):
            turned = self._turned.get((cycle, first))
            if turned is None:
                if len(self._turned) >= _MAX_TURNED:
                    self._turned.clear()
                turned = self._turned[cycle, first] = cycle.turn(first)
            yield turned


def find_period(arena: UInt8, at: Sequence[int], lengths: Sequence[int], cache: LayoutCache) -> int:
    """How many records back the last walked record was repeated, if all walked ones keep to that period; else 0."""
    last = len(at) - 1
    layout = cache.find(arena[at[last] : at[last] + lengths[last]].tobytes())
    if layout is None:
        return 0
    slot = layout.slots[0]
    a, b = slot.tag_at, slot.tag_at + len(slot.tag)
    for period in range(1, min(MAX_PERIOD, last // 2) + 1):
        other = last - period
        if lengths[other] == lengths[last] and arena[at[other] + a : at[other] + b].tobytes() == slot.tag:
            count = min(len(lengths), max(2 * period, 96))
            recent = lengths[-count:]
            return period if recent[period:] == recent[:-period] else 0
    return 0


def make_cycle(arena: UInt8, at: Sequence[int], lengths: Sequence[int], cache: LayoutCache) -> Cycle | None:
    """The cycle of the records given (consecutive, whole), or None where one of them is no fixed-size record or is damaged."""
    start = at[0] - _HEADER
    size = at[-1] + lengths[-1] + 4 - start
    if size > _MAX_CYCLE_BYTES:
        return None
    fixed = np.full(size, 0xFF, dtype=np.uint8)
    right = bytearray(arena[start : start + size].tobytes())
    layouts = []
    starts = []
    for begin, length in zip(at, lengths, strict=True):
        payload = arena[begin : begin + length].tobytes()
        layout = cache.find(payload)
        end = begin - start + length
        stored = int.from_bytes(right[end : end + 4], "little")
        if layout is None or masked_crc(payload) != stored:
            return None
        fixed[begin - start : end] = layout.fixed
        fixed[end : end + 4] = 0
        right[end : end + 4] = unmask(np.array([stored], dtype=np.uint32)).astype("<u4").tobytes()
        layouts.append(layout)
        starts.append(begin - start)
    constant = arena[start : start + size] & fixed
    repeat = max(1, 2048 // size)
    return Cycle(size, tuple(starts), tuple(layouts), np.tile(fixed, repeat), np.tile(constant, repeat), bytes(right))


def count_cycles(arena: UInt8, start: int, filled: int, cycle: Cycle, scratch: UInt8) -> int:
    """How many whole cycles from `start` on agree with `cycle`; `scratch` has room for `_COMPARE_BYTES` and a few more."""
    size, wide = cycle.size, cycle.fixed.size
    total = (filled - start) // size
    begin, end = start, start + total * size
    most = wide  # a cycle that does not fit shows soon
    while begin < end:
        n = min(end - begin, most)
        if n > wide:
            n -= n % wide
            work = scratch[:n].reshape(-1, wide)
            np.bitwise_xor(arena[begin : begin + n].reshape(-1, wide), cycle.constant, out=work)
            np.bitwise_and(work, cycle.fixed, out=work)
        else:
            work = scratch[:n]
            np.bitwise_xor(arena[begin : begin + n], cycle.constant[:n], out=work)
            np.bitwise_and(work, cycle.fixed[:n], out=work)
        scratch[n : n + 7] = 0
        words = scratch[: (n + 7) & ~7].view(np.uint64)
        if words.any():
            at = 8 * int(np.flatnonzero(words)[0])
            at += int(np.flatnonzero(scratch[at : at + 8])[0])
            return (begin - start + at) // size
        begin += n
        most = max(wide, _COMPARE_BYTES)
    return total


def decode_cycles(out: Contents, arena: UInt8, start: int, cycles: int, cycle: Cycle, places: Sequence[Places]) -> int:
    """Check and decode `cycles` cycles at `start`; the number of leading cycles whose checksums are right and that were taken.

    Args:
        places: for each record of the cycle the file offsets of its payloads, ``[cycles]``.
    """
    size = cycle.size
    data: Any = arena
    stored = [
        extract.strided(data, start + at + layout.length, size, cycles, "<u4")
        for at, layout in zip(cycle.starts, cycle.layouts, strict=True)
    ]
    masked = np.array(stored)
    for column, plain in zip(stored, unmask(masked), strict=True):
        column[...] = plain
    right = check_rows(arena[start : start + cycles * size].reshape(cycles, size), cycle.right)
    if right is not None:
        for column, copy in zip(stored, masked, strict=True):
            column[...] = copy
        cycles = int(np.flatnonzero(~right)[0])
        if not cycles:
            return 0
        places = [place[:cycles] for place in places]
    begins = [start + at for at in cycle.starts]
    walls = [extract.read_walls(data, begin, size, cycles, layout) for begin, layout in zip(begins, cycle.layouts, strict=True)]
    steps = extract.read_alike_steps(data, begins, size, cycles, cycle.layouts)
    out.note_wall_rows(places, walls)
    for begin, place, layout, wall_time, step in zip(begins, places, cycle.layouts, walls, steps, strict=True):
        for slot in layout.slots:
            value = extract.read_values(data, begin, size, cycles, slot)
            at = slot.value_at
            shifted = range(place.start + at, place.stop + at, place.step) if isinstance(place, range) else place + at
            extract.add_column(out, slot.tag, slot, shifted, step, wall_time, value)
    out.records += cycles * cycle.period
    return cycles
