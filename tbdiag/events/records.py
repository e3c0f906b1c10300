"""Frames that were walked and are not read as blocks: decoded when the arena is full, in bulk where many are alike."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.events import blocks, groups, wire
from tbdiag.events.arena import Arena
from tbdiag.events.checksum import crc_of_array, mask, mask_int
from tbdiag.events.columns import Damage, Int64
from tbdiag.events.decode import Contents, add_event, histogram_sink
from tbdiag.events.framing import FOOTER, HEADER, OVERHEAD, frame_length
from tbdiag.events.histograms import locate_histos
from tbdiag.events.layouts import LayoutCache
from tbdiag.events.reserve import Reserve
from tbdiag.events.resync import find_frame
from tbdiag.events.source import Source

WRONG = "the checksum of a record is wrong"
_SEARCH_BUDGET = 64 << 20
_MIN_HISTO = 256
_MIN_HISTOS = 8

layouts = LayoutCache()
"""Layouts of this process' files."""


class Records(Arena):
    """The arena, what was walked in it and not decoded yet, and what was found.

    Attributes:
        at, lengths: where in the arena the payload of each walked frame begins, and its length.
        fresh: index in these of the first record that may begin a block.
        last: file offset and length of the last frame that was not checked in a block.
    """

    def __init__(self, source: Source, start: int, plugins: dict[bytes, str], arena: bytearray) -> None:
        super().__init__(arena, start)
        self.source = source
        self.start, self.size = start, source.size
        self.out = Contents(plugins=plugins, reserve=Reserve(source.size - start))
        self.damage: list[Damage] = []
        self.budget = [_SEARCH_BUDGET + 4 * self.size]
        self.at, self.lengths = array("I"), array("I")
        self.fresh = 0
        self.scratch = np.empty(0, dtype=np.uint8)
        self.last: tuple[int, int] | None = None

    def _last_frame(self) -> tuple[int, int] | None:
        if self.at:
            return self._position(self.at[-1]) - HEADER, self.lengths[-1]
        return self.last

    def _decode_walked(self) -> None:
        """Decode what was walked, and forget it."""
        if self.at:
            self.last = self._last_frame()
            self._look_ahead(self._offset(self.pos))
            at, lengths = np.array(self.at, dtype=np.int64), np.array(self.lengths, dtype=np.int64)
            edge = self._decode_periodic(at, lengths)
            self._decode(at[edge:], lengths[edge:])
        self.at, self.lengths, self.fresh = array("I"), array("I"), 0

    def _look_ahead(self, done: int) -> None:
        """Tell the columns how much more comes behind byte `done`."""
        self.out.reserve.ahead = max(1.0, (self.size - self.start) / max(done - self.start, 1))

    def _decode_periodic(self, at: Int64, lengths: Int64) -> int:
        """Decode what was walked as a block, and what comes before it, if it ends in one: as between the images of a log, which end each
        stretch of records before it is long enough to be read as a block. How many records were decoded.
        """
        period = blocks.find_period(self.arena, self.at, self.lengths, layouts) if at.size >= blocks.MIN_RECORDS else 0
        if not period:
            return 0
        apart = np.flatnonzero(at[1:] != at[:-1] + lengths[:-1] + OVERHEAD)
        other = np.flatnonzero(lengths[period:] != lengths[:-period])
        begin = max(int(apart[-1]) + 1 if apart.size else 0, int(other[-1]) + 1 if other.size else 0)
        cycles = (at.size - begin) // period
        cycle = blocks.make_cycle(self.arena, self.at[-period:], self.lengths[-period:], layouts) if cycles > 1 else None
        if cycle is None:
            return 0
        edge = at.size - cycles * period
        while (alike := self._count(int(at[edge]) - HEADER, cycle, cycles)) < cycles:
            edge += (alike + 1) * period
            cycles -= alike + 1
        if cycles * period < blocks.MIN_RECORDS:
            return 0
        self._decode(at[:edge], lengths[:edge])
        start = int(at[edge]) - HEADER
        places = self._place_rows(at[edge : edge + period].tolist(), cycle.size, cycles)
        return edge + period * blocks.decode_cycles(self.out, self.arena, start, cycles, cycle, places)

    def _count(self, start: int, cycle: blocks.Cycle, most: int | None = None) -> int:
        """How many cycles from `start` on, of `most` or of all bytes at hand, agree with `cycle`."""
        if self.scratch.size < 1 << 18:
            self.scratch = np.empty(1 << 18, dtype=np.uint8)
        end = self.filled if most is None else start + most * cycle.size
        return blocks.count_cycles(self.arena, start, end, cycle, self.scratch)

    def _decode(self, at: Int64, lengths: Int64) -> None:
        if at.size < min(groups.MIN_ROWS, _MIN_HISTOS):
            for begin, length in zip(at.tolist(), lengths.tolist(), strict=True):
                self._decode_one(begin, length)
            return
        rest = self._decode_histos(at, lengths)
        short = np.minimum(lengths[rest], 0xFFFF).astype(np.uint16)
        order = np.argsort(short, kind="stable")
        rest = rest[order]
        cuts = np.flatnonzero(np.diff(short[order])) + 1
        members = np.split(rest, cuts)
        large = [m.size >= groups.MIN_ROWS and 0 < int(lengths[m[0]]) <= groups.MAX_LENGTH if m.size else False for m in members]
        single = [m for m, many in zip(members, large, strict=True) if not many]
        for i in np.sort(np.concatenate([rest[:0], *single])).tolist():
            self._decode_one(int(at[i]), int(lengths[i]))
        for m, many in zip(members, large, strict=True):
            if not many:
                continue
            length = int(lengths[m[0]])
            wrong, alone = groups.decode_group(self.out, self.arena, at[m], self._positions(at[m]), length)
            for i in m[wrong].tolist():
                self._drop(self._position(int(at[i])), length)
            for i in np.sort(m[alone]).tolist():
                begin = int(at[i])
                self._add_record(bytes(self.buffer[begin : begin + length]), self._position(begin))

    def _decode_histos(self, at: Int64, lengths: Int64) -> Int64:
        """Decode the records that hold one histogram proto; the indices of the others, and of those whose checksum is wrong."""
        long = np.flatnonzero(lengths >= _MIN_HISTO)
        if long.size < _MIN_HISTOS:
            return np.arange(at.size)
        found = locate_histos(self.arena, at[long], lengths[long])
        record = long[found.record]
        right = self._are_right(at[record], lengths[record])
        others = np.ones(at.size, dtype=np.bool_)
        others[record[right]] = False
        by_tag: dict[bytes, list[int]] = {}
        buffer, good = self.buffer, np.flatnonzero(right)
        for i, a, size in zip(good.tolist(), found.tag_at[good].tolist(), found.tag_size[good].tolist(), strict=True):
            by_tag.setdefault(bytes(buffer[a : a + size]), []).append(i)
        found = found.take(np.array([i for members in by_tag.values() for i in members], dtype=np.int64))
        self.out.records += good.size
        position = self._positions(found.start)
        self.out.note_walls(position, found.wall_time)
        begin = 0
        with memoryview(buffer) as source:
            for tag, members in by_tag.items():
                part = slice(begin, begin + len(members))
                histogram_sink(self.out, tag, tensor=False).extend_protos(source, position[part], found, part)
                begin = part.stop
        return np.flatnonzero(others)

    def _are_right(self, at: Int64, lengths: Int64) -> npt.NDArray[np.bool_]:
        """Whether the stored checksums of payloads in the arena fit, bool ``[n]``."""
        arena = self.arena
        ends = at + lengths
        crc = [crc_of_array(arena[begin:end]) for begin, end in zip(at.tolist(), ends.tolist(), strict=True)]
        stored: Any = np.ndarray((arena.size - 3,), dtype="<u4", buffer=arena, strides=(1,))
        right: npt.NDArray[np.bool_] = mask(np.array(crc, dtype=np.uint32)) == stored[ends]
        return right

    def _is_right(self, begin: int, end: int) -> bool:
        """Whether the stored checksum of the payload at ``[begin, end)`` of the arena fits."""
        return mask_int(crc_of_array(self.arena[begin:end])) == int.from_bytes(self.buffer[end : end + FOOTER], "little")

    def _decode_one(self, begin: int, length: int) -> None:
        if self._is_right(begin, begin + length):
            self._add_record(bytes(self.buffer[begin : begin + length]), self._position(begin))
        else:
            self._drop(self._position(begin), length)

    def _drop(self, position: int, length: int) -> None:
        """The checksum of a record is wrong. Where a file was cut and written on it may have swallowed whole frames: these are kept."""
        lost, end = position - HEADER, position + length + FOOTER
        search = position
        while lost < end:
            found = find_frame(self.source.read, search, end, self.budget)
            if found is None or found > lost:
                self.damage.append(Damage("corrupt", lost, end if found is None else found, WRONG))
            if found is None:
                return
            inner = frame_length(self.source.read(found, HEADER), 0)
            self._add_record(self.source.read(found + HEADER, inner), found + HEADER)
            lost = search = found + inner + OVERHEAD

    def _add_record(self, payload: bytes, position: int) -> None:
        length = len(payload)
        try:
            try:
                event = wire.parse_event(payload, 0, length)
            except wire.OddWireError:
                payload = wire.canonical_event(payload)
                event = wire.parse_event(payload, 0, len(payload))
        except wire.WireError as error:
            self.damage.append(Damage("bad-record", position - HEADER, position + length + FOOTER, str(error)))
            return
        add_event(self.out, payload, event, position)
