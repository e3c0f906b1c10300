"""The six-line symptom-to-action note that every diagnosis leaves: curve, predictions, gradients, data, one action, one rule."""

from __future__ import annotations

import re
from typing import Any

from tbdiag.detectors._base import CURVES, GRADIENTS, HYPERPARAMETERS, LOG, PREDICTIONS
from tbdiag.diagnosis.doubts import Doubt
from tbdiag.diagnosis.verdict import best_point, find_best_checkpoint, holds_curves, list_set_aside
from tbdiag.diagnosis.words import say_clause
from tbdiag.features import Features
from tbdiag.features.tasks import logs_minus_entropy
from tbdiag.model import Domain, Finding, Note, Outcome, Role

PATTERNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("unstable (exploding)", ("nan-inf", "divergence", "exploding-gradients")),
    ("unstable", ("instability", "spikes", "lr-too-high", "loss-scale-collapse", "epoch-sawtooth", "noisy-validation", "weight-growth", "kl-blow-up")),
    ("collapse", ("prediction-collapse", "return-collapse", "entropy-collapse", "discriminator-win", "reward-std-collapse", "class-imbalance",
                  "posterior-collapse")),
    ("underfit (flat)", ("no-learning", "lr-zero", "frozen-weights", "vanishing-gradients", "dead-units", "loss-mismatch", "preference-at-chance")),
    ("overfit", ("overfitting", "generalization-gap", "over-confidence")),
    ("underfit", ("underfitting", "plateau", "unconverged", "lr-too-low", "lr-schedule", "label-noise", "clipping-saturated", "low-confidence",
                  "saturated-activations", "tiny-overfit-fails")),
    ("unclear (sudden change)", ("sudden-shift",)),
    ("unclear (validation suspiciously good)", ("val-better", "leakage")),
    ("unclear (the log itself)", ("truncated-log", "restart-overlap", "stalled")),
)  # fmt: skip
"""Words of the source text (underfit, overfit, unstable, collapse, unclear) and the findings that they stand for."""

NAMED = 5
"""Checks that were left out and are named one by one; more are counted."""

BATCHES = frozenset({"nan-inf", "divergence", "spikes", "exploding-gradients", "instability", "loss-scale-collapse"})
"""Findings whose data check is a look at the batches where they begin."""
INPUTS = frozenset(
    {
        "no-learning",
        "underfitting",
        "plateau",
        "saturated-activations",
        "dead-units",
        "loss-mismatch",
        "low-confidence",
        "tiny-overfit-fails",
    }
)
"""Findings whose data check is a look at one batch: inputs and labels."""
DATA = frozenset(
    {"overfitting", "generalization-gap", "val-better", "leakage", "label-noise", "class-imbalance", "prediction-collapse", "sudden-shift",
     "noisy-validation", "epoch-sawtooth", "over-confidence", "preference-at-chance"}
)  # fmt: skip
"""Findings whose own first check is a check of the data."""


def write_note(
    findings: tuple[Finding, ...],
    features: Features,
    experiment: dict[str, Any] | None,
    verdict: str,
    outcomes: tuple[Outcome, ...] = (),
    *,
    doubt: Doubt | None = None,
) -> Note:
    """The note of a run; lines about what was not logged, accepted or left out say so, and so do those about a `Doubt`."""
    accepted, left_out = list_set_aside(outcomes)
    aside = _set_aside(accepted, left_out)
    strong = [f for f in findings if f.severity.rank < 2]
    head = strong[0] if strong else None
    stands = next((f for f in findings if f.id == "no-learning"), None) if verdict == "unclear" else None
    action, rule = "none: keep this configuration", "the next run ends no worse"
    if experiment:
        action, rule = str(experiment["action"]), str(experiment["success_rule"])
    elif aside:
        action = "none: nothing else was found"
    elif doubt:
        action, rule = doubt.action, doubt.rule
    elif stands:
        action, rule = stands.first_action, stands.success_rule.sentence
    return Note(
        curve_pattern=f"unclear: {doubt.seen}" if doubt else _pattern(strong, features, verdict, aside, stands),
        prediction_signal=_predictions(strong, features),
        gradient_signal=_gradients(strong, features),
        data_check=_data_check(head, features, aside),
        chosen_action=action,
        success_rule=rule,
    )


def _set_aside(accepted: tuple[str, ...], left_out: tuple[str, ...]) -> str:
    """What the configuration accepted or left out, as a clause; else ``""``."""
    names = ", ".join(left_out) if len(left_out) <= NAMED else f"{len(left_out)} checks"
    parts = [f"accepted: {', '.join(accepted)}"] * bool(accepted) + [f"left out: {names}"] * bool(left_out)
    return "; ".join(parts)


