"""One measure has one stem, whatever words say of which part of the data it was taken."""

from __future__ import annotations

import numpy as np
import pytest

from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.roles.resolve import resolve

FALLING = np.linspace(1.0, 0.4, 30)


@pytest.mark.parametrize(
    ("train", "val", "alike"),
    [
        ("minibatch_loss", "heldout_loss", True),
        ("Loss while training (mean of 8)", "Loss on unseen data", True),
        ("baseline_v3/loss", "baseline_v3/validation/loss", True),
        ("train/total_loss", "val/box_loss", False),
        ("train/loss", "val/weighted_loss", False),
    ],
)
def test_stems_of_both_splits(train: str, val: str, alike: bool) -> None:
    signals = resolve(_synth.make_run({train: FALLING, val: FALLING + 0.05}))
    stems = {s.key: s.stem for s in signals.all if s.main}
    assert (stems["train_loss"] == stems["val_loss"]) == alike


@pytest.mark.parametrize("train", ["train/loss", "minibatch_loss"])
def test_validation_ahead_is_seen_under_either_name(train: str) -> None:
    rng = np.random.default_rng(4)
    high, low = 1.0 + 0.6 * np.exp(-np.arange(40) / 8), 0.4 + 0.7 * np.exp(-np.arange(40) / 8)
    run = _synth.make_run({train: high + rng.normal(0, 0.02, 40), "heldout_loss": low + rng.normal(0, 0.01, 40)})
    assert "val-better" in {f.id for f in diagnose_run(run).findings}
