"""Cause before consequence: which findings are explained by another one, and in which order findings are told.

The table says which symptom can produce which. A finding becomes a consequence of the first symptom in the table's order that was
found, can produce it, and began no later; what a consequence produced in turn belongs to the same story. Causes that are only guessed
never stand here: they are listed in a finding's `causes`.
"""

from __future__ import annotations

from dataclasses import replace

from tbdiag.detectors import load_detectors
from tbdiag.diagnosis.words import say_id
from tbdiag.model import Finding, Link

STALLED_LEARNING = ("no-learning", "plateau", "underfitting", "unconverged", "lr-too-low", "tiny-overfit-fails")
BLOW_UP = ("divergence", "nan-inf", "exploding-gradients", "spikes", "instability", "weight-growth")
RETURNS = ("return-collapse", "explained-variance-low", "policy-clipping")
AFTERMATH = ("prediction-collapse", "dead-units", "saturated-activations", "noisy-validation", "frozen-weights", "vanishing-gradients")

PRODUCES: dict[str, tuple[str, ...]] = {
    "restart-overlap": ("spikes", "sudden-shift", "stalled", "instability"),
    "truncated-log": ("unconverged",),
    "lr-zero": ("lr-schedule", "frozen-weights", "prediction-collapse", *STALLED_LEARNING),
    "lr-schedule": (*BLOW_UP, *AFTERMATH, *STALLED_LEARNING, "lr-too-high", "loss-scale-collapse", "kl-blow-up", "entropy-collapse"),
    "loss-scale-collapse": (*BLOW_UP, *AFTERMATH, *STALLED_LEARNING, "lr-schedule"),
    "lr-too-high": (*BLOW_UP, *AFTERMATH, *STALLED_LEARNING, "loss-scale-collapse", "over-confidence", "clipping-saturated"),
    "lr-too-low": ("frozen-weights", "prediction-collapse", *STALLED_LEARNING),
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
    "dead-units": ("vanishing-gradients", "frozen-weights", "prediction-collapse", "over-confidence", *STALLED_LEARNING),
    "saturated-activations": (
        "divergence",
        "instability",
        "sudden-shift",
        "vanishing-gradients",
        "frozen-weights",
        "prediction-collapse",
        "overfitting",
        "generalization-gap",
        "over-confidence",
        *STALLED_LEARNING,
    ),
    "vanishing-gradients": ("frozen-weights", "prediction-collapse", "low-confidence", "lr-too-high", *STALLED_LEARNING),
    "frozen-weights": ("vanishing-gradients", "prediction-collapse", "generalization-gap", *STALLED_LEARNING),
    "loss-mismatch": (
        "low-confidence",
        "class-imbalance",
        "vanishing-gradients",
        "prediction-collapse",
        "over-confidence",
        *STALLED_LEARNING,
    ),
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
        "sudden-shift",
        "entropy-collapse",
    ),
    "nan-inf": (*BLOW_UP, *AFTERMATH, *STALLED_LEARNING, "stalled", "lr-zero", "loss-scale-collapse", "sudden-shift"),
    "class-imbalance": ("prediction-collapse", "plateau", "no-learning", "underfitting", "overfitting"),
    "prediction-collapse": ("class-imbalance", "low-confidence", "over-confidence", "generalization-gap", *STALLED_LEARNING),
    "epoch-sawtooth": ("instability", "spikes", "noisy-validation", "prediction-collapse", "unconverged", "underfitting", "val-better"),
    "clipping-saturated": ("exploding-gradients", *STALLED_LEARNING),
    "leakage": ("val-better",),
    "val-better": ("class-imbalance",),
    "label-noise": ("overfitting", "generalization-gap", "over-confidence", "low-confidence", "plateau", "underfitting"),
    "overfitting": ("generalization-gap", "over-confidence", "noisy-validation", "label-noise", "weight-growth", "plateau", "unconverged"),
    "generalization-gap": ("noisy-validation", "over-confidence", "plateau", "underfitting", "unconverged"),
    "weight-growth": ("generalization-gap", "divergence", "nan-inf", "exploding-gradients", "instability", "over-confidence"),
    "kl-blow-up": (*RETURNS, "entropy-collapse", "divergence"),
    "entropy-collapse": (*RETURNS, "plateau"),
    "instability": (
        *RETURNS,
        "spikes",
        "noisy-validation",
        "exploding-gradients",
        "frozen-weights",
        "plateau",
        "underfitting",
        "unconverged",
    ),
    "spikes": ("noisy-validation", "exploding-gradients", "clipping-saturated"),
    "tiny-overfit-fails": ("no-learning", "plateau", "underfitting", "unconverged", "low-confidence"),
    "no-learning": (
        "plateau",
        "underfitting",
        "prediction-collapse",
        "low-confidence",
        "unconverged",
        "class-imbalance",
        "overfitting",
    ),
    "plateau": ("underfitting", "low-confidence"),
    "underfitting": ("plateau", "low-confidence"),
    "unconverged": ("underfitting", "low-confidence"),
    "low-confidence": ("val-better",),
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
SWING_SLACK = 0.15
EVENT_SLACK = 0.02
"""Share of the run by which a head may seem to begin after its consequence: a state is seen only as often as it is logged, and swings are
placed by the window in which they are measured, so that a loss that leaves for good is one swing that seems to begin before it."""


