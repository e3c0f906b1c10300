"""Outcomes -> report: explaining away, ranking, the next experiment, the note, the verdict.

`diagnose_run` judges one run, `build_report` puts the judged runs in order. Both are pure: the same runs and the same
configuration give the same report.
"""

from __future__ import annotations

from tbdiag.diagnosis.assemble import build_report, diagnose_run, is_live, live_until

__all__ = ["build_report", "diagnose_run", "is_live", "live_until"]
