"""The tables of the nightly state, as a list of migrations: ``PRAGMA user_version`` counts those already applied.

Text that comes from file names is kept as bytes (``os.fsencode``) where it identifies something and as printable text where it
is shown, since a file name need not be valid Unicode.
"""

from __future__ import annotations

_SHOWN = {
    "runs": ("id", "name, owner, verdict, headline, failed, live_until, last_write, ending, peers, spark"),
    "findings": ("run", "severity, position, title, action, caused_by"),
    "history": ("run", "state, first_night, muted"),
    "reports": ("run", "name, run, until_night"),
}
"""The columns that the rows of the site are made of, and that which names the run."""


_COUNT = "UPDATE meta SET value = value + 1 WHERE key = 'changes';"


def _number_changes(count: str) -> str:
    """Triggers that note at a run the number of its last change; `count` moves the number on."""
    return "\n".join(
        f"""
        DROP TRIGGER IF EXISTS {table}_{event.split()[0].lower()};
        CREATE TRIGGER {table}_{event.split()[0].lower()} AFTER {event} ON {table} BEGIN
            {count}
            UPDATE runs SET changed = (SELECT value FROM meta WHERE key = 'changes') WHERE id = {"OLD" if event == "DELETE" else "NEW"}.{run};
        END;"""  # noqa: S608 - names from the table above
        for table, (run, columns) in _SHOWN.items()
        for event in ("INSERT", "DELETE", f"UPDATE OF {columns}")
    )


def _count_changes(key: str, table: str, columns: str, when: str = "") -> str:
    """Triggers that count the changes of a table: of what runs of a family are compared by, of what JUnit shows."""
    return "\n".join(
        f"""
        CREATE TRIGGER {key}_{table}_{event.split()[0].lower()} AFTER {event} ON {table} {f"WHEN {when}" if when and "OF" in event else ""} BEGIN
            UPDATE meta SET value = value + 1 WHERE key = '{key}';
        END;"""  # noqa: S608 - names from below
        for event in ("INSERT", "DELETE", f"UPDATE OF {columns}")
    )


MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;

    -- One row a night. An open night was cut short: its judgements stay, its history was never written.
    CREATE TABLE nights(
        id INTEGER PRIMARY KEY,
        now REAL NOT NULL,
        closed INTEGER NOT NULL DEFAULT 0,
        runs INTEGER NOT NULL DEFAULT 0,
        judged INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        errors INTEGER NOT NULL DEFAULT 0,
        warnings INTEGER NOT NULL DEFAULT 0,
        new INTEGER NOT NULL DEFAULT 0,
        fixed INTEGER NOT NULL DEFAULT 0,
        seconds REAL NOT NULL DEFAULT 0
    );

    -- What is known of a run. `listing` is the digest of its files' names, sizes and times, `head` that of their first bytes.
    CREATE TABLE runs(
        id INTEGER PRIMARY KEY,
        path BLOB NOT NULL UNIQUE,
        root BLOB NOT NULL,
        name TEXT NOT NULL,
        listing BLOB NOT NULL,
        head BLOB,
        files TEXT NOT NULL,
        owner TEXT NOT NULL DEFAULT '',
        family TEXT NOT NULL DEFAULT '',
        judge TEXT NOT NULL,
        verdict TEXT NOT NULL DEFAULT '',
        headline TEXT NOT NULL DEFAULT '',
        first_write REAL,
        last_write REAL,
        live_until REAL,
        was_live INTEGER NOT NULL DEFAULT 0,
        last_step INTEGER NOT NULL DEFAULT 0,
        ending TEXT NOT NULL DEFAULT '',
        peers TEXT NOT NULL DEFAULT '',
        points INTEGER NOT NULL DEFAULT 0,
        spark TEXT NOT NULL DEFAULT '',
        report INTEGER NOT NULL DEFAULT 0,
        failed TEXT NOT NULL DEFAULT '',
        attempts INTEGER NOT NULL DEFAULT 0,
        judged_night INTEGER NOT NULL,
        first_night INTEGER NOT NULL,
        gone_night INTEGER
    );
    CREATE INDEX runs_family ON runs(family, first_write);
    CREATE INDEX runs_head ON runs(head);

    -- The findings of the last judgement of each run; severity 0 error, 1 warning, 2 note.
    CREATE TABLE findings(
        run INTEGER NOT NULL,
        finding TEXT NOT NULL,
        severity INTEGER NOT NULL,
        confidence REAL NOT NULL,
        position INTEGER NOT NULL,
        title TEXT NOT NULL,
        action TEXT NOT NULL,
        onset_first INTEGER,
        onset_last INTEGER,
        caused_by TEXT,
        fingerprint TEXT NOT NULL,
        rule TEXT NOT NULL,
        PRIMARY KEY(run, finding)
    ) WITHOUT ROWID;

    -- What became of each finding over the nights: pending, new, ongoing, fixed, regressed. `last_night` is NULL while it is
    -- there, `new_night` the night at which it was last new or regressed, `since_night` that of its last change of state.
    CREATE TABLE history(
        run INTEGER NOT NULL,
        finding TEXT NOT NULL,
        severity INTEGER NOT NULL,
        state TEXT NOT NULL,
        first_night INTEGER NOT NULL,
        last_night INTEGER,
        since_night INTEGER NOT NULL,
        new_night INTEGER NOT NULL DEFAULT 0,
        was_fixed INTEGER NOT NULL DEFAULT 0,
        fixed_by INTEGER,
        muted TEXT,
        PRIMARY KEY(run, finding)
    ) WITHOUT ROWID;

    -- Full reports that lie in the state's directory. An outdated one stays for a while, so that links to it keep working.
    CREATE TABLE reports(
        name TEXT PRIMARY KEY,
        run INTEGER NOT NULL,
        until_night INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX reports_run ON reports(run);

    -- Success rules of earlier findings, judged on later runs of the same family.
    CREATE TABLE successors(
        run INTEGER NOT NULL,
        finding TEXT NOT NULL,
        successor INTEGER NOT NULL,
        listing BLOB NOT NULL,
        outcome TEXT NOT NULL,
        why TEXT NOT NULL,
        night INTEGER NOT NULL,
        PRIMARY KEY(run, finding, successor)
    ) WITHOUT ROWID;

    -- How many runs had each finding, night by night.
    CREATE TABLE trends(
        night INTEGER NOT NULL,
        finding TEXT NOT NULL,
        severity INTEGER NOT NULL,
        runs INTEGER NOT NULL,
        new INTEGER NOT NULL,
        PRIMARY KEY(night, finding)
    ) WITHOUT ROWID;
    """,
    f"""
    -- Numbers the changes of what the site's rows show: a page whose runs have the numbers of the night before is that of the night before.
    INSERT INTO meta VALUES('changes', 0), ('family_changes', 0), ('junit_changes', 0);
    ALTER TABLE runs ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
    {_number_changes(_COUNT)}
    {_count_changes("family_changes", "runs", "family, last_step, gone_night")}
    {_count_changes("junit_changes", "runs", "root, name, failed, verdict, headline, gone_night")}
    {_count_changes("junit_changes", "findings", "severity, position, title, caused_by")}
    {_count_changes("junit_changes", "history", "state, muted", "(OLD.state = 'fixed') <> (NEW.state = 'fixed') OR OLD.muted IS NOT NEW.muted")}
    """,
    f"""
    -- The number moves on once a night (`State.number_changes`), not with every row. Rules of notes are never judged on later runs.
    {_number_changes("")}
    UPDATE findings SET rule = '' WHERE severity >= 2;

    -- What each page of the site leaves for the next night (`tbdiag.nightly.kept`).
    CREATE TABLE parts(
        name TEXT PRIMARY KEY,
        stamp TEXT NOT NULL,
        data TEXT NOT NULL,
        front TEXT NOT NULL
    );
    """,  # noqa: S608 - names from above
)
"""Each entry is applied once, in one transaction; never change one that was released, append."""
