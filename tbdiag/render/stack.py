"""Stacks of rows over one step axis, one row a layer in order of depth: histograms over time, and per-layer scalars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tbdiag.render.chart import COLOURS, GREY, GRID, Line, path_data
from tbdiag.render.decimate import keep_extremes
from tbdiag.render.scale import Scale, nice_ticks, suits_log, tame
from tbdiag.render.words import minus, number, plural, step, tick

WIDTH, ROW, LEFT, RIGHT, TOP, BOTTOM, FONT = 640, 36, 124, 104, 6, 22, 11
ROWS = 40
"""Most rows of a stack; deeper layers in between are left out evenly."""
ROW_POINTS = 80


def by_depth(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items in order of depth (unknown depth last), then by tag; of more than `ROWS` an even selection."""
    ordered = sorted(items, key=lambda i: (i["depth"] is None, i["depth"] or 0, i["tag"]))
    if len(ordered) <= ROWS:
        return ordered
    return [ordered[round(k * (len(ordered) - 1) / (ROWS - 1))] for k in range(ROWS)]


def histogram_stack(views: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Histograms of one role over time: per layer the middle half dark, the middle 90 % light, the median as a line.

    Each row has its own scale, written at its right, so that layers whose values differ by orders of magnitude stay readable.

    Returns:
        ``svg`` and ``caption``, or None where no histogram has finite quantiles.
    """
    rows = [(v, p) for v, p in ((v, _points(v)) for v in by_depth([v for v in views if v["steps"]])) if p]
    if not rows:
        return None
    x = _steps([s for _, points in rows for s, _ in points])
    out, said = [], []
    for place, (view, points) in enumerate(rows):
        top = TOP + place * ROW
        reach = max(max(abs(q[1]), abs(q[5])) for _, q in points) or 1.0
        low, high = min(q[1] for _, q in points), max(q[5] for _, q in points)
        lo, hi = (low - 0.02 * reach if low < 0 else min(low, 0.0)), (high if high > low else low + reach)
        y = Scale(lo, hi if hi > lo else lo + 1.0, top + ROW - 3.0, top + 3.0)
        out.append(_band(points, x, y, (1, 5), ".22") + _band(points, x, y, (2, 4), ".4"))
        median = Line([s for s, _ in points], [q[3] for _, q in points])
        out.append(
            f'<g transform="scale(.1)"><path class="c0" d="{path_data(median, x, y)}" fill="none" stroke="{COLOURS[0]}" stroke-width="12"/></g>'
        )
        zero = next((z for z in reversed(view["zero"]) if z is not None), None)
        side = [f"\u00b1{_short(high)}" if abs(low + high) < 0.1 * reach else f"{_short(low)} to {_short(high)}"] + (
            [f"{100 * zero:.0f} % zero"] if zero is not None and zero >= 0.05 else []
        )
        out.append(_row_text(view["layer"] or view["tag"], side, top))
        first, last = points[0], points[-1]
        said.append(
            f"{view['layer'] or view['tag']}: median {number(first[1][3], 3)} at {step(first[0])}, {number(last[1][3], 3)} at {step(last[0])}"
        )
    role = str(rows[0][0]["role"]).replace("_", " ").removesuffix(" histogram")
    hidden = len(views) - len(rows)
    caption = (
        f"{role.capitalize()}s of {plural(len(rows), 'layer')}, input first: median (line), middle half (dark) and middle 90 % (light) "
        "of the values; each row has its own scale, written at its right."
    )
    if hidden:
        caption += f" {plural(hidden, 'more histogram')} not drawn."
    return _stack(out, len(rows), x, f"{role} histograms over time. " + "; ".join(said), caption)


def layer_stack(curves: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The same scalar of several layers or classes over time, on one scale for all rows, logarithmic where it spans orders of magnitude."""
    finite_ones = [c for c in curves if any(v is not None for v in c["values"])]
    shown = by_depth([{**c, "values": [None if v is None else tame(v) for v in c["values"]]} for c in finite_ones])
    if not shown:
        return None
    values = [v for c in shown for v in c["values"] if v is not None]
    log = suits_log(values, shown[0]["role"], wanted=True)
    lo, hi = min(values), max(values)
    if hi <= lo:
        hi = lo + (abs(lo) or 1.0)
    x = _steps([s for c in shown for s in (c["steps"][0], c["steps"][-1])])
    out, said = [], []
    for place, curve in enumerate(shown):
        top = TOP + place * ROW
        y = Scale(lo, hi, top + ROW - 3.0, top + 3.0, log)
        kept = keep_extremes(curve["values"], ROW_POINTS)
        line = Line([curve["steps"][i] for i in kept], [curve["values"][i] for i in kept])
        out.append(
            f'<g transform="scale(.1)"><path class="c0" d="{path_data(line, x, y)}" fill="none" stroke="{COLOURS[0]}" stroke-width="13"/></g>'
        )
        finite = [v for v in curve["values"] if v is not None]
        name = curve["layer"] or curve["tag"].rpartition("/")[2]
        out.append(_row_text(name, [f"{_short(finite[0])} \u2192 {_short(finite[-1])}"], top))
        said.append(f"{name}: first {number(finite[0], 3)}, last {number(finite[-1], 3)}")
    role, what = str(shown[0]["role"]).replace("_", " "), "layer" if shown[0]["layer"] else "class"
    scale = f"{'logarithmic ' if log else ''}scale {number(lo, 2)} to {number(hi, 2)}"
    caption = f"{role.capitalize()} of {plural(len(shown), what)}{', input first' if what == 'layer' else ''}, all on one {scale}; first and last value at the right."
    if len(curves) > len(shown):
        caption += f" {plural(len(curves) - len(shown), 'more ' + what)} not drawn."
    return _stack(out, len(shown), x, f"{role} by {what}. " + "; ".join(said), caption)


def _short(value: float) -> str:
    """Two significant digits, in exponent form below a hundredth."""
    return tick(float(f"{value:.2g}")) if abs(value) >= 0.01 or value == 0 else minus(f"{value:.1e}".replace("e-0", "e-"))


def _points(view: Mapping[str, Any]) -> list[tuple[int, list[float]]]:
    pairs = zip(view["steps"], view["quantiles"], strict=True)
    return [(s, [tame(v) for v in q]) for s, q in pairs if len(q) == 7 and all(v is not None for v in q)]


def _steps(steps: Sequence[int]) -> Scale:
    first, last = min(steps), max(steps)
    return Scale(first, last if last > first else first + 1, LEFT, WIDTH - RIGHT)


def _band(points: Sequence[tuple[int, list[float]]], x: Scale, y: Scale, pick: tuple[int, int], opacity: str) -> str:
    low, high = pick
    there = [f"{x.place(s):.0f} {y.place(q[high]):.1f}" for s, q in points]
    back = [f"{x.place(s):.0f} {y.place(q[low]):.1f}" for s, q in reversed(points)]
    return f'<path class="f0" d="M{"L".join(there + back)}Z" fill="{COLOURS[0]}" fill-opacity="{opacity}"/>'


def _row_text(name: str, side: Sequence[str], top: int) -> str:
    most = round((LEFT - 8) / (FONT * 0.56))
    shown = name if len(name) <= most else f"\u2026{name[1 - most :]}"
    middle = top + ROW / 2 + FONT * 0.35
    start = middle - FONT * 0.6 * (len(side) - 1)
    lines = "".join(
        f'<text x="{WIDTH - RIGHT + 6}" y="{start + k * FONT * 1.2:.1f}" font-size="{FONT - 1}">{escape(text)}</text>'
        for k, text in enumerate(side)
    )
    return f'<g class="tx" fill="{GREY}"><text x="{LEFT - 8}" y="{middle:.1f}" text-anchor="end">{escape(shown)}</text>{lines}</g>'


def _stack(parts: Sequence[str], rows: int, x: Scale, label: str, caption: str) -> dict[str, Any]:
    from markupsafe import Markup

    height = TOP + rows * ROW + BOTTOM
    base = TOP + rows * ROW
    lines = "".join(f"M{LEFT} {TOP + k * ROW}H{WIDTH - RIGHT}" for k in range(1, rows))
    ticks = nice_ticks(x.lo, x.hi, 5, whole=True)
    texts = "".join(f'<text x="{x.place(v):.1f}" y="{base + FONT * 1.4:.1f}">{tick(v)}</text>' for v in ticks)
    svg = (
        f'<svg class="ch st" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="{escape(label, quote=True)}" '
        f'font-family="system-ui,sans-serif" font-size="{FONT}"><path class="gr" d="{lines}" stroke="{GRID}" fill="none"/>{"".join(parts)}'
        f'<path class="ax" d="M{LEFT} {base}H{WIDTH - RIGHT}" stroke="{GREY}" fill="none"/>'
        f'<g class="tx" fill="{GREY}" text-anchor="middle">{texts}</g></svg>'
    )
    return {"svg": Markup(svg), "narrow": "", "rows": [], "caption": caption}  # noqa: S704 - built from escaped parts


__all__ = ["by_depth", "histogram_stack", "layer_stack"]
