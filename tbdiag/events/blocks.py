"""Stretches of a file in which the same few records follow each other again and again, read as a matrix.

A training loop logs the same tags in the same order at every step: a *cycle* of up to 64 records. Once one cycle is known, all bytes
after it are compared with it, masked by what may vary (see `layouts`), a cycle a row, at memory speed. The rows that agree need no
framing, no parsing and no look-up: their fields are columns at fixed offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.events import extract
from tbdiag.events.checksum import check_rows, masked_crc, unmask
from tbdiag.events.decode import Contents
from tbdiag.events.layouts import Layout, LayoutCache

MAX_PERIOD = 64
MIN_RECORDS = 256
_HEADER = 12
_COMPARE_BYTES = 1 << 17
_MAX_CYCLE_BYTES = 1 << 16

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
    """How many whole cycles from `start` on agree with `cycle`."""
    size = cycle.size
    total = (filled - start) // size
    wide = cycle.fixed.size
    done = 0
    repeat = wide // size
    chunk = max(1, _COMPARE_BYTES // wide)
    while total - done >= repeat:
        n = min(chunk, (total - done) // repeat)
        begin = start + done * size
        rows = arena[begin : begin + n * wide].reshape(n, wide)
        work = scratch[: n * wide].reshape(n, wide)
        np.bitwise_xor(rows, cycle.constant, out=work)
        np.bitwise_and(work, cycle.fixed, out=work)
        if work.any():
            bad = int(np.flatnonzero(work.any(axis=1))[0])
            done += bad * repeat
            break
        done += n * repeat
    constant, fixed = cycle.constant[:size], cycle.fixed[:size]
    while done < total:
        begin = start + done * size
        if bool(((arena[begin : begin + size] ^ constant) & fixed).any()):
            break
        done += 1
    return done


def decode_cycles(out: Contents, arena: UInt8, start: int, cycles: int, cycle: Cycle, shift: int) -> int:
    """Check and decode `cycles` cycles at `start`; the number of leading cycles whose checksums are right and that were taken.

    Args:
        shift: file offset less arena offset.
    """
    size = cycle.size
    data: Any = arena
    stored = [
        extract.strided(data, start + at + layout.length, size, cycles, "<u4")
        for at, layout in zip(cycle.starts, cycle.layouts, strict=True)
    ]
    masked = [column.copy() for column in stored]
    for column, copy in zip(stored, masked, strict=True):
        column[...] = unmask(copy)
    right = check_rows(arena[start : start + cycles * size].reshape(cycles, size), cycle.right)
    if right is not None:
        for column, copy in zip(stored, masked, strict=True):
            column[...] = copy
        cycles = int(np.flatnonzero(~right)[0])
        if not cycles:
            return 0
    for at, layout in zip(cycle.starts, cycle.layouts, strict=True):
        begin = start + at
        wall_time = extract.read_walls(data, begin, size, cycles, layout)
        step = extract.read_steps(data, begin, size, cycles, layout)
        first = begin + shift
        out.note_walls(range(first, first + cycles * size, size), wall_time)
        for slot in layout.slots:
            value = extract.read_values(data, begin, size, cycles, slot)
            place = first + slot.value_at
            extract.add_column(out, slot.tag, slot, range(place, place + cycles * size, size), step, wall_time, value)
    out.records += cycles * cycle.period
    return cycles
