"""Which curves of a run are drawn together, and with which marks: the charts of a finding and the small multiples of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tbdiag.render.chart import SPLIT_COLOUR, Frame, Line, describe, line_chart, line_of
from tbdiag.render.decimate import keep_extremes
from tbdiag.render.words import label, number, plural, step

CHARTS_PER_FINDING = 3
CHARTS_PER_RUN = 120
LAYERS_TO_STACK = 4
_PER_CLASS = ("prediction_share", "label_share", "class_metric")
_ORDER = ("loss", "metric", "reward", "lr", "grad_norm", "weight_norm", "update_ratio")

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


def _bands_and_events(finding: Mapping[str, Any]) -> tuple[list[tuple[int, int, str]], list[tuple[int, str]]]:
    """Onset, bands and events of a finding: they hold for all of its charts."""
    bands, events = [], []
    onset = _drawn_onset(finding)
    if onset:
        bands.append((onset["first_step"], onset["last_step"], "onset"))
    for mark in (m for e in finding["evidence"] for m in e.get("marks") or ()):
        at, label = mark.get("step"), str(mark.get("label") or "")
        if mark["kind"] == "band" and at is not None:
            bands.append((at, mark.get("last_step") or at, label))
        elif mark["kind"] == "event" and at is not None:
            events.append((at, label))
    return list(dict.fromkeys(bands)), list(dict.fromkeys(events))


def _drawn_onset(finding: Mapping[str, Any]) -> Mapping[str, int] | None:
    """A finding's onset on the axis that the curves are drawn on."""
    onset: Mapping[str, int] | None = finding["drawn_onset"] or finding["onset"]
    return onset


def _of_group(finding: Mapping[str, Any], tags: set[str]) -> tuple[list[tuple[float, str]], dict[str, tuple[int, float]]]:
    """Levels, and best points by tag, that the evidence marks on these series."""
    levels: list[tuple[float, str]] = []
    best: dict[str, tuple[int, float]] = {}
    for evidence in finding["evidence"]:
        first = next((s for s in evidence["series"] if s in tags), None)
        if first is None or first != evidence["series"][0]:
            continue
        for mark in evidence.get("marks") or ():
            if mark["kind"] == "level" and mark.get("value") is not None:
                levels.append((mark["value"], str(mark.get("label") or "")))
            elif mark["kind"] == "best" and mark.get("step") is not None and mark.get("value") is not None:
                best.setdefault(first, (mark["step"], mark["value"]))
    return list(dict.fromkeys(levels)), best


def finding_figures(run: Mapping[str, Any], finding: Mapping[str, Any], run_index: int, *, narrow: bool = True) -> list[dict[str, Any]]:
    """Charts of exactly the series that prove a finding, onset, best point and events drawn in.

    Returns:
        Mappings with ``svg``, ``narrow`` (the same for small screens, ``""`` unless asked for), ``rows`` (the legend) and
        ``caption`` (of stacks).
    """
    from tbdiag.render.stack import histogram_stack, layer_stack

    names = list(dict.fromkeys(s for e in finding["evidence"] for s in e["series"]))
    by_tag = {c["tag"]: (i, c) for i, c in enumerate(run["curves"])}
    chosen = [by_tag[n] for n in names if n in by_tag]
    orientation = ""
    if not names and finding["onset"] and (main := main_curve(run)) is not None:
        chosen = [(i, c) for i, c in enumerate(run["curves"]) if c["main"] and c["stem"] == main["stem"] and c["axis"] == main["axis"]]
        orientation = "For orientation: the finding rests on the log itself, not on these values."
    bands, events = _bands_and_events(finding)
    events = list(dict.fromkeys(run_events(run) + events))
    lr = _lr(run)
    out: list[dict[str, Any]] = []
    for group in _layers_together(group_curves(chosen))[:CHARTS_PER_FINDING]:
        if len(group) >= LAYERS_TO_STACK:
            stack = layer_stack([c for _, c in group])
            out += [stack] if stack else []
            continue
        levels, best = _of_group(finding, {c["tag"] for _, c in group})
        lines = [replace(li, best=best.get(c["tag"], li.best)) for li, (_, c) in zip(_lines(group, run_index), group, strict=True)]
        strip = lr if not out and all(line.role != "lr" for line in lines) else None
        frame = Frame(
            width=600,
            height=264 if strip else 236,
            font=11,
            axis=group[0][1]["axis"],
            bands=bands,
            events=events,
            levels=levels,
            domain=run_domain(run),
            strip=strip,
        )
        figure = {**_figure(lines, group, frame), "caption": orientation}
        if narrow:
            small = replace(frame, width=330, height=216 if strip else 190, font=10)
            figure["narrow"] = _figure(lines, group, small)["svg"]
        out.append(figure)
    views = [v for v in run["histograms"] if v["tag"] in names]
    stack = histogram_stack(views) if views and len(out) < CHARTS_PER_FINDING else None
    return [*out, stack] if stack else out


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


