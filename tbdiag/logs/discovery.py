"""Finds event files as TensorBoard does: a directory that holds files named ``*tfevents*`` is a run.

Symbolic links are followed, each directory once; files are ordered by name, which is the order in which TensorBoard reads them.
"""

from __future__ import annotations

import hashlib
import math
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tbdiag.errors import LogdirError
from tbdiag.logs.files import is_remote
from tbdiag.logs.layout import group_directories, name_without_split
from tbdiag.logs.memory import Memory
from tbdiag.logs.names import printable, root_labels
from tbdiag.logs.walk import ListedFile, Tree, walk_tree, with_separator
from tbdiag.model import ReadIssue

StrPath = str | os.PathLike[str]
Paths = StrPath | Sequence[StrPath]


class RunListing(NamedTuple):
    """One run as a listing shows it.

    Attributes:
        name: unique among the runs of the listing, relative to the logdir, printable.
        path: the run's directory (or the event file itself, where a file was given).
        root: the logdir that the run was found under.
        files: its event files, the run's own directory first, each directory in TensorBoard's order.
        issues: what was noticed while listing.
    """

    name: str
    path: str
    root: str
    files: tuple[ListedFile, ...]
    issues: tuple[ReadIssue, ...] = ()

    @property
    def signature(self) -> str:
        """Changes whenever a file is added, removed, or has another size or modification time."""
        text = "\n".join(f"{f.path}\0{f.size}\0{f.mtime_ns}" for f in self.files)
        return f"{len(self.files)}-{sum(f.size for f in self.files)}-{zlib.crc32(os.fsencode(text)):08x}"


def as_paths(paths: Paths) -> list[str]:
    """One or many paths as strings."""
    if isinstance(paths, (str, os.PathLike)):
        return [os.fspath(paths)]
    return [os.fspath(path) for path in paths]


@dataclass(frozen=True, slots=True)
class Survey:
    """What lies beneath logdirs, as one walk found it; what belongs together is worked out by `runs`, when it is asked for.

    Attributes:
        trees: a root, the label of its runs and its files, each; a root that is an event file itself has no directories but ``""``.
    """

    trees: tuple[tuple[str, str, Tree], ...]

    @property
    def digest(self) -> bytes:
        """Changes whenever an event file is added, removed, renamed, or has another size or modification time: 16 bytes."""
        parts = [
            f"{file.path}\0{file.size}\0{file.mtime_ns}\n"
            for _, _, tree in self.trees
            for files in tree.directories.values()
            for file in files
        ]
        roots = "\n".join(f"{root}\0{label}" for root, label, _ in self.trees)
        return hashlib.blake2b(os.fsencode("".join((roots, "\0", *parts))), digest_size=16).digest()

    def runs(self) -> list[RunListing]:
        """The runs, in order of name within each logdir, each of them once."""
        if len(self.trees) == 1 and not self.trees[0][2].linked:
            return _rename_twins(_runs_of_root(*self.trees[0]))  # there is one way to each of them
        listings: list[RunListing] = []
        seen: set[str] = set()
        parents: dict[str, str] = {}
        for root, label, tree in self.trees:
            for listing in _runs_of_root(root, label, tree):
                key = listing.path if is_remote(root) else _real_path(listing.path, parents)
                if key not in seen:
                    seen.add(key)
                    listings.append(listing)
        return _rename_twins(listings)


def list_runs(paths: Paths) -> list[RunListing]:
    """List every run beneath one or more logdirs or event files, without decoding them, in order of name within each logdir.

    Raises:
        LogdirError: a path does not exist, cannot be listed, or holds no event file.
    """
    return survey(paths).runs()


