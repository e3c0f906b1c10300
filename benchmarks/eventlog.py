"""Writes event files fast and byte-exactly, without TensorBoard: what benchmarks, soak and tests grow their logs with."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import google_crc32c


def masked_crc(data: bytes) -> int:
    """CRC32C of `data`, rotated and offset as TFRecord wants it."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def frame(event: bytes) -> bytes:
    """One TFRecord frame around a serialised Event."""
    header = struct.pack("<Q", len(event))
    return header + struct.pack("<I", masked_crc(header)) + event + struct.pack("<I", masked_crc(event))


def varint(value: int) -> bytes:
    """Base-128 varint of a non-negative number below 2**64."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def version_record(wall_time: float) -> bytes:
    """The first record of every event file."""
    return frame(b"\x09" + struct.pack("<d", wall_time) + b"\x1a\x0dbrain.Event:2")


def scalar_record(tag: str, step: int, value: float, wall_time: float) -> bytes:
    """A `simple_value` summary, as torch's classic SummaryWriter writes it."""
    name = tag.encode()
    item = b"\x0a" + varint(len(name)) + name + b"\x15" + struct.pack("<f", value)
    summary = b"\x0a" + varint(len(item)) + item
    event = b"\x09" + struct.pack("<d", wall_time) + (b"\x10" + varint(step) if step else b"") + b"\x2a" + varint(len(summary)) + summary
    return frame(event)


def scalar_file(series: Mapping[str, Iterable[float]], start: float, seconds: float = 1.0, first_step: int = 0, every: int = 1) -> bytes:
    """A whole event file: all tags are logged at each step, `seconds` apart."""
    parts = [version_record(start)]
    names = list(series)
    for i, row in enumerate(zip(*series.values(), strict=True)):
        wall = start + i * seconds
        parts.extend(scalar_record(tag, first_step + i * every, float(v), wall) for tag, v in zip(names, row, strict=True))
    return b"".join(parts)


def write_run(folder: Path, series: Mapping[str, Iterable[float]], start: float, seconds: float = 1.0, **more: int) -> Path:
    """Write `folder`/events.out.tfevents.… holding `series`; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"events.out.tfevents.{int(start)}.host"
    file.write_bytes(scalar_file(series, start, seconds, **more))
    return file
