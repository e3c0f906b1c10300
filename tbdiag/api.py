"""The two functions of the Python interface; the command line is a thin layer over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING

from tbdiag.config import Config
from tbdiag.model import Report, Run

if TYPE_CHECKING:
    StrPath = str | PathLike[str]


def read(logdir: StrPath | Sequence[StrPath]) -> list[Run]:
    """Read every run beneath one or more logdirs or event files, all points, fully in memory.

    Raises:
        LogdirError: a logdir does not exist, holds no event file, or no event file of it holds a valid record.
    """
    from tbdiag.logs import read_runs

    return list(read_runs(logdir))


def diagnose(runs: Run | Iterable[Run], config: Config | None = None) -> Report:
    """Judge runs: a report with findings, first actions and success rules, worst run first."""
    from tbdiag.diagnosis import build_report, diagnose_run

    many = [runs] if isinstance(runs, Run) else runs
    settings = config or Config()
    return build_report([diagnose_run(run, settings) for run in many], config=settings)
