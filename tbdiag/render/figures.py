"""Which curves of a run are drawn together, and with which marks: the charts of a finding and the small multiples of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tbdiag.render.chart import SPLIT_COLOUR, Frame, Line, describe, line_chart, line_of
from tbdiag.render.words import number, plural, step

LINES_PER_CHART = 4
CHARTS_PER_FINDING = 3
CHARTS_PER_RUN = 120

Group = list[tuple[int, dict[str, Any]]]


def group_curves(curves: Iterable[tuple[int, dict[str, Any]]]) -> list[Group]:
    """Curves that share an axis: the same quantity on different splits. Order of first appearance."""
    groups: dict[tuple[Any, ...], Group] = {}
    for index, curve in curves:
        role = str(curve["role"])
        for split in ("train_", "val_", "test_"):
            role = role.removeprefix(split)
        own = "" if curve["split"] != "none" and curve["stem"] else curve["tag"]
        groups.setdefault((role, curve["stem"], curve["layer"], curve["axis"], own), []).append((index, curve))
    out = []
    for group in groups.values():
        # two logged curves of one split (two validation sets) would lie on each other in one colour
        splits = [c["split"] for _, c in group]
        if len(set(splits)) == len(splits):
            out.append(group)
        else:
            out += [[pair] for pair in group]
    return out


def run_domain(run: Mapping[str, Any]) -> tuple[int, int] | None:
    """Step interval that the charts of a run share."""
    span = run["span"]
    first, last = span.get("first_step"), span.get("last_step")
    return (int(first), int(last)) if first is not None and last is not None and last > first else None


def run_events(run: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Restarts and the like, to mark in every chart of the run."""
    kinds = {"restart": "restart", "overlapping-writers": "two writers"}
    found = {(int(i["first_step"]), kinds[i["kind"]]) for i in run["read_issues"] if i["kind"] in kinds and i.get("first_step") is not None}
    return sorted(found)[:12]


def _lr(run: Mapping[str, Any]) -> Line | None:
    """The learning rate, where it was logged and changes."""
    for curve in sorted((c for c in run["curves"] if c["role"] == "lr"), key=lambda c: not c["main"]):
        values = [v for v in curve["values"] if v is not None]
        if len(values) > 1 and max(values) > min(values):
            return line_of(curve)
    return None


def _marks(finding: Mapping[str, Any]) -> tuple[list[tuple[int, int, str]], list[tuple[int, str]], list[tuple[float, str]]]:
    bands, events, levels = [], [], []
    onset = finding["onset"]
    if onset:
        bands.append((onset["first_step"], onset["last_step"], "onset"))
    for mark in (m for e in finding["evidence"] for m in e.get("marks") or ()):
        at, value, label = mark.get("step"), mark.get("value"), str(mark.get("label") or "")
        if mark["kind"] == "band" and at is not None:
            bands.append((at, mark.get("last_step") or at, label))
        elif mark["kind"] == "event" and at is not None:
            events.append((at, label))
        elif mark["kind"] == "level" and value is not None:
            levels.append((value, label))
    return list(dict.fromkeys(bands)), list(dict.fromkeys(events)), list(dict.fromkeys(levels))


def finding_figures(run: Mapping[str, Any], finding: Mapping[str, Any], run_index: int, *, width: int = 600) -> list[dict[str, Any]]:
    """Charts of exactly the series that prove a finding, onset, best point and events drawn in.

    Returns:
        Mappings with ``svg``, ``rows`` (the legend) and ``more`` (series that were left out of the chart).
    """
    names = list(dict.fromkeys(s for e in finding["evidence"] for s in e["series"]))
    by_tag = {c["tag"]: (i, c) for i, c in enumerate(run["curves"])}
    chosen = [by_tag[n] for n in names if n in by_tag]
    bands, events, levels = _marks(finding)
    events = list(dict.fromkeys(run_events(run) + events))
    lr = _lr(run)
    out: list[dict[str, Any]] = []
    groups = _layers_together(group_curves(chosen))
    for group in groups[:CHARTS_PER_FINDING]:
        lines = _lines(group[:LINES_PER_CHART], run_index)
        roles = {line.role for line in lines}
        frame = Frame(
            width=width,
            height=264 if lr and "lr" not in roles else 236,
            font=11,
            axis=group[0][1]["axis"],
            bands=bands,
            events=events,
            levels=levels if not out else (),
            domain=run_domain(run),
            strip=lr if "lr" not in roles else None,
        )
        out.append(_figure(lines, group, frame, more=len(group) - len(lines)))
    return out


def _layers_together(groups: list[Group]) -> list[Group]:
    """The same quantity of several layers in one chart, in order of depth."""
    merged: dict[tuple[Any, ...], Group] = {}
    for group in groups:
        curve = group[0][1]
        key = ("layer", curve["role"], curve["stem"]) if curve["layer"] and len(group) == 1 else ("alone", group[0][0])
        merged.setdefault(key, []).extend(group)
    for key, group in merged.items():
        if key[0] == "layer":
            group.sort(key=lambda pair: (pair[1]["depth"] is None, pair[1]["depth"] or 0, pair[1]["tag"]))
    return list(merged.values())


