"""Every real log at hand through the command line: exit 0, valid JSON, no detector crashed; and the open bench keeps its level."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tbdiag.cli.app import run
from tests.conftest import needs_shared

SHARED = Path(os.environ.get("TBDIAG_SHARED", "absent"))


def check(logdirs: list[Path], out: Path) -> None:
    """One report on all logdirs: exit 0, strict JSON, a run or more of each, nothing crashed."""
    assert run(["report", *map(str, logdirs), "--format", "json", "-o", str(out), "-q"]) == 0
    report = json.loads(out.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert len(report["runs"]) >= len(logdirs)
    assert [(r["path"], c["id"], c["why"]) for r in report["runs"] for c in r["checks"] if c["outcome"] == "crashed"] == []


@needs_shared
def test_every_corpus_logdir_gets_a_report(tmp_path: Path) -> None:
    manifest = (SHARED / "corpus" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    logdirs = sorted({json.loads(line)["logdir"] for line in manifest})
    assert len(logdirs) > 100
    check([SHARED / "corpus" / d for d in logdirs], tmp_path / "r.json")


@needs_shared
def test_every_open_case_gets_a_report(tmp_path: Path) -> None:
    cases = sorted((SHARED / "bench" / "open").glob("*/logs"))
    assert len(cases) > 100
    check(cases, tmp_path / "r.json")


@needs_shared
@pytest.mark.parametrize("kind", ["html", "markdown", "text", "junit", "github"])
def test_the_whole_corpus_in_one_report(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "all"
    assert run(["report", str(SHARED / "corpus" / "keras-team__keras"), "--format", kind, "-o", str(out), "-q"]) == 0
    assert out.stat().st_size > 100
