"""Classes that only a run stuck at guessing gives away, and tags of one letter or one number."""

from __future__ import annotations

import numpy as np
import pytest

from tbdiag.detectors import _synth
from tbdiag.features import Features
from tbdiag.features.levels import guessing
from tbdiag.model import Role
from tbdiag.roles import resolve


def test_a_run_thrown_up_and_stuck_at_guessing_tells_its_classes() -> None:
    rng = np.random.default_rng(1)
    loss = 1.95 + 12 * np.exp(-np.arange(40.0)) + rng.normal(0, 0.005, 40)
    signals = resolve(_synth.make_run({"val/loss": loss, "train/loss": loss, "val/accuracy": 0.143 + rng.normal(0, 0.004, 40)}))
    guess = guessing(Features(signals))
    assert guess.classes == 7
    assert guess.chance == pytest.approx(np.log(7))


@pytest.mark.parametrize(("loss", "accuracy"), [(1.10, 0.62), (0.693, 0.62), (1.95, 0.30), (0.35, 0.90)])
def test_a_run_that_learned_does_not(loss: float, accuracy: float) -> None:
    value = _synth.decay(40, 4.0, loss, 8.0)
    signals = resolve(_synth.make_run({"val/loss": value, "train/loss": value, "val/accuracy": accuracy - _synth.decay(40, 0.2, 0.0, 8.0)}))
    assert guessing(Features(signals)).classes is None


def test_predicted_with_a_number_is_the_share_of_a_class() -> None:
    others = dict.fromkeys(("train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr"), np.ones(10))
    signals = resolve(_synth.make_run({f"predicted/{c}": np.full(10, 0.25) for c in range(4)} | others))
    assert {s.class_id for s in signals.role(Role.PREDICTION_SHARE)} == {"0", "1", "2", "3"}


@pytest.mark.parametrize(
    ("tag", "role"),
    [
        ("hist.g.fc1.weight", Role.GRADIENT_HISTOGRAM),
        ("hist/w/fc1", Role.WEIGHT_HISTOGRAM),
        ("histograms/a/relu1", Role.ACTIVATION_HISTOGRAM),
    ],
)
def test_one_letter_tells_the_kind_of_a_histogram(tag: str, role: Role) -> None:
    made = _synth.make_histograms(tag, [np.random.default_rng(i).normal(0, 1, 50) for i in range(3)])
    (signal,) = [s for s in resolve(_synth.make_run({"loss": np.ones(5)}, histograms=[made])).all if s.histogram is not None]
    assert signal.role is role
