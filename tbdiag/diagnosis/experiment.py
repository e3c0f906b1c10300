"""The ONE next experiment of a run."""

from __future__ import annotations

from typing import Any

from tbdiag.features import Features
from tbdiag.model import Finding, MissingEvidence

VERIFY = "tbdiag verify tbdiag-report.html NEXT_LOGDIR"
"""The command that checks the success rule on the next run; a report carries its data, so it names no path of this machine."""


def choose_experiment(findings: tuple[Finding, ...], features: Features, missing: tuple[MissingEvidence, ...]) -> dict[str, Any] | None:
    """The first head's first action; without findings, the missing evidence that would decide most; None where nothing is to do."""
    heads = [f for f in findings if f.caused_by is None and f.severity.rank < 2]
    if heads:
        head = heads[0]
        explained = [f.id for f in findings if f.caused_by == head.id]
        rest = [f.id for f in heads[1:]]
        why = f"it is the first thing to settle about {head.id}"
        if explained:
            why += f", which also explains {', '.join(explained)}"
        if rest:
            why += f"; {', '.join(rest)} wait until this is checked: one change at a time"
        return {
            "finding": head.id,
            "action": head.first_action,
            "why": why + ".",
            "success_rule": head.success_rule.sentence,
            "command": VERIFY,
        }
    absent = [m for m in missing if not m.present]
    if absent and absent[0].why.startswith("would have"):
        first = absent[0]
        note = next((f for f in findings if f.id == "missing-evidence"), None)
        return {
            "finding": "missing-evidence",
            "action": f"Log the {first.title} in the next run.",
            "why": f"nothing wrong was found in what was logged; the {first.title} {first.why}.",
            "success_rule": note.success_rule.sentence if note else f"The next run logs the {first.title}.",
            "command": VERIFY,
        }
    return None
