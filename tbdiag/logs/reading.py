"""Listings -> runs, one at a time."""

from __future__ import annotations

from collections.abc import Iterator

from tbdiag.errors import LogdirError
from tbdiag.logs.discovery import Paths, RunListing, list_runs
from tbdiag.logs.names import printable
from tbdiag.logs.state import open_run
from tbdiag.model import Run


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
    readable: dict[str, bool] = {}
    first_issue: dict[str, str] = {}
    for listing in listings:
        run = read_run(listing, verify=verify)
        readable[listing.root] = readable.get(listing.root, False) or run.readable
        if run.issues and listing.root not in first_issue:
            issue = run.issues[0]
            first_issue[listing.root] = f"{issue.file}: {issue.message}"
        yield run
    for root, good in readable.items():
        if not good:
            count = sum(len(listing.files) for listing in listings if listing.root == root)
            files = "its event file holds no valid record" if count == 1 else f"none of its {count:,} event files holds a valid record"
            detail = f" ({first_issue[root]})" if root in first_issue else ""
            raise LogdirError(f"nothing to read in {printable(root)!r}: {files}{detail}")


def read_run(listing: RunListing, *, verify: bool = False) -> Run:
    """Read one run of a listing. What its files hold never raises: it becomes read issues."""
    return open_run(listing, verify=verify).run


__all__ = ["iter_runs", "read_run", "read_runs"]
