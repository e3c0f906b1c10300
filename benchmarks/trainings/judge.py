"""What an expert who sees the whole training, and its healthy twin, would say of it. None of these figures is in the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainings.faults import Plan
from trainings.nets import Array
from trainings.train import Trace

OPTIMISATION = (
    "no-learning", "underfitting", "plateau", "unconverged", "prediction-collapse", "vanishing-gradients", "lr-too-low", "dead-units",
)  # fmt: skip
BREAKDOWN = (
    "divergence", "instability", "spikes", "exploding-gradients", "lr-too-high", "nan-inf", "weight-growth", "no-learning", "plateau",
    "underfitting", "prediction-collapse", "dead-units", "vanishing-gradients", "noisy-validation", "loss-mismatch", "over-confidence",
    "saturated-activations", "clipping-saturated", "unconverged", "overfitting", "generalization-gap", "val-better", "sudden-shift",
    "low-confidence", "lr-schedule",
)  # fmt: skip
FITTING = ("generalization-gap", "label-noise", "over-confidence", "weight-growth", "noisy-validation")
# What may be said besides, by the id that must be said. An id not named here would be a false alarm.
ALLOWED: dict[str, tuple[str, ...]] = {
    "overfitting": FITTING,
    "generalization-gap": (*FITTING, "overfitting", "plateau"),
    "underfitting": (*OPTIMISATION, "low-confidence", "weight-growth"),
    "no-learning": (*OPTIMISATION, "frozen-weights", "lr-zero", "label-noise", "low-confidence", "generalization-gap", "overfitting"),
    "lr-zero": (*OPTIMISATION, "frozen-weights", "lr-schedule", "low-confidence"),
    "lr-too-low": (*OPTIMISATION, "frozen-weights", "lr-zero", "lr-schedule", "low-confidence"),
    "lr-schedule": (*OPTIMISATION, "lr-zero", "low-confidence"),
    "plateau": (*OPTIMISATION, "lr-schedule", "lr-zero", "low-confidence"),
    "unconverged": (*OPTIMISATION, "lr-schedule", "low-confidence"),
    "frozen-weights": (*OPTIMISATION, "low-confidence", "generalization-gap"),
    "vanishing-gradients": (*OPTIMISATION, "frozen-weights", "saturated-activations", "low-confidence"),
    "dead-units": (*OPTIMISATION, "frozen-weights", "low-confidence"),
    "saturated-activations": (*BREAKDOWN, "generalization-gap", "overfitting"),
    "prediction-collapse": (*OPTIMISATION, "class-imbalance", "leakage", "divergence", "over-confidence", "overfitting",
                            "generalization-gap", "sudden-shift", "frozen-weights"),
    "class-imbalance": (*OPTIMISATION, "low-confidence", "over-confidence", "overfitting", "val-better", "generalization-gap", "noisy-validation"),
    "low-confidence": ("loss-mismatch", "plateau", "underfitting", "no-learning", "label-noise"),
    "over-confidence": (*FITTING, "overfitting"),
    "loss-mismatch": (*OPTIMISATION, "low-confidence", "over-confidence"),
    "val-better": ("leakage", "label-noise", "low-confidence", "unconverged", "underfitting", "plateau", "no-learning", "overfitting"),
    "leakage": ("val-better", "unconverged", "over-confidence"),
    "noisy-validation": ("generalization-gap", "instability", "over-confidence", "overfitting", "spikes", "unconverged", "val-better",
                         "prediction-collapse", "class-imbalance", "sudden-shift"),
    "epoch-sawtooth": (*BREAKDOWN, "class-imbalance"),
    "sudden-shift": ("divergence", "exploding-gradients", "generalization-gap", "instability", "no-learning", "noisy-validation",
                     "over-confidence", "overfitting", "spikes", "underfitting", "val-better", "unconverged", "label-noise", "plateau"),
    "spikes": ("exploding-gradients", "instability", "clipping-saturated", "label-noise", "sudden-shift", "unconverged"),
    "clipping-saturated": (*OPTIMISATION, "exploding-gradients", "low-confidence"),
    "loss-scale-collapse": ("exploding-gradients", "frozen-weights", "nan-inf", "plateau", "stalled", "unconverged", "underfitting"),
    "stalled": ("unconverged",),
    "truncated-log": ("missing-evidence", "stalled", "unconverged"),
    "restart-overlap": ("spikes", "stalled", "sudden-shift", "unconverged"),
    "missing-evidence": ("unconverged",),
}  # fmt: skip
ALT: dict[str, tuple[str, ...]] = {
    "underfitting": ("plateau", "no-learning"),
    "plateau": ("underfitting",),
    "val-better": ("leakage",),
    "leakage": ("val-better",),
    "lr-zero": ("lr-schedule",),
    "instability": ("lr-too-high",),
    "generalization-gap": ("overfitting",),
    "lr-too-low": ("no-learning",),
    "lr-schedule": ("lr-too-low",),
    "epoch-sawtooth": ("instability",),
    "unconverged": ("lr-too-low",),
    "sudden-shift": ("divergence",),
}


@dataclass
class Facts:
    """Figures of a training against its healthy twin, from the points that its layout logs (`steps`, their mean or the last batch)."""

    trace: Trace
    twin: Trace
    steps_logged: list[int]
    mean: bool

    def __post_init__(self) -> None:
        e, t = self.trace.evaluations, self.twin.evaluations
        self.val = np.array([q.val_loss for q in e])
        self.train = np.array([q.train_loss for q in e])
        self.clean = np.array([q.clean_train for q in e])
        self.metric = np.array([q.val_metric for q in e])
        self.steps = np.array([q.step for q in e])
        self.loss = _sampled(self.trace.loss, self.steps_logged, self.mean)
        self.gradients = self.trace.gradient_norm[np.array(self.steps_logged) - 1]
        healthy = _sampled(self.twin.loss, [s for s in self.steps_logged if s <= self.twin.steps], self.mean)
        self.finite = bool(np.all(np.isfinite(self.val)) and np.all(np.isfinite(self.loss)))
        self.start = float(np.median(self.twin.loss[:3]))
        self.reach = self.start - float(np.mean([q.train_loss for q in t[-2:]]))
        n = len(self.loss)
        k = max(n // 20, 3) if n >= 30 else 1
        self.end = float(np.mean(self.loss[-k:]))
        self.begin = float(np.mean(self.loss[: min(k, 3)]))
        self.best = float(np.min(np.convolve(self.loss, np.ones(k) / k, "valid"))) if self.finite else float("nan")
        self.progress = (self.start - self.end) / self.reach
        self.twin_noise = _noise(healthy[-5 * k :] if n >= 30 else healthy[len(healthy) // 2 :])
        self.noise = _noise(self.loss[-5 * k :] if n >= 30 else self.loss[n // 2 :])
        self.best_index = int(np.argmin(self.val)) if self.finite else int(np.nanargmin(np.where(np.isfinite(self.val), self.val, np.inf)))
        self.val_noise = _noise(self.val)

    @property
    def rise(self) -> float:
        """How far validation ends above its best."""
        return float(np.mean(self.val[-2:]) - self.val[self.best_index])


def _sampled(loss: Array, steps: list[int], mean: bool) -> Array:
    ends = np.array(steps)
    if not mean:
        return loss[ends - 1]
    starts = np.concatenate([[0], ends[:-1]])
    return np.array([float(np.mean(loss[a:b])) for a, b in zip(starts, ends, strict=True)])


def _noise(values: Array) -> float:
    d = np.diff(values[np.isfinite(values)])
    return float(np.median(np.abs(d)) * 1.4826 / np.sqrt(2)) if d.size else 0.0


def _overfits(f: Facts) -> bool:
    late = f.best_index >= 0.8 * len(f.val)
    enough = f.rise > max(0.15 * abs(f.val[f.best_index]), 5 * f.val_noise, 0.06 * f.reach)
    return bool(f.finite and not late and enough and f.clean[-1] < f.clean[f.best_index] - 0.02 * f.reach)


def _gap(f: Facts) -> bool:
    return bool(f.finite and f.val[-1] - f.train[-1] > 0.4 * f.reach and f.progress > 0.6)


def _nothing_learnt(f: Facts) -> bool:
    never_better = f.best > f.start - 0.15 * f.reach - 3 * f.noise
    return bool(f.finite and abs(f.begin - f.end) < 0.06 * f.reach + 2 * f.noise and f.progress < 0.25 and never_better)


def _underfits(f: Facts) -> bool:
    flat = abs(float(np.mean(f.train[-3:]) - np.mean(f.train[-6:-3]))) < 0.04 * f.reach if len(f.train) >= 6 else True
    if f.trace.task.loss in ("mse", "gnll") and f.end < 0.6 * f.start:
        return False  # without a metric that knows what is good, the log does not show that this is bad
    return bool(f.finite and f.progress < 0.6 and flat and f.val[-1] - f.train[-1] < 0.25 * f.reach)


def _unconverged(f: Facts) -> bool:
    q = max(len(f.train) // 4, 1)
    gain = f.train[-1 - q] - f.train[-1]
    return bool(f.finite and gain > 0.10 * (f.begin - f.end) and gain > 4 * f.noise / np.sqrt(f.trace.per_epoch) and f.progress < 0.97)


def _flat_after_progress(f: Facts) -> bool:
    half = len(f.train) // 2
    flat = abs(f.train[half] - f.train[-1]) < 0.04 * max(f.begin - f.end, 1e-12)
    return bool(f.finite and flat and 0.1 < f.progress < 0.75)


def _diverges(f: Facts) -> bool:
    return not f.finite or bool(f.end > f.best + 0.5 * max(f.start - f.best, 0.2 * f.reach) and f.best < f.start)


def _unstable(f: Facts) -> bool:
    half = f.loss[len(f.loss) // 3 :]
    return bool(f.finite and len(half) >= 8 and _noise(half) > 4 * f.twin_noise and _noise(half) > 0.2 * abs(float(np.median(half))))


def _spikes(f: Facts) -> bool:
    late = f.loss[len(f.loss) // 5 :]
    rest = float(np.quantile(late, 0.97))
    return bool(f.finite and len(late) >= 40 and np.max(late) > rest + 12 * f.noise and not _diverges(f))


def _shifts(f: Facts) -> bool:
    if len(f.val) < 6:
        return False
    jumps = [np.max(np.abs(np.diff(v))[2:]) / (np.median(np.abs(np.diff(v))[2:]) + 1e-9) for v in (f.val, f.train)]
    sizes = [np.max(np.abs(np.diff(v))[2:]) for v in (f.val, f.train)]
    return bool(f.finite and any(j > 8 and size > 0.25 * f.reach for j, size in zip(jumps, sizes, strict=True)))


def _last(f: Facts, name: str) -> list[float]:
    return list(getattr(f.trace.evaluations[-1], name).values())


def _frozen(f: Facts) -> bool:
    first, last = f.trace.evaluations[0].weights, f.trace.evaluations[-1].weights
    return any(bool(np.array_equal(first[k], last[k])) for k in first)


def _vanishes(f: Facts) -> bool:
    norms = [float(np.median(v)) for v in f.trace.layer_gradients.values()]
    return bool(norms[-1] > 0 and norms[0] < 1e-2 * norms[-1] and f.progress < 0.3)


def _explodes(f: Facts) -> bool:
    finite = f.gradients[np.isfinite(f.gradients)]
    return bool(finite.size and np.max(finite) > 1e3 * np.median(f.twin.gradient_norm))


def _imbalanced(f: Facts) -> bool:
    recalls = np.array(f.trace.evaluations[-1].recalls)
    return bool(recalls.size and f.metric[-1] > 0.6 and np.nanmin(recalls) < 0.1)


def _saws(f: Facts) -> bool:
    """The place within the epoch explains most of the loss's variance around the epoch means, and by much."""
    if not f.finite or len(f.train) < 5:
        return False
    loss = f.trace.loss[2 * f.trace.per_epoch :]
    loss = loss.reshape(-1, f.trace.per_epoch)
    rest = loss - loss.mean(1, keepdims=True)
    wave = rest.mean(0)
    return bool(np.var(wave) > 0.5 * np.var(rest) and np.std(wave) > 0.2 * abs(float(np.median(loss))))


