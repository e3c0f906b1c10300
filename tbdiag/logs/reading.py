"""Listings -> runs, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tbdiag.errors import LogdirError
from tbdiag.logs.discovery import Paths, RunListing, list_runs
from tbdiag.logs.names import printable
from tbdiag.logs.state import open_run
from tbdiag.model import ReadIssue, Run


def read_runs(paths: Paths, *, verify: bool = False) -> list[Run]:
    """Read every run beneath one or more logdirs or event files, all points, into memory.

    Args:
        paths: logdirs, directories of runs, or single event files.
        verify: also check the payload checksums of images, audio and the like, whose bytes are otherwise skipped.

    Raises:
        LogdirError: a logdir does not exist, holds no event file, or none of its event files holds a valid record.
    """
    return list(iter_runs(paths, verify=verify))


def iter_runs(paths: Paths, *, verify: bool = False) -> Iterator[Run]:
    """`read_runs` with one run in memory at a time; a logdir without any valid record raises after its last run was yielded."""
    listings = list_runs(paths)
    check = ReadabilityCheck(listings)
    for listing in listings:
        run = read_run(listing, verify=verify)
        check.note(listing, run.readable, run.issues)
        yield run
    check.close()


class ReadabilityCheck:
    """Sees to it that a logdir in which nothing can be read is an error, whoever reads its runs."""

    def __init__(self, listings: Sequence[RunListing]) -> None:
        self._listings = listings
        self._readable: dict[str, bool] = {}
        self._first_issue: dict[str, str] = {}

    def note(self, listing: RunListing, readable: bool, issues: Sequence[ReadIssue]) -> None:
        """What reading one run came to."""
        self._readable[listing.root] = self._readable.get(listing.root, False) or readable
        if issues:
            self._first_issue.setdefault(listing.root, f"{issues[0].file}: {issues[0].message}")

    def close(self) -> None:
        """All runs were read.

        Raises:
            LogdirError: none of the event files of a logdir holds a valid record.
        """
        for root, good in self._readable.items():
            if not good:
                count = sum(len(listing.files) for listing in self._listings if listing.root == root)
                files = "its event file holds no valid record" if count == 1 else f"none of its {count:,} event files holds a valid record"
                detail = f" ({self._first_issue[root]})" if root in self._first_issue else ""
                raise LogdirError(f"nothing to read in {printable(root)!r}: {files}{detail}")


def read_run(listing: RunListing, *, verify: bool = False) -> Run:
    """Read one run of a listing. What its files hold never raises: it becomes read issues."""
    return open_run(listing, verify=verify).run


__all__ = ["ReadabilityCheck", "iter_runs", "read_run", "read_runs"]
