"""``tbdiag explain [ID]``: the documentation of a detector, generated from the detector itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tbdiag.cli.output import write_result
from tbdiag.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tbdiag.detectors._base import Detector


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def explain(
        detector_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Detector to explain; without it, all are listed.")] = None,
        everything: Annotated[bool, typer.Option("--all", help="Every detector's page.")] = False,
        as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    ) -> None:
        """Explain what a finding means, how it is told and what to do first."""
        from tbdiag.detectors import load_detectors

        detectors = load_detectors()
        if detector_id is not None:
            detectors = (find_detector(detector_id, detectors),)
        if as_json:
            import json

            write_result(json.dumps([describe(d) for d in detectors], indent=2, ensure_ascii=False), None)
        elif detector_id is not None or everything:
            write_result("\n\n".join(write_page(d) for d in detectors), None)
        else:
            width = max(len(d.id) for d in detectors)
            lines = [f"{d.id:<{width}}  {d.severity.value:<7}  {d.summary}" for d in detectors]
            write_result("\n".join([*lines, "", "tbdiag explain ID shows one page, --all every page."]), None)


def find_detector(detector_id: str, detectors: tuple[Detector, ...]) -> Detector:
    """The detector of that id.

    Raises:
        UsageError: there is none; the message names the near match.
    """
    import difflib

    for detector in detectors:
        if detector.id == detector_id.strip().lower().replace("_", "-"):
            return detector
    near = difflib.get_close_matches(detector_id, [d.id for d in detectors], 1, 0.4)
    hint = f"did you mean {near[0]}?" if near else "run `tbdiag explain` for the list."
    raise UsageError(f"no detector is called {detector_id!r}; {hint}")


def write_page(detector: Detector) -> str:
    """The handbook page of a detector as Markdown."""
    import inspect

    lines = [f"# {detector.id}", "", f"{detector.title} ({detector.severity.value}). {detector.summary}", ""]
    needs = ", ".join(n if isinstance(n, str) else " or ".join(n) for n in detector.needs) or "nothing beyond the log itself"
    lines += [f"Needs: {needs}.", f"Runs in: {', '.join(sorted(d.value for d in detector.domains))}.", ""]
    for heading, text in detector.sections().items():
        lines += [f"## {heading}", "", inspect.cleandoc(text), ""]
    if detector.thresholds:
        lines += ["## Thresholds", ""]
        lines += [f"- `{name}` = {t.value:g}: {t.why}" for name, t in detector.thresholds.items()]
        lines += ["", f"Change them under `[tool.tbdiag.detectors.{detector.id}]`.", ""]
    if detector.examples:
        lines += ["## Examples", ""]
        lines += [f"- {'fires' if e.fires else 'silent'}: {e.name}" for e in detector.examples]
    return "\n".join(lines).rstrip() + "\n"


def describe(detector: Detector) -> dict[str, object]:
    """The same as plain data."""
    return {
        "id": detector.id,
        "title": detector.title,
        "summary": detector.summary,
        "severity": detector.severity.value,
        "needs": [n if isinstance(n, str) else list(n) for n in detector.needs],
        "wants": list(detector.wants),
        "domains": sorted(d.value for d in detector.domains),
        "thresholds": {name: {"value": t.value, "why": t.why} for name, t in detector.thresholds.items()},
        "sections": detector.sections(),
    }


_TOLD = ("What it means", "Why it matters", "How it is told", "Not to be confused with", "Limits", "Sources")


def explain_findings(report: Mapping[str, Any]) -> dict[str, str]:
    """Explanations, by id, of the findings of a plain report: what its HTML carries so that a reader without tbdiag understands it."""
    from tbdiag.detectors import load_detectors

    found = {f["id"] for run in report["runs"] for f in run["findings"]}
    pages = {d.id: d for d in load_detectors() if d.id in found}
    return {i: "\n\n".join(f"## {h}\n\n{t}" for h, t in d.sections().items() if h in _TOLD) for i, d in pages.items()}
