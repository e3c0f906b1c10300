"""``tbdiag watch LOGDIR``: follow live runs, print only what changes."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tbdiag.nightly.watch import Change, Watch


class Until(str, Enum):
    """When to end."""

    FINISHED = "finished"
    FINDING = "finding"


class FailOn(str, Enum):
    """Lowest severity that ends with exit code 1."""

    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def watch(
        logdir: Annotated[str, typer.Argument(metavar="LOGDIR", help="Logdir or event file; it need not exist yet.")],
        until: Annotated[Until | None, typer.Option("--until", help="End when no run is live any more, or at the first finding.")] = None,
        interval: Annotated[str, typer.Option("--interval", metavar="TIME", help="Pause between looks: 10s, 1m.")] = "10s",
        fail_on: Annotated[FailOn, typer.Option("--fail-on", help="Exit 1 if such a finding was there at the end.")] = FailOn.NEVER,
        notes: Annotated[bool, typer.Option("--notes", help="Tell notes as well.")] = False,
        config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Configuration file.")] = None,
    ) -> int:
        """Follow the runs beneath LOGDIR: judge again as they grow and print only what changed."""
        import time

        from tbdiag.cli.nightly import parse_seconds
        from tbdiag.cli.settings import load_settings
        from tbdiag.nightly.watch import SEVERITIES, Watch

        pause = parse_seconds(interval, "--interval")
        follow = Watch(logdir, load_settings(Path(logdir), config, {}), least=2 if notes else 1)
        worst: dict[tuple[str, str], int] = {}
        while True:
            found = False
            for change in follow.step(time.time()):
                _print(change)
                key = (change.run, change.finding)
                if change.kind == "finding":
                    worst[key] = SEVERITIES.index(change.severity)
                    found = found or worst[key] < 2
                elif change.kind == "gone":
                    worst.pop(key, None)
            if (until is Until.FINDING and found) or (until is Until.FINISHED and _all_ended(follow)):
                break
            time.sleep(pause)
        limit = {"never": -1, "error": 0, "warning": 1}[fail_on.value]
        return int(any(rank <= limit for rank in worst.values()))


def _all_ended(follow: Watch) -> bool:
    statuses = follow.statuses.values()
    return bool(statuses) and all(status != "live" for status in statuses)


def _print(change: Change) -> None:
    import time

    from tbdiag.cli.output import write_result

    word = change.severity.upper() if change.kind == "finding" else change.kind
    text = f"{time.strftime('%H:%M:%S')} {change.run}: {word}: {change.text}"
    if change.kind == "finding" and change.action:
        text += f"\n         do first: {change.action}"
    write_result("\n".join("".join(c if c.isprintable() else "?" for c in line) for line in text.split("\n")), None)
