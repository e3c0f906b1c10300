"""Nightly reports over shared runs: state, scheduling, history, site, notifications.

`run_night(Options(...))` runs one night: list the roots, judge what changed, move the history, publish, tell.

| module | what it does |
|---|---|
| `night` | the order of a night |
| `source` | lists and reads runs; the only one that touches `tbdiag.logs` |
| `plan` | what changed since the state was written |
| `tasks`, `judge`, `worker`, `pool`, `cluster` | one run in one worker, and many of them |
| `state`, `schema`, `store` | the SQLite database and what is written to it |
| `history`, `status` | what became of findings and runs over the nights |
| `digest`, `rows`, `site`, `publish`, `notify` | what people see |
| `watch` | one live run, followed |
"""

from __future__ import annotations

from tbdiag.nightly.night import Night, Options, plan_night, run_night
from tbdiag.nightly.tasks import Limits

__all__ = ["Limits", "Night", "Options", "plan_night", "run_night"]
