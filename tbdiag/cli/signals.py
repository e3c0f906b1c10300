"""``tbdiag signals LOGDIR``: how each tag was read, and what an override changes."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tbdiag.cli.output import write_result

if TYPE_CHECKING:
    from tbdiag.model import Run, Signal, Signals

MANY = 4
"""Series of one group (layers, classes) that are listed one by one; more are folded into one row unless --all is given."""
UNITS = {"percent": "%", "fraction": "0-1", "bits": "bits", "nats": "nats"}


class SignalsFormat(str, Enum):
    """Forms of the table."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def signals(
        logdirs: Annotated[list[str], typer.Argument(metavar="LOGDIR...", help="Logdirs or event files.")],
        role: Annotated[list[str] | None, typer.Option("--role", metavar="ROLE=TAG", help="Set the role of a tag.")] = None,
        config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Configuration file.")] = None,
        format: Annotated[SignalsFormat, typer.Option("--format", help="Form of the table.")] = SignalsFormat.TEXT,  # noqa: A002
        every: Annotated[bool, typer.Option("--all", help="List every layer and class, folded otherwise.")] = False,
        output: Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write; - is standard output.")] = None,
    ) -> None:
        """Show how each tag was read: role, split, direction, unit, and why. A star marks the series that stands for its role."""
        from tbdiag.config import load_config
        from tbdiag.logs import iter_runs
        from tbdiag.roles import resolve

        settings = load_config(Path(logdirs[0]), config, {"roles": role or ()})
        pairs: list[tuple[Signals, Signals | None]] = []
        for run in iter_runs(logdirs):
            after = resolve(run, settings)
            plain = resolve(run) if settings.roles or settings.directions else None
            pairs.append((_light(after), _light(plain) if plain is not None else None))
        absent = [tag for tag in settings.roles.values() if not any(tag in (s.name, _tag(s)) for pair in pairs for s in pair[0].all)]
        if format is SignalsFormat.JSON:
            import json

            text = json.dumps({"runs": [make_dict(*pair) for pair in pairs]}, indent=1, allow_nan=False)
        else:
            text = "\n".join(make_table(*pair, every=every) for pair in pairs)
            if absent:
                text += "".join(f'\nno run holds the series "{tag}" that a role names\n' for tag in absent)
        write_result(text, output)


def _light(signals: Signals) -> Signals:
    """The same without the points of the run, so that a thousand runs fit in memory."""
    from dataclasses import replace

    from tbdiag.model import Run

    run: Run = signals.run
    return replace(signals, run=Run(name=run.name, path=run.path))


def _tag(signal: Signal) -> str:
    return signal.series.tag if signal.series is not None else signal.name


def make_dict(after: Signals, before: Signals | None) -> dict[str, Any]:
    """One run as JSON: what is known of it, and one object a series; ``before`` only where an override changed the reading."""
    old = {s.name: s for s in before.all} if before is not None else {}
    rows = []
    for s in after.all:
        row: dict[str, Any] = {
            "tag": s.name,
            "role": s.key,
            "main": s.main,
            "split": s.split.value,
            "direction": s.direction.value,
            "scale": s.scale.value,
            "axis": s.axis.value,
            "stem": s.stem,
            "layer": s.layer,
            "depth": s.depth,
            "class": s.class_id,
            "kind": s.sub_kind,
            "convention": s.convention,
            "why": s.why,
            "points": len(s.series) if s.series is not None else len(s.histogram) if s.histogram is not None else 0,
        }
        was = old.get(s.name)
        if was is not None and (was.key, was.main, was.direction) != (s.key, s.main, s.direction):
            row["before"] = {"role": was.key, "main": was.main, "direction": was.direction.value}
        rows.append(row)
    return {
        "name": after.run.name,
        "framework": after.framework,
        "domain": after.domain.value,
        "classes": after.classes,
        "chance": after.chance,
        "chance_why": after.chance_why,
        "epochs": int(after.epoch_steps.size) if after.epoch_steps is not None else None,
        "epoch_why": after.epoch_why,
        "config": {k: {"value": v, "source": after.config_source.get(k, "")} for k, v in sorted(after.config.items())},
        "overrides": list(after.overrides),
        "signals": rows,
    }


def make_table(after: Signals, before: Signals | None, *, every: bool = False) -> str:
    """One run as text: a few lines about the run, then a row a series (groups of layers and classes folded)."""
    lines = [f"{after.run.name}: {', '.join(_facts(after))}"]
    if after.config:
        lines.append("  configuration: " + ", ".join(f"{k} {_show(v)}" for k, v in sorted(after.config.items())))
    old = {s.name: s for s in before.all} if before is not None else {}
    rows = [("", "role", "tag", "points", "better", "unit", "axis", "why")]
    for names, s in _fold(after.all, every):
        was = old.get(s.name)
        change = f" (was {'*' if was.main else ''}{was.key})" if was is not None and (was.key, was.main) != (s.key, s.main) else ""
        points = len(s.series) if s.series is not None else len(s.histogram) if s.histogram is not None else 0
        better = {"none": ""}.get(s.direction.value, s.direction.value)
        kind = f" {s.sub_kind}" if s.sub_kind else ""
        rows.append(
            ("*" if s.main else "", f"{s.key}{kind}{change}", names, str(points), better, UNITS.get(s.scale.value, ""), s.axis.value, s.why)
        )
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]) - 1)]
    lines += ["  " + " ".join([*(c.ljust(w) for c, w in zip(r, widths, strict=False)), r[-1]]).rstrip() for r in rows]
    return "\n".join(lines) + "\n"


def _facts(s: Signals) -> list[str]:
    facts = [s.framework or "no framework's layout", s.domain.value.replace("_", " ")]
    if s.classes is not None:
        facts.append(f"{s.classes} classes")
    if s.chance is not None:
        facts.append(f"chance {s.chance:.4g} nats ({s.chance_why})")
    if s.epoch_steps is not None:
        facts.append(f"{s.epoch_steps.size} epoch ends ({s.epoch_why})")
    return facts


def _show(value: float | str | bool) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _fold(signals: tuple[Signal, ...], every: bool) -> list[tuple[str, Signal]]:
    """Mains first, then the rest in the log's order; a group of more than `MANY` layers or classes becomes one row."""
    ordered = [s for s in signals if s.main] + [s for s in signals if not s.main]
    groups: dict[tuple[Any, ...], list[Signal]] = {}
    for s in ordered:
        single = every or s.main or (s.layer is None and s.class_id is None)
        key = (s.name,) if single else (s.role, s.split, s.sub_kind, s.direction, s.histogram is None, s.stem if s.layer is None else "")
        groups.setdefault(key, []).append(s)
    out = []
    for members in groups.values():
        if len(members) <= MANY:
            out += [(s.name, s) for s in members]
        else:
            out.append((f"{members[0].name} ... {members[-1].name} ({len(members)})", members[0]))
    return out
