"""A run between two reads: what its files held and where reading ended, so that growth costs only the new bytes."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field

from tbdiag.events.columns import FileColumns
from tbdiag.events.growth import join_columns
from tbdiag.events.reader import read_events
from tbdiag.events.source import HEAD_BYTES, Source
from tbdiag.logs.assembly import ReadFile, assemble_run
from tbdiag.logs.discovery import RunListing
from tbdiag.logs.files import open_source
from tbdiag.logs.names import printable
from tbdiag.logs.walk import ListedFile
from tbdiag.model import ReadIssue, Run


@dataclass(frozen=True, slots=True)
class FileState:
    """Where reading of one file ended.

    Attributes:
        offset: end of the last whole record; head: CRC-32 of the first bytes before it, by which a replaced file is told.
        columns: what the file held up to there; None where it could not be opened.
    """

    listed: ListedFile
    offset: int
    head: int
    columns: FileColumns | None
    failure: ReadIssue | None = None
    notes: tuple[ReadIssue, ...] = ()


@dataclass(slots=True)
class RunState:
    """A run that was read, and what is needed to read on."""

    listing: RunListing
    files: dict[str, FileState] = field(default_factory=dict)
    _run: Run | None = None

    @property
    def run(self) -> Run:
        """The run as of the last read."""
        if self._run is None:
            files = [
                ReadFile(_relative(f), f.subrun, f.size, state.columns, state.failure, state.notes)
                for f in self.listing.files
                for state in (self.files[f.path],)
            ]
            self._run = assemble_run(self.listing.name, self.listing.path, files, self.listing.issues)
        return self._run

    def changed(self, listing: RunListing) -> bool:
        """Whether `listing` shows other files, sizes or modification times than were read."""
        return listing.signature != self.listing.signature

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to one ``.npz`` file, atomically."""
        from tbdiag.logs.storage import save_state

        save_state(self, os.fspath(path))

    @staticmethod
    def load(path: str | os.PathLike[str]) -> RunState:
        """Read a state that `save` wrote.

        Raises:
            StateError: the file is missing, damaged, or of another version of tbdiag.
        """
        from tbdiag.logs.storage import load_state

        return load_state(os.fspath(path))


def open_run(listing: RunListing, *, verify: bool = False) -> RunState:
    """Read a run from its beginning."""
    return RunState(listing, {file.path: _read_file(listing, file, None, verify=verify) for file in listing.files})


def refresh(state: RunState, listing: RunListing, *, verify: bool = False) -> RunState:
    """Read on: unchanged files are not opened, grown ones are read from where reading ended."""
    return RunState(listing, {file.path: _read_file(listing, file, state.files.get(file.path), verify=verify) for file in listing.files})


def _relative(file: ListedFile) -> str:
    name = file.path.replace(os.sep, "/").rsplit("/", 1)[-1]
    return printable(f"{file.subrun}/{name}" if file.subrun else name)


def _read_file(listing: RunListing, file: ListedFile, before: FileState | None, *, verify: bool) -> FileState:
    if before is not None and before.failure is None and (before.listed.size, before.listed.mtime_ns) == (file.size, file.mtime_ns):
        return before
    name = _relative(file)
    try:
        with open_source(file.path) as source:
            return _read_source(source, file, before, name, verify=verify)
    except FileNotFoundError:
        failure = ReadIssue("vanished", name, "the file vanished before it could be read", size=file.size)
    except OSError as error:
        failure = ReadIssue("unreadable-file", name, f"the file cannot be opened: {error.strerror or error}", size=file.size)
    if before is not None and before.columns is not None:
        return FileState(file, before.offset, before.head, before.columns, failure)
    return FileState(file, 0, 0, None, failure)


def _read_source(source: Source, file: ListedFile, before: FileState | None, name: str, *, verify: bool) -> FileState:
    notes: tuple[ReadIssue, ...] = ()
    if before is not None and before.columns is not None:
        notes = before.notes
        if source.size >= before.offset and _head(source, before.offset) == before.head:
            columns = before.columns
            new = read_events(source, before.offset, columns.plugins, verify=verify)
            columns = join_columns(columns, new)
            return FileState(file, columns.end, _head(source, columns.end), columns, None, notes)
        message = f"the file was replaced or cut since it was last read (then {before.listed.size:,} bytes, now {source.size:,}): read anew"
        notes = (ReadIssue("shrunk", name, message, size=source.size, damage=source.size < before.offset),)
    columns = read_events(source, verify=verify)
    return FileState(file, columns.end, _head(source, columns.end), columns, None, notes)


def _head(source: Source, offset: int) -> int:
    return zlib.crc32(source.read(0, min(offset, HEAD_BYTES)))
