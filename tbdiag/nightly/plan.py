"""What a night has to do: compares one listing with the state. Nothing is read but the first bytes of runs that may have been renamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tbdiag.nightly import source

if TYPE_CHECKING:
    from tbdiag.logs import RunListing
    from tbdiag.nightly.state import State

RETRIES = 3
"""Nights in which a run that failed (took too long, needed too much memory) is tried again while its files stay the same."""
SURVEY = "survey"
"""Key of the state's meta table: the digest of the files that the last whole night knew."""


_BARE = {
    "none": "0",
    "findings": "id IN (SELECT run FROM findings WHERE severity < 2)",
    "all": "1",
}


@dataclass(slots=True)
class Plan:
    """The runs to judge, and why.

    Attributes:
        judge: ``(listing, digest of its files, reason)``; reasons are ``new``, ``grown`` (files were added to or replaced), ``ended``
            (it was live, or is again), ``failed`` (another attempt), ``report`` (it has none yet) and ``settings`` (other settings or
            another version).
        unchanged: number of runs that need no reading.
        gone: ids of runs that are no longer there.
        renamed: ``(id, listing)`` of runs found under another path; they count as unchanged where nothing else changed.
        returned: ids of runs that were gone and are there again.
    """

    judge: list[tuple[RunListing, bytes, str]] = field(default_factory=list)
    unchanged: int = 0
    gone: list[int] = field(default_factory=list)
    renamed: list[tuple[int, RunListing]] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)

    def count(self) -> dict[str, int]:
        """Number of runs to judge by reason."""
        out: dict[str, int] = {}
        for _, _, reason in self.judge:
            out[reason] = out.get(reason, 0) + 1
        return out


def make_quiet_plan(state: State | None, digest: bytes, now: float, judge: str, reports: str) -> Plan | None:
    """The plan of a night in which nothing is to be done, or None where runs must be compared one by one.

    Args:
        digest: of the survey, see `tbdiag.logs.Survey`; the state keeps that of the last night which judged all it had to.
        judge, reports: see `make_plan`.
    """
    if state is None or state.get(SURVEY) != digest:
        return None
    runs, due = state.db.execute(
        f"""
        SELECT count(*), coalesce(sum(
            judge <> :judge OR (failed <> '' AND attempts < :retries)
            OR (failed = '' AND ((live_until IS NOT NULL AND :now <= live_until) <> was_live OR (report = 0 AND {_BARE[reports]})))), 0)
        FROM runs WHERE gone_night IS NULL
        """,  # noqa: S608 - one of three fixed conditions
        {"judge": judge, "retries": RETRIES, "now": now},
    ).fetchone()
    return Plan(unchanged=runs) if not due else None


class _Known(NamedTuple):
    id: int
    listing: bytes
    head: bytes | None
    judge: str
    live_until: float | None
    was_live: bool
    failed: bool
    attempts: int
    gone: bool
    bare: bool
    path: bytes


def make_plan(listings: Sequence[RunListing], state: State | None, now: float, judge: str, reports: str) -> Plan:
    """Compare a listing with the state.

    Args:
        judge: names the settings and version that a stored judgement must have been made with.
        reports: which runs need a full report, see `tbdiag.nightly.tasks.Setup`.
    """
    plan = Plan()
    known: dict[bytes, _Known] = {}
    if state is not None:
        rows = state.db.execute(
            f"""
            SELECT id, listing, head, judge, live_until, was_live, failed <> '', attempts, gone_night IS NOT NULL,
                   report = 0 AND {_BARE[reports]}, path
            FROM runs
            """  # noqa: S608 - one of three fixed conditions
        )
        known = {row[-1]: _Known._make(row) for row in rows}
    fresh: list[RunListing] = []
    for listing in listings:
        before = known.pop(source.path_key(listing), None)
        if before is None:
            fresh.append(listing)
        else:
            _place(plan, listing, before, now, judge)
    absent = [k for k in known.values() if not k.gone]
    lost = {k.head: k for k in known.values() if k.head}
    for listing in fresh:
        twin = lost.pop(source.read_head(listing) or b"-", None) if lost else None
        if twin is None:
            plan.judge.append((listing, source.digest_files(listing), "new"))
            continue
        plan.renamed.append((twin.id, listing))
        absent = [k for k in absent if k.id != twin.id]
        _place(plan, listing, twin, now, judge)
    plan.gone = [k.id for k in absent]
    return plan


def _place(plan: Plan, listing: RunListing, before: _Known, now: float, judge: str) -> None:
    digest = source.digest_files(listing)
    live = before.live_until is not None and now <= before.live_until
    if before.gone:
        plan.returned.append(before.id)
    if digest != before.listing:
        plan.judge.append((listing, digest, "grown"))
    elif before.judge != judge:
        plan.judge.append((listing, digest, "settings"))
    elif before.failed and before.attempts < RETRIES:
        plan.judge.append((listing, digest, "failed"))
    elif not before.failed and live != bool(before.was_live):
        plan.judge.append((listing, digest, "ended"))
    elif before.bare and not before.failed:
        plan.judge.append((listing, digest, "report"))
    else:
        plan.unchanged += 1
