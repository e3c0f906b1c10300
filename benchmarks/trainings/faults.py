"""Ways to train: healthy ones with their quirks, and faults. Each takes a task and returns what to train, and what that should show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from trainings.nets import Array, Net
from trainings.tasks import Setting, Task
from trainings.train import Hooks, with_data


@dataclass
class Plan:
    """One training to run.

    Attributes:
        wants: ids that the log should show, the best name first; the judge keeps the first that it sees (none: healthy).
        also: ids that are required besides, if they show.
        true: the cause itself: accepted in place of whatever shows.
        event: step at which the fault sets in, or None.
        log: what must be logged for the fault to be visible: ``gradients``, ``activations``, ``weights``, ``predictions``,
            ``lr``, ``scale``, ``clip``, ``train-only``.
        damage: what happens to the files afterwards.
    """

    task: Task
    setting: Setting
    hooks: Hooks = field(default_factory=Hooks)
    wants: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    true: tuple[str, ...] = ()
    event: int | None = None
    log: frozenset[str] = frozenset()
    damage: str = ""


# None: the task cannot show it.
Maker = Callable[[Task, Setting, np.random.Generator], "Plan | None"]
HEALTHY: dict[str, Maker] = {}
FAULTS: dict[str, Maker] = {}


def _healthy(name: str, **changes: object) -> None:
    HEALTHY[name] = lambda task, s, rng: Plan(task, replace(s, **changes))  # type: ignore[arg-type]


for _schedule in ("constant", "cosine", "linear", "warmup-cosine", "step-decay", "one-cycle", "warm-restarts"):
    _healthy(_schedule, schedule=_schedule)
_healthy("dropout", dropout=0.25)
_healthy("loose-clipping", clip=3.0)
_healthy("small-batches", batch=12)
_healthy("diagnostics")


def _add(group: dict[str, Maker], name: str) -> Callable[[Maker], Maker]:
    def put(maker: Maker) -> Maker:
        group[name] = maker
        return maker

    return put


def steps_of(task: Task, s: Setting) -> int:
    """Optimiser steps of a whole training."""
    return max(len(task.x) // s.batch, 1) * s.epochs


def _subset(task: Task, n: int) -> Task:
    return with_data(task, x=task.x[:n], y=task.y[:n])


def _shuffled(task: Task, rng: np.random.Generator, share: float = 1.0) -> Array:
    y = task.y.copy()
    chosen = rng.permutation(len(y))[: int(share * len(y))]
    y[chosen] = y[rng.permutation(chosen)]
    return y


@_add(HEALTHY, "few-epochs")
def few_epochs(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, replace(s, epochs=max(5, s.epochs // 2), lr=s.lr * 1.5))


@_add(HEALTHY, "resumed")
def resumed(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, s, damage="resumed")


@_add(HEALTHY, "scaled-loss")
def scaled(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, replace(s, extra={"log_scale": float(rng.choice([1e-5, 1e3]))}) if task.loss == "mse" else s)


@_add(FAULTS, "small-training-set")
def small_training_set(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    n = 90
    epochs = int(rng.choice([40, 70]))
    big = replace(s, epochs=epochs, batch=15, hidden=96, lr=s.lr * 1.5)
    return Plan(with_data(_subset(task, n), y=_shuffled(_subset(task, n), rng, 0.12)), big, wants=("overfitting", "generalization-gap"))


@_add(FAULTS, "memorised-label-noise")
def memorised_noise(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    small = _subset(task, 400)
    return Plan(with_data(small, y=_shuffled(small, rng, 0.35)), replace(s, epochs=50, hidden=96, lr=s.lr * 1.5), wants=("overfitting",))


@_add(FAULTS, "labels-shuffled")
def labels_shuffled(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    hooks = Hooks(batch=lambda step, x, y: (x, task.y[rng.integers(0, len(task.y), len(y))]))
    return Plan(task, s, hooks, wants=("no-learning",))


@_add(FAULTS, "detached-graph")
def detached(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    def cut(step: int, net: Net) -> None:
        for _, layer, key in net.named():
            layer.g[key] = np.zeros_like(layer.g[key])

    return Plan(task, s, Hooks(gradient=cut), wants=("no-learning",))


@_add(FAULTS, "all-frozen")
def all_frozen(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, replace(s, frozen="all"), wants=("no-learning", "frozen-weights"), log=frozenset({"weights"}))


@_add(FAULTS, "body-frozen")
def body_frozen(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, replace(s, frozen="body"), wants=("frozen-weights",), log=frozenset({"weights"}))


@_add(FAULTS, "rate-zero")
def rate_zero(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, replace(s, schedule="zero"), wants=("lr-zero",), log=frozenset({"lr"}))


@_add(FAULTS, "schedule-hits-zero")
def hits_zero(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    early = replace(s, schedule="hits-zero", lr=s.lr / 3, extra={"zero_at": 0.12})
    return Plan(task, early, wants=("lr-zero",), event=int(0.12 * steps_of(task, s)), log=frozenset({"lr"}))


@_add(FAULTS, "rate-far-too-low")
def rate_low(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, replace(s, lr=s.lr / 3000), wants=("lr-too-low", "no-learning"), log=frozenset({"lr"}))


@_add(FAULTS, "rate-too-low")
def rate_lowish(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, replace(s, lr=s.lr / 40), wants=("unconverged", "lr-too-low"), log=frozenset({"lr"}))


@_add(FAULTS, "rate-collapses-early")
def rate_collapses(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, replace(s, schedule="collapses", lr=s.lr / 2), wants=("plateau", "lr-schedule"), log=frozenset({"lr"}))


@_add(FAULTS, "endless-warmup")
def endless_warmup(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, replace(s, schedule="endless-warmup"), wants=("lr-schedule",), log=frozenset({"lr"}))


@_add(FAULTS, "budget-too-short")
def short_budget(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, replace(s, epochs=max(4, s.epochs // 2), lr=s.lr / 12), wants=("unconverged",))


@_add(FAULTS, "rate-x40")
def rate_high(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    wants = ("nan-inf", "divergence", "instability", "no-learning", "underfitting", "plateau")
    return Plan(task, replace(s, lr=s.lr * float(rng.choice([30, 60, 120]))), wants=wants, true=("lr-too-high",), log=frozenset({"lr"}))


@_add(FAULTS, "sgd-rate-x300")
def sgd_high(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    wants = ("nan-inf", "divergence", "instability", "no-learning")
    return Plan(task, replace(s, optimizer="sgd", lr=s.lr * 300), wants=wants, true=("lr-too-high",), log=frozenset({"gradients"}))


@_add(FAULTS, "rate-jumps")
def rate_jumps(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    jump = replace(s, schedule="jump", extra={"jump": float(rng.choice([80, 200]))})
    return Plan(task, jump, wants=("nan-inf", "divergence"), event=steps_of(task, s) // 2, log=frozenset({"lr", "gradients"}))


@_add(FAULTS, "sign-flips")
def sign_flips(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    at = int(steps_of(task, s) * float(rng.uniform(0.4, 0.7)))

    def flip(step: int, net: Net) -> None:
        if step >= at:
            for _, layer, key in net.named():
                layer.g[key] = -layer.g[key]

    return Plan(task, replace(s, optimizer="sgd", lr=s.lr * 5), Hooks(gradient=flip), wants=("nan-inf", "divergence"), event=at)


@_add(FAULTS, "nan-batch")
def nan_batch(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    at = int(steps_of(task, s) * float(rng.uniform(0.3, 0.8)))

    def spoil(step: int, net: Net) -> None:
        if step == at:
            net.layers[-1].g["weight"] = net.layers[-1].g["weight"] * np.nan

    return Plan(task, s, Hooks(gradient=spoil), wants=("nan-inf",), event=at, log=frozenset({"gradients"}))


@_add(FAULTS, "corrupt-batches")
def corrupt_batches(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    total = steps_of(task, s)
    bad = set(rng.choice(np.arange(total // 5, total - total // 10), 5, replace=False).tolist())

    def corrupt(step: int, x: Array, y: Array) -> tuple[Array, Array]:
        if step not in bad:
            return x, y
        return (x, y * 0 + 12.0 * y.std()) if task.loss in ("mse", "gnll") else (x, _wrong(task, y))

    return Plan(task, replace(s, clip=1.0), Hooks(batch=corrupt), wants=("spikes",), event=min(bad), log=frozenset({"every-step"}))


def _wrong(task: Task, y: Array) -> Array:
    return 1 - y if task.loss == "sigmoid" else (y + 1) % task.classes


@_add(FAULTS, "training-data-change")
def training_shift(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    at = int(steps_of(task, s) * 0.6)

    def change(step: int, x: Array, y: Array) -> tuple[Array, Array]:
        if step < at:
            return x, y
        return x, task.y[rng.integers(0, len(task.y), len(y))]

    return Plan(task, replace(s, lr=s.lr / 3), Hooks(batch=change), wants=("sudden-shift",), event=at)


@_add(FAULTS, "validation-data-change")
def validation_shift(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    at = int(s.epochs * 0.6)
    other = _shuffled(with_data(task, x=task.x_val, y=task.y_val), rng, 0.5)
    hooks = Hooks(val=lambda epoch, x, y: (x, other if epoch >= at else y))
    return Plan(task, s, hooks, wants=("sudden-shift",), event=at * (steps_of(task, s) // s.epochs))
