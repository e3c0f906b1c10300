"""Losses and metrics that only their likeness and their course give away, and what must not be taken for them."""

from __future__ import annotations

import numpy as np
import pytest

from tbdiag.config import Config
from tbdiag.detectors import _synth
from tbdiag.model import Run
from tbdiag.roles import resolve


def _run(train: dict[str, str], val: dict[str, str], **more: np.ndarray) -> Run:
    """Training logs 120 points, validation 15; each tag with its course."""
    rng = np.random.default_rng(3)
    course = {
        "falls": lambda n: _synth.decay(n, 2.3, 0.4),
        "rises": lambda n: 0.9 - _synth.decay(n, 0.7, 0.0),
        "stands": lambda n: np.full(n, 0.5),
    }
    made = {}
    for tags, n, every in ((train, 120, 5), (val, 15, 40)):
        for tag, kind in tags.items():
            made[tag] = _synth.make_series(tag, course[kind](n) + rng.normal(0, 0.005, n), np.arange(1, n + 1) * every)
    return _synth.make_run({**made, **more})


def _keys(run: Run) -> dict[str, str]:
    return {x.name: x.key for x in resolve(run, Config()).all if x.role.value != "unknown"}


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("learnTotal", "judgeTotal"),
        ("J_A", "J_B"),
        ("surprise (books)", "surprise (held-out book)"),
        ("u_fit", "u_new"),
        ("cost @practice", "cost @exam"),
        ("koszt nauki", "koszt walidacji"),
        ("penalty/day crew", "penalty/night crew (validation)"),
    ],
)
def test_what_falls_in_twins_is_the_loss_and_the_sparser_is_validation(train: str, val: str) -> None:
    keys = _keys(_run({train: "falls"}, {val: "falls"}))
    assert keys == {train: "train_loss", val: "val_loss"}


def test_the_words_of_the_losses_tell_the_splits_of_the_rest() -> None:
    keys = _keys(_run({"cost/practice": "falls", "accuracy/practice": "rises"}, {"cost/exam": "falls", "accuracy/exam": "rises"}))
    assert keys == {
        "cost/practice": "train_loss",
        "accuracy/practice": "train_metric",
        "cost/exam": "val_loss",
        "accuracy/exam": "val_metric",
    }


@pytest.mark.parametrize(
    ("train", "val"), [("day/{}", "night/{}"), ("{}", "{} of the gate"), ("{}/train", "{}/gate"), ("{} (shelf)", "{} (drawer)")]
)
def test_words_that_losses_and_scores_share_name_the_split(train: str, val: str) -> None:
    names = {kind: (train.format(kind), val.format(kind)) for kind in ("loss", "accuracy")}
    keys = _keys(
        _run({names["loss"][0]: "falls", names["accuracy"][0]: "rises"}, {names["loss"][1]: "falls", names["accuracy"][1]: "rises"})
    )
    assert (keys[names["loss"][0]], keys[names["loss"][1]]) == ("train_loss", "val_loss")
    assert (keys[names["accuracy"][0]], keys[names["accuracy"][1]]) == ("train_metric", "val_metric")


def test_a_word_that_all_share_names_no_split_where_twins_tell() -> None:
    keys = _keys(_run({"fit/inner/cost": "falls"}, {"fit/outer/cost": "falls", "fit/outer/f1": "rises"}))
    assert keys == {"fit/inner/cost": "train_loss", "fit/outer/cost": "val_loss", "fit/outer/f1": "val_metric"}


def test_what_rises_between_bounds_is_the_metric_where_nothing_else_is() -> None:
    keys = _keys(_run({"loss/practice": "falls", "marks/practice": "rises"}, {"loss/exam": "falls", "marks/exam": "rises"}))
    assert keys["marks/exam"] == "val_metric"
    assert keys["marks/practice"] == "train_metric"
    keys = _keys(_run({"loss/train": "falls"}, {"loss/val": "falls", "accuracy/val": "rises", "sharpness/val": "rises"}))
    assert "sharpness/val" not in keys


