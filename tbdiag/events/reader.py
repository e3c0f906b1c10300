"""Reads one event file into columns.

The file passes through one buffer, the *arena*, from front to back. In it, frames are walked; where they turn out to be periodic, whole
stretches are read as a matrix (`blocks`); the records that were walked are decoded when the arena is full: those of equal length
together (`groups`), the few others one by one (`wire`), protobuf last. Payloads of images and the like are not read: reading continues
behind them, so that the arena holds nothing but records that count.

Frames whose checksums are wrong are damage: the bytes up to the next whole frame are lost and reported, and reading goes on (`resync`).
The bytes of an incomplete last frame stay unread; when the file has grown, reading continues there.
"""

from __future__ import annotations

import numpy as np

from tbdiag.events import blocks, wire
from tbdiag.events.arena import SLACK, close_columns
from tbdiag.events.blobs import LazyBytes, checksum_is_right, media_outline
from tbdiag.events.columns import Damage, FileColumns
from tbdiag.events.decode import add_media, is_media
from tbdiag.events.framing import FOOTER, HEADER, OVERHEAD, Stop, Walker, find_frames, frame_length
from tbdiag.events.records import WRONG, Records, layouts
from tbdiag.events.resync import find_frame
from tbdiag.events.source import Source
from tbdiag.events.templates import MAX_BYTES, TemplateCache

ARENA_BYTES = 1 << 21
_SMALL_FILE, _SMALL_ARENA = 1 << 23, 1 << 20
BLOB_BYTES = 1 << 16
MAX_RECORD_BYTES = 1 << 28
_MIN_READ, _MAX_READ = 1 << 12, 1 << 14  # after a blob
_HEAD = 256  # of a blob, enough for its outline
_WALK = 128
_DENSE = 256
_MAX_PATIENCE = 1 << 15
_MANY_BYTES = 1 << 15
_TRIES = 16

_spare: list[bytearray] = []
_cycles = blocks.CycleCache()
_templates = TemplateCache()


