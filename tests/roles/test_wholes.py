"""The whole beside the parts of a loss, an evaluation's mean beside its batches, rates that a schedule names: with their silent neighbours."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Role, Signals
from tbdiag.roles import resolve

FALL = _synth.decay(40, 20.0, 3.0)


def read(tags: dict[str, object]) -> Signals:
    return resolve(_synth.make_run(tags))


def main(signals: Signals, key: str) -> str:
    found = signals.main(key)
    return found.name if found is not None else ""


def role(signals: Signals, name: str) -> Role:
    return next(s.role for s in signals.all if s.name == name)


def parts(split: str) -> dict[str, object]:
    return {f"{split}/Style": 0.1 * FALL, f"{split}/KL Divergence": 0.3 * FALL, f"{split}/Overall": FALL}


def test_overall_beside_parts_is_the_loss() -> None:
    signals = read(parts("Training") | parts("Validation"))
    assert main(signals, "train_loss") == "Training/Overall"
    assert main(signals, "val_loss") == "Validation/Overall"
    assert role(signals, "Training/Style") is Role.LOSS_COMPONENT


def test_overall_without_parts_or_beside_a_loss_stays_unknown() -> None:
    alone = {"Training/Overall": 1 - FALL / 30, "Validation/Overall": 1 - FALL / 25, "Training/Style": FALL}
    assert role(read(alone), "Training/Overall") is Role.UNKNOWN
    beside = parts("Training") | parts("Validation") | {"Training/Loss": FALL, "Validation/Loss": FALL}
    signals = read(beside)
    assert main(signals, "train_loss") == "Training/Loss"
    assert role(signals, "Training/Overall") is Role.UNKNOWN


def test_of_an_evaluation_the_mean_counts_and_of_training_the_batches() -> None:
    steps = np.arange(49, 2049, 50)
    logged = {
        "train_loss_step": _synth.make_series("train_loss_step", FALL, steps),
        "train_loss_epoch": _synth.make_series("train_loss_epoch", FALL[::4], steps[::4]),
        "val_loss_step": _synth.make_series("val_loss_step", np.repeat(FALL, 5), np.arange(200)),
        "val_loss_epoch": _synth.make_series("val_loss_epoch", FALL[::4], steps[::4]),
    }
    signals = read(logged)
    assert main(signals, "val_loss") == "val_loss_epoch"
    assert main(signals, "train_loss") == "train_loss_step"
    del logged["val_loss_epoch"]
    assert main(read(logged), "val_loss") == "val_loss_step"


def test_a_schedule_by_its_own_name_is_the_learning_rate() -> None:
    rate = np.linspace(3e-5, 0, 40)
    assert main(read({"train/loss": FALL, "linear-schedule/pg1": rate}), "lr") == "linear-schedule/pg1"
    assert not main(read({"train/loss": FALL, "linear-schedule/pg1": 1e3 * rate / rate[0]}), "lr")
    assert main(read({"train/loss": FALL, "linear-schedule/pg1": rate, "lr": rate}), "lr") == "lr"
