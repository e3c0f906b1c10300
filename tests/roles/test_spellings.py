"""How people really name their tags: one set of tags of a public training script a line, and what each of them is."""

from __future__ import annotations

import numpy as np
import pytest

from tbdiag.config import Config
from tbdiag.detectors import _synth
from tbdiag.roles import resolve

FALLING = _synth.decay(30, 2.3, 0.1)
CLIMBING = 0.9 - _synth.decay(30, 0.8, 0.0)

SETS = [
    ("supervised", {"Training Loss": "train_loss", "Validataion Loss": "val_loss", "Validation accuraccy": "val_metric"}),
    ("supervised", {"1_Loss/1_Total_Loss/Train": "train_loss", "1_Loss/1_Total_Loss/Valid": "val_loss"}),
    ("supervised", {"Loss/train_val/Train Loss": "train_loss", "Loss/train_val/Validation Loss": "val_loss"}),
    ("supervised", {"data/loss/trn_loss": "train_loss", "data/loss/val_loss": "val_loss", "data/miou/val_miou": "val_metric"}),
    ("supervised", {"loss": "train_loss", "miou_eval": "", "allacc_eval": "val_metric"}),
    ("supervised", {"tr_ce": "train_loss", "te_ce": "val_loss", "te_acc": "val_metric"}),
    ("supervised", {"Training vs. Validation Loss/Training": "train_loss", "Training vs. Validation Loss/Validation": "val_loss"}),
    ("supervised", {"train/loss": "train_loss", "perf/ms_per_step": "step_time"}),
    ("supervised", {"Loss Avg/train": "train_loss", "Accuracy/val [mAP]": "val_metric"}),
    ("supervised", {"in/trainloss": "train_loss", "in/evalloss": "val_loss"}),
    (
        "supervised",
        {"Train/loss": "train_loss", "Train/batch_cost": "step_time", "Train/reader_cost": "loader_time", "Evaluate/loss": "val_loss"},
    ),
    ("supervised", {"L_tr": "train_loss", "L_va": "val_loss", "A_va_acc": "val_metric", "g_norm": "grad_norm"}),
    ("supervised", {"fold/fit/loss": "train_loss", "fold/held_out/loss": "val_loss", "fold/held_out/accuracy": "val_metric"}),
    ("supervised", {"loss [train]": "train_loss", "loss [val]": "val_loss", "|grad| [opt]": "grad_norm", "scale [amp]": "loss_scale"}),
    ("supervised", {"tr_l": "train_loss", "va_l": "val_loss", "va_a": "val_metric", "||w||_2": "weight_norm"}),
    ("supervised", {"t_loss": "train_loss", "v_loss": "val_loss", "v_acc": "val_metric", "sec/it": "step_time"}),
    ("supervised", {"LOSS_TR": "train_loss", "LOSS_VL": "val_loss", "ACC_VL": "val_metric", "fp16/scale": "loss_scale"}),
    ("supervised", {"Loss/t": "train_loss", "Loss/v": "val_loss", "L2(grad)": "grad_norm", "lrn_rate": "lr"}),
    ("supervised", {"loss/in_sample": "train_loss", "loss/out_of_sample": "val_loss", "grads/total": "grad_norm"}),
    (
        "supervised",
        {"nats/train": "train_loss", "nats/dev": "val_loss", "frac_correct/dev": "val_metric", "gradients/global_l2": "grad_norm"},
    ),
    ("supervised", {"J/train": "train_loss", "J/val": "val_loss", "percent correct/val": "val_metric", "grad_magnitude": "grad_norm"}),
    ("supervised", {"Verlust/Training": "train_loss", "Verlust/Validierung": "val_loss", "Genauigkeit/Validierung": "val_metric"}),
    (
        "supervised",
        {"perte_entrainement": "train_loss", "perte_validation": "val_loss", "taux_apprentissage": "lr", "norme_gradient": "grad_norm"},
    ),
    ("supervised", {"Pérdida/entrenamiento": "train_loss", "Pérdida/validación": "val_loss", "tasa_de_aprendizaje": "lr"}),
    ("supervised", {"perda_treino": "train_loss", "perda_validação": "val_loss", "acurácia_validação": "val_metric"}),
    ("supervised", {"训练/损失": "train_loss", "验证/损失": "val_loss", "验证/准确率": "val_metric", "学习率": "lr"}),
    ("supervised", {"IS mse": "train_loss", "OOS mse": "val_loss", "OOS rank IC": "val_metric", "rate": "lr"}),
    ("supervised", {"Err.Learn": "train_loss", "Err.Check": "val_loss", "Rate.Learn": "lr"}),
    ("supervised", {"Progress/fit_objective": "train_loss", "Progress/check_objective": "val_loss", "Progress/grad": "grad_norm"}),
    ("supervised", {"model/train/J": "train_loss", "model/holdout/J": "val_loss", "model/adam_alpha": "lr"}),
    ("supervised", {"mse_per_utt_train": "train_loss", "mse_per_utt_dev": "val_loss", "||dL||": "grad_norm"}),
    ("supervised", {"run_A/LOSS": "train_loss", "run_A/WEIGHTS": "weight_norm", "learning rate": "lr"}),
    ("supervised", {"fold0/trn_loss": "train_loss", "fold0/oof_loss": "val_loss", "fold0/oof_acc": "val_metric", "fold0/lr": "lr"}),
    ("self_supervised", {"Contrastive_Loss/train": "", "Loss/train": "train_loss"}),
    ("gan", {"Losses/Critic": "discriminator_loss", "Losses/Generator": "generator_loss"}),
    ("gan", {"G_loss_val": "", "G_loss": "generator_loss", "D_loss": "discriminator_loss"}),
    ("reinforcement", {"Reward/episode": "train_reward", "Reward/eval": "val_reward", "Loss/train": "train_loss"}),
    ("reinforcement", {"reward/avg": "train_reward", "loss/train": "train_loss", "rates/win_rate": "train_metric"}),
    ("reinforcement", {"Loss/TD_Error": "value_loss", "Q_values/avg_q": "", " mean batch rewards": "train_reward"}),
    ("reinforcement", {"mean score": "train_reward", "epsilon": "", "mean episode duration": "", "average loss": "train_loss"}),
    ("reinforcement", {"success_rate/eval": "val_metric", "mean_reward": "train_reward", "std_reward": "reward_std", "loss": "train_loss"}),
    ("reinforcement", {"ep_ret": "train_reward", "LossPi": "policy_loss", "LossV": "value_loss", "KL": "approx_kl"}),
    ("reinforcement", {"rollout/return": "train_reward", "loss/pi": "policy_loss", "loss/v": "value_loss"}),
    ("reinforcement", {"Episode Score": "train_reward", "Critic Loss": "value_loss"}),
    ("reinforcement", {"ep_rew": "train_reward", "ep_len": "episode_length"}),
    ("reinforcement", {"critic_losses": "value_loss", "episode total reward": "train_reward"}),
]


