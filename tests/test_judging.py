"""Judging many runs: the same reports in the same order on one process and on several, whatever happens to them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from tbdiag import judging
from tbdiag.config import Config
from tbdiag.diagnosis import build_report
from tbdiag.errors import LogdirError
from tbdiag.logs import list_runs
from tests.reader.writers import regular_events, write_run


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    """Five runs of different lengths, one of them unreadable."""
    for number in range(5):
        write_run(tmp_path / f"run{number}", regular_events(60 + 40 * number, ("train/loss",)))
    (file,) = (tmp_path / "run2").iterdir()
    file.write_bytes(b"no event file")
    return tmp_path


def documents(logdir: Path, jobs: int) -> list[dict]:
    return build_report(list(judging.judge_runs([str(logdir)], Config(), jobs=jobs))).to_dict()["runs"]


def test_the_number_of_processes_does_not_show(logdir):
    alone = documents(logdir, 1)
    assert {run["name"] for run in alone} == {f"run{n}" for n in range(5)}
    order = [report.name for report in judging.judge_runs([str(logdir)], Config(), jobs=3)]
    assert order == [f"run{n}" for n in range(5)]
    assert documents(logdir, 3) == alone


def test_processes_are_started_anew_beside_other_threads(logdir):
    """Remote file systems run threads of their own; a copy of the process would hold their locks for ever."""
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        assert documents(logdir, 2) == documents(logdir, 1)
    finally:
        done.set()
        other.join()


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
def test_runs_are_judged_elsewhere(logdir, monkeypatch):
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # so that workers are copies, with what is patched here
    monkeypatch.setattr(judging, "read_run", lambda *_, **__: os._exit(1) if os.getpid() != here else pytest.fail("judged here"))
    here = os.getpid()
    with pytest.raises(pytest.fail.Exception, match="judged here"):
        documents(logdir, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
def test_a_process_that_dies_costs_nothing(logdir, monkeypatch):
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    whole = judging.read_run
    here = os.getpid()

    def read(listing, *, verify=False):
        if listing.name == "run3" and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(listing, verify=verify)

    expected = documents(logdir, 1)
    monkeypatch.setattr(judging, "read_run", read)
    assert documents(logdir, 2) == expected


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_logdir_without_any_record_is_an_error_after_its_reports(tmp_path, jobs):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "events.out.tfevents.1.h").write_bytes(b"x" * 100)
    reports = judging.judge_runs([str(tmp_path)], Config(), jobs=jobs)
    assert [next(reports).verdict, next(reports).verdict] == ["unreadable", "unreadable"]
    with pytest.raises(LogdirError, match="none of its 2 event files"):
        next(reports)


def test_few_small_runs_are_judged_here(logdir, monkeypatch):
    monkeypatch.setattr(judging, "count_cores", lambda: 4)
    listings = list_runs(logdir)
    assert judging.choose_jobs(listings) == 1
    assert judging.choose_jobs(listings * 2) == 4
    monkeypatch.setattr(judging, "_MIN_BYTES", 1000)
    assert judging.choose_jobs(listings[:2]) == 2
    monkeypatch.setattr(judging, "count_cores", lambda: 64)
    assert judging.choose_jobs(listings * 10) == judging.MAX_JOBS


def test_no_more_runs_are_begun_than_processes_can_take(logdir, monkeypatch):
    """Reports wait for their turn; what is ahead of it is bounded."""
    begun = []

    class Pool:
        def __init__(self, *_, **__): ...
        def submit(self, function, listing):
            from concurrent.futures import Future

            begun.append(listing.name)
            future = Future()
            future.set_result(judging._judge(listing, Config(), False))
            return future

        def shutdown(self, **_): ...

    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", Pool)
    reports = judging.judge_runs([str(logdir)], Config(), jobs=2)
    next(reports)
    assert len(begun) <= 2 * 2
    list(reports)
    assert len(begun) == 5