BREAKS = frozenset({"divergence", "nan-inf", "exploding-gradients"})
SEEN_BEFORE = frozenset({("sudden-shift", i) for i in BREAKS} | {("weight-growth", i) for i in BREAKS})
"""Pairs of which the first must have been seen before the second began. Training that breaks moves every evaluation and every weight at
once, so that a shift or a growth that comes with it is its consequence; only one that was there before can be its cause."""

BEGUN_BEFORE = frozenset(
    {
        ("exploding-gradients", "nan-inf"),
        ("instability", "frozen-weights"),
        ("lr-too-high", "vanishing-gradients"),
        ("saturated-activations", "instability"),
    }
)
"""Pairs of which the first must have begun before the second may have: a norm that is not finite where the loss is not either explains
nothing, whatever grew before does; weights stand still behind swings that killed every unit; a rate that is too
high leaves no gradients behind, and gradients that were not there at the first point are no work of it; units that swings drove to their
limits are no cause of the swings."""

ACTS_BEFORE = frozenset(("lr-schedule", i) for i in STALLED_LEARNING)
"""Pairs of which the first acts before it is seen: a rate that falls away stops the learning before it has come to nothing."""

OPENS_BEFORE = frozenset({("overfitting", "generalization-gap"), ("sudden-shift", "val-better")})
"""Pairs whose order says nothing: what is learned by heart opens a gap long before validation turns, and validation is a little ahead of a
running mean all the time until a shift of the training data makes that a lot."""


ONLY_NOTED = frozenset({("loss-scale-collapse", "lr-schedule")})
"""Pairs of which the second is explained where it is a note: a loss that stands because every update is skipped wants no decay, while a
schedule that is wrong by itself stays a finding of its own."""


OF_A_RETURN = frozenset({("kl-blow-up", "divergence")})
"""Pairs of which the second is explained where it is a return that was lost for good: what is too large an update of a policy need be none
of a loss."""


STANDS_BEHIND = ("generalization-gap", "plateau")
"""A validation curve that stands from its first point on while training learns stands because nothing carries over: the plateau seems to begin
first, since the gap opens only as training leaves."""


def explain_away(findings: tuple[Finding, ...], span: int) -> tuple[Finding, ...]:
    """Set `caused_by` of every finding that another one explains, and the chain of every head. `span` is the length of the run in steps."""
    if len(findings) < 2:
        return findings
    by_id = {f.id: f for f in findings}
    produces = {d.id: d.explains for d in load_detectors() if d.id not in PRODUCES} | PRODUCES
    order = [i for i in PRODUCES if i in by_id] + [i for i in by_id if i not in PRODUCES]
    parent: dict[str, str] = {}
    for cause in order:
        if by_id[cause].confidence < GUESSED_BELOW or by_id[cause].severity.rank == 2:
            continue
        for other in findings:
            if other.id not in produces.get(cause, ()) or other.id in parent or other.id in _line(cause, parent):
                continue
            if (cause, other.id) in ONLY_NOTED and other.severity.rank < 2:
                continue
            if (cause, other.id) in OF_A_RETURN and not (other.roles and other.roles[0].endswith("reward")):
                continue
            if _not_later(by_id[cause], other, span):
                parent[other.id] = cause
    told = [_explained(f, _line(f.id, parent), by_id) for f in findings]
    return tuple(replace(f, chain=_chain(f, told)) if f.caused_by is None else f for f in told)


