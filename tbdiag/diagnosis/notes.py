"""The six-line symptom-to-action note that every diagnosis leaves."""

from __future__ import annotations

from typing import Any

from tbdiag.features import Features
from tbdiag.model import Finding, Note, Role

PATTERNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("exploding", ("nan-inf", "divergence", "exploding-gradients")),
    ("unstable", ("instability", "spikes", "lr-too-high", "loss-scale-collapse", "epoch-sawtooth")),
    ("collapse", ("prediction-collapse", "return-collapse", "entropy-collapse", "discriminator-win", "reward-std-collapse")),
    ("flat (no learning)", ("no-learning", "lr-zero", "frozen-weights", "vanishing-gradients", "dead-units", "loss-mismatch")),
    ("overfit", ("overfitting", "generalization-gap", "over-confidence")),
    ("sudden change", ("sudden-shift",)),
    ("validation suspiciously good", ("val-better", "leakage")),
    ("underfit", ("underfitting", "plateau", "unconverged", "lr-too-low", "lr-schedule", "label-noise")),
)


def write_note(findings: tuple[Finding, ...], features: Features, experiment: dict[str, Any] | None) -> Note:
    """The note of a run; lines about what was not logged say so."""
    strong = [f for f in findings if f.severity.rank < 2]
    head = strong[0] if strong else None
    return Note(
        curve_pattern=_pattern(head, features),
        prediction_signal=_predictions(strong, features),
        gradient_signal=_gradients(strong, features),
        data_check=head.first_check if head else "labels, split, leakage and preprocessing: nothing in the log speaks against them",
        chosen_action=str(experiment["action"]) if experiment else "none: keep this configuration",
        success_rule=str(experiment["success_rule"]) if experiment else "the next run ends no worse",
    )


def _pattern(head: Finding | None, features: Features) -> str:
    if head is None:
        both = features.curve("train_loss") is not None and features.curve("val_loss") is not None
        return "healthy: nothing suspicious in the curves" if both else "unclear: nothing wrong in what was logged"
    name = next((word for word, ids in PATTERNS if head.id in ids), head.id.replace("-", " "))
    return f"{name}: {head.title}"


def _predictions(strong: list[Finding], features: Features) -> str:
    told = [f.title for f in strong if f.phase == 1]
    if told:
        return "; ".join(told)
    parts = []
    share = features.curve("max_class_share")
    if share is not None and share.n:
        parts.append(f"largest class share {share.end:.2f} at the end")
    confidence = features.curve("val_confidence") or features.curve("train_confidence") or features.curve("confidence")
    if confidence is not None and confidence.n:
        parts.append(f"mean confidence {confidence.end:.3g} at the end")
    return ", ".join(parts) if parts else "class counts and confidence were not logged"


def _gradients(strong: list[Finding], features: Features) -> str:
    told = [f.title for f in strong if f.phase == 2]
    norm = features.curve("grad_norm")
    if told:
        return "; ".join(told)
    if norm is not None and norm.n:
        bad = f"{norm.bad_step.size} of {norm.total} points NaN or Inf" if norm.bad_step.size else "no NaN or Inf"
        return f"norm {norm.first:.3g} at the start, {norm.end:.3g} at the end, {bad}"
    if any(s.role in (Role.LAYER_GRAD_NORM, Role.GRADIENT_HISTOGRAM) for s in features.signals.all):
        return "per-layer gradients were logged and nothing suspicious was found"
    return "gradient norm was not logged"
