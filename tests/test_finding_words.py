"""What single findings say: only what the log holds, and first what would settle it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

import tbdiag
from tbdiag.detectors import _synth, load_detectors
from tbdiag.detectors.nan_inf import _gradients_first
from tbdiag.detectors.stalled import _four_hours, _slow
from tbdiag.diagnosis import diagnose_run
from tbdiag.diagnosis.explaining import explain_away
from tbdiag.model import Finding, Interval, Restart, Run, Severity
from tbdiag.render import render


def found(name: str, run: Any) -> Finding:
    return next(f for f in diagnose_run(run).findings if f.id == name)


def mean_of_classes(**more: Any) -> Run:
    rises = np.arange(20)
    curves = {
        "loss/train": _synth.decay(20, 6.0, 1.0),
        "accuracy/val": 0.8 - 0.5 * np.exp(-rises / 3),
        "balanced_accuracy/val": 0.52 - 0.4 * np.exp(-rises / 3),
    }
    return _synth.make_run(curves | more)


def test_a_mean_over_an_unknown_number_of_classes_is_noted_and_asks_for_the_classes() -> None:
    note = found("class-imbalance", mean_of_classes())
    assert note.severity is Severity.NOTE
    assert "recall of every class" in note.first_action
    assert "majority" not in note.first_check


def test_a_mean_over_five_classes_is_a_warning() -> None:
    shares = {f"val/pred_share/{k}": np.full(20, 0.2) for k in range(5)}
    assert found("class-imbalance", mean_of_classes(**shares)).severity is Severity.WARNING


def test_the_tail_of_a_hundred_classes_is_no_lost_class() -> None:
    up = 1 - np.exp(-np.arange(1, 31) / 4)
    levels = np.clip(np.linspace(0.02, 1.4, 100), 0, 0.97)
    recall = {f"val/recall/{k}": level * up for k, level in enumerate(levels)}
    tail = diagnose_run(_synth.make_run({"train/loss": _synth.decay(30, 4.6, 0.6)} | recall))
    assert "class-imbalance" not in {f.id for f in tail.findings}
    one = {f"val/recall/{k}": (0.0 if k == 7 else 0.7 + 0.002 * k) * up for k in range(100)}
    assert found("class-imbalance", _synth.make_run({"train/loss": _synth.decay(30, 4.6, 0.6)} | one)).severity is Severity.WARNING


def test_a_class_never_found_beside_learned_ones_asks_for_the_labels_first_and_for_no_accuracy() -> None:
    up = 1 - np.exp(-np.arange(1, 31) / 4)
    dice = {f"val/dice/class_{k}": 0.85 * up if k else np.full(30, 0.003) for k in range(4)}
    finding = found("class-imbalance", _synth.make_run({"train/loss": _synth.decay(30, 1.2, 0.2)} | dice))
    said = finding.first_check + finding.first_action + finding.success_rule.sentence
    assert "label" in finding.first_check
    assert "mapping" in finding.first_action
    assert "accuracy" not in said


def test_a_loss_that_its_writer_turned_to_zero_is_told_beside_the_gradients() -> None:
    finding = found("nan-inf", _gradients_first(True))
    assert "grad_norm" in finding.title
    assert any("exactly zero from step 300" in e.statement for e in finding.evidence)


def test_only_tags_whose_repeated_values_differ_are_named() -> None:
    rate, loss = _synth.decay(50, 1e-3, 1e-5), _synth.decay(50, 2.0, 0.3)
    run = _synth.make_run({"train/loss": loss, "train/lr": rate})
    steps = np.arange(20, 32)
    again = {
        name: _synth.make_series(name, value[20:32] + shift, steps)
        for name, value, shift in (("train/loss", loss, 0.2), ("train/lr", rate, 0))
    }
    restart = Restart("step-regression", 20, 31, 1.7e9, points=24, tags=2, agree=False)
    said = found("restart-overlap", replace(run, restarts=(restart,), superseded=again)).evidence[0].statement
    assert "'train/loss' differ" in said
    assert "lr" not in said


def test_a_single_gap_is_looked_up_in_the_logs_of_the_machine_first() -> None:
    gap, slow = diagnose_run(_four_hours()), diagnose_run(_slow())
    assert gap.findings[0].first_action.startswith("Read the scheduler's")
    assert gap.findings[0].causes[0].text.startswith("Preemption")
    assert str(gap.next_experiment["action"] if gap.next_experiment else "").startswith("Read the scheduler's")
    assert slow.findings[0].first_action.startswith("Log loader time")


def test_a_rate_that_does_not_decay_is_no_matter_of_its_own_where_every_update_is_skipped() -> None:
    any_ = found("stalled", _four_hours())
    scale = replace(any_, id="loss-scale-collapse", severity=Severity.ERROR, onset=Interval(510, 520))
    for severity, cause in ((Severity.NOTE, "loss-scale-collapse"), (Severity.WARNING, None)):
        rate = replace(any_, id="lr-schedule", severity=severity, onset=Interval(600, 610))
        assert explain_away((scale, rate), 1000)[1].caused_by == cause


def test_frozen_weights_ask_for_what_the_next_log_can_show() -> None:
    flat = 1.8 + np.random.default_rng(1).normal(0, 0.01, 60)
    finding = found("frozen-weights", _synth.make_run({"train/loss": flat, "train/grad_norm": np.zeros(60)}))
    assert "gradient norm" in finding.success_rule.sentence
    assert "weight" not in finding.success_rule.sentence


def test_validation_is_called_random_only_where_guessing_is_known() -> None:
    rng = np.random.default_rng(2)
    rises = 1 - np.exp(-np.arange(1, 41) / 6)
    curves = {
        "train/loss": 2.2 * (1 - rises) + 0.05,
        "val/loss": 2.8 + rng.normal(0, 0.1, 40),
        "train/accuracy": 0.3 + 0.68 * rises,
        "val/accuracy": 0.15 + rng.normal(0, 0.01, 40),
    }
    curves["val/loss"][0] = 2.4
    finding = found("generalization-gap", _synth.make_run(curves))
    assert "guessing" not in finding.evidence[0].statement
    assert {c.text.split()[0] for c in finding.causes if c.why} == {"Training", "The"}


def test_a_consequence_that_weighs_more_than_its_cause_says_so() -> None:
    """The mark of a run is that of its worst finding, which may be a consequence."""
    for detector in load_detectors():
        for example in detector.examples:
            if not example.fires:
                continue
            report = tbdiag.diagnose([example.make()])
            runs = report.to_dict()["runs"][0]["findings"]
            severity = {f["id"]: f["severity"] for f in runs}
            louder = [f for f in runs if f.get("caused_by") and f["severity"] == "error" and severity.get(f["caused_by"]) == "warning"]
            if louder:
                assert f"{louder[0]['id']} (error)" in " ".join(render(report.to_dict(), "text").split())
                return
    raise AssertionError("no example has such a consequence")
