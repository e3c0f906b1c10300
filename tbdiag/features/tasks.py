"""What a run trains, as far as the log tells: rates of language models that were trained before lie far below those from scratch."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from tbdiag.features import CurveFacts, Features
from tbdiag.model import Domain, Role, Signal, Signals

LANGUAGE_POLICIES = frozenset({"TRL GRPO", "TRL PPO", "OpenRLHF", "verl"})
"""Frameworks that train language models by reinforcement learning."""
TUNERS = frozenset({"HF Trainer", "OpenRLHF SFT", "torchtune"})
"""Frameworks that are used to train models further that were trained before."""
TRAINER_TAGS = frozenset({"train/loss", "train/learning_rate", "train/grad_norm", "train/epoch"})
"""What the HF Trainer writes while it runs; the tags by which it is recognised for sure come with its first timed evaluation or its end."""
SCRATCH = 6.0
"""First loss in nats: language models from scratch begin near ln(vocabulary), 9 to 12, fine-tuned ones below 4."""


@dataclass(frozen=True, slots=True)
class UsualRate:
    """Usual learning rate of a task: `rate`, and `adapters` for LoRA; `task` in words for a sentence."""

    rate: float
    adapters: float
    task: str


FINE_TUNING = UsualRate(2e-5, 2e-4, "fine-tuning a pretrained model")
"""TRL's and the transformers examples' 2e-5 for all weights, 2e-4 for LoRA (QLoRA, 2023)."""
PREFERENCES = UsualRate(1e-6, 5e-6, "preference training")
"""TRL's default for DPO; recipes go from 5e-7 (Zephyr) to 5e-6."""
POLICY = UsualRate(1e-6, 1e-5, "reinforcement learning of a language model")
"""TRL's default for GRPO; DeepSeekMath trained with 1e-6."""


MOVING = re.compile(r"self[-_ ]?play|(^|[^a-z])elo([^a-z]|$)|lesson|curriculum|(^|[^a-z])(terrain|level)([^a-z]|$)")
"""Names that tell that the task or the opponent changes during the run."""


def task_moves(signals: Signals) -> bool:
    """Whether the log tells of self-play or of a curriculum: the opponent or the task gets harder, and returns fall with it.

    A lesson number that never changes tells of a curriculum that never went on.
    """
    named = (s.series for s in signals.all if MOVING.search(s.name.lower()))
    return any(x is None or bool(np.any(x.value != x.value[:1])) for x in named)


SUCCESS = re.compile(r"(^|[^a-z])(success(es)?|successrate|solved|won|win[-_ ]?rate|winrate)([^a-z]|$)")
"""Names of a share of episodes that succeeded; not of a window, a twin or a reward."""
NOT_OWN = re.compile(r"oppon|enem|adversar|fail|lost|loss|reward|penalty|bonus|time")
"""Success of somebody else, or something else than a share of episodes."""


def find_successes(signals: Signals) -> tuple[Signal, ...]:
    """Series of ten finite points and more that count an agent's successes (a success rate, battles won)."""

    def counts(s: Signal) -> bool:
        name, x = s.name.lower(), s.series
        own = x is not None and len(x) >= 10 and bool(np.all(np.isfinite(x.value)))
        return own and s.role in (Role.METRIC, Role.UNKNOWN) and SUCCESS.search(name) is not None and NOT_OWN.search(name) is None

    return tuple(s for s in signals.all if counts(s)) if signals.domain is Domain.REINFORCEMENT else ()


def never_succeeds(signals: Signals, most: float = 0.0) -> Signal | None:
    """A success rate, where none was ever above `most` and all were 0 in their last quarter; None where one was, or none was logged."""
    found = find_successes(signals)
    barren = all(float(s.series.value.max()) <= most and not np.any(s.series.value[-(len(s.series) // 4) :]) for s in found if s.series)
    return found[0] if found and barren else None


def uses_tensorflow(features: Features) -> bool:
    """Whether Keras or TensorFlow wrote the log; ``.v2`` is the suffix of TensorFlow 2's files."""
    name = features.signals.framework.lower()
    return name.startswith(("keras", "tf ", "tensorflow")) or (not name and any(f.path.endswith(".v2") for f in features.run.files))


def logs_minus_entropy(curve: CurveFacts) -> bool:
    """Whether minus the policy's entropy was logged, as the loss that it is (Stable-Baselines3).

    The entropy of a continuous policy falls below zero itself, so that the sign of the values tells nothing; but it does not begin there.
    """
    return curve.signal.stem == "neg_entropy" or ("loss" in curve.name.lower() and curve.first < 0)


def trains_language_policy(signals: Signals) -> bool:
    """Whether a language model is trained by reinforcement learning."""
    return signals.domain is Domain.REINFORCEMENT and signals.framework in LANGUAGE_POLICIES


def kl_to_reference(signals: Signals) -> bool:
    """Whether the logged KL divergence is that from the reference model (``train/kl``, ``objective/kl``, ``kl_loss``), not that of one update."""
    main = signals.main("approx_kl")
    if main is None or main.series is None or signals.framework not in LANGUAGE_POLICIES:
        return False
    return main.series.tag.rsplit("/", 1)[-1] in {"kl", "kl_loss"}


def usual_rate(features: Features) -> UsualRate | None:
    """Usual learning rate of the task, or None where the log does not tell that a pretrained model is trained."""
    signals = features.signals
    if trains_language_policy(signals):
        return POLICY
    if signals.domain is Domain.PREFERENCE:
        return PREFERENCES
    loss = features.curve("train_loss") or features.curve("val_loss")
    begins_low = loss is not None and loss.n > 0 and loss.first < SCRATCH
    return FINE_TUNING if begins_low and (signals.framework in TUNERS or _writes_as_trainer(signals)) else None


def _writes_as_trainer(signals: Signals) -> bool:
    return not signals.framework and {s.series.tag for s in signals.all if s.series is not None} >= TRAINER_TAGS


def reads_tokens(features: Features) -> bool:
    """Whether the inputs are tokens, or go into a pretrained model: nothing that could be normalised."""
    return features.signals.domain is Domain.LANGUAGE_MODEL or usual_rate(features) is not None
