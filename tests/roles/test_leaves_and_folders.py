"""What a folder, a copied key or a missing partner does to a tag: the leaf names the measure, the rest of the run says what it can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbdiag.config import Config
from tbdiag.detectors import _synth
from tbdiag.features import Features
from tbdiag.model import Direction, Run
from tbdiag.roles import resolve

FALLING = _synth.decay(40, 2.3, 0.1)
CLIMBING = 0.9 - _synth.decay(40, 0.8, 0.0)


def read(run: Run) -> dict[str, str]:
    return {s.name: s.key for s in resolve(run, Config()).all}


def run_of(**curves: np.ndarray) -> Run:
    return _synth.make_run(curves)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (
            {"loss/g/total": FALLING, "loss/g/dur": FALLING, "eval/loss/g/total": FALLING},
            {"loss/g/total": "train_loss", "eval/loss/g/total": "val_loss"},
        ),
        ({"loss/g/total": FALLING, "loss/d/total": FALLING}, {"loss/g/total": "generator_loss", "loss/d/total": "discriminator_loss"}),
        (
            {
                "lm-loss-training/lm loss": FALLING,
                "lm-loss-validation/lm loss validation": FALLING,
                "lm-loss-validation/accuracy validation": CLIMBING,
            },
            {"lm-loss-validation/lm loss validation": "val_loss", "lm-loss-validation/accuracy validation": "val_metric"},
        ),
        ({"objective/kl": FALLING, "objective/scores": CLIMBING}, {"objective/kl": "train_loss_component"}),
        (
            {"training_loss": FALLING, "minival/loss": FALLING, "minival/prec@1": CLIMBING},
            {"minival/loss": "val_loss", "minival/prec@1": "val_metric"},
        ),
        (
            {"training loss": FALLING, "valing loss": FALLING, "valing accuracy": CLIMBING},
            {"valing loss": "val_loss", "valing accuracy": "val_metric"},
        ),
        (
            {"train/loss": FALLING, "l2_params": CLIMBING, "global_schedule": FALLING * 1e-3},
            {"l2_params": "weight_norm", "global_schedule": "lr"},
        ),
        (
            {"train_loss_patches/total_loss": FALLING, "test/loss_viewpoint - total_loss": FALLING, "test/loss_viewpoint - acc": CLIMBING},
            {"test/loss_viewpoint - total_loss": "val_loss", "test/loss_viewpoint - acc": "val_metric"},
        ),
        ({"train_loss": FALLING, "train_dice": FALLING / 3}, {"train_dice": "train_loss_component"}),
        ({"train_loss": FALLING, "train_dice": CLIMBING}, {"train_dice": "train_metric"}),
        ({"train/loss": FALLING, "训练/置信度": CLIMBING}, {"训练/置信度": "train_confidence"}),
    ],
)
def test_the_leaf_and_the_company_tell(tags: dict[str, np.ndarray], expected: dict[str, str]) -> None:
    said = read(run_of(**tags))
    assert {name: said[name] for name in expected} == expected


def test_a_key_that_was_copied_to_another_measure_says_no_more_than_the_split() -> None:
    series = {}
    for tag, curve in (("acc_overall", CLIMBING), ("loss_overall", FALLING)):
        for split in ("train", "test"):
            one = replace(_synth.make_series(tag, curve), subrun=f"{tag}_{split} epoch loss")
            series[one.name] = one
    said = read(replace(run_of(), series=series))
    assert said["acc_overall_test epoch loss/acc_overall"] == "val_metric"
    assert said["loss_overall_test epoch loss/loss_overall"] == "val_loss"


def test_a_likelihood_is_what_is_maximised_where_nothing_is_called_loss() -> None:
    of_densities = {"fit.log_likelihood": 2.0 - FALLING, "dev.log_likelihood": 2.0 - FALLING, "dev.accuracy": CLIMBING}
    loss = resolve(run_of(**of_densities), Config()).main("val_loss")
    assert loss is not None
    assert (loss.name, loss.direction) == ("dev.log_likelihood", Direction.HIGHER)
    beside = resolve(run_of(**{"loss": FALLING, "log_likelihood": -FALLING}), Config())
    assert next(s for s in beside.all if s.name == "log_likelihood").key == "train_metric"


@pytest.mark.parametrize(
    "names", [("model/ll", "heldout/ll"), ("fit.log_likelihood", "dev.log_likelihood"), ("logp (train)", "logp (val)")]
)
def test_a_likelihood_that_never_exceeds_zero_is_judged_as_a_loss_in_nats(names: tuple[str, str]) -> None:
    train, val = names
    signals = resolve(run_of(**{train: -FALLING, val: -FALLING, "dev/acc": CLIMBING}), Config())
    for key, name in (("train_loss", train), ("val_loss", val)):
        loss = signals.main(key)
        assert loss is not None
        assert loss.series is not None
        assert (loss.name, loss.direction) == (f"-{name}", Direction.LOWER)
        assert np.allclose(loss.series.value, FALLING)


def test_one_minus_the_error_rate_of_a_classifier_is_its_accuracy() -> None:
    shares = {f"val_recall/{i}": CLIMBING for i in range(3)}
    features = Features(resolve(run_of(**{"loss": FALLING, "val_top1_error": 1 - CLIMBING, **shares}), Config()))
    accuracy = features.curve("val_accuracy")
    assert accuracy is not None
    assert accuracy.value == pytest.approx(CLIMBING, abs=1e-6)
    regression = Features(resolve(run_of(**{"loss": FALLING, "val_error": 1 - CLIMBING}), Config()))
    assert regression.curve("val_accuracy") is None
