"""A worker process: reads batches of tasks from standard input, answers each on standard output, ends with its parent."""

from __future__ import annotations

import gc
import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import IO

from tbdiag.nightly.pool import read_frame, write_frame
from tbdiag.nightly.tasks import Answer, Limits, Setup, Task

_TOO_LARGE = 1 << 20
"""Bytes from which on a run is read and judged alone."""


def answer_task(task: Task, setup: Setup) -> Answer:
    """Judge one task; whatever goes wrong with its run becomes the answer."""
    from tbdiag.nightly.judge import judge_rules, judge_run

    begun = time.perf_counter()
    try:
        if task.rules:
            return Answer(task.key, verdicts=judge_rules(task, setup), seconds=time.perf_counter() - begun)
        return Answer(task.key, judge_run(task, setup), seconds=time.perf_counter() - begun)
    except MemoryError:
        gc.collect()
        return Answer(task.key, failed=f"needs more memory than the limit of {setup.limits.memory >> 20} MiB a worker")
    except Exception as error:  # noqa: BLE001 - one run must not stop the night
        return Answer(task.key, failed=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def answer_tasks(tasks: Sequence[Task], setup: Setup) -> Iterator[list[Answer]]:
    """Answers in the order of the tasks, as many at once as there are; neighbours that are small are judged together."""
    for small, some in itertools.groupby(tasks, key=_is_small):
        group = list(some)
        if small and len(group) > 1:
            yield _answer_together(group, setup)
        else:
            yield from ([answer_task(task, setup)] for task in group)


def _is_small(task: Task) -> bool:
    """Whether a run can be read with others: it is local, and so short that neither time nor memory is at stake."""
    if task.rules:
        return False
    try:
        return sum(_TOO_LARGE if "://" in file.path else file.size for file in task.listing.files) < _TOO_LARGE
    except Exception:  # noqa: BLE001 - answering it alone tells what is wrong with it
        return False


def _answer_together(tasks: Sequence[Task], setup: Setup) -> list[Answer]:
    from tbdiag.nightly.judge import judge_together

    begun = time.perf_counter()
    try:
        judged = judge_together(tasks, setup)
    except Exception:  # noqa: BLE001 - one of them; each on its own tells which
        return [answer_task(task, setup) for task in tasks]
    seconds = (time.perf_counter() - begun) / len(tasks)
    return [Answer(task.key, judgement, seconds=seconds) for task, judgement in zip(tasks, judged, strict=True)]


def limit_memory(limits: Limits) -> None:
    """Bound what this process may allocate (mapped files do not count, where the system can tell them apart)."""
    if not limits.memory:
        return
    try:
        import resource
    except ImportError:
        return
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    _, hard = resource.getrlimit(kind)
    soft = limits.memory if hard == resource.RLIM_INFINITY else min(limits.memory, hard)
    try:
        resource.setrlimit(kind, (soft, hard))
    except (ValueError, OSError):
        return


def warm_up() -> None:
    """Import what every run needs."""
    import numpy.ma  # noqa: F401 - numpy's median loads it when it is first asked

    from tbdiag.detectors import load_detectors
    from tbdiag.diagnosis import judge_runs_together  # noqa: F401
    from tbdiag.logs import read_run  # noqa: F401
    from tbdiag.nightly import judge, source  # noqa: F401
    from tbdiag.roles.convention import load_conventions

    load_detectors()
    load_conventions()


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer batches until the parent closes the pipe."""
    setup = read_frame(source)
    assert isinstance(setup, Setup)
    warm_up()
    limit_memory(setup.limits)
    gc.freeze()  # what was loaded stays: looking for garbage in it would take a fiftieth of the night
    write_frame(sink, True)
    while True:
        try:
            batch = read_frame(source)
        except EOFError:
            return
        assert isinstance(batch, list)
        for answers in answer_tasks(batch, setup):
            write_frame(sink, answers)


def main() -> None:
    """Keep the pipe to ourselves: whatever a library prints goes to standard error."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        serve(sys.stdin.buffer, sink)
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)


if __name__ == "__main__":
    main()
