"""What `benchmarks/first_actions.py` trains: a fault by its mechanism and task, beyond those that the generator of labelled trainings has.

Settings were tried on the seeds 101, 102 and 103 until the run led with the finding that a case is named after; the table's seeds played no part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import generate
import numpy as np

from trainings.faults import FAULTS, Plan, steps_of
from trainings.tasks import Setting, Task
from trainings.train import Hooks, with_data

CASES: tuple[tuple[str, str, str], ...] = (
    ("overfitting", "small-training-set", "blobs"),
    ("overfitting with label noise", "memorised-label-noise", "blobs"),
    ("mild overfitting", "few-samples", "blobs"),
    ("divergence", "sgd-rate-one", "motifs"),
    ("divergence as the rate creeps up", "rate-creeps-up", "blobs"),
    ("rate far too high", "rate-x40", "blobs"),
    ("the rate jumps", "rate-jumps", "blobs"),
    ("nan from a bad batch", "nan-batch", "blobs"),
    ("nan from a rate too high", "sgd-rate-blows-up", "teacher"),
    ("instability", "restless", "autoencoder"),
    ("instability of a clipped recurrent network", "restless-clipped", "motifs"),
    ("instability as the rate cycles", "cycling-rate", "teacher"),
    ("leaping rate", "rate-far-too-high", "teacher"),
    ("no learning, all frozen", "all-frozen", "blobs"),
    ("body frozen", "body-frozen", "blobs"),
    ("rate zero", "rate-zero", "blobs"),
    ("rate too low", "rate-far-too-low", "blobs"),
    ("rate somewhat too low", "rate-too-low", "blobs"),
    ("budget too short", "budget-too-short", "blobs"),
    ("schedule collapses early", "rate-collapses-early", "blobs"),
    ("warm-up never ends", "endless-warmup", "blobs"),
    ("schedule hits zero", "schedule-hits-zero", "blobs"),
    ("collapse by constant labels", "constant-labels", "blobs"),
    ("collapse by imbalance", "rare-class", "rare"),
    ("exploding gradients", "init-x30", "teacher"),
    ("vanishing gradients", "deep-sigmoid", "blobs"),
    ("double softmax", "squashed-twice", "blobs"),
    ("plateau", "rate-collapses-unseen", "blobs"),
    ("plateau at a rate too high", "plateaus-high", "chain"),
    ("dead units", "negative-bias", "blobs"),
    ("saturated activations", "unscaled-inputs-tanh", "blobs"),
    ("clipping at a hundredth", "clipped-at-a-hundredth", "blobs"),
    ("loss scale collapses", "half-precision-overflow", "blobs"),
    ("spikes", "corrupt-batches", "teacher"),
    ("underfitting", "no-capacity", "blobs"),
    ("noisy validation", "validation-on-one-batch", "blobs"),
    ("training data change midway", "training-data-change", "blobs"),
    ("steps go back", "steps-go-back", "blobs"),
    ("file cut", "file-cut", "blobs"),
)
"""(name, mechanism, task): what is trained."""

Maker = Callable[[Task, Setting, np.random.Generator], Plan]
UNSEEN = frozenset({"no-lr"})
"""The learning rate's series is not logged, so that only its consequence shows."""


def _creeping(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    """The rate grows a hundredfold over the run."""
    total = steps_of(task, s)
    return Plan(task, s, Hooks(rate=lambda step, lr: lr * 100.0 ** (step / total)), log=UNSEEN)


def _cycling(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    """Five cycles of a rate, not logged, whose peak is beyond what the model bears; clipped, so that it comes back."""
    fast = replace(s, optimizer="sgd", lr=0.15, batch=16, clip=1.0)
    total = steps_of(task, fast)
    cycles = Hooks(rate=lambda step, lr: lr * (0.02 + 0.49 * (1 - np.cos(10 * np.pi * step / total))))
    return Plan(task, fast, cycles, log=UNSEEN)


def _rare(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    """A class of two per cent that overlaps the frequent one, in both splits alike."""
    keep, keep_val = ((y == 0) | (rng.random(len(y)) < 0.15) for y in (task.y, task.y_val))
    x, x_val = (a + rng.normal(0, 2.0, a.shape) for a in (task.x[keep], task.x_val[keep_val]))
    skewed = with_data(task, x=x, y=task.y[keep], x_val=x_val, y_val=task.y_val[keep_val])
    return Plan(skewed, s, log=frozenset({"predictions", "recalls"}))


def _unseen_collapse(task: Task, s: Setting, rng: np.random.Generator) -> Plan:
    return Plan(task, replace(s, schedule="collapses", lr=s.lr / 2, extra={"half_life": 0.05}), log=UNSEEN)


LOCAL: dict[str, Maker] = {
    "sgd-rate-blows-up": lambda task, s, rng: Plan(task, replace(s, optimizer="sgd", lr=2.0)),
    "sgd-rate-one": lambda task, s, rng: Plan(task, replace(s, optimizer="sgd", lr=1.0), log=UNSEEN),
    "few-samples": lambda task, s, rng: Plan(with_data(task, x=task.x[:300], y=task.y[:300]), replace(s, epochs=60, hidden=64)),
    "rate-far-too-high": lambda task, s, rng: Plan(task, replace(s, optimizer="sgd", lr=0.45)),
    "restless": lambda task, s, rng: Plan(task, replace(s, lr=0.049, batch=8, depth=3), log=UNSEEN),
    "restless-clipped": lambda task, s, rng: Plan(task, replace(s, optimizer="sgd", lr=0.5, clip=1.0), log=UNSEEN),
    "plateaus-high": lambda task, s, rng: Plan(task, replace(s, lr=0.02, depth=6), log=UNSEEN),
    "rate-creeps-up": _creeping,
    "cycling-rate": _cycling,
    "rare-class": _rare,
    "rate-collapses-unseen": _unseen_collapse,
}


def plan_of(mechanism: str, task_name: str, seed: int) -> Plan:
    """What to train."""
    task = generate.make_task(task_name, seed)
    maker = LOCAL.get(mechanism) or FAULTS[mechanism]
    plan = maker(task, generate.ordinary(task), np.random.default_rng([seed, 7]))
    assert plan is not None, f"{task_name} cannot show {mechanism}"
    plan.log = plan.log | {"lr", "gradients"}
    return plan
