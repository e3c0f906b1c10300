"""Writing results: standard output or a file, atomically; what is said beside them goes to standard error."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tbdiag.errors import ReportError


def write_result(text: str, target: str | None) -> Path | None:
    """Write to standard output (``None`` or ``"-"``) or to a file through a temporary sibling; returns the file's path.

    Raises:
        ReportError: the file could not be written.
    """
    if target is None or target == "-":
        data = text if text.endswith("\n") else text + "\n"
        sys.stdout.buffer.write(data.encode("utf-8", "replace"))
        sys.stdout.flush()
        return None
    path = Path(target)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise ReportError(f"cannot write {target}: it is a directory; give a file name with -o")
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary and Path(temporary).exists():
            Path(temporary).unlink()
        raise ReportError(f"cannot write {target}: {error.strerror or error}; choose another place with -o") from None
    return path


def say(text: str, *, quiet: bool = False) -> None:
    """A line on standard error."""
    if not quiet:
        sys.stderr.buffer.write((text + "\n").encode("utf-8", "replace"))
        sys.stderr.flush()


def use_colour(stream: object = None) -> bool:
    """Whether colour may be written: NO_COLOR off, FORCE_COLOR on, else only to a capable terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    isatty = getattr(stream or sys.stdout, "isatty", None)
    return bool(isatty and isatty()) and os.environ.get("TERM") != "dumb"


class Progress:
    """A progress bar on standard error, only where that is a terminal."""

    def __init__(self, total: int, label: str, *, enabled: bool = True) -> None:
        self.total, self.label, self.done = total, label, 0
        self.enabled = enabled and total > 1 and sys.stderr.isatty() and not os.environ.get("CI")

    def advance(self, name: str = "") -> None:
        """One more item done."""
        self.done += 1
        if self.enabled:
            filled = 24 * self.done // max(self.total, 1)
            shown = "".join(c if c.isprintable() else "?" for c in name)[:40]
            sys.stderr.write(f"\r{self.label} [{'#' * filled}{'.' * (24 - filled)}] {self.done}/{self.total} {shown:<40}")
            sys.stderr.flush()

    def close(self) -> None:
        """Remove the bar."""
        if self.enabled:
            sys.stderr.write("\r" + " " * 90 + "\r")
            sys.stderr.flush()
