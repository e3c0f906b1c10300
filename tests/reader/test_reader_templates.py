"""Files read by the template of another of their size come out as when they are read record by record, and damage is seen in them."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.eventlog import frame, scalar_record, version_record
from tbdiag.events import reader
from tbdiag.events.columns import FileColumns
from tbdiag.events.source import BytesSource
from tbdiag.events.templates import TemplateCache

TAGS = ("loss", "accuracy", "lr")


def write(value: Callable[[int], float], wall: Callable[[int], float], step: Callable[[int], int] = lambda i: i) -> bytes:
    records = (scalar_record(tag, step(i), value(i), wall(i)) for i in range(200) for tag in TAGS)
    return version_record(wall(0)) + b"".join(records)


def make(seed: int) -> bytes:
    rng = random.Random(seed)
    return write(lambda _: rng.random(), lambda i: 100.0 + seed + i)


def plain(data: bytes, monkeypatch: pytest.MonkeyPatch) -> FileColumns:
    with monkeypatch.context() as patch:
        patch.setattr(reader, "_templates", TemplateCache())
        return reader.read_events(BytesSource(data))


def told(columns: FileColumns) -> list[object]:
    points = [
        (tag, p.position.tolist(), p.step.tolist(), p.wall_time.tobytes(), p.value.tobytes(), p.value.dtype)
        for tag, p in columns.scalars.items()
    ]
    return [points, columns.records, columns.first_wall_time, columns.last_wall_time, columns.damage, columns.end, columns.nan_wall_times]


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> TemplateCache:
    cache = TemplateCache()
    monkeypatch.setattr(reader, "_templates", cache)
    for seed in (1, 2):
        reader.read_events(BytesSource(make(seed)))
    assert cache._known[len(make(1))]
    return cache


def by_template(cache: TemplateCache, data: bytes) -> FileColumns | None:
    return cache.read(BytesSource(data), bytearray(len(data) + 64))


def test_read_as_record_by_record(taught: TemplateCache, monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (make(3), write(lambda i: float("nan") if i > 90 else -0.0, lambda i: 7.0 - i)):
        found = by_template(taught, data)
        assert found is not None
        assert told(found) == told(plain(data, monkeypatch))


def test_any_flipped_byte_is_seen(taught: TemplateCache, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make(3)
    rng = random.Random(5)
    for at in [0, 9, 13, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(200))]:
        data = bytearray(whole)
        data[at] ^= 1 << rng.randrange(8)
        assert by_template(taught, bytes(data)) is None
        assert told(reader.read_events(BytesSource(bytes(data)))) == told(plain(bytes(data), monkeypatch))


def test_other_steps_tags_and_a_cut_are_read_on_their_own(taught: TemplateCache, monkeypatch: pytest.MonkeyPatch) -> None:
    other = write(lambda _: 0.5, float, lambda i: i + (i > 150))
    assert len(other) == len(make(1))
    for data in (other, make(3).replace(b"loss", b"boss"), make(3)[:-1]):
        assert by_template(taught, data) is None
        assert told(reader.read_events(BytesSource(data))) == told(plain(data, monkeypatch))


def test_a_wall_time_that_is_no_number_is_counted(taught: TemplateCache, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write(lambda _: 0.5, lambda i: float("nan") if i == 7 else 3.0)
    assert len(data) == len(make(1))
    assert by_template(taught, data) is None
    assert reader.read_events(BytesSource(data)).nan_wall_times == plain(data, monkeypatch).nan_wall_times == 3


def test_files_do_not_share_what_may_be_changed(taught: TemplateCache) -> None:
    one, other = reader.read_events(BytesSource(make(3))), reader.read_events(BytesSource(make(4)))
    one.scalars[b"loss"].value[:] = 0
    one.plugins[b"new"] = "scalars"
    assert float(np.abs(other.scalars[b"loss"].value).min()) > 0
    assert b"new" not in other.plugins
    with pytest.raises(ValueError, match="read-only"):
        one.scalars[b"loss"].step[0] = 5


def test_what_is_no_number_makes_no_template() -> None:
    cache = TemplateCache()
    session = frame(b"\x09" + bytes(8) + b"\x3a\x02\x08\x01")
    for seed in (1, 2, 3):
        source = BytesSource(make(seed) + session)
        cache.learn(source, reader.read_events(source), reader.layouts)
    assert not cache._known
    for seed in (1, 2):  # ... nor does it keep others from making one
        source = BytesSource(make(seed))
        cache.learn(source, reader.read_events(source), reader.layouts)
    assert len(cache._known[source.size]) == 1
