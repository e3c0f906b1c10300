"""What the curve detectors say of logs that are unlike the usual pair of losses: metrics only, signed losses, several validation sets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbdiag.config import Config
from tbdiag.detectors import _synth
from tbdiag.engine import run_detectors
from tbdiag.features import Features
from tbdiag.model import Finding, Run, Severity
from tbdiag.roles import resolve


def find(run: Run) -> dict[str, Finding]:
    outcomes = run_detectors(Features(resolve(run, Config())), Config())
    return {o.id: o.finding for o in outcomes if o.finding is not None and o.finding.severity is not Severity.NOTE}


def rising(n: int, seed: int) -> np.ndarray:
    x = np.linspace(0, 1, n)
    return _synth.decay(n, 2.3, 0.6, 12) + 0.9 * np.clip(x - 0.3, 0, None) + np.random.default_rng(seed).normal(0, 0.01, n)


def test_overfitting_counts_the_validation_sets_that_rise():
    still = _synth.decay(60, 2.3, 0.4) + np.random.default_rng(1).normal(0, 0.01, 60)
    series = {"train/loss": _synth.decay(60, 2.3, 0.05), "val/loss": rising(60, 2), "val_seen/loss": still, "val_new/loss": rising(60, 3)}
    said = [e.statement for e in find(_synth.make_run(series))["overfitting"].evidence]
    assert "Of 3 validation losses 2 rise beyond their noise." in said


def test_metrics_alone_tell_divergence_shift_gap_and_no_learning():
    rng = np.random.default_rng(4)
    n = 40
    learned = 0.95 - 0.85 * np.exp(-np.linspace(0, 6, n))
    gone = np.where(np.arange(n) < 20, learned, 0.1)
    noise = rng.normal(0, 0.004, (2, n))
    run = _synth.make_run({"accuracy/train": gone + noise[0], "accuracy/val": gone - 0.02 + noise[1]})
    assert "divergence" in find(run)
    run = _synth.make_run({"accuracy/train": learned + noise[0], "accuracy/val": np.where(np.arange(n) < 20, learned, 0.5) + noise[1]})
    assert "sudden-shift" in find(run)
    run = _synth.make_run({"accuracy/train": learned + noise[0], "accuracy/val": 0.6 * learned + noise[1]})
    assert set(find(run)) == {"generalization-gap"}
    run = _synth.make_run({"accuracy/train": 0.1 + noise[0], "accuracy/val": 0.1 + noise[1]})
    assert set(find(run)) == {"no-learning"}


def test_epochs_of_four_steps_are_laid_on_the_steps():
    rng = np.random.default_rng(5)
    train = 2.3 - 1.2 * np.linspace(0, 1, 120) + rng.normal(0, 0.02, 120)
    val = _synth.make_series("val_loss", train[3::4] + 0.01, step=np.arange(30), seconds=4.0)
    run = _synth.make_run({"train_loss": _synth.make_series("train_loss", train), "val_loss": replace(val, wall_time=val.wall_time + 4.0)})
    assert set(find(run)) == {"unconverged"}


def test_unconverged_says_what_half_as_many_steps_would_bring():
    t = np.arange(15, 45)
    loss = 0.5 + 3.0 * t**-0.5 + np.random.default_rng(6).normal(0, 0.002, 30)
    finding = find(_synth.make_run({"train/loss": loss, "val/loss": loss + 0.01}))["unconverged"]
    ahead = next(e.numbers["ahead"] for e in finding.evidence if "ahead" in e.numbers)
    assert ahead == pytest.approx(0.51 + 3.0 * 59**-0.5, abs=0.03)


def test_even_guessing_at_the_end_is_no_learning_however_high_the_first_loss():
    rng = np.random.default_rng(7)
    n = 50
    loss = np.log(7) + 12 * np.exp(-np.arange(n) / 1.5) + np.abs(rng.normal(0, 0.01, n))
    accuracy = 1 / 7 + rng.normal(0, 0.004, n)
    run = _synth.make_run({"train/loss": loss, "train/accuracy": accuracy, "val/loss": loss, "val/accuracy": accuracy})
    assert "no-learning" in find(run)


def test_a_shift_is_not_told_where_the_loss_broke():
    n = 40
    train = _synth.decay(n, 1.4, 0.15)
    train[20:] = np.nan
    accuracy = np.where(np.arange(n) < 20, 0.9 - _synth.decay(n, 0.5, 0.0), 0.2)
    found = find(_synth.make_run({"train/loss": train, "val/accuracy": accuracy}))
    assert "nan-inf" in found
    assert "sudden-shift" not in found


def test_what_ends_in_nan_is_not_said_to_have_come_down_or_to_be_followed_by_nothing():
    rng = np.random.default_rng(11)
    loss = 0.4 + 2 * np.exp(-4 * np.linspace(0, 1, 600)) + rng.normal(0, 0.03, 600)
    loss[404:440] += np.exp(np.linspace(-1, 5, 36))
    loss[440:] = np.nan
    val = loss[::30] + 0.05
    run = _synth.make_run({"train/loss": loss, "val/loss": _synth.make_series("val/loss", val, np.arange(0, 600, 30))})
    said = " ".join(e.statement for f in find(run).values() for e in f.evidence)
    assert "before it was NaN or infinite for good" in said
    assert "The validation loss followed: from" in said
    assert "did not follow" not in said
    assert "before it came down" not in said