@pytest.mark.parametrize(
    ("train", "other"),
    [
        ({"train/loss_ctc": "falls"}, {"train/loss_att": "falls"}),
        ({"train/loss": "falls"}, {"train/pde_loss": "falls"}),
        ({"loss/step": "falls"}, {"loss/epoch": "falls"}),
    ],
)
def test_parts_of_a_loss_and_its_means_are_no_twins(train: dict[str, str], other: dict[str, str]) -> None:
    assert "val_loss" not in _keys(_run(train, other)).values()


@pytest.mark.parametrize(("one", "other"), [("loss_a", "loss_b"), ("loss/old", "loss/new"), ("cost_in", "cost_out")])
def test_two_heads_that_are_logged_equally_often_are_no_twins(one: str, other: str) -> None:
    falling = _synth.decay(60, 2.3, 0.4)
    assert "val_loss" not in _keys(_synth.make_run({one: falling, other: falling + 0.1})).values()
    assert _keys(_run({one: "falls"}, {other: "falls"}))[other] == "val_loss"


def test_what_does_not_fall_is_no_loss() -> None:
    assert not _keys(_run({"x_A": "stands"}, {"x_B": "stands"}))
    assert not _keys(_run({"x_A": "rises"}, {"x_B": "rises"}))


def _loss_and_score(train: str, val: str, *, n: int = 20, start: float = 2.3) -> Run:
    """Losses and accuracies of both splits, all logged at every epoch, training's before validation's."""
    made = {}
    for name, kind, late in ((train, "loss", 0.0), (val, "loss", 0.3), (train, "accuracy", 0.0), (val, "accuracy", -0.1)):
        course = _synth.decay(n, start if name == val else 2.3, 0.4) + late * np.linspace(0, 1, n)
        made[name.format(kind)] = course if kind == "loss" else 0.9 - _synth.decay(n, 0.7, 0.0) + late * np.linspace(0, 1, n)
    return _synth.make_run(made)


@pytest.mark.parametrize(
    ("train", "val"),
    [("{}/north", "{}/south"), ("north/{}", "south/{}"), ("{}", "south_{}"), ("{}_north", "{}_south"), ("North {}", "South {}")],
)
def test_a_grid_of_losses_and_scores_names_the_splits_by_their_order(train: str, val: str) -> None:
    keys = _keys(_loss_and_score(train, val))
    assert (keys[train.format("loss")], keys[val.format("loss")]) == ("train_loss", "val_loss")
    assert (keys[train.format("accuracy")], keys[val.format("accuracy")]) == ("train_metric", "val_metric")


@pytest.mark.parametrize(("train", "val"), [("{}/north", "{}/south"), ("{}", "south_{}")])
def test_losses_that_begin_apart_are_two_tasks(train: str, val: str) -> None:
    assert "val_loss" not in _keys(_loss_and_score(train, val, start=0.7)).values()


def test_what_rates_stand_beside_is_training() -> None:
    falling = _synth.decay(20, 2.3, 0.4)
    keys = _keys(
        _synth.make_run({"south/loss": falling + 0.05, "north/loss": falling, "north/grad_norm": falling, "north/lr": np.full(20, 1e-3)})
    )
    assert (keys["north/loss"], keys["south/loss"]) == ("train_loss", "val_loss")


@pytest.mark.parametrize("course", ["falls", "rises"])
def test_the_measure_that_both_splits_log_beside_a_score_is_the_loss(course: str) -> None:
    """Training's falls; validation's may rise."""
    run = _run({"train/badness": "falls", "train/accuracy": "rises"}, {"val/badness": course, "val/accuracy": "rises"})
    keys = _keys(run)
    assert (keys["train/badness"], keys["val/badness"]) == ("train_loss", "val_loss")


