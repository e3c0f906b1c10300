"""Event files for the reader's tests: serialised by protobuf, framed by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2

from tests.reader.reference import frame, scalar_event

NAME = "events.out.tfevents.1700000000.host.1.0"
_FIELDS = {
    types_pb2.DT_FLOAT: ("float_val", "<f4"), types_pb2.DT_DOUBLE: ("double_val", "<f8"), types_pb2.DT_INT32: ("int_val", "<i4"),
    types_pb2.DT_INT16: ("int_val", "<i2"), types_pb2.DT_INT8: ("int_val", "<i1"), types_pb2.DT_UINT8: ("int_val", "<u1"),
    types_pb2.DT_UINT16: ("int_val", "<u2"), types_pb2.DT_INT64: ("int64_val", "<i8"), types_pb2.DT_BOOL: ("bool_val", "|b1"),
    types_pb2.DT_HALF: ("half_val", "<f2"), types_pb2.DT_UINT32: ("uint32_val", "<u4"), types_pb2.DT_UINT64: ("uint64_val", "<u8"),
    types_pb2.DT_BFLOAT16: ("half_val", "<u2"),
}  # fmt: skip
DTYPES = list(_FIELDS)


def tensor_proto(dtype: int, raw: bytes, packed: bool, shape: tuple[int, ...] = ()) -> tensor_pb2.TensorProto:
    """A tensor of `dtype` from the first bytes of `raw`, as content or in its typed field."""
    name, numpy_type = _FIELDS[dtype]
    kind = np.dtype(numpy_type)
    count = int(np.prod(shape, dtype=int))
    array = np.frombuffer((raw * (count * kind.itemsize // max(len(raw), 1) + 1))[: count * kind.itemsize], dtype=kind)
    if kind.kind == "b":
        array = np.frombuffer(array.tobytes(), np.uint8) % 2 == 1
    proto = tensor_pb2.TensorProto(dtype=dtype)
    proto.tensor_shape.CopyFrom(tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=s) for s in shape]))
    if packed:
        proto.tensor_content = array.tobytes()
    elif dtype in (types_pb2.DT_HALF, types_pb2.DT_BFLOAT16):
        getattr(proto, name).extend(int(v) for v in array.view("<u2"))
    else:
        getattr(proto, name).extend(array.tolist())
    return proto


def metadata(plugin: str) -> summary_pb2.SummaryMetadata:
    return summary_pb2.SummaryMetadata(plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name=plugin))


def opening(wall_time: float = 1.7e9) -> event_pb2.Event:
    return event_pb2.Event(wall_time=wall_time, file_version="brain.Event:2")


def write_events(path: Path, events: list[event_pb2.Event]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(frame(e.SerializeToString()) for e in events))
    return path


def regular_events(
    steps: int, tags: tuple[str, ...] = ("train/loss", "lr", "val/acc"), first: int = 0, wall: float = 1.7e9
) -> list[event_pb2.Event]:
    """The usual loop: every tag at every step."""
    rng = np.random.default_rng(steps + first)
    return [scalar_event(s, wall + s + i / 10, t, float(rng.normal())) for s in range(first, first + steps) for i, t in enumerate(tags)]


def write_run(directory: Path, events: list[event_pb2.Event], name: str = NAME) -> Path:
    return write_events(directory / name, [opening(events[0].wall_time if events else 1.7e9), *events])


def image_event(step: int, size: int, tag: str = "samples") -> event_pb2.Event:
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[b"8", b"8", bytes(size)])
    tensor.tensor_shape.dim.add(size=3)
    value = summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata("images"))
    return event_pb2.Event(step=step, wall_time=1.7e9 + step, summary=summary_pb2.Summary(value=[value]))


def pack_double(value: float) -> bytes:
    return struct.pack("<d", value)
