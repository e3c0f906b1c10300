"""Accepted findings: silenced with their reason, and told once a report when they expired or serve nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_files import healthy, write_log

import tbdiag
from tbdiag.cli.app import run
from tbdiag.config import Config, Suppression
from tbdiag.diagnosis import build_report, diagnose_run
from tbdiag.render import render

NOW = 1_800_000_000.0  # 2027-01-15


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that overfit and a healthy one."""
    root = tmp_path_factory.mktemp("logs")
    x = np.linspace(0, 1, 60)
    for name, seed in (("a", 1), ("b", 2)):
        rng = np.random.default_rng(seed)
        val = 0.6 + 1.7 * np.exp(-12 * x) + 1.2 * np.clip(x - 0.3, 0, None) + rng.normal(0, 0.01, 60)
        write_log(root / name, {"train/loss": list(0.05 + 2.2 * np.exp(-6 * x) + rng.normal(0, 0.01, 60)), "val/loss": list(val)})
    write_log(root / "c", healthy(60))
    return root


def report(logs: Path, *suppressions: Suppression) -> tbdiag.Report:
    config = Config(suppressions=suppressions, source="team/tbdiag.toml")
    return build_report([diagnose_run(r, config, now=NOW) for r in tbdiag.read(logs)], config=config, now=NOW)


def found(report: tbdiag.Report) -> dict[str, list[str]]:
    return {r.name: [f.id for f in r.findings if f.id == "overfitting"] for r in report.runs}


def test_an_accepted_finding_is_silent_and_keeps_its_reason(logs: Path) -> None:
    told = report(logs, Suppression("overfitting", "known", run="a", expires="2027-12-31"))
    assert found(told) == {"a": [], "b": ["overfitting"], "c": []}
    quiet = next(r for r in told.runs if r.name == "a")
    check = next(c for c in quiet.checks if c.id == "overfitting")
    assert (check.kind.value, check.why) == ("suppressed", "accepted: known, until 2027-12-31")
    assert "1 accepted" in quiet.headline
    assert told.problems == ()


def test_a_run_with_an_accepted_finding_is_not_called_healthy(logs: Path) -> None:
    quiet = next(r for r in report(logs, Suppression("overfitting", "known", run="a")).runs if r.name == "a")
    told = [quiet.headline, quiet.note.curve_pattern, quiet.note.data_check, quiet.note.chosen_action]
    assert not any("healthy" in line or "keep this configuration" in line for line in told)
    assert "accepted: overfitting" in quiet.note.curve_pattern
    clean = next(r for r in report(logs, Suppression("overfitting", "known", run="a")).runs if r.name == "c")
    assert clean.note.curve_pattern.startswith("healthy")


def test_a_run_of_which_checks_were_left_out_is_not_called_healthy(logs: Path) -> None:
    config = Config(ignore=("overfitting", "missing-evidence"))
    told = next(r for r in build_report([diagnose_run(r, config, now=NOW) for r in tbdiag.read(logs)]).runs if r.name == "a")
    assert "healthy" not in told.headline + told.note.curve_pattern
    assert "left out: overfitting)" in told.note.curve_pattern
    notes = Config(ignore=("missing-evidence",))
    told = next(r for r in build_report([diagnose_run(r, notes, now=NOW) for r in tbdiag.read(logs)]).runs if r.name == "c")
    assert told.note.curve_pattern.startswith("healthy")


def test_the_last_day_still_counts_and_the_next_one_does_not(logs: Path) -> None:
    assert found(report(logs, Suppression("overfitting", "known", expires="2027-01-15")))["a"] == []
    late = report(logs, Suppression("overfitting", "known", expires="2027-01-14"))
    assert found(late)["a"] == ["overfitting"]
    (problem,) = late.problems
    assert problem.file == "tbdiag.toml"
    assert "expired on 2027-01-14" in problem.message
    assert "2 runs" in problem.message


def test_one_that_serves_a_single_run_is_not_called_unused_for_the_others(logs: Path) -> None:
    assert report(logs, Suppression("overfitting", "known")).problems == ()


@pytest.mark.parametrize(("glob", "says"), [("*", "matched no finding of this report"), ("z*", "names no run of this report")])
def test_one_that_serves_nothing_is_told_once(logs: Path, glob: str, says: str) -> None:
    told = report(logs, Suppression("nan-inf", "known", run=glob))
    assert [says in p.message for p in told.problems] == [True]
    for kind in ("text", "markdown", "html"):
        shown = render(told, kind).partition('<script type="application/json"')[0]
        assert " ".join(shown.split()).count(says) == 1, kind


def test_the_command_line_refuses_what_does_not_exist(logs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tbdiag.toml"
    for text, says in (
        (
            '[[suppressions]]\nfinding = "overfiting"\nreason = "x"\n',
            f'{file}:2: unknown finding "overfiting" in suppressions: did you mean "overfitting"?',
        ),
        ("[detectors.overfitting]\nsigma = 4\n", f'{file}:2: unknown threshold "sigma" of overfitting: did you mean "sigmas"?'),
        ('select = ["overfiting"]\n', 'unknown detector "overfiting" in select'),
    ):
        file.write_text(text, encoding="utf-8")
        for command in (
            ["report", str(logs)],
            ["verify", str(logs), str(logs)],
            ["compare", str(logs), str(logs)],
            ["note", str(logs / "a")],
        ):
            assert run([*command, "--config", str(file)]) == 2, command
            assert says in capfd.readouterr().err, command


def judged(arguments: list[str], out: Path) -> dict[str, Any]:
    assert run(["report", *arguments, "--format", "json", "-o", str(out), "--quiet"]) == 0
    return {r["name"]: {f["id"] for f in r["findings"]} for r in json.loads(out.read_text(encoding="utf-8"))["runs"]}


def test_select_ignore_and_thresholds_from_the_command_line(logs: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    assert judged([str(logs), "--select", "overfitting"], out) == {"a": {"overfitting"}, "b": {"overfitting"}, "c": set()}
    ignored = judged([str(logs), "--ignore", "overfitting,missing-evidence", "--ignore", "generalization-gap"], out)
    assert not {"overfitting", "missing-evidence", "generalization-gap"} & ignored["a"]
    strict = tmp_path / "tbdiag.toml"
    strict.write_text("[detectors.overfitting]\nrelative_rise = 100\nrange_share = 100\n", encoding="utf-8")
    assert "overfitting" not in judged([str(logs), "--config", str(strict)], out)["a"]