def test_a_second_score_is_no_loss() -> None:
    run = _run({"train/goodness": "rises", "train/accuracy": "rises"}, {"val/goodness": "rises", "val/accuracy": "rises"})
    assert not {"train_loss", "val_loss"} & set(_keys(run).values())


def test_a_smooth_fall_of_small_numbers_is_the_learning_rate() -> None:
    n = 120
    rate = 0.01 * (1 + np.cos(np.linspace(0, np.pi, n))) / 2
    rng = np.random.default_rng(4)
    base = {"train/loss": _synth.decay(n, 2.3, 0.4) + rng.normal(0, 0.02, n)}
    assert _keys(_synth.make_run({**base, "train/tempo": rate}))["train/tempo"] == "lr"
    assert "train/tempo" not in _keys(_synth.make_run({**base, "train/tempo": rate * (1 + rng.normal(0, 0.1, n))}))
    assert "train/tempo" not in _keys(_synth.make_run({**base, "train/tempo": 50 * rate}))
    assert "lr" not in _keys(_synth.make_run({**base, "train/tempo": rate, "train/mixing": rate / 2})).values()


@pytest.mark.parametrize(("samples", "stem"), [(350, "accuracy"), (None, "score")])
def test_shares_of_one_number_of_samples_are_an_accuracy(samples: int | None, stem: str) -> None:
    rising = 0.9 - _synth.decay(15, 0.7, 0.0)
    score = np.round(rising * samples) / samples if samples else rising
    losses = {"train/loss": _synth.decay(15, 2.3, 0.4), "val/loss": _synth.decay(15, 2.3, 0.5)}
    found = {x.name: x.stem for x in resolve(_synth.make_run({**losses, "val/score": score}), Config()).all}
    assert found["val/score"] == stem


def mixed(logged: str, every: int = 13) -> Run:
    """An accuracy that both stages log under one name, or one of training alone, beside a validation every so many steps."""
    batches, ends = np.arange(9, 400, 10), np.arange(every - 1, 400, every)
    at = np.union1d(batches, ends) if logged == "both" else batches
    value = np.where(np.isin(at, ends), 0.7, 0.9) + 1e-4 * np.arange(at.size)
    return _synth.make_run(
        {
            "train_loss": _synth.make_series("train_loss", np.linspace(1, 0.5, batches.size), batches),
            "val_loss": _synth.make_series("val_loss", np.linspace(1, 0.6, ends.size), ends),
            "accuracy": _synth.make_series("accuracy", value, at),
        }
    )


def test_of_a_metric_that_both_stages_log_under_one_name_the_evaluations_count() -> None:
    both = resolve(mixed("both")).main("val_metric")
    assert both is not None
    assert both.series is not None
    assert both.series.value.max() < 0.8
    assert "left out" in both.why


@pytest.mark.parametrize("run", [mixed("batches"), mixed("both", 10)])
def test_where_steps_do_not_tell_the_stages_apart_a_metric_keeps_its_points(run: Run) -> None:
    signal = next(s for s in resolve(run).all if s.name == "accuracy")
    assert signal.series is not None
    assert len(signal.series) == len(run.series["accuracy"])


def test_a_loss_and_a_score_of_other_data_beside_bare_ones_are_validation() -> None:
    """`own-loss` and `own-acc` beside `live_loss` and `acc`: the word that only one score has names the data."""
    keys = _keys(_run({"live_loss": "falls", "acc": "rises"}, {"own-loss": "falls", "own-acc": "rises"}))
    assert keys == {"live_loss": "train_loss", "acc": "train_metric", "own-loss": "val_loss", "own-acc": "val_metric"}


def test_a_loss_of_its_own_word_without_a_score_stays_what_it_was() -> None:
    keys = _keys(_run({"live_loss": "falls", "acc": "rises"}, {"own-loss": "falls"}))
    assert "val_loss" not in keys.values()
