"""The journal: a note is appended once, and `verify` closes its entry with what happened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loop.making import overfitting, run, side, write_log
from tbdiag.cli.app import run as tbdiag
from tbdiag.errors import ReportError
from tbdiag.journal import append_entries, close_entries, tried_actions
from tbdiag.verify import verify_sides

FAULTY = side(run(overfitting(1), "exp --> <b>1</b>"))
CURED = side(run(overfitting(2, slope=0.0, best=0.5), "exp2"))
AGAIN = side(run(overfitting(3), "exp3"))


@pytest.mark.parametrize("name", ["journal.md", "journal.jsonl"])
def test_a_note_is_appended_once_and_closed_by_verify(tmp_path: Path, name: str) -> None:
    journal = str(tmp_path / name)
    runs = [r.data for r in FAULTY.runs]
    assert len(append_entries(journal, runs)) == 1
    first = Path(journal).read_bytes()
    assert append_entries(journal, runs) == []
    assert Path(journal).read_bytes() == first
    assert close_entries(journal, verify_sides(FAULTY, CURED).to_dict()) == 1
    text = Path(journal).read_text(encoding="utf-8")
    assert "fixed" in text
    assert close_entries(journal, verify_sides(FAULTY, AGAIN).to_dict()) == 0, "a closed entry stays as it is"
    assert Path(journal).read_text(encoding="utf-8") == text


def test_the_markdown_has_the_six_lines_and_keeps_what_people_write(tmp_path: Path) -> None:
    path = tmp_path / "journal.md"
    path.write_text("# My lab book\n\nMonday: rain.\n", encoding="utf-8")
    append_entries(str(path), [r.data for r in FAULTY.runs])
    with path.open("a", encoding="utf-8") as file:
        file.write("\nTuesday: sun.\n")
    close_entries(str(path), verify_sides(FAULTY, AGAIN).to_dict())
    text = path.read_text(encoding="utf-8")
    for line in ("Curve pattern", "Prediction signal", "Gradient signal", "Data check", "Chosen action", "Success rule", "Outcome"):
        assert f"- **{line}**: " in text
    assert text.startswith("# My lab book\n\nMonday: rain.\n")
    assert text.endswith("Tuesday: sun.\n")
    assert "<b>" not in text
    assert "not fixed by exp3" in text


def test_what_did_not_help_is_not_named_again(tmp_path: Path) -> None:
    journal = str(tmp_path / "journal.jsonl")
    append_entries(journal, [r.data for r in FAULTY.runs])
    assert tried_actions(journal) == {}
    close_entries(journal, verify_sides(FAULTY, AGAIN).to_dict())
    [entry] = [json.loads(line) for line in Path(journal).read_text(encoding="utf-8").splitlines()]
    assert entry["state"] == "closed"
    assert tried_actions(journal) == {"overfitting": [entry["note"]["chosen_action"]]}


def test_cannot_tell_leaves_the_entry_open(tmp_path: Path) -> None:
    journal = str(tmp_path / "journal.jsonl")
    append_entries(journal, [r.data for r in FAULTY.runs])
    other = side(run({"loss/train": overfitting(2)["loss/train"]}))
    assert close_entries(journal, verify_sides(FAULTY, other).to_dict()) == 0


@pytest.mark.parametrize(
    ("name", "text"), [("j.jsonl", "{}\n"), ("j.jsonl", "no json\n"), ("j.md", "<!-- tbdiag-entry {x} -->\n<!-- tbdiag-entry-end -->")]
)
def test_what_is_no_journal_is_told(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReportError, match="no entry"):
        append_entries(str(path), [r.data for r in FAULTY.runs])
    assert path.read_text(encoding="utf-8") == text


def test_the_commands(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    faulty, cured = (
        str(write_log(tmp_path / "a" / "r", overfitting(1)).parent),
        str(write_log(tmp_path / "b" / "r", overfitting(2, slope=0.0, best=0.5)).parent),
    )
    journal = str(tmp_path / "deep" / "journal.md")
    assert tbdiag(["note", faulty, "--journal", journal]) == 0
    assert tbdiag(["verify", faulty, cured, "--journal", journal]) == 0
    assert "**Outcome**: fixed" in Path(journal).read_text(encoding="utf-8")
    (tmp_path / "dir.md").mkdir()
    assert tbdiag(["note", faulty, "--journal", str(tmp_path / "dir.md")]) == 2
    assert "Traceback" not in capfd.readouterr().err


def test_runs_of_one_name_in_several_logdirs_are_told_apart(tmp_path: Path) -> None:
    journal = str(tmp_path / "journal.jsonl")
    first, second = (
        side(run(overfitting(seed, best=best), "."), label=name) for seed, best, name in ((1, 0.6, "monday"), (4, 0.7, "tuesday"))
    )
    for s in (first, second):
        append_entries(journal, [r.data for r in s.runs], s.label)
    cured = side(run(overfitting(2, slope=0.0, best=0.5), "."), label="wednesday")
    assert close_entries(journal, verify_sides(second, cured).to_dict()) == 1
    monday, tuesday = (json.loads(line) for line in Path(journal).read_text(encoding="utf-8").splitlines())
    assert (monday["state"], tuesday["state"]) == ("open", "closed")
    assert tuesday["outcome"]["run"] == "wednesday"
