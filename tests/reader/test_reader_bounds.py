"""Large directories and many runs: memory does not grow with what is not an event file, nor with the number of runs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

from tbdiag import logs
from tests.reader.writers import NAME, regular_events, write_run


def _peak(work: Callable[[], object]) -> int:
    work()  # what is built once
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _fill(root: Path, count: int) -> None:
    for number in range(count):
        (root / f"checkpoint-{number}.pt").touch()


def test_entries_that_are_no_event_files_take_no_memory(tmp_path):
    write_run(tmp_path / "few", regular_events(3))
    write_run(tmp_path / "many", regular_events(3))
    _fill(tmp_path / "many", 5000)
    few, many = (_peak(lambda name=name: logs.list_runs(tmp_path / name)) for name in ("few", "many"))
    assert [len(run.files) for run in logs.list_runs(tmp_path / "many")] == [1]
    assert many < few + 100_000


def test_a_run_of_thousands_of_files_is_one_run(tmp_path):
    """Each restart of a job may leave a file."""
    data = write_run(tmp_path, regular_events(3)).read_bytes()
    for number in range(1500):
        (tmp_path / f"{NAME}.{number:05d}").write_bytes(data)
    (run,) = logs.read_runs(tmp_path)
    assert len(run.files) == 1501
    assert {len(series) for series in run.series.values()} == {3}


def test_memory_does_not_grow_with_the_number_of_runs(tmp_path):
    data = write_run(tmp_path / "one" / "run0", regular_events(500)).read_bytes()
    for number in range(60):
        path = tmp_path / "all" / f"run{number}" / NAME
        path.parent.mkdir(parents=True)
        path.write_bytes(data)

    def read(root: str) -> int:
        points = 0
        for run in logs.iter_runs(tmp_path / root):
            points += sum(len(series) for series in run.series.values())
        return points

    one, every = _peak(lambda: read("one")), _peak(lambda: read("all"))
    assert read("all") == 60 * read("one")
    assert every < 2 * one + 100_000
