"""Streams and exit codes of ``tbdiag report``, ``export`` and friends."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path

import pytest

from tbdiag.cli.app import run
from tests.event_files import healthy, write_log

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
FAULTY, WELL = str(FIXTURES / "overfitting" / "logs"), str(FIXTURES / "healthy-step-decay" / "logs")


def test_html_goes_to_a_file_and_the_summary_to_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["report", FAULTY]) == 0
    said = capfd.readouterr()
    page = (tmp_path / "tbdiag-report.html").read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html")
    assert "verfitting" in said.out
    assert (tmp_path / "tbdiag-report.html").resolve().as_uri() in said.out
    assert [p.name for p in tmp_path.iterdir()] == ["tbdiag-report.html"]


@pytest.mark.parametrize("kind", ["html", "json", "markdown", "text"])
def test_dash_writes_the_report_and_nothing_else_to_standard_output(kind: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["report", FAULTY, "--format", kind, "-o", str(tmp_path / "report")]) == 0
    capfd.readouterr()
    assert run(["report", FAULTY, "--format", kind, "-o", "-"]) == 0
    said = capfd.readouterr()
    assert said.out.rstrip("\n") == (tmp_path / "report").read_text(encoding="utf-8").rstrip("\n")
    assert "verfitting" in said.err


@pytest.mark.parametrize(
    ("logs", "level", "code"),
    [(FAULTY, "never", 0), (FAULTY, "warning", 1), (FAULTY, "note", 1), (WELL, "warning", 0), (WELL, "error", 0)],
)
def test_fail_on(logs: str, level: str, code: int, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert run(["report", logs, "--fail-on", level, "-o", str(out)]) == code
    assert out.exists()


def test_same_input_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run(["report", FAULTY, "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_several_logdirs_and_single_files_make_one_report(tmp_path: Path) -> None:
    (file,) = Path(WELL).iterdir()
    assert run(["report", FAULTY, str(file), "--format", "json", "-o", str(tmp_path / "r.json")]) == 0
    runs = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["runs"]
    assert [r["verdict"] for r in runs] == ["findings", "healthy"]


def test_no_colour_where_it_is_not_wanted(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run(["report", FAULTY, "-o", str(tmp_path / "r.html")]) == 0
    assert "\x1b[" in capfd.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    assert run(["report", FAULTY, "-o", str(tmp_path / "r.html")]) == 0
    assert "\x1b[" not in capfd.readouterr().out


def test_export_csv_has_the_texts_columns(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(FIXTURES / "keras-healthy" / "logs"), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert next(iter(rows[0])) == "epoch"
    assert {"train_loss", "val_loss", "val_acc"} <= set(rows[0])
    assert len(rows) == 6
    assert float(rows[-1]["train_loss"]) == pytest.approx(0.1162, abs=1e-3)


def test_export_of_several_runs_says_how_to_choose(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        write_log(tmp_path / name, healthy())
    assert run(["export", str(tmp_path), "--csv"]) == 2
    assert "--run" in capfd.readouterr().err


def test_export_and_signals_refuse_what_is_not_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for command in (["export", str(tmp_path / "none"), "--csv"], ["signals", str(tmp_path / "none")]):
        assert run(command) == 2
        assert capfd.readouterr().err.count("\n") == 1


def test_explain_prints_every_page(capfd: pytest.CaptureFixture[str]) -> None:
    from tbdiag.detectors import load_detectors

    assert run(["explain", "overfitting"]) == 0
    assert "What it means" in capfd.readouterr().out
    assert run(["explain", "--all"]) == 0
    pages = capfd.readouterr().out
    assert all(d.id in pages for d in load_detectors())
    assert run(["explain", "overfiting"]) == 2
    assert "overfitting" in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["html", "json"])
def test_the_command_that_checks_the_next_run_names_the_report_and_runs(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "night run").mkdir()
    target = f"night run/mine.{kind}"
    assert run(["report", FAULTY, "--format", kind, "-o", target]) == 0
    told = [line.split("Check it with: ")[1] for line in capfd.readouterr().out.splitlines() if "Check it with: " in line]
    assert told == [f"tbdiag verify '{target}' NEXT_LOGDIR"]
    program, *arguments = shlex.split(told[0].replace("NEXT_LOGDIR", shlex.quote(FAULTY)))
    assert program == "tbdiag"
    assert run(arguments) in (0, 1)
    assert "verfitting" in capfd.readouterr().out


def test_the_report_does_not_tell_where_it_lies(tmp_path: Path) -> None:
    target = tmp_path / "mine.html"
    assert run(["report", FAULTY, "-o", str(target)]) == 0
    page = target.read_text(encoding="utf-8")
    assert "tbdiag verify tbdiag-report.html NEXT_LOGDIR" in page
    assert "mine.html" not in page