def _truth(f: Facts) -> bool:
    return True


SEES: dict[str, Callable[[Facts], bool]] = {
    "overfitting": _overfits,
    "generalization-gap": _gap,
    "no-learning": _nothing_learnt,
    "underfitting": _underfits,
    "plateau": _flat_after_progress,
    "unconverged": _unconverged,
    "divergence": _diverges,
    "nan-inf": lambda f: not f.finite or not bool(np.all(np.isfinite(f.gradients))),
    "instability": _unstable,
    "spikes": _spikes,
    "sudden-shift": _shifts,
    "val-better": lambda f: bool(f.finite and np.median(f.train - f.val) > 0.15 * f.reach and np.mean(f.val < f.train) > 0.9),
    "leakage": lambda f: bool(f.finite and f.metric[-1] > 0.985 and f.val[-1] < 0.3 * f.twin.evaluations[-1].val_loss),
    "noisy-validation": lambda f: bool(f.val_noise > 8 * _noise(np.array([q.val_loss for q in f.twin.evaluations[2:]])) and f.finite),
    "epoch-sawtooth": _saws,
    "prediction-collapse": lambda f: max(f.trace.evaluations[-1].shares, default=1.0) > 0.98 and bool(f.finite),
    "class-imbalance": _imbalanced,
    "low-confidence": lambda f: bool(f.metric[-1] - f.trace.evaluations[-1].confidence > 0.25),
    "over-confidence": lambda f: bool(f.trace.evaluations[-1].confidence - f.metric[-1] > 0.25),
    "exploding-gradients": _explodes,
    "vanishing-gradients": _vanishes,
    "dead-units": lambda f: max(_last(f, "zero"), default=0.0) > 0.7,
    "saturated-activations": lambda f: max(_last(f, "saturated"), default=0.0) > 0.75,
    "frozen-weights": _frozen,
    "weight-growth": lambda f: max(_last(f, "weight_norm")) > 8 * max(f.twin.evaluations[-1].weight_norm.values()),
    "clipping-saturated": lambda f: bool(np.mean(f.trace.clipped) > 0.97 and f.progress < 0.9),
    "lr-zero": lambda f: bool(f.trace.lr[-1] == 0 and f.progress < 0.85),
    "lr-too-low": lambda f: bool(f.finite and f.progress < 0.5),
    "lr-schedule": lambda f: bool(f.finite and f.progress < 0.7),
    "loss-scale-collapse": lambda f: bool(f.trace.scale[-1] < 2.0**-6),
    "loss-mismatch": lambda f: bool(f.finite and f.metric[-1] > 0.45),
    "stalled": _truth,
    "truncated-log": _truth,
    "restart-overlap": _truth,
    "missing-evidence": _truth,
}
OBVIOUS = (
    "overfitting",
    "generalization-gap",
    "no-learning",
    "underfitting",
    "divergence",
    "nan-inf",
    "instability",
    "sudden-shift",
    "val-better",
)