@pytest.mark.parametrize(("domain", "tags"), SETS, ids=lambda x: x if isinstance(x, str) else next(iter(x)))
def test_what_people_write_is_read(domain, tags):
    series = {t: FALLING if key.endswith(("loss", "time", "norm")) or not key else CLIMBING for t, key in tags.items()}
    series |= {t: FALLING / 1000 for t, key in tags.items() if key == "lr"}
    signals = resolve(_synth.make_run(series), Config())
    assert signals.domain.value == domain
    mains = {x.name: x.key for x in signals.all if x.main}
    assert {t: mains.get(t) for t, key in tags.items() if key} == {t: key for t, key in tags.items() if key}


def test_a_count_of_steps_called_time_step_is_no_duration():
    steps = np.arange(30.0) * 400 + 1
    signals = resolve(_synth.make_run({"Average Reward": CLIMBING, "Time Step": steps}), Config())
    assert next(x.key for x in signals.all if x.name == "Time Step") == "counter"


def test_one_measure_with_three_names_behind_it_is_of_classes():
    tags = ["val/recall_cat", "val/recall_dog", "val/recall_cow", "val/recall_macro", "val/f1_macro", "val/f1_micro", "val/accuracy"]
    signals = resolve(_synth.make_run({"loss": FALLING, **dict.fromkeys(tags, CLIMBING)}), Config())
    classes = {x.name: x.class_id for x in signals.all if x.key == "val_class_metric"}
    assert classes == {"val/recall_cat": "cat", "val/recall_dog": "dog", "val/recall_cow": "cow"}


