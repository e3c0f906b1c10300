"""What TensorBoard's own loader and protos say of an event file: the truth that the reader is compared with."""

from __future__ import annotations

import contextlib
import struct
from collections import defaultdict
from pathlib import Path
from unittest import mock

import google_crc32c
import numpy as np
from tensorboard.backend.event_processing import event_file_loader
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow
from tensorboard.util import tensor_util

from tbdiag.events.reader import FileColumns, read_events
from tbdiag.events.source import LocalSource

DTYPES = {
    types_pb2.DT_FLOAT: np.float32, types_pb2.DT_DOUBLE: np.float64, types_pb2.DT_HALF: np.float16, types_pb2.DT_INT8: np.int8,
    types_pb2.DT_INT16: np.int16, types_pb2.DT_INT32: np.int32, types_pb2.DT_INT64: np.int64, types_pb2.DT_UINT8: np.uint8,
    types_pb2.DT_UINT16: np.uint16, types_pb2.DT_UINT32: np.uint32, types_pb2.DT_UINT64: np.uint64, types_pb2.DT_BOOL: np.bool_,
}  # fmt: skip


def masked(data: bytes) -> int:
    crc = google_crc32c.value(bytes(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def frame(payload: bytes) -> bytes:
    header = struct.pack("<Q", len(payload))
    return header + struct.pack("<I", masked(header)) + payload + struct.pack("<I", masked(payload))


@contextlib.contextmanager
def fast_checksums():
    """TensorBoard's pure Python CRC takes most of its time; the values are the same."""
    with mock.patch.object(pywrap_tensorflow, "masked_crc32c", masked, create=True):
        yield


def load_events(path: Path) -> list[event_pb2.Event]:
    """All events up to the first damage, as TensorBoard's own loader gives them."""
    with fast_checksums():
        return list(event_file_loader.LegacyEventFileLoader(str(path)).Load())


def tensor_number(proto: tensor_pb2.TensorProto):
    """A rank-0 numeric tensor as a numpy scalar of the logged dtype; bfloat16 as float32."""
    if proto.dtype == types_pb2.DT_BFLOAT16:
        raw = proto.tensor_content or struct.pack("<H", proto.half_val[0])
        return np.frombuffer(b"\0\0" + raw, "<f4")[0]
    if not proto.tensor_content and proto.dtype in (types_pb2.DT_UINT32, types_pb2.DT_UINT64):
        # TensorBoard's make_ndarray knows these only as content.
        return DTYPES[proto.dtype]((proto.uint32_val or proto.uint64_val)[0])
    return tensor_util.make_ndarray(proto).reshape(())[()]


def reference(events: list[event_pb2.Event]) -> dict[str, dict[str, list[tuple]]]:
    """Points by kind and tag, in file order, with bits instead of floats so that NaN equals itself."""
    found: dict[str, dict[str, list[tuple]]] = {"scalar": defaultdict(list), "histo": defaultdict(list), "tensor": defaultdict(list)}
    plugins: dict[str, str] = {}
    for event in events:
        for value in event.summary.value:
            if value.HasField("metadata") and value.metadata.plugin_data.plugin_name:
                plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
            kind = value.WhichOneof("value")
            at = (event.step, struct.pack("<d", event.wall_time))
            if kind == "simple_value":
                found["scalar"][value.tag].append((*at, np.float32(value.simple_value)))
            elif kind == "histo":
                h = value.histo
                moments = struct.pack("<5d", h.min, h.max, h.num, h.sum, h.sum_squares)
                k = min(len(h.bucket), len(h.bucket_limit))
                buckets = np.array(h.bucket_limit[:k]).tobytes(), np.array(h.bucket[:k], dtype=float).tobytes()
                found["histo"][value.tag].append((*at, moments, *buckets))
            elif kind == "tensor" and value.tensor.dtype in (*DTYPES, types_pb2.DT_BFLOAT16):
                rank = len(value.tensor.tensor_shape.dim)
                if rank == 0:
                    found["scalar"][value.tag].append((*at, tensor_number(value.tensor)))
                elif rank == 2 and plugins.get(value.tag) == "histograms":
                    found["tensor"][value.tag].append((*at, tensor_util.make_ndarray(value.tensor).astype("<f8").tobytes()))
    for tag, rows in found["scalar"].items():
        # A tag that was logged in several dtypes is held in the one that numpy promotes them to; booleans count as 0 and 1.
        numbers = [np.asarray(row[2]) for row in rows]
        dtype = np.result_type(*{np.dtype(np.uint8) if n.dtype == bool else n.dtype for n in numbers})
        found["scalar"][tag] = [(*row[:2], n.astype(dtype).tobytes()) for row, n in zip(rows, numbers, strict=True)]
    return found


def as_points(columns: FileColumns) -> dict[str, dict[str, list[tuple]]]:
    """The reader's columns in the form of `reference`."""
    found: dict[str, dict[str, list[tuple]]] = {"scalar": {}, "histo": {}, "tensor": {}}
    for tag, points in columns.scalars.items():
        rows = zip(points.step.tolist(), points.wall_time, points.value, strict=True)
        found["scalar"][tag.decode()] = [(s, struct.pack("<d", w), v.tobytes()) for s, w, v in rows]
    for name, table in (("histo", columns.histos), ("tensor", columns.histogram_tensors)):
        for tag, h in table.items():
            rows = []
            for i in range(h.step.size):
                a, b = int(h.offset[i]), int(h.offset[i + 1])
                at = (int(h.step[i]), struct.pack("<d", h.wall_time[i]))
                if name == "histo":
                    rows.append((*at, h.moments[i].tobytes(), h.right[a:b].tobytes(), h.count[a:b].tobytes()))
                else:
                    rows.append((*at, np.stack([h.left[a:b], h.right[a:b], h.count[a:b]], axis=1).tobytes()))
            found[name][tag.decode()] = rows
    return found


def read_file(path: Path) -> FileColumns:
    with LocalSource(str(path)) as source:
        return read_events(source)


def assert_same(path: Path, events: list[event_pb2.Event] | None = None) -> FileColumns:
    """The reader finds exactly what TensorBoard's loader finds in `path`."""
    columns = read_file(path)
    expected = reference(load_events(path) if events is None else events)
    got = as_points(columns)
    for kind, table in expected.items():
        assert set(got[kind]) == {t for t in table if table[t]}, kind
        for tag, rows in table.items():
            assert got[kind][tag] == rows, (kind, tag)
    return columns


def scalar_event(step: int, wall_time: float, tag: str, value: float) -> event_pb2.Event:
    return event_pb2.Event(
        step=step, wall_time=wall_time, summary=summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, simple_value=value)])
    )
