"""First actions follow what the log shows: the same symptom asks for another change where something else speaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbdiag.config import Config
from tbdiag.detectors import _synth, epoch_sawtooth
from tbdiag.diagnosis import diagnose_run
from tbdiag.model import Finding, Run, Severity

N, AT = 600, 360


def find(run: Run, finding_id: str) -> Finding:
    return next(f for f in diagnose_run(run, Config()).findings if f.id == finding_id)


def jumped(val_behind: float) -> Run:
    """A classifier whose training loss jumps from 0.5 to 4 at step 360, comes down to 1.8, and a validation loss that goes to `val_behind`."""
    rng = np.random.default_rng(1)
    train = _synth.decay(N, 1.9, 0.45, 8.0) + rng.normal(0, 0.08, N)
    train[AT:] = _synth.decay(N - AT, 4.0, 1.8, 10.0) + rng.normal(0, 0.1, N - AT)
    val = _synth.decay(12, 1.7, 0.55, 8.0) + rng.normal(0, 0.01, 12)
    val[7:] = np.linspace(val_behind, 1.75, 5)
    return _synth.make_run(
        {
            "train/loss": _synth.make_series("train/loss", train),
            "val/loss": _synth.make_series("val/loss", val, np.arange(1, 13) * 50 - 1),
            "train/lr": np.full(N, 1e-3),
        }
    )


def test_a_jump_that_validation_follows_in_part_asks_for_a_look_at_the_data_and_broken_weights_for_a_lower_rate():
    data, weights = find(jumped(0.9), "divergence"), find(jumped(2.2), "divergence")
    assert "what changed in the training data at step 360" in data.first_action
    assert data.causes[0].text.startswith("Data, loss or objective changed")
    assert data.causes[0].why
    assert weights.first_action.startswith("Lower the learning rate from 1e-3 to 3.3e-4 and restart from the last checkpoint before")
    assert weights.causes[0].text.startswith("Learning rate too high")


def diverging(steps: int) -> Run:
    """A loss that leaves its start for good after so many steps."""
    rng = np.random.default_rng(2)
    loss = np.concatenate((np.linspace(1.4, 0.9, steps), np.linspace(1.5, 5.0, 20), np.full(N - steps - 20, 5.0)))
    return _synth.make_run({"train/loss": loss + rng.normal(0, 0.05, N), "train/lr": np.full(N, 0.5)})


def test_the_sooner_a_run_diverged_the_lower_the_rate_that_is_tried():
    assert find(diverging(8), "divergence").first_action == "Lower the learning rate from 0.5 to 5e-3 and rerun."
    assert find(diverging(50), "divergence").first_action == "Lower the learning rate from 0.5 to 0.05 and rerun."


def noisy(**hparams: float | str) -> Run:
    """A validation loss that scatters by half of its level beside a calm training loss."""
    rng = np.random.default_rng(3)
    series = {
        "train/loss": _synth.decay(32, 1.0, 0.18, 5.0) * np.exp(rng.normal(0, 0.03, 32)),
        "val/loss": _synth.decay(32, 0.9, 0.2, 5.0) * np.exp(rng.normal(0, 0.8, 32)),
    }
    return replace(_synth.make_run(series), hparams=hparams)


def test_noisy_validation_asks_for_more_samples_unless_the_rate_is_beyond_what_the_optimiser_bears():
    assert find(noisy(optimizer="adam", learning_rate=1e-3), "noisy-validation").first_action.startswith("Evaluate on the full")
    wild = find(noisy(optimizer="adam", learning_rate=0.12), "noisy-validation")
    assert wild.first_action == "Lower the learning rate from 0.12 to 1e-3 and rerun otherwise unchanged."
    assert wild.causes[0].why == "the rate is 0.12"
    assert wild.fixes[0].startswith("Evaluate on the full")


def test_noisy_validation_under_a_high_rate_that_never_decays_asks_for_the_decay_first():
    def under(rates: np.ndarray) -> Finding:
        run = noisy()
        return find(replace(run, series={**run.series, "lr": _synth.make_series("lr", rates)}), "noisy-validation")

    high = under(np.full(32, 0.1))
    assert high.first_action == "Lower the learning rate from 0.1 to 0.01 and resume from the last checkpoint for a tenth of the budget."
    assert high.causes[0].why == "the rate is 0.1 to the end"
    assert under(np.full(32, 1e-3)).first_action.startswith("Evaluate on the full")
    assert under(np.linspace(0.1, 1e-3, 32)).first_action.startswith("Evaluate on the full")


def rising(slope: float) -> Run:
    rng = np.random.default_rng(4)
    n = 40
    val = _synth.decay(n, 2.0, 0.5, 30.0) + slope * np.clip(np.arange(n) - 8, 0, None) + rng.normal(0, 0.002, n)
    return _synth.make_run({"train/loss": _synth.decay(n, 2.0, 0.02, 6.0), "val/loss": val})


def test_early_stopping_waits_as_long_as_the_rise_allows():
    assert "after 3 evaluations" in find(rising(0.006), "overfitting").first_action
    assert "after one evaluation" in find(rising(0.04), "overfitting").first_action


def thrown(end: float) -> Run:
    """SGD at a rate of 1: the loss is thrown up at once and stands, jumping, at `end`; guessing costs 1.4."""
    rng = np.random.default_rng(5)
    loss = np.concatenate(([1.4, 3.0], np.full(98, end) * np.exp(rng.normal(0, 0.05, 98))))
    val = _synth.make_series("val/loss", end * np.exp(rng.normal(0, 0.3, 12)), np.arange(1, 13) * 8)
    series = {
        "train/loss": loss,
        "val/loss": val,
        "val/accuracy": _synth.make_series("val/accuracy", np.full(12, 0.25), np.arange(1, 13) * 8),
    }
    return replace(_synth.make_run(series), hparams={"optimizer": "sgd", "learning_rate": 1.0, "num_classes": 4})


def test_a_rate_at_which_nothing_was_ever_learned_goes_to_a_hundredth():
    assert find(thrown(5.0), "lr-too-high").first_action == "Lower the learning rate from 1 to 0.01 and rerun otherwise unchanged."
    assert find(thrown(1.6), "lr-too-high").first_action == "Lower the learning rate from 1 to 0.1 and rerun otherwise unchanged."


def standing(rate: np.ndarray) -> Run:
    """A classifier that stands at a third of its accuracy, evaluation for evaluation the same, under a logged learning rate."""
    rng = np.random.default_rng(7)
    val = {"val/loss": _synth.decay(20, 2.2, 1.72, 30.0), "val/accuracy": 0.37 - _synth.decay(20, 0.27, 0.0, 30.0)}
    evaluations = {k: _synth.make_series(k, v, np.arange(20) * 30) for k, v in val.items()}
    return _synth.make_run({"train/loss": _synth.decay(N, 2.3, 1.7, 30.0) + rng.normal(0, 0.01, N), "lr": rate, **evaluations})


def test_a_plateau_under_a_rate_that_never_decayed_is_not_blamed_on_its_decay():
    kept, gone = find(standing(np.full(N, 1e-2)), "plateau"), find(standing(1e-2 * np.maximum(0.95 ** np.arange(N), 1e-4)), "plateau")
    assert kept.first_action.startswith("Lower the learning rate from 1e-2 to 1e-3")
    assert kept.causes[0].why == "the rate never decays"
    assert not any("decayed too early" in cause.text for cause in kept.causes)
    assert gone.first_action.startswith("Hold the learning rate at its peak")
    assert "decayed too early" in gone.causes[0].text


def bouncing(**hparams: float | str) -> Run:
    """A loss that stands restless under a constant rate, and gradients that are cut to a fifth at every step."""
    rng = np.random.default_rng(8)
    before = 5 * np.exp(rng.normal(0, 0.2, N))
    series = {
        "train/loss": _synth.decay(N, 2.3, 0.9, 20.0) + rng.normal(0, 0.12, N),
        "val/loss": _synth.make_series("val/loss", _synth.decay(20, 2.3, 0.95, 20.0), np.arange(20) * 30),
        "lr": np.full(N, 0.03),
        "grad_norm/before_clip": before,
        "grad_norm/after_clip": np.minimum(before, 1.0),
    }
    return replace(_synth.make_run(series), hparams=hparams)


def test_what_may_be_meant_is_a_note_with_what_to_try():
    rate, clipping = (find(bouncing(optimizer="adamw"), i) for i in ("lr-schedule", "clipping-saturated"))
    assert rate.severity is clipping.severity is Severity.NOTE
    assert rate.first_action.startswith("Lower the learning rate from 0.03 to 3e-3 and resume")
    assert "does not see a constant factor" in clipping.evidence[-1].statement
    assert not any(f.id == "lr-schedule" for f in diagnose_run(bouncing(optimizer="prodigy"), Config()).findings)


def cut_short(epochs: float, **hparams: float) -> Run:
    """A loss that falls in nearly a straight line over 400 steps and eight epochs, under a rate that is configured."""
    x = np.linspace(0, 1, 40)
    loss = 2.3 - 1.2 * x + 0.1 * x**2 + np.random.default_rng(5).normal(0, 0.02, 40)
    series = {"train/loss": loss, "val/loss": loss + 0.02, "epoch": np.floor(8 * np.arange(40) / 40)}
    return replace(_synth.make_run(series, every=10), hparams={"epochs": epochs, "learning_rate": 1e-3, **hparams})


def test_a_run_that_ended_before_its_planned_epochs_is_resumed_before_its_rate_is_raised():
    cut, limited, whole = (find(r, "unconverged") for r in (cut_short(50), cut_short(50, max_steps=391), cut_short(8)))
    assert cut.first_action == "Resume from step 390 towards the planned 50 epochs (about 2,500 steps)."
    assert "The configuration plans 50 epochs; the log ends in epoch 8, 16% of the way." in [e.statement for e in cut.evidence]
    assert [c.text for c in cut.causes if c.why] == ["The run was stopped or killed"]
    assert limited.first_action.startswith("Raise the limit of 391 steps and resume from step 390")
    assert whole.first_action.startswith("Raise the learning rate from 1e-3 to 5e-3")
    assert not any(c.why for c in whole.causes)


@pytest.mark.parametrize(
    ("rate", "optimizer", "raised"), [(0.03, "ranger", False), (4e-3, "adam", False), (0.03, "sgd", True), (2e-3, "adam", True)]
)
def test_no_rate_is_raised_beyond_what_its_optimiser_bears(rate: float, optimizer: str, raised: bool):
    """What lr-too-high would then call too high: the run goes on instead."""
    action = find(cut_short(8, learning_rate=rate, optimizer=optimizer), "unconverged").first_action
    assert action.startswith("Raise the learning rate" if raised else "Resume from step 390")


def test_raising_the_rate_tests_the_rate():
    told = diagnose_run(cut_short(8), Config()).next_experiment
    assert told is not None
    passes, fails = told["outcomes"]
    assert passes["means"] == "a learning rate that is too low"
    assert passes["then"] == "keep the change"
    assert fails["means"] == "a budget of steps that was too small"


def warming(steps: int, **hparams: float) -> Run:
    """A rate that rises to the last of so many steps, logged twenty times, a fiftieth of an epoch in each."""
    at = np.arange(20)
    series = {"train/loss": 2.7 - 0.4 * at / 19, "lr": 1e-4 * (at + 1) / 20, "epoch": 0.01 * (at + 1)}
    return replace(_synth.make_run(series, every=steps // 20), hparams=hparams)


def test_a_warm_up_in_the_head_of_a_longer_run_is_not_shortened():
    stopped, short, long = (
        find(r, "lr-schedule") for r in (warming(200, num_train_epochs=3, warmup_steps=500), warming(200), warming(4000))
    )
    assert stopped.title == "The log ends within the warm-up, at 7% of the 3 planned epochs"
    assert stopped.first_action.startswith("Resume from the last checkpoint (or start anew) and train to the planned end")
    assert "warmup_steps" not in short.first_action + stopped.first_action
    assert short.first_action.startswith("Train past the warm-up")
    assert long.first_action == "End the warm-up after 5 % of the run: set warmup_steps to 190 (steps)."


def test_a_sawtooth_that_comes_with_training_is_no_order_of_the_data():
    learned, ordered = (
        find(next(e for e in epoch_sawtooth.EXAMPLES if e.name.startswith(name)).make(), "epoch-sawtooth")
        for name in ("samples known", "sorted")
    )
    assert learned.first_action.startswith("Regularise")
    assert learned.causes[0].text == "The samples are memorised over many epochs"
    assert ordered.first_action.startswith("Reshuffle every epoch")


def test_a_loss_that_got_worse_is_not_told_to_stand():
    rng = np.random.default_rng(6)
    level = np.concatenate((np.linspace(0.08, 0.05, 10), np.full(40, 1.2)))
    wild = level * np.exp(rng.normal(0, 0.9, 50))
    ten = np.array([2.16, 2.9, 3.6, 3.5, 3.8, 3.6, 3.9, 3.7, 3.6, 3.7])
    told = [[f.title for f in diagnose_run(_synth.make_run({"loss": x}), Config()).findings if f.id == "no-learning"] for x in (wild, ten)]
    assert not any("does not move" in t for titles in told for t in titles)


def test_a_run_that_is_still_being_written_may_be_in_its_warm_up():
    run = warming(4000)
    run = replace(run, files=tuple(replace(f, last_wall_time=1000.0) for f in run.files))
    live, ended = ({f.id for f in diagnose_run(run, Config(), now=now).findings} for now in (1010.0, 1e9))
    assert "lr-schedule" in ended
    assert "lr-schedule" not in live
