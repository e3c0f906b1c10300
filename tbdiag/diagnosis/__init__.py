"""Outcomes -> report: explaining away, ranking, the next experiment, the note, the verdict.

`diagnose_run` judges one run and writes its report (`judge_run` and `write_run_report` are its halves), `build_report` puts the judged runs in order. Both are pure: the same runs and the same
configuration give the same report.
"""

from __future__ import annotations

from tbdiag.diagnosis.assemble import (
    Judged,
    build_report,
    diagnose_run,
    is_live,
    judge_run,
    judge_runs_together,
    live_until,
    write_run_report,
    write_unreadable,
)

__all__ = [
    "Judged",
    "build_report",
    "diagnose_run",
    "is_live",
    "judge_run",
    "judge_runs_together",
    "live_until",
    "write_run_report",
    "write_unreadable",
]
