"""``tbdiag pr --base DIR|REPORT --head DIR --out DIR``: everything a pull request needs, in one go."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tbdiag.cli.output import say


class Policy(str, Enum):
    """When the command ends with exit code 1."""

    NEW_ERROR = "new-error"
    ERROR = "error"
    REGRESSION = "regression"
    NEVER = "never"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def pr(
        head: Annotated[str, typer.Option("--head", metavar="DIR", help="Logdir of the pull request's runs.")],
        out: Annotated[str, typer.Option("--out", metavar="DIR", help="Where the four files are written.")],
        base: Annotated[str | None, typer.Option("--base", metavar="DIR|REPORT", help="Logdir or report of the base.")] = None,
        fail_on: Annotated[Policy, typer.Option("--fail-on", help="What ends with exit code 1.")] = Policy.NEW_ERROR,
        match: Annotated[list[str] | None, typer.Option("--match", metavar="BASE=HEAD", help="Match runs of different names.")] = None,
        name: Annotated[str, typer.Option("--name", help="Tells the comments of several workflows apart.")] = "report",
        link: Annotated[str | None, typer.Option("--link", metavar="URL", help="Where the full report will be found.")] = None,
        config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Configuration file.")] = None,
    ) -> int:
        """Write comment.md, report.html, report.json and junit.xml for a pull request; exit by policy."""
        from tbdiag.cli.explain import explain_findings
        from tbdiag.cli.settings import load_settings
        from tbdiag.pr import review, write_files
        from tbdiag.pr.tell import verdict_line

        result = review(base, head, load_settings(Path(head), config, {}), match=match or ())
        if base is not None and result.base is None:
            say(f"tbdiag: there is no base at {base}: every finding of the head counts as new")
        files = write_files(result, out, name=name, link=link, explanations=explain_findings(result.head.report))
        say(f"tbdiag: {verdict_line(result)}\ntbdiag: wrote {', '.join(files)} into {out}")
        return result.exit_code(fail_on.value)
