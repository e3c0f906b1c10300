"""What directories held when they were listed last: one that was not touched since need not be read again.

Adding, removing or renaming anything in a directory sets the time of its last change, which no user can set back. So a directory that is
the same one (device, inode) with the same time of change holds the same names, and asking for that time takes a fifth of reading it.
The sizes and times of the files themselves are asked for every time. Git trusts directories in the same way (its untracked cache).

Only file systems of this machine's kernel are trusted: those of servers and of object stores answer from caches or make times up.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

_TRUSTED = frozenset({"ext2", "ext3", "ext4", "xfs", "f2fs", "zfs", "bcachefs", "tmpfs"})
_SETTLED_NS = 2_000_000_000
"""A directory that changed less than this (ns) before it was listed may change again at the same reading of the file system's clock."""


_Held = list[Any]
"""What a directory held, as JSON keeps it: inode, time of its last change (ns), names of its event files, names of its directories."""


class Memory:
    """Remembers the directories beneath some roots from one listing to the next."""

    def __init__(self, known: dict[str, dict[str, _Held]] | None = None) -> None:
        self._known = known or {}
        self._found: dict[str, dict[str, _Held]] = {}

    def open_root(self, root: str) -> RootMemory | None:
        """What is remembered beneath a root, to be asked while it is listed; None where the file system is not trusted."""
        try:
            device = os.stat(root).st_dev
        except OSError:
            return None
        if not is_trusted(device):
            return None
        found = self._found[root] = {}
        return RootMemory(device, self._known.get(root, {}), found, time.time_ns() - _SETTLED_NS)

    @classmethod
    def load(cls, path: Path) -> Memory:
        """What an earlier listing saved; an empty memory where there is none, or a damaged one."""
        try:
            check, _, text = path.read_bytes().partition(b"\n")
            if check != _checksum(text):
                return cls()
            roots = json.loads(text)
        except (OSError, ValueError):
            return cls()
        return cls(roots)

    def save(self, path: Path) -> None:
        """Keep what was found for the next listing, unless that is what was known; a file that cannot be written is done without."""
        if self._found == self._known:
            return
        text = json.dumps(self._found, separators=(",", ":")).encode()
        aside = path.with_name(f"{path.name}.part")
        try:
            aside.write_bytes(_checksum(text) + b"\n" + text)
            aside.replace(path)
        except OSError:
            aside.unlink(missing_ok=True)


class RootMemory(NamedTuple):
    """What is remembered beneath one root, by directory relative to it."""

    device: int
    known: dict[str, _Held]
    found: dict[str, _Held]
    before_ns: int

    def recall(self, relative: str, status: os.stat_result) -> tuple[list[str], list[str]] | None:
        """The event files and directories that a directory holds, by name, if it was not touched since that was noted."""
        held = self.known.get(relative)
        if held is None or held[1] != status.st_ctime_ns or held[0] != status.st_ino or status.st_dev != self.device:
            return None
        self.found[relative] = held
        return held[2], held[3]

    def note(self, relative: str, status: os.stat_result, files: list[str], directories: list[str]) -> None:
        """Remember what a directory holds; `status` is from before it was read."""
        if status.st_dev == self.device and status.st_ctime_ns < self.before_ns:
            self.found[relative] = [status.st_ino, status.st_ctime_ns, files, directories]


def is_trusted(device: int) -> bool:
    """Whether a file system keeps the times of directories itself; so is only said of those that the kernel lists under their number."""
    number = f"{os.major(device)}:{os.minor(device)}".encode() if hasattr(os, "major") else b""
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return False
    kinds = {line.partition(b" - ")[2].split(b" ", 1)[0].decode() for line in mounts if line.split(b" ", 3)[2] == number}
    return bool(kinds) and kinds <= _TRUSTED


def _checksum(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16, person=b"directories 1").hexdigest().encode()
