"""What a series may mean: the words of which a signal is made. Needs no numpy, so that settings and listings load in a moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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
