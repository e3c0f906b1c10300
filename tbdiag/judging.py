"""Logdirs -> run reports: one run after the other, or several at once on processes of their own where that is quicker.

However many runs there are, each process holds the points of one. Reports come in the order of the listing and are the same either way.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tbdiag.logs import ReadabilityCheck, RunListing, list_runs, read_run

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tbdiag.config import Config
    from tbdiag.model import RunReport

MAX_JOBS = 8
"""Processes that are started unasked."""
_MIN_RUNS = 8
_MIN_BYTES = 32 << 20
"""From here on processes of their own are quicker by the clock. Two of them cost 0.15 to 0.2 s of CPU, half of it the start of a pool.
Measured on two cores (seconds, one process and two): 4 runs of 300 points 0.28 and 0.30, 8 runs 0.35 and 0.32, 16 runs 0.47 and 0.33; two
runs of 2.5 MB 0.35 and 0.38, of 5 MB 0.39 and 0.33, of 10 MB 0.48 and 0.49, of 20 MB 0.56 and 0.42, of 40 MB 1.17 and 0.72."""
_AHEAD = 2
_setup: tuple[Config, bool] | None = None


def judge_runs(logdirs: Sequence[str], config: Config, *, verify: bool = False, jobs: int = 0) -> Iterator[RunReport]:
    """Read and judge every run beneath some logdirs.

    Args:
        verify: also check the payload checksums of images and the like.
        jobs: processes to use; 0 chooses: this one alone for few and small runs, else one a core, eight at most.

    Raises:
        LogdirError: see `tbdiag.logs.read_runs`; raised after the last report where no event file of a logdir holds a valid record.
    """
    listings = list_runs(logdirs)
    check = ReadabilityCheck(listings)
    count = min(jobs, len(listings)) if jobs else choose_jobs(listings)
    reports = _judge_apart(listings, config, verify, count) if count > 1 else (_judge(x, config, verify) for x in listings)
    for listing, report in zip(listings, reports, strict=True):
        check.note(listing, report.verdict != "unreadable", report.read_issues)
        yield report
    check.close()


def choose_jobs(listings: Sequence[RunListing]) -> int:
    """Processes that pay: this one alone for few and small runs."""
    size = sum(file.size for listing in listings for file in listing.files)
    if len(listings) < _MIN_RUNS and size < _MIN_BYTES:
        return 1
    return min(count_cores(), len(listings), MAX_JOBS)


def count_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _judge(listing: RunListing, config: Config, verify: bool) -> RunReport:
    from tbdiag.diagnosis import diagnose_run

    return diagnose_run(read_run(listing, verify=verify), config)


def _judge_apart(listings: Sequence[RunListing], config: Config, verify: bool, jobs: int) -> Iterator[RunReport]:
    """On `jobs` processes. If one dies (the system may kill it for want of memory), the rest is judged here, one run at a time."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    from tbdiag.detectors import load_detectors

    load_detectors()  # once, before this process is copied
    # Copying this process is quicker than starting Python anew, and safe on Linux while there is one thread (fsspec starts another).
    method = "fork" if sys.platform == "linux" and threading.active_count() == 1 else "spawn"
    context = multiprocessing.get_context(method)
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(config, verify))
    try:
        waiting: deque[Future[RunReport]] = deque()
        rest = iter(listings)
        done = 0
        try:
            for listing in rest:
                waiting.append(pool.submit(_work, listing))
                if len(waiting) >= _AHEAD * jobs:
                    yield waiting.popleft().result()
                    done += 1
            while waiting:
                yield waiting.popleft().result()
                done += 1
        except BrokenProcessPool:
            for listing in listings[done:]:
                yield _judge(listing, config, verify)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _begin(config: Config, verify: bool) -> None:
    global _setup  # noqa: PLW0603 - a worker process is begun once
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    _setup = config, verify


def _work(listing: RunListing) -> RunReport:
    assert _setup is not None
    return _judge(listing, *_setup)
