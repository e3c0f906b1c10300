"""Reading while a writer appends: no half points, and a second read costs only the new bytes."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbdiag import logs
from tbdiag.errors import StateError
from tbdiag.events.growth import join_columns
from tbdiag.events.reader import read_events
from tbdiag.events.source import BytesSource, LocalSource
from tests.reader.reference import as_points, frame
from tests.reader.writers import NAME, image_event, opening, regular_events, write_run


@given(cuts=st.lists(st.integers(0, 20_000), min_size=1, max_size=6), regular=st.booleans(), seed=st.integers(0, 9))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_reading_in_parts_is_reading_at_once(cuts, regular, seed):
    events = regular_events(150)
    if not regular:
        random.Random(seed).shuffle(events)
    whole = b"".join(frame(e.SerializeToString()) for e in [opening(), *events])
    columns = read_events(BytesSource(b""))
    for cut in [*sorted(cuts), len(whole)]:
        part = whole[:cut]
        columns = join_columns(columns, read_events(_from(part), columns.end, columns.plugins))
        assert columns.size == len(part)
        for tag, points in columns.scalars.items():
            assert np.all(np.diff(points.position) > 0), tag
    assert as_points(columns) == as_points(read_events(BytesSource(whole)))
    assert not columns.damage


def _from(data: bytes) -> BytesSource:
    return BytesSource(data)


def test_a_reader_beside_a_writer_never_sees_half_a_point(tmp_path):
    """The writer flushes at arbitrary bytes; every read sees a prefix of what it wrote."""
    frames = [frame(e.SerializeToString()) for e in [opening(), *regular_events(1500, ("loss",)), image_event(1500, 90_000)]]
    data = b"".join(frames)
    expected = read_events(BytesSource(data)).scalars[b"loss"].value
    path = tmp_path / NAME
    rng = random.Random(0)
    path.write_bytes(data[:100])

    def write() -> None:
        done = 100
        with path.open("ab", buffering=0) as out:
            while done < len(data):
                n = rng.randint(1, 700)
                out.write(data[done : done + n])
                done += n

    writer = threading.Thread(target=write)
    state = None
    writer.start()
    try:
        while True:
            alive = writer.is_alive()
            (listing,) = logs.list_runs(tmp_path)
            state = logs.open_run(listing) if state is None else logs.refresh(state, listing)
            series = state.run.series.get("loss")
            if series is not None:
                assert series.value.tobytes() == expected[: len(series)].tobytes()
                assert series.step.tolist() == list(range(len(series)))
            if not alive:
                break
    finally:
        writer.join()
    assert len(state.run.series["loss"]) == 1500
    assert not state.run.issues


@pytest.fixture
def grown(tmp_path):
    """A run that was read, and the same run after its training file grew."""
    write_run(tmp_path / "train", regular_events(300, ("loss",)))
    write_run(tmp_path / "validation", regular_events(30, ("loss",)))
    (before,) = logs.list_runs(tmp_path)
    state = logs.open_run(before)
    with (tmp_path / "train" / NAME).open("ab") as out:
        out.write(b"".join(frame(e.SerializeToString()) for e in regular_events(40, ("loss",), first=300)))
    (after,) = logs.list_runs(tmp_path)
    return state, after


def test_refresh_opens_only_what_changed_and_reads_only_what_is_new(grown, monkeypatch):
    state, after = grown
    assert state.changed(after)
    read: list[tuple[str, int, int]] = []
    whole = LocalSource.readinto
    monkeypatch.setattr(
        LocalSource, "readinto", lambda self, offset, buffer: read.append(("", offset, whole(self, offset, buffer))) or read[-1][2]
    )
    fresh = logs.refresh(state, after)
    old_end = state.files[after.files[0].path].offset
    assert [offset for _, offset, _ in read] == [old_end]
    assert len(fresh.run.series["train/loss"]) == 340
    assert len(fresh.run.series["validation/loss"]) == 30
    assert not fresh.changed(after)
    assert fresh.files[after.files[1].path] is state.files[after.files[1].path]


def test_a_state_survives_the_process(grown, tmp_path):
    state, after = grown
    state.save(tmp_path / "state.npz")
    loaded = logs.RunState.load(tmp_path / "state.npz")
    assert loaded.run.series["train/loss"].value.tobytes() == state.run.series["train/loss"].value.tobytes()
    assert list(loaded.run.series) == list(state.run.series)
    fresh = logs.refresh(loaded, after)
    assert len(fresh.run.series["train/loss"]) == 340
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(StateError, match=r"bad\.npz"):
        logs.RunState.load(tmp_path / "bad.npz")


def test_a_replaced_file_is_read_anew_and_said_to_be(grown, tmp_path):
    state, _ = grown
    write_run(tmp_path / "train", regular_events(500, ("other",), wall=1.8e9))
    (after,) = logs.list_runs(tmp_path)
    run = logs.refresh(state, after).run
    assert set(run.series) == {"train/other", "validation/loss"}
    assert [i.kind for i in run.issues] == ["shrunk"]


def test_a_tail_that_was_cut_is_complete_after_it_grew(tmp_path):
    path = write_run(tmp_path, regular_events(100, ("loss",)))
    data = path.read_bytes()
    path.write_bytes(data[:-10])
    (listing,) = logs.list_runs(tmp_path)
    state = logs.open_run(listing)
    assert [i.kind for i in state.run.issues] == ["truncated"]
    path.write_bytes(data)
    (listing,) = logs.list_runs(tmp_path)
    run = logs.refresh(state, listing).run
    assert not run.issues
    assert len(run.series["loss"]) == 100


@pytest.mark.parametrize("late", [False, True])
def test_columns_that_were_guessed_too_small_or_too_large_hold_the_same(tmp_path, monkeypatch, late):
    """Room is reserved for what a file will hold if it goes on as it began; here it does not."""
    from tensorboard.compat.proto import event_pb2, summary_pb2

    from tbdiag.events import reader, reserve

    monkeypatch.setattr(reserve, "_LARGE_FILE", 1 << 16)
    monkeypatch.setattr(reader, "ARENA_BYTES", 1 << 14)
    monkeypatch.setattr(reader, "_spare", [])
    events = [opening()]
    for step in range(200):
        for tag in ("a", "b") if (step > 100) == late else ("a",):
            value = summary_pb2.Summary.Value(tag=tag)
            value.histo.bucket_limit.extend(range(20 + step))
            value.histo.bucket.extend(float(step * 1000 + k) for k in range(20 + step))
            events.append(event_pb2.Event(step=step, wall_time=1.0, summary=summary_pb2.Summary(value=[value])))
    (tmp_path / NAME).write_bytes(b"".join(frame(e.SerializeToString()) for e in events))
    (run,) = logs.read_runs(tmp_path)
    for tag, steps in (("a", range(200)), ("b", range(101, 200) if late else range(101))):
        series = run.histograms[tag]
        assert series.step.tolist() == list(steps)
        expected = np.concatenate([step * 1000.0 + np.arange(20 + step) for step in steps])
        assert series.count.tobytes() == expected.tobytes()
