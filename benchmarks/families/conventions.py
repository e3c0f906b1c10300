"""Ways to name and lay out a log.  {s} stands for the split, {m} for the metric, {n} for a parameter or a class.

`x` and `xv` are the step axes of training and validation: step, epoch (from 1), epoch0 (from 0) or samples.  `every` is the logging interval
of training in steps, 0 for once an epoch; `fold` says how the values between two points are put together: mean, last or ema.
"""

import dataclasses as dc


@dc.dataclass
class Convention:
    """One style of logging."""

    name: str
    loss: str
    score: str
    splits: tuple = ("train", "val")
    dirs: tuple = ("", "")
    x: str = "step"
    xv: str = ""
    every: int = 5
    fold: str = "mean"
    lr: str = "lr"
    gnorm: str = "grad_norm"
    wnorm: str = "weight_norm"
    scale: str = "loss_scale"
    speed: str = "samples_per_sec"
    step_time: str = ""
    layer_grad: str = "grad_norm/{n}"
    weights: str = "weights/{n}"
    grads: str = "gradients/{n}"
    acts: str = "activations/{n}"
    dead: str = "zero_fraction/{n}"
    share: str = "predicted/{n}"
    recall: str = "recall/{n}"
    conf: str = "confidence/mean"
    confusion: str = "confusion/{n}"
    preds: str = "predictions"
    extra_epoch: str = ""
    top: str = ""  # directory under logs/
    names: dict = dc.field(default_factory=dict)  # metric -> its name here
    turn: str = ""  # "percent" or "error"
    digits: int = 0
    style: str = "scalar"  # or add_scalars, tensor
    text: str = "config"
    val_loss: str = ""  # where it is not like the training loss
    val_score: str = ""
    train_score: str | None = None  # "" for none
    epoch_loss: str = ""  # mean training loss of the epoch, written at the evaluation
    component: str = ""  # {n}: component of the loss
    more: str = ""  # {n}: further validation score
    turn_loss: str = ""  # "ppl" or "bits"
    hidden: tuple = ()  # what the convention does not write: val_loss, train_loss
    test_dir: str = ""  # a third directory with the test split's figures
    logger: str = "torch"  # or tensorboardx, lightning, hf, accelerate: written through that package


DEV = [
    Convention("slash", "loss/{s}", "{m}/{s}", lr="optim/lr", gnorm="optim/grad_norm", conf="conf/val", speed="speed/samples_per_s"),
    Convention(
        "dotted",
        "{s}.loss",
        "{s}.{m}",
        splits=("train", "valid"),
        x="epoch",
        every=0,
        lr="opt.lr",
        gnorm="opt.gradnorm",
        wnorm="model.norm",
        scale="amp.scale",
        layer_grad="gradnorm.{n}",
        weights="hist.w.{n}",
        grads="hist.g.{n}",
        acts="hist.a.{n}",
        recall="valid.recall.{n}",
        share="valid.pred_share.{n}",
        conf="valid.mean_confidence",
    ),
    Convention(
        "short",
        "{s}_xe",
        "{s}_{m}",
        splits=("train", "dev"),
        every=10,
        lr="lrate",
        gnorm="gradnorm",
        turn="error",
        names={"acc": "err"},
        conf="dev_conf",
        speed="ex_per_sec",
        dead="frac_zero/{n}",
    ),
    Convention(
        "subdirs",
        "loss",
        "{m}",
        dirs=("train", "val"),
        lr="learning_rate",
        names={"acc": "accuracy"},
        gnorm="global_norm/gradient_norm",
        every=4,
    ),
    Convention(
        "scalars-epoch",
        "Loss",
        "{m}",
        splits=("train", "validation"),
        x="epoch0",
        every=0,
        style="add_scalars",
        names={"acc": "Accuracy"},
        lr="LR",
        conf="Confidence/validation",
    ),
    Convention(
        "top1",
        "metrics/{s}_loss",
        "metrics/{s}_{m}",
        names={"acc": "top1"},
        turn="percent",
        every=8,
        lr="optim/learning_rate",
        gnorm="optim/total_grad_norm",
        share="metrics/val_pred_share/{n}",
        recall="metrics/val_recall/{n}",
        conf="metrics/val_confidence",
    ),
    Convention(
        "lit-user",
        "{s}/loss",
        "{s}/{m}",
        top="lightning_logs/version_3",
        every=6,
        fold="last",
        lr="lr-AdamW",
        gnorm="grad_2.0_norm_total",
        layer_grad="grad_2.0_norm/{n}",
        names={"acc": "MulticlassAccuracy"},
        extra_epoch="epoch",
        text="hparams",
    ),
    Convention(
        "tf2-sub",
        "epoch_loss",
        "epoch_{m}",
        dirs=("train", "validation"),
        x="epoch0",
        every=0,
        style="tensor",
        names={"acc": "accuracy"},
        lr="epoch_learning_rate",
        weights="{n}/histogram",
    ),
    Convention(
        "every50",
        "Training/Cross entropy",
        "Training/{m}",
        splits=("Training", "Validation"),
        every=25,
        names={"acc": "Accuracy"},
        lr="Training/LR",
        gnorm="Training/Gradient norm",
        conf="Validation/Confidence",
    ),
    Convention(
        "smooth", "smooth_loss", "{s}_{m}", splits=("train", "holdout"), every=3, fold="ema", lr="lr_0", gnorm="gnorm", conf="holdout_conf"
    ),
    Convention(
        "hub",
        "{s}/loss",
        "{s}/{m}",
        splits=("train", "eval"),
        top="runs/Nov12_08-11-33_node7",
        every=10,
        names={"acc": "accuracy"},
        lr="train/learning_rate",
        gnorm="train/grad_norm",
        digits=4,
        extra_epoch="train/epoch",
        text="args",
        speed="train/samples_per_second",
    ),
]

