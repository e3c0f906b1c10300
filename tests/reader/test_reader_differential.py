"""Every point is what TensorBoard's own loader and protos say, bit for bit: on generated files, real ones, and read in every window size."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto import event_pb2, summary_pb2, types_pb2

from tbdiag import logs
from tbdiag.events import blocks, groups, reader
from tbdiag.events.framing import Walker, find_frames
from tests.conftest import needs_shared
from tests.reader.reference import as_points, assert_same, frame, load_events, read_file, reference, scalar_event
from tests.reader.writers import DTYPES, NAME, image_event, metadata, opening, tensor_proto, write_events

_TAGS = st.sampled_from(["loss", "train/loss", "lr", "a", "b", "é/ü 漢", 'x"<script>', "line\nbreak", "", "layer.0.weight" * 8])
_STEPS = st.sampled_from([0, 1, 126, 127, 128, 16383, 16384, 2**31, 2**35, 2**62, -1, -(2**40)])
_WALLS = st.sampled_from([0.0, 1.0, 1.7e9, 1.7e9 + 1 / 3, -5.5, float("nan"), float("inf")])
_BITS = st.binary(min_size=8, max_size=8)
_SETTINGS = settings(derandomize=True, deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))


@st.composite
def _values(draw, dtype_only: int | None = None):
    """One summary value as a function of a number that changes its bits."""
    kind = draw(st.sampled_from(["simple", "simple", "tensor", "histo", "histogram", "image", "text", "old"]))
    tag, raw, packed = draw(_TAGS), draw(_BITS), draw(st.booleans())
    dtype = draw(st.sampled_from(DTYPES))
    with_metadata = draw(st.booleans())
    buckets = draw(st.integers(0, 4))

    def make(i: int) -> summary_pb2.Summary.Value:
        bits = bytes(b ^ (i * (k + 3) & 0xFF) for k, b in enumerate(raw))
        value = summary_pb2.Summary.Value(tag=tag)
        if kind == "simple":
            value.simple_value = struct.unpack("<f", bits[:4])[0]
        elif kind == "tensor":
            value.tensor.CopyFrom(tensor_proto(dtype, bits, packed))
        elif kind == "histo":
            doubles = [*struct.unpack("<d", bits), float(i % 3), 2.0, 0.0, -1.0]
            value.histo.min, value.histo.max, value.histo.num, value.histo.sum, value.histo.sum_squares = doubles
            value.histo.bucket_limit.extend(float(j) for j in range(buckets))
            value.histo.bucket.extend(float(i + j) for j in range(buckets + (i % 5 == 4)))
        elif kind == "histogram":
            value.tensor.CopyFrom(tensor_proto(2, bits, True, (buckets, 3)))
            value.metadata.CopyFrom(metadata("histograms"))
        elif kind == "image":
            value.image.encoded_image_string = bits * 20
        elif kind == "text":
            value.tensor.dtype = 7
            value.tensor.string_val.append(bits)
        else:
            value.obsolete_old_style_histogram = bits
        if with_metadata and kind in ("simple", "tensor"):
            value.metadata.CopyFrom(metadata("scalars"))
        return value

    return make


@st.composite
def _files(draw):
    """Events of a few stretches, each a cycle of records that repeats: sometimes long enough to be read as a block."""
    events = [opening()] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 4))):
        cycle = draw(st.lists(st.lists(_values(), min_size=0, max_size=2), min_size=1, max_size=4))
        repeats = draw(st.sampled_from([1, 2, 7, 40, 150, 400]))
        step, stride, wall = draw(_STEPS), draw(st.sampled_from([0, 1, 1, 50, -1])), draw(_WALLS)
        for i in range(repeats):
            at = max(min(step + stride * i, 2**63 - 1), -(2**63))
            summaries = [summary_pb2.Summary(value=[make(i) for make in makers]) for makers in cycle]
            events += [event_pb2.Event(step=at, wall_time=wall + i, summary=summary) for summary in summaries]
        extra = draw(st.sampled_from(["", "", "session", "graph", "unknown"]))
        if extra == "session":
            events.append(event_pb2.Event(step=at, wall_time=wall, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START)))
        elif extra == "graph":
            events.append(event_pb2.Event(wall_time=wall, graph_def=b"x" * 50))
        elif extra == "unknown":
            events.append(event_pb2.Event(step=3, source_metadata=event_pb2.SourceMetadata(writer="w")))
    return events


@given(events=_files(), window=st.sampled_from([512, 4096, 1 << 21]))
@_SETTINGS
def test_generated_files_are_read_as_tensorboard_reads_them(tmp_path_factory, events, window):
    path = write_events(tmp_path_factory.mktemp("run") / NAME, events)
    with mock.patch.object(reader, "ARENA_BYTES", window), mock.patch.object(reader, "_spare", []):
        columns = assert_same(path)
    assert columns.records == len(events)
    assert not columns.damage
    assert columns.readable == columns.size == columns.end


@given(events=_files())
@_SETTINGS
def test_nothing_is_lost_on_the_way_to_a_run(tmp_path_factory, events):
    """Series and superseded points together are all points that were logged."""
    directory = tmp_path_factory.mktemp("run")
    path = write_events(directory / NAME, events)
    expected = reference(load_events(path))["scalar"]
    (run,) = logs.read_runs(directory)
    for name, series in run.series.items():
        parts = [series] + ([run.superseded[name]] if name in run.superseded else [])
        assert np.all(np.diff(series.step) > 0) or np.unique(series.step).size == 1
        got = sorted((int(s), struct.pack("<d", w)) for part in parts for s, w in zip(part.step, part.wall_time, strict=True))
        assert got == sorted(row[:2] for row in expected[series.tag])


def test_the_fast_paths_are_the_ones_that_are_tested(tmp_path):
    """A regular log goes through blocks, an irregular one through groups, and both come out right."""
    rng = np.random.default_rng(0)
    regular, irregular = [opening()], [opening()]
    for step in range(600):
        for tag in ("loss", "accuracy", "lr"):
            value = summary_pb2.Summary.Value(tag=tag, simple_value=rng.normal())
            regular.append(event_pb2.Event(step=step, wall_time=1.7e9 + step, summary=summary_pb2.Summary(value=[value])))
        for tag in rng.permutation(["t/loss", "t/mae", "t/accuracy", "gnorm"]):
            value = summary_pb2.Summary.Value(tag=str(tag), tensor=tensor_proto(1, rng.bytes(4), True), metadata=metadata("scalars"))
            irregular.append(event_pb2.Event(step=step, wall_time=1.7e9 + step, summary=summary_pb2.Summary(value=[value])))
    taken = []
    whole = blocks.decode_cycles
    with mock.patch.object(blocks, "decode_cycles", lambda *a: taken.append(whole(*a)) or taken[-1]):
        assert_same(write_events(tmp_path / "a" / NAME, regular))
        assert sum(taken) * 3 > 1500
        taken.clear()
        assert_same(write_events(tmp_path / "b" / NAME, irregular))
        assert not taken


def test_records_around_blobs_keep_their_order_and_places(tmp_path):
    events = [opening()]
    for step in range(400):
        for tag in ("loss", "lr"):
            value = summary_pb2.Summary.Value(tag=tag, simple_value=step / 7)
            events.append(event_pb2.Event(step=step, wall_time=1.7e9 + step, summary=summary_pb2.Summary(value=[value])))
        if step % 9 == 0:
            events.append(image_event(step, 70_000 + step))
    path = write_events(tmp_path / NAME, events)
    columns = assert_same(path)
    media = columns.media[b"samples"]
    assert media.step == [e.step for e in events if e.summary.value and e.summary.value[0].tag == "samples"]
    data = path.read_bytes()
    for tag, points in columns.scalars.items():
        assert np.all(np.diff(points.position) > 0)
        for position, value in zip(points.position[:50], points.value[:50], strict=True):
            assert data[position : position + 4] == value.tobytes(), tag


@pytest.mark.parametrize("phase", [0, 3])
@pytest.mark.parametrize(("hurt", "at"), [(None, 0), (350, -5), (250, 30)], ids=["whole", "value", "tag"])
def test_a_loop_that_images_interrupt_is_read_as_blocks(tmp_path, phase, hurt, at):
    """Between two images no stretch is long enough for a block, all together are; a damaged record costs itself alone."""
    rng = np.random.default_rng(phase)
    tags = ("loss", "lr", "val/accuracy", "norm", "seconds")
    events = [opening()]
    for step in range(400):
        for k, tag in enumerate(tags):
            if step % 7 == 2 and k == phase:
                events.append(image_event(step, 66_000 + step % 3))
            events.append(scalar_event(step, 1.7e9 + step, tag, float(rng.normal())))
    data = [frame(e.SerializeToString()) for e in events]
    if hurt:
        place = next(i for i, e in enumerate(events) if e.step == hurt and e.summary.value[0].tag == tags[2])
        record = bytearray(data[place])
        record[at] ^= 1
        data[place] = bytes(record)
        del events[place]
    path = tmp_path / NAME
    path.write_bytes(b"".join(data))
    taken = []
    whole = blocks.decode_cycles
    with mock.patch.object(blocks, "decode_cycles", lambda *a: taken.append(whole(*a)) or taken[-1]):
        columns = assert_same(path, events)
    assert sum(taken) * 5 > 600
    assert len(columns.damage) == bool(hurt)
    assert columns.media[b"samples"].step == [e.step for e in events if e.summary.value and e.summary.value[0].tag == "samples"]
    raw = path.read_bytes()
    for points in columns.scalars.values():
        assert [raw[at : at + 4] for at in points.position] == [value.tobytes() for value in points.value]


def _histo(tag: str, buckets: int, moments: list[float], rng) -> summary_pb2.Summary.Value:
    value = summary_pb2.Summary.Value(tag=tag)
    value.histo.min, value.histo.max, value.histo.num, value.histo.sum, value.histo.sum_squares = moments
    value.histo.bucket_limit.extend(np.sort(rng.normal(size=buckets)).tolist())
    value.histo.bucket.extend(rng.integers(0, 9, buckets).astype(float).tolist())
    return value


@pytest.mark.parametrize("buckets", [[40], [30, 41, 300], list(range(30, 130))])
def test_histograms_of_one_length_and_of_many(tmp_path, buckets):
    """Enough of them in one file that they are located together, among scalars and records that only look like one."""
    rng = np.random.default_rng(0)
    events = [opening()]
    for step in [*range(70), 127, 128, 20_000, -3, 2**40, 0]:
        for tag in ("layer.0.weight" * 12, "b", ""):
            moments = [0.0 if rng.random() < 0.2 else float(x) for x in rng.normal(size=5)]
            value = _histo(tag, int(rng.choice(buckets)), moments, rng)
            summary = summary_pb2.Summary(value=[value])
            if step % 10 == 3:
                summary.value.add(tag="second", simple_value=1.0)
            if step % 10 == 4:
                value.histo.bucket.append(1.0)
                summary = summary_pb2.Summary(value=[value])
            events.append(event_pb2.Event(step=step, wall_time=0.0 if step % 7 == 0 else 1.7e9 + step, summary=summary))
        text = summary_pb2.Summary.Value(tag="note", tensor=tensor_proto(1, rng.bytes(4), True), metadata=metadata("scalars" * 40))
        events.append(event_pb2.Event(step=step, wall_time=1.0, summary=summary_pb2.Summary(value=[text])))
    columns = assert_same(write_events(tmp_path / NAME, events))
    assert sum(len(part.step) for part in columns.histos.values()) == 3 * 76


def test_a_damaged_histogram_costs_itself_alone(tmp_path):
    rng = np.random.default_rng(0)
    values = [_histo("h", 60 + i, [1.0, 2.0, 3.0, 4.0, 5.0], rng) for i in range(20)]
    events = [event_pb2.Event(step=i, wall_time=1.0, summary=summary_pb2.Summary(value=[v])) for i, v in enumerate(values)]
    path = write_events(tmp_path / NAME, events)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    columns = read_file(path)
    assert len(columns.histos[b"h"].step) == 19
    assert [part.kind for part in columns.damage] == ["corrupt"]


def test_tags_that_share_a_hash_are_told_apart(tmp_path):
    """Rows are sorted by a hash of their tags; where it says nothing, the rows themselves must."""
    rng = np.random.default_rng(1)
    events = [opening()]
    for step in range(60):
        for tag in rng.permutation([f"tag{i:02d}" for i in range(20)]):
            value = summary_pb2.Summary.Value(tag=str(tag), simple_value=rng.normal())
            events.append(event_pb2.Event(step=step, wall_time=1.7e9 + step, summary=summary_pb2.Summary(value=[value])))
    path = write_events(tmp_path / NAME, events)
    with mock.patch.object(groups, "_ODD", [0]):
        columns = assert_same(path)
    assert len(columns.scalars) == 20


@given(data=st.data())
@_SETTINGS
def test_frames_found_at_once_are_those_of_a_walk(data):
    """Lengths around the edges of what a header's zeros tell, and payloads that are zeros themselves."""
    lengths = st.sampled_from([0, 1, 44, 44, 44, 255, 256, 257, 512, 767, 4096, 65535, 65536])
    payloads = [bytes(n) if data.draw(st.booleans()) else b"\xff" * n for n in data.draw(st.lists(lengths, min_size=1, max_size=12))]
    lead, cut = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 30))
    raw = bytearray(bytes(lead) + b"".join(frame(p) for p in payloads) + bytes(64))
    filled = max(lead, len(raw) - 64 - cut)
    at, found = find_frames(np.frombuffer(raw, dtype=np.uint8), lead, filled)
    walked: tuple[list[int], list[int]] = ([], [])
    Walker().walk(raw, lead, filled, *walked, 1000)
    count = at.size
    assert at.tolist() == walked[0][:count]
    assert found.tolist() == walked[1][:count]
    assert count == len(walked[0]) or walked[1][count] in (0, 65536)


