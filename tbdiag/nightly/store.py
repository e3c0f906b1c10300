"""Writes what a night learns about runs into the state, many at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tbdiag.nightly import source
from tbdiag.nightly.naming import OWNER, find_family, find_owner, name_report, show_name
from tbdiag.nightly.plan import Plan
from tbdiag.nightly.tasks import Answer, Judgement

if TYPE_CHECKING:
    from tbdiag.logs import RunListing
    from tbdiag.nightly.state import State

_RUN = """
INSERT INTO runs(path, root, name, listing, head, files, owner, family, judge, verdict, headline, first_write, last_write, live_until,
                 was_live, last_step, ending, points, spark, report, failed, attempts, judged_night, first_night)
VALUES(:path, :root, :name, :listing, :head, :files, :owner, :family, :judge, :verdict, :headline, :first_write, :last_write, :live_until,
       :was_live, :last_step, :ending, :points, :spark, :report, '', 0, :night, :night)
ON CONFLICT(path) DO UPDATE SET
    root = excluded.root, name = excluded.name, listing = excluded.listing, head = excluded.head, files = excluded.files,
    owner = excluded.owner, family = excluded.family, judge = excluded.judge, verdict = excluded.verdict, headline = excluded.headline,
    first_write = excluded.first_write, last_write = excluded.last_write, live_until = excluded.live_until, was_live = excluded.was_live,
    last_step = excluded.last_step, ending = excluded.ending, points = excluded.points, spark = excluded.spark, report = excluded.report, failed = '', attempts = 0,
    judged_night = excluded.judged_night, gone_night = NULL
"""
_AT_ONCE = 500
"""Runs named in one statement: SQLite allowed 999 parameters for long."""
_FAILED = """
INSERT INTO runs(path, root, name, listing, files, owner, family, judge, failed, attempts, judged_night, first_night)
VALUES(:path, :root, :name, :listing, :files, :owner, :family, :judge, :failed, 1, :night, :night)
ON CONFLICT(path) DO UPDATE SET
    attempts = CASE WHEN listing = excluded.listing AND judge = excluded.judge THEN attempts + 1 ELSE 1 END,
    root = excluded.root, name = excluded.name, listing = excluded.listing, files = excluded.files, judge = excluded.judge,
    failed = excluded.failed, judged_night = excluded.judged_night, gone_night = NULL
