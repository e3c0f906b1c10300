"""Every fixture through the command line: the expected finding comes first, healthy runs are called healthy."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tbdiag.cli.app import run

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
EXPECTED = sorted(FIXTURES.glob("*/expected.toml"))


def report(logs: Path, out: Path) -> dict[str, Any]:
    """The JSON report of the only run beneath `logs`."""
    assert run(["report", str(logs), "--format", "json", "-o", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    (only,) = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))["runs"]
    return only  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", EXPECTED, ids=lambda p: p.parent.name)
def test_names_what_an_expert_names(path: Path, tmp_path: Path) -> None:
    expected = tomllib.loads(path.read_text(encoding="utf-8"))
    found = report(path.parent / "logs", tmp_path / "report.json")
    assert [c["id"] for c in found["checks"] if c["outcome"] == "crashed"] == []
    loud = [f["id"] for f in found["findings"] if f["severity"] != "note"]
    primary, allowed = expected.get("primary", []), expected.get("allowed", [])
    assert set(loud) <= {*primary, *allowed}, f"false alarm: {loud}"
    if primary:
        assert loud, "nothing found"
        assert loud[0] in primary, f"first is {loud[0]}"
    assert set(expected.get("present", [])) <= set(loud)
    assert found["verdict"] == expected["verdict"]
    if "onset" in expected:
        onset = found["findings"][0]["onset"]
        assert onset is not None
        assert expected["onset"][0] <= (onset["first_step"] + onset["last_step"]) / 2 <= expected["onset"][1]


def test_there_is_a_fixture_for_every_fault_of_the_first_version() -> None:
    wanted = {i for p in EXPECTED for i in tomllib.loads(p.read_text(encoding="utf-8")).get("primary", [])}
    assert wanted >= {
        "overfitting", "underfitting", "instability", "divergence", "nan-inf", "no-learning", "plateau", "sudden-shift", "val-better",
        "generalization-gap", "prediction-collapse", "class-imbalance", "exploding-gradients", "vanishing-gradients", "loss-mismatch",
        "lr-zero", "lr-schedule", "truncated-log", "restart-overlap",
    }  # fmt: skip
    verdicts = [tomllib.loads(p.read_text(encoding="utf-8"))["verdict"] for p in EXPECTED]
    assert verdicts.count("healthy") >= 5


def test_files_stay_small() -> None:
    assert max(p.stat().st_size for p in FIXTURES.rglob("*") if p.is_file()) < 400_000
    assert sum(p.stat().st_size for p in FIXTURES.rglob("*") if p.is_file()) < 6_000_000