def test_every_dtype_and_encoding(tmp_path):
    events = [opening()]
    for i, dtype in enumerate(DTYPES):
        for packed in (True, False):
            for step in range(20):
                value = summary_pb2.Summary.Value(
                    tag=f"t{i}{packed}", tensor=tensor_proto(dtype, bytes([step, 63, step + 1, 64] * 2), packed)
                )
                events.append(event_pb2.Event(step=step, wall_time=1.0, summary=summary_pb2.Summary(value=[value])))
    columns = assert_same(write_events(tmp_path / NAME, events))
    assert len(columns.scalars) == 2 * len(DTYPES)


_TABLES = {
    types_pb2.DT_FLOAT: "<f4",
    types_pb2.DT_DOUBLE: "<f8",
    types_pb2.DT_HALF: "<f2",
    types_pb2.DT_BFLOAT16: "",
    types_pb2.DT_INT32: "<i4",
}


@pytest.mark.parametrize("dtype", _TABLES, ids=types_pb2.DataType.Name)
@pytest.mark.parametrize("packed", [True, False], ids=["content", "typed"])
@pytest.mark.parametrize("steps", [3, 40, 400])
def test_histogram_tensors_of_every_dtype(tmp_path, dtype, packed, steps):
    """One by one, in groups and in blocks; bfloat16 is the upper half of a float32."""
    rng = np.random.default_rng(steps)
    events, expected = [opening()], {"a": [], "b": []}
    for step in range(steps):
        for tag in ("a", "b") if steps > 40 else rng.permutation(["a", "b"]).tolist():
            wide = rng.integers(-99, 99, (4, 3)).astype("<f4")
            raw = (wide.astype(_TABLES[dtype]) if _TABLES[dtype] else (wide.view("<u4") >> 16).astype("<u2")).tobytes()
            value = summary_pb2.Summary.Value(tag=tag, tensor=tensor_proto(dtype, raw, packed, (4, 3)), metadata=metadata("histograms"))
            events.append(event_pb2.Event(step=step, wall_time=1.7e9 + step, summary=summary_pb2.Summary(value=[value])))
            expected[tag].append(wide.astype(float))
    columns = read_file(write_events(tmp_path / NAME, events))
    for tag, tables in expected.items():
        found, table = columns.histogram_tensors[tag.encode()], np.concatenate(tables)
        assert found.step.tolist() == list(range(steps))
        for column, wanted in zip((found.left, found.right, found.count), table.T, strict=True):
            assert column.tolist() == wanted.tolist()
        wanted = [(t[0, 0], t[-1, 1], t[:, 2].sum()) for t in tables]
        assert [tuple(row) for row in found.moments[:, :3]] == wanted


