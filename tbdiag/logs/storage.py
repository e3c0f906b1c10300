"""A `RunState` as one ``.npz`` file: arrays as arrays, the rest as JSON; nothing in it is executed when it is read."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tbdiag.errors import StateError
from tbdiag.events.columns import Damage, FileColumns, Histograms, Items, Points
from tbdiag.logs.discovery import RunListing
from tbdiag.logs.walk import ListedFile
from tbdiag.model import ReadIssue

if TYPE_CHECKING:
    from tbdiag.logs.state import RunState

_FORMAT = 1
_HISTOGRAM_KEYS = tuple(f.name for f in fields(Histograms))
_TABLES: dict[str, tuple[str, ...]] = {
    "scalars": ("position", "step", "wall_time", "value"),
    "histos": _HISTOGRAM_KEYS,
    "histogram_tensors": _HISTOGRAM_KEYS,
}
_ITEMS = ("tensors", "texts", "media")
_PLAIN = ("size", "end", "records", "file_version", "first_wall_time", "last_wall_time", "hparams", "nan_wall_times")


def save_state(state: RunState, path: str) -> None:
    """Write `state`; a reader sees the old file or the new one, never half of it."""
    arrays: dict[str, Any] = {}
    listing = state.listing
    document = {
        "format": _FORMAT,
        "listing": {
            "name": listing.name,
            "path": _path_out(listing.path),
            "root": _path_out(listing.root),
            "files": [_file_out(f) for f in listing.files],
            "issues": [asdict(i) for i in listing.issues],
        },
        "files": [
            {
                "listed": _file_out(f.listed),
                "offset": f.offset,
                "head": f.head,
                "failure": asdict(f.failure) if f.failure else None,
                "notes": [asdict(n) for n in f.notes],
                "columns": _columns_out(f.columns, f"{i}", arrays) if f.columns is not None else None,
            }
            for i, f in enumerate(state.files.values())
        ],
    }
    arrays["document"] = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".tbdiag-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            np.savez(stream, **arrays)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_state(path: str) -> RunState:
    """Read what `save_state` wrote.

    Raises:
        StateError: the file is missing, damaged, or of another version.
    """
    from tbdiag.logs.state import FileState, RunState

    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            document = json.loads(arrays["document"].tobytes())
            if document["format"] != _FORMAT:
                raise StateError(f"{path!r} was written by another version of tbdiag: delete it, the runs will be read anew")
            raw = document["listing"]
            listing = RunListing(
                raw["name"],
                _path_in(raw["path"]),
                _path_in(raw["root"]),
                tuple(_file_in(f) for f in raw["files"]),
                tuple(ReadIssue(**i) for i in raw["issues"]),
            )
            files = {}
            for entry in document["files"]:
                listed = _file_in(entry["listed"])
                columns = _columns_in(entry["columns"], arrays) if entry["columns"] else None
                failure = ReadIssue(**entry["failure"]) if entry["failure"] else None
                notes = tuple(ReadIssue(**n) for n in entry["notes"])
                files[listed.path] = FileState(listed, entry["offset"], entry["head"], columns, failure, notes)
            return RunState(listing, files)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise StateError(f"cannot read the saved state {path!r} ({error}): delete it, the run will be read anew") from None


def _path_out(path: str) -> str:
    return base64.b64encode(os.fsencode(path)).decode()


def _path_in(text: str) -> str:
    return os.fsdecode(base64.b64decode(text))


def _file_out(file: ListedFile) -> list[Any]:
    return [_path_out(file.path), file.subrun, file.size, file.mtime_ns]


def _file_in(raw: list[Any]) -> ListedFile:
    return ListedFile(_path_in(raw[0]), raw[1], raw[2], raw[3])


def _tag_out(tag: bytes) -> str:
    return base64.b64encode(tag).decode()


def _columns_out(columns: FileColumns, prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {"prefix": prefix, **{key: getattr(columns, key) for key in _PLAIN}}
    out["damage"] = [asdict(d) for d in columns.damage]
    out["session_starts"] = columns.session_starts
    out["plugins"] = [[_tag_out(tag), plugin] for tag, plugin in columns.plugins.items()]
    out["rejected"] = [[_tag_out(tag), why, n] for (tag, why), n in columns.rejected.items()]
    for name, keys in _TABLES.items():
        table = getattr(columns, name)
        out[name] = [_tag_out(tag) for tag in table]
        for number, part in enumerate(table.values()):
            for key in keys:
                value = getattr(part, key)
                if value is not None:
                    arrays[f"{prefix}/{name}/{number}/{key}"] = value
    for name in _ITEMS:
        out[name] = []
        for number, (tag, items) in enumerate(getattr(columns, name).items()):
            entry = {"tag": _tag_out(tag), "position": items.position, "step": items.step, "wall_time": items.wall_time}
            entry["payload_bytes"] = items.payload_bytes
            if name == "texts":
                entry["value"] = items.value
            elif name == "tensors":
                for i, value in enumerate(items.value):
                    arrays[f"{prefix}/{name}/{number}/{i}"] = value
            out[name].append(entry)
    return out


def _columns_in(raw: dict[str, Any], arrays: Any) -> FileColumns:
    columns = FileColumns(**{key: raw[key] for key in _PLAIN})
    prefix = raw["prefix"]
    columns.damage = [Damage(**d) for d in raw["damage"]]
    columns.session_starts = [(a, b, c) for a, b, c in raw["session_starts"]]
    columns.plugins = {base64.b64decode(tag): plugin for tag, plugin in raw["plugins"]}
    columns.rejected = {(base64.b64decode(tag), why): n for tag, why, n in raw["rejected"]}
    for name, keys in _TABLES.items():
        table: dict[bytes, Any] = {}
        for number, tag in enumerate(raw[name]):
            paths = (f"{prefix}/{name}/{number}/{key}" for key in keys)
            parts: list[Any] = [arrays[path] if path in arrays.files else None for path in paths]
            table[base64.b64decode(tag)] = Points((parts[0],), *parts[1:]) if name == "scalars" else Histograms(*parts)
        setattr(columns, name, table)
    for name in _ITEMS:
        items = {}
        for number, entry in enumerate(raw[name]):
            count = len(entry["step"])
            value = entry.get("value", [None] * count)
            if name == "tensors":
                value = [arrays[f"{prefix}/{name}/{number}/{i}"] for i in range(count)]
            items[base64.b64decode(entry["tag"])] = Items(
                entry["position"], entry["step"], entry["wall_time"], value, entry["payload_bytes"]
            )
        setattr(columns, name, items)
    return columns
