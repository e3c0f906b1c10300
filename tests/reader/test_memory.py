"""Directories that were not touched are not read again, and nothing that happened to them is missed."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import pytest

from tbdiag import logs
from tbdiag.logs import memory as memory_module
from tbdiag.logs import walk


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every directory was left alone for long, on a file system that is trusted."""
    later = time.time_ns() + 3600 * 10**9
    monkeypatch.setattr(memory_module.time, "time_ns", lambda: later)
    monkeypatch.setattr(memory_module, "is_trusted", lambda device: True)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The directories that are read."""
    seen: list[str] = []

    def scandir(path: str) -> object:
        seen.append(os.path.relpath(path))
        return real(path)

    real = os.scandir
    monkeypatch.setattr(walk.os, "scandir", scandir)
    return seen


def _tick(folder: Path) -> None:
    """Wait until the file system's clock shows another time."""
    probe = folder / "probe"
    probe.write_bytes(b"")
    first = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == first:
        probe.write_bytes(b"")


def _write(file: Path, size: int = 1) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)


def _list(root: Path, kept: Path) -> logs.Survey:
    known = logs.Memory.load(kept)
    found = logs.survey(str(root), memory=known)
    known.save(kept)
    return found


def _shown(found: logs.Survey) -> list[tuple[str, list[tuple[str, str, int, int]]]]:
    return [(run.name, [tuple(file) for file in run.files]) for run in found.runs()]


def _three_runs(root: Path) -> None:
    for name in ("a", "b/train", "b/validation"):
        _write(root / name / "events.out.tfevents.1.host")


def test_untouched_directories_are_not_read_again_but_their_files_are_asked(tmp_path, settled, read):
    root = tmp_path / "logs"
    _three_runs(root)
    _list(root, tmp_path / "kept")
    _tick(tmp_path)
    _write(root / "a" / "events.out.tfevents.1.host", 77)
    read.clear()
    found = _list(root, tmp_path / "kept")
    assert len(read) == 1  # the root: whether it can be listed at all
    assert [run.files[0].size for run in found.runs()] == [77, 1]
    assert found.digest == logs.survey(str(root)).digest


def test_a_directory_that_changed_is_read_and_only_that(tmp_path, settled, read):
    root = tmp_path / "logs"
    _three_runs(root)
    _list(root, tmp_path / "kept")
    _tick(tmp_path)
    _write(root / "b" / "test" / "events.out.tfevents.1.host")
    read.clear()
    found = _list(root, tmp_path / "kept")
    assert sorted({os.path.relpath(path, os.path.relpath(root)) for path in read}) == [".", "b", "b/test"]
    assert _shown(found) == _shown(logs.survey(str(root)))


def test_what_changed_just_now_is_not_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_module, "is_trusted", lambda device: True)
    root = tmp_path / "logs"
    _three_runs(root)
    _list(root, tmp_path / "kept")
    _write(root / "a" / "events.out.tfevents.2.host")  # within the same reading of the clock, perhaps
    assert _shown(_list(root, tmp_path / "kept")) == _shown(logs.survey(str(root)))
    assert not logs.Memory.load(tmp_path / "kept").open_root(str(root)).known


def test_a_link_that_leads_somewhere_later_is_found(tmp_path, settled):
    root = tmp_path / "logs"
    _three_runs(root)
    (root / "latest").symlink_to(tmp_path / "elsewhere")
    _list(root, tmp_path / "kept")
    _tick(tmp_path)
    _write(tmp_path / "elsewhere" / "events.out.tfevents.1.host")
    assert [run.name for run in _list(root, tmp_path / "kept").runs()] == ["a", "b", "latest"]


def test_a_file_system_that_makes_up_its_times_is_not_trusted(tmp_path, settled, monkeypatch):
    monkeypatch.setattr(memory_module, "is_trusted", lambda device: False)
    _three_runs(tmp_path / "logs")
    found = _list(tmp_path / "logs", tmp_path / "kept")
    assert len(found.runs()) == 2
    assert logs.Memory.load(tmp_path / "kept").open_root(str(tmp_path / "logs")) is None


@pytest.mark.parametrize(
    ("line", "trusted"),
    [
        (b"27 1 254:0 / / rw - ext4 /dev/vda rw", True),
        (b"27 1 254:0 / /mnt/share rw shared:1 master:2 - nfs4 server:/share rw", False),
        (b"27 1 254:0 / /mnt/bucket rw - fuse.gcsfuse bucket rw", False),
        (b"27 1 8:1 / / rw - ext4 /dev/sda1 rw", False),  # that of another device
        (b"", False),
    ],
)
def test_kinds_of_file_systems(monkeypatch, line, trusted):
    monkeypatch.setattr(Path, "read_bytes", lambda path: line)
    assert memory_module.is_trusted(os.makedev(254, 0)) is trusted


def test_a_time_that_was_set_back_hides_nothing(tmp_path, settled):
    root = tmp_path / "logs"
    _three_runs(root)
    for number in range(2, 4):
        _write(root / "a" / f"events.out.tfevents.{number}.host")
        os.utime(root / "a", (1000, 1000))
        assert len(_list(root, tmp_path / "kept").runs()[0].files) == number
        _tick(tmp_path)


@pytest.mark.parametrize("damage", [lambda text: b"", lambda text: text[: len(text) // 2], lambda text: text.replace(b"train", b"brain")])
def test_a_damaged_memory_is_forgotten(tmp_path, settled, damage):
    root, kept = tmp_path / "logs", tmp_path / "kept"
    _three_runs(root)
    _list(root, kept)
    kept.write_bytes(damage(kept.read_bytes()))
    assert _shown(_list(root, kept)) == _shown(logs.survey(str(root)))
    assert logs.Memory.load(kept).open_root(str(root)).known


@pytest.mark.parametrize("seed", range(12))
def test_any_history_of_a_tree_is_listed_as_if_for_the_first_time(tmp_path, settled, seed):
    root, kept = tmp_path / "logs", tmp_path / "kept"
    _three_runs(root)
    dice = random.Random(seed)
    for _ in range(12):
        _list(root, kept)
        _tick(tmp_path)
        for _ in range(dice.randint(0, 2)):
            _do_something(root, dice)
        assert _shown(_list(root, kept)) == _shown(logs.survey(str(root)))


def _do_something(root: Path, dice: random.Random) -> None:
    files = sorted(path for path in root.rglob("*tfevents*") if not path.is_symlink())
    directories = sorted(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())
    file, directory, number = dice.choice(files), dice.choice(directories), dice.randint(0, 999)
    match dice.choice(("add", "grow", "add", "rename", "replace", "remove", "remove directory", "move directory", "link", "old times")):
        case "add":
            _write(directory / dice.choice(("", "x", "y/z")) / f"events.out.tfevents.{number}")
        case "grow":
            _write(file, number)
        case "rename":
            file.rename(file.with_name(f"events.out.tfevents.{number}"))
        case "replace":
            _write(file.with_name("new"), number)
            file.with_name("new").replace(file)
        case "remove" if len(files) > 1:
            file.unlink()
        case "remove directory" if any(directory not in other.parents for other in files):
            shutil.rmtree(directory)
        case "move directory":
            directory.rename(root / f"moved-{number}-{directory.name}")
        case "link":
            (root / f"link-{number}").symlink_to(directory)
        case "old times":
            _write(directory / f"events.out.tfevents.{number}")
            os.utime(directory, (1000, 1000))
