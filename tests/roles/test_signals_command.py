"""`tbdiag signals`: the table, before and after an override, and its JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures" / "frameworks"


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tbdiag", "signals", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environment)


def test_table_before_and_after(tmp_path: Path) -> None:
    logs = str(FIXTURES / "plain_slash" / "logs")
    plain = run(logs, cwd=tmp_path)
    assert plain.returncode == 0, plain.stderr
    assert "* train_loss   Loss/train" in plain.stdout
    assert "was" not in plain.stdout
    changed = run(logs, "--role", "train_loss=Accuracy/train", cwd=tmp_path)
    assert "* train_loss (was *train_metric)" in changed.stdout
    assert "train_loss (was *train_loss)" in changed.stdout
    assert "set by the user" in changed.stdout


def test_json_is_strict_and_names_the_config_file(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('[roles]\nval_metric = "Accuracy/train"\n', encoding="utf-8")
    out = run(str(FIXTURES / "plain_slash" / "logs"), "--format", "json", "--config", "own.toml", cwd=tmp_path)
    assert out.returncode == 0, out.stderr
    body = json.loads(out.stdout, parse_constant=lambda c: (_ for _ in ()).throw(AssertionError(c)))
    row = next(r for r in body["runs"][0]["signals"] if r["tag"] == "Accuracy/train")
    assert row["role"] == "val_metric"
    assert row["before"]["role"] == "train_metric"


def test_wrong_roles_end_in_one_line(tmp_path: Path) -> None:
    out = run(str(FIXTURES / "plain_slash" / "logs"), "--role", "train_los=x", cwd=tmp_path)
    assert out.returncode == 2
    assert out.stderr.strip() == 'tbdiag: unknown role "train_los": did you mean "train_loss"?'
    absent = run(str(FIXTURES / "plain_slash" / "logs"), "--role", "train_loss=nope", cwd=tmp_path)
    assert absent.returncode == 0
    assert 'no run holds the series "nope"' in absent.stdout
