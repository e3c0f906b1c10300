"""Faults that the curves alone hardly show: predictions, gradients, activations, numerics, data, log health."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trainings.faults import FAULTS, Plan, _add, _shuffled, steps_of
from trainings.nets import Array, Net
from trainings.tasks import Setting, Task
from trainings.train import Hooks, with_data


@_add(FAULTS, "no-capacity")
def no_capacity(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, replace(s, hidden=1, depth=1), wants=("underfitting",))


@_add(FAULTS, "excess-decay")
def excess_decay(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, replace(s, weight_decay=25.0), wants=("underfitting", "no-learning"))


@_add(FAULTS, "validation-is-easy")
def easy_validation(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    """Half of the training labels are noise; the validation split has none, so validation is far better."""
    return Plan(with_data(task, y=_shuffled(task, rng, 0.45)), s, wants=("val-better",))


@_add(FAULTS, "target-among-features")
def leaking_feature(task: Task, s: Setting, rng: np.random.Generator) -> Plan | None:
    if task.loss != "softmax" or task.x.ndim != 2 or task.x.dtype == np.int64:
        return None

    def put(x: Array, y: Array) -> Array:
        return np.concatenate([x, 4.0 * np.eye(task.classes)[y]], axis=1)

    leaking = with_data(task, x=put(task.x, task.y), x_val=put(task.x_val, task.y_val))
    return Plan(leaking, s, wants=("leakage",))


@_add(FAULTS, "validation-on-one-batch")
def one_batch(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    def pick(epoch: int, x: Array, y: Array) -> tuple[Array, Array]:
        chosen = np.random.default_rng([epoch, 5]).integers(0, len(x), 6)
        return x[chosen], y[chosen]

    return Plan(task, replace(s, epochs=max(s.epochs, 24), lr=s.lr / 2), Hooks(val=pick), wants=("noisy-validation",))


@_add(FAULTS, "sorted-by-class")
def sorted_data(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    """Hard samples last in every epoch: the loss drops at each epoch's start."""
    key = task.y if task.y.ndim == 1 else task.y[:, 0]
    hooks = Hooks(order=lambda epoch, order: np.argsort(key, kind="stable"))
    return Plan(task, s, hooks, wants=("epoch-sawtooth", "instability"), log=frozenset({"every-step"}))


