"""What a training is made of: a task, a setup that a mechanism may change, and the trace that a run leaves.

Shapes: tensors of a split share their first axis (samples).  Losses are in the task's own unit (nats for likelihoods).
"""

import dataclasses as dc
from collections.abc import Callable
from typing import Any

import numpy as np


@dc.dataclass
class Task:
    """Data, model and loss of one problem; `train`, `val` and `test` are (inputs, targets)."""

    name: str
    kind: str  # "cls": out is (n, K) or (n, T, K) logits; "bin": out is (n,) logits; "reg": (n,) or (n, D); "free": anything
    train: tuple
    val: tuple
    test: tuple
    build: Callable[[], Any]
    loss: Callable[[Any, tuple], Any]  # (out, batch) -> (n,) losses
    lr: float = 2e-3
    batch: int = 64
    epochs: int = 20
    opt: str = "adamw"
    classes: int = 0
    score: Callable[[Any, tuple], float] | None = None  # for "reg" and "free"; "cls" and "bin" have accuracy
    score_name: str = "acc"
    loss_name: str = "ce"
    rising: bool = True  # the score is better when higher
    floor_known: bool = True  # 0 is the best that the loss can be
    chance: float | None = None  # loss that needs no learning, where the first steps do not tell it
    components: Callable[[Any, tuple], dict] | None = None  # (out, batch) -> parts of the loss by name
    more: Callable[[dict, Any, tuple], dict] | None = None  # (evaluation, out, batch) -> further validation scores by name


Step = Callable[..., Any]


@dc.dataclass
class Setup:
    """How a task is trained.  A mechanism is a function that changes one."""

    task: Task
    seed: int
    lr: float = 0.0
    opt: str = ""
    batch: int = 0
    epochs: int = 0
    wd: float = 1e-4
    momentum: float = 0.9
    betas: tuple = (0.9, 0.999)
    sched: Callable[[int, int], float] = lambda step, total: 1.0
    clip: float | None = None
    accum: int = 1
    accum_mean: bool = True
    shuffle: bool = True
    zero_grad: bool = True
    eval_train_mode: bool = False
    eval_every: int = 0  # steps between evaluations, 0 for once an epoch
    eval_model: Callable[[Any], Any] | None = None  # the model that is evaluated in place of the trained one
    with_test: bool = False  # evaluate the test split as well, each time
    optimizer: Callable[[Any, Any], Any] | None = None  # (setup, model) -> optimiser; groups may hold a `factor` on the rate
    logged_norm: Callable[[float], float] | None = None  # what is logged as the gradient norm, if not the norm before clipping
    val_rows: int | None = None  # a new random choice of so many validation samples at each evaluation
    on_batch: list = dc.field(default_factory=list)  # (step, epoch, x, y) -> (x, y)
    on_val: list = dc.field(default_factory=list)  # (share of the run done, x, y) -> (x, y)
    on_out: list = dc.field(default_factory=list)  # (step or -1 in evaluation, out) -> out, before the loss only
    on_loss: list = dc.field(default_factory=list)  # (step, loss, model) -> loss that is minimised and logged
    on_penalty: list = dc.field(default_factory=list)  # (step, model) -> added to what is minimised, not logged
    on_grad: list = dc.field(default_factory=list)  # (step, model)
    after_step: list = dc.field(default_factory=list)  # (step, model)
    after_eval: list = dc.field(default_factory=list)  # (dict of the evaluation)
    on_model: list = dc.field(default_factory=list)  # model -> model or None
    params: Callable[[Any], list] | None = None  # model -> what the optimiser gets
    order: Callable[[int, np.ndarray], np.ndarray] | None = None  # (epoch, permutation) -> order of the samples
    scaler: float | None = None  # start of a simulated loss scale: gradients over 65504 / scale are Inf in fp16
    patience: int | None = None
    seconds: Callable[[int, int], float] = lambda step, total: 1.0  # factor on the simulated step time
    truth: dict = dc.field(default_factory=dict)  # what the mechanism did: event_step, noise, lr_factor, ...

    def __post_init__(self):
        """Take from the task what was not said."""
        for k in ("lr", "opt", "batch", "epochs"):
            if not getattr(self, k):
                setattr(self, k, getattr(self.task, k))

    @property
    def steps_per_epoch(self):
        """Optimiser steps in one pass."""
        return max(1, len(self.task.train[0]) // (self.batch * self.accum))

    @property
    def total(self):
        """Optimiser steps planned."""
        return self.steps_per_epoch * self.epochs

    def data(self, **parts):
        """Replace splits of the task: data(train=(x, y))."""
        self.task = dc.replace(self.task, **parts)


def shows(*roles, fine=False, **needs):
    """Decorator of a mechanism: the series its symptom needs, `fine` if it needs single steps, and needs of the convention."""

    def mark(f):
        f.shows, f.fine, f.needs = set(roles), fine, needs
        return f

    return mark


@dc.dataclass
class Trace:
    """All that one training showed, far more than a log holds."""

    setup: Setup
    loss: list = dc.field(default_factory=list)  # one value a step
    acc: list = dc.field(default_factory=list)
    lr: list = dc.field(default_factory=list)
    gnorm: list = dc.field(default_factory=list)  # before clipping
    wnorm: list = dc.field(default_factory=list)
    scale: list = dc.field(default_factory=list)
    wall: list = dc.field(default_factory=list)  # simulated seconds since the start
    parts: list = dc.field(default_factory=list)  # dicts of loss components, one a step, if the task has any
    evals: list = dc.field(default_factory=list)  # dicts: step, wall, train_loss, val_loss, ...
    deep: list = dc.field(default_factory=list)  # dicts: step, weights, grads, acts, dead, sat, moved
    final: dict = dc.field(default_factory=dict)  # test loss and score, clean training loss
