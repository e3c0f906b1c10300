"""A pool of worker processes that a hostile run can kill without stopping the night.

Each worker is a separate interpreter (`tbdiag.nightly.worker`) that answers over its own pipe, so a death is noticed at once and is
the matter of one run. Which one, nobody knows while several are judged together: what is left of their batch is judged again one by one,
and a run that kills its worker then is tried once more in a fresh one. One thread a worker feeds it and collects its answers; one more
kills whoever exceeds the time limit.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from tbdiag.judging import count_cores
from tbdiag.nightly.tasks import Answer, Setup, Task

BATCH, BATCH_BYTES = 32, 4 << 20
"""Runs, or bytes of them, sent at once: enough that judging them together pays (see `tbdiag.nightly.judge.judge_together`), few enough to
share the last ones evenly."""
ATTEMPTS = 2
QUEUE = 2
"""Groups of answers that may wait for the state; bounds memory however many runs there are."""


def write_frame(stream: IO[bytes], value: object) -> None:
    """Write one length-prefixed pickle. Only between a tbdiag process and the worker that it started itself."""
    data = pickle.dumps(value, protocol=5)
    stream.write(struct.pack("<Q", len(data)) + data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> object:
    """Read one frame.

    Raises:
        EOFError: the other side is gone.
    """
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    size = struct.unpack("<Q", head)[0]
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)  # noqa: S301 - written by the process at the other end of a private pipe


class _Worker:
    """One worker process and the deadline of the run that it is busy with."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.deadline: float | None = None
        self.overdue = False
        self.ready = False
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start the process; it loads what it needs while we do something else."""
        env = dict(os.environ)
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            env.setdefault(name, "1")
        here = str(Path(__file__).resolve().parents[2])
        env["PYTHONPATH"] = os.pathsep.join([here, *filter(None, [env.get("PYTHONPATH")])])
        self.overdue = False
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tbdiag.nightly.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        write_frame(self.process.stdin, self.setup)
        self.ready = False

    def start(self) -> None:
        """Have it ready: starting up is no part of any run's time."""
        if self.process is None:
            self.launch()
        assert self.process is not None
        assert self.process.stdout is not None
        if not self.ready:
            read_frame(self.process.stdout)
            self.ready = True

    def stop(self) -> None:
        process, self.process, self.deadline = self.process, None, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def how_it_died(self) -> str:
        code = self.process.wait() if self.process else 0
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


