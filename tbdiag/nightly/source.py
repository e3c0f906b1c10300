"""The only module here that touches `tbdiag.logs`: listing roots, reading a listed run, keeping the points of growing ones."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tbdiag.nightly.naming import digest_head, digest_listing

if TYPE_CHECKING:
    from tbdiag.logs import RunListing, Survey
    from tbdiag.model import Run

HEAD_BYTES = 256
GROWING = 6 * 3600.0
"""Seconds since its last write during which a run counts as growing, so that its points are kept for the next night."""

KEPT_BYTES = 8 << 20
"""Smaller local runs are read whole when they grow: that takes less time than writing their points and reading them does (regular logs of 5 MB: 8 ms, against 13)."""


def survey_roots(
    roots: Iterable[str], *, after: float = math.inf, on_newer: Callable[[], None] | None = None, memory: Path | None = None
) -> Survey:
    """One walk through the roots; each run beneath them is listed once, however many paths lead to it.

    Args:
        on_newer: called as soon as a file is met that was written after `after` (seconds since the epoch).
        memory: file in which the names that directories hold are kept between nights; its directory exists.

    Raises:
        LogdirError: a root is missing, cannot be listed or holds no event file.
    """
    from tbdiag.logs import Memory, survey

    paths = [root if "://" in root else os.path.abspath(root) for root in roots]  # noqa: PTH100 - links stay links
    if memory is None:
        return survey(paths, after=after * 1e9, on_newer=on_newer)
    known = Memory.load(memory)
    found = survey(paths, after=after * 1e9, on_newer=on_newer, memory=known)
    known.save(memory)
    return found


def path_key(listing: RunListing) -> bytes:
    """What identifies a run in the state, whatever its characters."""
    return os.fsencode(listing.path)


def digest_files(listing: RunListing) -> bytes:
    """Digest that changes when a file of the run is added, removed, or has another size or modification time."""
    return digest_listing([(f"{f.subrun}/{f.path[f.path.rfind(os.sep) + 1 :]}", f.size, f.mtime_ns) for f in listing.files])


def read_head(listing: RunListing) -> bytes:
    """Digest by which the run is recognised under another name: sizes and first bytes of its files; empty for remote runs."""
    if any("://" in f.path for f in listing.files):
        return b""
    return digest_head([(f"{f.subrun}/{os.path.basename(f.path)}", f.size, _first_bytes(f.path)) for f in listing.files])  # noqa: PTH119


def _first_bytes(path: str) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return b""
    try:
        return os.read(handle, HEAD_BYTES)
    except OSError:
        return b""
    finally:
        os.close(handle)


def read_listed(listing: RunListing, columns: str | None, now: float) -> tuple[Run, bytes]:
    """Read a run, only its new bytes where its points were kept; returns it with its head digest.

    Args:
        columns: directory in which the points of growing runs are kept between nights, or None.
        now: decides whether the run is still growing; the points of others are not kept.
    """
    from tbdiag.logs import read_run

    if columns is None or not os.path.isdir(columns):  # noqa: PTH112
        return read_run(listing), read_head(listing)
    return _read_growing(listing, Path(columns), now), read_head(listing)


def _is_worth_keeping(listing: RunListing) -> bool:
    """Whether reading a run anew would cost more than keeping its points."""
    return sum(f.size for f in listing.files) >= KEPT_BYTES or any("://" in f.path for f in listing.files)


def _read_growing(listing: RunListing, columns: Path, now: float) -> Run:
    from tbdiag.logs import RunState, open_run, read_run, refresh

    kept = columns / f"{hashlib.blake2b(path_key(listing), digest_size=12).hexdigest()}.npz"
    there = os.path.exists(kept)  # noqa: PTH110
    growing = max((f.mtime_ns for f in listing.files), default=0) / 1e9 > now - GROWING and _is_worth_keeping(listing)
    state = None
    if there:
        with contextlib.suppress(Exception):  # a damaged copy costs a full read, nothing else
            state = refresh(RunState.load(str(kept)), listing)
    if not growing:
        if there:
            kept.unlink(missing_ok=True)
        return state.run if state is not None else read_run(listing)
    state = state if state is not None else open_run(listing)
    aside = kept.with_name(f"{kept.stem}.{os.getpid()}.part.npz")
    try:
        state.save(str(aside))
        aside.replace(kept)
    except OSError:
        aside.unlink(missing_ok=True)
    return state.run
