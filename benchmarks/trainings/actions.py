"""Taking a first action by its words: each pattern of an action's sentence, and the one change of the training that it asks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trainings.faults import Plan, steps_of
from trainings.nets import Array
from trainings.tasks import Task
from trainings.train import Hooks, rate, train, with_data


@dataclass
class Step:
    """What an action came to: the training to run (None where it asks for none) and how the words were understood."""

    plan: Plan | None
    how: str
    train_eval: bool = False


@dataclass
class Order:
    """An action to take: its words, the finding, the faulty training and its mechanism."""

    words: re.Match[str]
    text: str
    plan: Plan
    mechanism: str
    seed: int


Taker = Callable[[Order], Step]
TAKERS: list[tuple[str, Taker]] = []


def _on(pattern: str) -> Callable[[Taker], Taker]:
    def put(taker: Taker) -> Taker:
        TAKERS.append((pattern, taker))
        return taker

    return put


def take(text: str, finding: Mapping[str, Any], plan: Plan, mechanism: str, seed: int) -> Step:
    """The first pattern (in order of this file) that the action's sentence contains decides."""
    for pattern, taker in TAKERS:
        words = re.search(pattern, text, re.IGNORECASE)
        if words:
            return taker(Order(words, text, plan, mechanism, seed))
    return Step(None, "the action asks for no training that this script can run")


def _with(plan: Plan, **changes: object) -> Plan:
    return replace(plan, setting=replace(plan.setting, **changes))  # type: ignore[arg-type]


def _number(text: str) -> float:
    return float(text.replace(",", "").rstrip("."))