def survey(paths: Paths, *, after: float = math.inf, on_newer: Callable[[], None] | None = None, memory: Memory | None = None) -> Survey:
    """Find every event file beneath one or more logdirs or event files: one walk, nothing is opened.

    Args:
        after, on_newer: see `Tree`; local directories only, once for each of `paths` that holds such a file.
        memory: what an earlier walk found; directories that were not touched since are not read again.

    Raises:
        LogdirError: a path does not exist, cannot be listed, or holds no event file.
    """
    roots = as_paths(paths)
    if not roots:
        raise LogdirError("no logdir was given")
    labels = root_labels(roots) if len(roots) > 1 else [""]
    trees = (Tree(after=after, on_newer=on_newer, memory=memory.open_root(root) if memory is not None else None) for root in roots)
    return Survey(tuple(_walk_root(root, label, tree) for root, label, tree in zip(roots, labels, trees, strict=True)))


def _real_path(path: str, parents: dict[str, str]) -> str:
    """`os.path.realpath`, its parent's looked up once: thousands of runs lie side by side."""
    parent, name = os.path.split(path)
    if not name or name in (os.curdir, os.pardir) or os.path.islink(path):
        return os.path.realpath(path)
    real = parents.get(parent)
    if real is None:
        real = parents[parent] = os.path.realpath(parent or os.curdir)
    return os.path.join(real, name)


def _rename_twins(listings: list[RunListing]) -> list[RunListing]:
    counts: dict[str, int] = {}
    out = []
    for listing in listings:
        counts[listing.name] = number = counts.get(listing.name, 0) + 1
        if number > 1:
            listing = RunListing(f"{listing.name}#{number}", listing.path, listing.root, listing.files, listing.issues)  # noqa: PLW2901
        out.append(listing)
    return out


def _walk_root(root: str, label: str, tree: Tree) -> tuple[str, str, Tree]:
    if os.path.isfile(root):
        status = os.stat(root)
        tree.directories[""] = [ListedFile(root, "", status.st_size, status.st_mtime_ns)]
        return root, label or printable(os.path.basename(root)), tree
    if is_remote(root):
        from tbdiag.logs.remote import list_tree

        tree = list_tree(root)
        root = root.rstrip("/")
    else:
        walk_tree(root, tree)
    if not tree.directories:
        detail = f" ({tree.issues[0][1].message})" if tree.issues else ""
        raise LogdirError(
            f"no event file below {printable(root)!r}{detail}: pass the directory that your training script writes to; "
            "event files have 'tfevents' in their name"
        )
    return root, label, tree


def _runs_of_root(root: str, label: str, tree: Tree) -> list[RunListing]:
    runs = []
    stem = with_separator(root)
    pending = list(tree.issues)
    groups = group_directories(tree.directories)
    for inner, base in sorted((printable(base), base) for base in groups):
        members = groups[base]
        shown = inner
        if members == [base]:
            files = tree.directories[base]
        else:
            beside = base in members and any(base and d != base and not d.startswith(f"{base}{os.sep}") for d in members)
            above, below = (os.path.commonpath(members) or ".", _common_end(members)) if beside else (base or ".", "")
            if beside and (common := name_without_split(base)) not in groups:
                shown = printable(common)
            files = [
                file
                if directory == base and not beside
                else ListedFile(file.path, printable(os.path.relpath(directory, above).removesuffix(below)), file.size, file.mtime_ns)
                for directory in sorted(members, key=lambda d: (d != base, d))
                for file in tree.directories[directory]
            ]
        path = stem + base if base else root
        issues = []
        if pending:
            issues = [issue for where, issue in pending if any(where == d or where.startswith(f"{d}{os.sep}") or not d for d in members)]
            pending = [pair for pair in pending if pair[1] not in issues]
        name = f"{label}/{shown}" if label and shown else label or shown or "."
        runs.append(RunListing(name, path, root, tuple(files), tuple(issues)))
    if pending:
        first = runs[0]
        runs[0] = RunListing(first.name, first.path, first.root, first.files, first.issues + tuple(issue for _, issue in pending))
    return runs


def _common_end(members: Sequence[str]) -> str:
    """``/bert`` of ``train/bert`` and ``valid/bert``; empty where directories end differently."""
    names = {os.path.basename(directory) for directory in members}
    return f"{os.sep}{names.pop()}" if len(names) == 1 else ""
