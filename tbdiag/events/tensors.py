"""``TensorProto`` -> numpy, for every numeric dtype and encoding, from wire bytes.

Layout (field numbers in brackets)::

    TensorProto       dtype [1], tensor_shape [2], version_number [3], tensor_content [4] raw little-endian bytes, or one of the typed
                      repeated fields: float_val [5], double_val [6], int_val [7], string_val [8], scomplex_val [9], int64_val [10],
                      bool_val [11], dcomplex_val [12], half_val [13], uint32_val [16], uint64_val [17]
    TensorShapeProto  dim [2] {size [1]}, unknown_rank [3]

A typed field with one element stands for a tensor filled with it; numeric fields may be packed or not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.events.wire import BYTES, FIXED32, FIXED64, VARINT, Bytes, WireError, read_varint, signed64, walk_fields

FLOAT, DOUBLE, STRING, BOOL, BFLOAT16, HALF = 1, 2, 7, 10, 14, 19

DTYPES: dict[int, str] = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "|u1",
    5: "<i2",
    6: "|i1",
    9: "<i8",
    10: "|u1",  # a boolean is kept as 0 or 1: differences of booleans are an error in numpy
    11: "|i1",
    12: "|u1",
    13: "<i4",
    15: "<i2",
    16: "<u2",
    17: "<u2",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}
"""DataType enum -> numpy dtype. Not here: strings, resources, complex numbers; bfloat16 (14) becomes float32, which holds it exactly."""

_VALUE_FIELDS = {
    1: 5,
    2: 6,
    3: 7,
    4: 7,
    5: 7,
    6: 7,
    9: 10,
    10: 11,
    11: 7,
    12: 7,
    13: 7,
    14: 13,
    15: 7,
    16: 7,
    17: 7,
    19: 13,
    22: 16,
    23: 17,
}
_MAX_ELEMENTS = 1 << 24
_MAX_FILLED = 4096  # a few bytes must not become gigabytes


@dataclass(slots=True)
class TensorView:
    """A located tensor: what it is, and where its elements are."""

    dtype: int
    shape: tuple[int, ...]
    content: tuple[int, int] | None
    fields: list[tuple[int, int, int, int]]


def locate_tensor(data: Bytes, pos: int, end: int) -> TensorView:
    """Parse the outline of a ``TensorProto`` without touching its elements."""
    dtype = 0
    shape: list[int] = []
    content = None
    fields: list[tuple[int, int, int, int]] = []
    for number, kind, start, stop in walk_fields(data, pos, end):
        if number == 1 and kind == VARINT:
            dtype = start
        elif number == 2 and kind == BYTES:
            for inner, inner_kind, a, b in walk_fields(data, start, stop):
                if inner == 2 and inner_kind == BYTES:
                    size = 0
                    for leaf, leaf_kind, value, _ in walk_fields(data, a, b):
                        if leaf == 1 and leaf_kind == VARINT:
                            size = signed64(value)
                    shape.append(size)
                    if len(shape) > 32:
                        raise WireError("tensor of more than 32 dimensions")
        elif number == 4 and kind == BYTES:
            content = (start, stop)
        elif number >= 5:
            fields.append((number, kind, start, stop))
    return TensorView(dtype, tuple(shape), content, fields)


def decode_tensor(data: Bytes, view: TensorView) -> npt.NDArray[Any]:
    """Elements of a numeric tensor in its shape.

    Raises:
        WireError: no numeric dtype, or elements and shape do not fit together.
    """
    name = "<u2" if view.dtype == BFLOAT16 else DTYPES.get(view.dtype)
    if name is None:
        raise WireError(f"tensor of data type {view.dtype} is not numeric")
    count = math.prod(view.shape)
    if any(size < 0 for size in view.shape) or count > _MAX_ELEMENTS:
        raise WireError(f"tensor of shape {list(view.shape)}")
    dtype = np.dtype(name)
    if view.content is not None and view.content[1] > view.content[0]:
        start, stop = view.content
        if stop - start != count * dtype.itemsize:
            raise WireError("tensor content does not fill its shape")
        flat = np.frombuffer(data[start:stop], dtype=dtype)
    else:
        flat = _typed_elements(data, view, count, dtype)
    if view.dtype == BFLOAT16:
        flat = (flat.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return flat.reshape(view.shape)


def decode_strings(data: Bytes, view: TensorView) -> list[bytes]:
    """Elements of a string tensor."""
    return [data[start:stop] for number, kind, start, stop in view.fields if number == 8 and kind == BYTES]


def _typed_elements(data: Bytes, view: TensorView, count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    wanted = _VALUE_FIELDS[view.dtype]
    parts: list[npt.NDArray[Any]] = []
    for number, kind, start, stop in view.fields:
        if number != wanted:
            continue
        if number in (5, 6):
            raw = "<f4" if number == 5 else "<f8"
            if kind == BYTES and (stop - start) % np.dtype(raw).itemsize:
                raise WireError("packed field of odd length")
            if kind not in (BYTES, FIXED32 if number == 5 else FIXED64):
                raise WireError("element of another type")
            parts.append(np.frombuffer(data[start:stop], dtype=raw))
        elif kind == VARINT:
            parts.append(_integers([start], dtype))
        elif kind == BYTES:
            values = []
            pos = start
            while pos < stop:
                value, pos = read_varint(data, pos, stop)
                values.append(value)
            parts.append(_integers(values, dtype))
        else:
            raise WireError("element of another type")
    flat = np.concatenate(parts) if parts else np.zeros(0, dtype)
    if flat.size == count:
        return flat
    if flat.size == 1 and count <= _MAX_FILLED:
        return np.repeat(flat, count)
    raise WireError(f"{flat.size} elements for shape {list(view.shape)}")


def _integers(values: list[int], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    # The low bits of the varint are the value in two's complement; halves travel as their bit pattern.
    wide = np.array(values, dtype=np.uint64)
    if dtype.kind == "f":
        return wide.astype(np.uint16).view(dtype)
    return wide.astype(f"<u{dtype.itemsize}").view(dtype)