@pytest.mark.parametrize("each", [1, 5, 90, 400])
def test_a_tag_that_changes_its_dtype_keeps_every_point(tmp_path, monkeypatch, each):
    """Between single points and many at once, and where its columns have grown in between."""
    monkeypatch.setattr(reader, "ARENA_BYTES", 1 << 13)
    monkeypatch.setattr(reader, "_spare", [])
    rng = np.random.default_rng(each)
    events = [opening()]
    kinds = [types_pb2.DT_DOUBLE, None, types_pb2.DT_INT16, types_pb2.DT_INT16, None, types_pb2.DT_BFLOAT16, types_pb2.DT_DOUBLE]
    for step in range(each * len(kinds)):
        kind = kinds[step // each]
        for tag in ("loss", "lr"):
            value = summary_pb2.Summary.Value(tag=tag, simple_value=rng.normal())
            if kind is not None and tag == "loss":
                value = summary_pb2.Summary.Value(tag=tag, tensor=tensor_proto(kind, bytes([step % 256, 63, 5, 64] * 2), True))
            events.append(event_pb2.Event(step=step, wall_time=1.7e9 + step, summary=summary_pb2.Summary(value=[value])))
    assert_same(write_events(tmp_path / NAME, events))


@needs_shared
def test_every_file_of_the_corpus():
    root = Path(os.environ["TBDIAG_SHARED"]) / "corpus"
    files = sorted(p for p in root.rglob("*tfevents*") if p.is_file() and not p.name.endswith(".profile-empty"))
    assert len(files) > 100
    for path in files:
        assert_same(path)


def test_a_legal_but_odd_order_of_fields_is_left_to_protobuf(tmp_path):
    """Step before wall time, a value written twice: only protobuf's rules say what it means."""
    good = event_pb2.Event(step=7, wall_time=2.0, summary=summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag="a", simple_value=1.5)]))
    whole = good.SerializeToString()
    swapped = b"\x10\x07\x09" + struct.pack("<d", 2.0) + whole[11:]
    twice = b"\x09" + struct.pack("<d", 1.0) + whole
    path = tmp_path / NAME
    path.write_bytes(frame(swapped) + frame(twice))
    assert as_points(read_file(path)) == reference([good, good])


@pytest.mark.parametrize("window", [200, 1 << 21])
def test_a_record_larger_than_the_window(tmp_path, window):
    value = summary_pb2.Summary.Value(tag="h")
    value.histo.bucket_limit.extend(range(20_000))
    value.histo.bucket.extend(range(20_000))
    events = [opening(), *(event_pb2.Event(step=s, wall_time=1.0, summary=summary_pb2.Summary(value=[value])) for s in range(3))]
    path = write_events(tmp_path / NAME, events)
    with mock.patch.object(reader, "ARENA_BYTES", window), mock.patch.object(reader, "_spare", []):
        assert_same(path)