@_on(
    r"(?:lower|raise) the (?:\w+ )?learning rate (?:from (?P<old>[\d.,e+-]+) to (?P<new>[\d.,e+-]+)|(?:by a factor of|by) (?P<by>[\d.]+))"
    r"|learning rate (?:lowered from (?P<old2>[\d.,e+-]+) to (?P<new2>[\d.,e+-]+)|divided by (?P<by2>[\d.]+))"
)
def change_rate(o: Order) -> Step:
    """Lower or raise the rate; from a step on where a checkpoint is named, with the same seed (so it is the same checkpoint)."""
    by, old_rate, new_rate = (o.words[key] or o.words[f"{key}2"] for key in ("by", "old", "new"))
    factor = _number(by) ** (1 if o.text.lower().startswith("raise") else -1) if by else _number(new_rate) / _number(old_rate)
    since = re.search(r"(?:restart|resume) from (?:the last checkpoint before )?step ([\d,]+)", o.text)
    total = steps_of(o.plan.task, o.plan.setting)
    if since is None:
        return Step(_with(o.plan, lr=o.plan.setting.lr * factor), f"rate times {factor:.3g}")
    at = int(_number(since[1]))
    old = o.plan.hooks.rate

    def lowered(step: int, lr: float) -> float:
        value = old(step, lr) if old else lr
        return value if step < at else value * factor

    plan = replace(o.plan, hooks=replace(o.plan.hooks, rate=lowered))
    per_epoch = total // o.plan.setting.epochs
    if "for a tenth of the budget" in o.text:
        # The schedule of the faulty run must stay what it was up to the checkpoint.
        setting, end = o.plan.setting, at + max(total // 10, 1)
        plan.hooks.rate = lambda step, _: rate(setting, step, total) * (1.0 if step < at else factor)
        plan = _with(plan, epochs=max(-(-end // per_epoch), 1))
    return Step(plan, f"rate times {factor:.3g} from step {at:,}")


@_on(r"resume from step ([\d,]+) for (half as many|as many|twice as many|three times as many) steps again")
def train_longer(o: Order) -> Step:
    times = {"half as many": 1.5, "as many": 2, "twice as many": 3, "three times as many": 4}[o.words[2]]
    epochs = round(o.plan.setting.epochs * times)
    return Step(_with(o.plan, epochs=epochs), f"{epochs} instead of {o.plan.setting.epochs} epochs")


@_on(r"end the run after (one|\d+) evaluations? without a better validation (loss|\w+)")
def stop_early(o: Order) -> Step:
    """The same training, cut behind the epoch at which the patience ends; the schedule stays as it was."""
    patience = 1 if o.words[1] == "one" else int(o.words[1])
    seen = train(o.plan.task, o.plan.setting, o.seed, o.plan.hooks).evaluations
    quality = [-e.val_loss if o.words[2] == "loss" else e.val_metric * (1 if o.plan.task.higher else -1) for e in seen]
    best = stop = 0
    for stop in range(len(quality)):
        best = stop if quality[stop] > quality[best] else best
        if stop - best >= patience:
            break
    end = (stop + 1) * (steps_of(o.plan.task, o.plan.setting) // o.plan.setting.epochs)
    # Hooks hold random state, which the look ahead has used up.
    from trainings.cases import plan_of

    fresh = replace(o, plan=plan_of(o.mechanism, o.plan.task.name, o.seed))
    return _held(fresh, lambda step, total: float("nan"), f"ended after epoch {stop + 1}, {patience} behind the best", end)


@_on(r"skip every update whose loss or gradient is not finite")
def skip_nonfinite(o: Order) -> Step:
    return Step(
        _with(o.plan, extra={**o.plan.setting.extra, "skip_nonfinite": 1.0}), "updates that are not finite skipped, and left out of the log"
    )


@_on(r"model of four times the parameters")
def widen(o: Order) -> Step:
    width = next(
        w for w in range(o.plan.setting.hidden + 1, 10_000) if _parameters(o.plan, w) >= 4 * _parameters(o.plan, o.plan.setting.hidden)
    )
    return Step(_with(o.plan, hidden=width), f"width {width} instead of {o.plan.setting.hidden}")


def _parameters(plan: Plan, width: int) -> int:
    setting, task = replace(plan.setting, hidden=width), plan.task
    layers, last = task.body(task, np.random.default_rng(0), setting)
    return sum(v.size for layer in layers for v in layer.p.values()) + (last + 1) * task.outputs


@_on(r"look up the batches of the steps [^.]*drop or mend their samples")
def mend_batches(o: Order) -> Step:
    return Step(replace(o.plan, hooks=replace(o.plan.hooks, batch=None)), "the samples of those batches mended")


def _held(o: Order, value: Callable[[int, int], float], how: str, end: int | None = None) -> Step:
    """The faulty run's rate with another value from a step on: `value(step, total)` where it is not NaN; cut after `end` steps."""
    setting = o.plan.setting
    total = steps_of(o.plan.task, setting)

    def changed(step: int, _: float) -> float:
        new = value(step, total)
        return rate(setting, step, total) if np.isnan(new) else new

    plan = replace(o.plan, hooks=replace(o.plan.hooks, rate=changed))
    if end is not None:
        plan = _with(plan, epochs=max(-(-end // (total // setting.epochs)), 1))
    return Step(plan, how)


@_on(r"keep the learning rate at its value before step ([\d,]+)")
def keep_rate(o: Order) -> Step:
    at = int(_number(o.words[1]))
    total = steps_of(o.plan.task, o.plan.setting)
    before = rate(o.plan.setting, max(at - 2, 0), total)
    return _held(o, lambda step, _: before if step >= at - 1 else float("nan"), f"rate kept at {before:.3g} from step {at:,} on")


@_on(r"hold the learning rate at its peak beyond step ([\d,]+) for a tenth of the budget")
def hold_rate(o: Order) -> Step:
    at = int(_number(o.words[1]))
    total = steps_of(o.plan.task, o.plan.setting)
    peak = max(rate(o.plan.setting, i, total) for i in range(0, total, max(total // 200, 1)))
    return _held(o, lambda step, _: peak if step >= at else float("nan"), f"rate {peak:.3g} from step {at:,} on", at + total // 10)


@_on(r"set warmup_steps to ([\d,]+)")
def end_warmup(o: Order) -> Step:
    """The rate of the setting is the one that the warm-up leads to."""
    steps = int(_number(o.words[1]))
    lr = o.plan.setting.lr
    return _held(o, lambda step, _: lr * min(1.0, (step + 1) / steps), f"warm-up of {steps:,} steps to {lr:.3g}")


@_on(r"total steps to the real number")
def stretch_schedule(o: Order) -> Step:
    return Step(_with(o.plan, schedule="cosine", extra={}), f"cosine from {o.plan.setting.lr:.3g} over all steps")


@_on(r"(?:set|give) (?:the|a) (?:positive )?learning rate|learning rate above zero|positive learning rate")
def set_rate(o: Order) -> Step:
    return Step(_with(o.plan, schedule="constant"), f"constant rate {o.plan.setting.lr:.3g}")


@_on(r"weight decay[^.]*?from ([\d.e+-]+) to ([\d.e+-]+)")
def raise_decay(o: Order) -> Step:
    value = _number(o.words[2])
    return Step(replace(_with(o.plan, weight_decay=value), hooks=replace(o.plan.hooks, decay=None)), f"weight decay {value:g}")


@_on(r"dropout of (0?\.\d+)")
def add_dropout(o: Order) -> Step:
    value = _number(o.words[1])
    return Step(_with(o.plan, dropout=value), f"dropout {value:g}")


@_on(r"weight decay times 5|dropout 0\.\d")
def regularise(o: Order) -> Step:
    if o.plan.setting.weight_decay > 0:
        return Step(_with(o.plan, weight_decay=5 * o.plan.setting.weight_decay), "weight decay times 5")
    return Step(_with(o.plan, dropout=0.3), "dropout 0.3 (there was no weight decay)")


@_on(r"(?:weight decay|decay)[^.]*? (?:of |to )?(0?\.\d+)")
def add_decay(o: Order) -> Step:
    value = _number(o.words[1])
    return Step(replace(_with(o.plan, weight_decay=value), hooks=replace(o.plan.hooks, decay=None)), f"weight decay {value:g}")


@_on(r"(?:clip|clipping)[^.]*? (?:at|to|of) ([\d.,e+-]+)")
def clip(o: Order) -> Step:
    value = _number(o.words[1])
    return Step(_with(o.plan, clip=value), f"gradient norm clipped at {value:g}")


@_on(r"tiny overfit|overfit one batch")
def overfit_few(o: Order) -> Step:
    """64 samples, the same code (the fault stays), no regularisation."""
    task = with_data(o.plan.task, x=o.plan.task.x[:64], y=o.plan.task.y[:64])
    batch = 64 if "one batch" in o.text else min(o.plan.setting.batch, 32)
    epochs = max(o.plan.setting.epochs, 600 * batch // 64)
    plan = _with(replace(o.plan, task=task), epochs=epochs, batch=batch, dropout=0.0, weight_decay=0.0)
    return Step(plan, f"64 samples, {epochs} epochs, no regularisation")


@_on(r"requires_grad|give the optimiser the parameters")
def unfreeze(o: Order) -> Step:
    return Step(_with(o.plan, frozen=""), "all parameters given to the optimiser")


@_on(r"class-weighted loss|class weights")
def weight_classes(o: Order) -> Step:
    return Step(_with(o.plan, extra={**o.plan.setting.extra, "class_weighted": 1.0}), "loss weighted inverse to class frequency")


@_on(r"fix the target encoding or the sampling")
def fix_targets(o: Order) -> Step:
    """What the counts show: constant labels are encoded wrongly; a rare class is sampled too rarely."""
    if o.mechanism == "constant-labels":
        import generate

        task = generate.make_task(o.plan.task.name, o.seed)
        return Step(replace(o.plan, task=task), "labels encoded as they are (the counts show a single one)")
    return Step(replace(o.plan, hooks=replace(o.plan.hooks, batch=_balanced(o.plan.task, o.seed))), "batches drawn with equal classes")


def _balanced(task: Task, seed: int) -> Callable[[int, Array, Array], tuple[Array, Array]]:
    by_class = [np.flatnonzero(task.y == k) for k in np.unique(task.y)]
    rng = np.random.default_rng([seed, 77])

    def draw(step: int, x: Array, y: Array) -> tuple[Array, Array]:
        pick = np.array([rng.choice(by_class[int(k)]) for k in rng.integers(0, len(by_class), len(y))])
        return task.x[pick], task.y[pick]

    return draw


@_on(r"standardise the inputs|add normalisation [^.]*before layer '[01]'")
def standardise(o: Order) -> Step:
    mean, sd = o.plan.task.x.mean(0), o.plan.task.x.std(0) + 1e-12
    task = with_data(o.plan.task, x=(o.plan.task.x - mean) / sd, x_val=(o.plan.task.x_val - mean) / sd)
    return Step(replace(o.plan, task=task), "inputs standardised")


@_on(r"raw logits|remove the (?:softmax|sigmoid)|from_logits")
def raw_logits(o: Order) -> Step:
    return Step(_with(o.plan, loss=""), "softmax removed from the head")


@_on(r"reset biases and initialisation|initialis")
def initialise(o: Order) -> Step:
    return Step(_with(o.plan, init_bias=0.0, init_scale=1.0), "standard initialisation, biases zero")


@_on(r"normalisation layer|ReLU or GELU")
def relu(o: Order) -> Step:
    return Step(_with(o.plan, activation="relu"), "sigmoid replaced by ReLU")


@_on(r"bfloat16|float32\) for one run|full precision")
def precision(o: Order) -> Step:
    return Step(_with(replace(o.plan, hooks=Hooks()), amp=False), "float32, in which nothing overflows")


@_on(r"anomaly detection")
def detect_anomaly(o: Order) -> Step:
    return Step(o.plan, "the same steps in float32 (anomaly detection changes no number)")


@_on(r"copy the event file again|own directory|purge_step")
def write_again(o: Order) -> Step:
    return Step(replace(o.plan, damage=""), "written whole, in a directory of its own")


@_on(r"full \(or a? ?four times larger|larger, fixed\) validation set|full validation set")
def validate_on_all(o: Order) -> Step:
    return Step(replace(o.plan, hooks=replace(o.plan.hooks, val=None)), "validation on all samples")


@_on(r"train_eval")
def evaluate_training_set(o: Order) -> Step:
    return Step(o.plan, "the training set evaluated besides, as train_eval/loss", train_eval=True)


@_on(r"reshuffle|shuffle")
def shuffle(o: Order) -> Step:
    return Step(replace(o.plan, hooks=replace(o.plan.hooks, order=None)), "samples reshuffled every epoch")


@_on(r"(?:dump|compare|diff)[^.]*(?:before and after|data pipeline)")
def mend_pipeline(o: Order) -> Step:
    """The samples before and after differ: the later ones are brought back."""
    return Step(replace(o.plan, hooks=replace(o.plan.hooks, batch=None, val=None)), "data as before the step")
