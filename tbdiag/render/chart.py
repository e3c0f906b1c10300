"""Line charts as SVG: every coordinate and colour is an attribute, so that they survive pages without styles or scripts.

Classes (``c0``, ``ax``, ``gr`` ...) let the page's style sheet replace the colours in dark mode. `line_chart` is also what other
pages use (``tbdiag compare`` draws several runs into one): give it `Line` objects.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from math import log10
from typing import TYPE_CHECKING, Any

from tbdiag.render.scale import Scale, nice_ticks, suits_log, tame, value_range
from tbdiag.render.words import interval, number, plural, step, tick

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

COLOURS = ("#1d5fd6", "#b4460f", "#0f766e", "#7c3aed", "#475569")
"""Line colours on white (contrast at least 5:1): training, validation, test, fourth, anything without a split."""
GREY, GRID, INK, BAND, BAND_INK = "#5b6470", "#e4e7ec", "#1b1f24", "#f5b942", "#7a4d00"
SPLIT_COLOUR = {"train": 0, "val": 1, "test": 2, "none": 4}


@dataclass(frozen=True, slots=True)
class Line:
    """One curve of a chart.

    Attributes:
        steps, values: the points to draw; None is a gap.
        label: short name at the line's end (``val``); colour: index into `COLOURS`.
        best: ``(step, value)`` to ring, or None.
        nonfinite: ``(step, "nan" | "inf" | "-inf")`` to mark.
        n: number of logged points, which decides whether points are drawn as dots.
        key: where the page's data hold the points, ``"run:curve"``.
    """

    steps: Sequence[int]
    values: Sequence[float | None]
    label: str = ""
    colour: int = 4
    role: str = ""
    best: tuple[int, float] | None = None
    nonfinite: Sequence[tuple[int, str]] = ()
    n: int = 0
    log: bool = False
    key: str = ""
    faint: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """Size and decoration of a chart; sizes in pixels.

    Attributes:
        bands: ``(first step, last step, label)``, drawn behind the lines.
        events: ``(step, label)``, vertical marks. levels: ``(value, label)``, horizontal ones.
        domain: step interval that charts of one run share, or None for that of the lines.
        strip: a learning rate to draw below the plot on the same steps.
        quiet: no labels at marks; dots: points of short curves as dots.
    """

    width: int = 320
    height: int = 150
    font: int = 10
    axis: str = "step"
    bands: Sequence[tuple[int, int, str]] = ()
    events: Sequence[tuple[int, str]] = ()
    levels: Sequence[tuple[float, str]] = ()
    domain: tuple[int, int] | None = None
    strip: Line | None = None
    label: str = ""
    quiet: bool = False
    dots: bool = True


def line_of(curve: dict[str, Any], key: str = "", label: str | None = None, colour: int | None = None) -> Line:
    """The `Line` of a report's curve."""
    split = curve["split"]
    finite = [v for v in curve["values"] if v is not None]
    best = None
    if finite and curve["direction"] in ("lower", "higher"):
        # the best drawn point: decimation keeps minimum and maximum, and a ring belongs on the line
        value = min(finite) if curve["direction"] == "lower" else max(finite)
        best = (curve["steps"][curve["values"].index(value)], value)
    return Line(
        curve["steps"],
        curve["values"],
        label=({"none": ""}.get(split, split)) if label is None else label,
        colour=SPLIT_COLOUR.get(split, 4) if colour is None else colour,
        role=curve["role"],
        best=best,
        nonfinite=[(int(s), str(k)) for s, k in curve["nonfinite"]],
        n=curve["n"] or len(curve["steps"]),
        log=bool(curve["log_scale"]),
        key=key,
    )


def _all_suit_log(lines: Sequence[Line]) -> bool:
    """Whether a logarithmic axis shows each of the curves better, or one quantity of several runs that lie decades apart.

    Training and validation of one run are no such pair: validation's turn would vanish behind training's decades.
    """
    values = [[v for v in line.values if v is not None] for line in lines]
    if not lines or any(not v for v in values):
        return False
    each = all(suits_log(v, line.role, line.log) for v, line in zip(values, lines, strict=True))
    return each or (len({line.role for line in lines}) == 1 and suits_log([x for v in values for x in v], lines[0].role, False))


