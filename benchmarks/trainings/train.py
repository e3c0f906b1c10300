"""The training loop: ordinary mini-batch training that records everything a log could hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from trainings.nets import Array, Conv, Dense, Net
from trainings.tasks import Setting, Task


@dataclass
class Hooks:
    """Where faults reach into a training; each takes the step number first."""

    batch: Callable[[int, Array, Array], tuple[Array, Array]] | None = None
    order: Callable[[int, Array], Array] | None = None
    rate: Callable[[int, float], float] | None = None
    gradient: Callable[[int, Net], None] | None = None
    decay: Callable[[int], float] | None = None
    val: Callable[[int, Array, Array], tuple[Array, Array]] | None = None


@dataclass
class Evaluation:
    """What one evaluation measured, at the end of an epoch."""

    step: int
    epoch: int
    train_loss: float
    train_metric: float
    val_loss: float
    val_metric: float
    clean_train: float
    confidence: float
    shares: list[float]
    recalls: list[float]
    weight_norm: dict[str, float]
    zero: dict[str, float]
    saturated: dict[str, float]
    weights: dict[str, Array]
    gradients: dict[str, Array]
    outputs: dict[str, Array]


@dataclass
class Trace:
    """A whole training. Step ``i`` of the arrays is step ``i + 1``."""

    task: Task
    setting: Setting
    per_epoch: int
    loss: Array
    metric: Array
    lr: Array
    gradient_norm: Array
    clipped: Array
    scale: Array
    layer_gradients: dict[str, Array]
    evaluations: list[Evaluation] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Number of optimiser steps that were recorded."""
        return int(self.loss.size)


def loss_and_gradient(kind: str, z: Array, y: Array, smoothing: float = 0.0) -> tuple[Array, Array]:
    """Per-sample loss and its gradient with respect to the head's output, divided by the batch size."""
    n = len(z)
    if kind in ("softmax", "softmax-twice"):
        p = _softmax(z)
        target = np.full_like(p, smoothing / p.shape[1])
        target[np.arange(n), y] += 1 - smoothing
        if kind == "softmax":
            return -(target * np.log(p + 1e-30)).sum(1), (p - target) / n
        q = _softmax(p)
        d = (q - target) / n
        return -(target * np.log(q + 1e-30)).sum(1), p * (d - (d * p).sum(1, keepdims=True))
    if kind in ("sigmoid", "sigmoid-twice"):
        p = _sigmoid(z)
        if kind == "sigmoid":
            return (np.logaddexp(0, z) - y * z).mean(1), (p - y) / y.size
        return (np.logaddexp(0, p) - y * p).mean(1), (_sigmoid(p) - y) / y.size * p * (1 - p)
    if kind == "gnll":
        mean, log_var = z[:, :1], np.clip(z[:, 1:], -8, 8)
        error, inverse = mean - y, np.exp(-log_var)
        value = 0.5 * (log_var + error**2 * inverse)
        return value[:, 0], np.concatenate([error * inverse, 0.5 * (1 - error**2 * inverse)], axis=1) / n
    error = z - y
    return (error**2).mean(1), 2 * error / error.size


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-np.clip(z, -60, 60)))


def quality(task: Task, z: Array, y: Array) -> float:
    """The task's metric on one batch or split."""
    if task.loss == "softmax":
        return float(np.mean(z.argmax(1) == y))
    if task.loss == "sigmoid":
        said, real = z > 0, y > 0.5
        both = float(np.sum(said & real))
        return 2 * both / max(float(said.sum() + real.sum()), 1.0)
    return float(np.mean(np.abs(z[:, : y.shape[1]] - y)))


def rate(setting: Setting, step: int, total: int) -> float:
    """Learning rate of 0-based `step` under the setting's schedule."""
    x, lr = step / max(total, 1), setting.lr
    table: dict[str, Callable[[], float]] = {
        "constant": lambda: lr,
        "cosine": lambda: lr * 0.5 * (1 + np.cos(np.pi * x)),
        "linear": lambda: lr * (1 - x),
        "warmup-cosine": lambda: lr * min(1.0, x / 0.08) * 0.5 * (1 + np.cos(np.pi * x)),
        "step-decay": lambda: lr * 0.1 ** sum(x >= m for m in (0.5, 0.75)),
        "one-cycle": lambda: lr * (0.05 + 1.4 * (x / 0.3 if x < 0.3 else 0.5 * (1 + np.cos(np.pi * (x - 0.3) / 0.7)))),
        "warm-restarts": lambda: lr * (0.05 + 0.5 * (1 + np.cos(np.pi * ((4 * x) % 1)))),
        "zero": lambda: 0.0,
        "hits-zero": lambda: lr if x < setting.extra.get("zero_at", 0.15) else 0.0,
        "collapses": lambda: lr * max(0.5 ** (step / max(total * setting.extra.get("half_life", 0.012), 1)), 1e-4),
        "endless-warmup": lambda: lr * 1e-3 * x,
        "jump": lambda: lr if x < 0.5 else lr * setting.extra.get("jump", 60.0),
    }
    return float(table[setting.schedule]())


