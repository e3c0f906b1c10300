"""The accuracy table's arithmetic: by hand on a few cases, and against the bench's own referee where that is at hand."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.conftest import needs_shared

ROOT = Path(__file__).resolve().parent.parent


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


scoring = load(ROOT / "benchmarks" / "scoring.py")


def label(primary: tuple[str, ...] = (), **changes: object) -> object:
    fields: dict[str, object] = {
        "name": "c", "logs": Path(), "primary": primary, "allowed": frozenset({"plateau"}), "alternatives": {}, "onset": {},
        "best_step": None, "healthy": not primary, "about": "",
    }  # fmt: skip
    return scoring.Label(**(fields | changes))


def said(*ids: str, severity: str = "warning", **changes: object) -> object:
    return scoring.Said([{"id": i, "severity": severity, "step": 5, "confidence": 0.9} | changes for i in ids])


def test_hits_false_alarms_and_notes() -> None:
    verdict = scoring.judge(label(("overfitting",)), said("plateau", "overfitting", "spikes"))
    assert (verdict.hits, verdict.false, verdict.top) == (["overfitting"], ["spikes"], False)
    assert scoring.judge(label(("overfitting",)), said("overfitting", severity="note")).hits == []
    assert scoring.judge(label(("overfitting",)), said("overfitting", severity="note"), count_notes=True).hits == ["overfitting"]
    assert scoring.judge(label(), said("missing-evidence", severity="note")).false == []


def test_alternatives_count_and_a_cause_may_lead() -> None:
    assert scoring.judge(label(("underfitting",), alternatives={"underfitting": ("no-learning",)}), said("no-learning")).top
    chain = scoring.Said([{"id": "plateau", "severity": "error"}, {"id": "overfitting", "severity": "error", "caused_by": "plateau"}])
    assert scoring.judge(label(("overfitting",)), chain).top


def test_onset_and_calibration() -> None:
    inside = scoring.judge(label(("spikes",), onset={"spikes": (4.0, 6.0)}), said("spikes"))
    outside = scoring.judge(label(("spikes",), onset={"spikes": (6.0, 7.0)}), said("spikes"))
    assert (inside.onsets, outside.onsets) == ({"spikes": True}, {"spikes": False})
    assert scoring.calibration_error([(0.9, True)] * 9 + [(0.9, False)]) == pytest.approx(0.0)
    assert scoring.calibration_error([(0.9, False)] * 10) == pytest.approx(0.9)


def test_rows_and_intervals() -> None:
    verdicts = [
        scoring.judge(label(("spikes",)), said("spikes")),
        scoring.judge(label(("spikes",)), said()),
        scoring.judge(label(), said("spikes")),
    ]
    row = scoring.per_id(verdicts)["spikes"]
    assert (row.precision, row.recall, row.f1) == (0.5, 0.5, 0.5)
    low, high = scoring.interval(verdicts, "some right finding", resamples=50)
    assert 0.0 <= low <= 0.5 <= high <= 1.0


@needs_shared
def test_agrees_with_the_referee_on_random_answers() -> None:
    bench = Path(os.environ.get("TBDIAG_SHARED", "")) / "bench"
    referee = load(bench / "score.py")
    rng = np.random.default_rng(4)
    mine, theirs, raw_labels = [], [], [json.loads(p.read_text()) for p in sorted((bench / "open").glob("*/label.json"))]
    for raw, ours in zip(raw_labels, scoring.load_labels(bench / "open"), strict=True):
        pool = [*raw["primary"], *raw["allowed"], "spikes", "plateau", "nan-inf", "own-id", "missing-evidence"]
        findings = [
            {
                "id": str(rng.choice(pool)),
                "severity": str(rng.choice(["error", "warning", "note"])),
                "step": float(rng.integers(0, 300)),
                "confidence": float(rng.random()),
                "caused_by": str(rng.choice(pool)),
            }
            for _ in range(rng.integers(0, 5))
        ]
        theirs.append(referee.judge(raw, [*findings, {"id": "ok", "best_step": 20}]) | {"sec": 0.0, "error": None})
        mine.append(scoring.judge(ours, scoring.Said(findings, 20)))
    total = referee.total(raw_labels, theirs)
    for figure, key in {
        "macro F1": "macro_f1",
        "first finding right": "top1",
        "some right finding": "any_hit",
        "healthy without error or warning": "healthy_clean_share",
        "false alarms a healthy run": "false_alarms_per_healthy",
        "onset in the interval": "onset_hit_rate",
        "best checkpoint within 5 %": "best_step_hit",
        "calibration error": "ece",
    }.items():
        assert scoring.FIGURES[figure](mine) == pytest.approx(total[key]), figure


def test_generator_writes_labelled_logs_that_do_not_change(tmp_path: Path) -> None:
    def generate(name: str) -> dict[str, bytes]:
        command = [
            sys.executable,
            str(ROOT / "benchmarks" / "generate.py"),
            str(tmp_path / name),
            "--only",
            "autoencoder healthy few-epochs",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert done.stdout.startswith("1 cases of 1 trainings (1 healthy)")
        return {p.relative_to(tmp_path / name).as_posix(): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}

    first = generate("a")
    assert first == generate("b")
    (case,) = {name.split("/")[0] for name in first}
    assert json.loads(first[f"{case}/label.json"])["healthy"] is True
    assert any("tfevents" in name for name in first)
