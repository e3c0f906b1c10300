"""Publishes a site as a whole: everything is written aside, then the directory is switched in one step.

Readers see the old site or the new one, never a mixture. Names of reports do not change from night to night, and reports that are no
longer listed stay until `keep_days` are over, so links that somebody opened before the switch still lead somewhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import filecmp
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tbdiag.errors import StateError
from tbdiag.nightly.digest import Digest, write_json, write_junit, write_markdown
from tbdiag.nightly.kept import junit_stamp, take_over

if TYPE_CHECKING:
    from tbdiag.nightly.state import State

MARKER = ".tbdiag-site"
"""Marks a directory as ours: no other directory is ever replaced."""


def publish(state: State, digest: Digest, site: Path, *, pages: bool, now: float, keep_days: float) -> None:
    """Write the site, or with `pages` false the digest alone, and switch to it.

    Raises:
        StateError: `site` is a directory that tbdiag did not write, or cannot be written.
    """
    site = Path(os.path.abspath(site))  # noqa: PTH100 - links stay links
    if site.is_symlink():
        site = site.resolve()
    _check_ours(site)
    if not pages:
        site.mkdir(parents=True, exist_ok=True)
        (site / MARKER).touch()
        _write_digests(state, digest, site)
        return
    from tbdiag.nightly.site import write_pages

    aside = site.with_name(f".{site.name}.next")
    _remove(aside)
    aside.mkdir(parents=True)
    before = _read_marker(site)
    stamps = write_pages(state, digest, aside, site, _stamps(before))
    junit = junit_stamp(state, digest.title)
    (aside / MARKER).write_text(json.dumps({"night": digest.night, "pages": stamps, "junit": junit}) + "\n")
    _link_reports(state, site, aside, now - keep_days * 86400, digest.night)
    _write_digests(state, digest, aside, kept=site if before.get("junit") == junit else None)
    _archive(site, aside, digest, now - keep_days * 86400)
    _share_unchanged(site, aside)
    switch(aside, site)
    _remove(aside)


def switch(new: Path, old: Path) -> None:
    """Put directory `new` in the place of `old` in one step; afterwards `new` holds what was there, if anything was."""
    if not os.path.lexists(old):
        new.rename(old)
        return
    if _exchange(new, old):
        return
    # No such call on this system: two renames, a moment apart.
    aside = old.with_name(f".{old.name}.old")
    _remove(aside)
    old.rename(aside)
    new.rename(old)
    aside.rename(new)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two directories atomically, where the system can; False where it cannot."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            done = library.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2)  # AT_FDCWD, RENAME_EXCHANGE
        elif sys.platform == "darwin":
            done = library.renamex_np(os.fsencode(one), os.fsencode(other), 2)  # RENAME_SWAP
        else:
            return False
    except (OSError, AttributeError):
        return False
    if done == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def _check_ours(site: Path) -> None:
    if site.exists() and not site.is_dir():
        raise StateError(f"{site}: is not a directory; give --site a directory of its own")
    if site.is_dir() and not (site / MARKER).exists() and next(site.iterdir(), None) is not None:
        raise StateError(
            f"{site}: holds files that tbdiag did not write, and the site replaces its directory; give --site an empty or new one"
        )


def _stamps(marker: Mapping[str, object]) -> dict[str, str]:
    """Stamps of the published pages by file name; sites of older versions have but their number."""
    pages = marker.get("pages")
    if isinstance(pages, int):
        return {str(number): "" for number in range(pages)}
    return pages if isinstance(pages, dict) else {}


def _read_marker(site: Path) -> dict[str, object]:
    try:
        data = json.loads((site / MARKER).read_text() or "{}")
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _write_digests(state: State, digest: Digest, folder: Path, kept: Path | None = None) -> None:
    """Write the digests of a night; JUnit is that of the site `kept`, if given."""
    for name, text in (("digest.md", write_markdown(digest)), ("digest.json", write_json(digest))):
        _write(folder / name, text)
    if kept is not None and take_over(kept, "junit.xml", folder):
        return
    part = folder / "junit.xml.part"
    with part.open("w", encoding="utf-8", errors="replace", newline="\n") as sink:
        write_junit(state, sink, digest.title)
    part.replace(folder / "junit.xml")


def _write(target: Path, text: str) -> None:
    part = target.with_name(target.name + ".part")
    part.write_bytes(text.encode("utf-8", "replace"))
    part.replace(target)


def _link_reports(state: State, site: Path, aside: Path, oldest: float, night: int) -> None:
    """Hard-link every stored report into the new site; drop those outdated for longer than they are kept."""
    folder = aside / "runs"
    folder.mkdir()
    rows = state.db.execute(
        "SELECT p.name, n.now FROM reports p LEFT JOIN nights n ON n.id = p.until_night AND n.id < ?", (night,)
    ).fetchall()
    dropped = []
    for name, outdated in rows:
        stored = state.reports / name
        if outdated is not None and outdated < oldest:
            dropped.append((name,))
            continue
        try:
            os.link(stored, folder / name)
        except FileNotFoundError:
            dropped.append((name,))
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise
            _copy(stored, site / "runs" / name, folder / name)
    if dropped:
        state.db.executemany("DELETE FROM reports WHERE name = ?", dropped)
        for (name,) in dropped:
            (state.reports / name).unlink(missing_ok=True)


def _copy(stored: Path, published: Path, target: Path) -> None:
    """State and site lie on different disks: link to what was published before if it is the same, else copy."""
    with contextlib.suppress(OSError):
        new, old = stored.stat(), published.stat()
        if (new.st_size, new.st_mtime_ns) == (old.st_size, old.st_mtime_ns):
            os.link(published, target)
            return
    shutil.copy2(stored, target)


def _archive(site: Path, aside: Path, digest: Digest, oldest: float) -> None:
    """Keep the digests of earlier nights as ``nights/NUMBER.md`` and ``.json`` for as long as runs are kept."""
    folder = aside / "nights"
    folder.mkdir()
    past = [f for f in (site / "nights").glob("*.json") if f.stem.isdigit()] if (site / "nights").is_dir() else []
    for file in past:
        try:
            recent = float(json.loads(file.read_text(encoding="utf-8"))["now"]) >= oldest
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for one in (file, file.with_suffix(".md")):
            if recent and one.exists():
                os.link(one, folder / one.name)
    for name in ("digest.md", "digest.json"):
        target = folder / f"{digest.night}.{name.rpartition('.')[2]}"
        target.unlink(missing_ok=True)
        os.link(aside / name, target)


def _share_unchanged(site: Path, aside: Path) -> None:
    """Replace files of the new site that did not change by hard links to the published ones, so that copies and caches see no change."""
    for new in aside.glob("*.*"):
        old = site / new.name
        if not new.is_file() or not old.is_file() or new.samefile(old) or not filecmp.cmp(new, old, shallow=False):
            continue
        part = new.with_name(new.name + ".link")
        os.link(old, part)
        part.replace(new)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