class Pool:
    """Worker processes that judge tasks; answers come back in any order, each task exactly once.

    Args:
        workers: number of processes; None: one a core.
        keep: leave the processes running after `run`, for the next one; then `close` ends them.

    Attributes:
        workers: number of processes.
        deaths: workers that died or were killed so far.
    """

    def __init__(self, setup: Setup, workers: int | None = None, *, keep: bool = False) -> None:
        self.setup = setup
        self.keep = keep
        self.workers = workers or count_cores()
        self.deaths = 0
        self._team = [_Worker(setup) for _ in range(self.workers)]
        self._ready: deque[list[tuple[Task, int]]] = deque()
        self._batch = BATCH
        self._exhausted = False
        self._busy = 0
        self._lock = threading.Condition()
        self._stop = False

    def run(self, tasks: Iterable[Task]) -> Iterator[Answer]:
        """Judge every task. The tasks are drawn in the caller's thread, a few batches ahead of the workers; a few are shared out evenly."""
        source = iter(tasks)
        self._batch = min(BATCH, -(-len(tasks) // (4 * self.workers))) if isinstance(tasks, list) else BATCH
        answers: queue.Queue[list[Answer] | BaseException | None] = queue.Queue(QUEUE)
        threads = [threading.Thread(target=self._serve, args=(worker, answers), daemon=True) for worker in self._team]
        watch = threading.Thread(target=self._watch, daemon=True)
        self._stop = self._exhausted = False
        try:
            self._top_up(source)
            for thread in (*threads, watch):
                thread.start()
            left = len(threads)
            while left:
                some = answers.get()
                if isinstance(some, BaseException):
                    raise some
                if some is None:
                    left -= 1
                    continue
                yield from some
                self._top_up(source)
        finally:
            with self._lock:
                complete = self._exhausted and not self._ready and not self._busy
                self._stop = True
                self._lock.notify_all()
            if not (self.keep and complete):
                self.close()

    def prepare(self) -> None:
        """Start the worker processes without waiting for them."""
        for worker in self._team:
            if worker.process is None:
                with contextlib.suppress(OSError):  # one that dies at once is noticed when it is fed
                    worker.launch()

    def close(self) -> None:
        """End all worker processes."""
        for worker in self._team:
            worker.stop()

    def _top_up(self, source: Iterator[Task]) -> None:
        while not self._exhausted and len(self._ready) < 2 * self.workers:
            batch = []
            size = 0
            for task in source:
                batch.append((task, 0))
                size += task.size
                if len(batch) >= self._batch or size >= BATCH_BYTES or task.rules:  # a task of rules reads many runs
                    break
            with self._lock:
                if batch:
                    self._ready.append(batch)
                else:
                    self._exhausted = True
                self._lock.notify_all()

    def _next(self) -> list[tuple[Task, int]]:
        """The next batch with the attempts already made; empty when all is done. Waits while more may come."""
        with self._lock:
            while not self._stop:
                if self._ready:
                    self._busy += 1
                    return self._ready.popleft()
                if self._exhausted and not self._busy:
                    break
                self._lock.wait()
            self._lock.notify_all()
            return []

    def _done(self, *returned: list[tuple[Task, int]]) -> None:
        with self._lock:
            self._busy -= 1
            self._ready.extend(batch for batch in returned if batch)
            self._lock.notify_all()

    def _serve(self, worker: _Worker, answers: queue.Queue[list[Answer] | BaseException | None]) -> None:
        try:
            while batch := self._next():
                self._feed(worker, batch, answers)
        except BaseException as error:  # noqa: BLE001 - handed to the caller of run()
            answers.put(error)
        finally:
            answers.put(None)

    def _feed(self, worker: _Worker, batch: list[tuple[Task, int]], answers: queue.Queue[list[Answer] | BaseException | None]) -> None:
        """Have one batch judged; on a death its runs go back one by one, a run that was alone is tried again or given up."""
        at = 0
        try:
            worker.start()
            process = worker.process
            assert process is not None
            assert process.stdin is not None
            assert process.stdout is not None
            write_frame(process.stdin, [task for task, _ in batch])
            while at < len(batch):
                self._set_deadline(worker)
                some = read_frame(process.stdout)
                worker.deadline = None
                assert isinstance(some, list)
                at += len(some)
                answers.put(some)
            self._done()
        except (EOFError, OSError, pickle.UnpicklingError):
            if self._stop:
                self._done()
                return
            overdue, how = worker.overdue, worker.how_it_died()
            worker.stop()
            self.deaths += 1
            if len(batch) > 1:
                self._done(*([each] for each in batch[at:]))
                return
            task, attempts = batch[at]
            again: list[tuple[Task, int]] = []
            if overdue:
                answers.put([Answer(task.key, failed=f"took longer than {self.setup.limits.seconds:g} s")])
            elif attempts + 1 < ATTEMPTS:
                again = [(task, attempts + 1)]
            else:
                answers.put([Answer(task.key, failed=f"its worker died {ATTEMPTS} times ({how})")])
            self._done(again)

    def _set_deadline(self, worker: _Worker) -> None:
        seconds = self.setup.limits.seconds
        worker.deadline = time.monotonic() + seconds if seconds else None

    def _watch(self) -> None:
        """Kill workers whose run takes too long."""
        pause = min(max(self.setup.limits.seconds / 10, 0.02), 1.0)
        while True:
            with self._lock:
                if self._stop:
                    return
                self._lock.wait(pause)
                if self._stop:
                    return
            for worker in self._team:
                deadline, process = worker.deadline, worker.process
                if deadline is not None and process is not None and time.monotonic() > deadline:
                    worker.overdue, worker.deadline = True, None
                    process.kill()
