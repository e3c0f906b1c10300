"""Damage costs only the damaged bytes, and says which."""

from __future__ import annotations

import os
import random
import struct
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from tbdiag import logs
from tbdiag.errors import LogdirError
from tbdiag.events import blocks, reader, records
from tbdiag.events.reader import read_events
from tbdiag.events.source import BytesSource, LocalSource
from tests.reader.reference import as_points, frame, masked, scalar_event
from tests.reader.writers import NAME, image_event, opening, regular_events, write_run


@pytest.fixture
def frames():
    return [frame(e.SerializeToString()) for e in [opening(), *regular_events(400)]]


def _steps(data: bytes) -> tuple[int, list]:
    columns = read_events(BytesSource(data))
    return sum(len(p) for p in columns.scalars.values()), columns.damage


def _at(frames: list[bytes], k: int) -> int:
    return sum(map(len, frames[:k]))


@pytest.mark.parametrize("where", ["value", "length", "high length byte", "length crc", "crc"])
def test_one_flipped_byte_costs_one_record(frames, where):
    k = 600
    start = _at(frames, k)
    at = {"value": -6, "length": 0, "high length byte": 7, "length crc": 9, "crc": -1}[where]
    data = bytearray(b"".join(frames))
    data[start + at if at >= 0 else start + len(frames[k]) + at] ^= 0x10
    points, damage = _steps(bytes(data))
    assert points == 1199
    assert [(d.kind, d.start, d.end) for d in damage] == [("corrupt", start, start + len(frames[k]))]


@pytest.mark.parametrize("hurt", [1, 5, 50, 120, 127, 128, 129, 300, 1999])
def test_a_flipped_value_in_a_regular_log_costs_one_record(hurt):
    """Also where a block begins: what was walked before it and read with it must not count twice."""
    tags = ("loss", "lr", "val/loss", "accuracy")
    records = [frame(scalar_event(200 + s, 1.7e9 + s, tag, s / 7).SerializeToString()) for s in range(500) for tag in tags]
    damaged = [frame(b"\x1a\x0dbrain.Event:2"), *records]
    damaged[hurt] = damaged[hurt][:-6] + bytes([damaged[hurt][-6] ^ 1]) + damaged[hurt][-5:]
    columns = read_events(BytesSource(b"".join(damaged)))
    assert columns.records == 2000
    assert len(columns.damage) == 1
    for k, tag in enumerate(tags):
        expected = [200 + s for s in range(500) if 1 + 4 * s + k != hurt]
        assert columns.scalars[tag.encode()].step.tolist() == expected


@pytest.mark.parametrize("hole", [40, 100, 4096])
def test_a_hole_of_zeros(frames, hole):
    data = bytearray(b"".join(frames))
    start = _at(frames, 500) + 7
    data[start : start + hole] = bytes(hole)
    touched = sum(1 for k in range(len(frames)) if _at(frames, k) < start + hole and _at(frames, k + 1) > start)
    points, damage = _steps(bytes(data))
    assert points == 1200 - touched
    assert damage[0].start == _at(frames, 500)


@pytest.mark.parametrize("garbage", [b"\0" * 999, random.Random(0).randbytes(5000), b"\xff" * 13])
def test_foreign_bytes_between_records_cost_nothing(frames, garbage):
    points, damage = _steps(b"".join([*frames[:700], garbage, *frames[700:]]))
    assert points == 1200
    assert [(d.start, d.end) for d in damage] == [(_at(frames, 700), _at(frames, 700) + len(garbage))]


@pytest.mark.parametrize("cut", [3, 12, 20, 30])
def test_a_cut_file_loses_its_last_record(frames, cut):
    whole = b"".join(frames)
    end = _at(frames, 1000)
    points, damage = _steps(whole[: end + cut])
    assert points == 999
    assert [(d.kind, d.start, d.end) for d in damage] == [("truncated", end, end + cut)]


@pytest.mark.parametrize("cut", [5, 25, 40])
def test_a_file_that_was_cut_and_written_on(frames, cut):
    whole = b"".join(frames)
    end = _at(frames, 1000)
    points, damage = _steps(whole[: end + cut] + whole)
    assert points == 999 + 1200
    assert [(d.start, d.end) for d in damage] == [(end, end + cut)]


