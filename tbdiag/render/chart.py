"""Line charts as SVG: every coordinate and colour is an attribute, so that they survive pages without styles or scripts.

Classes (``c0``, ``ax``, ``gr`` ...) let the page's style sheet replace the colours in dark mode. `line_chart` is also what other
pages use (``tbdiag compare`` draws several runs into one): give it `Line` objects.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from tbdiag.render.scale import Scale, nice_ticks, suits_log, value_range
from tbdiag.render.words import interval, number, plural, step, tick

COLOURS = ("#1d5fd6", "#b4460f", "#0f766e", "#7c3aed", "#475569")
"""Line colours on white (contrast at least 5:1): training, validation, test, fourth, anything without a split."""
GREY, GRID, INK, BAND, BAND_INK = "#5b6470", "#e4e7ec", "#1b1f24", "#f5b942", "#7a4d00"
_INKS = {"tx": GREY, "bt": BAND_INK, **{f"t{i}": c for i, c in enumerate(COLOURS)}}
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
    quiet: bool = field(default=False)


def line_of(curve: dict[str, Any], key: str = "", label: str | None = None, colour: int | None = None) -> Line:
    """The `Line` of a report's curve."""
    split = curve["split"]
    best = (curve["best_step"], curve["best"]) if curve["best"] is not None and curve["best_step"] is not None else None
    return Line(
        curve["steps"],
        curve["values"],
        label=({"none": ""}.get(split, split)) if label is None else label,
        colour=SPLIT_COLOUR.get(split, 4) if colour is None else colour,
        role=curve["role"],
        best=best if curve["direction"] != "none" else None,
        nonfinite=[(int(s), str(k)) for s, k in curve["nonfinite"]],
        n=curve["n"] or len(curve["steps"]),
        log=bool(curve["log_scale"]),
        key=key,
    )


def line_chart(lines: Sequence[Line], frame: Frame) -> str:
    """The chart as an ``<svg>`` element; `describe` is its text alternative unless the frame has a label."""
    finite = [v for line in lines for v in line.values if v is not None]
    log = bool(lines) and all(suits_log([v for v in line.values if v is not None], line.role, line.log) for line in lines)
    keep = [line.best[1] for line in lines if line.best] + [v for v, _ in frame.levels]
    lo, hi, clipped = value_range(finite, log=log, keep=keep)
    if not log:
        lo = _not_below_zero(lo, finite)
    x, strip_top, y = _axes(lines, frame, lo, hi, log)
    label = escape(frame.label or describe(lines, frame), quote=True)
    out = [
        f'<svg class="ch" viewBox="0 0 {frame.width} {frame.height}" width="{frame.width}" height="{frame.height}" role="img" '
        f'aria-label="{label}" font-family="system-ui,sans-serif" font-size="{frame.font}"'
    ]
    if any(line.key for line in lines):
        kind = "log" if log else "lin"
        out.append(
            f' data-c="{escape(" ".join(line.key for line in lines), quote=True)}" data-k="{" ".join(str(line.colour) for line in lines)}" '
            f'data-x="{x.lo:g} {x.hi:.12g} {x.a:g} {x.b:g}" data-y="{y.lo:.9g} {y.hi:.9g} {y.a:g} {y.b:g} {kind}"'
        )
    out.append(">")
    out += _grid(x, y, frame, strip_top)
    out += _bands(x, y, frame)
    out += _strip(frame.strip, x, strip_top, frame)
    for line in lines:
        out.append(_path(line, x, y, frame))
    if clipped:
        out += _clip_marks(lines, x, y, frame)
    out += _nonfinite_marks(lines, x, y, frame)
    out += _best_marks(lines, x, y, frame)
    if len(lines) > 1 or frame.levels:
        out += _end_labels(lines, y, x, frame)
    out.append("</svg>")
    return "".join(out)