def _pattern(strong: list[Finding], features: Features, verdict: str, aside: str, stands: Finding | None) -> str:
    """What the curves show: of a head that is about gradients, weights or settings, its consequence in the curves."""
    kept = best_and_last(features)
    if not strong:
        if aside:
            where = "besides what was accepted" if "accepted" in aside else "in what was checked"
            return f"unclear: nothing suspicious {where} ({aside}){kept}"
        if stands is not None:
            return f"unclear: {say_clause(stands.title)}"
        if verdict != "healthy":
            return f"unclear: {'nothing wrong in what was logged' if holds_curves(features) else 'no scalar series has two points'}{kept}"
        return f"healthy: {'no check found a fault' if kept else 'nothing suspicious in the curves'}{kept}"
    story = [f for f in strong if strong[0].id in (f.id, f.caused_by)]
    head = strong[0]
    if head.phase > PREDICTIONS:
        seen = next((f for f in story if f.phase == CURVES), None)
        if seen is None and head.phase == GRADIENTS:
            return f"unclear (the curves alone show nothing): {_without_name(head)}{kept}"
        head = seen or head
    name = next((word for word, ids in PATTERNS if head.id in ids), head.id.replace("-", " "))
    # The sentence of overfitting holds best and end already.
    also = f" ({aside})" if aside else ""
    return f"{name}: {_without_name(head)}{'' if head.id == 'overfitting' else kept}{also}"


def _without_name(finding: Finding) -> str:
    """A title without the symptom's name before its colon, which the line has said already."""
    name, colon, rest = finding.title.partition(": ")
    return rest if colon and re.fullmatch(r"[A-Za-z-]+( [a-z]+){0,2}", name) else finding.title


def best_and_last(features: Features) -> str:
    """Best and final value of what the best checkpoint is chosen by, where the end is worse by more than noise; else ``""``."""
    best = find_best_checkpoint(features)
    if best is None:
        return ""
    curve = features.curve(best["role"])
    if curve is None or curve.n < 3:
        return ""
    what = best["role"].replace("val", "validation").replace("_", " ")
    found = f"; best {what} {best['value']:.4g} at {curve.signal.axis.value.replace('_', ' ')} {best['step']:,}"
    lost = curve.bad_step[curve.bad_step > curve.step[-1]]
    if lost.size > 1:
        return f"{found}, not a finite number from {int(lost[0]):,} on"
    if best_point(curve) == curve.n - 1 or curve.rise <= 2 * curve.sigma:
        return ""
    return f"{found}, {float(curve.value[-1]):.4g} at the end"


def _predictions(strong: list[Finding], features: Features) -> str:
    if features.signals.domain is Domain.REINFORCEMENT:
        entropy = features.curve("entropy")
        if entropy is None or not entropy.n:
            return "the policy's entropy was not logged"
        logged = -1.0 if logs_minus_entropy(entropy) else 1.0
        return f"policy entropy {logged * entropy.first:.3g} at the start, {logged * entropy.end:.3g} at the end"
    told = [f.title for f in strong if f.phase == PREDICTIONS]
    parts: list[str] = []
    share = features.curve("max_class_share")
    if share is not None and share.n:
        parts.append(f"largest class share {share.end:.2f} at the end")
    confidence = features.curve("val_confidence") or features.curve("train_confidence") or features.curve("confidence")
    if confidence is not None and confidence.n and not any("confidence" in title for title in told):
        parts.append(f"mean confidence {confidence.end:.3g} at the end")
    if not told and not parts:
        return "class counts and confidence were not logged"
    return "; ".join([*told, *([", ".join(parts)] if parts else [])])


def _gradients(strong: list[Finding], features: Features) -> str:
    told = [f.title for f in strong if f.phase == GRADIENTS]
    norm = features.curve("grad_norm")
    if norm is not None and norm.total:
        bad = f"{norm.bad_step.size:,} of {norm.total:,} points NaN or Inf" if norm.bad_step.size else "no NaN or Inf"
        span = "norm never finite, "
        if norm.n:
            peak = float(norm.value.max())
            most = f"{peak:.3g} at most, " if peak > 10 * max(norm.first, norm.end) else ""
            span = f"norm {norm.first:.3g} at the start, {norm.end:.3g} at the end, {most}"
        told.append(span + bad)
    elif not any(s.role in (Role.LAYER_GRAD_NORM, Role.GRADIENT_HISTOGRAM) for s in features.signals.all):
        told.append("gradient norm was not logged")
    elif not told:
        told.append("per-layer gradients were logged and nothing suspicious was found")
    return "; ".join(told)


def _data_check(head: Finding | None, features: Features, aside: str) -> str:
    """Labels, split, leakage, preprocessing: what of them to look at."""
    if head is None:
        return f"nothing {'else ' if aside else ''}in the log speaks against labels, split, leakage or preprocessing"
    if head.id in DATA:
        return head.first_check
    if features.signals.domain is Domain.REINFORCEMENT and head.phase not in (HYPERPARAMETERS, LOG):
        where = f" around {_where(head)}" if head.onset is not None else ""
        return f"look at observations, rewards and episode ends{where}: scale, clipping, what ends an episode"
    if head.id in BATCHES and head.onset is not None:
        return f"look at inputs, labels and lengths of the batches around {_where(head)}: values out of range, wrong or empty samples"
    if head.id in INPUTS | BATCHES:
        return "print one batch: mean and spread of the inputs, the labels that occur and how often, 20 samples with their labels"
    return "nothing in the log points at labels, split, leakage or preprocessing"


def _where(head: Finding) -> str:
    assert head.drawn is not None
    first, last = head.drawn.first_step, head.drawn.last_step
    return f"step {last:,}" if first == last else f"steps {first:,} to {last:,}"
