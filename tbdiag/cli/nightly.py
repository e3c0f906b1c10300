"""``tbdiag nightly ROOT...``: judge what changed since the last night and publish a site."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tbdiag.nightly import Night, Options


class Reports(str, Enum):
    """Which runs get a full report."""

    FINDINGS = "findings"
    ALL = "all"


class FailOn(str, Enum):
    """What ends with exit code 1."""

    NEVER = "never"
    NEW_ERROR = "new-error"
    NEW = "new"
    ERROR = "error"
    WARNING = "warning"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def nightly(
        roots: Annotated[list[str], typer.Argument(metavar="ROOT...", help="Directories (or fsspec URLs) that hold runs.")],
        site: Annotated[Path | None, typer.Option("--site", metavar="DIR", help="Directory to publish to.", envvar="TBDIAG_SITE")] = None,
        no_site: Annotated[bool, typer.Option("--no-site", help="Digest, JSON and JUnit only, no pages and no full reports.")] = False,
        state: Annotated[
            Path | None, typer.Option("--state", metavar="DIR", help="Where the state is kept. [default: DIR.state, or .tbdiag-nightly]")
        ] = None,
        all_reports: Annotated[bool, typer.Option("--all-reports", help="Full reports for healthy runs too.")] = False,
        once: Annotated[bool, typer.Option("--once", help="One night, then end (the default).")] = False,
        every: Annotated[str | None, typer.Option("--every", metavar="TIME", help="Repeat: 1h, 15m, 60s.")] = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be judged; write nothing.")] = False,
        now: Annotated[str | None, typer.Option("--now", metavar="TIME", help="Judge as of this time: ISO 8601, or seconds.")] = None,
        fail_on: Annotated[FailOn, typer.Option("--fail-on", help="What ends with exit code 1.")] = FailOn.NEVER,
        strict: Annotated[bool, typer.Option("--strict", help="Exit 2 if any run could not be judged.")] = False,
        scheduler: Annotated[
            str, typer.Option("--scheduler", metavar="WHERE", help="processes, inline, local (Dask here) or dask://HOST:PORT.")
        ] = "processes",
        workers: Annotated[int | None, typer.Option("--workers", min=1, help="Worker processes. [default: cores]")] = None,
        memory_limit: Annotated[str, typer.Option("--memory-limit", metavar="SIZE", help="Memory a worker: 4G, 500M; 0 for none.")] = "4G",
        time_limit: Annotated[str, typer.Option("--time-limit", metavar="TIME", help="Wall clock a run: 5m, 30s; 0 for none.")] = "5m",
        keep_days: Annotated[float, typer.Option("--keep-days", min=0.0, help="Days that gone runs and old digests are kept.")] = 30.0,
        owner: Annotated[
            str | None, typer.Option("--owner", metavar="REGEX", help="Owner from the run's name: a group named 'owner'.")
        ] = None,
        title: Annotated[str, typer.Option("--title", help="Title of the site.")] = "Training runs",
        link: Annotated[str, typer.Option("--link", metavar="URL", help="Where the site is served, for links in notifications.")] = "",
        webhook_env: Annotated[
            str, typer.Option("--webhook-env", metavar="NAME", help="Environment variable that holds the webhook's address.")
        ] = "TBDIAG_WEBHOOK",
        backup: Annotated[
            Path | None, typer.Option("--backup", metavar="FILE", help="Copy the state, history included, to a file.")
        ] = None,
        config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Configuration file.")] = None,
        quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No log lines, no digest.")] = False,
    ) -> int:
        """Judge what changed beneath ROOT since the last night and publish it."""
        import os
        import time

        from tbdiag.cli.output import say
        from tbdiag.cli.settings import load_settings
        from tbdiag.errors import UsageError
        from tbdiag.nightly import Limits, Options, plan_night
        from tbdiag.nightly.naming import OWNER, check_pattern

        if once and every:
            raise UsageError("--once and --every exclude each other")
        if site is None and not no_site and not dry_run:
            raise UsageError("say where to publish with --site DIR, or --no-site for the digest alone")
        pause = parse_seconds(every, "--every") if every else None
        options = Options(
            roots=tuple(roots),
            state=state or (Path(f"{os.path.abspath(site)}.state") if site is not None else Path(".tbdiag-nightly")),  # noqa: PTH100
            now=parse_time(now) if now else time.time(),
            site=site,
            config=load_settings(Path(roots[0]), config, {}),
            pages=not no_site,
            reports="all" if all_reports else "findings",
            scheduler=scheduler,
            workers=workers,
            limits=Limits(parse_bytes(memory_limit), parse_seconds(time_limit, "--time-limit")),
            owner_pattern=check_pattern(owner) if owner else OWNER,
            keep_days=keep_days,
            title=title,
            link=link,
            webhook=os.environ.get(webhook_env) or None,
            backup=backup,
            say=lambda line: say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {_printable(line)}", quiet=quiet),
        )
        if dry_run:
            plan = plan_night(options)
            for listing, _, reason in plan.judge:
                say(f"would judge {_printable(listing.name)} ({reason})", quiet=quiet)
            say(f"would judge {len(plan.judge):,} runs; {plan.unchanged:,} unchanged, {len(plan.gone):,} gone", quiet=quiet)
            return 0
        return _repeat(options, pause, fixed_now=now is not None, fail_on=fail_on.value, strict=strict, quiet=quiet)


def _repeat(options: Options, pause: float | None, *, fixed_now: bool, fail_on: str, strict: bool, quiet: bool) -> int:
    import time
    from dataclasses import replace

    from tbdiag.cli.output import write_result
    from tbdiag.nightly import run_night

    while True:
        begun = time.monotonic()
        night = run_night(options)
        if not quiet:
            write_result(night.digest, None)
        if pause is None:
            return exit_code(night, fail_on, strict)
        time.sleep(max(0.0, pause - (time.monotonic() - begun)))
        if not fixed_now:
            options = replace(options, now=time.time())


def exit_code(night: Night, fail_on: str, strict: bool) -> int:
    """0, 1 by `fail_on`, 2 by `strict`."""
    closing = night.closing
    if strict and closing.failed:
        return 2
    bad = {
        "never": 0,
        "new-error": closing.new_errors,
        "new": closing.new,
        "error": closing.errors,
        "warning": closing.errors + closing.warnings,
    }[fail_on]
    return int(bad > 0)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def parse_seconds(text: str, option: str) -> float:
    """Seconds of ``90``, ``90s``, ``15m``, ``2h``, ``1d``.

    Raises:
        UsageError: anything else.
    """
    from tbdiag.errors import UsageError

    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    number, unit = (text[:-1], units[text[-1:]]) if text[-1:] in units else (text, 1.0)
    try:
        value = float(number) * unit
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UsageError(f"{option} {text!r}: give a number of seconds, or one with a unit: 90s, 15m, 2h, 1d")
    return value


def parse_bytes(text: str) -> int:
    """Bytes of ``4G``, ``500M``, ``100K``, ``0``.

    Raises:
        UsageError: anything else.
    """
    from tbdiag.errors import UsageError

    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
    clean = text.upper().removesuffix("IB").removesuffix("B")
    number, unit = (clean[:-1], units[clean[-1:]]) if clean[-1:] in units else (clean, 1)
    try:
        value = float(number) * unit
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UsageError(f"--memory-limit {text!r}: give a size such as 4G or 500M, or 0 for none")
    return int(value)


def parse_time(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 time (UTC where it names no zone) or of plain seconds.

    Raises:
        UsageError: anything else.
    """
    import datetime as dt

    from tbdiag.errors import UsageError

    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise UsageError(f"--now {text!r}: give a time such as 2026-11-22T03:00 or seconds since 1970") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)).timestamp()
