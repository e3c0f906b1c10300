"""The tag that a first action asks people to log must not become the validation loss."""

from __future__ import annotations

import pytest

from tbdiag.detectors import _synth
from tbdiag.roles import resolve


@pytest.mark.parametrize(("train", "val"), [("train/loss", "val/loss"), ("Loss/train", "Loss/val"), ("train/loss", "eval/loss")])
def test_training_data_through_the_evaluation_code_stays_training(train: str, val: str) -> None:
    run = _synth.make_run({tag: _synth.decay(50, 2.0, 0.3) for tag in (train, val, "train_eval/loss")})
    signals = resolve(run)
    main_train, main_val = signals.main("train_loss"), signals.main("val_loss")
    assert main_train is not None
    assert main_val is not None
    assert (main_train.name, main_val.name) == (train, val)
    assert next(s for s in signals.all if s.name == "train_eval/loss").split.value == "train"
