"""``tbdiag verify PREVIOUS LOGDIR``: did the fix work?"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tbdiag.cli.output import write_result


class Format(str, Enum):
    """Formats of a verification."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def verify(
        previous: Annotated[str, typer.Argument(metavar="PREVIOUS", help="An earlier report (JSON or HTML) or logdir.")],
        logdir: Annotated[str, typer.Argument(metavar="LOGDIR", help="The next run or runs.")],
        format: Annotated[Format, typer.Option("--format", help="Format of the result.")] = Format.TEXT,  # noqa: A002
        output: Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write; - is standard output.")] = None,
        match: Annotated[list[str] | None, typer.Option("--match", metavar="OLD=NEW", help="Match runs of different names.")] = None,
        journal: Annotated[
            str | None, typer.Option("--journal", metavar="FILE", help="Close the entries of this journal.", envvar="TBDIAG_JOURNAL")
        ] = None,
        config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Configuration file.")] = None,
    ) -> int:
        """Judge the findings of PREVIOUS by their success rules on the runs of LOGDIR.

        Exit 1 if a rule failed or a new error appeared, else 2 if an error or warning cannot be told, else 0.
        """
        from tbdiag.cli.settings import load_settings
        from tbdiag.compare.tell_verify import render_verify
        from tbdiag.journal import close_entries, tried_actions
        from tbdiag.verify import verify as judge

        settings = load_settings(Path(logdir), config, {})
        tried = tried_actions(journal) if journal else {}
        result = judge(previous, logdir, settings, match=match or (), tried=tried)
        data = result.to_dict()
        write_result(render_verify(data, format.value), output)
        if journal:
            close_entries(journal, data)
        return result.exit_code
