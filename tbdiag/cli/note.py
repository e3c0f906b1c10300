"""``tbdiag note LOGDIR``: append the symptom-to-action note to an experiment journal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tbdiag.cli.output import say


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def note(
        logdir: Annotated[str, typer.Argument(metavar="LOGDIR", help="Logdir, or a report (JSON or HTML).")],
        journal: Annotated[
            str, typer.Option("--journal", metavar="FILE", help="Journal: .jsonl, or Markdown.", envvar="TBDIAG_JOURNAL")
        ] = "tbdiag-journal.md",
        config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Configuration file.")] = None,
        quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing.")] = False,
    ) -> int:
        """Append the six-line note of every run to an experiment journal; `tbdiag verify --journal` closes the entries."""
        from tbdiag.cli.settings import load_settings
        from tbdiag.compare.sides import load_side
        from tbdiag.journal import append_entries, entry_name

        side = load_side(logdir, load_settings(Path(logdir), config, {}))
        fresh = append_entries(journal, [run.data for run in side.runs], side.label)
        for entry in fresh:
            say(f"{journal}: {entry_name(entry)}: {entry['note']['chosen_action']}", quiet=quiet)
        if not fresh:
            say(f"{journal}: nothing new, every run has its entry already", quiet=quiet)
        return 0