SEALED = [
    Convention(
        "paren",
        "Loss ({s})",
        "{m} ({s})",
        x="epoch",
        every=0,
        names={"acc": "Accuracy"},
        turn="percent",
        lr="Learning rate",
        gnorm="Gradient norm",
        wnorm="Parameter norm",
        conf="Mean confidence (val)",
        recall="Recall class {n} (val)",
    ),
    Convention(
        "camel",
        "{s}Loss",
        "{s}{m}",
        splits=("Train", "Valid"),
        every=5,
        names={"acc": "Accuracy", "r2": "R2"},
        lr="LearningRate",
        gnorm="GradL2",
        wnorm="ParamL2",
        conf="ValidConfidence",
        speed="SamplesPerSec",
        dead="ZeroFraction/{n}",
    ),
    Convention(
        "batch-epoch",
        "Batch/loss",
        "Epoch/{s}_{m}",
        every=2,
        fold="last",
        lr="Batch/lr",
        gnorm="Batch/grad_norm",
        names={"acc": "accuracy"},
        recall="Epoch/val_recall_{n}",
        share="Epoch/val_share_{n}",
        conf="Epoch/val_confidence",
    ),
    Convention(
        "phase",
        "phase={s}/objective",
        "phase={s}/{m}",
        splits=("train", "test"),
        every=7,
        lr="hyper/lr",
        gnorm="norms/grad",
        wnorm="norms/param",
        conf="phase=test/confidence",
    ),
    Convention(
        "estimator",
        "loss",
        "{m}",
        dirs=("", "eval"),
        every=10,
        fold="last",
        names={"acc": "accuracy"},
        speed="global_step/sec",
        lr="learning_rate",
        gnorm="global_norm",
    ),
    Convention(
        "scalars-step",
        "losses",
        "{m}",
        splits=("trn", "vld"),
        every=6,
        style="add_scalars",
        lr="step_size",
        gnorm="gradient/norm",
        wnorm="theta/norm",
    ),
    Convention(
        "composed",
        "loss/{s}/total",
        "metrics/{s}/{m}",
        splits=("train", "eval"),
        every=1,
        fold="last",
        names={"acc": "MulticlassAccuracy"},
        lr="lr-DecoupledAdamW/group0",
        gnorm="l2_norm/grad/global",
        layer_grad="l2_norm/grad/{n}",
        speed="throughput/samples_per_sec",
        step_time="time/batch",
    ),
    Convention(
        "titan",
        "loss_metrics/global_avg_loss",
        "validation_metrics/{m}",
        every=10,
        lr="lr/AdamW",
        gnorm="grad_norm",
        speed="throughput(sps)",
        step_time="time_metrics/end_to_end(s)",
        names={"acc": "accuracy"},
    ),
    Convention(
        "seen",
        "samples/{s}_loss",
        "samples/{s}_{m}",
        x="samples",
        every=5,
        lr="samples/lr",
        gnorm="samples/grad_norm",
        scale="samples/loss_scale",
    ),
    Convention(
        "folds",
        "{s}/nll",
        "{s}/{m}",
        splits=("train", "valid"),
        top="exp_017/fold0",
        every=8,
        lr="opt/lr",
        gnorm="opt/gnorm",
        names={"acc": "acc"},
        confusion="valid/cm/{n}",
        recall="valid/recall/{n}",
    ),
    Convention(
        "vis",
        "loss",
        "{m}",
        top="20260114_093127/vis_data",
        xv="epoch",
        every=4,
        lr="lr",
        gnorm="grad_norm",
        names={"acc": "accuracy/top1"},
        turn="percent",
        step_time="time",
    ),
    Convention(
        "imagenet", "{s}_loss", "{s}_{m}", splits=("train", "eval"), x="epoch0", every=0, names={"acc": "top1"}, turn="percent", lr="lr"
    ),
    Convention(
        "ema-long", "trn/loss_ema", "val/{m}", splits=("trn", "val"), every=3, fold="ema", lr="trn/lr", gnorm="trn/gnorm", conf="val/conf"
    ),
]

VAL_LOSS = {
    "every50": "Validation/Cross entropy",
    "smooth": "holdout_loss",
    "batch-epoch": "Epoch/val_loss",
    "titan": "validation_metrics/loss",
    "ema-long": "val/loss",
    "vis": "val/loss",
}
TRAIN_LOSS_TOO = {"batch-epoch": "Epoch/train_loss", "lit-user": "train/loss_epoch"}
VAL_SCORE = {"every50": "Validation/{m}"}
TRAIN_SCORE = {"titan": "", "ema-long": "", "vis": "acc"}
BY_NAME = {c.name: c for c in (*DEV, *SEALED)}
