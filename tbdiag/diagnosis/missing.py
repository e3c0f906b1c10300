"""The audit of what to save: each artefact present or absent, the absent ones ranked by what they would have decided in this run."""

from __future__ import annotations

from tbdiag.features import Features
from tbdiag.features.evidence import Artefact, is_present, list_artefacts
from tbdiag.model import MissingEvidence, Outcome, OutcomeKind

WRITERS = (("lightning", "lightning"), ("hf", "huggingface"), ("hf", "transformers"), ("hf", "hf"), ("keras", "keras"))


def audit_evidence(features: Features, outcomes: tuple[Outcome, ...]) -> tuple[MissingEvidence, ...]:
    """All artefacts, absent ones first by the number of this run's checks that were not possible without them."""
    impossible = {o.id for o in outcomes if o.kind is OutcomeKind.NOT_APPLICABLE and o.missing}
    found = {o.id for o in outcomes if o.kind is OutcomeKind.FOUND}
    rows = []
    for place, artefact in enumerate(list_artefacts(features)):
        present = is_present(artefact.id, features)
        blocked = [i for i in artefact.decides if i in impossible]
        supports = [i for i in artefact.decides if i in found]
        rows.append((present, -len(blocked), place, artefact, blocked, supports))
    rows.sort(key=lambda r: r[:3])
    return tuple(
        MissingEvidence(
            id=artefact.id,
            title=artefact.title,
            present=present,
            why=_why(artefact, present, blocked, supports),
            snippet="" if present else choose_snippet(artefact, features.signals.framework),
            rank=rank,
            decides=() if present else tuple(blocked),
        )
        for rank, (present, _, _, artefact, blocked, supports) in enumerate(rows)
    )


def choose_snippet(artefact: Artefact, framework: str) -> str:
    """The lines that log the artefact in the framework that wrote the log, else with a plain SummaryWriter."""
    name = framework.lower()
    for key, word in WRITERS:
        if word in name and key in artefact.snippets:
            return artefact.snippets[key]
    return artefact.snippets["writer"]


def _why(artefact: Artefact, present: bool, blocked: list[str], supports: list[str]) -> str:
    if present:
        return f"logged: {artefact.why}"
    if blocked:
        return f"would have decided {', '.join(blocked)} in this run"
    if supports:
        return f"would have supported {', '.join(supports)}: {artefact.why}"
    return artefact.why
