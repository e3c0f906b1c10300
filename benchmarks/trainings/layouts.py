"""How frameworks lay out their logs: directories, tags, step units, cadence, encoding, and what each did to its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trainings import writer
from trainings.faults import Plan
from trainings.nets import Array
from trainings.train import Trace


@dataclass(frozen=True)
class Layout:
    """One logging convention.

    Attributes:
        train_loss, val_loss, train_metric, val_metric, lr, gradient: tags, ``""`` where the convention has none; ``{m}`` is the metric.
        epoch_loss: tag of the epoch's mean training loss, where it is logged besides the steps'.
        train_dir, val_dir: directories below the run.
        axis: unit of the training series: ``step``, ``epoch0``, ``epoch1``, ``sample``; val_axis of the validation series.
        every: an interval of logging in shares of an epoch (0: every step); ignored on epoch axes.
        mean: whether the logged training loss is the mean since the last point (else the raw mini-batch).
        divide: what the loss is divided by before it is logged (ln 2 where the convention logs bits).
        digits: decimals kept, or None.
        tensors: TF2 encoding.
        loss_dirs: ``add_scalars``: each loss lies in a directory of its own.
    """

    name: str
    train_loss: str
    val_loss: str
    val_metric: str = ""
    train_metric: str = ""
    epoch_loss: str = ""
    lr: str = ""
    gradient: str = ""
    train_dir: str = ""
    val_dir: str = ""
    axis: str = "step"
    val_axis: str = ""
    every: float = 0.25
    mean: bool = True
    divide: float = 1.0
    digits: int | None = None
    tensors: bool = False
    loss_dirs: bool = False
    always: frozenset[str] = frozenset()
    epoch_tag: str = ""


LN2 = float(np.log(2))
COMMON = (
    Layout("tutorial", "Loss/train", "Loss/val", "{M}/val", "{M}/train", lr="lr", gradient="grad_norm", axis="epoch0"),
    Layout("slashes", "train/loss", "val/loss", "val/{m}", "train/{m}", lr="train/lr", gradient="train/grad_norm", every=0, mean=False),
    Layout("keras", "epoch_loss", "epoch_loss", "epoch_{m}", "epoch_{m}", lr="epoch_learning_rate", gradient="epoch_grad_norm",
           train_dir="train", val_dir="validation", axis="epoch0", tensors=True),
    Layout("lightning", "train_loss_step", "val_loss", "val_{m}", "train_{m}", "train_loss_epoch", "lr-AdamW", "grad_2.0_norm_total",
           train_dir="lightning_logs/version_0", val_dir="lightning_logs/version_0", mean=False, every=0.2, epoch_tag="epoch"),
    Layout("hf", "train/loss", "eval/loss", "eval/{m}", lr="train/learning_rate", gradient="train/grad_norm", every=0.25, digits=4,
           always=frozenset({"lr", "gradients"}), epoch_tag="train/epoch"),
    Layout("fairseq", "loss", "loss", "{m}", lr="lr", gradient="gnorm", train_dir="train_inner", val_dir="valid", divide=LN2, digits=3,
           always=frozenset({"lr", "gradients"})),
    Layout("estimator", "loss", "loss", "{m}", lr="learning_rate_1", gradient="global_norm/gradient_norm", val_dir="eval", mean=False),
    Layout("add-scalars", "loss", "loss", "{m}", "{m}", lr="learning_rate", gradient="grad_norm", axis="epoch1", loss_dirs=True),
    Layout("megatron", "lm loss", "lm loss validation", "", lr="learning-rate", gradient="grad-norm", every=0.1,
           always=frozenset({"lr", "gradients", "scale"})),
    Layout("mmengine", "loss", "val/loss", "val/{m}", lr="lr", gradient="grad_norm", train_dir="vis_data", val_dir="vis_data",
           val_axis="epoch1", every=0.2, always=frozenset({"lr"}), epoch_tag="epoch"),
    Layout("ultralytics", "train/loss", "val/loss", "metrics/{m}", lr="lr/pg0", gradient="train/grad_norm", axis="epoch1"),
)  # fmt: skip
RESERVED = (
    Layout("torchtitan", "loss_metrics/global_avg_loss", "validation_metrics/loss", "", lr="lr", gradient="grad_norm", every=0.2,
           always=frozenset({"lr", "gradients"})),
    Layout("composer", "loss/train/total", "metrics/eval/loss", "metrics/eval/{m}", "metrics/train/{m}", lr="lr-AdamW/group0",
           gradient="l2_norm/grad/global", every=0, mean=False),
    Layout("flax", "train_loss", "eval_loss", "eval_{m}", "train_{m}", lr="train_learning_rate", gradient="train_grad_norm", every=0.5),
    Layout("coqui", "TrainIterStats/loss", "EvalStats/avg_loss", "EvalStats/avg_{m}", epoch_loss="TrainEpochStats/avg_loss",
           lr="TrainIterStats/current_lr", gradient="TrainIterStats/grad_norm", every=0.2, mean=False),
    Layout("deepspeed", "Train/Samples/train_loss", "Train/Samples/eval_loss", "Train/Samples/eval_{m}", lr="Train/Samples/lr",
           gradient="Train/Samples/grad_norm", axis="sample", every=0.2),
)  # fmt: skip


@dataclass
class Log:
    """Collects the points of one run before they are written: (directory, order, step, wall time, value)."""

    layout: Layout
    plan: Plan
    trace: Trace
    start: float
    seconds: float
    points: list[tuple[str, int, int, bytes]] = field(default_factory=list)

    def unit(self, step: int, axis: str) -> int:
        """A count of optimiser steps in a series' own unit."""
        if axis.startswith("epoch"):
            return (step - 1) // self.trace.per_epoch + (axis == "epoch1")
        return step * self.trace.setting.batch if axis == "sample" else step

    def put(self, directory: str, step: int, axis: str, tag: str, value: float) -> None:
        """Add one scalar that was measured after `step` optimiser steps."""
        left_out = self.trace.setting.extra.get("skip_nonfinite") and not np.isfinite(value)
        if tag and not left_out:
            encode = writer.tensor_scalar if self.layout.tensors else writer.scalar
            self.points.append((directory, step, self.unit(step, axis), encode(tag, value)))

    def put_histogram(self, directory: str, step: int, axis: str, tag: str, values: Array) -> None:
        """Add one histogram."""
        encode = writer.tensor_histogram if self.layout.tensors else writer.histogram
        self.points.append((directory, step, self.unit(step, axis), encode(tag, values)))

    def loss(self, value: float) -> float:
        """A loss as this convention logs it."""
        out = value / self.layout.divide * self.trace.setting.extra.get("log_scale", 1.0)
        return round(out, self.layout.digits) if self.layout.digits is not None and np.isfinite(out) else out


