"""Dask: a real cluster with separate worker processes, one of them killed in the middle."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tbdiag.config import Config
from tbdiag.errors import StateError, UsageError
from tbdiag.logs import list_runs
from tbdiag.nightly.cluster import Cluster
from tbdiag.nightly.tasks import Answer, Limits, Setup, Task
from tests.conftest import needs_module
from tests.nightly.hostile import Hostile
from tests.nightly.world import LATER, ROOT, Nights, write

pytestmark = [needs_module("distributed"), pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for i in range(10):
        write(tmp_path / "logs" / f"run{i:02d}", "nan" if i == 5 else "healthy", seed=i)
    return [Task(i, listing.name, listing) for i, listing in enumerate(list_runs(str(tmp_path / "logs")))]


def test_a_killed_dask_worker_loses_nothing_and_repeats_nothing(tasks: list[Task]) -> None:
    from distributed import LocalCluster

    setup = Setup(Config(), LATER, Limits(seconds=20), reports="none")
    many = [Task(i, t.name, t.listing) for i, t in enumerate(tasks * 40)]
    many.insert(50, Task(1000, "kill", Hostile("kill")))
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        address = cluster.scheduler_address.removeprefix("tcp://")
        answers: list[Answer] = []
        for answer in Cluster(f"dask://{address}", setup).run(many):
            answers.append(answer)
            if len(answers) == 40:
                victim = next(iter(cluster.workers.values()))
                os.kill(victim.process.pid, signal.SIGKILL)
    assert Counter(a.key for a in answers) == Counter(t.key for t in many)
    failed = {a.key: a.failed for a in answers if a.failed}
    assert failed == {1000: "its worker died 2 times (killed by signal 9)"}


def test_a_whole_night_on_a_local_cluster(tasks: list[Task], tmp_path: Path) -> None:
    nights = Nights(tmp_path, scheduler="local", workers=2)
    night = nights.run()
    assert (night.closing.runs, night.closing.errors, night.closing.failed) == (10, 1, 0)


def test_no_scheduler_there(tasks: list[Task]) -> None:
    with pytest.raises(StateError, match="no Dask scheduler"):
        list(_impatient(Cluster("dask://127.0.0.1:9", Setup(Config(), LATER))).run(tasks))


def test_an_unknown_scheduler() -> None:
    with pytest.raises(UsageError, match="dask://HOST:PORT"):
        Cluster("slurm", Setup(Config(), LATER))


def _impatient(cluster: Cluster) -> Cluster:
    cluster.timeout = 1.0
    return cluster