def test_a_learning_curve_of_both_splits_stands_for_a_loss_unless_it_climbs():
    for curve, stands in ((FALLING, True), (CLIMBING, False), (100 * CLIMBING + 10, False)):
        signals = resolve(_synth.make_run({"Learning curve/Training": curve, "Learning curve/Validation": curve}), Config())
        assert (signals.main("train_loss") is not None) == stands


def test_gradients_of_parameters_and_zeros_of_units_are_of_layers():
    tags = ["GRAD-layers.0.weight", "GRAD-layers.1.weight", "GRAD-head.weight", "Zeros.net.1"]
    signals = resolve(_synth.make_run({"TRAIN-LOSS": FALLING, **dict.fromkeys(tags, FALLING)}), Config())
    assert [next(x.role.value for x in signals.all if x.name == t) for t in tags] == ["layer_grad_norm"] * 3 + ["activation_stat"]


def test_a_bare_metric_is_better_higher_only_while_it_does_not_fall():
    for curve, direction in ((CLIMBING, "higher"), (FALLING, "none")):
        signals = resolve(_synth.make_run({"loss_tr": FALLING, "loss_va": FALLING, "metric_va": curve}), Config())
        assert next(x.direction.value for x in signals.all if x.name == "metric_va") == direction


def test_powers_of_two_that_fall_below_one_are_a_loss_scale():
    scale = 2.0 ** np.concatenate((np.full(10, 16.0), np.arange(15, -5, -1.0)))
    for values, role in ((scale, "loss_scale"), (1.1 * scale, "unknown"), (2.0 ** np.repeat([9.0, 10.0, 11.0], 10), "unknown")):
        signals = resolve(_synth.make_run({"loss": FALLING, "ls_x1": values}), Config())
        assert next(x.role.value for x in signals.all if x.name == "ls_x1") == role


def test_a_loss_that_is_logged_with_the_metrics_is_that_of_validation():
    at = np.arange(9) * 40 + 39
    rare = {t: _synth.make_series(t, v[:9], at) for t, v in (("nll/mean", FALLING), ("accuracy/top1", CLIMBING))}
    signals = resolve(_synth.make_run({"loss": np.repeat(FALLING, 3), **rare}, every=4), Config())
    assert {x.name: x.key for x in signals.all} == {"loss": "train_loss", "nll/mean": "val_loss", "accuracy/top1": "val_metric"}


@pytest.mark.parametrize(
    ("tag", "key"),
    [
        ("förlust/träning", "train_loss"),
        ("förlust/validering", "val_loss"),
        ("træning/nøjagtighed", "train_metric"),
        ("häviö/koulutus", "train_loss"),
        ("ztráta/trénink", "train_loss"),
        ("veszteség/tanítás", "train_loss"),
        ("pierdere/validare", "val_loss"),
        ("gubitak/validacija", "val_loss"),
        ("kerugian/pelatihan", "train_loss"),
        ("mất mát/huấn luyện", "train_loss"),
        ("απώλεια/εκπαίδευση", "train_loss"),
        ("втрати/валідація", "val_loss"),
        ("خسارة/تدريب", "train_loss"),
        ("rychlost učení", "lr"),
        ("tốc độ học", "lr"),
        ("η", "lr"),
        ("ρυθμός_μάθησης", "lr"),
        ("ρυθμός μάθησης", "lr"),
        ("νόρμα_κλίσης", "grad_norm"),
        ("швидкість навчання", "lr"),
        ("قیمت/معدل_التعلم", "lr"),
        ("קצב_למידה", "lr"),
    ],
)
def test_further_languages_are_read(tag: str, key: str) -> None:
    signals = resolve(_synth.make_run({tag: [0.9, 0.5, 0.3, 0.2]}), Config())
    assert [x.key for x in signals.all] == [key]


def test_letters_before_those_of_splits_are_losses_and_accuracies() -> None:
    falling, rising = [2.0 - 0.05 * i for i in range(20)], [0.1 + 0.04 * i for i in range(20)]
    run = _synth.make_run({"l_t": falling, "l_v": falling, "a_t": rising, "a_v": rising})
    assert {x.name: x.key for x in resolve(run, Config()).all} == {
        "l_t": "train_loss",
        "l_v": "val_loss",
        "a_t": "train_metric",
        "a_v": "val_metric",
    }
