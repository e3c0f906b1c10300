"""Cause before consequence: which findings are explained by another one, and in which order findings are told.

The table says which symptom can produce which. A finding becomes a consequence of the first symptom in the table's order that was
found, can produce it, and began no later. Causes that are only guessed never stand here: they are listed in a finding's `causes`.
"""

from __future__ import annotations

from dataclasses import replace

from tbdiag.detectors import load_detectors
from tbdiag.model import Finding

STALLED_LEARNING = ("no-learning", "plateau", "underfitting", "unconverged", "lr-too-low", "tiny-overfit-fails")
BLOW_UP = ("divergence", "nan-inf", "exploding-gradients", "spikes", "instability", "weight-growth")
RETURNS = ("return-collapse", "explained-variance-low", "policy-clipping")
AFTERMATH = ("prediction-collapse", "dead-units", "saturated-activations", "noisy-validation", "frozen-weights", "vanishing-gradients")

PRODUCES: dict[str, tuple[str, ...]] = {
    "restart-overlap": ("spikes", "sudden-shift", "stalled", "instability"),
    "truncated-log": ("unconverged",),
    "lr-zero": ("lr-schedule", "frozen-weights", *STALLED_LEARNING),
    "lr-schedule": (*BLOW_UP, *AFTERMATH, *STALLED_LEARNING, "lr-too-high", "loss-scale-collapse"),
    "loss-scale-collapse": (*BLOW_UP, *AFTERMATH, *STALLED_LEARNING),
    "lr-too-high": (*BLOW_UP, *AFTERMATH, *STALLED_LEARNING, "loss-scale-collapse", "over-confidence", "clipping-saturated"),
    "lr-too-low": ("frozen-weights", *STALLED_LEARNING),
    "sudden-shift": (
        *BLOW_UP,
        "overfitting",
        "generalization-gap",
        "noisy-validation",
        "val-better",
        "over-confidence",
        "plateau",
        "prediction-collapse",
    ),
    "dead-units": ("vanishing-gradients", "frozen-weights", "prediction-collapse", *STALLED_LEARNING),
    "saturated-activations": ("vanishing-gradients", "frozen-weights", "prediction-collapse", *STALLED_LEARNING),
    "vanishing-gradients": ("frozen-weights", "prediction-collapse", "low-confidence", *STALLED_LEARNING),
    "frozen-weights": ("vanishing-gradients", "prediction-collapse", "generalization-gap", *STALLED_LEARNING),
    "loss-mismatch": ("low-confidence", "vanishing-gradients", "prediction-collapse", "over-confidence", *STALLED_LEARNING),
    "exploding-gradients": (*BLOW_UP, *AFTERMATH, "clipping-saturated", "loss-scale-collapse", *STALLED_LEARNING),
    "divergence": (
        *RETURNS,
        *BLOW_UP,
        *AFTERMATH,
        *STALLED_LEARNING,
        "generalization-gap",
        "overfitting",
        "clipping-saturated",
        "over-confidence",
    ),
    "nan-inf": (*BLOW_UP, *AFTERMATH, *STALLED_LEARNING, "stalled", "lr-zero", "loss-scale-collapse"),
    "class-imbalance": ("prediction-collapse", "plateau", "no-learning", "underfitting"),
    "prediction-collapse": ("class-imbalance", "low-confidence", "generalization-gap", *STALLED_LEARNING),
    "epoch-sawtooth": ("instability", "spikes", "noisy-validation", "prediction-collapse", "unconverged", "underfitting"),
    "clipping-saturated": ("exploding-gradients", *STALLED_LEARNING),
    "leakage": ("val-better",),
    "label-noise": ("overfitting", "generalization-gap", "over-confidence", "low-confidence", "plateau", "underfitting"),
    "overfitting": ("generalization-gap", "over-confidence", "noisy-validation", "label-noise", "weight-growth", "plateau", "unconverged"),
    "generalization-gap": ("noisy-validation", "over-confidence", "plateau", "underfitting"),
    "weight-growth": ("instability", "over-confidence"),
    "kl-blow-up": (*RETURNS, "entropy-collapse"),
    "entropy-collapse": (*RETURNS, "plateau"),
    "instability": (*RETURNS, "spikes", "noisy-validation", "exploding-gradients", "plateau", "underfitting", "unconverged"),
    "spikes": ("noisy-validation", "exploding-gradients", "clipping-saturated"),
    "no-learning": (
        "plateau",
        "underfitting",
        "prediction-collapse",
        "low-confidence",
        "unconverged",
        "class-imbalance",
        "tiny-overfit-fails",
    ),
    "plateau": ("underfitting", "low-confidence", "tiny-overfit-fails"),
    "underfitting": ("plateau", "low-confidence", "tiny-overfit-fails"),
    "unconverged": ("underfitting", "low-confidence", "tiny-overfit-fails"),
    "stalled": (),
}
"""Symptom -> symptoms that it can produce. The order is the order in which heads are chosen.

A detector that does not stand here brings its own list (`Detector.explains`), so that a new detector stays one new file."""