def test_the_message_says_how_much_was_read_and_where_it_was_lost(tmp_path, frames):
    data = bytearray(b"".join(frames))
    start = _at(frames, 600)
    data[start + 20] ^= 1
    (tmp_path / NAME).write_bytes(data)
    (run,) = logs.read_runs(tmp_path)
    (issue,) = run.issues
    end = start + len(frames[600])
    assert (issue.kind, issue.offset, issue.end, issue.size) == ("corrupt", start, end, len(data))
    assert issue.message.startswith(
        f"{len(data) - len(frames[600]):,} of {len(data):,} bytes readable, lost between byte {start:,} and {end:,}"
    )
    assert run.files[0].readable == len(data) - len(frames[600])


def test_lengths_that_claim_gigabytes(frames):
    for length in (1 << 31, 1 << 40, (1 << 64) - 1):
        header = struct.pack("<Q", length)
        lie = header + struct.pack("<I", masked(header))
        points, damage = _steps(b"".join([*frames[:100], lie, *frames[100:]]))
        assert points == 1200
        assert damage[0].end - damage[0].start == 12


def test_a_few_bytes_do_not_become_gigabytes():
    """A tensor that is filled with one element states any shape; a record may not make more memory than it has bytes."""
    dims = b"".join(b"\x12" + bytes([len(d)]) + d for d in [b"\x08\x80\x80\x80\x08"] * 2)
    tensor = b"\x08\x01\x12" + bytes([len(dims)]) + dims + b"\x2a\x04\0\0\x80\x3f"
    value = b"\x0a\x01t\x42" + bytes([len(tensor)]) + tensor
    summary = b"\x0a" + bytes([len(value)]) + value
    columns = read_events(BytesSource(frame(b"\x2a" + bytes([len(summary)]) + summary)))
    assert not columns.tensors
    assert not columns.scalars
    assert sum(columns.rejected.values()) == 1


def test_a_file_of_false_headers_ends_in_bounded_time(monkeypatch):
    """Every header is right and every payload wrong: candidates are checked until the budget is spent, then reading gives up."""
    monkeypatch.setattr(records, "_SEARCH_BUDGET", 1 << 20)
    header = struct.pack("<Q", 200_000)
    data = (header + struct.pack("<I", masked(header))) * 60_000
    began = time.process_time()
    columns = read_events(BytesSource(data))
    assert time.process_time() - began < 20
    assert columns.damage[-1].kind in ("limit", "corrupt")


