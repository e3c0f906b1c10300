"""The pool of worker processes: hostile runs cost themselves, everything else is answered once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tbdiag.config import Config
from tbdiag.logs import list_runs
from tbdiag.nightly.pool import Pool
from tbdiag.nightly.tasks import Answer, Limits, Setup, Task
from tbdiag.nightly.worker import answer_task, answer_tasks
from tests.nightly.hostile import Hostile
from tests.nightly.world import LATER, ROOT, write


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for i in range(12):
        write(tmp_path / "logs" / f"run{i:02d}", "nan" if i == 5 else "healthy", seed=i)
    return [Task(i, listing.name, listing) for i, listing in enumerate(list_runs(str(tmp_path / "logs")))]


def judge(pool: Pool, tasks: list[Task]) -> dict[int, Answer]:
    answers = list(pool.run(iter(tasks)))  # not shared out: all that fit into one batch are sent together
    assert Counter(a.key for a in answers) == Counter(t.key for t in tasks)
    return {a.key: a for a in answers}


def setup(**limits: float) -> Setup:
    return Setup(Config(), LATER, Limits(**limits), reports="none")  # type: ignore[arg-type]


def test_hostile_runs_cost_only_themselves(tasks: list[Task], tmp_path: Path) -> None:
    deeds = ["kill", "kill-once", "hang", "eat", "raise"]
    flag = str(tmp_path / "flag")
    hostile = [Task(100 + i, deed, Hostile(deed, flag)) for i, deed in enumerate(deeds)]
    mixed = tasks[:3] + hostile[:2] + tasks[3:6] + hostile[2:4] + tasks[6:] + hostile[4:]
    pool = Pool(setup(memory=1 << 30, seconds=20.0), workers=2)
    answers = judge(pool, mixed)
    assert all(answers[t.key].judgement is not None for t in tasks)
    assert {f.id for f in answers[5].judgement.findings if f.severity == 0} == {"nan-inf"}  # type: ignore[union-attr]
    assert answers[100].failed == "its worker died 2 times (killed by signal 9)"
    assert answers[101].failed == "ValueError: met again"
    assert answers[102].failed == "took longer than 20 s"
    assert answers[103].failed == "needs more memory than the limit of 1024 MiB a worker"
    assert answers[104].failed == "ValueError: hostile run"
    assert pool.deaths == 5  # the first among others: which run it was shows when they are judged one by one


def test_a_worker_killed_from_outside_loses_nothing(tasks: list[Task]) -> None:
    pool = Pool(setup(), workers=2)
    many = [Task(i, t.name, t.listing) for i, t in enumerate(tasks * 20)]
    answers: list[Answer] = []
    for i, answer in enumerate(pool.run(many)):
        answers.append(answer)
        if i in (10, 60):
            process = pool._team[i % 2].process
            if process is not None:
                os.kill(process.pid, signal.SIGKILL)
    assert Counter(a.key for a in answers) == Counter(range(len(many)))
    assert not any(a.failed for a in answers)
    assert pool.deaths >= 1


def test_leaving_early_ends_the_workers(tasks: list[Task]) -> None:
    pool = Pool(setup(), workers=2)
    running = pool.run(tasks * 20)
    next(running)
    processes = [w.process for w in pool._team if w.process is not None]
    assert processes
    running.close()  # type: ignore[attr-defined]
    assert all(p.poll() is not None for p in processes)


def test_an_error_while_tasks_are_drawn_reaches_the_caller(tasks: list[Task]) -> None:
    def source() -> object:
        yield tasks[0]
        raise RuntimeError("drawn")

    with pytest.raises(RuntimeError, match="drawn"):
        list(Pool(setup(), workers=1).run(source()))  # type: ignore[arg-type]


def test_tasks_are_drawn_as_they_are_needed(tasks: list[Task]) -> None:
    drawn = 0

    def source() -> object:
        nonlocal drawn
        for i in range(400):
            drawn += 1
            yield Task(i, tasks[0].name, tasks[0].listing)

    running = Pool(setup(), workers=1).run(source())  # type: ignore[arg-type]
    next(running)
    time.sleep(0.1)
    assert drawn < 100
    running.close()  # type: ignore[attr-defined]


def test_workers_end_with_a_killed_parent(tasks: list[Task]) -> None:
    pool = Pool(setup(), workers=1, keep=True)
    judge(pool, tasks[:1])
    process = pool._team[0].process
    assert process is not None
    assert process.poll() is None
    assert process.stdin is not None
    process.stdin.close()  # what the worker sees when its parent is gone
    ended = threading.Event()
    threading.Thread(target=lambda: (process.wait(), ended.set()), daemon=True).start()
    assert ended.wait(20)
    pool.close()


def test_runs_judged_together_come_out_as_alone(tasks: list[Task], tmp_path: Path) -> None:
    (tmp_path / "logs" / "run03" / "events.out.tfevents.1.host").write_bytes(b"no record")
    strange = Task(99, "raise", Hostile("raise"))
    mixed = [*tasks[:7], strange, *tasks[7:]]
    together = [answer for some in answer_tasks(mixed, setup()) for answer in some]
    alone = [answer_task(task, setup()) for task in mixed]
    assert [(a.key, a.judgement, a.failed) for a in together] == [(a.key, a.judgement, a.failed) for a in alone]
    assert [a.key for a in together if a.failed] == [99]


def test_large_runs_are_shared_among_the_workers(tasks: list[Task]) -> None:
    pool = Pool(setup(), workers=2)
    pool._top_up(iter([Task(i, "large", None, size=3 << 20) for i in range(3)] + [Task(i, "small", None, size=1) for i in range(3, 50)]))
    assert [[task.key for task, _ in batch] for batch in pool._ready] == [[0, 1], list(range(2, 34)), list(range(34, 50))]


def test_a_few_runs_are_shared_out_evenly(tasks: list[Task]) -> None:
    many = [Task(i, t.name, t.listing) for i, t in enumerate(tasks * 2)]
    pool = Pool(setup(), workers=2)
    assert {a.key for a in pool.run(many)} == set(range(24))
    assert pool._batch == 3


def test_workers_that_are_prepared_serve_or_end(tasks: list[Task]) -> None:
    pool = Pool(setup(), workers=2)
    pool.prepare()
    prepared = [worker.process for worker in pool._team]
    pool.prepare()
    assert [worker.process for worker in pool._team] == prepared
    assert len(judge(pool, tasks)) == len(tasks)
    idle = Pool(setup(), workers=2)
    idle.prepare()
    processes = [worker.process for worker in idle._team]
    idle.close()
    assert all(process is not None and process.poll() is not None for process in processes)


def test_a_worker_that_dies_before_it_is_ready_loses_nothing(tasks: list[Task]) -> None:
    pool = Pool(setup(), workers=2)
    pool.prepare()
    process = pool._team[0].process
    assert process is not None
    process.kill()
    answers = judge(pool, tasks)
    assert all(answer.judgement is not None for answer in answers.values())
    assert pool.deaths == 1