def _place(pair: tuple[int, dict[str, Any]]) -> tuple[bool, int, int]:
    """Main series first: losses, metrics, learning rate, norms; then the order of the report."""
    index, curve = pair
    known = next((k for k, word in enumerate(_ORDER) if str(curve["role"]).endswith(word)), len(_ORDER))
    return not curve["main"], known, index


def series_figures(run: Mapping[str, Any], run_index: int, *, limit: int = CHARTS_PER_RUN) -> tuple[list[dict[str, Any]], int]:
    """Small multiples of all curves of a run, main ones first, and how many curves were left out."""
    stacked = {id(c) for curves in layers(run) for c in curves}
    order = sorted(((i, c) for i, c in enumerate(run["curves"]) if id(c) not in stacked), key=_place)
    groups = group_curves(order)
    heads = [f for f in run["findings"] if f.get("caused_by") is None and f["onset"] and f["severity"] != "note"]
    out = []
    for group in groups[:limit]:
        tags = {c["tag"] for _, c in group}
        bands = [
            (onset["first_step"], onset["last_step"], "")
            for f in heads
            if (onset := _drawn_onset(f)) and tags & {s for e in f["evidence"] for s in e["series"]}
        ]
        lines = _lines(group, run_index)
        frame = Frame(
            axis=group[0][1]["axis"],
            bands=list(dict.fromkeys(bands))[:3],
            events=[(s, "") for s, _ in run_events(run)],
            domain=run_domain(run),
        )
        out.append(_figure(lines, group, frame))
    return out, sum(len(g) for g in groups[limit:])