def train(task: Task, setting: Setting, seed: int, hooks: Hooks | None = None) -> Trace:
    """Train `task` as `setting` and `hooks` say; the same arguments give the same trace."""
    hooks = hooks or Hooks()
    rng = np.random.default_rng([seed, 11])
    body, width = task.body(task, rng, setting)
    head_scale = 0.25 * (setting.init_scale if setting.init_scale > 1 else 1.0)
    net = Net([*body, Dense(width, task.outputs, rng, head_scale)])
    names = [name for name, _, _ in net.named()]
    head = str(len(net.layers) - 1)
    if setting.frozen:
        net.frozen = frozenset(n for n in names if setting.frozen == "all" or not n.startswith(head + "."))
    kind = setting.loss or task.loss
    n, per_epoch = len(task.x), max(len(task.x) // setting.batch, 1)
    total = per_epoch * setting.epochs
    trace = Trace(task, setting, per_epoch, *(np.zeros(total) for _ in range(6)), {name: np.zeros(total) for name, _, _ in net.weights()})
    weights = _class_weights(task) if setting.extra.get("class_weighted") else None
    scale, step = 2.0**16, 0
    with np.errstate(all="ignore"):
        for epoch in range(setting.epochs):
            order = rng.permutation(n)
            if hooks.order:
                order = hooks.order(epoch, order)
            for b in range(per_epoch):
                pick = order[b * setting.batch : (b + 1) * setting.batch]
                x, y = task.x[pick], task.y[pick]
                if hooks.batch:
                    x, y = hooks.batch(step, x, y)
                z = net.forward(x, train=True)
                values, d = loss_and_gradient(kind, z, y, setting.smoothing)
                if weights is not None:
                    values, d = values * weights[y], d * weights[y][:, None]
                net.backward(d)
                if hooks.gradient:
                    hooks.gradient(step, net)
                norm = net.gradient_norm()
                lr = rate(setting, step, total)
                lr = hooks.rate(step, lr) if hooks.rate else lr
                factor = min(1.0, setting.clip / (norm + 1e-12)) if setting.clip else 1.0
                skip = setting.amp and not norm * scale < 65504 * setting.extra.get("amp_room", 16.0)
                skip = skip or (bool(setting.extra.get("skip_nonfinite")) and not np.isfinite(norm + values.mean()))
                scale = scale / 2 if skip and setting.amp else scale * (2.0 if setting.amp and step % 200 == 199 else 1.0)
                if not skip:
                    decay = hooks.decay(step) if hooks.decay else setting.weight_decay
                    net.update(lr, setting.optimizer, decay, factor)
                trace.loss[step], trace.metric[step] = float(values.mean()), quality(task, z, y)
                trace.lr[step], trace.gradient_norm[step] = lr, norm
                trace.clipped[step], trace.scale[step] = float(factor < 1), scale
                for name, _, grad in net.weights():
                    trace.layer_gradients[name][step] = float(np.sqrt(np.sum(grad**2)))
                step += 1
            trace.evaluations.append(_evaluate(trace, net, hooks, kind, epoch, step))
    return _as_logged(trace)


def _as_logged(trace: Trace) -> Trace:
    """The trace as float32 holds it, which is what every log holds."""
    with np.errstate(over="ignore"):
        for name in ("loss", "gradient_norm"):
            setattr(trace, name, getattr(trace, name).astype(np.float32).astype(np.float64))
        for e in trace.evaluations:
            e.train_loss, e.val_loss = float(np.float32(e.train_loss)), float(np.float32(e.val_loss))
    return trace


def _class_weights(task: Task) -> Array:
    """Inverse class frequencies with a mean of 1 over the samples; float64 ``[classes]``."""
    counts = np.bincount(task.y, minlength=task.classes)
    return len(task.y) / (np.maximum(counts, 1) * np.count_nonzero(counts))


def _evaluate(trace: Trace, net: Net, hooks: Hooks, kind: str, epoch: int, step: int) -> Evaluation:
    task = trace.task
    since = slice(step - trace.per_epoch, step)
    weights = {name: value.copy() for name, value, _ in net.weights()}
    gradients = {name: grad.copy() for name, _, grad in net.weights()}
    z_train = net.forward(task.x[:500])
    clean = float(loss_and_gradient(kind, z_train, task.y[:500])[0].mean())
    x, y = hooks.val(epoch, task.x_val, task.y_val) if hooks.val else (task.x_val, task.y_val)
    z = net.forward(x)
    confidence, shares, recalls = float("nan"), [], []
    if task.loss == "softmax":
        p = _softmax(z)
        said = z.argmax(1)
        confidence = float(p.max(1).mean())
        shares = [float(np.mean(said == k)) for k in range(task.classes)]
        recalls = [float(np.mean(said[y == k] == k)) if np.any(y == k) else float("nan") for k in range(task.classes)]
    convs = {str(i): layer.out for i, layer in enumerate(net.layers) if isinstance(layer, Conv)}
    acts = dict(net.activations())
    return Evaluation(
        step=step,
        epoch=epoch,
        train_loss=float(np.mean(trace.loss[since])),
        train_metric=float(np.mean(trace.metric[since])),
        val_loss=float(loss_and_gradient(kind, z, y)[0].mean()),
        val_metric=quality(task, z, y),
        clean_train=clean,
        confidence=confidence,
        shares=shares,
        recalls=recalls,
        weight_norm={name: float(np.sqrt(np.sum(w**2))) for name, w in weights.items()},
        zero={name: a.zero_fraction for name, a in acts.items()},
        saturated={name: a.saturated_fraction for name, a in acts.items()},
        weights=weights,
        gradients=gradients,
        outputs={name: a.out[:64] for name, a in acts.items()} | {name: out[:64] for name, out in convs.items()},
    )


def with_data(task: Task, **arrays: Array) -> Task:
    """The task on other data."""
    return replace(task, **arrays)
