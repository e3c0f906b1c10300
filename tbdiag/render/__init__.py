"""Report -> text of one format. Reads the report only: a saved JSON or HTML report renders to the same bytes as the object.

Formats: ``html`` (one file, complete without scripts), ``json`` (schema: ``docs/report.schema.json``), ``markdown`` (comment or job
summary), ``text`` (terminal), ``junit`` (one suite a run, one case a check), ``github`` (workflow annotations).
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from tbdiag.errors import UsageError

if TYPE_CHECKING:
    from tbdiag.model import Report

_RENDERERS = {
    "html": ("html", "render_html"),
    "json": ("strict_json", "render_json"),
    "markdown": ("markdown", "render_markdown"),
    "text": ("text", "render_text"),
    "junit": ("junit", "render_junit"),
    "github": ("github", "render_github"),
}
"""Format: module of this package and its function, which takes a prepared report and the format's own options."""
FORMATS = tuple(_RENDERERS)


def render(
    report: Report | Mapping[str, Any],
    format: str,  # noqa: A002 - the public name
    *,
    show_paths: bool = False,
    explanations: Mapping[str, str] | None = None,
    file: str | None = None,
    **options: Any,
) -> str:
    """A report as text of one of the `FORMATS`.

    Args:
        report: the report or its plain dict (``Report.to_dict()``, `load_report`).
        format: one of `FORMATS`.
        show_paths: keep home directories, user and host names, which are left out otherwise.
        explanations: documentation by finding id, which HTML reports carry for the findings that they hold.
        file: the HTML or JSON report that `tbdiag verify` is to read, named in the report's commands; ``tbdiag-report.html`` by default.
        options: ``markdown``: ``limit`` (characters), ``marker`` (name in the hidden first line), ``link`` (URL of the full
            report); ``text``: ``colour``, ``width``; ``html``: ``limit`` (bytes).

    Raises:
        UsageError: the format is unknown.
        ReportError: the dict is no report.
    """
    from importlib import import_module

    from tbdiag.render.prepare import name_file, prepare

    if format not in _RENDERERS:
        raise UsageError(f"unknown report format {format!r}: use one of {', '.join(FORMATS)}")
    module, function = _RENDERERS[format]
    if format == "html":
        options["explanations"] = explanations or {}
    prepared = prepare(report, show_paths=show_paths)
    if file is not None:
        prepared = name_file(prepared, file)
    text: str = getattr(import_module(f"tbdiag.render.{module}"), function)(prepared, **options)
    return text


def render_notebook(report: Report | Mapping[str, Any]) -> str:
    """The report as a fragment for a notebook's output cell: the whole page in a sandboxed frame."""
    from tbdiag.render.notebook import render_frame

    return render_frame(report)


def load_report(path: str | PathLike[str]) -> dict[str, Any]:
    """The plain dict of a JSON report, or of an HTML report, which carries its data.

    Raises:
        ReportError: the file cannot be read or holds no report.
    """
    from tbdiag.render.strict_json import load

    return load(path)


__all__ = ["FORMATS", "load_report", "render", "render_notebook"]
