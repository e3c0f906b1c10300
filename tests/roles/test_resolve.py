"""Axes, epochs, chance level, logged configuration, overrides: what `resolve` adds to the reading of tags."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tbdiag.config import Config
from tbdiag.detectors import _synth
from tbdiag.model import Direction, Role, Run, Scale, Signals, Split, TextSeries
from tbdiag.roles import resolve
from tbdiag.roles.layers import sort_layers
from tbdiag.roles.plan import make_plan

FALL = _synth.decay(40, 2.3, 0.3)
RISE = 1 - _synth.decay(40, 0.9, 0.1)


def series(tag: str, value: object, step: object, seconds: float = 1.0) -> object:
    """A series whose wall time runs from 0 to `seconds` whatever its steps."""
    made = _synth.make_series(tag, value, step)
    wall = 1.7e9 + np.linspace(seconds / len(made), seconds, len(made))
    return type(made)(tag=made.tag, subrun="", step=made.step, wall_time=wall, value=made.value)


def read(**tags: object) -> Signals:
    return resolve(_synth.make_run({t.replace("__", "/"): v for t, v in tags.items()}))


def test_rates_by_step_and_losses_by_epoch_are_put_on_steps() -> None:
    run = _synth.make_run(
        {
            "lr": series("lr", np.linspace(1e-3, 0, 500), np.arange(0, 5000, 10), 600.0),
            "Loss/train": series("Loss/train", FALL[:20], np.arange(20), 600.0),
            "Loss/val": series("Loss/val", FALL[:20], np.arange(20), 600.0),
        }
    )
    signals = resolve(run)
    for key in ("train_loss", "val_loss"):
        signal = signals.main(key)
        assert signal.logged.step.tolist() == list(range(20))
        assert abs(signal.series.step[9] - 2500) < 60
        assert signal.series.step[-1] == 4990
        assert signal.logged_step(2500) == 9
        assert "wall time" in signal.why
    assert signals.main("lr").logged is None
    assert signals.epoch_steps.size == 20


def test_one_axis_stays_as_logged() -> None:
    signals = read(train__loss=FALL, val__loss=FALL)
    assert all(s.logged is None for s in signals.all)
    assert signals.main("val_loss").logged_step(7.4) == 7


def test_a_series_that_ends_early_is_on_no_other_axis() -> None:
    run = _synth.make_run(
        {
            "train/loss": series("train/loss", FALL, np.arange(40) * 100, 600.0),
            "debug/loss_scale": series("debug/loss_scale", np.ones(5), np.arange(5), 6.0),
        }
    )
    assert all(s.logged is None for s in resolve(run).all)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [([0, 0, 1, 1, 2, 2], [1, 3]), ([0.25, 0.5, 0.75, 1.0, 1.25, 1.5], [3]), ([0.4, 0.9, 1.4, 1.9, 2.4, 2.9], [1, 3]), ([0] * 6, None)],
)
def test_epoch_ends_from_the_epoch_series(epoch: list[float], expected: list[int] | None) -> None:
    signals = read(train__loss=FALL[:6], epoch=epoch)
    if expected is None:
        assert signals.epoch_steps is None
    else:
        assert [round(s) for s in signals.epoch_steps.tolist()] == expected
        assert "epoch" in signals.epoch_why


def test_classes_from_shares_recalls_and_first_loss() -> None:
    shares = {f"val/pred_frac/{i}": [0.25] * 40 for i in range(4)}
    signals = resolve(_synth.make_run({"train/loss": FALL, "val/loss": FALL, **shares}))
    assert (signals.classes, signals.chance) == (4, pytest.approx(math.log(4)))
    recalls = {f"recall/{c}": [0.5] * 40 for c in ("class_cat", "class_dog", "class_cow")}
    assert resolve(_synth.make_run({"train/loss": FALL, **recalls})).classes == 3
    flat = 2.3026 + 0.005 * np.sin(np.arange(40))
    stuck = read(train__loss=flat, val__loss=flat, val__acc=[0.1] * 40)
    assert stuck.classes == 10
    assert "ln 10" in stuck.chance_why


def test_no_class_count_is_guessed_without_good_reason() -> None:
    flat = 2.3026 + 0.005 * np.sin(np.arange(40))
    assert read(train__loss=flat, val__loss=flat, val__mae=[0.1] * 40).chance is None
    assert read(train__loss=flat, val__loss=flat).chance is None
    assert read(train__loss=2.2 * np.exp(-np.arange(40) / 9), val__acc=0.5 + RISE / 2).chance is None


def test_percent_and_fraction() -> None:
    signals = read(train__loss=FALL, val__acc=100 * RISE, val__f1=RISE, val__bleu=30 * RISE)
    scale = {s.stem: s.scale for s in signals.all}
    assert scale["accuracy"] is Scale.PERCENT
    assert scale["f1"] is Scale.FRACTION
    assert scale["bleu"] is Scale.UNKNOWN


def test_main_metric_is_the_telling_one_in_both_splits() -> None:
    signals = read(train__loss=FALL, train__top5=RISE, train__acc=RISE, val__top5=RISE, val__acc=RISE, val__recall=RISE)
    assert signals.main("val_metric").name == "val/acc"
    assert signals.main("train_metric").name == "train/acc"


def test_parts_are_summed_where_no_total_is_logged() -> None:
    signals = read(train__box_loss=FALL, train__cls_loss=FALL, val__box_loss=FALL, val__cls_loss=FALL)
    total = signals.main("train_loss")
    assert np.allclose(total.series.value, 2 * FALL, rtol=1e-6)
    assert total.direction is Direction.LOWER
    with_total = read(train__box_loss=FALL, train__cls_loss=FALL, train__loss=FALL)
    assert with_total.main("train_loss").name == "train/loss"


def test_clip_fraction_means_different_things() -> None:
    supervised = read(train__loss=FALL, train__clip_fraction=RISE)
    assert supervised.main("clip_fraction") is not None
    ppo = resolve(_synth.make_run({"rollout/ep_rew_mean": RISE, "train/clip_fraction": RISE, "train/value_loss": FALL}))
    assert ppo.main("clip_fraction") is None
    assert ppo.main("policy_clip_fraction") is not None


def test_depth_follows_the_network() -> None:
    assert sort_layers(["0.weight", "10.weight", "2.weight"]) == ["0.weight", "2.weight", "10.weight"]
    assert sort_layers(["decoder.1", "emb", "head", "layers.0", "layers.10", "layers.2"])[0] == "emb"
    assert sort_layers(["emb.w", "blocks.0.w", "blocks.1.w", "norm.w", "head.w"]) == [
        "emb.w",
        "blocks.0.w",
        "blocks.1.w",
        "norm.w",
        "head.w",
    ]
    run = _synth.make_run({"train/loss": FALL} | {f"grad_norm/{i}.weight": FALL for i in (0, 2, 10)})
    depth = {s.layer: s.depth for s in resolve(run).role(Role.LAYER_GRAD_NORM)}
    assert depth == {"0.weight": 0, "2.weight": 1, "10.weight": 2}


def test_overrides_change_the_role_and_say_so() -> None:
    run = _synth.make_run({"a/loss": FALL, "b/objective_x": RISE, "val/loss": FALL, "val/wobble": RISE})
    signals = resolve(run, Config(roles={"train_loss": "b/objective_x", "val_metric": "val/wobble"}, directions={"val/wobble": "lower"}))
    assert signals.main("train_loss").name == "b/objective_x"
    assert signals.main("train_loss").why == "set by the user"
    assert signals.main("val_metric").direction is Direction.LOWER
    assert signals.main("val_metric").split is Split.VAL
    assert set(signals.overrides) == {"b/objective_x", "val/wobble"}
    assert resolve(run, Config(roles={"train_loss": "absent"})).main("train_loss").name == "a/loss"


def text_run(tag: str, text: str) -> Run:
    one = np.zeros(1, dtype=np.int64)
    texts = {tag: TextSeries(tag, "", one, one.astype(np.float64), (text,))}
    plain = _synth.make_run({"train/loss": FALL})
    return Run(name="r", path="r", series=plain.series, texts=texts)


@pytest.mark.parametrize(
    ("tag", "text", "expected"),
    [
        ("args/text_summary", '{"learning_rate": 3e-4, "bf16": true, "num_train_epochs": 3, "max_steps": -1, "optim": "adamw_torch"}',
         {"learning_rate": 3e-4, "precision": "bf16", "epochs": 3.0, "optimizer": "adamw_torch"}),
        ("hyperparameters/text_summary", "|param|value|\n|-|-|\n|learning_rate|0.0003|\n|seed|1|", {"learning_rate": 3e-4, "seed": 1.0}),
        ("config", "lr: 0.1\nbatch_size: 32\noptimizer: sgd\n", {"learning_rate": 0.1, "batch_size": 32.0, "optimizer": "sgd"}),
        ("sys.argv", "['train.py', '--lr', '0.5', '--fp16', '--seed=3']", {"learning_rate": 0.5, "precision": "fp16", "seed": 3.0}),
        ("config", '{"optimizer": {"lr": 0.01, "weight_decay": 0.1}, "data": {"num_classes": 7}}', {"learning_rate": 0.01, "weight_decay": 0.1, "classes": 7.0}),
        ("notes", '{"learning_rate": 3e-4}', {}),
        ("config", "{broken", {}),
    ],
)  # fmt: skip
def test_configuration_in_texts(tag: str, text: str, expected: dict[str, object]) -> None:
    assert dict(resolve(text_run(tag, text)).config) == expected


def test_nothing_logged_and_only_nan() -> None:
    assert resolve(Run(name="r", path="r")).all == ()
    nan = [float("nan")] * 5
    signals = read(train__loss=nan, val__loss=nan, val__acc=nan, epoch=nan)
    assert signals.main("train_loss").name == "train/loss"
    assert signals.chance is None
    one = read(loss=[1.0])
    assert one.main("train_loss").name == "loss"


def test_a_layout_is_read_once() -> None:
    tags = {f"layer{i}/x_loss": FALL for i in range(50)}
    resolve(_synth.make_run(tags))
    before = make_plan.cache_info().hits
    resolve(_synth.make_run(tags))
    assert make_plan.cache_info().hits == before + 1


@pytest.mark.parametrize(
    ("tag", "role", "detail"),
    [
        ("preds/class_0", Role.PREDICTION_SHARE, "0"),
        ("val/class_3_pred_frac", Role.PREDICTION_SHARE, "3"),
        ("predicted_counts/cat", Role.PREDICTION_SHARE, "cat"),
        ("val/predicted/2", Role.PREDICTION_SHARE, "2"),
        ("Epoch/val_share_11", Role.PREDICTION_SHARE, "11"),
        ("label_share/2", Role.LABEL_SHARE, "2"),
        ("label_distribution/2", Role.LABEL_SHARE, "2"),
        ("per_class_accuracy/dog", Role.CLASS_METRIC, "dog"),
        ("class_2/recall", Role.CLASS_METRIC, "2"),
        ("dead_relu_fraction/layer1", Role.ACTIVATION_STAT, "layer1"),
        ("relu1/zero_frac", Role.ACTIVATION_STAT, "relu1"),
        ("activation_std/layer1", Role.ACTIVATION_STAT, "layer1"),
        ("sigmoid_saturation/fc2", Role.ACTIVATION_STAT, "sigmoid/fc2"),
        ("gradients/fc1.weight/norm", Role.LAYER_GRAD_NORM, "fc1.weight"),
        ("fc1.weight.grad_norm", Role.LAYER_GRAD_NORM, "fc1.weight"),
        ("weight_norm/norm.weight", Role.LAYER_WEIGHT_NORM, "norm.weight"),
        ("update_to_weight_ratio/fc1.weight", Role.UPDATE_RATIO, "fc1.weight"),
        ("loss_percentile_95", Role.SAMPLE_LOSS, "p95"),
        ("train_sample_loss/max", Role.SAMPLE_LOSS, "max"),
    ],
)
def test_series_of_layers_classes_and_samples(tag: str, role: Role, detail: str) -> None:
    signal = resolve(_synth.make_run({"train/loss": FALL, tag: RISE})).all[1]
    found = signal.class_id or signal.layer or signal.sub_kind
    assert (signal.role, found) == (role, detail) or (
        role is Role.ACTIVATION_STAT and signal.role is role and detail.endswith(str(signal.layer))
    )


@pytest.mark.parametrize(
    ("tag", "direction", "stem"),
    [
        ("val/top-1", Direction.HIGHER, "accuracy"),
        ("Acc@5", Direction.HIGHER, "top5_accuracy"),
        ("mAP_0.5:0.95", Direction.HIGHER, "map50_95"),
        ("val/COCOAP50_95", Direction.HIGHER, "map50_95"),
        ("val/COCOAP50", Direction.HIGHER, "map50"),
        ("val/hd95", Direction.LOWER, "hd95"),
        ("dev/cer", Direction.LOWER, "cer"),
        ("val/R^2", Direction.HIGHER, "r_2"),
        ("valid_ppl", Direction.LOWER, "perplexity"),
        ("val/F1_macro", Direction.HIGHER, "f1"),
        ("test/err1", Direction.LOWER, "err1"),
    ],
)
def test_directions_of_metrics(tag: str, direction: Direction, stem: str) -> None:
    signal = resolve(_synth.make_run({"train/loss": FALL, tag: RISE})).all[1]
    assert (signal.role, signal.direction, signal.stem) == (Role.METRIC, direction, stem)
    assert signal.split is Split.VAL or "@" in tag or ":" in tag


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("tr_loss", "va_loss"),
        ("loss/trainset", "loss/testset"),
        ("train_xe", "val_xe"),
        ("ctc_train", "ctc_val"),
        ("train/infonce", "val/infonce"),
    ],
)
def test_main_losses_under_free_names(train: str, val: str) -> None:
    signals = read(**{train: FALL, val: FALL + 0.1})
    mains = {s.key: s.name for s in signals.all if s.main}
    assert mains["train_loss"] == train
    assert val in (mains.get("val_loss"), mains.get("test_loss"))


@pytest.mark.parametrize(
    ("tag", "role"),
    [
        ("grads/total_norm", Role.GRAD_NORM),
        ("weights/global_norm", Role.WEIGHT_NORM),
        ("norm/weights", Role.WEIGHT_NORM),
        ("grad_norms/00_embed", Role.LAYER_GRAD_NORM),
        ("softmax_max", Role.CONFIDENCE),
        ("lrate", Role.LR),
        ("ex_per_sec", Role.THROUGHPUT),
        ("GradL2", Role.GRAD_NORM),
        ("theta/norm", Role.WEIGHT_NORM),
        ("ValidR2", Role.METRIC),
        ("holdout_conf", Role.CONFIDENCE),
        ("steps_per_s", Role.THROUGHPUT),
        ("secs_per_step", Role.STEP_TIME),
        ("skipped_updates", Role.HAS_NAN_GRAD),
        ("tanh_sat_frac/l2", Role.ACTIVATION_STAT),
    ],
)
def test_roles_of_free_names(tag: str, role: Role) -> None:
    assert resolve(_synth.make_run({"train/loss": FALL, tag: RISE})).all[1].role is role


def test_what_was_never_a_number_and_what_add_hparams_repeats_stands_for_nothing() -> None:
    never = _synth.make_series("eval/bleu", np.full(40, np.nan))
    best = _synth.make_series("hparam/best_val_loss", [0.3])
    stub = type(best)(tag=best.tag, subrun="1769151100.25", step=best.step, wall_time=best.wall_time, value=best.value)
    run = _synth.make_run({"train/loss": FALL, "test/loss": FALL + 0.1, "test/r2": RISE, "eval/bleu": never, "x": stub})
    run = replace(run, series={s.name: s for s in run.series.values()})
    mains = {s.key: s.name for s in resolve(run).all if s.main}
    assert mains["val_loss"] == "test/loss"
    assert mains["val_metric"] == "test/r2"


def test_children_of_add_scalars_say_what_is_measured() -> None:
    made = {}
    for parent, child in (("metrics", "train_loss"), ("metrics", "val_loss"), ("metrics", "val_acc"), ("epoch", "lr")):
        plain = _synth.make_series(parent, FALL if "loss" in child else RISE)
        one = type(plain)(tag=parent, subrun=f"{parent}_{child}", step=plain.step, wall_time=plain.wall_time, value=plain.value)
        made[one.name] = one
    signals = resolve(Run(name="r", path="r", series=made))
    assert signals.main("train_loss").name == "metrics_train_loss/metrics"
    assert signals.main("val_loss").name == "metrics_val_loss/metrics"
    assert signals.main("val_metric").name == "metrics_val_acc/metrics"
    assert signals.main("lr").name == "epoch_lr/epoch"


@pytest.mark.parametrize("wall", [0.0, float("nan")])
def test_epochs_are_stretched_in_proportion_where_wall_times_say_nothing(wall: float) -> None:
    def still(tag: str, value: object, step: object) -> object:
        made = series(tag, value, step)
        return type(made)(tag=tag, subrun="", step=made.step, wall_time=np.full(len(made), wall), value=made.value)

    run = _synth.make_run({"loss": still("loss", FALL, np.arange(1, 41) * 50), "val/loss": still("val/loss", FALL[:20], np.arange(1, 21))})
    moved = resolve(run).main("val_loss")
    assert moved.series.step.tolist() == [100 * i for i in range(1, 21)]
    assert moved.logged_step(700) == 7


def test_a_time_since_the_start_is_no_time_of_a_step() -> None:
    """StyleGAN logs both; a time without a telling name is a clock where it grows as the clock of the log does."""
    wall = np.linspace(30, 1200, 40)
    slower = np.linspace(0.2, 0.8, 40)
    run = _synth.make_run(
        {
            "Timing/total_hours": series("Timing/total_hours", wall / 3600, np.arange(40), 1200.0),
            "Timing/sec_per_tick": series("Timing/sec_per_tick", np.full(40, 30.0), np.arange(40), 1200.0),
            "train_time": series("train_time", wall, np.arange(40), 1200.0),
            "step_time": series("step_time", slower, np.arange(40), 1200.0),
        }
    )
    roles = {s.name: s.role for s in resolve(run).all}
    assert roles["Timing/total_hours"] is roles["train_time"] is Role.COUNTER
    assert roles["Timing/sec_per_tick"] is roles["step_time"] is Role.STEP_TIME


def test_batches_of_an_evaluation_are_no_evaluations() -> None:
    """A test pass of Lightning: a value a batch, and their mean; without the mean beside them they are all there is."""
    signals = read(test_loss_step=0.3 + 0.1 * np.sin(np.arange(200)), test_loss_epoch=np.array([0.3]))
    assert signals.main("val_loss").name == "test_loss_epoch"
    assert read(val_loss_step=FALL).main("val_loss").name == "val_loss_step"
    both = read(train_loss=FALL, val_loss_step=np.tile(FALL, 5), val_loss_epoch=FALL)
    assert both.main("val_loss").name == "val_loss_epoch"
