"""Validation far below training is named, explained, or not spoken of: the runs of `tests/neighbours_ahead.py`."""

from __future__ import annotations

import numpy as np
import pytest

import tbdiag
from tbdiag.detectors import _synth
from tbdiag.model import Finding, Run
from tbdiag.roles import resolve
from tests import neighbours_ahead as ahead
from tests.neighbours_odds import configured, validation_ahead

WARNING, NOTE, NOTHING = "warning", "note", None

CASES = [
    ("a domain classifier that outweighs the gap", ahead.with_term("train/domain_loss", val=0.3), NOTHING),
    ("the same beside a gap that it does not explain", ahead.with_term("train/domain_loss", val=0.15), NOTE),
    ("a penalty whose weight is not known", ahead.with_term("train/penalty_loss", val=0.25, whole=False), NOTE),
    ("a penalty of a thousandth", ahead.with_term("train/penalty_loss", weight=0.001, val=0.1), WARNING),
    ("a term that validation has, too", ahead.with_term("train/domain_loss", val=0.3, twin=True), WARNING),
    ("one of two equal parts", ahead.with_term("train/dice_loss", val=0.3), WARNING),
    ("a sum against a mean", ahead.times_validation(150_000.0), NOTHING),
    ("two measures", ahead.times_validation(25.0, wavers=0.3), NOTHING),
    ("twice, then four times", ahead.times_validation(2.0, grows=2.0), WARNING),
    ("twelve times, then seventy", ahead.times_validation(12.0, grows=6.0), WARNING),
    ("a log of training that ends early", ahead.logged_until(8), NOTHING),
    ("a log of training that ends before the fifth evaluation", ahead.logged_until(3), NOTHING),
    ("wrong labels", ahead.noisy_labels(), WARNING),
    ("wrong labels that the configuration asks for", configured(ahead.noisy_labels(), noise_rate=0.1), NOTE),
    ("none asked for", configured(ahead.noisy_labels(), noise_rate=0.0), WARNING),
    ("mosaic by default", ahead.boxes(), NOTE),
    ("mosaic switched off", configured(ahead.boxes(), mosaic=0.0), WARNING),
    ("mosaic in the configuration", configured(validation_ahead(), mosaic=1.0), NOTE),
]


def _found(run: Run) -> Finding | None:
    return next((f for f in tbdiag.diagnose([run]).runs[0].findings if f.id == "val-better"), None)


@pytest.mark.parametrize(("run", "severity"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_explains_the_gap_is_heard(run: Run, severity: str | None) -> None:
    found = _found(run)
    assert (found.severity.value if found is not None else None) == severity


def test_a_term_that_validation_lacks_is_named_with_what_is_left() -> None:
    found = _found(ahead.with_term("train/domain_loss", val=0.15))
    assert found is not None
    text = next(e.statement for e in found.evidence if "train/domain_loss" in e.statement)
    assert "without it 0.3" in text
    assert "train/domain_loss" in found.causes[0].why


def test_where_the_log_of_training_ends_validation_is_compared_before() -> None:
    falls = ahead.logged_until(20)
    found = next((f for f in tbdiag.diagnose([falls]).runs[0].findings if f.id == "val-better"), None)
    assert found is None


@pytest.mark.parametrize(
    ("run", "labels_first"),
    [
        (ahead.noisy_labels(), True),
        (ahead.noisy_labels(0.8), True),
        (configured(ahead.noisy_labels(), num_classes=10), True),
        (ahead.noisy_labels(level=0.75), False),  # samples of unequal difficulty: dropout, augmentation
        (ahead.noisy_labels(0.8, val=0.85), False),  # validation makes most of these mistakes, too
    ],
)
def test_wrong_labels_come_first_where_accuracy_and_loss_speak_for_them(run: Run, labels_first: bool) -> None:
    report = tbdiag.diagnose([run]).runs[0]
    found = next(f for f in report.findings if f.id == "val-better")
    assert found.causes[0].text.startswith("Training labels are noisier") == labels_first
    experiment = report.next_experiment
    assert experiment is not None
    stays_high = experiment["outcomes"][1]
    assert "training labels of which a part is wrong" in stays_high["means"]
    assert stays_high["then"].startswith("relabel" if labels_first else "drop duplicates")


@pytest.mark.parametrize(
    ("run", "noted"),
    [
        (ahead.noisy_labels(), True),
        (ahead.noisy_labels(0.95), True),  # no gap that would be called one
        (ahead.noisy_labels(level=0.75), False),
        (ahead.noisy_labels(0.8, val=0.85), False),
        (ahead.noisy_labels(0.99, val=0.999), False),
    ],
)
def test_wrong_labels_of_training_alone_are_noted(run: Run, noted: bool) -> None:
    found = {f.id: f.severity.value for f in tbdiag.diagnose([run]).runs[0].findings}
    assert found.get("label-noise") == ("note" if noted else None)


@pytest.mark.parametrize(
    ("beside", "known"), [("lambda_adv", False), ("train/grl_alpha", False), ("train/advance", True), ("train/alpha", True)]
)
def test_an_accuracy_that_training_works_against_is_no_metric(beside: str, known: bool) -> None:
    falls = {"val/loss": ahead.decay(20, 1.0, 0.4, 6.0), "val/domain_acc": 0.6 + ahead.decay(20, 0.2, 0.0, 6.0)}
    run = _synth.make_run(
        {"train/loss": ahead.decay(200, 1.2, 0.4, 6.0), beside: np.linspace(0, 1, 200)}
        | {k: _synth.make_series(k, v, every=10) for k, v in falls.items()}
    )
    assert (resolve(run).main("val_metric") is not None) == known
