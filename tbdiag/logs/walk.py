"""One walk through a directory: which event files lie where. Symbolic links are followed, each directory once; nothing is opened."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from tbdiag.errors import LogdirError
from tbdiag.logs.memory import RootMemory
from tbdiag.logs.names import printable
from tbdiag.model import ReadIssue

_MAX_DEPTH = 64


class ListedFile(NamedTuple):
    """One event file of a listing: `path` as the file system knows it, `subrun` below the run's path, size in bytes, mtime in ns."""

    path: str
    subrun: str
    size: int
    mtime_ns: int


@dataclass(slots=True)
class Tree:
    """Event files below one root: directory (relative, ``""`` for the root) -> files in name order.

    `linked`: whether there are links to directories among them. `on_newer` is called once, at the first file that was written after
    `after` (ns since the epoch): who wants to do something about new points can begin while the listing goes on. `memory`: what its
    directories held before.
    """

    directories: dict[str, list[ListedFile]] = field(default_factory=dict)
    issues: list[tuple[str, ReadIssue]] = field(default_factory=list)
    linked: bool = False
    after: float = math.inf
    on_newer: Callable[[], None] | None = None
    memory: RootMemory | None = None

    def tell_newer(self) -> None:
        """Call `on_newer`, this once."""
        self.after = math.inf
        if self.on_newer is not None:
            self.on_newer()


def is_event_file(name: str) -> bool:
    """Whether TensorBoard would read a file of this name."""
    return "tfevents" in name and not name.endswith(".profile-empty")


def walk_tree(root: str, tree: Tree | None = None) -> Tree:
    """Find all event files below a directory; they are added to `tree`, if given.

    Raises:
        LogdirError: the directory does not exist or cannot be listed.
    """
    tree = tree if tree is not None else Tree()
    try:
        os.scandir(root).close()
    except FileNotFoundError:
        raise LogdirError(f"no such file or directory: {printable(root)!r}") from None
    except OSError as error:
        raise LogdirError(f"cannot open {printable(root)!r}: {error.strerror or error}") from None
    # Links wait until all real directories were seen, so that a directory keeps its real name where both exist.
    plain: list[str] = [""]
    links: list[str] = []
    listed: list[str] = []
    seen: set[tuple[int, int]] | None = None  # which directory is which is asked only where there are links
    while plain or links:
        try:
            if plain:
                relative = plain.pop()
                if seen is None:
                    listed.append(relative)
                else:
                    seen.add(_identity(os.stat(os.path.join(root, relative))))
            else:
                relative = links.pop(0)
                seen = seen if seen is not None else _identities(root, listed)
                if not _is_first(root, relative, tree, seen):
                    continue
            _list_directory(root, relative, tree, plain, links)
        except OSError as error:
            issue = ReadIssue(
                "unreadable-file", printable(relative), f"the directory cannot be listed: {error.strerror or error}", damage=False
            )
            tree.issues.append((relative, issue))
    return tree


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _identities(root: str, directories: Iterable[str]) -> set[tuple[int, int]]:
    found = set()
    for relative in directories:
        with contextlib.suppress(OSError):
            found.add(_identity(os.stat(os.path.join(root, relative))))
    return found


def _is_first(root: str, relative: str, tree: Tree, seen: set[tuple[int, int]]) -> bool:
    """Whether a link leads to a directory that was not read yet."""
    tree.linked = True
    identity = _identity(os.stat(os.path.join(root, relative)))
    if identity in seen:
        message = "a symbolic link leads to a directory that was read already"
        tree.issues.append((relative, ReadIssue("symlink-loop", printable(relative), message, damage=False)))
        return False
    seen.add(identity)
    return True


def _list_directory(root: str, relative: str, tree: Tree, plain: list[str], links: list[str]) -> None:
    path, before = (with_separator(root) + relative, relative + os.sep) if relative else (root, "")
    memory = tree.memory
    if memory is None:
        _read_directory(path, relative, tree, plain, links)
        return
    status = os.stat(path)
    held = memory.recall(relative, status)
    if held is not None and _recall_directory(path, held[0], relative, tree):
        if held[1]:
            plain.extend([before + name for name in held[1]])
        return
    known = len(plain)
    if _read_directory(path, relative, tree, plain, links):
        files = [os.path.basename(file.path) for file in tree.directories.get(relative, ())]
        memory.note(relative, status, files, [name[len(before) :] for name in plain[known:]])


def _read_directory(path: str, relative: str, tree: Tree, plain: list[str], links: list[str]) -> bool:
    """Find the files and directories in a directory; whether they are all there is to it: no link, nothing to be said."""
    if relative.count(os.sep) >= _MAX_DEPTH:
        message = f"directories more than {_MAX_DEPTH} levels deep were not searched"
        tree.issues.append((relative, ReadIssue("limit", printable(relative), message, damage=False)))
        return False
    files: list[ListedFile] = []
    before = relative + os.sep if relative else ""
    issues, linked = len(tree.issues), False
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if entry.is_dir(follow_symlinks=False):
                plain.append(before + name)
                continue
            if entry.is_symlink():
                linked = True
                if _is_directory(entry):
                    links.append(before + name)
                    continue
            if is_event_file(name):
                _list_file(entry, before + name, tree, files)
    if len(links) > 1:
        links.sort()
    if files:
        tree.directories[relative] = sorted(files, key=_path_of) if len(files) > 1 else files
    return not linked and len(tree.issues) == issues


def _recall_directory(path: str, names: Sequence[str], relative: str, tree: Tree) -> bool:
    """Take the files that a directory is known to hold; False if one of them vanished just now."""
    stem = with_separator(path)
    files = []
    try:
        for name in names:
            file = stem + name
            status = os.stat(file)
            files.append(ListedFile(file, "", status.st_size, status.st_mtime_ns))
            if status.st_mtime_ns > tree.after:
                tree.tell_newer()
    except OSError:
        return False
    if files:
        tree.directories[relative] = files
    return True


def with_separator(root: str) -> str:
    """A root to which relative names can be added as text, which takes a fraction of `os.path.join`."""
    return root if root.endswith(os.sep) else root + os.sep


_path_of = attrgetter("path")


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _list_file(entry: os.DirEntry[str], relative: str, tree: Tree, files: list[ListedFile]) -> None:
    if entry.name.startswith("._"):
        message = "an AppleDouble companion of another file, not an event file"
        tree.issues.append((os.path.dirname(relative), ReadIssue("not-an-event-file", printable(entry.name), message, damage=False)))
        return
    try:
        status = entry.stat()
    except OSError as error:
        why = "the link leads nowhere" if entry.is_symlink() else f"the file vanished: {error.strerror or error}"
        tree.issues.append((os.path.dirname(relative), ReadIssue("vanished", printable(entry.name), why, damage=False)))
        return
    if status.st_mtime_ns > tree.after:
        tree.tell_newer()
    files.append(ListedFile(entry.path, "", status.st_size, status.st_mtime_ns))
