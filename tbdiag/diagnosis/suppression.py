"""Accepted findings: what a suppression silences in a run, and which ones of a whole report have expired or match nothing."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase

from tbdiag.config import Config, Suppression
from tbdiag.model import Outcome, OutcomeKind, ReadIssue, RunReport

ACCEPTED = "accepted: "
"""Begins the reason of a suppressed outcome; checks that the configuration leaves out are suppressed with another one."""


def suppress(outcomes: tuple[Outcome, ...], run_name: str, config: Config, now: float | None = None) -> tuple[Outcome, ...]:
    """The outcomes of a run, accepted findings turned into ``suppressed``; an expired suppression does not count."""
    if not config.suppressions:
        return outcomes
    today = find_today(now)
    valid = [s for s in config.suppressions if fnmatchcase(run_name, s.run) and not _expired(s, today)]
    return tuple(_silence(o, valid) for o in outcomes) if valid else outcomes


def find_stale(config: Config, runs: Sequence[RunReport], now: float | None = None) -> tuple[ReadIssue, ...]:
    """Suppressions that have expired or match nothing in all runs of a report, once each."""
    today = find_today(now) if config.suppressions else ""
    stale = []
    for suppression in config.suppressions:
        meant = [run for run in runs if fnmatchcase(run.name, suppression.run)]
        if _expired(suppression, today):
            again = sum(any(f.id == suppression.finding for f in run.findings) for run in meant)
            where = f"{again} run{'s' * (again != 1)}" if again else "no run any more: remove it"
            stale.append(_about(suppression, config, f"expired on {suppression.expires} and no longer counts; the finding is in {where}"))
        elif not meant:
            stale.append(_about(suppression, config, f'names no run of this report ("{suppression.run}"): correct or remove it'))
        elif not any(_used(suppression, run) for run in meant):
            stale.append(_about(suppression, config, "matched no finding of this report: remove it"))
    return tuple(stale)


def find_today(now: float | None = None) -> str:
    """Date that expiry is judged against: `now`, else SOURCE_DATE_EPOCH, else the clock (for suppressions only); ISO."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    seconds = now if now is not None else float(epoch) if epoch and epoch.isdigit() else None
    moment = dt.datetime.now(dt.timezone.utc) if seconds is None else dt.datetime.fromtimestamp(seconds, dt.timezone.utc)
    return moment.date().isoformat()


def _silence(outcome: Outcome, valid: Sequence[Suppression]) -> Outcome:
    accepted = next((s for s in valid if s.finding == outcome.id), None) if outcome.finding is not None else None
    if accepted is None:
        return outcome
    until = f", until {accepted.expires}" if accepted.expires else ""
    return Outcome(outcome.id, OutcomeKind.SUPPRESSED, f"{ACCEPTED}{accepted.reason}{until}")


def _expired(suppression: Suppression, today: str) -> bool:
    """Whether the last day on which it counts has passed."""
    return bool(suppression.expires and suppression.expires < today)


def _used(suppression: Suppression, run: RunReport) -> bool:
    return any(c.id == suppression.finding and c.kind is OutcomeKind.SUPPRESSED for c in run.checks)


def _about(suppression: Suppression, config: Config, what: str) -> ReadIssue:
    message = f"suppression of {suppression.finding} ({suppression.reason}) {what}"
    return ReadIssue("suppression", os.path.basename(config.source or "configuration"), message, damage=False)  # noqa: PTH119
