"""Judging beyond one machine, on an existing engine: Dask's scheduler ships runs as tasks by path and streams the answers back.

On each Dask worker the runs are judged in a process of their own (`tbdiag.nightly.pool`), so the limits of memory and time hold there
as well, and a hostile run kills that process rather than the Dask worker. A Dask worker that dies has its batches run again elsewhere
by the scheduler; each answer is passed on once.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from tbdiag.errors import ExtraMissingError, StateError, UsageError
from tbdiag.nightly.pool import Pool
from tbdiag.nightly.tasks import Answer, Setup, Task

BATCH = 16
AHEAD = 3
"""Batches in flight a thread of the cluster: enough that no worker waits, few enough that memory does not grow with the runs."""
_kept = threading.local()


def judge_batch(setup: Setup, tasks: list[Task]) -> list[Answer]:
    """Judge runs on a Dask worker, in a process that is kept for the next batch of the same night."""
    pool: Pool | None = getattr(_kept, "pool", None)
    if pool is None or pool.setup != setup:
        if pool is not None:
            pool.close()
        pool = _kept.pool = Pool(setup, workers=1, keep=True)
    return list(pool.run(tasks))


class Cluster:
    """A Dask cluster that judges tasks.

    Args:
        where: ``dask://HOST:PORT`` of a running scheduler, or ``local`` for one on this machine with a process a core.
        workers: processes of a local cluster; None: one a core.

    Attributes:
        timeout: seconds to wait for the scheduler.
        deaths: Dask workers that left while the night ran, or batches that the scheduler gave up.
    """

    def __init__(self, where: str, setup: Setup, workers: int | None = None) -> None:
        if where != "local" and not where.startswith("dask://"):
            raise UsageError(f"--scheduler {where!r}: use processes, inline, local or dask://HOST:PORT")
        self.where = where
        self.setup = setup
        self.workers = workers
        self.deaths = 0
        self.timeout = 20.0

    def run(self, tasks: Iterable[Task]) -> Iterator[Answer]:
        """Judge every task; each is answered once."""
        try:
            import distributed
        except ImportError as error:
            raise ExtraMissingError(f"--scheduler {self.where} needs dask.distributed: pip install 'tbdiag[cluster]'") from error
        with _quiet(distributed), self._connect(distributed) as client:
            yield from self._stream(distributed, client, iter(tasks))

    def close(self) -> None:
        """Nothing is left running: a cluster is left when its answers end."""

    def _connect(self, distributed: Any) -> Any:
        try:
            if self.where == "local":
                from tbdiag.judging import count_cores

                return distributed.Client(
                    n_workers=self.workers or count_cores(),
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    set_as_default=False,
                )
            return distributed.Client("tcp://" + self.where.removeprefix("dask://"), timeout=self.timeout, set_as_default=False)
        except OSError as error:
            raise StateError(f"--scheduler {self.where}: no Dask scheduler answers there ({type(error).__name__})") from error

    def _stream(self, distributed: Any, client: Any, source: Iterator[Task]) -> Iterator[Answer]:
        threads = max(1, sum(client.nthreads().values()))
        sent: dict[str, list[Task]] = {}
        answered: set[int] = set()

        def submit(batch: list[Task]) -> Any:
            future = client.submit(judge_batch, self.setup, batch, pure=False)
            sent[future.key] = batch
            return future

        def draw(n: int) -> list[Any]:
            return [submit(batch) for _ in range(n) if (batch := list(itertools.islice(source, BATCH)))]

        flow = distributed.as_completed(draw(AHEAD * threads), loop=client.loop, with_results=True, raise_errors=False)
        for future, result in flow:
            batch = sent.pop(future.key)
            if future.status == "finished":
                answers = result
            else:
                self.deaths += 1
                answers, again = self._after_failure(batch, future)
                for one in again:
                    flow.add(submit(one))
            for answer in answers:
                if answer.key not in answered:
                    answered.add(answer.key)
                    yield answer
            for more in draw(1):
                flow.add(more)

    @staticmethod
    def _after_failure(batch: list[Task], future: Any) -> tuple[list[Answer], list[list[Task]]]:
        """A batch that the scheduler gave up is tried run by run, so that one run cannot take its neighbours along."""
        if future.status in ("lost", "cancelled"):
            raise StateError("the Dask scheduler is gone; what was judged is kept, run again to go on")
        if len(batch) > 1:
            return [], [[task] for task in batch]
        error = future.exception()
        return [Answer(batch[0].key, failed=f"its Dask workers died or failed ({type(error).__name__})")], []


class _quiet:  # noqa: N801 - used like a function
    """Keep Dask's own log lines (a dead worker is several tracebacks) out of the night's."""

    def __init__(self, distributed: Any) -> None:
        import logging

        self._logger = logging.getLogger(distributed.__name__)

    def __enter__(self) -> None:
        self._level = self._logger.level
        self._logger.setLevel("CRITICAL")

    def __exit__(self, *_: object) -> None:
        self._logger.setLevel(self._level)
