"""Logs behind URLs (``s3://``, ``gs://``, ``https://``, ``memory://`` ...), through fsspec; installed by ``tbdiag[remote]``.

A logdir is listed once. Files are read by range requests in blocks that grow while reading is sequential and shrink after a blob was
skipped, so that scalars cost few requests and large images little traffic.
"""

from __future__ import annotations

import contextlib
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tbdiag.errors import ExtraMissingError, LogdirError
from tbdiag.events.source import HEAD_BYTES, LocalSource
from tbdiag.model import ReadIssue

if TYPE_CHECKING:
    from tbdiag.logs.walk import Tree

_SMALL_BLOCK = 1 << 18
_LARGE_BLOCK = 1 << 23
_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "http": "aiohttp",
    "https": "aiohttp",
    "abfs": "adlfs",
    "az": "adlfs",
}
_HINTS = {
    "s3": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "run 'gcloud auth application-default login' or set GOOGLE_APPLICATION_CREDENTIALS",
    "az": "set AZURE_STORAGE_CONNECTION_STRING",
}
_DENIED = ("credential", "forbidden", "access denied", "permission", "unauthorized", "403", "401", "signature", "access key")


def open_filesystem(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path in it.

    Raises:
        ExtraMissingError: fsspec, or the package for this kind of URL, is not installed.
        LogdirError: no file system is known for this kind of URL.
    """
    scheme = url.partition("://")[0]
    try:
        import fsspec
    except ImportError:
        raise ExtraMissingError(f"reading {url!r} needs fsspec: pip install 'tbdiag[remote]'") from None
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        package = _PACKAGES.get(scheme, scheme)
        raise ExtraMissingError(f"reading {url!r} needs a package that is not installed ({error}): pip install {package}") from None
    except ValueError as error:
        raise LogdirError(f"cannot open {url!r}: {error}") from None
    return system, str(path)


def list_tree(url: str) -> Tree:
    """List all event files below a URL by one call.

    Raises:
        ExtraMissingError: a package is missing.
        LogdirError: the URL does not exist or may not be listed.
    """
    from tbdiag.logs.walk import ListedFile, Tree, is_event_file

    system, root = open_filesystem(url)
    try:
        system.invalidate_cache()
        found = _find_files(system, root)
        if not found:
            system.ls(root)  # says why, where there is a reason: `find` passes over errors
    except Exception as error:  # noqa: BLE001 - each backend has exceptions of its own
        raise explain(url, error) from None
    if not found:
        raise LogdirError(f"no such file or directory, or it is empty: {url!r}")
    tree = Tree()
    top = root.rstrip("/")
    for path in sorted(found):
        info = found[path]
        name = path.rsplit("/", 1)[-1]
        if info.get("type") == "directory" or not (is_event_file(name) or path == root):
            continue
        inner = path[len(top) :].strip("/") if path.startswith(top) else path
        relative = inner.rpartition("/")[0]
        if name.startswith("._"):
            issue = ReadIssue("not-an-event-file", name, "an AppleDouble companion of another file, not an event file", damage=False)
            tree.issues.append((relative, issue))
            continue
        listed = ListedFile(str(system.unstrip_protocol(path)), "", int(info.get("size") or 0), _stamp(info))
        tree.directories.setdefault(relative, []).append(listed)
    return tree


def _find_files(system: Any, root: str) -> dict[str, Any]:
    """All files below a path, with what the listing tells of each; where it tells no size (web servers), each event file is asked for it."""
    from tbdiag.logs.walk import is_event_file

    if is_event_file(root.rpartition("/")[2]):
        # A web server would hand out the file itself to be searched for links.
        info = system.info(root)
        if info.get("type") == "file" and "html" not in str(info.get("mimetype")):
            return {root: info}
    found: dict[str, Any] = system.find(root, detail=True)
    for path, info in found.items():
        if info.get("size") is None and is_event_file(path.rpartition("/")[2]):
            with contextlib.suppress(FileNotFoundError):
                found[path] = system.info(path)
    return found


def explain(url: str, error: Exception) -> LogdirError:
    """What went wrong with a URL, in one sentence with what to do."""
    scheme = url.partition("://")[0]
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return LogdirError(f"no such file or directory: {url!r}")
    if isinstance(error, PermissionError) or any(word in text.lower() for word in _DENIED):
        hint = _HINTS.get({"s3a": "s3", "gcs": "gs", "abfs": "az"}.get(scheme, scheme), "check the credentials")
        return LogdirError(f"no access to {url!r} ({text}): {hint}")
    return LogdirError(f"cannot list {url!r}: {text}")


def _stamp(info: dict[str, Any]) -> int:
    """Something that changes when the file does: a modification time in nanoseconds, or a hash of its tag."""
    for key in ("mtime", "LastModified", "Last-Modified", "last_modified", "updated", "created"):
        value = info.get(key)
        if isinstance(value, datetime):
            return int(value.timestamp() * 1_000_000) * 1000
        if isinstance(value, (int, float)):
            return int(value * 1_000_000) * 1000
        if isinstance(value, str):
            return zlib.crc32(value.encode())
    return zlib.crc32(str(info.get("ETag", info.get("etag", ""))).encode())


class RemoteSource(LocalSource):
    """One file behind a URL.

    Raises:
        OSError: it cannot be opened or read.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._system, self._path = open_filesystem(url)
        self._start = 0
        self._block = b""
        self._head = b""
        self._ahead = _SMALL_BLOCK
        self.requests = 0
        try:
            self._system.invalidate_cache()
            info = self._system.info(self._path)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - each backend has exceptions of its own
            raise OSError(str(explain(url, error))) from None
        self.size = int(info.get("size") or 0)
        self.mtime_ns = _stamp(info)

    def read(self, offset: int, count: int) -> bytes:
        """See `Source.read`."""
        count = max(0, min(count, self.size - offset))
        if not count:
            return b""
        if offset + count <= len(self._head):
            return self._head[offset : offset + count]
        at = offset - self._start
        if at >= 0 and at + count <= len(self._block):
            return self._block[at : at + count]
        if 0 <= at < len(self._block):
            # The front of what is wanted is here already: fetch only what follows.
            front = self._block[at:]
            return front + self.read(offset + len(front), count - len(front))
        self._fetch(offset, count)
        at = offset - self._start
        return self._block[at : at + count]

    def _fetch(self, offset: int, count: int) -> None:
        sequential = offset == self._start + len(self._block)
        self._ahead = min(self._ahead * 2, _LARGE_BLOCK) if sequential else _SMALL_BLOCK
        # The head alone is asked for to see whether a file that grew is still the same: nothing need follow it.
        ahead = 0 if count == HEAD_BYTES and not offset else self._ahead
        stop = min(self.size, offset + max(count, ahead))
        self.requests += 1
        try:
            block = bytes(self._system.cat_file(self._path, start=offset, end=stop))
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - each backend has exceptions of its own
            raise OSError(str(explain(self._url, error))) from None
        # Some web servers ignore ranges and send the whole file: then it is kept, lest it be sent for every block.
        self._block, self._start = block, 0 if len(block) > stop - offset else offset
        if not self._start:
            self._head = self._block[:HEAD_BYTES]

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """See `Source.readinto`."""
        part = self.read(offset, len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        """Drop what was read ahead."""
        self._block = b""
