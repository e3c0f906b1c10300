"""A night costs what changed: nothing is read twice, renamed and deleted runs are recognised, damage repairs itself."""

from __future__ import annotations

import os
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tbdiag.config import Config, Suppression
from tbdiag.errors import LogdirError, NightBusyError, StateError
from tbdiag.logs import Survey
from tbdiag.nightly import plan_night, source
from tbdiag.nightly.state import open_state
from tests.nightly.world import DAY, LATER, START, Nights, append, write


def three(tmp_path: Path, **options: object) -> Nights:
    nights = Nights(tmp_path, **options)
    for i, kind in enumerate(("healthy", "nan", "overfit")):
        write(nights.logs / f"run{i}", kind, seed=i)
    return nights


def test_unchanged_runs_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nights = three(tmp_path)
    assert nights.run(LATER).reasons == {"new": 3}

    def read(*_: object) -> None:
        raise AssertionError("a run was read")

    monkeypatch.setattr(source, "read_listed", read)
    monkeypatch.setattr(source, "read_head", read)
    night = nights.run(LATER + DAY)
    assert (night.unchanged, night.closing.failed, night.closing.errors) == (3, 0, 1)


def test_a_night_without_a_change_costs_one_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nights = three(tmp_path)
    nights.run(LATER)

    def compare(_: object) -> None:
        raise AssertionError("runs were compared one by one")

    with monkeypatch.context() as patched:
        patched.setattr(Survey, "runs", compare)
        assert nights.run(LATER + DAY).unchanged == 3
        with pytest.raises(AssertionError, match="one by one"):
            nights.run(LATER + DAY, config=Config(ignore=("nan-inf",)))
    assert nights.run(LATER + 2 * DAY).unchanged == 3


def test_runs_that_come_back_after_a_night_that_was_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nights = three(tmp_path)
    nights.run(LATER)
    (nights.logs / "run0").rename(tmp_path / "unmounted")
    write(nights.logs / "other", "healthy", seed=9)
    with monkeypatch.context() as patched:
        patched.setattr("tbdiag.nightly.night._judge_all", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            nights.run(LATER + DAY)
    shutil.rmtree(nights.logs / "other")
    (tmp_path / "unmounted").rename(nights.logs / "run0")
    night = nights.run(LATER + 2 * DAY)
    assert (night.unchanged, night.closing.runs) == (3, 3)


def test_a_grown_run_costs_only_its_new_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "KEPT_BYTES", 0)
    nights = Nights(tmp_path)
    file = write(nights.logs / "a", "healthy", n=200)
    nights.run(START + 200 * 60)
    # Bytes that were read are changed behind the reader's back (the first ones tell a replaced file): nobody may notice.
    with file.open("r+b") as data:
        data.seek(4400)
        data.write(b"\xff" * 300)
    append(file, "healthy", 200, 210, n=210)
    night = nights.run(START + 210 * 60)
    assert night.reasons == {"grown": 1}
    assert "truncated-log" not in nights.findings("a")
    fresh = Nights(tmp_path)
    fresh.options = replace(fresh.options, state=tmp_path / "other")
    fresh.run(LATER)
    assert "truncated-log" in fresh.findings("a")


def test_a_small_run_that_grows_is_read_whole(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    file = write(nights.logs / "a", "healthy", n=200)
    nights.run(START + 200 * 60)
    assert list((tmp_path / "state" / "columns").iterdir()) == []
    with file.open("r+b") as data:
        data.seek(4400)
        data.write(b"\xff" * 300)
    append(file, "healthy", 200, 210, n=210)
    assert nights.run(LATER).reasons == {"grown": 1}
    assert "truncated-log" in nights.findings("a")


def test_points_of_runs_that_ended_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "KEPT_BYTES", 0)
    nights = three(tmp_path)
    nights.run(START + 2 * 3600)
    kept = tmp_path / "state" / "columns"
    assert len(list(kept.iterdir())) == 3
    for i in range(3):
        append(nights.logs / f"run{i}" / f"events.out.tfevents.{int(START)}.host", "healthy", 78, 80)
    nights.run(START + 30 * DAY)
    assert list(kept.iterdir()) == []


