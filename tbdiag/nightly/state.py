"""The nightly state: one SQLite database beside the stored reports, opened by one night at a time.

Nothing in it is irreplaceable but the history: a damaged database is set aside and built anew from the logs.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tbdiag.errors import NightBusyError, StateError
from tbdiag.nightly.schema import MIGRATIONS

if TYPE_CHECKING:
    import sqlite3

DATABASE = "nightly.sqlite"
REPORTS = "reports"
COLUMNS = "columns"
MEMORY = "directories"
"""File in the state's directory, see `tbdiag.logs.Memory`; it may be deleted at any time."""


class State:
    """An open state directory.

    Attributes:
        folder: the directory; `reports` and `columns` lie below it.
        db: the open connection, in autocommit mode; use `transaction` to group writes.
        notes: what the user should know about opening it (a repair), one line each.
    """

    def __init__(self, folder: Path, db: sqlite3.Connection, notes: list[str]) -> None:
        self.folder = folder
        self.db = db
        self.notes = notes

    @property
    def reports(self) -> Path:
        """Where full reports are kept, ready to be linked into a site."""
        return self.folder / REPORTS

    @property
    def columns(self) -> Path:
        """Where the points of growing runs are kept, so that only new bytes are read."""
        return self.folder / COLUMNS

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of the block, or none."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def get(self, key: str) -> object:
        """A value of the meta table, or None."""
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def put(self, key: str, value: object) -> None:
        """Set a value of the meta table."""
        self.db.execute("INSERT INTO meta VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value", (key, value))

    def number_changes(self) -> None:
        """Whatever changes in the rows of the site from here on has a number that no published page knows."""
        self.db.execute("UPDATE meta SET value = value + 1 WHERE key = 'changes'")

    def backup(self, target: Path) -> None:
        """Copy the database, history included, to a file; the copy replaces an older one only once it is whole.

        Raises:
            StateError: the copy could not be written.
        """
        import sqlite3

        aside = target.with_name(target.name + ".part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            aside.unlink(missing_ok=True)
            with contextlib.closing(sqlite3.connect(aside)) as copy:
                self.db.backup(copy)
            aside.replace(target)
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"{target}: the backup could not be written ({error}); choose another place for --backup") from error


@contextlib.contextmanager
def open_state(folder: Path, meanwhile: Callable[[], None] = lambda: None) -> Iterator[State]:
    """Lock and open a state directory, made where it is missing, migrated and checked.

    Args:
        meanwhile: called while the database is checked, which takes no Python.

    Raises:
        NightBusyError: another night holds the lock.
        StateError: it cannot be written, or a newer tbdiag wrote it.
    """
    import sqlite3

    try:
        (folder / REPORTS).mkdir(parents=True, exist_ok=True)
        (folder / COLUMNS).mkdir(exist_ok=True)
    except OSError as error:
        raise StateError(f"{folder}: the state directory cannot be written ({error.strerror}); choose another one with --state") from error
    with _locked(folder / "lock"):
        notes: list[str] = []
        file = folder / DATABASE
        check = _Check(file)
        check.start()
        try:
            meanwhile()
        finally:
            check.join()
        damage = check.result()
        if damage:
            notes.append(_set_aside(file, damage))
        with contextlib.closing(_connect(file)) as db:
            try:
                _migrate(db, file)
                yield State(folder, db, notes)
            except sqlite3.OperationalError as error:
                raise StateError(f"{file}: {_plain(error)}") from error


def peek_state(folder: Path) -> State | None:
    """Open an existing state for reading only, without the lock; None where there is none that can be read."""
    import sqlite3

    file = folder / DATABASE
    if not file.exists():
        return None
    try:
        db = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        if int(db.execute("PRAGMA user_version").fetchone()[0]) != len(MIGRATIONS):
            db.close()
            return None
    except sqlite3.DatabaseError:
        return None
    return State(folder, db, [])


def _connect(file: Path) -> sqlite3.Connection:
    import sqlite3

    db = sqlite3.connect(file, isolation_level=None, timeout=30)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA temp_store = FILE")
    db.execute("PRAGMA cache_size = -16384")
    return db


def _find_damage(file: Path) -> str:
    """What is wrong with a database that must be rebuilt, or an empty text; raises where the disk or the user's rights are the trouble."""
    import sqlite3

    if not file.exists():
        return ""
    try:
        with contextlib.closing(_connect(file)) as db:
            return _sound(db)
    except sqlite3.OperationalError as error:
        raise StateError(f"{file}: {_plain(error)}") from error
    except sqlite3.DatabaseError as error:
        return str(error)


class _Check(threading.Thread):
    """Finds damage beside other work: SQLite lets go of the interpreter while it reads."""

    def __init__(self, file: Path) -> None:
        super().__init__(name="check of the state", daemon=True)
        self._file = file
        self._damage = ""
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            self._damage = _find_damage(self._file)
        except Exception as error:  # noqa: BLE001 - raised again by `result`
            self._error = error

    def result(self) -> str:
        """What `_find_damage` returned, or raises what it raised; to be called after `join`."""
        if self._error is not None:
            raise self._error
        return self._damage


def _sound(db: sqlite3.Connection) -> str:
    """An empty text if the database passes its own check, else what is wrong."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StateError(f"the state was written by a newer tbdiag (version {version}, this one knows {len(MIGRATIONS)}); update tbdiag")
    answer = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    if answer != "ok":
        return answer.splitlines()[0]
    if version:
        have = {str(row[0]) for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        absent = {"meta", "nights", "runs", "findings", "history", "reports", "successors", "trends"} - have
        if absent:
            return f"no table {', '.join(sorted(absent))}"
    return ""


def _plain(error: sqlite3.OperationalError) -> str:
    text = str(error)
    if "full" in text:
        return "the disk is full; free some space and run again, the last site is untouched"
    if "readonly" in text or "unable to open" in text:
        return f"the state cannot be written ({text}); choose another directory with --state"
    return text


def _set_aside(file: Path, why: str) -> str:
    number = 1
    while (aside := file.with_name(f"{file.name}.damaged-{number}")).exists():
        number += 1
    file.replace(aside)
    for tail in ("-wal", "-shm"):
        file.with_name(file.name + tail).unlink(missing_ok=True)
    return f"the state was damaged ({why}); it was set aside as {aside.name} and is rebuilt from the logs, its history begins anew"


def _migrate(db: sqlite3.Connection, file: Path) -> None:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StateError(f"{file}: written by a newer tbdiag; update tbdiag")
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        db.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
    if not version:  # the changes that it will count are not those of a state that was here before
        db.execute("INSERT INTO meta VALUES('born', ?)", (os.urandom(8).hex(),))


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold an exclusive lock that ends with the process, however it ends."""
    try:
        handle = file.open("a+")
    except OSError as error:
        raise StateError(f"{file.parent}: the state directory cannot be written ({error.strerror}); choose another with --state") from error
    with handle:
        try:
            _lock(handle)
        except OSError as error:
            handle.seek(0)
            who = handle.read(200).strip() or "another process"
            raise NightBusyError(
                f"{file.parent}: another night is at work on this state ({who}); this one ends without doing anything"
            ) from error
        handle.seek(0)
        handle.truncate()
        handle.write(f"process {os.getpid()}")
        handle.flush()
        yield


def _lock(handle: IO[str]) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