def steps_logged(layout: Layout, plan: Plan, trace: Trace) -> list[int]:
    """After which optimiser steps the training series are logged."""
    if layout.axis.startswith("epoch"):
        return [e.step for e in trace.evaluations]
    every = 1 if "every-step" in plan.log or not layout.every else max(int(trace.per_epoch * layout.every), 1)
    if not layout.every and trace.steps > 1200 and "every-step" not in plan.log:
        every = 2
    return list(range(every, trace.steps + 1, every))


def collect(layout: Layout, plan: Plan, trace: Trace, rng: np.random.Generator) -> Log:
    """All points of a training in one convention."""
    log = Log(layout, plan, trace, 1.74e9 + float(rng.integers(0, 10**7)), float(rng.uniform(0.05, 0.6)))
    extras = set(plan.log) | layout.always | {"lr"} if rng.random() < 0.6 else set(plan.log) | layout.always
    if rng.random() < 0.35:
        extras.add("gradients")
    train_dirs = {"loss": f"{layout.train_dir}loss_train" if layout.loss_dirs else layout.train_dir}
    previous = 0
    for step in steps_logged(layout, plan, trace):
        i = step - 1
        since = slice(previous, step) if layout.mean else slice(i, step)
        previous = step
        log.put(train_dirs["loss"], step, layout.axis, layout.train_loss, log.loss(float(np.mean(trace.loss[since]))))
        if "lr" in extras:
            log.put(layout.train_dir, step, layout.axis, layout.lr, float(trace.lr[i]))
        if "gradients" in extras:
            log.put(layout.train_dir, step, layout.axis, layout.gradient, float(trace.gradient_norm[i]))
        if "clip" in extras:
            log.put(layout.train_dir, step, layout.axis, "train/clip_fraction", float(np.mean(trace.clipped[since])))
        if "scale" in extras and trace.setting.amp:
            log.put(layout.train_dir, step, layout.axis, "loss-scale" if layout.name == "megatron" else "loss_scale", trace.scale[i])
        if "layers" in extras:
            for name, norms in trace.layer_gradients.items():
                log.put(layout.train_dir, step, layout.axis, f"grad_norm/{name}", float(norms[i]))
        if layout.epoch_tag:
            log.put(layout.train_dir, step, layout.axis, layout.epoch_tag, float(i // trace.per_epoch))
    _collect_evaluations(log, extras)
    return log


def _collect_evaluations(log: Log, extras: set[str]) -> None:
    layout, trace, task = log.layout, log.trace, log.trace.task
    axis = layout.val_axis or ("step" if layout.axis == "step" else layout.axis)
    m = task.metric
    big = m.capitalize() if m != "mae" else "MAE"
    for e in trace.evaluations:
        log.put(layout.train_dir, e.step, layout.axis, layout.epoch_loss, log.loss(e.train_loss))
        metric_dirs = (f"{m}_train", f"{m}_val") if layout.loss_dirs else (layout.train_dir, layout.val_dir)
        if layout.train_metric:
            log.put(metric_dirs[0], e.step, layout.axis, layout.train_metric.format(m=m, M=big), e.train_metric)
        if "train-only" in extras:
            continue
        log.put("loss_val" if layout.loss_dirs else layout.val_dir, e.step, axis, layout.val_loss, log.loss(e.val_loss))
        if layout.val_metric:
            log.put(metric_dirs[1], e.step, axis, layout.val_metric.format(m=m, M=big), e.val_metric)
        if "predictions" in extras:
            log.put(layout.val_dir, e.step, axis, "val_confidence", e.confidence)
            for k, share in enumerate(e.shares):
                log.put(layout.val_dir, e.step, axis, f"val_pred_fraction/class_{k}", share)
        if "recalls" in extras:
            for k, recall in enumerate(e.recalls):
                log.put(layout.val_dir, e.step, axis, f"val_recall/class_{k}", recall)
        if "norms" in extras:
            for name, norm in e.weight_norm.items():
                log.put(layout.train_dir, e.step, layout.axis, f"weight_norm/{name}", norm)
        _collect_tensors(log, extras, e.step, e.weights, e.gradients, e.outputs)
        if "activations" in extras:
            for name in e.zero:
                log.put(layout.train_dir, e.step, layout.axis, f"activations/{name}/zero_fraction", e.zero[name])
                log.put(layout.train_dir, e.step, layout.axis, f"activations/{name}/saturated_fraction", e.saturated[name])


def _collect_tensors(
    log: Log, extras: set[str], step: int, weights: dict[str, Array], gradients: dict[str, Array], outputs: dict[str, Array]
) -> None:
    layout = log.layout
    if "weights" in extras:
        for name, w in weights.items():
            log.put_histogram(layout.train_dir, step, layout.axis, f"weights/{name}", w)
        for name, g in gradients.items():
            log.put_histogram(layout.train_dir, step, layout.axis, f"gradients/{name}", g)
    if "activations" in extras:
        for name, a in outputs.items():
            log.put_histogram(layout.train_dir, step, layout.axis, f"activations/{name}", a)


def wall_clock(log: Log) -> Callable[[int], float]:
    """Wall time by optimiser step, with the slow-down or gap that the plan asks for."""
    event, damage = log.plan.event or 0, log.plan.damage

    def at(step: int) -> float:
        extra = 0.0
        if damage == "slow" and step > event:
            extra = (step - event) * log.seconds * 20
        if damage == "gap" and step > event:
            extra = 3600 * 7.5
        return log.start + step * log.seconds + extra

    return at


def write(log: Log, root: Path) -> None:
    """Write the event files of a log below `root`, then damage them as the plan says."""
    clock, damage = wall_clock(log), log.plan.damage
    total = log.trace.steps
    files: dict[tuple[str, int], writer.EventFile] = {}
    cut, back = int(total * 0.55), int(total * 0.35)
    if damage in ("resumed", "rollback"):
        again = back if damage == "rollback" else cut
        order = [(0, p) for p in log.points if p[1] <= cut] + [(1, p) for p in log.points if p[1] > again]
    else:
        order = [(0, p) for p in log.points]
    shift = 400.0 if damage in ("resumed", "rollback") else 0.0
    late = (cut - back) * log.seconds if damage == "rollback" else 0.0
    for part, (directory, step, unit, value) in sorted(order, key=lambda q: (q[0], q[1][1])):
        key = (directory, part)
        wall = clock(step) + part * (shift + late)
        if key not in files:
            name = f"events.out.tfevents.{int(wall)}.trainer.{1000 + part}.{len(files)}"
            files[key] = writer.EventFile(root / directory / name, wall - 1.0)
        files[key].add(wall, unit, value)
    for file in files.values():
        file.save()
    if damage in ("cut", "corrupt"):
        largest = max(files.values(), key=lambda f: f.path.stat().st_size).path
        data = bytearray(largest.read_bytes())
        if damage == "cut":
            del data[-7:]
        else:
            middle = sum(len(r) for r in files[next(k for k in files if files[k].path == largest)].records[: len(data) // 200 + 2]) + 20
            data[min(middle, len(data) - 20)] ^= 0x5A
        largest.write_bytes(bytes(data))
