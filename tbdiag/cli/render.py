"""``tbdiag render REPORT``: another format from a saved report, without reading logs again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tbdiag.cli.output import write_result
from tbdiag.cli.report import Format


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def render(
        report: Annotated[Path, typer.Argument(metavar="REPORT", help="JSON or HTML report that tbdiag wrote.")],
        format: Annotated[Format, typer.Option("--format", help="Format to write.")] = Format.HTML,  # noqa: A002
        output: Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write; - is standard output.")] = None,
        link: Annotated[str, typer.Option("--link", metavar="URL", help="Address of the full report, for markdown.")] = "",
        marker: Annotated[str, typer.Option("--marker", metavar="NAME", help="Name in markdown's hidden first line.")] = "report",
        limit: Annotated[int | None, typer.Option("--limit", metavar="N", help="Most characters (markdown) or bytes (html).")] = None,
        show_paths: Annotated[bool, typer.Option("--show-paths", help="Keep absolute paths and host names.")] = False,
    ) -> None:
        """Write a saved report in another format."""
        from tbdiag.cli.explain import explain_findings
        from tbdiag.cli.output import use_colour
        from tbdiag.model.report import DEFAULT_FILE
        from tbdiag.render import load_report
        from tbdiag.render import render as write

        data = load_report(report)
        options: dict[str, object] = {}
        if format is Format.MARKDOWN:
            options = {"link": link, "marker": marker}
        elif format is Format.TEXT:
            options = {"colour": output in (None, "-") and use_colour()}
        elif format is Format.HTML:
            options = {"explanations": explain_findings(data)}
        if limit is not None and format in (Format.MARKDOWN, Format.HTML):
            options["limit"] = limit
        target = output if output is not None else DEFAULT_FILE if format is Format.HTML else "-"
        text = write(data, format.value, show_paths=show_paths, **options)  # type: ignore[arg-type]
        written = write_result(text, target)
        if written is not None:
            typer.echo(f"report: {written.resolve().as_uri()}", err=True)
