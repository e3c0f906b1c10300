"""What becomes of findings over the nights: the words that people read in the morning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tbdiag.config import Config, Suppression
from tbdiag.nightly.history import advance, begin
from tbdiag.nightly.status import judge_status
from tests.nightly.world import DAY, LATER, START, Nights, append, write


def test_an_error_is_new_at_once_and_ongoing_the_next_night(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    write(nights.logs / "a", "nan")
    night = nights.run()
    assert night.closing.new == night.closing.new_errors == 1
    assert "became NaN" in night.digest.partition("## New since last night")[2]
    assert nights.run(LATER + DAY).closing.new == 0
    assert nights.states()[("a", "nan-inf")] == "ongoing"


def test_a_warning_is_new_once_two_nights_agree(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    write(nights.logs / "a", "overfit")
    first, second, third = nights.run(LATER), nights.run(LATER + DAY), nights.run(LATER + 2 * DAY)
    assert [n.closing.new for n in (first, second, third)] == [0, 1, 0]
    assert "wait for a second night" in first.digest
    assert "Overfitting" in second.digest.partition("## New since last night")[2]
    assert nights.states()[("a", "overfitting")] == "ongoing"


def test_a_warning_that_the_next_night_does_not_confirm_was_never_told(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    file = write(nights.logs / "a", "overfit")
    nights.run(LATER)
    file.unlink()
    write(nights.logs / "a", "healthy", seed=2, start=START + 60)
    night = nights.run(LATER + DAY)
    assert night.closing.new == night.closing.fixed == 0
    assert ("a", "overfitting") not in nights.states()


def test_fixed_and_regressed_on_the_same_path(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    file = write(nights.logs / "a", "nan")
    nights.run(LATER)
    file.unlink()
    file = write(nights.logs / "a", "healthy", seed=2, start=START + 60)
    night = nights.run(LATER + DAY)
    assert night.closing.fixed == 1
    assert nights.states()[("a", "nan-inf")] == "fixed"
    file.unlink()
    write(nights.logs / "a", "nan", seed=3, start=START + 120)
    night = nights.run(LATER + 2 * DAY)
    assert night.closing.new == 1
    assert nights.states()[("a", "nan-inf")] == "regressed"
    assert "It is back." in night.digest


def test_a_later_run_of_the_family_fixes_an_earlier_finding(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    write(nights.logs / "mia" / "resnet" / "seed_1", "overfit")
    nights.run(START + 2 * DAY)
    nights.run(START + 3 * DAY)
    write(nights.logs / "mia" / "resnet" / "seed_2", "healthy", start=START + 3 * DAY, seed=4)
    night = nights.run(START + 5 * DAY)
    assert night.closing.fixed == 1
    assert "Fixed by mia/resnet/seed\\_2" in night.digest
    assert night.closing.warnings == 0
    write(nights.logs / "mia" / "resnet" / "seed_3", "overfit", start=START + 5 * DAY, seed=5)
    nights.run(START + 7 * DAY)
    assert nights.states()[("mia/resnet/seed_1", "overfitting")] == "regressed"


def test_a_run_that_began_before_the_earlier_one_ended_is_no_successor(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    write(nights.logs / "sweep" / "seed_1", "overfit")
    write(nights.logs / "sweep" / "seed_2", "healthy", start=START + 60, seed=4)
    nights.run(LATER)
    nights.run(LATER + DAY)
    assert nights.states()[("sweep/seed_1", "overfitting")] == "new"


def test_a_first_night_over_old_runs_does_not_celebrate(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    write(nights.logs / "a" / "seed_1", "overfit")
    write(nights.logs / "a" / "seed_2", "healthy", start=START + DAY, seed=4)
    night = nights.run(LATER)
    assert night.closing.fixed == 0
    assert nights.states()[("a/seed_1", "overfitting")] == "fixed"


def test_a_mute_hides_with_its_reason_until_it_expires(tmp_path: Path) -> None:
    mute = Config(suppressions=(Suppression("nan-inf", "known driver fault", run="a*", expires="2023-12-01"),))
    nights = Nights(tmp_path, config=mute, site=tmp_path / "site")
    write(nights.logs / "a", "nan")
    night = nights.run(LATER)
    assert (night.closing.errors, night.closing.new) == (0, 0)
    assert "known driver fault (until 2023-12-01)" in (tmp_path / "site" / "index.html").read_text()
    night = nights.run(LATER + 30 * DAY)
    assert night.closing.errors == 1
    assert night.unchanged == 1
    assert any("expired on 2023-12-01" in line for line in nights.said)


def test_a_mute_can_be_limited_to_an_owner(tmp_path: Path) -> None:
    nights = Nights(tmp_path, config=Config(suppressions=(Suppression("nan-inf", "his own business", owner="max"),)))
    write(nights.logs / "max" / "a", "nan")
    write(nights.logs / "mia" / "b", "nan", seed=2)
    assert nights.run(LATER).closing.errors == 1


def test_a_live_run_is_left_alone_until_it_has_ended(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    file = write(nights.logs / "a", "healthy", n=30)
    with file.open("ab") as sink:
        sink.write(b"\x18\0\0\0")
    end = START + 30 * 60
    nights.run(end + 60)
    assert nights.findings("a") == set()
    night = nights.run(end + DAY)
    assert night.reasons == {"ended": 1}
    assert "truncated-log" in nights.findings("a")


def test_a_run_that_has_only_just_begun_is_not_unreadable(tmp_path: Path) -> None:
    import os

    nights = Nights(tmp_path)
    write(nights.logs / "old", "healthy")
    empty = nights.logs / "begun" / "events.out.tfevents.1.host"
    empty.parent.mkdir()
    empty.touch()
    os.utime(empty, (LATER - 60, LATER - 60))
    assert "unreadable" not in nights.run(LATER).digest
    assert "unreadable" in nights.run(LATER + DAY).digest


def test_a_night_cut_short_keeps_its_judgements_and_leaves_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tbdiag.nightly.history as history

    nights = Nights(tmp_path)
    write(nights.logs / "a", "nan")
    whole = history.close_night

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(history, "close_night", killed)
    with pytest.raises(KeyboardInterrupt):
        nights.run(LATER)
    assert nights.states() == {}
    monkeypatch.setattr(history, "close_night", whole)
    night = nights.run(LATER + 60)
    assert (night.number, night.unchanged, night.closing.new) == (1, 1, 1)
    assert any("cut short" in line for line in nights.said)


def test_what_was_never_published_is_still_new_the_next_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tbdiag.nightly.publish as publish

    nights = Nights(tmp_path, site=tmp_path / "site")
    write(nights.logs / "a", "nan")
    whole = publish.switch

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(publish, "switch", killed)
    with pytest.raises(KeyboardInterrupt):
        nights.run(LATER)
    monkeypatch.setattr(publish, "switch", whole)
    assert nights.run(LATER + DAY).closing.new == 1


def test_gone_runs_are_forgotten_after_a_while(tmp_path: Path) -> None:
    import shutil

    nights = Nights(tmp_path, keep_days=5)
    write(nights.logs / "a", "nan")
    write(nights.logs / "b", "healthy", seed=2)
    nights.run(LATER)
    shutil.rmtree(nights.logs / "a")
    night = nights.run(LATER + DAY)
    assert (night.closing.runs, night.closing.fixed) == (1, 0)
    assert ("a", "nan-inf") in nights.states()
    nights.run(LATER + 8 * DAY)
    assert nights.states() == {}


@pytest.mark.parametrize(
    ("state", "severity", "was_fixed", "by_successor", "after"),
    [
        ("pending", 1, False, False, "new"),
        ("pending", 1, True, False, "regressed"),
        ("new", 0, False, False, "ongoing"),
        ("ongoing", 1, False, False, "ongoing"),
        ("fixed", 0, True, False, "regressed"),
        ("fixed", 1, True, False, "pending"),
        ("fixed", 1, True, True, "fixed"),
    ],
)
def test_transitions(state: str, severity: int, was_fixed: bool, by_successor: bool, after: str) -> None:
    assert advance(state, severity, was_fixed, by_successor) == after


def test_first_states() -> None:
    assert [begin(0, False), begin(0, True), begin(1, False), begin(1, True), begin(2, False)] == [
        "new",
        "regressed",
        "pending",
        "pending",
        "ongoing",
    ]


@pytest.mark.parametrize(
    ("quiet", "ending", "status"),
    [
        (60.0, "", "live"),
        (60.0, "planned", "finished"),
        (3600.0, "", "finished"),
        (3600.0, "short", "stalled"),
        (2 * DAY, "short", "crashed"),
        (3600.0, "cut", "crashed"),
        (60.0, "cut", "live"),
        (3600.0, "broken", "crashed"),
    ],
)
def test_status(quiet: float, ending: str, status: str) -> None:
    assert judge_status(now=START + quiet, live_until=START + 1800, last_write=START, ending=ending) == status


def test_runs_of_a_family_tell_how_long_a_run_was_to_be(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    for i in range(4):
        write(nights.logs / "fam" / f"seed_{i}", "healthy", seed=i)
    write(nights.logs / "fam" / "seed_4", "healthy", seed=9, n=40)
    night = nights.run(START + 40 * 60 + 7200)
    assert "**stalled** fam/seed\\_4" in night.digest
    append(nights.logs / "fam" / "seed_4" / f"events.out.tfevents.{int(START)}.host", "healthy", 40, 80, seed=9)
    assert "stalled** fam" not in nights.run(START + 3 * DAY).digest


def test_owners_come_from_the_configured_globs_then_the_runs_configuration_then_the_path(tmp_path: Path) -> None:
    nights = Nights(tmp_path, config=Config(owners={"vision/*": "mia", "*/llm-*": "noah"}))
    for name in ("vision/llm-1", "text/llm-2", "text/cnn"):
        write(nights.logs / name, "nan")
    nights.run()
    assert nights.owners() == {"vision/llm-1": "mia", "text/llm-2": "noah", "text/cnn": "text"}
    nights.options = replace(nights.options, config=Config(owners={"text/*": "zoe"}))
    assert nights.run(LATER + DAY).reasons == {"settings": 3}
    assert nights.owners() == {"vision/llm-1": "vision", "text/llm-2": "zoe", "text/cnn": "zoe"}


def test_a_successor_that_shows_the_finding_itself_has_not_fixed_it(tmp_path: Path) -> None:
    import sqlite3

    nights = Nights(tmp_path)
    write(nights.logs / "exp" / "seed_1", "nan")
    write(nights.logs / "exp" / "seed_2", "nan", seed=2, start=START + DAY)
    nights.run(LATER + DAY)
    with sqlite3.connect(nights.options.state / "nightly.sqlite") as db:  # as if its rule could be met in spite of the symptom
        assert db.execute("UPDATE successors SET outcome = 'passed' WHERE finding = 'nan-inf'").rowcount == 1
    nights.run(LATER + 2 * DAY)
    assert nights.states()[("exp/seed_1", "nan-inf")] == "ongoing"
