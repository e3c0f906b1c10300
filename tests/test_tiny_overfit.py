"""A run that is a tiny overfit test is judged as one, and only where it says that it is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.features import Features
from tbdiag.model import Run, RunReport
from tbdiag.roles import resolve


def memorises(name: str = "runs/exp7", **hparams: float | str | bool) -> Run:
    """Training goes to zero while validation worsens: overfitting, unless memorising is the aim."""
    rng = np.random.default_rng(5)
    n = 100
    rise = np.concatenate((_synth.decay(30, 2.3, 1.4, 5.0), np.linspace(1.4, 3.4, n - 30)))
    series = {
        "train/loss": _synth.decay(n, 2.3, 0.003, 8.0) * np.exp(rng.normal(0, 0.03, n)),
        "val/loss": rise + rng.normal(0, 0.02, n),
    }
    return replace(_synth.make_run(series, name=name), hparams=hparams)


def stuck(name: str = "runs/exp7", **hparams: float | str | bool) -> Run:
    rng = np.random.default_rng(6)
    return replace(_synth.make_run({"train/loss": _synth.decay(80, 2.3, 1.1, 9.0) + rng.normal(0, 0.01, 80)}, name=name), hparams=hparams)


def loud(report: RunReport) -> set[str]:
    return {f.id for f in report.findings if f.severity.value != "note"}


def test_memorising_is_overfitting_on_an_ordinary_run_and_the_aim_of_a_tiny_test() -> None:
    assert loud(diagnose_run(memorises())) == {"overfitting"}
    report = diagnose_run(memorises(overfit_batches=1))
    assert loud(report) == set()
    assert report.verdict == "healthy"
    assert "tiny-overfit-passed" in {f.id for f in report.findings}
    (check,) = [c for c in report.checks if c.id == "overfitting"]
    assert "memorising" in check.why


def test_a_tiny_test_that_stops_half_way_is_an_error_with_the_limit_in_its_rule() -> None:
    assert "tiny-overfit-fails" not in {f.id for f in diagnose_run(stuck()).findings}
    (finding,) = [f for f in diagnose_run(stuck(max_train_samples=64)).findings if f.id == "tiny-overfit-fails"]
    assert finding.severity.value == "error"
    assert "64" in finding.evidence[0].statement
    assert 0.10 < finding.success_rule.all[0].threshold < 0.13


def test_a_test_that_never_moves_is_not_told_to_run_the_test_that_it_is() -> None:
    rng = np.random.default_rng(7)
    loss = 2.303 + rng.normal(0, 0.003, 60)
    run = replace(_synth.make_run({"train/loss": loss, "train/accuracy": np.full(60, 0.1)}), hparams={"overfit_batches": 1})
    head, *rest = diagnose_run(run).findings
    assert head.id == "tiny-overfit-fails"
    assert "parameters that the optimiser holds" in head.first_action
    assert [f.caused_by for f in rest if f.id == "no-learning"] == ["tiny-overfit-fails"]


def test_the_first_action_follows_what_the_log_shows() -> None:
    def action(**hparams: float | str | bool) -> str:
        return next(f.first_action for f in diagnose_run(stuck(overfit_batches=1, **hparams)).findings if f.id == "tiny-overfit-fails")

    assert "labels" in action()
    assert "dropout to 0" in action(dropout=0.3)


@pytest.mark.parametrize(
    ("name", "hparams"),
    [
        ("runs/overfit_one_batch", {}),
        ("runs/tiny-overfit-test", {}),
        ("overfit-64-samples/lightning_logs/version_3", {}),
        ("runs/exp1", {"overfit_batches": 4}),
        ("runs/exp1", {"data/overfit": True}),
        ("runs/exp1", {"run_name": "sanity_overfit"}),
        ("runs/sanity", {"num_train_samples": 128}),
        ("runs/debug", {"limit_train_batches": 2}),
    ],
)
def test_a_tiny_test_is_recognised(name: str, hparams: dict[str, float | str | bool]) -> None:
    assert Features(resolve(memorises(name, **hparams))).tiny_test is not None


@pytest.mark.parametrize(
    ("name", "hparams"),
    [
        ("runs/exp1", {}),
        ("runs/overfitting", {}),
        ("runs/overfit", {}),
        ("small-dataset-overfitting/version_0", {}),
        ("tiny-imagenet/resnet18", {}),
        ("runs/exp1", {"overfit_batches": 0.0, "limit_train_batches": 1.0, "data/overfit": False}),
        ("runs/exp1", {"num_train_samples": 128}),
        ("runs/exp1", {"max_train_samples": 128}),
        ("runs/sanity", {"num_train_samples": 50_000}),
    ],
)
def test_a_run_that_does_not_say_so_is_none(name: str, hparams: dict[str, float | str | bool]) -> None:
    """All of these log a validation loss, so that training on few data may be meant in earnest."""
    assert Features(resolve(memorises(name, **hparams))).tiny_test is None
