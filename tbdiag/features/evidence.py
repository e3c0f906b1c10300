"""The audit of what a run saved: each artefact of the trade's list, present or absent, and the lines that log it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tbdiag.model import Domain, Role, Split
from tbdiag.roles.chance import CLASSIFICATION

if TYPE_CHECKING:
    from tbdiag.features import Features


@dataclass(frozen=True, slots=True)
class Artefact:
    """One thing that every run should save.

    Attributes:
        id: stable name; decides: detector ids that need it; why: why one saves it.
    """

    id: str
    title: str
    why: str
    decides: tuple[str, ...]


ARTEFACTS: tuple[Artefact, ...] = (
    Artefact(
        "val-curve",
        "validation loss and metric",
        "it tells overfitting, gap and leakage from learning",
        ("overfitting", "generalization-gap", "val-better", "leakage", "noisy-validation", "label-noise", "underfitting"),
    ),
    Artefact(
        "return-curve",
        "return of the episodes",
        "it is the only measure of whether the agent gets better",
        ("no-learning", "return-collapse", "divergence", "instability", "spikes", "unconverged"),
    ),
    Artefact(
        "train-curve",
        "training loss",
        "it is the first diagnostic surface",
        ("no-learning", "divergence", "plateau", "unconverged", "spikes", "instability"),
    ),
    Artefact(
        "learning-rate",
        "learning rate",
        "it tells a schedule from a symptom",
        ("lr-zero", "lr-schedule", "lr-too-high", "lr-too-low"),
    ),
    Artefact(
        "gradient-statistics",
        "gradient norm",
        "it catches instability before the loss shows it",
        ("exploding-gradients", "vanishing-gradients", "clipping-saturated"),
    ),
    Artefact(
        "prediction-samples",
        "prediction samples or class counts",
        "they reveal a collapse that the loss hides",
        ("prediction-collapse", "class-imbalance", "low-confidence", "over-confidence"),
    ),
    Artefact(
        "config",
        "configuration",
        "it reproduces the run and makes actions concrete",
        ("lr-too-high", "lr-too-low"),
    ),
    Artefact(
        "seed",
        "random seed",
        "a symptom must be reproduced before it is explained",
        (),
    ),
    Artefact(
        "code-version",
        "code and data version",
        "they tell which change broke a run",
        ("sudden-shift",),
    ),
    Artefact(
        "split-version",
        "data split version",
        "it detects leakage or drift between runs",
        ("leakage", "val-better"),
    ),
    Artefact(
        "best-checkpoint",
        "best checkpoint",
        "it allows comparing without retraining",
        (),
    ),
)
"""The list of the source texts, most deciding first."""


SAMPLES = Artefact("prediction-samples", "prediction samples", "they show what the loss hides", ())
"""What stands for the class counts where a run tells no classes apart, such as a regression or a language model."""

NOT_IN_DOMAIN = {
    Domain.REINFORCEMENT: frozenset({"val-curve", "prediction-samples", "split-version"}),
    Domain.PREFERENCE: frozenset({"prediction-samples"}),
    Domain.GAN: frozenset({"split-version"}),
}
"""Artefacts that a kind of training has no use for."""


def list_artefacts(features: Features) -> tuple[Artefact, ...]:
    """The artefacts that a run of this domain should save."""
    skip = NOT_IN_DOMAIN.get(features.signals.domain, frozenset())
    agent = features.signals.domain is Domain.REINFORCEMENT
    wanted = tuple(a for a in ARTEFACTS if a.id not in skip and (agent or a.id != "return-curve"))
    return wanted if _tells_classes(features) else tuple(SAMPLES if a.id == SAMPLES.id else a for a in wanted)


def _tells_classes(features: Features) -> bool:
    """Whether the run is a classification by what it logs: a metric of classes, shares, or confidence."""
    signals = features.signals
    if signals.domain in (Domain.LANGUAGE_MODEL, Domain.DIFFUSION, Domain.GAN):
        return False
    shares = {Role.PREDICTION_SHARE, Role.LABEL_SHARE, Role.CLASS_METRIC, Role.CONFIDENCE, Role.BASELINE}
    if not signals.by_role.keys().isdisjoint(shares):
        return True
    stems = [s.stem for s in signals.all if s.role is Role.METRIC]
    if signals.chance is not None:
        return any(stem.startswith(CLASSIFICATION) for stem in stems)
    # An error alone may be that of a spectrum or a position, and a detector's precision and recall are those of its boxes.
    return any(stem.startswith(CLASSIFICATION) and not stem.startswith("error") for stem in stems) and not any(
        stem.startswith("map") for stem in stems
    )


def is_present(artefact: str, features: Features) -> bool:
    """Whether an artefact of `ARTEFACTS` was logged (by role, configuration, text or media tag)."""
    signals = features.signals

    def any_role(*roles: Role) -> bool:
        return not signals.by_role.keys().isdisjoint(roles)

    if artefact == "val-curve":
        quality = (Role.LOSS, Role.METRIC, Role.REWARD)
        return any(s.split in (Split.VAL, Split.TEST) and s.role in quality for s in signals.all) or any_role(Role.REWARD)
    if artefact == "return-curve":
        return any_role(Role.REWARD)
    if artefact == "train-curve":
        train = (Role.LOSS, Role.LOSS_COMPONENT, Role.POLICY_LOSS, Role.VALUE_LOSS, Role.GENERATOR_LOSS, Role.DISCRIMINATOR_LOSS)
        return any(s.role in train and s.split in (Split.TRAIN, Split.NONE) for s in signals.all)
    if artefact == "learning-rate":
        return any_role(Role.LR)
    if artefact == "gradient-statistics":
        return any_role(Role.GRAD_NORM, Role.LAYER_GRAD_NORM, Role.GRADIENT_HISTOGRAM)
    texts = " ".join(features.run.texts).lower()
    if artefact == "prediction-samples":
        logged = any_role(Role.PREDICTION_SHARE, Role.PREDICTION_HISTOGRAM, Role.PREDICTION_STAT, Role.CONFIDENCE, Role.CLASS_METRIC)
        return logged or any(m.plugin in ("images", "audio") for m in features.run.media.values()) or "predict" in texts
    config = {str(k).lower() for k in signals.config}
    if artefact == "config":
        return any(not signals.config_source.get(key, "").startswith("series ") for key in signals.config if key.lower() != "seed")
    if artefact == "seed":
        return any("seed" in key for key in config) or "seed" in texts
    words = {
        "code-version": ("commit", "git", "revision", "code_version", "version"),
        "split-version": ("split", "fold", "data_version", "dataset_version"),
        "best-checkpoint": ("checkpoint", "best_model", "best_step"),
    }[artefact]
    return any(word in name for word in words for name in (texts, *config))
