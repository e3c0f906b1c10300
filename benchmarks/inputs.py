"""Inputs of the reader's benchmark: event files as the common writers produce them, written fast.

Each function writes one input below a directory. The bytes are those of the real writers (`SummaryWriter`, the TF2 writer, Keras'
callback); the benchmark proves it by comparing what TensorBoard's own reader makes of them.
"""

from __future__ import annotations

import struct
from pathlib import Path

import google_crc32c
import numpy as np

WALL = 1_700_000_000.0


def varint(value: int) -> bytes:
    if value < 0:
        value += 1 << 64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def masked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


_headers: dict[int, bytes] = {}


def frame(payload: bytes) -> bytes:
    n = len(payload)
    header = _headers.get(n)
    if header is None:
        size = struct.pack("<Q", n)
        header = _headers[n] = size + masked(size)
    return header + payload + masked(payload)


def event(wall: float, step: int, rest: bytes) -> bytes:
    return frame(b"\x09" + struct.pack("<d", wall) + (b"\x10" + varint(step) if step else b"") + rest)


def opening() -> bytes:
    return event(WALL, 0, field(3, b"brain.Event:2"))


def simple(tag: str) -> tuple[bytes, bytes]:
    """Bytes before and after the four of a simple_value."""
    name = field(1, tag.encode()) + b"\x15"
    value = field(1, name + b"\0\0\0\0")
    return field(5, value)[:-4], b""


def tensor(tag: str) -> tuple[bytes, bytes]:
    """Bytes before and after the four of a rank-0 float tensor with metadata, as the TF2 writer emits it."""
    metadata = field(9, field(1, field(1, b"scalars")) + b"\x20\x01")
    body = b"\x08\x01" + field(2, b"") + field(4, b"\0\0\0\0")
    whole = field(5, field(1, field(1, tag.encode()) + field(8, body) + metadata))
    at = len(whole) - len(metadata) - 4
    return whole[:at], whole[at + 4 :]


def tags(count: int) -> list[str]:
    """Tags of varied lengths."""
    names = [
        "train/loss",
        "val/loss",
        "train/accuracy",
        "val/accuracy",
        "lr",
        "grad_norm",
        "train/ppl",
        "epoch",
        "weights/norm",
        "time/step",
    ]
    return [f"{names[i % len(names)]}{i // len(names) or ''}" for i in range(count)]


def write_scalars(path: Path, names: list[str], steps: int, form, seed: int = 0) -> None:
    """All tags at every step."""
    values = np.random.default_rng(seed).normal(size=(steps, len(names))).astype("<f4")
    parts = [form(name) for name in names]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb", buffering=1 << 20) as out:
        out.write(opening())
        for step in range(steps):
            row = values[step].tobytes()
            for k, (before, after) in enumerate(parts):
                out.write(event(WALL + step * 0.1 + k * 1e-4, step, before + row[4 * k : 4 * k + 4] + after))


def write_many(root: Path, runs: int, steps: int = 1000) -> None:
    for run in range(runs):
        write_scalars(root / f"run{run:03d}" / "events.out.tfevents.1700000000.host.1.0", tags(10), steps, simple, run)


def write_irregular(path: Path, steps: int = 4000) -> None:
    """Training tags in shuffled order at every step, validation every 100, gradients every 1000."""
    rng = np.random.default_rng(1)
    train = [simple(t) for t in tags(25)]
    validation = [simple(f"eval/metric{i}") for i in range(20)]
    gradients = [simple(f"grads/layer{i}/weight") for i in range(200)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb", buffering=1 << 20) as out:
        out.write(opening())
        wall = WALL
        for step in range(steps):
            chosen = [train[i] for i in rng.permutation(len(train))]
            chosen += validation if step % 100 == 99 else []
            chosen += gradients if step % 1000 == 999 else []
            for before, after in chosen:
                wall += float(rng.uniform(1e-4, 1e-2))
                out.write(event(wall, step, before + np.float32(rng.normal()).tobytes() + after))


def default_bins() -> np.ndarray:
    """Bucket limits of SummaryWriter.add_histogram: growing by a tenth from 1e-12, both signs."""
    limits = []
    v = 1e-12
    while v < 1e20:
        limits.append(v)
        v *= 1.1
    return np.array([-x for x in reversed(limits)] + [0.0] + limits)


def write_histos(path: Path, count: int = 30, steps: int = 500) -> None:
    """TF1 histogram protos with some 550 buckets, as SummaryWriter writes a layer's gradients."""
    rng = np.random.default_rng(2)
    bins = default_bins()
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [field(1, f"layer{i}/weight.grad".encode()) for i in range(count)]
    with path.open("wb", buffering=1 << 20) as out:
        out.write(opening())
        for step in range(steps):
            for name in names:
                data = rng.normal(size=400) * 10.0 ** rng.uniform(-11, 3, size=400)
                counts, edges = np.histogram(data, bins=bins)
                used = np.flatnonzero(counts)
                a, b = used[0], used[-1] + 1
                moments = (data.min(), data.max(), float(data.size), data.sum(), (data**2).sum())
                histo = b"".join(bytes([k << 3 | 1]) + struct.pack("<d", v) for k, v in enumerate(moments, 1))
                histo += field(6, edges[a + 1 : b + 1].tobytes()) + field(7, counts[a:b].astype("<f8").tobytes())
                out.write(event(WALL + step, step, field(5, field(1, name + field(5, histo)))))


def write_histogram_tensors(path: Path, count: int = 30, steps: int = 500) -> None:
    """TF2 histogram tensors ``[30, 3]``."""
    rng = np.random.default_rng(3)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = field(9, field(1, field(1, b"histograms")) + b"\x20\x02")
    shape = field(2, field(2, b"\x08" + varint(30)) + field(2, b"\x08" + varint(3)))
    with path.open("wb", buffering=1 << 20) as out:
        out.write(opening())
        for step in range(steps):
            for i in range(count):
                edges = np.sort(rng.normal(size=31))
                rows = np.stack([edges[:-1], edges[1:], rng.integers(0, 99, 30).astype(float)], axis=1)
                body = b"\x08\x02" + shape + field(4, rows.astype("<f8").tobytes())
                out.write(event(WALL + step, step, field(5, field(1, field(1, f"layer{i}/kernel".encode()) + field(8, body) + metadata))))


def write_images(path: Path, steps: int = 5000, images: int = 1024, size: int = 300_000) -> None:
    """Scalars of 20 tags among images of 300 kB."""
    rng = np.random.default_rng(4)
    parts = [simple(t) for t in tags(20)]
    picture = rng.bytes(size)
    every = steps / images
    due = 0.0
    path.parent.mkdir(parents=True, exist_ok=True)
    number = 0
    with path.open("wb", buffering=1 << 20) as out:
        out.write(opening())
        for step in range(steps):
            for k, (before, after) in enumerate(parts):
                out.write(event(WALL + step + k * 1e-3, step, before + np.float32(rng.normal()).tobytes() + after))
            while due <= step and number < images:
                body = (
                    b"\x08\x07"
                    + field(2, field(2, b"\x08\x03"))
                    + field(8, b"64")
                    + field(8, b"64")
                    + field(8, number.to_bytes(4, "little") + picture)
                )
                metadata = field(9, field(1, field(1, b"images")) + b"\x20\x03")
                out.write(event(WALL + step, step, field(5, field(1, field(1, b"samples/image") + field(8, body) + metadata))))
                number += 1
                due += every