@_add(FAULTS, "constant-labels")
def constant_labels(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    if task.classes == 0 or task.loss == "sigmoid":
        return labels_to_mean(task, s, rng)
    return Plan(with_data(task, y=task.y * 0), s, wants=("prediction-collapse",), log=frozenset({"predictions"}))


def labels_to_mean(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    """The head's output does not depend on the input (its weights are held at zero)."""

    def still(step: int, net: Net) -> None:
        head = net.layers[-1]
        head.p["weight"] = head.p["weight"] * 0
        head.g["weight"] = head.g["weight"] * 0

    return Plan(task, s, Hooks(gradient=still), wants=("prediction-collapse", "no-learning"), log=frozenset({"outputs"}))


@_add(FAULTS, "rare-class-ignored")
def imbalance(task: Task, s: Setting, rng: np.random.Generator) -> Plan | None:
    """The last class keeps a tenth of its samples and overlaps the others, in both splits alike."""
    if task.loss != "softmax" or task.x.dtype == np.int64:
        return None
    keep, keep_val = ((y < task.classes - 1) | (rng.random(len(y)) < 0.1) for y in (task.y, task.y_val))
    x, x_val = (a + rng.normal(0, 1.5 * task.x.std(), a.shape) for a in (task.x[keep], task.x_val[keep_val]))
    skewed = with_data(task, x=x, y=task.y[keep], x_val=x_val, y_val=task.y_val[keep_val])
    return Plan(skewed, s, wants=("class-imbalance", "prediction-collapse"), log=frozenset({"predictions", "recalls"}))


@_add(FAULTS, "label-smoothing-0.8")
def smoothing(task: Task, s: Setting, rng: np.random.Generator) -> Plan | None:
    if task.loss != "softmax" or task.classes < 3:
        return None
    return Plan(task, replace(s, smoothing=0.8), wants=("low-confidence",), log=frozenset({"predictions"}))


@_add(FAULTS, "memorised-with-confidence")
def overconfident(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    small = with_data(task, x=task.x[:150], y=task.y[:150])
    noisy = with_data(small, y=_shuffled(small, rng, 0.3))
    long = replace(s, epochs=60, hidden=96, lr=s.lr * 1.5)
    return Plan(noisy, long, wants=("overfitting",), also=("over-confidence",), log=frozenset({"predictions"}))


@_add(FAULTS, "init-x30")
def init_scale(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    wants = ("nan-inf", "exploding-gradients", "divergence", "instability")
    wild = replace(s, init_scale=30.0, optimizer="sgd", lr=s.lr * 10)
    return Plan(task, wild, wants=wants, also=("exploding-gradients",), log=frozenset({"gradients"}))


@_add(FAULTS, "gradients-never-unscaled")
def never_unscaled(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    """From the middle on a loss scaler doubles its scale ever again, and nobody divides the gradients by it before they are clipped and logged."""
    total = steps_of(task, s)
    at = total // 2

    def grow(step: int, net: Net) -> None:
        for _, layer, key in net.named():
            layer.g[key] = layer.g[key] * 2.0 ** max((step - at) // max(total // 40, 1), 0)

    hooks = Hooks(gradient=grow)
    return Plan(task, replace(s, clip=5.0), hooks, wants=("exploding-gradients",), event=at, log=frozenset({"gradients"}))


@_add(FAULTS, "deep-sigmoid")
def deep_sigmoid(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    deep = replace(s, depth=8, activation="sigmoid", init_scale=0.6, optimizer="sgd", lr=s.lr * 3)
    return Plan(task, deep, wants=("vanishing-gradients",), log=frozenset({"gradients", "layers"}))


@_add(FAULTS, "negative-bias")
def negative_bias(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, replace(s, init_bias=-8.0), wants=("dead-units",), log=frozenset({"activations"}))


@_add(FAULTS, "unscaled-inputs-tanh")
def saturated(task: Task, s: Setting, rng: np.random.Generator) -> Plan | None:
    if task.x.dtype == np.int64:
        return None
    wide = with_data(task, x=task.x * 60, x_val=task.x_val * 60)
    return Plan(wide, replace(s, activation="tanh"), wants=("saturated-activations",), log=frozenset({"activations"}))


@_add(FAULTS, "decay-with-wrong-sign")
def growing_weights(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    hooks = Hooks(decay=lambda step: -0.9)
    return Plan(task, s, hooks, wants=("weight-growth",), also=("nan-inf", "divergence"), log=frozenset({"weights", "norms"}))


@_add(FAULTS, "clipped-at-a-hundredth")
def clipped(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    tight = replace(s, clip=0.004, optimizer="sgd", lr=s.lr * 3)
    return Plan(task, tight, wants=("clipping-saturated",), log=frozenset({"gradients", "clip"}))


@_add(FAULTS, "half-precision-overflow")
def loss_scale(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    at = int(steps_of(task, s) * 0.5)

    def blow(step: int, net: Net) -> None:
        if step >= at and step % 4 == 0:
            net.layers[-1].g["weight"] = net.layers[-1].g["weight"] * np.inf

    return Plan(task, replace(s, amp=True), Hooks(gradient=blow), wants=("loss-scale-collapse",), event=at, log=frozenset({"scale"}))


@_add(FAULTS, "squashed-twice")
def squashed_twice(task: Task, s: Setting, rng: np.random.Generator) -> Plan | None:
    if task.loss not in ("softmax", "sigmoid"):
        return None
    return Plan(task, replace(s, loss=f"{task.loss}-twice"), wants=("loss-mismatch",))


@_add(FAULTS, "throughput-collapses")
def stalled(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, s, wants=("stalled",), event=int(steps_of(task, s) * 0.55), damage="slow")


@_add(FAULTS, "gap-of-hours")
def gap(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, s, wants=("stalled",), event=int(steps_of(task, s) * 0.55), damage="gap")


@_add(FAULTS, "file-cut")
def cut(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, s, wants=("truncated-log",), damage="cut")


@_add(FAULTS, "record-corrupt")
def corrupt(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, s, wants=("truncated-log",), damage="corrupt")


@_add(FAULTS, "steps-go-back")
def rollback(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, s, wants=("restart-overlap",), damage="rollback")


@_add(FAULTS, "train-loss-only")
def train_only(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, s, wants=("missing-evidence",), log=frozenset({"train-only"}))