def line_chart(lines: Sequence[Line], frame: Frame) -> str:
    """The chart as an ``<svg>`` element; `describe` is its text alternative unless the frame has a label."""
    from tbdiag.render.marks import draw_marks

    lines = [_tamed(line) for line in lines]
    finite = [v for line in lines for v in line.values if v is not None]
    log = _all_suit_log(lines)
    keep = [line.best[1] for line in lines if line.best] + [tame(v) for v, _ in frame.levels]
    starts = [v for line in lines for v in line.values[:2] if v is not None]
    lo, hi, clipped = value_range(finite, log=log, keep=keep, starts=starts)
    if lo < 0 and not log and finite and min(finite) >= 0:
        lo = 0.0  # what never goes below zero gets no axis below zero
    x, y = _axes(lines, frame, lo, hi, log)
    label = escape(frame.label or describe(lines, frame), quote=True)
    out = [
        f'<svg class="ch" viewBox="0 0 {frame.width} {frame.height}" width="{frame.width}" height="{frame.height}" role="img" '
        f'aria-label="{label}" font-family="system-ui,sans-serif" font-size="{frame.font}"'
    ]
    if any(line.key for line in lines):
        kind = "log" if log else "lin"
        out.append(
            f' data-c="{escape(" ".join(line.key for line in lines), quote=True)}" '
            f'data-x="{x.lo:.12g} {x.hi:.12g} {x.a:g} {x.b:g}" data-y="{y.lo:.9g} {y.hi:.9g} {y.a:g} {y.b:g} {kind}"'
        )
    out.append(">")
    out += _grid(x, y, frame)
    before, after = draw_marks(lines, x, y, frame, clipped=clipped)
    out += before
    out += _strip(_tamed(frame.strip) if frame.strip else None, x, y.a + 1.0, frame)
    out += [_path(line, x, y, frame) for line in lines]
    out += after
    if len(lines) > 1 or frame.levels:
        out += _end_labels(lines, y, x, frame)
    out.append("</svg>")
    return "".join(out)


def _tamed(line: Line) -> Line:
    values = [v for v in line.values if v is not None]
    lo, hi = min(values, default=0.0), max(values, default=0.0)
    reach = max(hi, -lo)
    if reach <= 1e150 and not 0 < reach < 1e-150 and not 0 < lo < 1e-150:
        return line
    best = (line.best[0], tame(line.best[1])) if line.best else None
    return replace(line, values=[None if v is None else tame(v) for v in line.values], best=best)


def describe(lines: Sequence[Line], frame: Frame | None = None) -> str:
    """The text alternative: first, best and last value of each line, what is marked."""
    parts = []
    for line in lines:
        name = line.label or line.role or "value"
        ends = [_first_point(line.steps, line.values), _first_point(line.steps[::-1], line.values[::-1])]
        if ends[0] is None or ends[1] is None:
            parts.append(f"{name}: no finite point")
            continue
        text = f"{name}: first {number(ends[0][1])} at {step(ends[0][0])}"
        if line.best:
            text += f", best {number(line.best[1])} at {step(line.best[0])}"
        text += f", last {number(ends[1][1])} at {step(ends[1][0])}"
        if line.nonfinite:
            text += f", {plural(len(line.nonfinite), 'non-finite value')} from {step(line.nonfinite[0][0])}"
        parts.append(text)
    for first, last, label in frame.bands if frame else ():
        if label:
            parts.append(f"{label} {interval({'first_step': first, 'last_step': last})}")
    return "; ".join(parts)


def _first_point(steps: Sequence[int], values: Sequence[float | None]) -> tuple[int, float] | None:
    return next(((s, v) for s, v in zip(steps, values, strict=True) if v is not None), None)


def base_line(frame: Frame) -> int:
    """Pixel row of the step axis."""
    return frame.height - round(frame.font * 1.9)


