"""Tags as public training scripts write them, each with what the script computes there (read from its source)."""

from __future__ import annotations

import numpy as np
import pytest

from tbdiag.config import Config
from tbdiag.detectors import _synth
from tbdiag.roles import resolve

FALLING = _synth.decay(30, 2.3, 0.1)
CLIMBING = 0.9 - _synth.decay(30, 0.8, 0.0)

SCRIPTS = [
    {"running_loss_every_12": "train_loss", "validate_loss": "val_loss"},
    {"exp42-tloss": "train_loss", "exp42-vloss": "val_loss", "exp42-tdelta1": "train_metric", "exp42-vdelta1": "val_metric"},
    {"trénink/ztráta": "train_loss", "validace/ztráta": "val_loss", "validace/jistota": "val_confidence"},
    {
        "chi2_trn": "train_loss",
        "chi2_hold": "val_loss",
        "purity_hold": "val_metric",
        "completeness_0_hold": "val_class_metric",
        "completeness_1_hold": "val_class_metric",
        "frac_1_hold": "val_prediction_share",
    },
    {
        "gakushuu/sonshitsu": "train_loss",
        "kenshou/sonshitsu": "val_loss",
        "kenshou/seikairitsu": "val_metric",
        "gakushuuritsu": "lr",
        "kenshou/wariai_0": "val_prediction_share",
    },
    {
        "addestramento/errore": "train_loss",
        "verifica/errore": "val_loss",
        "verifica/esattezza": "val_metric",
        "norma_gradiente": "grad_norm",
        "passo": "lr",
    },
    {
        "Training/Verlust": "train_loss",
        "Validierung/mittlerer_Fehler": "val_metric",
        "Gewichtsnorm": "weight_norm",
        "Validierung/Sicherheit": "val_confidence",
    },
    {"[lr=3e-4,bs=50] train CE/MSE": "train_loss", "[lr=3e-4,bs=50] dev CE/MSE": "val_loss", "[lr=3e-4,bs=50] dev acc": "val_metric"},
    {"lr=0.1,wd=0/train/loss": "train_loss", "lr=0.1,wd=0/val/loss": "val_loss"},
    {"Loss/Train": "train_loss", "Params/GradNorm": "grad_norm", "grad/fc1.weight/norm": "layer_grad_norm"},
    {"pérdida_val": "val_loss", "precisión_val": "val_metric", "pérdida": "train_loss"},
    {"entrainement/perte": "train_loss", "entrainement/norme_poids": "weight_norm", "validation/confiance": "val_confidence"},
    {"fit/loss": "train_loss", "fit/hit": "train_metric", "dev/hit": "val_metric", "dev/p.max": "val_confidence"},
    {
        "TrainLoss/iter": "train_loss",
        "ValLoss/epoch": "val_loss",
        "ValShare0/epoch": "val_prediction_share",
        "ValShare1/epoch": "val_prediction_share",
    },
    {"训练损失": "train_loss", "验证集的召回率@1": "val_metric", "验证损失": "val_loss"},
    {"损失/总loss": "train_loss", "验证指标/总loss": "val_loss", "平均交并比": "train_metric"},
    {"목적함수/학습": "train_loss", "목적함수/검증": "val_loss", "학습/기울기노름": "grad_norm"},
    {"egitim/kayip": "train_loss", "eğitim/doğruluk": "train_metric", "doğrulama/kayıp": "val_loss", "öğrenme oranı": "lr"},
    {"loss": "train_loss", "CIDEr": "val_metric", "BLEU-4": "val_metric"},
    {
        "train/loss": "train_loss",
        "test/loss": "test_loss",
        "metrics/accuracy_top1": "val_metric",
        "metrics/accuracy_top5": "val_metric",
        "lr/0": "lr",
    },
    {"lernen/Kreuzentropie": "train_loss", "pruefen/Kreuzentropie": "val_loss", "pruefen/richtig": "val_metric", "Schrittweite": "lr"},
    {"oefenen.verlies": "train_loss", "examen.verlies": "val_loss", "examen.nauwkeurigheid": "val_metric", "leersnelheid": "lr"},
    {"strata_zb_uczacy": "train_loss", "strata_zb_walidacyjny": "val_loss", "trafnosc_zb_walidacyjny": "val_metric", "wsp_uczenia": "lr"},
    {"obuchenie_poteri": "train_loss", "proverka_poteri": "val_loss", "proverka_tochnost": "val_metric", "skorost_obucheniya": "lr"},
    {"训练集交叉熵": "train_loss", "测试集交叉熵": "val_loss", "显存(GB)": "memory"},
    {"pérdida/aprendidos": "train_loss", "pérdida/no aprendidos": "val_loss", "ritmo de aprendizaje": "lr"},
    {"обучение/потери": "train_loss", "проверка/потери": "val_loss", "норма градиента": "grad_norm", "шаг градиентного спуска": "lr"},
    {"train-mlogloss": "train_loss", "eval-mlogloss": "val_loss"},
    {"mse.train90": "train_loss", "mse.test10": "val_loss", "r2.test10": "val_metric"},
    {"loss/train_no_dev": "train_loss", "loss/dev": "val_loss", "acc/dev": "val_metric"},
    {"home/xent (nats)": "train_loss", "away/xent (nats)": "val_loss", "away/hit-rate": "val_metric"},
    {"TRN total": "train_loss", "CHK total": "val_loss"},
    {"f1_water.tiles_val": "val_class_metric", "f1_crop.tiles_val": "val_class_metric", "f1_urban.tiles_val": "val_class_metric"},
    {
        "loss": "train_loss",
        "dev:recall:neg": "val_class_metric",
        "dev:recall:neu": "val_class_metric",
        "dev:recall:pos": "val_class_metric",
    },
    {"Xent (seen docs)": "train_loss", "Xent (held-back docs)": "val_loss", "Macro F1 (held-back docs)": "val_metric"},
    {"xent.train": "train_loss", "xent.newsdev": "val_loss"},
    {"train/1-dice": "train_loss", "val/1-dice": "val_loss"},
    {"train/loss": "train_loss", "eval_during_train/loss": "val_loss", "eval_during_train/accuracy": "val_metric"},
    {"J_train": "train_loss", "J_cv": "val_loss", "norm_dJ": "grad_norm"},
    {"TrainObj_PerSample": "train_loss", "HeldoutObj_PerSample": "val_loss", "HeldoutAcc": "val_metric"},
    {"L": "train_loss", "L_val": "val_loss", "acc_val": "val_metric"},
    {"trloss": "train_loss", "valoss": "val_loss", "accval": "val_metric"},
    {"Ltrain": "train_loss", "Lval": "val_loss", "gradJ": "grad_norm"},
    {"tbce": "train_loss", "vbce": "val_loss", "vdice": "val_metric"},
    {"loss": "train_loss", "loss (reserve)": "val_loss", "acc (reserve)": "val_metric"},
    {"sum_tr": "train_loss", "sum_va": "val_loss", "ok_frac_va": "val_metric"},
    {"run07.t.ce": "train_loss", "run07.v.ce": "val_loss", "run07.v.top1": "val_metric", "run07.lr": "lr"},
    {"loss": "train_loss", "mAP": "val_metric", "rank1": "val_metric"},
    {"loss/train": "train_loss", "HR@10": "val_metric", "NDCG@10": "val_metric"},
    {"loss": "train_loss", "knn_top1": "val_metric"},
    {"epoch/loss": "train_loss", "mape": "train_metric"},
    {"Client1Loss/Train": "train_loss", "Client1Acc/Train": "train_metric"},
    {"loss_seg": "train_loss_component", "loss_ssim": "train_loss_component", "total_loss": "train_loss"},
    {"train/ms_ssim_loss": "train_loss_component", "train/loss": "train_loss", "train/psnr2": "train_metric"},
    {
        "train/loss_viewpoint - psnr": "train_metric",
        "train/loss_viewpoint - l1_loss": "train_loss_component",
        "train_loss_patches/total_loss": "train_loss",
    },
    {"Loss/MSE/train": "train_loss", "Loss/MSE/val": "val_loss", "Loss/accuracy": "val_metric"},
    {"bank / lstm / Loss: mse": "train_loss"},
    {"return_mean": "train_reward", "test_won_mean": "val_metric", "q_taken_mean": "unknown"},
    {
        "ippo_H_Average_episode_reward": "train_reward",
        "ippo_H_policy_loss": "policy_loss",
        "ippo_H_Average_episode_win_num": "train_metric",
    },
    {"ep_r": "train_reward", "Loss/actor_loss": "policy_loss", "Loss/critic_loss": "value_loss"},
    {"train/loss": "train_loss", "val/loss": "val_loss", "ep_r2/val": "val_metric"},
    {
        "d_real_loss": "train_loss_component",
        "d_fake_loss": "train_loss_component",
        "g_loss": "generator_loss",
        "d_loss": "discriminator_loss",
    },
    {"train/loss1_epoch": "train_loss", "train/loss2_epoch": "train_loss", "train/loss": "train_loss"},
    {"test/Accu": "val_metric", "train/Accu": "train_metric", "train/loss": "train_loss"},
    {"Loss": "train_loss", "mean_rank": "train_metric", "crps": "train_metric", "abs_rel": "train_metric"},
    {
        "train/train_loss": "train_loss",
        "train/loss_ctc": "train_loss",
        "PER/valid": "val_metric",
        "run_dev/certainty": "val_confidence",
        "val/image_to_text_R@1": "val_metric",
        "device/items_per_sec": "throughput",
        "Grad/epoch": "grad_norm",
        "Share_Va_0": "val_prediction_share",
    },
    {
        "Loss while training (mean of 8)": "train_loss",
        "Loss on unseen data": "val_loss",
        "Correct on unseen data": "val_metric",
        "Length of the gradient": "grad_norm",
        "Rows a second": "throughput",
    },
    {
        "loss_by_tokens/fit": "train_loss",
        "loss_by_tokens/heldout": "val_loss",
        "norms_by_tokens/grads": "grad_norm",
        "norms_by_tokens/params": "weight_norm",
        "share_by_tokens/0": "prediction_share",
        "fraccion_predicha/1": "prediction_share",
    },
]


