"""Whose a run is, which experiment it belongs to, and what its report is called."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from tbdiag.errors import UsageError

OWNER = r"^(?P<owner>[^/]+)/"
"""Default owner: the first directory below the root, where runs lie deeper than that."""

_VOLATILE = re.compile(
    r"""(?x)
      \d{4}[-_]?\d{2}[-_]?\d{2}([T_-]?\d{2}[-_:]?\d{2}([-_:]?\d{2})?)?   # dates and times
    | (jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\d{2}_\d{2}-\d{2}-\d{2}   # torch's default run names
    | (?<![a-z])(seed|run|trial|version|try|attempt|rerun|retry|resume|fix|exp|v)[-_]?\d+
    | (?<![0-9a-z])[0-9a-f]{6,}(?![0-9a-z])                              # hashes
    | \d+
    """,
    re.IGNORECASE,
)


def show_name(name: str | bytes) -> str:
    """A file name as valid text: bytes that are no Unicode become escapes."""
    if isinstance(name, str) and name.isascii():
        return name
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "backslashreplace")


def find_owner(name: str, found: Mapping[str, str], owners: Mapping[str, str] | None = None, pattern: str = OWNER) -> str:
    """Owner of a run: by the configured globs, then by what the run's own configuration says, then by its path."""
    for glob, owner in (owners or {}).items():
        if fnmatchcase(name, glob):
            return owner
    if found.get("owner"):
        return found["owner"]
    match = re.match(pattern, name)
    return match["owner"] if match and match["owner"] is not None else ""


def check_pattern(pattern: str) -> str:
    """The pattern, if it is a regular expression with a group ``owner``.

    Raises:
        UsageError: it is not.
    """
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise UsageError(f"--owner {pattern!r}: no regular expression ({error})") from None
    if "owner" not in groups:
        raise UsageError(f"--owner {pattern!r}: names no group 'owner'; write for example '^team-(?P<owner>[^/]+)/'")
    return pattern


def find_family(root: str, name: str, found: Mapping[str, str]) -> str:
    """Experiment family: what the configuration names, else the name without dates, seeds, hashes and counters, else the parent directory.

    ``alice/resnet/seed_3`` and ``alice/resnet/seed_4`` are one family, as are ``lr-sweep/2026-01-01_12`` and its neighbours.
    """
    parent, _, base = name.rpartition("/")
    if found.get("experiment"):
        return f"{root}|{parent.split('/')[0]}|{found['experiment']}"
    stem = re.sub(r"[-_. ]+", "-", _VOLATILE.sub("", base)).strip("-").lower()
    return f"{root}|{parent}|{stem}"


def name_report(path: bytes, name: str) -> str:
    """File name of a run's full report: readable, and the same every night."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60].strip("-") or "run"
    return f"{slug}-{hashlib.blake2b(path, digest_size=5).hexdigest()}.html"


def digest_listing(files: list[tuple[str, int, int]]) -> bytes:
    """Digest of a run's files: names below the run, sizes in bytes, modification stamps (nanoseconds, or a number made of an etag)."""
    if len(files) == 1:  # nearly all runs: a generator would take twice as long
        name, size, stamp = files[0]
        text = f"{name}\0{size}\0{stamp}"
    else:
        text = "\n".join(f"{name}\0{size}\0{stamp}" for name, size, stamp in sorted(files))
    return hashlib.blake2b(os.fsencode(text), digest_size=16).digest()


def digest_head(files: list[tuple[str, int, bytes]]) -> bytes:
    """Digest by which a renamed run is recognised: base names, sizes and first bytes of its files."""
    hasher = hashlib.blake2b(digest_size=16)
    for name, size, head in sorted(files):
        hasher.update(os.fsencode(f"{name.rpartition('/')[2]}\0{size}\0") + head)
    return hasher.digest()