def test_a_damaged_copy_of_the_points_costs_a_full_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "KEPT_BYTES", 0)
    nights = three(tmp_path)
    nights.run(START + 2 * 3600)
    for file in (tmp_path / "state" / "columns").iterdir():
        file.write_bytes(b"nonsense")
    append(nights.logs / "run0" / f"events.out.tfevents.{int(START)}.host", "healthy", 78, 80)
    night = nights.run(START + 3 * 3600)
    assert night.closing.failed == 0
    assert night.reasons["grown"] == 1


def test_a_renamed_run_keeps_its_history_and_is_not_read(tmp_path: Path) -> None:
    nights = three(tmp_path, site=tmp_path / "site")
    nights.run(LATER)
    (nights.logs / "run1").rename(nights.logs / "better-name")
    night = nights.run(LATER + DAY)
    assert (night.reasons, night.unchanged, night.closing.new) == ({}, 3, 1)  # the new one is run2's overfitting, confirmed
    assert nights.states()[("better-name", "nan-inf")] == "ongoing"
    pages = [p.name for p in (nights.site / "runs").iterdir()]
    assert any(p.startswith("better-name") for p in pages)
    assert any(p.startswith("run1") for p in pages)  # a link from last night still leads somewhere


def test_two_runs_that_swap_their_names(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    write(nights.logs / "run0", "healthy")
    write(nights.logs / "run1", "nan", start=START + 60)
    nights.run(LATER)
    (nights.logs / "run0").rename(nights.logs / "aside")
    (nights.logs / "run1").rename(nights.logs / "run0")
    (nights.logs / "aside").rename(nights.logs / "run1")
    nights.run(LATER + DAY)
    assert nights.findings("run0") == {"nan-inf"}
    assert nights.findings("run1") == set()


def test_a_deleted_run_is_gone_and_comes_back(tmp_path: Path) -> None:
    nights = three(tmp_path)
    nights.run(LATER)
    (nights.logs / "run1").rename(tmp_path / "elsewhere")
    night = nights.run(LATER + DAY)
    assert (night.closing.runs, night.closing.errors, night.closing.fixed) == (2, 0, 0)
    (tmp_path / "elsewhere").rename(nights.logs / "run1")
    night = nights.run(LATER + 2 * DAY)
    assert (night.closing.runs, night.closing.errors, night.reasons) == (3, 1, {})


def test_a_run_reached_by_two_paths_is_judged_once(tmp_path: Path) -> None:
    nights = three(tmp_path)
    (nights.logs / "latest").symlink_to(nights.logs / "run1")
    nights.options = replace(nights.options, roots=(str(nights.logs), str(nights.logs / "run1"), str(nights.logs / "latest")))
    night = nights.run(LATER)
    assert (night.closing.runs, night.closing.errors) == (3, 1)


def test_settings_are_judged_again_and_suppressions_are_not(tmp_path: Path) -> None:
    nights = three(tmp_path)
    nights.run(LATER)
    night = nights.run(LATER, config=Config(suppressions=(Suppression("nan-inf", "known"),)))
    assert night.reasons == {}
    assert night.closing.errors == 0
    night = nights.run(LATER, config=Config(ignore=("nan-inf",)))
    assert night.reasons == {"settings": 3}


def test_a_missing_or_empty_root_is_no_reason_to_forget_its_runs(tmp_path: Path) -> None:
    nights = three(tmp_path, site=tmp_path / "site")
    nights.run(LATER)
    nights.logs.rename(tmp_path / "unmounted")
    with pytest.raises(LogdirError):
        nights.run(LATER + DAY)
    nights.logs.mkdir()
    with pytest.raises(LogdirError):
        nights.run(LATER + DAY)
    assert (nights.site / "index.html").exists()
    nights.logs.rmdir()
    (tmp_path / "unmounted").rename(nights.logs)
    assert nights.run(LATER + DAY).unchanged == 3


@pytest.mark.parametrize("damage", ["garbage", "middle", "no-table", "empty"])
def test_a_damaged_state_is_set_aside_and_rebuilt(tmp_path: Path, damage: str) -> None:
    nights = three(tmp_path)
    nights.run(LATER)
    file = tmp_path / "state" / "nightly.sqlite"
    if damage == "garbage":
        file.write_bytes(b"this is no database" * 100)
    elif damage == "middle":
        data = bytearray(file.read_bytes())
        data[4096 : 4096 * 12] = os.urandom(4096 * 11)
        file.write_bytes(data)
    elif damage == "no-table":
        db = sqlite3.connect(file)
        db.execute("DROP TABLE findings")
        db.close()
    else:
        file.write_bytes(b"")
    night = nights.run(LATER + DAY)
    assert (night.closing.runs, night.closing.errors) == (3, 1)
    if damage != "empty":
        assert any("set aside as nightly.sqlite.damaged-1" in line for line in nights.said)
        assert (tmp_path / "state" / "nightly.sqlite.damaged-1").exists()


def test_a_backup_brings_the_history_back(tmp_path: Path) -> None:
    nights = three(tmp_path)
    nights.run(LATER)
    nights.run(LATER + DAY, backup=tmp_path / "kept" / "copy.sqlite")
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "state").mkdir()
    shutil.copy(tmp_path / "kept" / "copy.sqlite", tmp_path / "state" / "nightly.sqlite")
    night = nights.run(LATER + 2 * DAY)
    assert (night.number, night.unchanged) == (3, 3)
    assert nights.states()[("run2", "overfitting")] == "ongoing"


