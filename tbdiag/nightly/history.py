"""What became of each finding over the nights: new, ongoing, fixed, regressed; mutes; and the success rules of earlier runs.

A night's judgements are stored run by run as they come; the history moves only when the night is closed, in one transaction, so
that a night cut short leaves it as it was. A warning becomes new once two nights agree, an error at once, a note never.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbdiag.config import Suppression
    from tbdiag.nightly.state import State

STATES = ("pending", "new", "ongoing", "fixed", "regressed")

OPEN = """
    FROM findings f
    JOIN runs r ON r.id = f.run
    JOIN history h ON h.run = f.run AND h.finding = f.finding
    WHERE r.gone_night IS NULL AND h.state <> 'fixed' AND h.muted IS NULL AND f.caused_by IS NULL
"""
"""Findings that count: of runs that are there, no consequences, not muted, not fixed (by a successor)."""


@dataclass(frozen=True, slots=True)
class Closing:
    """What a closed night counts: runs in all, judged and failed ones, heads at error and warning, new and fixed findings."""

    runs: int
    judged: int
    failed: int
    errors: int
    warnings: int
    new: int
    fixed: int
    new_errors: int
    expired: tuple[str, ...] = ()


def begin(severity: int, fixed_before: bool) -> str:
    """State of a finding on the first night that it is seen; `fixed_before`: an earlier run of the family had it and got rid of it."""
    if severity == 0:
        return "regressed" if fixed_before else "new"
    return "pending" if severity == 1 else "ongoing"


def advance(state: str, severity: int, was_fixed: bool, by_successor: bool) -> str:
    """Next state of a finding that is still, or again, there; `by_successor`: it counts as fixed because a later run passed its rule."""
    if state == "pending":
        return "regressed" if was_fixed else "new"
    if state == "fixed" and not by_successor:
        return ("regressed", "pending", "ongoing")[severity]
    return "fixed" if state == "fixed" else "ongoing"


def last_told(state: State) -> int:
    """The last night whose results were published; what became new after it is new to the readers."""
    told = state.get("told_night")
    return told if isinstance(told, int) else 0


def close_night(state: State, night: int, now: float, suppressions: Iterable[Suppression], seconds: float) -> Closing:
    """Move the history by one night and count; everything in one transaction."""
    db = state.db
    told = last_told(state)
    with state.transaction():
        _begin_new(state, night)
        _advance_present(state, night)
        _close_absent(state, night)
        _weigh_successors(state, night, told)
        _compare_peers(state)
        expired = _mute(state, now, suppressions)
        counts = _count(state, night, told)
        runs, failed, judged = db.execute(
            "SELECT count(*), coalesce(sum(failed <> ''), 0), coalesce(sum(judged_night = ?), 0) FROM runs WHERE gone_night IS NULL",
            (night,),
        ).fetchone()
        db.execute(
            "UPDATE nights SET closed = 1, runs = ?, judged = ?, failed = ?, errors = ?, warnings = ?, new = ?, fixed = ?, seconds = ? WHERE id = ?",
            (runs, judged, failed, *counts[:4], seconds, night),
        )
    return Closing(runs, judged, failed, *counts, expired=expired)


def _begin_new(state: State, night: int) -> None:
    rows = state.db.execute(
        """
        SELECT f.run, f.finding, f.severity, EXISTS(
            SELECT 1 FROM runs o JOIN history p ON p.run = o.id AND p.finding = f.finding
            WHERE o.family = r.family AND o.id <> r.id AND o.first_write < r.first_write AND p.state = 'fixed')
        FROM findings f JOIN runs r ON r.id = f.run
        WHERE r.gone_night IS NULL AND NOT EXISTS (SELECT 1 FROM history h WHERE h.run = f.run AND h.finding = f.finding)
        """
    ).fetchall()
    state.db.executemany(
        """
        INSERT INTO history(run, finding, severity, state, first_night, since_night, was_fixed, new_night)
        VALUES(?1, ?2, ?3, ?4, ?5, ?5, ?6, iif(?4 IN ('new', 'regressed'), ?5, 0))
        """,
        [(run, finding, severity, begin(severity, bool(before)), night, before) for run, finding, severity, before in rows],
    )


def _advance_present(state: State, night: int) -> None:
    rows = state.db.execute(
        """
        SELECT f.run, f.finding, f.severity, h.severity, h.state, h.was_fixed, h.fixed_by
        FROM history h JOIN findings f ON f.run = h.run AND f.finding = h.finding JOIN runs r ON r.id = f.run
        WHERE r.gone_night IS NULL AND r.failed = '' AND NOT (h.since_night = :night AND h.first_night = :night)
          AND (h.state IN ('pending', 'new', 'regressed') OR h.severity <> f.severity OR (h.state = 'fixed' AND h.fixed_by IS NULL))
        """,
        {"night": night},
    ).fetchall()
    moved = []
    for run, finding, severity, old_severity, old, was_fixed, fixed_by in rows:
        new = advance(old, severity, bool(was_fixed), fixed_by is not None)
        if severity == 0 and old_severity > 0 and new in ("ongoing", "pending"):
            new = "new"  # it got worse: an error is told at once
        moved.append((severity, new, was_fixed or old == "fixed", new != old, night, run, finding))
    state.db.executemany(
        """
        UPDATE history SET severity = ?1, state = ?2, was_fixed = ?3, last_night = NULL, since_night = iif(?4, ?5, since_night),
            new_night = iif(?4 AND ?2 IN ('new', 'regressed'), ?5, new_night)
        WHERE run = ?6 AND finding = ?7
        """,
        moved,
    )


def _close_absent(state: State, night: int) -> None:
    rows = state.db.execute(
        """
        SELECT h.run, h.finding, h.state, h.was_fixed
        FROM history h JOIN runs r ON r.id = h.run
        WHERE r.gone_night IS NULL AND r.failed = '' AND h.last_night IS NULL
          AND NOT EXISTS (SELECT 1 FROM findings f WHERE f.run = h.run AND f.finding = h.finding)
        """
    ).fetchall()
    # A pending warning that the next night does not confirm was never told, so it leaves no trace.
    state.db.executemany("DELETE FROM history WHERE run = ? AND finding = ?", [r[:2] for r in rows if r[2] == "pending" and not r[3]])
    state.db.executemany(
        "UPDATE history SET state = 'fixed', last_night = ?, since_night = ?, fixed_by = NULL WHERE run = ? AND finding = ?",
        [(night - 1, night, run, finding) for run, finding, old, was_fixed in rows if old != "pending" or was_fixed],
    )


def _weigh_successors(state: State, night: int, told: int) -> None:
    """The latest later run whose rule could be judged decides: passed settles the finding, failed reopens it.

    A run that shows the finding itself has not settled it, whatever the rule says.
    A finding that nobody was told of is settled silently: a first night over years of runs must not celebrate each of them.
    """
    rows = state.db.execute(
        """
        SELECT s.run, s.finding, s.successor,
               CASE WHEN EXISTS (SELECT 1 FROM findings f WHERE f.run = s.successor AND f.finding = s.finding AND f.severity < 2)
                    THEN 'failed' ELSE s.outcome END,
               h.state, h.fixed_by, h.first_night
        FROM successors s JOIN runs n ON n.id = s.successor JOIN history h ON h.run = s.run AND h.finding = s.finding
        WHERE s.outcome IN ('passed', 'failed') AND n.gone_night IS NULL
        ORDER BY s.run, s.finding, n.first_write, n.id
        """
    ).fetchall()
    latest = {row[:2]: row[2:] for row in rows}
    for (run, finding), (successor, outcome, old, by, first) in latest.items():
        if outcome == "passed" and by != successor and (old != "fixed" or by is not None):
            state.db.execute(
                "UPDATE history SET state = 'fixed', fixed_by = ?, since_night = ? WHERE run = ? AND finding = ?",
                (successor, night if first <= told and old != "pending" else 0, run, finding),
            )
        elif outcome == "failed" and by is not None:
            state.db.execute(
                "UPDATE history SET state = 'regressed', fixed_by = NULL, was_fixed = 1, since_night = ?, new_night = ? WHERE run = ? AND finding = ?",
                (night, night, run, finding),
            )


def _compare_peers(state: State) -> None:
    """Tell from its family how long a run was to be: where most of at least four runs end at the same step, that was the plan."""
    changes = state.get("family_changes")
    if changes == state.get("compared_at"):
        return
    state.put("compared_at", changes)
    families: dict[str, list[tuple[int, int]]] = {}
    for run, family, last in state.db.execute("SELECT id, family, last_step FROM runs WHERE gone_night IS NULL AND last_step > 0"):
        families.setdefault(family, []).append((run, last))
    moved = []
    for members in families.values():
        longest = max(last for _, last in members)
        together = sum(last >= 0.98 * longest for _, last in members)
        agreed = len(members) >= 4 and together >= 3 and 2 * together >= len(members)
        for run, last in members:
            verdict = "" if not agreed else "planned" if last >= 0.98 * longest else "short" if last < 0.9 * longest else ""
            moved.append((verdict, run, verdict))
    state.db.executemany("UPDATE runs SET peers = ? WHERE id = ? AND peers <> ?", moved)


def _mute(state: State, now: float, suppressions: Iterable[Suppression]) -> tuple[str, ...]:
    """Mark the findings that the configuration accepts; returns a line for each suppression that has expired."""
    db = state.db
    today = dt.datetime.fromtimestamp(now, dt.timezone.utc).date().isoformat()
    expired = []
    wanted: dict[tuple[int, str], str] = {}
    for suppression in suppressions:
        if suppression.expires and suppression.expires < today:
            expired.append(
                f"the mute of {suppression.finding} on {suppression.run} ({suppression.reason}) expired on {suppression.expires}"
            )
            continue
        until = f" (until {suppression.expires})" if suppression.expires else ""
        rows = db.execute("SELECT h.run, h.finding, r.name, r.owner FROM history h JOIN runs r ON r.id = h.run WHERE r.gone_night IS NULL")
        for run, finding, name, owner in rows.fetchall():
            if (
                fnmatchcase(finding, suppression.finding)
                and fnmatchcase(name, suppression.run)
                and (suppression.owner is None or owner == suppression.owner)
            ):
                wanted[run, finding] = suppression.reason + until
    # Only what changes is written: a night in which nothing does leaves the pages as they are.
    muted = {row[:2]: row[2] for row in db.execute("SELECT run, finding, muted FROM history WHERE muted IS NOT NULL")}
    moved = [(wanted.get(key), *key) for key in {**muted, **wanted} if wanted.get(key) != muted.get(key)]
    db.executemany("UPDATE history SET muted = ? WHERE run = ? AND finding = ?", moved)
    return tuple(expired)


def _count(state: State, night: int, told: int) -> tuple[int, int, int, int, int]:
    """Errors, warnings, new (or regressed) and fixed findings of the night, new errors; writes its trend rows."""
    db = state.db
    db.execute(
        f"INSERT INTO trends SELECT ?, f.finding, min(f.severity), count(*), sum(h.new_night = ?1) {OPEN} AND f.severity < 2 GROUP BY f.finding",
        (night,),
    )
    errors, warnings, new, new_errors = db.execute(
        f"SELECT coalesce(sum(f.severity = 0), 0), coalesce(sum(f.severity = 1), 0), coalesce(sum(h.new_night > ?1), 0), "
        f"coalesce(sum(h.new_night > ?1 AND f.severity = 0), 0) {OPEN} AND f.severity < 2",
        (told,),
    ).fetchone()
    fixed = db.execute(
        "SELECT count(*) FROM history h JOIN runs r ON r.id = h.run WHERE r.gone_night IS NULL AND h.state = 'fixed' AND h.since_night > ? AND h.severity < 2",
        (told,),
    ).fetchone()[0]
    return errors, warnings, new, fixed, new_errors


def find_successions(state: State) -> list[tuple[int, int, str, str]]:
    """Success rules that wait to be judged: ``(successor, earlier run, finding, rule)``.

    For each head at warning or above the successor is the newest readable run of the same family that began after the earlier one
    was last written; a pair is judged again only when the successor's files changed.
    """
    return [
        (successor, run, finding, rule)
        for successor, run, finding, rule in state.db.execute(
            """
            SELECT n.id, f.run, f.finding, f.rule
            FROM findings f JOIN runs r ON r.id = f.run JOIN runs n ON n.id = (
                SELECT s.id FROM runs s
                WHERE s.family = r.family AND s.first_write > r.last_write AND s.gone_night IS NULL AND s.failed = ''
                ORDER BY s.first_write DESC, s.id DESC LIMIT 1)
            WHERE r.gone_night IS NULL AND r.was_live = 0 AND f.severity < 2 AND f.caused_by IS NULL
              AND NOT EXISTS (SELECT 1 FROM successors d
                  WHERE d.run = f.run AND d.finding = f.finding AND d.successor = n.id AND d.listing = n.listing)
            ORDER BY n.id
            """
        )
    ]


def forget(state: State, night: int, before: float) -> None:
    """Drop runs that have been gone since before a time, and trends older than it; nights themselves stay, they date the findings."""
    db = state.db
    last = db.execute("SELECT max(id) FROM nights WHERE now < ? AND id < ?", (before, night)).fetchone()[0]
    if last is None:
        return
    with state.transaction():
        db.execute("CREATE TEMP TABLE IF NOT EXISTS dropped(id INTEGER PRIMARY KEY)")
        db.execute("DELETE FROM dropped")
        db.execute("INSERT INTO dropped SELECT id FROM runs WHERE gone_night <= ?", (last,))
        # Their reports are outdated since they went: the next site drops them, and a later run that gets the same id has no part in them.
        db.execute(
            "UPDATE reports SET until_night = (SELECT gone_night FROM runs WHERE runs.id = reports.run) "
            "WHERE until_night IS NULL AND run IN (SELECT id FROM dropped)"
        )
        for table, column in (("findings", "run"), ("history", "run"), ("successors", "run"), ("successors", "successor"), ("runs", "id")):
            db.execute(f"DELETE FROM {table} WHERE {column} IN (SELECT id FROM dropped)")  # noqa: S608 - names from the line above
        db.execute("DELETE FROM history WHERE state = 'fixed' AND fixed_by IS NULL AND since_night <= ?", (last,))
        db.execute("DELETE FROM trends WHERE night <= ?", (last,))