@pytest.mark.parametrize("tags", SCRIPTS, ids=lambda tags: next(iter(tags)))
def test_tags_of_public_scripts_are_read(tags: dict[str, str]) -> None:
    series = {t: CLIMBING if key.endswith("metric") and t not in LOWER else FALLING for t, key in tags.items()}
    series |= {t: FALLING / 1000 for t, key in tags.items() if key == "lr"}
    signals = resolve(_synth.make_run(series), Config())
    assert {x.name: x.key for x in signals.all} == tags
    assert {x.name for x in signals.all if x.role.value == "metric" and x.direction.value == "lower"} == LOWER & set(tags)


LOWER = {"Validierung/mittlerer_Fehler", "PER/valid", "mape", "mean_rank", "crps", "abs_rel"}


def test_orders_and_cuts_are_no_classes() -> None:
    tags = ["BLEU-1", "BLEU-2", "BLEU-3", "Acc_1", "Acc_5"]
    signals = resolve(_synth.make_run({"loss": FALLING, **dict.fromkeys(tags, CLIMBING)}), Config())
    assert not [x.name for x in signals.all if x.class_id is not None]
    tags = [f"acc_{n}" for n in range(1, 4)]
    signals = resolve(_synth.make_run({"loss": FALLING, **dict.fromkeys(tags, CLIMBING)}), Config())
    assert [x.class_id for x in signals.all if x.name in tags] == ["1", "2", "3"]


