"""The quickest proof that the whole way works: import, command line, a report on one bundled log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "fixtures" / "overfitting" / "logs"


def tbdiag(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, PYTHONPATH=str(ROOT), NO_COLOR="1")
    return subprocess.run(
        [sys.executable, "-m", "tbdiag", *arguments], capture_output=True, text=True, env=environment, timeout=120, check=False
    )


def test_version_and_help_answer() -> None:
    import tbdiag as package

    assert tbdiag("--version").stdout == f"tbdiag {package.__version__}\n"
    helped = tbdiag("--help")
    assert helped.returncode == 0
    assert "Usage" in helped.stdout


def test_report_on_a_bundled_log_is_valid_json() -> None:
    done = tbdiag("report", str(LOG), "--format", "json", "-o", "-")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert report["schema_version"]
    (run,) = report["runs"]
    assert run["verdict"] == "findings"
    assert [c["id"] for c in run["checks"] if c["outcome"] == "crashed"] == []