def judge(
    plan: Plan, trace: Trace, twin: Trace, steps: list[int], *, mean: bool
) -> tuple[list[str], list[str], dict[str, list[str]]] | None:
    """Primary ids, allowed ids and alternatives of a training, or None where what it shows is not what was meant, or is ambiguous."""
    facts = Facts(trace, twin, steps, mean)
    if not plan.wants:
        if any(SEES[i](facts) for i in OBVIOUS):
            return None
        # A run whose validation worsened a little, or that ends a little short, may be called so; nothing else may be.
        slack = 0.02 * facts.reach
        apart = facts.val[-1] - facts.train[-1] > max(0.08 * facts.reach, 0.6 * abs(facts.train[-1]))
        loose = ["overfitting", "generalization-gap"] if facts.rise > max(slack, 3 * facts.val_noise) or apart else []
        return [], loose + (["unconverged"] if facts.train[-1 - max(len(facts.train) // 4, 1)] - facts.train[-1] > slack else []), {}
    primary = next(([i] for i in plan.wants if SEES[i](facts)), None)
    if primary is None:
        return None
    besides = [i for i in plan.also if i not in primary and SEES[i](facts)]
    primary += [i for i in besides if not (i == "divergence" and "nan-inf" in besides)]
    allowed = {a for i in primary for a in (BREAKDOWN if plan.true else ALLOWED.get(i, BREAKDOWN))} | {*plan.wants, *plan.also}
    allowed |= {i for i in SEES if i not in ("missing-evidence", "truncated-log", "restart-overlap", "stalled") and _visible(i, facts)}
    return primary, sorted(allowed - set(primary)), {i: [*ALT.get(i, ()), *plan.true] for i in primary if i in ALT or plan.true}


def _visible(i: str, facts: Facts) -> bool:
    return i in OBVIOUS and SEES[i](facts)


def onset(i: str, plan: Plan, trace: Trace) -> tuple[int, int] | None:
    """First and last plausible step (optimiser steps) at which the symptom begins, or None where it has no clear beginning."""
    total = trace.steps
    val = np.array([q.val_loss for q in trace.evaluations])
    steps = np.array([q.step for q in trace.evaluations])
    if i == "overfitting" and np.all(np.isfinite(val)):
        best = int(np.argmin(val))
        rise = float(np.mean(val[-2:]) - val[best])
        low = int(np.argmax(val <= val[best] + 0.1 * rise))
        after = np.nonzero(val[best:] > val[best] + 0.25 * rise)[0]
        return int(steps[max(low - 1, 0)]), int(steps[best + int(after[0])] if after.size else steps[-1])
    if plan.event is not None and i in ("nan-inf", "divergence", "sudden-shift", "stalled", "loss-scale-collapse", "exploding-gradients"):
        slack = max(2 * trace.per_epoch, total // 12)
        return max(plan.event - slack // 2, 0), min(plan.event + slack, total)
    return None
