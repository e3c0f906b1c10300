"""``tbdiag report LOGDIR...``: read, judge, write one report, say the verdict."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tbdiag.cli.output import Progress, say, use_colour, write_result

if TYPE_CHECKING:
    from tbdiag.config import Config
    from tbdiag.model import Report

SEVERITIES = ("error", "warning", "note")


class Format(str, Enum):
    """Formats of a report."""

    HTML = "html"
    JSON = "json"
    MARKDOWN = "markdown"
    TEXT = "text"
    JUNIT = "junit"
    GITHUB = "github"


class FailOn(str, Enum):
    """Lowest severity that ends with exit code 1."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    NEVER = "never"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def report(
        logdirs: Annotated[list[str], typer.Argument(metavar="LOGDIR...", help="Logdirs or event files to diagnose.")],
        output: Annotated[
            str | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write; - is standard output.", envvar="TBDIAG_OUTPUT")
        ] = None,
        format: Annotated[Format, typer.Option("--format", help="Format of the report.")] = Format.HTML,  # noqa: A002
        fail_on: Annotated[FailOn, typer.Option("--fail-on", help="Exit 1 for findings at or above this severity.")] = FailOn.NEVER,
        open_it: Annotated[bool, typer.Option("--open", help="Open the written report in a browser.")] = False,
        select: Annotated[list[str] | None, typer.Option("--select", metavar="ID,...", help="Run only these detectors.")] = None,
        ignore: Annotated[list[str] | None, typer.Option("--ignore", metavar="ID,...", help="Leave these detectors out.")] = None,
        role: Annotated[list[str] | None, typer.Option("--role", metavar="ROLE=TAG", help="Set the role of a tag.")] = None,
        config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Configuration file.")] = None,
        strict: Annotated[bool, typer.Option("--strict", help="Exit 2 if any run was unreadable or any detector crashed.")] = False,
        verify: Annotated[bool, typer.Option("--verify", help="Also check the checksums of skipped images, audio and graphs.")] = False,
        jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=0, help="Processes that judge runs; 0 chooses.")] = 0,
        show_paths: Annotated[bool, typer.Option("--show-paths", help="Keep absolute paths and host names in the report.")] = False,
        quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No summary.")] = False,
    ) -> int:
        """Diagnose every run beneath LOGDIR and write one report."""
        from tbdiag.cli.explain import explain_findings
        from tbdiag.cli.settings import load_settings
        from tbdiag.model.report import DEFAULT_FILE
        from tbdiag.render import render

        settings = load_settings(Path(logdirs[0]), config, {"roles": role or (), "select": select or (), "ignore": ignore or ()})
        report = judge(logdirs, settings, verify=verify, quiet=quiet, jobs=jobs)
        target = output if output is not None else DEFAULT_FILE if format is Format.HTML else "-"
        explanations = explain_findings(report.to_dict()) if format is Format.HTML else None
        written = write_result(render(report, format.value, show_paths=show_paths, explanations=explanations), target)
        if not quiet:
            # The report itself must not tell where it lies: the same runs give the same bytes.
            say_summary(report, written, file=target if target != "-" and format in (Format.HTML, Format.JSON) else None)
        if open_it and written is not None:
            typer.launch(written.resolve().as_uri())
        return exit_code(report, fail_on.value, strict)


def judge(logdirs: list[str], config: Config, *, verify: bool = False, quiet: bool = False, jobs: int = 1) -> Report:
    """Read and judge runs so that only one run's points a process are in memory; see `judge_runs` for `jobs`."""
    from tbdiag.diagnosis import build_report
    from tbdiag.judging import judge_runs
    from tbdiag.logs import list_runs

    bar = Progress(sum(len(list_runs(d)) for d in logdirs) if _on_terminal() else 0, "judging", enabled=not quiet)
    judged = []
    for report in judge_runs(logdirs, config, verify=verify, jobs=jobs):
        judged.append(report)
        bar.advance(report.name)
    bar.close()
    return build_report(judged, config=config)


def _on_terminal() -> bool:
    import sys

    return sys.stderr.isatty()


def say_summary(report: Report, written: Path | None, *, file: str | None = None) -> None:
    """Verdict, findings with onset, the one next experiment and the report's link, on the terminal."""
    import sys

    from tbdiag.render import render

    to_stderr = written is None  # the report itself went to the output
    text = render(report, "text", brief=True, colour=use_colour(sys.stderr if to_stderr else sys.stdout), file=file)
    if written is not None:
        text = f"{text.rstrip()}\n\nreport: {written.resolve().as_uri()}"
    if to_stderr:
        say(text)
    else:
        write_result(text, None)


def exit_code(report: Report, fail_on: str, strict: bool) -> int:
    """0, 1 by `fail_on` over unsuppressed heads, 2 by `strict`."""
    if strict and any(run.verdict == "unreadable" or any(c.kind.value == "crashed" for c in run.checks) for run in report.runs):
        return 2
    if fail_on == "never":
        return 0
    limit = SEVERITIES.index(fail_on)
    return int(any(f.severity.rank <= limit for run in report.runs for f in run.heads))