def _explained(finding: Finding, line: list[str], by_id: dict[str, Finding]) -> Finding:
    if len(line) == 1:
        return finding
    return replace(finding, caused_by=line[-1], caused_by_why=_reason(by_id[line[-1]], finding, tuple(reversed(line[1:-1]))))


def _line(finding_id: str, parent: dict[str, str]) -> list[str]:
    """A finding, what produced it, what produced that, and so on to the head."""
    line = [finding_id]
    while line[-1] in parent:
        line.append(parent[line[-1]])
    return line


def _chain(head: Finding, findings: list[Finding]) -> tuple[Link, ...]:
    """A head and its consequences in order of onset; empty where nothing with an onset followed.

    A consequence that seems to have begun before its head is left out: its onset is the less certain one, and the line would not be true.
    """
    if head.onset is None:
        return ()
    first = head.onset.first_step
    story = [f for f in findings if head.id in (f.caused_by, f.id) and f.severity.rank < 2 and f.onset and f.onset.last_step >= first]
    story = [f for f in story if not ((head.id, f.id) in OPENS_BEFORE or _stands_behind(head, f)) or _start(f) >= first]
    if len(story) < 2:
        return ()
    # States are seen only as often as they are logged; the head stays first.
    story.sort(key=lambda f: (f.id != head.id, _start(f), f.onset.last_step if f.onset else 0, f.severity.rank, f.id))
    return tuple(Link(f.id, say_id(f.id), f.onset) for f in story if f.onset is not None)


def order_findings(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Heads by severity, then confidence, then phase, each followed by its consequences."""
    heads = [f for f in findings if f.caused_by is None]
    worst = {h.id: rank_story(h, findings) for h in heads}
    heads.sort(key=lambda f: (worst[f.id], f.severity.rank, -round(f.confidence, 2), f.phase, f.id))
    out: list[Finding] = []
    for head in heads:
        out.append(head)
        rest = [f for f in findings if f.caused_by == head.id]
        out += sorted(rest, key=lambda f: (_start(f), f.severity.rank, -round(f.confidence, 2), f.phase, f.id))
    return tuple(out)


def rank_story(head: Finding, findings: tuple[Finding, ...]) -> int:
    """Severity of the worst finding of a head's story: a warning that ended in divergence is an error."""
    return min(f.severity.rank for f in (head, *findings) if head.id in (f.id, f.caused_by))


def _not_later(head: Finding, other: Finding, span: int) -> bool:
    """Whether the head may have begun before (or with) the other; a finding without onset concerns the whole run."""
    if (head.id, other.id) in SEEN_BEFORE:
        return head.onset is not None and other.onset is not None and head.onset.last_step <= other.onset.first_step
    if head.onset is None or other.onset is None or (head.id, other.id) in OPENS_BEFORE or _stands_behind(head, other):
        return True
    if (head.id, other.id) in BEGUN_BEFORE:
        return head.onset.first_step < other.onset.first_step
    state = head.id in CONDITIONS or (head.id, other.id) in ACTS_BEFORE
    slack = (
        STATE_SLACK if state else SWING_SLACK if other.id == "instability" or (head.id, other.id) in ONLY_NOTED else EVENT_SLACK
    ) * span
    return head.onset.first_step <= other.onset.last_step + slack


def _stands_behind(head: Finding, other: Finding) -> bool:
    """Whether the plateau is that of validation: one of training is not explained by a gap that opens later."""
    return (head.id, other.id) == STANDS_BEHIND and bool(other.roles) and other.roles[0].startswith("val")


def _start(finding: Finding) -> int:
    return finding.onset.first_step if finding.onset else -1


def _reason(head: Finding, other: Finding, between: tuple[str, ...] = ()) -> str:
    by = f" by way of {', '.join(between)}" if between else ""
    if head.onset is None or other.onset is None:
        return f"{head.id} produces {other.id}{by}"
    began, first, last = head.onset.first_step, other.onset.first_step, other.onset.last_step
    if began <= first:
        return f"{head.id} begins at step {began:,}, no later than {other.id} (step {first:,}), and produces it{by}"
    if began <= last:
        return f"{head.id} begins at step {began:,}, within the onset of {other.id} (steps {first:,} to {last:,}), and produces it{by}"
    if _stands_behind(head, other):
        return f"{other.id} is what {head.id} looks like from validation alone, which stands while training learns"
    if (head.id, other.id) in OPENS_BEFORE:
        return f"{head.id} opens it: what is learned by heart parts the two before validation turns"
    return f"{head.id} produces {other.id}{by}, which was seen first because it is logged more often"