def test_a_newer_state_is_refused(tmp_path: Path) -> None:
    nights = three(tmp_path)
    nights.run(LATER)
    db = sqlite3.connect(tmp_path / "state" / "nightly.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateError, match="newer tbdiag"):
        nights.run(LATER)


def test_the_second_of_two_jobs_ends_at_once(tmp_path: Path) -> None:
    nights = three(tmp_path)
    with open_state(tmp_path / "state"), pytest.raises(NightBusyError) as caught:
        nights.run(LATER)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    assert nights.run(LATER).closing.runs == 3


def test_a_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tbdiag.nightly.state as state

    nights = three(tmp_path)
    connect = state._connect

    def small(file: Path) -> sqlite3.Connection:
        db = connect(file)
        db.execute("PRAGMA max_page_count = 10")
        return db

    monkeypatch.setattr(state, "_connect", small)
    with pytest.raises(StateError, match="the disk is full") as caught:
        nights.run(LATER)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(state, "_connect", connect)
    assert nights.run(LATER).closing.runs == 3


def test_a_state_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    nights = three(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="--state"):
        nights.run(LATER, state=tmp_path / "file" / "state")


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    nights = three(tmp_path)
    assert len(plan_night(nights.options).judge) == 3
    assert not (tmp_path / "state").exists()
    nights.run(LATER)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "state").rglob("*")}
    assert plan_night(nights.options).unchanged == 3
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "state").rglob("*.sqlite")}
    assert after.items() <= before.items()


def test_a_run_that_fails_is_tried_three_nights_and_then_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nights = three(tmp_path)
    whole = source.read_listed

    def read(listing: object, columns: str | None, now: float) -> object:
        if listing.name == "run0":  # type: ignore[attr-defined]
            raise MemoryError
        return whole(listing, columns, now)

    monkeypatch.setattr(source, "read_listed", read)
    counts = [nights.run(LATER + i * DAY).reasons.get("failed", 0) for i in range(5)]
    assert counts == [0, 1, 1, 0, 0]
    night = nights.run(LATER + 6 * DAY)
    assert night.closing.failed == 1
    assert "needs more memory" in night.digest
    append(nights.logs / "run0" / f"events.out.tfevents.{int(START)}.host", "healthy", 78, 80)
    monkeypatch.setattr(source, "read_listed", whole)
    assert nights.run(LATER + 7 * DAY).closing.failed == 0
