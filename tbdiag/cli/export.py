"""``tbdiag export LOGDIR --csv``: one row a step or epoch, roles as columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tbdiag.cli.output import write_result
from tbdiag.errors import UsageError

if TYPE_CHECKING:
    from tbdiag.model import Signal, Signals

SHORT = {
    "train_metric": "train_{stem}",
    "val_metric": "val_{stem}",
    "test_metric": "test_{stem}",
}
STEMS = {"accuracy": "acc"}


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def export(
        logdir: Annotated[str, typer.Argument(metavar="LOGDIR", help="Logdir or event file.")],
        csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values (the only form so far).")] = True,
        run_name: Annotated[str | None, typer.Option("--run", help="Which run, where LOGDIR holds several.")] = None,
        by: Annotated[str, typer.Option("--by", help="step, epoch or auto (epoch where epochs are known).")] = "auto",
        every_tag: Annotated[bool, typer.Option("--all", help="Every scalar tag, not the recognised roles only.")] = False,
        output: Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write; - is standard output.")] = None,
        role: Annotated[list[str] | None, typer.Option("--role", metavar="ROLE=TAG", help="Set the role of a tag.")] = None,
        config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Configuration file.")] = None,
    ) -> None:
        """Write the run's curves as a table: one row a step or epoch."""
        from tbdiag.config import load_config
        from tbdiag.logs import read_runs
        from tbdiag.roles import resolve

        del csv
        if by not in ("auto", "step", "epoch"):
            raise UsageError(f"--by must be step, epoch or auto, not {by!r}")
        runs = [r for r in read_runs([logdir]) if r.readable]
        if run_name is not None:
            runs = [r for r in runs if r.name == run_name]
            if not runs:
                raise UsageError(f"no run below {logdir} is called {run_name!r}; `tbdiag signals {logdir}` lists them")
        if len(runs) != 1:
            names = ", ".join(r.name for r in runs[:5]) + (", ..." if len(runs) > 5 else "")
            raise UsageError(f"{logdir} holds {len(runs)} runs ({names}): choose one with --run")
        settings = load_config(Path(logdir), config, {"roles": role or ()})
        write_result(make_table(resolve(runs[0], settings), by, every_tag=every_tag), output)


def make_table(signals: Signals, by: str, *, every_tag: bool = False) -> str:
    """The table as CSV text; empty cells where a role has no point, the last point of an epoch in epoch rows."""
    import csv
    import io

    import numpy as np

    chosen = _choose(signals, every_tag)
    if not chosen:
        raise UsageError("no recognised scalar series to export: use --all for every tag")
    ends = signals.epoch_steps
    epochs = by == "epoch" or (by == "auto" and _is_epoch_axis(signals, chosen))
    if by == "epoch" and ends is None and not _is_epoch_axis(signals, chosen):
        raise UsageError("no epoch boundaries are known in this log: use --by step")
    steps: dict[int, dict[str, float]] = {}
    for name, signal in chosen:
        series = signal.series
        assert series is not None
        rows = series.step
        if epochs and ends is not None and ends.size:
            rows = np.searchsorted(ends, series.step, side="left")
        for step, value in zip(rows.tolist(), series.value.tolist(), strict=True):
            steps.setdefault(int(step), {})[name] = float(value)
    names = [name for name, _ in chosen]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["epoch" if epochs else "step", *names])
    for step in sorted(steps):
        writer.writerow([step, *(_cell(steps[step].get(name)) for name in names)])
    return out.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.9g}"


def _is_epoch_axis(signals: Signals, chosen: list[tuple[str, Signal]]) -> bool:
    if signals.epoch_steps is not None and signals.epoch_steps.size >= 2:
        return True
    return all(signal.axis.value == "epoch" for _, signal in chosen)


def _choose(signals: Signals, every_tag: bool) -> list[tuple[str, Signal]]:
    """Column names with their signals: main signals first in a fixed order; with `every_tag` all scalar tags by name."""
    if every_tag:
        return [(s.name, s) for s in signals.all if s.series is not None and len(s.series)]
    order = ("train_loss", "val_loss", "test_loss", "train_metric", "val_metric", "test_metric", "lr", "grad_norm")
    mains = [s for s in signals.all if s.main and s.series is not None and len(s.series)]
    mains.sort(key=lambda s: (order.index(s.key) if s.key in order else len(order), s.key))
    out: list[tuple[str, Signal]] = []
    for signal in mains:
        name = SHORT.get(signal.key, "{key}").format(stem=STEMS.get(signal.stem, signal.stem), key=signal.key)
        if name in {n for n, _ in out}:
            name = signal.name
        out.append((name, signal))
    return out
