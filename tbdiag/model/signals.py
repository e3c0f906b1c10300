"""How tags were read: a signal is a series (or histogram series) with the role that it plays in a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import numpy as np

from tbdiag.model.runs import HistogramSeries, Int64, Run, Series


class Role(str, Enum):
    """What a series is. Names are the field's; the value is what reports and configuration files say."""

    LOSS = "loss"
    LOSS_COMPONENT = "loss_component"  # box_loss, kl, regularisation ...: supports, never judged alone as the loss
    METRIC = "metric"  # a quality metric with a direction: accuracy, F1, mAP, BLEU, WER, R2, MAE ...
    REWARD = "reward"  # reinforcement learning return, preference reward
    LR = "lr"
    GRAD_NORM = "grad_norm"
    LAYER_GRAD_NORM = "layer_grad_norm"
    WEIGHT_NORM = "weight_norm"
    LAYER_WEIGHT_NORM = "layer_weight_norm"
    UPDATE_RATIO = "update_ratio"
    CLIP_FRACTION = "clip_fraction"  # share of steps on which the gradient was clipped, not PPO's ratio clipping
    LOSS_SCALE = "loss_scale"
    CONFIDENCE = "confidence"  # mean of the largest predicted probability
    CALIBRATION_ERROR = "calibration_error"
    PREDICTION_SHARE = "prediction_share"  # share (or count) of one predicted class
    LABEL_SHARE = "label_share"
    PREDICTION_STAT = "prediction_stat"  # mean, std or entropy of predictions
    CLASS_METRIC = "class_metric"  # a metric of one class: recall/class_2
    BASELINE = "baseline"  # majority-class or input-independent baseline metric
    SAMPLE_LOSS = "sample_loss"  # quantiles of the per-sample loss: sub_kind p50, p95, max
    ACTIVATION_STAT = "activation_stat"  # sub_kind zero_fraction, saturated_fraction, mean, std
    HAS_NAN_GRAD = "has_nan_grad"
    EPOCH = "epoch"
    COUNTER = "counter"
    THROUGHPUT = "throughput"
    STEP_TIME = "step_time"
    LOADER_TIME = "loader_time"
    MEMORY = "memory"
    ENTROPY = "entropy"
    APPROX_KL = "approx_kl"
    POLICY_CLIP_FRACTION = "policy_clip_fraction"
    EXPLAINED_VARIANCE = "explained_variance"
    POLICY_LOSS = "policy_loss"
    VALUE_LOSS = "value_loss"
    EPISODE_LENGTH = "episode_length"
    GENERATOR_LOSS = "generator_loss"
    DISCRIMINATOR_LOSS = "discriminator_loss"
    DISCRIMINATOR_SCORE = "discriminator_score"  # D(x), D(G(z))
    CHOSEN_REWARD = "chosen_reward"
    REJECTED_REWARD = "rejected_reward"
    REWARD_MARGIN = "reward_margin"
    PREFERENCE_ACCURACY = "preference_accuracy"
    REWARD_STD = "reward_std"
    WEIGHT_HISTOGRAM = "weight_histogram"
    GRADIENT_HISTOGRAM = "gradient_histogram"
    ACTIVATION_HISTOGRAM = "activation_histogram"
    PREDICTION_HISTOGRAM = "prediction_histogram"
    UNKNOWN = "unknown"
    IGNORED = "ignored"  # placeholders and duplicates: hp_metric = -1, '... vs samples'


