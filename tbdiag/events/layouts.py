"""Byte layouts of scalar records: which bytes of a record are fixed for its tag, and where wall time, step and value lie.

A writer that logs the same tag again repeats the record byte for byte except for four places::

    09 wall_time(8)  10 step(varint)  2a .. 0a .. 0a tag  15 value(4)                                     simple_value
    09 wall_time(8)  10 step(varint)  2a .. 0a .. 0a tag  42 .. dtype, shape, 22 content, 4a metadata     tensor
                                                                       then the payload's CRC (4)

So one parsed record tells the layout of all that agree with it in the other bytes, and agreement is a masked comparison of whole records:
exact, not a guess. Everything that decides the layout (keys, lengths, the continuation bits of the step) is among the compared bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.events import tensors, wire

UInt8 = npt.NDArray[np.uint8]

_MAX_CACHED = 4096
_MAX_SAME_LENGTH = 256


@dataclass(frozen=True, slots=True)
class Slot:
    """One value of a record: `tag` at ``[tag_at, tag_at + len(tag))``, elements of `dtype` and `shape` at `value_at`."""

    tag: bytes
    tag_at: int
    value_at: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    bfloat16: bool
    plugin: bytes | None


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Layout of a record of `length` payload bytes.

    Attributes:
        wall_at, step_at: offsets in the payload, -1 where the field is absent (zero); step_size: bytes of the step's varint.
        fixed: uint8 ``[length]``, bits that are equal in all records of this layout; constant: uint8 ``[length]``, those bits.
        structure: `fixed` without the bytes of the tags.
        fixed_int, constant_int: the same as little-endian integers.
    """

    length: int
    wall_at: int
    step_at: int
    step_size: int
    slots: tuple[Slot, ...]
    fixed: UInt8
    constant: UInt8
    structure: UInt8
    fixed_int: int
    constant_int: int


def parse_layout(payload: bytes) -> Layout | None:
    """Layout of a record, or None where it holds anything but numbers of a fixed size (it is then decoded on its own)."""
    try:
        return _parse(payload)
    except wire.WireError:
        return None


def _parse(payload: bytes) -> Layout | None:
    n = len(payload)
    fixed = np.full(n, 0xFF, dtype=np.uint8)
    wall_at = step_at = -1
    step_size = 0
    slots: list[Slot] = []
    seen = 0
    for number, kind, start, stop in wire.walk_fields(payload, 0, n):
        if number <= seen or number > wire.SUMMARY:
            return None
        seen = number
        if number == 1 and kind == wire.FIXED64:
            wall_at = start
            fixed[start:stop] = 0
        elif number == 2 and kind == wire.VARINT:
            # The step follows the wall time or opens the record; its key is one byte.
            step_at = (wall_at + 8 if wall_at >= 0 else 0) + 1
            if payload[step_at - 1] != 0x10:
                return None
            step_size = 1
            while payload[step_at + step_size - 1] & 0x80:
                step_size += 1
            fixed[step_at : step_at + step_size] = 0x80
        elif number == wire.SUMMARY and kind == wire.BYTES:
            for inner, inner_kind, a, b in wire.walk_fields(payload, start, stop):
                slot = _parse_slot(payload, a, b) if inner == 1 and inner_kind == wire.BYTES else None
                if slot is None:
                    return None
                fixed[slot.value_at : slot.value_at + slot.dtype.itemsize * math.prod(slot.shape)] = 0
                slots.append(slot)
        else:
            return None
    if not slots or step_size > 10:
        return None
    constant = np.frombuffer(payload, dtype=np.uint8) & fixed
    structure = fixed.copy()
    for slot in slots:
        structure[slot.tag_at : slot.tag_at + len(slot.tag)] = 0
    as_int = int.from_bytes
    return Layout(
        n,
        wall_at,
        step_at,
        step_size,
        tuple(slots),
        fixed,
        constant,
        structure,
        as_int(fixed.tobytes(), "little"),
        as_int(constant.tobytes(), "little"),
    )


def _parse_slot(payload: bytes, pos: int, end: int) -> Slot | None:
    tag = b""
    tag_at = value_at = -1
    dtype = np.dtype("<f4")
    shape: tuple[int, ...] = ()
    plugin: bytes | None = None
    bfloat16 = False
    seen = 0
    for number, kind, start, stop in wire.walk_fields(payload, pos, end):
        if number <= seen:
            return None
        seen = number
        if number == 1 and kind == wire.BYTES:
            tag, tag_at = payload[start:stop], start
        elif number == wire.SIMPLE and kind == wire.FIXED32:
            value_at = start
        elif number == wire.TENSOR and kind == wire.BYTES and value_at < 0:
            found = _locate_elements(payload, start, stop)
            if found is None:
                return None
            value_at, dtype, shape, bfloat16 = found
        elif number == 9 and kind == wire.BYTES:
            plugin = _plugin(payload, start, stop)
            if plugin is None:
                return None
        else:
            return None
    if value_at < 0 or tag_at < 0:
        return None
    if shape and not (plugin in (b"histograms", b"distributions") and len(shape) == 2 and shape[1] == 3):
        return None
    return Slot(tag, tag_at, value_at, dtype, shape, bfloat16, plugin)


def _locate_elements(payload: bytes, start: int, stop: int) -> tuple[int, np.dtype[Any], tuple[int, ...], bool] | None:
    view = tensors.locate_tensor(payload, start, stop)
    name = "<u2" if view.dtype == tensors.BFLOAT16 else tensors.DTYPES.get(view.dtype)
    if name is None or any(size <= 0 for size in view.shape):
        return None
    dtype = np.dtype(name)
    wanted = dtype.itemsize * math.prod(view.shape)
    if view.content is not None and not view.fields and view.content[1] - view.content[0] == wanted:
        return view.content[0], dtype, view.shape, view.dtype == tensors.BFLOAT16
    if view.content is None and len(view.fields) == 1:
        number, kind, a, b = view.fields[0]
        if (number, view.dtype) in ((5, tensors.FLOAT), (6, tensors.DOUBLE)) and kind != wire.VARINT and b - a == wanted:
            return a, dtype, view.shape, False
    return None


def _plugin(payload: bytes, start: int, stop: int) -> bytes | None:
    value = wire.Value()
    wire.parse_metadata(payload, start, stop, value)
    name = value.plugin if value.plugin is not None else b""
    return None if name == b"hparams" else name


class LayoutCache:
    """Layouts that were seen, found again by comparison."""

    def __init__(self) -> None:
        self._by_length: dict[int, list[Layout]] = {}
        self._count = 0

    def recall(self, payload: bytes) -> Layout | None:
        """The layout of `payload` if it was seen before."""
        number = int.from_bytes(payload, "little")
        for candidate in self._by_length.get(len(payload), ()):
            if number & candidate.fixed_int == candidate.constant_int:
                return candidate
        return None

    def find(self, payload: bytes) -> Layout | None:
        """The layout of `payload`, parsed if it is new."""
        known = self._by_length.setdefault(len(payload), [])
        number = int.from_bytes(payload, "little")
        for candidate in known:
            if number & candidate.fixed_int == candidate.constant_int:
                return candidate
        layout = parse_layout(payload)
        if layout is not None:
            if self._count >= _MAX_CACHED or len(known) >= _MAX_SAME_LENGTH:
                self._by_length.clear()
                self._count = 0
                known = self._by_length.setdefault(len(payload), [])
            known.append(layout)
            self._count += 1
        return layout
