"""The audit of what to save: each artefact present or absent, the absent ones ranked by what they would have decided in this run.

What is at stake depends on the run. A flat loss needs gradients and the learning rate, a gap needs the split's version. Three things make
an absent artefact worth more: a cause of the leading finding that the log leaves open and that the artefact would tell; a check that was
not possible without it and that could have named the cause of what was found; any other check that was not possible.
"""

from __future__ import annotations

from dataclasses import replace

from tbdiag.detectors import load_detectors
from tbdiag.diagnosis.explaining import PRODUCES
from tbdiag.diagnosis.facts import Case
from tbdiag.diagnosis.hypotheses import Hypothesis, list_alive, list_hypotheses
from tbdiag.diagnosis.snippets import choose_snippet, find_family
from tbdiag.features import Features
from tbdiag.features.evidence import Artefact, is_present, list_artefacts
from tbdiag.model import Finding, MissingEvidence, Outcome, OutcomeKind, Severity
from tbdiag.success import compile_rule

TELLS: dict[str, tuple[str, ...]] = {
    "learning-rate": ("rate", "lost", "decayed"),
    "gradient-statistics": ("wiring", "optimiser", "graph", "clip", "scale", "operation", "overflow"),
    "prediction-samples": ("labels", "output", "imbalance", "killed", "sample", "batch", "noise"),
    "config": ("precision", "handicap"),
    "code-version": ("objective", "data", "evaluation"),
    "split-version": ("split", "leak", "easy", "duplicates", "groups"),
}
"""Artefact -> kinds of hypotheses (see `tbdiag.diagnosis.hypotheses`) for or against which it would have spoken."""
WANTED: dict[str, frozenset[str]] = {
    "seed": frozenset({"nan-inf", "spikes", "divergence", "instability", "exploding-gradients", "sudden-shift"}),
    "best-checkpoint": frozenset({"overfitting", "divergence", "return-collapse", "sudden-shift"}),
}
"""Artefact -> leading findings at which it is wanted: events that must be reproduced, and runs of which an earlier state is the best."""
GIVES = {"config": frozenset({"lr"})}
"""Artefact -> roles that it can stand for; it decides only a check that lacked nothing else."""
BASE = {"val-curve": 1.5, "return-curve": 1.5}
"""Worth of an artefact in any run: without a validation (or a return) nothing tells whether the model is good for anything."""
AFTER_LEARNING = frozenset(
    {"overfitting", "generalization-gap", "label-noise", "leakage", "val-better", "over-confidence", "noisy-validation"}
)
"""What a run that learned nothing cannot have, so that no artefact would have told it there."""
UNLEARNED = 0.2
"""Share of `BASE` that is left where nothing was learned: validation would say the same."""
OPEN, PRODUCER, WISHED, OTHER = 4.0, 1.0, 0.6, 0.1
"""Worth of an open cause (times its share), of an impossible check that could have named the cause of a finding, of an artefact that a
leading finding wants, and of any other impossible check."""


def audit_evidence(features: Features, outcomes: tuple[Outcome, ...], findings: tuple[Finding, ...] = ()) -> tuple[MissingEvidence, ...]:
    """All artefacts, absent ones first by their worth in this run; `findings` in the report's order, heads first."""
    impossible = {o.id: o.missing for o in outcomes if o.kind is OutcomeKind.NOT_APPLICABLE and o.missing}
    notes = {d.id for d in load_detectors() if d.severity is Severity.NOTE}
    head = next((f for f in findings if f.caused_by is None and f.severity.rank < 2), None)
    stands = next((f for f in findings if f.id == "no-learning"), None)
    head = head or stands  # a loss that never moved is what to explain, even where it is only noted
    idle = AFTER_LEARNING if stands is not None else frozenset()
    open_ = list_alive(list_hypotheses(Case(head, findings, features))) if head is not None else ()
    family = find_family(features)
    rows = []
    for place, artefact in enumerate(list_artefacts(features)):
        present = is_present(artefact.id, features)
        told = tuple(h for h in open_ if h.kind in TELLS.get(artefact.id, ())) if len(open_) > 1 and not present else ()
        blocked = tuple(i for i in artefact.decides if i in impossible and i not in idle) if not present else ()
        if artefact.id in GIVES:
            blocked = tuple(i for i in blocked if set(impossible[i]) <= GIVES[artefact.id])
        causes = tuple(i for i in blocked if head is not None and head.id in PRODUCES.get(i, ()))
        others = tuple(i for i in blocked if i not in causes and i not in notes)
        # Beside a finding, only what could have named its cause was at stake.
        wished = WISHED if head is not None and head.id in WANTED.get(artefact.id, ()) else 0.0
        worth = BASE.get(artefact.id, 0.0) * (UNLEARNED if stands is not None else 1.0) + wished + OPEN * sum(h.weight for h in told)
        worth += PRODUCER * len(causes) + (OTHER if head is not None else PRODUCER) * len(others)
        rows.append((present, -round(worth, 6), place, artefact, told, causes or blocked))
    rows.sort(key=lambda r: r[:3])
    found = {f.id for f in findings if f.severity.rank < 2}
    return tuple(
        MissingEvidence(
            id=artefact.id,
            title=artefact.title,
            present=present,
            why=f"logged: {artefact.why}" if present else _why(artefact, told, decides, found),
            snippet="" if present else choose_snippet(artefact.id, family),
            rank=rank,
            decides=() if present else decides,
        )
        for rank, (present, _, _, artefact, told, decides) in enumerate(rows)
    )


def follow_audit(findings: tuple[Finding, ...], missing: tuple[MissingEvidence, ...]) -> tuple[Finding, ...]:
    """The findings, the note about missing evidence asking first for what the audit ranks first."""
    absent = [m for m in missing if not m.present]
    if not absent:
        return findings
    action = f"Log the {absent[0].title} in the next run."
    told = []
    for f in findings:
        if f.id == "missing-evidence" and f.first_action != action:
            name = absent[0].id.replace("-", "_")
            rule = compile_rule(f"has_{name}(log) >= 1", sentence=f"The next run's log holds the {absent[0].title}.", guards=())
            rest = tuple(f"Log the {m.title}: {m.why}" for m in absent[1:])
            told.append(replace(f, first_action=action, success_rule=rule, fixes=rest))
        else:
            told.append(f)
    return tuple(told)


def _why(artefact: Artefact, told: tuple[Hypothesis, ...], decides: tuple[str, ...], found: set[str]) -> str:
    parts = []
    if told:
        parts.append(f"would have spoken for or against {' and '.join(h.said for h in told)}")
    if decides:
        parts.append(f"would have decided {', '.join(decides)} in this run")
    supports = [i for i in artefact.decides if i in found]
    if not parts and supports:
        parts.append(f"would have supported {', '.join(supports)}: {artefact.why}")
    return "; ".join(parts) or artefact.why