"""


class Store:
    """Writes answers of one night.

    Args:
        judge: what the judgements are made with (settings and version).
        owners: run glob -> owner; pattern: regular expression with a group ``owner`` over run names.
    """

    def __init__(self, state: State, night: int, judge: str, owners: Mapping[str, str] | None = None, pattern: str = OWNER) -> None:
        self.state = state
        self.night = night
        self.judge = judge
        self.owners = owners or {}
        self.pattern = pattern

    def apply_plan(self, plan: Plan) -> None:
        """Record what the listing alone told: runs that are gone, back, or renamed."""
        db = self.state.db
        with self.state.transaction():
            db.executemany("UPDATE runs SET gone_night = ? WHERE id = ?", [(self.night, run) for run in plan.gone])
            db.executemany("UPDATE runs SET gone_night = NULL WHERE id = ?", [(run,) for run in plan.returned])
            # In two steps, so that two runs that swapped their names do not collide.
            db.executemany("UPDATE runs SET path = ? WHERE id = ?", [(b"\0renamed %d" % run, run) for run, _ in plan.renamed])
            for run, listing in plan.renamed:
                old = db.execute("SELECT report FROM runs WHERE id = ?", (run,)).fetchone()
                if old and old[0]:
                    self._move_report(run, listing)
                db.execute(
                    "UPDATE runs SET path = ?, root = ?, name = ?, owner = ?, family = ?, gone_night = NULL WHERE id = ?",
                    (source.path_key(listing), os.fsencode(listing.root), show_name(listing.name), *self._names(listing, {}), run),
                )

    def _move_report(self, run: int, listing: RunListing) -> None:
        db = self.state.db
        row = db.execute("SELECT name FROM reports WHERE run = ? AND until_night IS NULL", (run,)).fetchone()
        new = name_report(source.path_key(listing), show_name(listing.name))
        if row is None or row[0] == new:
            return
        old_file, new_file = self.state.reports / str(row[0]), self.state.reports / new
        if old_file.exists():
            new_file.unlink(missing_ok=True)
            os.link(old_file, new_file)
        db.execute("UPDATE reports SET until_night = ? WHERE name = ?", (self.night, row[0]))
        db.execute("INSERT OR REPLACE INTO reports(name, run, until_night) VALUES(?, ?, NULL)", (new, run))

    def store(self, answers: Sequence[tuple[RunListing, bytes, Answer]]) -> None:
        """Store answers to judging tasks in one transaction; reports first, so that no row points at a missing one."""
        for listing, _, answer in answers:
            if answer.judgement is not None and answer.judgement.report is not None:
                self._write_report(listing, answer.judgement.report)
        judged = [(listing, digest, answer.judgement) for listing, digest, answer in answers if answer.judgement is not None]
        with self.state.transaction():
            for listing, digest, answer in answers:
                if answer.judgement is None:
                    self._store_failed(listing, digest, answer.failed)
            for start in range(0, len(judged), _AT_ONCE):
                self._store_judged(judged[start : start + _AT_ONCE])

    def store_verdicts(self, successor: int, digest: bytes, verdicts: Sequence[tuple[int, str, str, str]]) -> None:
        """Store how earlier findings' success rules came out on a later run."""
        self.state.db.executemany(
            "INSERT OR REPLACE INTO successors(run, finding, successor, listing, outcome, why, night) VALUES(?, ?, ?, ?, ?, ?, ?)",
            [(run, finding, successor, digest, outcome, why, self.night) for run, finding, outcome, why in verdicts],
        )

    def _names(self, listing: RunListing, found: Mapping[str, str]) -> tuple[str, str]:
        name = show_name(listing.name)
        return find_owner(name, found, self.owners, self.pattern), find_family(show_name(listing.root), name, found)

    def _common(self, listing: RunListing, digest: bytes, found: Mapping[str, str]) -> dict[str, object]:
        owner, family = self._names(listing, found)
        return {
            "path": source.path_key(listing),
            "root": os.fsencode(listing.root),
            "name": show_name(listing.name),
            "listing": digest,
            "files": json.dumps([[show_name(f.subrun), f.size] for f in listing.files]),
            "owner": owner,
            "family": family,
            "judge": self.judge,
            "night": self.night,
        }

    def _store_failed(self, listing: RunListing, digest: bytes, why: str) -> None:
        self.state.db.execute(_FAILED, {**self._common(listing, digest, {}), "failed": why})

    def _store_judged(self, judged: Sequence[tuple[RunListing, bytes, Judgement]]) -> None:
        """Store judgements, each kind of row for all of them at once."""
        db = self.state.db
        db.executemany(_RUN, [self._row(listing, digest, judgement) for listing, digest, judgement in judged])
        paths = [source.path_key(listing) for listing, _, _ in judged]
        marks = ",".join("?" * len(paths))
        ids = dict(db.execute(f"SELECT path, id FROM runs WHERE path IN ({marks})", paths))  # noqa: S608 - question marks only
        runs = [ids[path] for path in paths]
        db.execute(f"DELETE FROM findings WHERE run IN ({marks})", runs)  # noqa: S608
        db.executemany(
            "INSERT INTO findings VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (run, f.id, f.severity, f.confidence, i, f.title, f.action, *(f.onset or (None, None)), f.caused_by, f.fingerprint, f.rule)
                for run, (_, _, judgement) in zip(runs, judged, strict=True)
                for i, f in enumerate({f.id: f for f in judgement.findings}.values())
            ],
        )
        db.execute(f"UPDATE reports SET until_night = ? WHERE run IN ({marks}) AND until_night IS NULL", [self.night, *runs])  # noqa: S608
        db.executemany(
            "INSERT OR REPLACE INTO reports(name, run, until_night) VALUES(?, ?, NULL)",
            [
                (name_report(path, show_name(listing.name)), run)
                for run, path, (listing, _, judgement) in zip(runs, paths, judged, strict=True)
                if judgement.report is not None
            ],
        )

    def _row(self, listing: RunListing, digest: bytes, judged: Judgement) -> dict[str, object]:
        return {
            **self._common(listing, digest, judged.names),
            "head": judged.head,
            "verdict": judged.verdict,
            "headline": judged.headline,
            "first_write": judged.first_write,
            "last_write": judged.last_write,
            "live_until": judged.live_until,
            "was_live": int(judged.was_live),
            "last_step": judged.last_step,
            "ending": judged.ending,
            "points": judged.points,
            "spark": judged.spark,
            "report": int(judged.report is not None),
        }

    def _write_report(self, listing: RunListing, page: bytes) -> None:
        """Through a new file, never in place: older sites hold hard links to the one before."""
        target = self.state.reports / name_report(source.path_key(listing), show_name(listing.name))
        aside = target.with_suffix(".part")
        aside.write_bytes(page)
        aside.replace(target)
