"""The six-line note: the words of the trade for the curve, what the predictions and gradients say, a data check, one action, one rule."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import tbdiag
from tbdiag.detectors import _synth, load_detectors
from tbdiag.diagnosis import diagnose_run
from tbdiag.diagnosis.notes import PATTERNS
from tbdiag.model import Note

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
WORDS = ("underfit", "overfit", "unstable", "collapse", "unclear", "healthy")


def note(name: str) -> Note:
    (run,) = tbdiag.diagnose(tbdiag.read(FIXTURES / name / "logs")).runs
    return run.note


@pytest.mark.parametrize(
    ("fixture", "word"),
    [
        ("underfitting", "underfit"),
        ("overfitting", "overfit"),
        ("instability", "unstable"),
        ("divergence", "unstable"),
        ("nan-loss", "unstable"),
        ("collapse-counts", "collapse"),
        ("no-learning", "underfit"),
        ("plateau", "underfit"),
        ("vanishing-gradients", "underfit"),
        ("sudden-shift", "unclear"),
        ("truncated", "unclear"),
        ("healthy-dropout", "healthy"),
    ],
)
def test_the_curve_pattern_is_one_of_the_words_of_the_trade(fixture: str, word: str) -> None:
    assert note(fixture).curve_pattern.startswith(word)


def test_best_and_final_are_told_where_the_end_is_worse() -> None:
    assert re.search(r"worsens from [\d.]+ to [\d.]+ after step \d+", note("overfitting").curve_pattern)
    told = note("divergence").curve_pattern
    assert re.search(r"; best validation loss [\d.]+ at step \d+, [\d.]+ at the end$", told), told
    assert "best" not in note("healthy-dropout").curve_pattern


def test_gradients_are_told_as_norm_with_a_check_for_nan() -> None:
    rng = np.random.default_rng(1)
    norm = 1 + 0.1 * rng.normal(size=60)
    loss = 0.3 + 2 * np.exp(-np.arange(60) / 10) + rng.normal(0, 0.01, 60)
    series = {"train/loss": loss, "val/loss": loss + 0.02}
    assert diagnose_run(_synth.make_run(series)).note.gradient_signal == "gradient norm was not logged"
    assert diagnose_run(_synth.make_run({**series, "grad_norm": norm})).note.gradient_signal.endswith("no NaN or Inf")
    norm[50] = np.nan
    assert "1 of 60 points NaN or Inf" in diagnose_run(_synth.make_run({**series, "grad_norm": norm})).note.gradient_signal


def test_the_data_check_is_about_data() -> None:
    assert "split" in note("overfitting").data_check
    assert "batches around step" in note("nan-loss").data_check
    assert "labels" in note("no-learning").data_check
    assert note("healthy-dropout").data_check == "nothing in the log speaks against labels, split, leakage or preprocessing"


def test_action_and_rule_are_those_of_the_next_experiment() -> None:
    (run,) = tbdiag.diagnose(tbdiag.read(FIXTURES / "overfitting" / "logs")).runs
    assert run.next_experiment is not None
    assert run.note.chosen_action == run.next_experiment["action"]
    assert run.note.success_rule == run.next_experiment["success_rule"]


def test_every_supervised_finding_has_a_pattern_and_every_note_six_plain_lines() -> None:
    placed = {i for _, ids in PATTERNS for i in ids}
    for detector in load_detectors():
        for example in detector.examples[:1]:
            lines = diagnose_run(example.make()).note.lines()
            assert len(lines) == 6
            assert all("\n" not in line and "  " not in line for line in lines)
    missing = {d.id for d in load_detectors() if d.severity.rank < 2} - placed
    assert missing <= {"explained-variance-low", "policy-clipping", "likelihood-displacement"}, missing