def test_a_bad_image_is_found_with_verify_only(tmp_path):
    path = write_run(tmp_path, [*regular_events(5), image_event(5, 3_000_000), *regular_events(5, first=5)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (quick,), (checked,) = logs.read_runs(tmp_path), logs.read_runs(tmp_path, verify=True)
    assert not quick.issues
    assert len(quick.media["samples"].step) == 1
    assert [i.kind for i in checked.issues] == ["corrupt"]
    assert not checked.media
    for run in (quick, checked):
        assert len(run.series["lr"]) == 10


def test_bad_inputs_are_one_line_errors_or_issues(tmp_path):
    for name in ("empty", "zero", "garbage", "header", "good"):
        (tmp_path / name).mkdir()
    (tmp_path / "zero" / NAME).touch()
    (tmp_path / "garbage" / NAME).write_bytes(random.Random(1).randbytes(3000))
    (tmp_path / "header" / NAME).write_bytes(frame(opening().SerializeToString()))
    write_run(tmp_path / "good", regular_events(3))
    for name in ("missing", "empty", "zero", "garbage"):
        with pytest.raises(LogdirError) as error:
            logs.read_runs(tmp_path / name)
        assert "\n" not in str(error.value)
        assert name in str(error.value)
    (run,) = logs.read_runs(tmp_path / "header")
    assert run.readable
    assert [i.kind for i in run.issues] == ["no-records"]
    by_name = {r.name: r for r in logs.read_runs(tmp_path)}
    assert {n: (r.readable, [i.kind for i in r.issues]) for n, r in by_name.items()} == {
        "good": (True, []),
        "header": (True, ["no-records"]),
        "zero": (False, ["empty-file"]),
        "garbage": (False, ["not-an-event-file"]),
    }


def test_a_file_that_cannot_be_opened_or_vanishes(tmp_path, monkeypatch):
    write_run(tmp_path / "a", regular_events(3))
    write_run(tmp_path / "b", regular_events(3))
    write_run(tmp_path / "c", regular_events(3))
    whole = os.open

    def refuse(path, *rest, **options):
        if "/a/" in str(path):
            raise PermissionError(13, "Permission denied", path)
        if "/b/" in str(path):
            raise FileNotFoundError(2, "No such file or directory", path)
        return whole(path, *rest, **options)

    monkeypatch.setattr(os, "open", refuse)
    a, b, c = logs.read_runs(tmp_path)
    assert [(r.readable, [i.kind for i in r.issues]) for r in (a, b, c)] == [
        (False, ["unreadable-file"]),
        (False, ["vanished"]),
        (True, []),
    ]
    assert "Permission denied" in a.issues[0].message


def test_a_pipe_named_like_an_event_file_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(LogdirError, match="regular file"):
        logs.read_runs(tmp_path)


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = write_run(tmp_path, regular_events(2000))
    with LocalSource(str(path)) as source:
        size = source.size
        os.truncate(path, size // 2)
        columns = read_events(source)
    assert columns.size == size // 2
    assert 2900 < sum(len(p) for p in columns.scalars.values()) < 3100


def test_wall_times_and_values_that_are_no_numbers(tmp_path):
    events = regular_events(20)
    for event in events[:6]:
        event.wall_time = float("nan")
    for event, value in zip(events[6:9], [float("nan"), float("inf"), float("-inf")], strict=True):
        event.summary.value[0].simple_value = value
    write_run(tmp_path, events)
    (run,) = logs.read_runs(tmp_path)
    assert [i.kind for i in run.issues] == ["nan-wall-time"]
    assert all(len(s) == 20 for s in run.series.values())
    assert np.isnan(run.series["train/loss"].wall_time[:2]).all()
    assert np.isnan(run.series["train/loss"].value[2])


def test_memory_is_bounded_by_the_columns_however_large_the_blobs(tmp_path):
    """70 MB of images cost next to nothing; peak memory is measured in a fresh process."""
    import subprocess
    import sys

    path = tmp_path / NAME
    image = frame(image_event(1, 12_000_000).SerializeToString())
    with path.open("wb") as out:
        out.write(frame(opening().SerializeToString()))
        for step in range(6):
            out.write(b"".join(frame(e.SerializeToString()) for e in regular_events(100, first=100 * step)))
            out.write(image)
    code = (
        "import sys, resource; from tbdiag import logs; import tbdiag.events.reader, tbdiag.logs.assembly\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); run, = logs.read_runs(sys.argv[1]); print(len(run.series['lr']), peak() - before)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, cwd=root)
    points, kilobytes = map(int, done.stdout.split())
    assert points == 600
    assert kilobytes < 8_000


@pytest.mark.parametrize("tag", ["loss", "a-longer-tag"])
@pytest.mark.parametrize("k", [None, 1, 3, 600, 1197])
def test_a_file_like_the_one_before_is_read_as_if_it_came_first(tmp_path, tag, k):
    """A cycle that is known from another file is a short cut, never another result."""
    first = [opening(), *regular_events(400, tags=(tag, "b", "c"))]
    for i, begin in enumerate((0, 1, 2)):  # the same records, begun elsewhere in their cycle
        events = [opening(), *first[1 + begin :]]
        data = bytearray(b"".join(frame(e.SerializeToString()) for e in events))
        if k is not None:
            start = sum(len(frame(e.SerializeToString())) for e in events[:k])
            data[start + 16] ^= 1
        path = tmp_path / f"{i}.tfevents"
        path.write_bytes(data)
        again = [read_events(BytesSource(bytes(data))) for _ in range(2)]
        with mock.patch.object(reader, "_cycles", blocks.CycleCache()):
            alone = read_events(BytesSource(bytes(data)))
        for columns in again:
            assert as_points(columns) == as_points(alone)
            assert columns.damage == alone.damage
            assert (columns.records, columns.first_wall_time, columns.last_wall_time) == (
                alone.records,
                alone.first_wall_time,
                alone.last_wall_time,
            )
        assert sum(len(p) for p in alone.scalars.values()) == 1200 - begin - (k is not None)