class Split(str, Enum):
    """Which data a series was measured on."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    NONE = "none"


class Direction(str, Enum):
    """Which way is better."""

    LOWER = "lower"
    HIGHER = "higher"
    NONE = "none"


class Scale(str, Enum):
    """Unit of the values, where it is known."""

    NATS = "nats"
    BITS = "bits"
    FRACTION = "fraction"
    PERCENT = "percent"
    UNKNOWN = "unknown"


class Axis(str, Enum):
    """Unit of the step column."""

    STEP = "step"
    EPOCH = "epoch"
    SAMPLE = "sample"
    TOKEN = "token"
    SECOND = "second"
    ENV_STEP = "env_step"


class Domain(str, Enum):
    """Kind of training; detectors that make no sense in a domain do not run there."""

    SUPERVISED = "supervised"
    LANGUAGE_MODEL = "language_model"
    REINFORCEMENT = "reinforcement"
    GAN = "gan"
    DIFFUSION = "diffusion"
    PREFERENCE = "preference"
    SELF_SUPERVISED = "self_supervised"


@dataclass(frozen=True, slots=True)
class Writer:
    """What the program that logged a series had already done to its values.

    Attributes:
        mean_window: number of steps averaged into each point (1: raw; None: unknown).
        running_mean: the point is a running or exponential mean since the epoch began.
        median_window: number of steps of which the median was logged, or None.
        quantum: rounding step of the values, or None.
        nan_as: value that the writer puts where a NaN was (0.0 for some), or None.
        drops_nan: the writer leaves non-finite points out.
    """

    mean_window: int | None = None
    running_mean: bool = False
    median_window: int | None = None
    quantum: float | None = None
    nan_as: float | None = None
    drops_nan: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """One series with its role. `series` is set for scalar roles, `histogram` for histogram roles.

    Attributes:
        stem: what is measured, with split words removed (``loss``, ``accuracy``, ``box_loss``); pairs train with validation.
        layer: layer or parameter name of a per-layer series; `depth` its position from the input (0 first), where known.
        class_id: class of a per-class series; `sub_kind` narrows the role (``zero_fraction``, ``p95``, ``std``, ``mean``).
        main: chosen to stand for its role and split (the train loss, the validation loss, the main metric).
        why: one clause that says how it was recognised; `convention` the convention's name, or ``""`` for general rules.
        axis: unit of the step column as it was logged.
        logged: the series as it was logged, where `series` is a copy that was moved onto the run's common axis (see `tbdiag.roles.axes`).
    """

    name: str
    role: Role
    split: Split
    direction: Direction
    stem: str
    why: str
    series: Series | None = None
    histogram: HistogramSeries | None = None
    scale: Scale = Scale.UNKNOWN
    axis: Axis = Axis.STEP
    layer: str | None = None
    depth: int | None = None
    class_id: str | None = None
    sub_kind: str | None = None
    main: bool = False
    convention: str = ""
    score: float = 0.0
    writer: Writer = field(default_factory=Writer)
    logged: Series | None = None

    def logged_step(self, step: float) -> int:
        """A step of `series` in the unit that the log itself uses for this series (the same step where nothing was moved)."""
        if self.logged is None or self.series is None or not len(self.series):
            return round(step)
        return round(float(np.interp(step, self.series.step, self.logged.step)))

    @property
    def key(self) -> str:
        """Role as success rules name it: ``train_loss``, ``val_metric``, ``lr``, ``grad_norm``."""
        split = "" if self.split is Split.NONE or self.role not in SPLIT_ROLES else f"{self.split.value}_"
        return split + self.role.value


SPLIT_ROLES = frozenset(
    {
        Role.LOSS,
        Role.LOSS_COMPONENT,
        Role.METRIC,
        Role.CONFIDENCE,
        Role.CALIBRATION_ERROR,
        Role.REWARD,
        Role.PREDICTION_SHARE,
        Role.CLASS_METRIC,
        Role.PREFERENCE_ACCURACY,
        Role.REWARD_MARGIN,
    }
)
"""Roles whose key carries the split."""


@dataclass(frozen=True, eq=False)
class Signals:
    """Every series of a run with its role, and what is known of the run as a whole.

    Attributes:
        all: signals in the order of the run's series names.
        domain, framework: what kind of training and which framework's layout (``""`` where none was recognised).
        config: configuration found in the log (``learning_rate``, ``batch_size``, ``epochs``, ``max_grad_norm``, ``seed``,
            ``precision``, ``weight_decay``, ``optimizer``, ``warmup_steps``, ``total_steps``, ``classes`` ...), each
            with its source in `config_source`.
        chance: chance level of the main loss in nats (ln K) and `classes` = K, where they can be known.
        epoch_steps: int64, the training steps at which an epoch ended, None where unknown; `epoch_why` says how they were found.
        overrides: series names whose role the user set.
    """

    run: Run
    all: tuple[Signal, ...] = ()
    domain: Domain = Domain.SUPERVISED
    framework: str = ""
    config: Mapping[str, float | str | bool] = field(default_factory=dict)
    config_source: Mapping[str, str] = field(default_factory=dict)
    classes: int | None = None
    chance: float | None = None
    chance_why: str = ""
    epoch_steps: Int64 | None = None
    epoch_why: str = ""
    overrides: tuple[str, ...] = ()

    def main(self, key: str) -> Signal | None:
        """The signal that stands for a role key such as ``train_loss`` or ``lr``, or None."""
        return self.mains.get(key)

    def role(self, role: Role, split: Split | None = None) -> tuple[Signal, ...]:
        """All signals of a role, of one split if given."""
        found = self.by_role.get(role, ())
        return found if split is None else tuple(s for s in found if s.split is split)

    @cached_property
    def mains(self) -> Mapping[str, Signal]:
        """The main signal of every role key that has one, the first where several claim it."""
        return {s.key: s for s in reversed(self.all) if s.main}

    @cached_property
    def by_role(self) -> Mapping[Role, tuple[Signal, ...]]:
        """All signals by role, in the order of `all`."""
        found: dict[Role, list[Signal]] = {}
        for s in self.all:
            found.setdefault(s.role, []).append(s)
        return {role: tuple(signals) for role, signals in found.items()}
