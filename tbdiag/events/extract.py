"""Strided bytes -> numpy columns: the fields of many equally laid out records at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.events.columns import Float64, Int64, Places
from tbdiag.events.decode import Contents, histogram_sink, scalar_sink
from tbdiag.events.layouts import Layout, Slot


def strided(buffer: Any, offset: int, stride: int, count: int, dtype: str) -> npt.NDArray[Any]:
    """View of `count` elements of `dtype`, `stride` bytes apart, at whatever alignment."""
    return np.ndarray((count,), dtype=dtype, buffer=buffer, offset=offset, strides=(stride,))


def read_walls(buffer: Any, start: int, stride: int, count: int, layout: Layout) -> Float64:
    """Wall times of `count` records whose payloads begin at `start`, `stride` bytes apart."""
    if layout.wall_at < 0:
        return np.zeros(count)
    return strided(buffer, start + layout.wall_at, stride, count, "<f8").copy()


def read_steps(buffer: Any, start: int, stride: int, count: int, layout: Layout) -> Int64:
    """Steps of `count` records: varints of one size."""
    size = layout.step_size
    if not size:
        return np.zeros(count, dtype=np.int64)
    at = start + layout.step_at
    if size == 1:
        return strided(buffer, at, stride, count, "|u1").astype(np.int64)
    if size <= 4:
        # Reads up to two bytes beyond the varint, which are inside the record: a value and a CRC follow.
        return _join_sevens(strided(buffer, at, stride, count, "<u2" if size == 2 else "<u4").astype(np.uint32), size)
    wide = np.zeros(count, dtype=np.uint64)
    for k in range(size):
        byte = strided(buffer, at + k, stride, count, "|u1").astype(np.uint64)
        wide |= (byte & np.uint64(0x7F)) << np.uint64(7 * k)
    return wide.view(np.int64)


def read_alike_steps(buffer: Any, starts: Sequence[int], stride: int, count: int, layouts: Sequence[Layout]) -> Sequence[Int64]:
    """`read_steps` of several columns of `count` records, one a start; those of one size together, which costs a call instead of many."""
    size = layouts[0].step_size
    if not 2 <= size <= 4 or any(layout.step_size != size for layout in layouts):
        return [read_steps(buffer, start, stride, count, layout) for start, layout in zip(starts, layouts, strict=True)]
    dtype = "<u2" if size == 2 else "<u4"
    words = [strided(buffer, start + layout.step_at, stride, count, dtype) for start, layout in zip(starts, layouts, strict=True)]
    return list(_join_sevens(np.array(words, dtype=np.uint32), size))


def _join_sevens(word: npt.NDArray[np.uint32], size: int) -> Int64:
    """Varints of `size` bytes, two to four, read as little-endian words."""
    out = word & np.uint32(0x7F)
    for k in range(1, size):
        out |= (word >> np.uint32(k)) & np.uint32(0x7F << (7 * k))
    return out.astype(np.int64)


def read_values(buffer: Any, start: int, stride: int, count: int, slot: Slot) -> npt.NDArray[Any]:
    """Values of one slot, ``[count, *shape]``: a copy of numbers, a view of tables, which are large."""
    at = start + slot.value_at
    if slot.shape:
        inner = [slot.dtype.itemsize * math.prod(slot.shape[axis + 1 :]) for axis in range(len(slot.shape))]
        value = np.ndarray((count, *slot.shape), dtype=slot.dtype, buffer=buffer, offset=at, strides=(stride, *inner))
    else:
        value = strided(buffer, at, stride, count, slot.dtype.str).copy()
    if slot.bfloat16:
        return (value.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return value


def add_column(out: Contents, tag: bytes, slot: Slot, places: Places, step: Int64, wall_time: Float64, value: npt.NDArray[Any]) -> None:
    """File one column of values under its tag."""
    if slot.plugin is not None and tag not in out.plugins:
        out.plugins[tag] = slot.plugin.decode("utf-8", "backslashreplace")
    if slot.shape:
        histogram_sink(out, tag, tensor=True).extend(places, step, wall_time, value)
        return
    scalar_sink(out, tag).extend(places, step, wall_time, value)
