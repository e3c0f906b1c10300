"""What a site showed the night before: pages of which nothing changed are linked instead of written again.

The state numbers the changes of what rows are made of and notes at each run the number of its last one (`tbdiag.nightly.schema`). These
numbers, the order and the status of a page's runs, the title and the templates make the page's stamp. The published site carries the
stamps that it was written with, and so do the texts that are kept here for the index, which holds the data of all rows.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tbdiag.nightly.state import State


class Part(NamedTuple):
    """What a page leaves for the next night: its stamp, its rows' data as JSON, and of the first page its rows as HTML."""

    stamp: str
    data: str
    front: str = ""


def base_stamp(state: State, *shown: object) -> bytes:
    """What all pages depend on: the version, the templates, the state that numbers the changes, and `shown`."""
    from tbdiag import __version__
    from tbdiag.render.page import templates_directory

    files = sorted((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in templates_directory().iterdir())
    return repr((__version__, files, state.get("born"), shown)).encode("utf-8", "replace")


def page_stamp(base: bytes, name: str, shown: Sequence[object]) -> str:
    """Names what a page shows; `shown` has an item a row, in their order, that changes with whatever the row is made of."""
    return hashlib.blake2b(base + repr((name, shown)).encode("utf-8", "replace"), digest_size=16).hexdigest()


def junit_stamp(state: State, title: str) -> str:
    """Names what JUnit shows, as `page_stamp` does for a page."""
    from tbdiag import __version__

    base = repr((__version__, state.get("born"), state.get("junit_changes"), title)).encode("utf-8", "replace")
    return page_stamp(base, "junit.xml", ())


def load_parts(state: State) -> dict[str, Part]:
    """What was kept of each page, by its file name."""
    return {name: Part(*part) for name, *part in state.db.execute("SELECT name, stamp, data, front FROM parts")}


def save_parts(state: State, parts: Mapping[str, Part], known: Mapping[str, Part]) -> None:
    """Keep them for the next night; `known`: what is kept already."""
    with state.transaction():
        state.db.executemany("DELETE FROM parts WHERE name = ?", [(name,) for name in known if name not in parts])
        moved = [(name, *part) for name, part in parts.items() if known.get(name) != part]
        state.db.executemany("INSERT OR REPLACE INTO parts VALUES(?, ?, ?, ?)", moved)


def take_over(site: Path, name: str, folder: Path) -> bool:
    """Link a file of the published site into a new one; False where it is gone."""
    try:
        os.link(site / name, folder / name)
    except FileNotFoundError:
        return False
    except OSError:  # a file system without hard links
        shutil.copy2(site / name, folder / name)
    return True
