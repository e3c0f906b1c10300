"""Event files written from their published format, so that every layout and damage can be made byte for byte.

Format: records of little-endian uint64 length, masked CRC-32C of it, protobuf ``Event``, masked CRC-32C of that.
"""

from __future__ import annotations

import struct
from pathlib import Path

import google_crc32c
import numpy as np

_PLUGIN_SCALARS = b"scalars"
_PLUGIN_HISTOGRAMS = b"histograms"


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def frame(event: bytes) -> bytes:
    """One record around an encoded event."""
    length = struct.pack("<Q", len(event))
    return length + _masked_crc(length) + event + _masked_crc(event)


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _bytes(field: int, data: bytes) -> bytes:
    return _key(field, 2) + _varint(len(data)) + data


def _double(field: int, value: float) -> bytes:
    return _key(field, 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    with np.errstate(over="ignore"):
        return _key(field, 5) + np.float32(value).tobytes()


def _metadata(plugin: bytes) -> bytes:
    return _bytes(9, _bytes(1, _bytes(1, plugin)))


def scalar(tag: str, value: float) -> bytes:
    """``Summary.Value`` with a ``simple_value``: what PyTorch and TF1 write."""
    return _bytes(1, tag.encode()) + _float(2, value)


def tensor_scalar(tag: str, value: float) -> bytes:
    """``Summary.Value`` with a rank-0 float tensor: what TF2 and Keras write."""
    with np.errstate(over="ignore"):
        tensor = _key(1, 0) + _varint(1) + _bytes(2, b"") + _bytes(4, np.float32(value).tobytes())
    return _bytes(1, tag.encode()) + _bytes(8, tensor) + _metadata(_PLUGIN_SCALARS)


def histogram(tag: str, values: np.ndarray) -> bytes:
    """``Summary.Value`` with a ``HistogramProto`` of 30 equal buckets over the finite values."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        flat = np.zeros(1)
    counts, edges = np.histogram(flat, bins=30)
    proto = (
        _double(1, float(flat.min()))
        + _double(2, float(flat.max()))
        + _double(3, float(flat.size))
        + _double(4, float(flat.sum()))
        + _double(5, float((flat * flat).sum()))
        + _bytes(6, edges[1:].astype("<f8").tobytes())
        + _bytes(7, counts.astype("<f8").tobytes())
    )
    return _bytes(1, tag.encode()) + _bytes(5, proto)


def tensor_histogram(tag: str, values: np.ndarray) -> bytes:
    """``Summary.Value`` with a ``[30, 3]`` double tensor of left edge, right edge, count: what TF2 and Keras write."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        flat = np.zeros(1)
    counts, edges = np.histogram(flat, bins=30)
    rows = np.stack([edges[:-1], edges[1:], counts.astype(np.float64)], axis=1)
    shape = _bytes(2, _key(1, 0) + _varint(30)) + _bytes(2, _key(1, 0) + _varint(3))
    tensor = _key(1, 0) + _varint(2) + _bytes(2, shape) + _bytes(4, rows.astype("<f8").tobytes())
    return _bytes(1, tag.encode()) + _bytes(8, tensor) + _metadata(_PLUGIN_HISTOGRAMS)


def text(tag: str, value: str) -> bytes:
    """``Summary.Value`` with a string tensor of the text plugin."""
    tensor = _key(1, 0) + _varint(7) + _bytes(2, _bytes(2, _key(1, 0) + _varint(1))) + _bytes(8, value.encode())
    return _bytes(1, f"{tag}/text_summary".encode()) + _bytes(8, tensor) + _metadata(b"text")


class EventFile:
    """One event file in memory; `save` writes it. Values of one (wall time, step) go into one event."""

    def __init__(self, path: Path, wall_time: float) -> None:
        self.path = path
        self.records: list[bytes] = [frame(_double(1, wall_time) + _bytes(3, b"brain.Event:2"))]

    def add(self, wall_time: float, step: int, *values: bytes) -> None:
        """Append one event that holds the given summary values."""
        if values:
            summary = b"".join(_bytes(1, value) for value in values)
            self.records.append(frame(_double(1, wall_time) + _key(2, 0) + _varint(step) + _bytes(5, summary)))

    def save(self) -> None:
        """Write the file, directories made."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"".join(self.records))
