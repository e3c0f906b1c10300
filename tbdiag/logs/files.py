"""Opening event files wherever they lie: on this machine, or behind a URL."""

from __future__ import annotations

from tbdiag.events.source import LocalSource


def is_remote(path: str) -> bool:
    """Whether a path is a URL that fsspec opens."""
    scheme, separator, _ = path.partition("://")
    return bool(separator) and scheme.replace("+", "").replace("-", "").isalnum()


def open_source(path: str) -> LocalSource:
    """Open an event file for reading at offsets.

    Raises:
        OSError: it cannot be opened.
    """
    if is_remote(path):
        from tbdiag.logs.remote import RemoteSource

        return RemoteSource(path)
    return LocalSource(path)