GUESSED_BELOW = 0.5
"""A finding below this confidence is no head: what it would explain stands by itself."""


CONDITIONS = frozenset(
    {
        "lr-zero",
        "lr-too-low",
        "lr-too-high",
        "frozen-weights",
        "vanishing-gradients",
        "dead-units",
        "saturated-activations",
        "loss-mismatch",
        "class-imbalance",
        "prediction-collapse",
        "clipping-saturated",
        "label-noise",
        "no-learning",
    }
)
"""Symptoms that are a state rather than an event: seen only as often as weights, gradients or predictions were logged."""

STATE_SLACK = 0.25
EVENT_SLACK = 0.02
"""Share of the run by which a head may seem to begin after its consequence."""


def explain_away(findings: tuple[Finding, ...], span: int) -> tuple[Finding, ...]:
    """Set `caused_by` of every finding that another one explains. `span` is the length of the run in steps."""
    by_id = {f.id: f for f in findings}
    produces = {d.id: d.explains for d in load_detectors() if d.id not in PRODUCES} | PRODUCES
    order = [i for i in PRODUCES if i in by_id] + [i for i in by_id if i not in PRODUCES]
    head_of: dict[str, str] = {}
    for head_id in order:
        head = by_id[head_id]
        if head_id in head_of or head.confidence < GUESSED_BELOW or head.severity.rank == 2:
            continue
        for other in findings:
            if other.id == head_id or other.id in head_of or other.id in head_of.values():
                continue
            if other.id in produces.get(head_id, ()) and _not_later(head, other, span):
                head_of[other.id] = head_id
    return tuple(
        replace(f, caused_by=head_of[f.id], caused_by_why=_reason(by_id[head_of[f.id]], f)) if f.id in head_of else f for f in findings
    )


def order_findings(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Heads by severity, then confidence, then phase, each followed by its consequences."""
    heads = [f for f in findings if f.caused_by is None]
    worst = {h.id: min([h.severity.rank] + [f.severity.rank for f in findings if f.caused_by == h.id]) for h in heads}
    heads.sort(key=lambda f: (worst[f.id], f.severity.rank, -round(f.confidence, 2), f.phase, f.id))
    out: list[Finding] = []
    for head in heads:
        out.append(head)
        rest = [f for f in findings if f.caused_by == head.id]
        out += sorted(rest, key=lambda f: (_start(f), f.severity.rank, -round(f.confidence, 2), f.phase, f.id))
    return tuple(out)


def _not_later(head: Finding, other: Finding, span: int) -> bool:
    """Whether the head may have begun before (or with) the other; a finding without onset concerns the whole run."""
    if head.onset is None or other.onset is None:
        return True
    slack = (STATE_SLACK if head.id in CONDITIONS else EVENT_SLACK) * span
    return head.onset.first_step <= other.onset.last_step + slack


def _start(finding: Finding) -> int:
    return finding.onset.first_step if finding.onset else -1


def _reason(head: Finding, other: Finding) -> str:
    if head.onset and other.onset:
        return f"{head.id} begins at step {head.onset.first_step:,}, no later than {other.id} (step {other.onset.first_step:,}), and produces it"
    return f"{head.id} produces {other.id}"