def describe(lines: Sequence[Line], frame: Frame | None = None) -> str:
    """The text alternative: first, best and last value of each line, what is marked."""
    parts = []
    for line in lines:
        points = [(s, v) for s, v in zip(line.steps, line.values, strict=False) if v is not None]
        name = line.label or line.role or "value"
        if not points:
            parts.append(f"{name}: no finite point")
            continue
        text = f"{name}: first {number(points[0][1])} at {step(points[0][0])}"
        if line.best:
            text += f", best {number(line.best[1])} at {step(line.best[0])}"
        text += f", last {number(points[-1][1])} at {step(points[-1][0])}"
        if line.nonfinite:
            text += f", {plural(len(line.nonfinite), 'non-finite value')} from {step(line.nonfinite[0][0])}"
        parts.append(text)
    for first, last, label in frame.bands if frame else ():
        parts.append(f"{label} {interval({'first_step': first, 'last_step': last})}")
    return "; ".join(parts)


def _not_below_zero(lo: float, finite: Sequence[float]) -> float:
    """Curves that never go below zero get no axis below zero."""
    return 0.0 if lo < 0 and finite and min(finite) >= 0 else lo


def _axes(lines: Sequence[Line], frame: Frame, lo: float, hi: float, log: bool) -> tuple[Scale, float, Scale]:
    steps = [s for line in lines for s in (line.steps[:1] or ()) or ()] + [line.steps[-1] for line in lines if line.steps]
    steps += [s for line in lines for s, _ in line.nonfinite]
    first, last = (min(steps), max(steps)) if steps else (0, 1)
    if frame.domain:
        first, last = min(first, frame.domain[0]), max(last, frame.domain[1])
    if last <= first:
        first, last = first - 1, last + 1
    left = round(frame.font * 4.3)
    longest = max((len(line.label) for line in lines), default=0) if len(lines) > 1 else 0
    longest = max([longest, *(len(label) for _, label in frame.levels)])
    right = frame.width - (min(round(longest * frame.font * 0.6) + 10, frame.width // 4) if longest else round(frame.font * 0.9))
    strip = round(frame.font * 2.9) if frame.strip else 0
    top, bottom = round(frame.font * 1.6), frame.height - round(frame.font * 1.9)
    plot_bottom = bottom - strip
    return Scale(first, last, left, right), float(plot_bottom), Scale(lo, hi, plot_bottom - 1.0, float(top), log)


def _grid(x: Scale, y: Scale, frame: Frame, plot_bottom: float) -> list[str]:
    out = []
    base = frame.height - round(frame.font * 1.9)
    labels = y.ticks(4 if frame.height > 180 else 3)
    path = "".join(f"M{x.a:g} {y.place(v):.1f}H{x.b:g}" for v, _ in labels)
    out.append(f'<path class="gr" d="{path}" stroke="{GRID}" fill="none"/>')
    out.append(f'<path class="ax" d="M{x.a:g} {base}H{x.b:g}" stroke="{GREY}" fill="none"/>')
    out.append(f'<g class="tx" fill="{GREY}" text-anchor="end">')
    out += [f'<text x="{x.a - 5:g}" y="{y.place(v) + frame.font * 0.35:.1f}">{text}</text>' for v, text in labels]
    if y.log:
        out.append(f'<text x="{x.a - 5:g}" y="{y.b - frame.font * 0.55:.1f}" class="sm" font-size="{frame.font - 1}">log</text>')
    out.append(f'</g><g class="tx" fill="{GREY}" text-anchor="middle">')
    unit = f" {frame.axis}s".replace("_", " ")
    marks = nice_ticks(x.lo, x.hi, max(2, round((x.b - x.a) / (frame.font * 9))), whole=True)
    texts = [tick(v) for v in marks]
    if len(set(texts)) < len(texts):  # 100,001 and 100,002 both say 100k
        texts = [step(v) for v in marks]
    for i, (v, text) in enumerate(zip(marks, texts, strict=False)):
        px = x.place(v)
        last = i == len(marks) - 1
        shown = text + (unit if last else "")
        anchor = ""
        half = len(shown) * frame.font * 0.28
        if px + half > frame.width - 2:
            anchor, px = ' text-anchor="end"', frame.width - 2
        odd = ' class="o"' if i % 2 and not last else ""
        out.append(f'<text x="{px:.1f}" y="{base + frame.font * 1.35:.1f}"{anchor}{odd}>{shown}</text>')
    out.append("</g>")
    ticks = "".join(f"M{x.place(v):.1f} {base}v3" for v in marks)
    out.append(f'<path class="ax" d="{ticks}" stroke="{GREY}" fill="none"/>')
    return out


def _bands(x: Scale, y: Scale, frame: Frame) -> list[str]:
    out = []
    top, bottom = y.b, y.a
    for first, last, label in frame.bands:
        a, b = x.place(first), x.place(last)
        if b - a < 3:
            a, b = max(x.a, (a + b) / 2 - 1.5), min(x.b, (a + b) / 2 + 1.5)
        out.append(
            f'<rect class="bd" x="{a:.1f}" y="{top:g}" width="{b - a:.1f}" height="{bottom - top:g}" fill="{BAND}" fill-opacity=".28"/>'
        )
        if label and not frame.quiet:
            out.append(_label(((a + b) / 2, top - 4), f"{label} {interval({'first_step': first, 'last_step': last})}", x, frame, "bt"))
    shown = 0
    for at, label in frame.events:
        if not x.lo <= at <= x.hi:
            continue
        px = x.place(at)
        out.append(f'<path class="ev" d="M{px:.1f} {bottom:g}V{top:g}" stroke="{GREY}" stroke-dasharray="2 3" fill="none"/>')
        if label and not frame.quiet and shown < 3:
            out.append(_label((px, top + frame.font * (1 + 1.2 * shown)), label, x, frame, "tx", side=True))
            shown += 1
    for value, _label_text in frame.levels:
        if y.lo <= value <= y.hi:
            out.append(f'<path class="lv" d="M{x.a:g} {y.place(value):.1f}H{x.b:g}" stroke="{GREY}" stroke-dasharray="6 4" fill="none"/>')
    return out


def _label(at: tuple[float, float], text: str, x: Scale, frame: Frame, css: str, *, side: bool = False) -> str:
    """A text that stays inside the plot: beside the point if `side`, else centred on it."""
    px, py = at
    most = max(8, int((x.b - x.a) / (frame.font * 0.6)))
    text = text if len(text) <= most else text[: most - 1] + "\u2026"
    width = len(text) * frame.font * 0.55
    if side:
        anchor, px = ("end", px - 4) if px + width + 4 > x.b else ("start", px + 4)
    else:
        anchor, px = "middle", min(max(px, x.a + width / 2), frame.width - width / 2 - 2)
    return f'<text class="{css} hl" x="{px:.1f}" y="{py:.1f}" fill="{_INKS[css]}" text-anchor="{anchor}">{escape(text)}</text>'


def _strip(line: Line | None, x: Scale, top: float, frame: Frame) -> list[str]:
    """The learning rate below the plot: its own height, the same steps."""
    if line is None:
        return []
    bottom = frame.height - round(frame.font * 1.9)
    values = [v for v in line.values if v is not None]
    if not values:
        return []
    log = suits_log(values, "lr", False) and max(values) / min(values) >= 1000
    lo, hi = (min(values) * 0.8, max(values) * 1.2) if log else (min(0.0, *values), max(values) * 1.1 or 1.0)
    y = Scale(lo, hi, bottom - 1.0, top + frame.font * 0.9, log)
    path = path_data(line, x, y)
    at = frame.font * 0.35 + (y.a + y.b) / 2
    area = f"{path}V{bottom * 10}H{round(x.place(line.steps[0]) * 10)}Z" if None not in line.values else ""
    peak = f"{number(max(values), 3)}"
    return [
        f'<path class="ax" d="M{x.a:g} {top + 3:g}H{x.b:g}" stroke="{GRID}" fill="none"/>',
        '<g transform="scale(.1)">' + (f'<path class="la" d="{area}" fill="{COLOURS[4]}" fill-opacity=".12"/>' if area else ""),
        f'<path class="c4" d="{path}" fill="none" stroke="{COLOURS[4]}" stroke-width="12"/></g>',
        f'<text class="tx" x="{x.a - 5:g}" y="{at:.1f}" fill="{GREY}" text-anchor="end">lr</text>',
        f'<text class="tx hl" x="{x.b - 2:g}" y="{y.b + frame.font * 0.2:.1f}" fill="{GREY}" text-anchor="end" font-size="{frame.font - 1}">max {peak}</text>',
    ]


def path_data(line: Line, x: Scale, y: Scale) -> str:
    """Path data in tenths of a pixel, relative after each gap's first point; coordinates are whole numbers."""
    xs = (x.b - x.a) / (x.hi - x.lo) * 10
    x0 = x.a * 10 - x.lo * xs
    place = y.place
    out: list[str] = []
    px = py = 0
    pen = False
    for s, v in zip(line.steps, line.values, strict=False):
        if v is None:
            pen = False
            continue
        nx, ny = round(x0 + s * xs), round(place(v) * 10)
        if pen:
            dx, dy = nx - px, ny - py
            out.append(f"l{dx} {dy}" if dy >= 0 else f"l{dx}{dy}")
        else:
            out.append(f"M{nx} {ny}")
            pen = True
        px, py = nx, ny
    return "".join(out)


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
    points = [(s, v) for s, v in zip(line.steps, line.values, strict=False) if v is not None]
    if not frame.quiet and points and len(points) <= (60 if big else 30):
        r = 2.4 if big else 1.8
        dots = "".join(f"M{x.place(s) - r:.1f} {y.place(v):.1f}a{r} {r} 0 1 0 {2 * r:g} 0a{r} {r} 0 1 0 -{2 * r:g} 0" for s, v in points)
        out.append(f'<path class="f{line.colour}" d="{dots}" fill="{colour}"/>')
    return "".join(out)


def _clip_marks(lines: Sequence[Line], x: Scale, y: Scale, frame: Frame) -> list[str]:
    """Arrow heads on the edge that a clipped point lies beyond, and the most extreme value in words."""
    out = []
    for line in lines:
        points = [(s, v) for s, v in zip(line.steps, line.values, strict=True) if v is not None]
        over, under = [p for p in points if p[1] > y.hi], [p for p in points if p[1] < y.lo]
        d = "".join(f"M{x.place(s) - 3.5:.1f} {y.b + 5:g}h7l-3.5-6z" for s in _apart([s for s, _ in over], x))
        d += "".join(f"M{x.place(s) - 3.5:.1f} {y.a - 5:g}h7l-3.5 6z" for s in _apart([s for s, _ in under], x))
        if d:
            out.append(f'<path class="f{line.colour}" d="{d}" fill="{COLOURS[line.colour]}"/>')
        if over and not frame.quiet:
            s, v = max(over, key=lambda p: p[1])
            out.append(_label((x.place(s), y.b + frame.font * 1.1), f"{number(v, 3)} at {step(s)}", x, frame, f"t{line.colour}", side=True))
        if under and not frame.quiet:
            s, v = min(under, key=lambda p: p[1])
            out.append(_label((x.place(s), y.a - frame.font * 0.5), f"{number(v, 3)} at {step(s)}", x, frame, f"t{line.colour}", side=True))
    return out


def _nonfinite_marks(lines: Sequence[Line], x: Scale, y: Scale, frame: Frame) -> list[str]:
    out = []
    row = 0
    for line in lines:
        if not line.nonfinite:
            continue
        d = ""
        for s in _apart([s for s, kind in line.nonfinite if kind == "nan"], x):
            d += f"M{x.place(s) - 3:.1f} {y.b:g}l6 6m0-6l-6 6"
        for kind, at, tip in (("inf", y.b, -6), ("-inf", y.a, 6)):
            for s in _apart([s for s, k in line.nonfinite if k == kind], x):
                d += f"M{x.place(s) - 3:.1f} {at - tip:g}h6l-3{tip:+d}z"
        out.append(f'<path class="c{line.colour}" d="{d}" fill="none" stroke="{COLOURS[line.colour]}" stroke-width="1.6"/>')
        if not frame.quiet:
            kinds = [k for _, k in line.nonfinite]
            many = "+" if len(kinds) >= 100 else ""
            names = {"nan": "NaN", "inf": "Inf", "-inf": "\u2212Inf"}
            text = (
                ", ".join(f"{names[k]} \u00d7{kinds.count(k)}{many}" for k in names if k in kinds) + f" from {step(line.nonfinite[0][0])}"
            )
            py = y.b + frame.font * (2 + 1.2 * row)
            out.append(_label((x.place(line.nonfinite[0][0]), py), text, x, frame, f"t{line.colour}", side=True))
            row += 1
    return out


def _apart(steps: Iterable[int], x: Scale) -> list[int]:
    """Steps whose marks would not lie on each other."""
    out: list[int] = []
    last = -1e9
    for s in steps:
        px = x.place(s)
        if px - last >= 4:
            out.append(s)
            last = px
    return out


def _best_marks(lines: Sequence[Line], x: Scale, y: Scale, frame: Frame) -> list[str]:
    """A ring at the best point, with its value on large charts (of the validation line where there is one)."""
    out = []
    ringed = [line for line in lines if line.best and line.colour != 0] or [line for line in lines if line.best]
    for line in ringed[:2]:
        assert line.best is not None
        s, v = line.best
        if not y.lo <= v <= y.hi:
            continue
        px, py = x.place(s), y.place(v)
        r = 4 if frame.height > 180 else 3
        out.append(
            f'<circle class="rg c{line.colour}" cx="{px:.1f}" cy="{py:.1f}" r="{r}" fill="#fff" stroke="{COLOURS[line.colour]}" stroke-width="2"/>'
        )
        if frame.height > 180 and not frame.quiet:
            below = py + frame.font * 2 < y.a
            out.append(
                _label(
                    (px, py + frame.font * 1.5 if below else py - frame.font * 0.8),
                    f"best {number(v)} at {step(s)}",
                    x,
                    frame,
                    f"t{line.colour}",
                )
            )
    return out


def _end_labels(lines: Sequence[Line], y: Scale, x: Scale, frame: Frame) -> list[str]:
    """Names at the right ends of the lines, pushed apart so that they do not overlap."""
    wanted: list[list[Any]] = []
    for line in lines:
        last = next((v for v in reversed(line.values) if v is not None), None)
        if line.label and last is not None:
            wanted.append([y.place(last), line.label, f"t{line.colour}", COLOURS[line.colour]])
    wanted += [[y.place(v), text, "tx", GREY] for v, text in frame.levels if text]
    wanted.sort(key=lambda w: w[0])
    for a, b in itertools.pairwise(wanted):
        b[0] = max(b[0], a[0] + frame.font * 1.1)
    over = wanted[-1][0] - y.a if wanted else 0
    shift = max(0.0, over)
    most = max(1, int((frame.width - x.b - 6) / (frame.font * 0.55)))
    return [
        f'<text class="{css}" x="{x.b + 5:g}" y="{py - shift + frame.font * 0.35:.1f}" fill="{colour}">'
        f"{escape(text if len(text) <= most else text[: most - 1] + chr(0x2026))}</text>"
        for py, text, css, colour in wanted
    ]


__all__ = ["COLOURS", "SPLIT_COLOUR", "Frame", "Line", "describe", "line_chart", "line_of", "path_data"]