def read_events(source: Source, start: int = 0, plugins: dict[bytes, str] | None = None, *, verify: bool = False) -> FileColumns:
    """Read a file from byte `start` (a frame boundary) to its end.

    Args:
        plugins: plugin names by tag that the part before `start` declared.
        verify: also check the payload checksums of blobs, whose bytes are otherwise skipped.
    """
    size = max(source.size - start, 0)
    # Less for a file of a few windows, where the window is most of the memory that reading takes.
    window = ARENA_BYTES if size > _SMALL_FILE else min(ARENA_BYTES, _SMALL_ARENA)
    wanted = min(window, size) + SLACK
    arena = _spare.pop() if _spare else bytearray()
    if len(arena) < wanted:
        arena = bytearray(window + SLACK if wanted > window // 2 else wanted)
    try:
        fresh = start == 0 and not plugins and size <= MAX_BYTES
        found = _templates.read(source, arena) if fresh else None
        if found is None:
            found = _Reading(source, start, dict(plugins or {}), arena, verify).run()
            if fresh:
                _templates.learn(source, found, layouts)
        return found
    finally:
        if not _spare:
            _spare.append(arena)


class _Reading(Records):
    """The state of reading one file."""

    def __init__(self, source: Source, start: int, plugins: dict[bytes, str], arena: bytearray, verify: bool) -> None:
        super().__init__(source, start, plugins, arena)
        self.verify = verify
        self.patience = _WALK
        self.usual = _DENSE + 1  # mean length of the frames last walked
        self.next_read = self.room
        self.resumed = start  # behind the last blob
        self.tries = _TRIES if _cycles else 0  # frames left at which a cycle of another file may begin
        self.cycle: blocks.Cycle | None = None
        self.walker = Walker()

    def run(self) -> FileColumns:
        """Read to the end."""
        end = self._read_all()
        self._decode_walked()
        return close_columns(self.out, self.size, end, self.damage)

    def _read_all(self) -> int:
        """Walk all frames; the file offset behind the last whole one."""
        while True:
            if self.cycle is not None:
                self._continue_block(self.cycle)
                continue
            if self.tries:
                self.tries -= 1
                if self._take_known():
                    continue
                self.pos, why = self.walker.walk(self.buffer, self.pos, self.filled, self.at, self.lengths, 1)
                if why is Stop.ENOUGH:
                    continue
            else:
                why = self._walk()
            if why is Stop.ENOUGH:
                self._try_block()
            elif why is Stop.BAD:
                if not self._skip_damage():
                    return self._offset(self.pos)
            elif not self._fetch():
                if self._offset(self.pos) >= self.size:
                    return self.size
                if not self._skip_tail():
                    return self._offset(self.pos)

    def _walk(self) -> Stop:
        """Walk some frames: one by one, or all at once where they are many and short."""
        count = self.patience
        if count > _WALK and len(self.lengths) >= _WALK:
            self.usual = sum(self.lengths[-_WALK:]) // _WALK
        if count > _WALK and self.usual <= _DENSE:
            stop = min(self.filled, self.pos + count * (self.usual + OVERHEAD))
            if stop - self.pos >= _MANY_BYTES:
                at, lengths = find_frames(self.arena, self.pos, stop)
                if at.size:
                    self.at.frombytes(at.astype(np.uintc).tobytes())
                    self.lengths.frombytes(lengths.astype(np.uintc).tobytes())
                    self.pos = int(at[-1] + lengths[-1]) + FOOTER
                    count = 1
        self.pos, why = self.walker.walk(self.buffer, self.pos, self.filled, self.at, self.lengths, count)
        return why

    # -- bytes ---------------------------------------------------------------------------------------------------------------------

    def _fetch(self) -> bool:
        """Get more bytes behind those at hand, or skip a blob; whether there is anything new."""
        if self._skip_large() and self.filled > self.pos:
            return True
        available = self.size - self._offset(self.filled)
        if available <= 0:
            return False
        if self.room - self.filled < min(available, self.next_read, 4096):
            self._decode_walked()
            self._move_to_front()
        count = min(available, self.next_read, self.room - self.filled)
        view = memoryview(self.buffer)[self.filled : self.filled + count]
        got = self.source.readinto(self._offset(self.filled), view)
        view.release()
        self.next_read = min(self.next_read * 2, self.room)
        self.filled += got
        if got < count:
            # The file shrank since it was opened.
            self.size = self._offset(self.filled)
        return got > 0

    def _skip_large(self) -> bool:
        """Deal with a frame that is too large to be read as others are; whether there was one."""
        if self.filled - self.pos < HEADER:
            return False
        length = frame_length(self.buffer, self.pos)
        begin = self._offset(self.pos) + HEADER
        end = begin + length + FOOTER
        if length <= BLOB_BYTES or end > self.size:
            return False
        start = self.pos + HEADER
        head = bytes(self.buffer[start : min(start + _HEAD, self.filled)])
        known = media_outline(head, length, self.out.plugins) if not self.verify else None
        if known is not None:
            add_media(self.out, known, begin)
            self.walker.learn(self.buffer, self.at, self.lengths)
            self._pass_blob(begin, length)
            return True
        lazy = LazyBytes(self.source, begin, length, head)
        try:
            event = wire.parse_event(lazy, 0, length)
            media = is_media(event, lazy, self.out.plugins)
        except wire.WireError:
            media = False
        if not media and length + OVERHEAD <= self.room:
            return False
        if media and not self.verify:
            add_media(self.out, event, begin)
        elif length > MAX_RECORD_BYTES and not media:
            self.damage.append(
                Damage(
                    "limit", begin - HEADER, end, f"a record of {length:,} bytes is larger than the {MAX_RECORD_BYTES:,} that are decoded"
                )
            )
        elif not checksum_is_right(self.source, begin, length):
            return self._drop_large(begin, end)
        elif media:
            add_media(self.out, event, begin)
        else:
            self._add_record(self.source.read(begin, length), begin)
        self._pass_blob(begin, length)
        return True

    def _pass_blob(self, begin: int, length: int) -> None:
        """Go on behind a blob. Often as much as before it lies between it and the next one, of which only the beginning is wanted."""
        before = begin - HEADER - self.resumed
        self.resumed = begin + length + FOOTER
        self._jump(self.resumed)
        self.last = (begin - HEADER, length)
        self.next_read = min(max(before + _HEAD, _MIN_READ), _MAX_READ)

    def _drop_large(self, begin: int, end: int) -> bool:
        following = find_frame(self.source.read, begin, self.size, self.budget) or end
        self.damage.append(Damage("corrupt", begin - HEADER, following, WRONG))
        self._jump(following)
        self.last = None
        return True

    # -- damage --------------------------------------------------------------------------------------------------------------------

    def _skip_damage(self) -> bool:
        """The length at `pos` cannot be trusted: find the next whole frame. False if there is none."""
        here = self._offset(self.pos)
        hole = not any(self.buffer[self.pos : self.pos + HEADER])
        why = "zeros instead of a record" if hole else "the checksum of a record's length is wrong"
        start = self._swallower(here)
        if start is None:
            return self._resume(here, here + 1, "corrupt", why)
        self._forget(start)
        return self._resume(start, start + HEADER, "corrupt", WRONG)

    def _skip_tail(self) -> bool:
        """The last frame is incomplete: whole frames may follow inside it where a file was cut and written on. False if there is none."""
        here = self._offset(self.pos)
        start = self._swallower(here)
        if start is not None and find_frame(self.source.read, start + HEADER, self.size, self.budget) is not None:
            self._forget(start)
            return self._resume(start, start + HEADER, "corrupt", WRONG)
        whole_header = self.filled - self.pos >= HEADER
        why = "the file ends within a record" if whole_header else "the file ends within a record's header"
        return self._resume(here, here + (HEADER if whole_header else 1), "truncated", why)

    def _swallower(self, here: int) -> int | None:
        """Start of the frame that ends at `here`, if its length was right and its content is not: it may have swallowed whole frames."""
        previous = self._last_frame()
        if previous is None or previous[0] + previous[1] + OVERHEAD != here:
            return None
        return None if checksum_is_right(self.source, previous[0] + HEADER, previous[1]) else previous[0]

    def _forget(self, start: int) -> None:
        if self.at and self._position(self.at[-1]) == start + HEADER:
            self.at.pop()
            self.lengths.pop()
        self.damage = [part for part in self.damage if part.start < start]

    def _resume(self, start: int, search: int, kind: str, why: str) -> bool:
        following = find_frame(self.source.read, search, self.size, self.budget)
        if following is None:
            if self.budget[0] < 0:
                kind, why = "limit", "too many false record headers to search through"
            self.damage.append(Damage(kind, start, self.size, why))
            self.pos = start - self.shift
            return False
        self.damage.append(Damage("corrupt", start, following, why))
        if following < self._offset(self.pos):
            self._decode_walked()
            self.filled = self.pos = 0
            self.shift = following
            self.segments = [(0, following)]
        else:
            self._jump(following)
        self.fresh = len(self.at)
        self.last = None
        return True

    # -- records -------------------------------------------------------------------------------------------------------------------

    def _try_block(self) -> None:
        """See whether the frames just walked are periodic, and if so read on as a block."""
        at, lengths = self.at[self.fresh :], self.lengths[self.fresh :]
        period = blocks.find_period(self.arena, at, lengths, layouts)
        cycle = blocks.make_cycle(self.arena, at[-period:], lengths[-period:], layouts) if period else None
        if cycle is None:
            self.patience = min(self.patience * 2, _MAX_PATIENCE)
            return
        # Begin as far back as the walked frames keep to the period; they need not be gathered then.
        back = 1
        while lengths[-(back + 1) * period : -back * period] == lengths[-period:]:
            back += 1
        start = self.pos - back * cycle.size
        cycles = self._count(start, cycle)
        while cycles < back:
            back -= cycles + 1
            start += (cycles + 1) * cycle.size
            cycles = self._count(start, cycle)
        self.patience = _WALK
        if self._take_block(start, cycle, back * period, cycles):
            _cycles.add(cycle)

    def _take_known(self) -> bool:
        """Read on as a block where the next frame begins a cycle that this file or another one had; whether it did."""
        begin = self.pos + HEADER
        if begin > self.filled:
            return False
        length = frame_length(self.buffer, self.pos)
        if length > blocks.MAX_RECORD_BYTES or begin + length + FOOTER > self.filled:
            return False
        layout = layouts.recall(bytes(self.buffer[begin : begin + length]))
        if layout is None:
            return False
        for cycle in _cycles.find(layout):
            cycles = self._count(self.pos, cycle)
            if cycles * cycle.period >= blocks.MIN_RECORDS:
                return self._take_block(self.pos, cycle, 0, cycles)
        return False

    def _continue_block(self, cycle: blocks.Cycle) -> None:
        """Get more bytes, and go on with the cycle that ended with those at hand."""
        self._decode_walked()
        self._move_to_front()
        self.cycle = None
        if self._fetch():
            self._take_block(self.pos, cycle, 0, self._count(self.pos, cycle))

    def _take_block(self, start: int, cycle: blocks.Cycle, walked: int, cycles: int) -> bool:
        """Decode the cycles at `start`, of which `walked` records were walked already; whether any were taken."""
        self.cycle = None
        if cycles * cycle.period < max(blocks.MIN_RECORDS, walked):
            self.patience = min(self.patience * 2, _MAX_PATIENCE)
            return False
        edge = len(self.at) - walked
        if edge:
            # What came before would have to be put in order later, which costs time, and memory where it is much.
            later = self.at[edge:], self.lengths[edge:]
            del self.at[edge:], self.lengths[edge:]
            self._decode_walked()
            self.at, self.lengths = later
        self._look_ahead(self._offset(start + cycles * cycle.size))
        places = self._place_rows([start + at for at in cycle.starts], cycle.size, cycles)
        taken = blocks.decode_cycles(self.out, self.arena, start, cycles, cycle, places)
        # After a wrong checksum the same bytes would be compared again at every frame: walk instead.
        self.tries = _TRIES if taken == cycles else 0
        if not taken:
            return False
        done = min(taken * cycle.period, walked)
        del self.at[:done], self.lengths[:done]
        if done < walked:
            # A damaged record among those that were walked: what follows it is decoded as others are.
            self.fresh = len(self.at)
            return True
        self.pos = start + taken * cycle.size
        self.fresh = len(self.at)
        self.last = None
        if taken == cycles and self.filled - self.pos < cycle.size:
            self.cycle = cycle
        return True
