"""Directories -> runs: discovery, merging of sub-runs, restarts, remote file systems, refresh.

The whole interface of this room::

    read_runs(paths, verify=False) -> list[Run]        every run beneath logdirs or event files
    iter_runs(paths, verify=False) -> Iterator[Run]    the same, one run in memory at a time

    list_runs(paths) -> list[RunListing]               one listing: names and files with size and mtime; nothing is decoded
    survey(paths) -> Survey                            the same walk without the grouping: `.digest` tells whether anything changed, `.runs()` lists
    survey(paths, memory=Memory.load(file))            directories that were not touched since the last such walk are not read again
    read_run(listing, verify=False) -> Run             one run of a listing; never raises for what a file holds

    check = ReadabilityCheck(listings)                 for those who read listings themselves: an error where nothing could be read

    state = open_run(listing)                          a RunState: `state.run`, and where reading ended in each file
    state = refresh(state, listing)                    the same run after its files grew: only new bytes are read
    state.changed(listing)                             whether any file was added, removed, or has another size or mtime
    state.save(path); RunState.load(path)              keep it between processes (one .npz file, no pickle)

A `RunListing` has ``name``, ``path``, ``files`` (`ListedFile`: ``path, subrun, size, mtime_ns``) and ``signature`` (a short string that
changes with any file's name, size or mtime). `refresh` opens only files whose size or mtime changed, reads a grown file from the end of
its last whole record, and reads a file that was replaced or shrank from its beginning (reported as a read issue).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tbdiag.logs.discovery import RunListing, Survey, list_runs, survey
from tbdiag.logs.memory import Memory
from tbdiag.logs.walk import ListedFile

if TYPE_CHECKING:
    from tbdiag.logs.reading import ReadabilityCheck, iter_runs, read_run, read_runs
    from tbdiag.logs.state import RunState, open_run, refresh

__all__ = [
    "ListedFile",
    "Memory",
    "ReadabilityCheck",
    "RunListing",
    "RunState",
    "Survey",
    "iter_runs",
    "list_runs",
    "open_run",
    "read_run",
    "read_runs",
    "refresh",
    "survey",
]

_READERS = {
    **dict.fromkeys(("ReadabilityCheck", "iter_runs", "read_run", "read_runs"), "reading"),
    **dict.fromkeys(("RunState", "open_run", "refresh"), "state"),
}
"""Where what decodes files is: it loads, with numpy, when it is first asked for. A listing needs neither."""


def __getattr__(name: str) -> Any:
    if name not in _READERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_READERS[name]}"), name)
    globals()[name] = value
    return value
