"""``tbdiag compare BASE HEAD [MORE...]``: better, worse, or no evidence of a difference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tbdiag.cli.output import write_result
from tbdiag.cli.verify import Format


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def compare(
        base: Annotated[str, typer.Argument(metavar="BASE", help="Logdir or report that the others are compared with.")],
        heads: Annotated[list[str], typer.Argument(metavar="HEAD...", help="Logdirs or reports.")],
        format: Annotated[Format, typer.Option("--format", help="Format of the result.")] = Format.TEXT,  # noqa: A002
        output: Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write; - is standard output.")] = None,
        match: Annotated[list[str] | None, typer.Option("--match", metavar="BASE=HEAD", help="Match runs of different names.")] = None,
        seeds: Annotated[bool, typer.Option("--seeds", help="All runs of a side are seeds of one configuration.")] = False,
        config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Configuration file.")] = None,
    ) -> int:
        """Compare runs with the uncertainty of noise and seeds; always exits 0 when the comparison was written."""
        from tbdiag.cli.settings import load_settings
        from tbdiag.compare import compare as judge
        from tbdiag.compare import render_compare

        settings = load_settings(Path(heads[0]), config, {})
        write_result(render_compare(judge(base, heads, settings, match=match or (), seeds=seeds), format.value), output)
        return 0