def layers(run: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """Curves that are drawn as one stack: four or more layers, or classes, of one quantity."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for curve in run["curves"]:
        if curve["layer"] and curve["split"] in ("none", "train"):
            groups.setdefault((curve["role"], curve["stem"]), []).append(curve)
        elif curve["role"].endswith(_PER_CLASS):
            groups.setdefault((curve["role"], curve["tag"].rpartition("/")[0]), []).append(curve)
    return [group for group in groups.values() if len(group) >= LAYERS_TO_STACK]


def stack_figures(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Stacks of the run: per-layer scalars, then histograms by role."""
    from tbdiag.render.stack import histogram_stack, layer_stack

    by_role: dict[str, list[dict[str, Any]]] = {}
    for view in run["histograms"]:
        by_role.setdefault(view["role"], []).append(view)
    made = [layer_stack(group) for group in layers(run)] + [histogram_stack(views) for views in by_role.values()]
    return [figure for figure in made if figure]


def _figure(lines: Sequence[Line], group: Group, frame: Frame) -> dict[str, Any]:
    from markupsafe import Markup

    rows = [
        {
            "tag": curve["tag"],
            "role": curve["role"],
            "colour": line.colour,
            "first": number(_first(curve)),
            "best": number(line.best[1]) if line.best else "",
            "best_step": step(line.best[0]) if line.best else "",
            "last": number(_last(curve)),
            "n": plural(curve["n"] or len(curve["steps"]), "point"),
            "bad": len(curve["nonfinite"]),
        }
        for line, (_, curve) in zip(lines, group, strict=True)
    ]
    named = [replace(line, label=line.label or row["tag"]) for line, row in zip(lines, rows, strict=True)]
    svg = line_chart(lines, replace(frame, label=describe(named, frame)))
    return {"svg": Markup(svg), "narrow": "", "rows": rows, "caption": ""}  # noqa: S704 - built from escaped parts


def _first(curve: Mapping[str, Any]) -> float | None:
    return next((v for v in curve["values"] if v is not None), None)


def _last(curve: Mapping[str, Any]) -> float | None:
    return next((v for v in reversed(curve["values"]) if v is not None), None)


MAIN_ROLES = ("val_loss", "train_loss", "val_metric", "reward", "train_reward", "train_metric", "loss")
OVERLAY_RUNS = 60


def main_curve(run: Mapping[str, Any], roles: Sequence[str] = MAIN_ROLES) -> dict[str, Any] | None:
    """The curve that tells most about a run: its validation loss, else the next of `roles` that was logged."""
    curves = [c for c in run["curves"] if c["role"] in roles and any(v is not None for v in c["values"])]
    return min(curves, key=lambda c: (roles.index(c["role"]), not c["main"]), default=None)


def overlay_figure(runs: Sequence[Mapping[str, Any]], *, highlight: Sequence[int] | None = None) -> dict[str, Any] | None:
    """The main curve of several runs in one chart: the highlighted ones named and coloured, the others faint.

    Args:
        runs: runs of a prepared report.
        highlight: indices to name, at most four; by default the run with the best value and the first one (the worst).

    Returns:
        ``svg``, ``narrow`` (for small screens) and ``caption``, or None where fewer than two runs logged the same quantity.
    """
    from markupsafe import Markup

    per_role: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for role in MAIN_ROLES:
        per_role[role] = [(i, c) for i, run in enumerate(runs) if (c := main_curve(run, (role,))) is not None]
    most = max(map(len, per_role.values()))
    role, chosen = next((role, found) for role, found in per_role.items() if len(found) * 2 >= most)
    if len(chosen) < 2:
        return None
    rated = {i: point for i, c in chosen if (point := line_of(c).best)}
    pick = max if chosen[0][1]["direction"] == "higher" else min
    best = pick(rated, key=lambda i: rated[i][1], default=None)
    wanted: Sequence[int | None] = highlight or [chosen[0][0], best]
    named = list(dict.fromkeys(i for i in wanted if i is not None))[:4]
    others = [pair for pair in chosen if pair[0] not in named]
    room = min(len(others), OVERLAY_RUNS - len(named))
    shown = [others[k * len(others) // room] for k in range(room)] + [pair for pair in chosen if pair[0] in named]
    lines = []
    for i, curve in shown:
        kept = keep_extremes(curve["values"], 80)
        line = line_of(curve, "", label(runs[i]) if i in named else "", (named.index(i) + 1) % 4 if i in named else 4)
        steps, values = [line.steps[k] for k in kept], [line.values[k] for k in kept]
        lines.append(
            replace(
                line, steps=steps, values=values, n=len(steps), best=line.best if i == best else None, nonfinite=(), faint=i not in named
            )
        )
    drawn = f"{len(shown)} of {plural(len(chosen), 'run')}" if len(shown) < len(chosen) else plural(len(shown), "run")
    words = f"{role.replace('_', ' ')} of {drawn}"
    if best is not None:
        words += f"; best: {label(runs[best])} with {number(rated[best][1])} at {step(rated[best][0])}"
    if len(named) > 1 and named[0] != best:
        words += f"; first in the table: {label(runs[named[0]])}"
    frame = Frame(
        width=1000,
        height=250,
        font=12,
        dots=False,
        axis=shown[0][1]["axis"],
        label=f"{words}. {describe([li for li in lines if li.label])}",
    )
    caption = f"{words[:1].upper()}{words[1:]}."
    small = replace(frame, width=330, height=200, font=10)
    return {"svg": Markup(line_chart(lines, frame)), "narrow": Markup(line_chart(lines, small)), "caption": caption}  # noqa: S704


def sparkline(run: Mapping[str, Any]) -> str:
    """A small chart of the run's most telling curve for tables, ``""`` where there is none."""
    from markupsafe import Markup

    curve = main_curve(run)
    if curve is None:
        return ""
    return Markup(_spark(line_of(curve), run, curve["tag"]))  # noqa: S704 - built from escaped parts


def _spark(line: Line, run: Mapping[str, Any], tag: str) -> str:
    from html import escape

    from tbdiag.render.chart import BAND, COLOURS, path_data
    from tbdiag.render.scale import Scale, suits_log, tame, value_range

    kept = keep_extremes(line.values, 60)
    values_kept = [None if (v := line.values[i]) is None else tame(v) for i in kept]
    line = replace(line, steps=[line.steps[i] for i in kept], values=values_kept, label=tag)
    values = [v for v in line.values if v is not None]
    log = suits_log(values, line.role, line.log)
    lo, hi, _ = value_range(values, log=log, keep=[line.best[1]] if line.best else ())
    first, last = line.steps[0], line.steps[-1]
    x, y = Scale(first, last if last > first else first + 1, 3, 117), Scale(lo, hi, 25, 3, log)
    band = ""
    head = next((f for f in run["findings"] if f.get("caused_by") is None and f["onset"] and f["severity"] != "note"), None)
    if head and (onset := _drawn_onset(head)):
        a, b = x.place(onset["first_step"]), x.place(onset["last_step"])
        band = f'<rect class="bd" x="{a:.0f}" y="0" width="{max(b - a, 2):.0f}" height="28" fill="{BAND}" fill-opacity=".3"/>'
    ring = ""
    if line.best and y.lo <= line.best[1] <= y.hi:
        ring = f'<circle class="f{line.colour}" cx="{x.place(line.best[0]):.0f}" cy="{y.place(line.best[1]):.0f}" r="2.5" fill="{COLOURS[line.colour]}"/>'
    label = escape(describe([line]), quote=True)
    return (
        f'<svg class="sp" viewBox="0 0 120 28" width="120" height="28" role="img" aria-label="{label}">{band}<g transform="scale(.1)">'
        f'<path class="c{line.colour}" d="{path_data(line, x, y)}" fill="none" stroke="{COLOURS[line.colour]}" stroke-width="14"/></g>{ring}</svg>'
    )


__all__ = [
    "finding_figures",
    "group_curves",
    "layers",
    "main_curve",
    "overlay_figure",
    "run_domain",
    "run_events",
    "series_figures",
    "sparkline",
    "stack_figures",
]