def _lines(group: Sequence[tuple[int, dict[str, Any]]], run_index: int) -> list[Line]:
    alone = len(group) == 1
    splits = [c["split"] for _, c in group]
    by_split = not alone and len(set(splits)) == len(splits)
    lines = []
    for k, (index, curve) in enumerate(group):
        colour = SPLIT_COLOUR.get(curve["split"], 4) if alone or by_split else k % 5
        label = (
            ""
            if alone
            else (curve["split"] if by_split and curve["split"] != "none" else (curve["layer"] or curve["tag"].rsplit("/", 1)[-1]))
        )
        lines.append(line_of(curve, f"{run_index}:{index}", label, colour))
    return lines


def series_figures(run: Mapping[str, Any], run_index: int, *, limit: int = CHARTS_PER_RUN) -> tuple[list[dict[str, Any]], int]:
    """Small multiples of all curves of a run, main ones first, and how many curves were left out."""
    order = sorted(enumerate(run["curves"]), key=lambda pair: (not pair[1]["main"], pair[0]))
    groups = group_curves(order)
    heads = [f for f in run["findings"] if f.get("caused_by") is None and f["onset"] and f["severity"] != "note"]
    out = []
    for group in groups[:limit]:
        tags = {c["tag"] for _, c in group}
        bands = [
            (f["onset"]["first_step"], f["onset"]["last_step"], "") for f in heads if tags & {s for e in f["evidence"] for s in e["series"]}
        ]
        lines = _lines(group[:LINES_PER_CHART], run_index)
        frame = Frame(
            axis=group[0][1]["axis"],
            bands=list(dict.fromkeys(bands))[:3],
            events=[(s, "") for s, _ in run_events(run)],
            domain=run_domain(run),
        )
        out.append(_figure(lines, group, frame, more=len(group) - len(lines)))
    return out, sum(len(g) for g in groups[limit:])


def _figure(lines: Sequence[Line], group: Group, frame: Frame, more: int) -> dict[str, Any]:
    from markupsafe import Markup

    rows = [
        {
            "tag": curve["tag"],
            "role": curve["role"],
            "colour": line.colour,
            "first": number(_first(curve)),
            "best": number(curve["best"]) if line.best else "",
            "best_step": step(curve["best_step"]) if line.best else "",
            "last": number(_last(curve)),
            "n": plural(curve["n"] or len(curve["steps"]), "point"),
            "bad": len(curve["nonfinite"]),
        }
        for line, (_, curve) in zip(lines, group, strict=False)
    ]
    named = [replace(line, label=line.label or row["tag"]) for line, row in zip(lines, rows, strict=False)]
    svg = line_chart(lines, replace(frame, label=describe(named, frame)))
    return {"svg": Markup(svg), "rows": rows, "more": more}  # noqa: S704 - built from escaped parts


def _first(curve: Mapping[str, Any]) -> float | None:
    return next((v for v in curve["values"] if v is not None), None)


def _last(curve: Mapping[str, Any]) -> float | None:
    return next((v for v in reversed(curve["values"]) if v is not None), None)


def sparkline(run: Mapping[str, Any]) -> str:
    """A small chart of the run's most telling curve for tables, ``""`` where there is none."""
    from markupsafe import Markup

    order = ("val_loss", "train_loss", "val_metric", "reward", "train_reward", "train_metric", "loss")
    curves = sorted((c for c in run["curves"] if c["role"] in order and c["steps"]), key=lambda c: (order.index(c["role"]), not c["main"]))
    if not curves:
        return ""
    curve = curves[0]
    return Markup(_spark(line_of(curve), run, curve["tag"]))  # noqa: S704 - built from escaped parts


def _spark(line: Line, run: Mapping[str, Any], tag: str) -> str:
    from html import escape

    from tbdiag.render.chart import BAND, COLOURS, path_data
    from tbdiag.render.decimate import keep_extremes
    from tbdiag.render.scale import Scale, suits_log, value_range

    kept = keep_extremes(line.values, 60)
    line = replace(line, steps=[line.steps[i] for i in kept], values=[line.values[i] for i in kept], label=tag)
    values = [v for v in line.values if v is not None]
    log = suits_log(values, line.role, line.log)
    lo, hi, _ = value_range(values, log=log, keep=[line.best[1]] if line.best else ())
    first, last = line.steps[0], line.steps[-1]
    x, y = Scale(first, last if last > first else first + 1, 3, 117), Scale(lo, hi, 25, 3, log)
    band = ""
    head = next((f for f in run["findings"] if f.get("caused_by") is None and f["onset"] and f["severity"] != "note"), None)
    if head:
        a, b = x.place(head["onset"]["first_step"]), x.place(head["onset"]["last_step"])
        band = f'<rect class="bd" x="{a:.0f}" y="0" width="{max(b - a, 2):.0f}" height="28" fill="{BAND}" fill-opacity=".3"/>'
    ring = ""
    if line.best and y.lo <= line.best[1] <= y.hi:
        ring = f'<circle class="f{line.colour}" cx="{x.place(line.best[0]):.0f}" cy="{y.place(line.best[1]):.0f}" r="2.5" fill="{COLOURS[line.colour]}"/>'
    label = escape(describe([line]), quote=True)
    return (
        f'<svg class="sp" viewBox="0 0 120 28" width="120" height="28" role="img" aria-label="{label}">{band}<g transform="scale(.1)">'
        f'<path class="c{line.colour}" d="{path_data(line, x, y)}" fill="none" stroke="{COLOURS[line.colour]}" stroke-width="14"/></g>{ring}</svg>'
    )


__all__ = ["finding_figures", "group_curves", "run_domain", "run_events", "series_figures", "sparkline"]
