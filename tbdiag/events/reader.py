"""Reads one event file into columns: frames, checksums, damage, growth.

A TFRecord file is a sequence of frames, all integers little-endian::

    length    uint64     bytes of the payload
    crc       uint32     masked CRC32C of the eight length bytes
    payload   length bytes, one serialised Event
    crc       uint32     masked CRC32C of the payload

Nothing marks the end: a frame that runs past it is one that is still being written, or was cut. Reading stops before such a frame and
goes on there when the file has grown. A frame whose checksums are wrong is damage: the bytes up to the next whole frame are lost,
reported, and reading goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tbdiag.events import wire
from tbdiag.events.checksum import masked_crc
from tbdiag.events.columns import Histograms, Items, Points
from tbdiag.events.decode import Contents, add_event
from tbdiag.events.resync import find_frame
from tbdiag.events.source import Source

_HEADER = 12
_SEARCH_BUDGET = 64 << 20


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes ``[start, end)`` that could not be read.

    Attributes:
        kind: ``truncated`` (the last frame is incomplete), ``corrupt`` (a checksum is wrong), ``bad-record`` (checksums right, but no
            Event), or ``limit`` (too much damage to search through).
        why: what was seen there.
    """

    kind: str
    start: int
    end: int
    why: str


@dataclass(slots=True)
class FileColumns:
    """Everything one event file holds, in file order.

    Attributes:
        end: offset behind the last whole frame; reading goes on there when the file has grown.
        size: bytes of the file when it was read; lost: bytes in damaged ranges.
        records: whole records read.
        session_starts: ``(position, step, wall time)`` of each SessionLog START.
        rejected: ``(tag, reason) -> count`` of values that hold no number that can be read.
    """

    size: int = 0
    end: int = 0
    records: int = 0
    file_version: str = ""
    first_wall_time: float | None = None
    last_wall_time: float | None = None
    scalars: dict[bytes, Points] = field(default_factory=dict)
    histos: dict[bytes, Histograms] = field(default_factory=dict)
    histogram_tensors: dict[bytes, Histograms] = field(default_factory=dict)
    tensors: dict[bytes, Items] = field(default_factory=dict)
    texts: dict[bytes, Items] = field(default_factory=dict)
    media: dict[bytes, Items] = field(default_factory=dict)
    hparams: dict[str, float | str | bool] = field(default_factory=dict)
    plugins: dict[bytes, str] = field(default_factory=dict)
    session_starts: list[tuple[int, int, float]] = field(default_factory=list)
    rejected: dict[tuple[bytes, str], int] = field(default_factory=dict)
    nan_wall_times: int = 0
    damage: list[Damage] = field(default_factory=list)

    @property
    def readable(self) -> int:
        """Bytes of the file that were read as whole frames."""
        return self.size - sum(part.end - part.start for part in self.damage)


def read_events(source: Source, start: int = 0, plugins: dict[bytes, str] | None = None, *, verify: bool = False) -> FileColumns:
    """Read a file from byte `start` (a frame boundary) to its end.

    Args:
        plugins: plugin names by tag that the part before `start` declared.
        verify: also check the payload checksums of blobs, whose bytes are otherwise skipped.
    """
    out = Contents(plugins=dict(plugins or {}))
    file = FileColumns(size=source.size, end=start)
    data = source.read(0, source.size)
    file.size = size = len(data) if len(data) < source.size else source.size
    budget = [_SEARCH_BUDGET + 4 * size]
    pos = start
    while pos < size:
        problem = _read_frame(out, file, data, pos, size)
        if problem is None:
            continue_at = file.end
            pos = continue_at
            continue
        kind, why, search_from = problem
        following = find_frame(lambda offset, n: data[offset : offset + n], search_from, size, budget)
        if following is None:
            if budget[0] < 0:
                kind, why = "limit", "too many false headers to search through"
            file.damage.append(Damage(kind, pos, size, why))
            break
        file.damage.append(Damage("corrupt", pos, following, why))
        pos = file.end = following
    return _close(out, file)


def _read_frame(out: Contents, file: FileColumns, data: bytes, pos: int, size: int) -> tuple[str, str, int] | None:
    """Read the frame at `pos` and move ``file.end`` behind it, or tell kind, reason and where to search on."""
    if size - pos < _HEADER:
        return "truncated", "the file ends within a record header", pos + 1
    length = int.from_bytes(data[pos : pos + 8], "little")
    if masked_crc(data[pos : pos + 8]) != int.from_bytes(data[pos + 8 : pos + 12], "little"):
        hole = not any(data[pos : pos + _HEADER])
        return "corrupt", "zeros instead of a record" if hole else "the checksum of a record's length is wrong", pos + 1
    begin = pos + _HEADER
    stop = begin + length
    if stop + 4 > size:
        return "truncated", "the file ends within a record", begin
    payload = data[begin:stop]
    if masked_crc(payload) != int.from_bytes(data[stop : stop + 4], "little"):
        after = stop + 4
        header = data[after : after + _HEADER]
        if after == size or (len(header) == _HEADER and masked_crc(header[:8]) == int.from_bytes(header[8:], "little")):
            file.damage.append(Damage("corrupt", pos, after, "the checksum of a record is wrong"))
            file.end = after
            return None
        return "corrupt", "the checksum of a record is wrong", begin
    add_record(out, file, payload, begin)
    file.end = stop + 4
    return None


def add_record(out: Contents, file: FileColumns, payload: bytes, base: int) -> None:
    """Decode one record whose checksum is right; `base` is the byte offset of its payload."""
    try:
        try:
            event = wire.parse_event(payload, 0, len(payload))
        except wire.OddWireError:
            payload = wire.canonical_event(payload)
            event = wire.parse_event(payload, 0, len(payload))
    except wire.WireError as error:
        file.damage.append(Damage("bad-record", base - _HEADER, base + len(payload) + 4, str(error)))
        return
    file.records += 1
    if event.file_version is not None and not file.file_version:
        file.file_version = event.file_version.decode("utf-8", "backslashreplace")
    if event.wall_time == event.wall_time:
        if file.first_wall_time is None:
            file.first_wall_time = event.wall_time
        file.last_wall_time = event.wall_time
    add_event(out, payload, event, base)


def _close(out: Contents, file: FileColumns) -> FileColumns:
    file.scalars = {tag: sink.finish() for tag, sink in out.scalars.items()}
    file.histos = {tag: sink.finish() for tag, sink in out.histos.items()}
    file.histogram_tensors = {tag: sink.finish() for tag, sink in out.histogram_tensors.items()}
    file.tensors, file.texts, file.media = out.tensors, out.texts, out.media
    file.hparams, file.plugins, file.session_starts = out.hparams, out.plugins, out.session_starts
    file.rejected, file.nan_wall_times = out.rejected, out.nan_wall_times
    return file


__all__ = ["Any", "Damage", "FileColumns", "add_record", "read_events"]
