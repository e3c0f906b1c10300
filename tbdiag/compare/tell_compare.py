"""What `compare` found, as a document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tbdiag.compare.document import Document, Figure, Heading, Table, clean, render_document
from tbdiag.compare.draw import draw_curves
from tbdiag.compare.judge import Comparison, GroupResult, Reach
from tbdiag.compare.tell_verify import number

DRAWN = ("val_loss", "val_metric", "train_loss", "reward", "train_reward")


def compare_document(comparisons: Sequence[Comparison]) -> Document:
    """The document of one or more comparisons with the same base: verdict, then the figures of every group."""
    base = comparisons[0].base.label
    verdicts = [c.verdict for c in comparisons]
    title = (
        f"{comparisons[0].head.label}: {verdicts[0]} than {base}"
        if verdicts[0] in ("better", "worse")
        else f"{comparisons[0].head.label} against {base}: {verdicts[0]}"
    )
    if len(comparisons) > 1:
        title = "; ".join(f"{c.head.label}: {c.verdict}" for c in comparisons) + f" (against {base})"
    document = Document(title)
    for comparison in comparisons:
        if len(comparisons) > 1:
            document.add(Heading(f"{comparison.head.label}: {comparison.verdict}"))
        for group in comparison.groups:
            _tell_group(document, comparison, group)
        if not comparison.groups:
            document.add(
                "No run of one side matches a run of the other: match them with --match BASE=HEAD, or with --seeds where all runs of a side are seeds of one configuration."
            )
        if comparison.unmatched:
            document.add("Without a partner: " + ", ".join(comparison.unmatched) + ".")
    return document


def _tell_group(document: Document, comparison: Comparison, result: GroupResult) -> None:
    group = result.group
    runs = (
        f"{len(group.base)} and {len(group.head)} runs"
        if len(group.base) + len(group.head) > 2
        else " and ".join(
            side.label if run.name == "." else run.name
            for side, run in ((comparison.base, group.base[0]), (comparison.head, group.head[0]))
        )
    )
    document.add(Heading(f"{clean(group.name)}: {result.verdict}", 3), f"{result.why}. Compared: {runs}.")
    rows = tuple(
        (
            d.name,
            d.statistic,
            number(d.base),
            number(d.head),
            f"{d.estimate.difference:+.3g}",
            f"{d.estimate.low:+.3g} to {d.estimate.high:+.3g}",
            d.verdict,
        )
        for d in result.differences
    )
    document.add(Table(("role", "statistic", comparison.base.label, comparison.head.label, "difference", "95 % interval", "verdict"), rows))
    if result.reach is not None:
        document.add(tell_reach(result.reach))
    for kind, findings in result.findings.items():
        if findings and kind != "unchanged":
            document.add(f"Findings {kind}:", tuple(f"{f['severity']} {f['id']}: {f['title']}" for f in findings))
    same = [f["id"] for f in result.findings["unchanged"]]
    if same:
        document.add("Findings unchanged: " + ", ".join(same) + ".")
    if result.changes:
        settings = tuple((c.key, number(c.before), number(c.after), c.source) for c in result.changes)
        document.add(Table(("setting", comparison.base.label, comparison.head.label, "seen in"), settings))
    for role in DRAWN:
        curves = [[c for run in side if (c := run.features.curve(role)) is not None] for side in (group.base, group.head)]
        svg = draw_curves(curves[0], curves[1], f"{role} of {comparison.base.label} and {comparison.head.label}")
        if svg and all(curves):
            scale = ", logarithmic" if all(c.log_scale for side in curves for c in side if c.n > 1) else ""
            document.add(Figure(svg, f"{role} over steps{scale}: {comparison.base.label} dashed, {comparison.head.label} solid."))


def tell_reach(reach: Reach) -> str:
    """When each side reached the base's best, in one sentence."""
    if reach.head_steps is None:
        return f"The head never reached the base's best {reach.role} ({reach.level:.4g})."
    text = f"The base's best {reach.role} ({reach.level:.4g}) was reached after {_steps(reach.base_steps)} by the base and {_steps(reach.head_steps)} by the head"
    if reach.base_seconds and reach.head_seconds:
        text += f" ({reach.base_seconds:.3g} s and {reach.head_seconds:.3g} s)"
    return text + "."


def _steps(value: float | None) -> str:
    return "no number of steps" if value is None else f"{value:,.0f} steps"


def compare_data(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """One comparison as it is; several as ``{"base", "comparisons": [...]}``."""
    data = [c.to_dict() for c in comparisons]
    return data[0] if len(data) == 1 else {"base": comparisons[0].base.label, "comparisons": data}


def render_compare(comparisons: Sequence[Comparison], format: str) -> str:  # noqa: A002 - the public name
    """Comparisons as ``text``, ``json``, ``markdown`` or ``html``."""
    if format == "json":
        return json.dumps(compare_data(comparisons), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    document = compare_document(comparisons)
    if format != "html":
        document.blocks = [b for b in document.blocks if not isinstance(b, Figure)]
    return render_document(document, format)