def test_the_number_of_a_process_is_no_rank() -> None:
    signals = resolve(_synth.make_run({"loss": FALLING, "rank1/gpu_util": np.full(30, 0.9)}), Config())
    assert next(x.role.value for x in signals.all if x.name == "rank1/gpu_util") == "unknown"


def test_a_measure_of_held_out_data_is_not_moved_where_validation_has_its_own() -> None:
    signals = resolve(_synth.make_run({"progress/xent": FALLING, "progress/eer": FALLING, "valid/eer": FALLING}), Config())
    assert {x.name: x.split.value for x in signals.all if "eer" in x.name} == {"progress/eer": "train", "valid/eer": "val"}


def test_what_only_values_tell() -> None:
    scale = np.concatenate((2.0 ** np.arange(16, -12, -1.0), [0.0, 0.0]))
    passes = np.repeat(np.arange(10.0), 3)
    run = _synth.make_run(
        {"loss": FALLING, "缩放": scale, "ep": passes, "val/ep": CLIMBING, "fit/eta": np.full(30, 0.29), "exp3#grad": -FALLING}
    )
    assert {x.name: x.key for x in resolve(run, Config()).all if x.name != "loss"} == {
        "缩放": "loss_scale",
        "ep": "epoch",
        "val/ep": "unknown",
        "fit/eta": "lr",  # the time that is left does not stand still
        "exp3#grad": "unknown",  # no norm is below zero
    }


def test_spanish_precision_is_the_accuracy_of_a_classifier() -> None:
    signals = resolve(_synth.make_run({"pérdida": FALLING, "precisión_val": CLIMBING, "val_precision": CLIMBING}), Config())
    assert {x.name: x.stem for x in signals.all if x.split.value == "val"} == {"precisión_val": "accuracy", "val_precision": "precision"}


def test_the_loss_itself_stands_before_one_of_its_names() -> None:
    signals = resolve(_synth.make_run({"train/loss": FALLING, "val/loss_ctc": FALLING, "val/loss": FALLING}), Config())
    assert signals.mains["val_loss"].name == "val/loss"


def test_the_folder_of_an_accuracy_is_no_class() -> None:
    signals = resolve(_synth.make_run({"loss/loss": FALLING, "loss/class_acc": CLIMBING}), Config())
    assert signals.mains["train_metric"].name == "loss/class_acc"


def test_two_letters_say_something_together() -> None:
    run = _synth.make_run({"tl": FALLING, "vl": FALLING, "t_a": CLIMBING, "v_a": CLIMBING, "gn": FALLING, "wn": FALLING})
    assert {x.name: x.key for x in resolve(run, Config()).all} == {
        "tl": "train_loss",
        "vl": "val_loss",
        "t_a": "train_metric",
        "v_a": "val_metric",
        "gn": "grad_norm",
        "wn": "weight_norm",
    }
    alone = resolve(_synth.make_run({"loss": FALLING, "vl": FALLING, "gn": FALLING}), Config())
    assert {x.name: x.role.value for x in alone.all if x.name != "loss"} == {"vl": "unknown", "gn": "unknown"}