def _axes(lines: Sequence[Line], frame: Frame, lo: float, hi: float, log: bool) -> tuple[Scale, Scale]:
    steps = [s for line in lines if line.steps for s in (line.steps[0], line.steps[-1])]
    steps += [s for line in lines for s, _ in line.nonfinite]
    first, last = (min(steps), max(steps)) if steps else (0, 1)
    if frame.domain:
        first, last = min(first, frame.domain[0]), max(last, frame.domain[1])
    if last <= first:
        first, last = first - 1, last + 1
    at_edge = [line for line in lines if (end := last_step(line)) is not None and end > last - 0.08 * (last - first)]
    longest = max((len(line.label) for line in at_edge), default=0) if len(lines) > 1 else 0
    longest = max([longest, *(len(label) for _, label in frame.levels)])
    right = frame.width - (min(round(longest * frame.font * 0.62) + 12, frame.width // 4) if longest else round(frame.font * 0.9))
    strip = round(frame.font * 2.9) if frame.strip else 0
    lane = round(frame.font * 0.9) if any(line.nonfinite for line in lines) else 0
    y = Scale(lo, hi, base_line(frame) - strip - 1.0, round(frame.font * 1.6) + float(lane), log)
    # Room for the longest label: a curve that hardly moves needs five digits to tell its ticks apart.
    digits = max((len(text) for _, text in y.ticks(_ticks(frame))), default=0)
    return Scale(first, last, max(round(frame.font * 4.3), round(digits * frame.font * 0.58) + 8), right), y


def _ticks(frame: Frame) -> int:
    return 4 if frame.height > 180 else 3


def _grid(x: Scale, y: Scale, frame: Frame) -> list[str]:
    base, font = base_line(frame), frame.font
    labels = y.ticks(_ticks(frame))
    path = "".join(f"M{x.a:g} {y.place(v):.1f}H{x.b:g}" for v, _ in labels)
    out = [f'<path class="gr" d="{path}" stroke="{GRID}" fill="none"/>']
    out.append(f'<g class="tx" fill="{GREY}" text-anchor="end">')
    out += [f'<text x="{x.a - 5:g}" y="{y.place(v) + font * 0.35:.1f}">{text}</text>' for v, text in labels]
    if y.log:
        out.append(f'<text x="{x.a - 5:g}" y="{font}" font-size="{font - 1}">log</text>')
    unit = f"{frame.axis}s".replace("_", " ")
    edge = frame.width - 2 - len(unit) * font * 0.55
    out.append(
        f'<text x="{frame.width - 2}" y="{base + font * 1.35:.1f}">{unit}</text></g><g class="tx" fill="{GREY}" text-anchor="middle">'
    )
    marks = nice_ticks(x.lo, x.hi, max(2, round((x.b - x.a) / (font * (8 if frame.height > 180 else 6.2)))), whole=True)
    texts = [tick(v) for v in marks]
    if len(set(texts)) < len(texts):  # 100,001 and 100,002 would both say 100k
        texts = [step(v) for v in marks]
    for i, (v, text) in enumerate(zip(marks, texts, strict=True)):
        px = x.place(v)
        if px + len(text) * font * 0.3 + 3 < edge:
            odd = ' class="o"' if i % 2 else ""
            out.append(f'<text x="{px:.1f}" y="{base + font * 1.35:.1f}"{odd}>{text}</text>')
    ticks = "".join(f"M{x.place(v):.1f} {base}v3" for v in marks)
    return [*out, f'</g><path class="ax" d="M{x.a:g} {base}H{x.b:g}{ticks}" stroke="{GREY}" fill="none"/>']


def _strip(line: Line | None, x: Scale, top: float, frame: Frame) -> list[str]:
    """The learning rate below the plot: its own height, the same steps."""
    values = [v for v in line.values if v is not None] if line else []
    if line is None or not values:
        return []
    bottom = base_line(frame)
    log = min(values) > 0 and max(values) / min(values) >= 1000
    lo, hi = (min(values) * 0.8, max(values) * 1.2) if log else (min(0.0, *values), max(values) * 1.1 or 1.0)
    y = Scale(lo, hi, bottom - 1.0, top + frame.font * 0.9, log)
    path = path_data(line, x, y)
    area = f'<path class="la" d="{path}V{bottom * 10}H{round(x.place(line.steps[0]) * 10)}Z" fill="{COLOURS[4]}" fill-opacity=".12"/>'
    return [
        f'<path class="gr" d="M{x.a:g} {top + 3:g}H{x.b:g}" stroke="{GRID}" fill="none"/><g transform="scale(.1)">',
        "" if None in line.values else area,
        f'<path class="c4" d="{path}" fill="none" stroke="{COLOURS[4]}" stroke-width="12"/></g>',
        f'<text class="tx" x="{x.a - 5:g}" y="{frame.font * 0.35 + (y.a + y.b) / 2:.1f}" fill="{GREY}" text-anchor="end">lr</text>',
        f'<text class="tx hl" x="{x.b - 2:g}" y="{y.b + frame.font * 0.4:.1f}" fill="{GREY}" text-anchor="end" '
        f'font-size="{frame.font - 1}">max {number(max(values), 3)}</text>',
    ]


def path_data(line: Line, x: Scale, y: Scale) -> str:
    """Path data in tenths of a pixel, relative after each gap's first point; coordinates are whole numbers."""
    import numpy as np

    xs = (x.b - x.a) / (x.hi - x.lo) * 10
    columns = np.rint(x.a * 10 - x.lo * xs + np.array(line.steps, dtype=np.float64) * xs).astype(np.int64)
    value = np.array(line.values, dtype=np.float64)  # None becomes NaN
    inside = np.minimum(np.maximum(value, y.lo), y.hi)
    if y.log:
        base = log10(y.lo)
        ys = (y.b - y.a) / (log10(y.hi) - base) * 10
        rows = y.a * 10 + (np.log10(inside) - base) * ys
    else:
        ys = (y.b - y.a) / (y.hi - y.lo) * 10
        rows = y.a * 10 - y.lo * ys + inside * ys
    if None not in line.values:
        return _piece(columns, np.rint(rows).astype(np.int64))
    gaps = np.flatnonzero(np.isnan(value)).tolist()
    whole = np.rint(np.where(np.isnan(rows), 0.0, rows)).astype(np.int64)
    edges = itertools.pairwise([-1, *gaps, value.size])
    return "".join(_piece(columns[a + 1 : b], whole[a + 1 : b]) for a, b in edges)


def _piece(columns: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> str:
    import numpy as np

    if not columns.size:
        return ""
    if columns.size == 1:  # a line of no length, which its round cap makes visible
        return f"M{columns[0]} {rows[0]}l0 0"
    moves = np.diff(np.stack((columns, rows), axis=1), axis=0).ravel().tolist()
    # One call for the whole line: reports are mostly paths.
    return f"M{columns[0]} {rows[0]}l" + ("%d %d " * (columns.size - 1))[:-1] % tuple(moves)


def _path(line: Line, x: Scale, y: Scale, frame: Frame) -> str:
    big = frame.height > 180
    width = 18 if big else 14
    css = f"c{line.colour}"
    colour = COLOURS[line.colour]
    faint = ' stroke-opacity=".35"' if line.faint else ""
    out = [
        f'<g transform="scale(.1)"><path class="{css}" d="{path_data(line, x, y)}" fill="none" stroke="{colour}" stroke-width="{width}" '
        f'stroke-linejoin="round" stroke-linecap="round"{faint}/></g>'
    ]
    most = 60 if big else 30
    few = len(line.values) <= 4 * most and frame.dots and not line.faint
    points = [(s, v) for s, v in zip(line.steps, line.values, strict=True) if v is not None] if few else []
    if points and len(points) <= most:
        r = 2.4 if big else 1.8
        dots = "".join(f"M{x.place(s) - r:.1f} {y.place(v):.1f}a{r} {r} 0 1 0 {2 * r:g} 0a{r} {r} 0 1 0 -{2 * r:g} 0" for s, v in points)
        out.append(f'<path class="f{line.colour}" d="{dots}" fill="{colour}"/>')
    return "".join(out)


def last_step(line: Line) -> int | None:
    """Step of a line's last finite point."""
    return next((s for s, v in zip(reversed(line.steps), reversed(line.values), strict=True) if v is not None), None)


def ends_early(line: Line, x: Scale) -> bool:
    """Whether a line ends so far left of the plot's edge that its name belongs at its end."""
    last = last_step(line)
    return last is not None and last <= x.hi - 0.08 * (x.hi - x.lo)


def _end_labels(lines: Sequence[Line], y: Scale, x: Scale, frame: Frame) -> list[str]:
    """Names at the right ends of the lines, pushed apart so that they do not overlap."""
    wanted: list[list[Any]] = []
    for line in lines:
        last = next((v for v in reversed(line.values) if v is not None), None)
        if line.label and last is not None and not ends_early(line, x):
            wanted.append([y.place(last), line.label, f"t{line.colour}", COLOURS[line.colour]])
    wanted += [[y.place(v), text, "tx", GREY] for v, text in frame.levels if text]
    wanted.sort(key=lambda w: w[0])
    for a, b in itertools.pairwise(wanted):
        b[0] = max(b[0], a[0] + frame.font * 1.1)
    over = wanted[-1][0] - y.a if wanted else 0
    shift = max(0.0, over)
    most = max(1, int((frame.width - x.b - 8) / (frame.font * 0.6)))
    return [
        f'<text class="{css}" x="{x.b + 5:g}" y="{py - shift + frame.font * 0.35:.1f}" fill="{colour}">'
        f"{escape(text if len(text) <= most else chr(0x2026) + text[len(text) - most + 1 :])}</text>"
        for py, text, css, colour in wanted
    ]


__all__ = ["COLOURS", "SPLIT_COLOUR", "Frame", "Line", "describe", "ends_early", "line_chart", "line_of", "path_data"]
