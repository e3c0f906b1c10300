"""What a chart points at: onset bands, events, best points, clipped and non-finite values, with labels that keep out of the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from tbdiag.render.chart import BAND, BAND_INK, COLOURS, GREY, Frame, Line, ends_early
from tbdiag.render.scale import Scale
from tbdiag.render.words import interval, number, step

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Float64 = npt.NDArray[np.float64]

_INKS = {"tx": GREY, "bt": BAND_INK, **{f"t{i}": c for i, c in enumerate(COLOURS)}}
_NAMES = {"inf": "Inf", "-inf": "\u2212Inf", "nan": "NaN"}
_LISTED = 100
"""A report lists at most this many non-finite values of a curve."""


class Labels:
    """Texts of one chart, each put where it covers least: other texts first, curves second."""

    def __init__(self, lines: Sequence[Line], x: Scale, y: Scale, frame: Frame) -> None:
        self.x, self.frame = x, frame
        self.right = x.b + 2 if len(lines) > 1 else frame.width - 2.0
        self.boxes: list[tuple[float, float, float, float]] = []
        self.lines, self.y = lines, y
        self.points: tuple[Float64, Float64] | None = None

    def _curve_points(self) -> tuple[Float64, Float64]:
        """About a hundred points of each line, in pixels: columns and rows."""
        if self.points is None:
            import numpy as np

            columns, rows = [], []
            for line in self.lines:
                every = max(1, len(line.steps) // 100)
                pairs = [(s, v) for s, v in zip(line.steps[::every], line.values[::every], strict=True) if v is not None]
                px, py = np.array(self.x.places([s for s, _ in pairs])), np.array(self.y.places([v for _, v in pairs]))
                dx, dy = np.diff(px), np.diff(py)
                pieces = 1 + (np.maximum(np.abs(dy), np.abs(dx)) / 6).astype(np.int64)  # a steep stretch covers as much as a flat one
                first = np.repeat(np.arange(pieces.size), pieces)
                k = np.arange(first.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
                columns += [px[first] + dx[first] * k / pieces[first], px[-1:]]
                rows += [py[first] + dy[first] * k / pieces[first], py[-1:]]
            self.points = np.concatenate([*columns, np.empty(0)]), np.concatenate([*rows, np.empty(0)])
        return self.points

    def add(self, text: str, css: str, places: Iterable[tuple[float, float, str]]) -> str:
        """SVG of a text at the best of `places` (x, baseline y, anchor), in order of preference."""
        font = self.frame.font
        most = max(8, int((self.x.b - self.x.a) / (font * 0.6)))
        text = text if len(text) <= most else text[: most - 1] + "\u2026"
        width = len(text) * font * 0.55
        best: tuple[float, float, float] | None = None
        columns, rows = self._curve_points()
        for px, py, anchor in places:
            left = px - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            shifted = min(max(left, self.x.a + 1), self.right - width)
            box = (shifted - 2, py - font, shifted + width + 2, py + font * 0.35)
            cost = abs(shifted - left) * 0.5 + sum(1000.0 for other in self.boxes if _overlap(box, other))
            cost += float(((box[0] <= columns) & (columns <= box[2]) & (box[1] <= rows) & (rows <= box[3])).sum())
            if best is None or cost < best[0]:
                best = (cost, shifted, py)
            if cost < 0.5:
                break
        assert best is not None
        _, left, py = best
        self.boxes.append((left - 2, py - font, left + width + 2, py + font * 0.35))
        return f'<text class="{css} hl" x="{left:.1f}" y="{py:.1f}" fill="{_INKS[css]}">{escape(text)}</text>'


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def draw_marks(lines: Sequence[Line], x: Scale, y: Scale, frame: Frame, *, clipped: bool) -> tuple[list[str], list[str]]:
    """What lies behind the lines and what lies on them."""
    labels = Labels(lines, x, y, frame)
    before = _bands(x, y, frame)
    after = []
    if not frame.quiet:
        for first, last, text in frame.bands:
            if text:
                middle = (x.place(first) + x.place(last)) / 2
                shown = f"{text} {interval({'first_step': first, 'last_step': last})}"
                after.append(labels.add(shown, "bt", [(middle, float(frame.font), "middle")]))
    after += _best(lines, x, y, frame, labels)
    if clipped:
        after += _clipped(lines, x, y, frame, labels)
    after += _nonfinite(lines, x, y, frame, labels)
    if not frame.quiet:
        after += _events(x, y, frame, labels)
    if len(lines) > 1:
        after += _early_ends(lines, x, y, frame, labels)
    return before, after


def _bands(x: Scale, y: Scale, frame: Frame) -> list[str]:
    out = []
    for first, last, _ in frame.bands:
        a, b = x.place(first), x.place(last)
        if b - a < 3:
            a, b = max(x.a, (a + b) / 2 - 1.5), min(x.b, (a + b) / 2 + 1.5)
        out.append(f'<rect class="bd" x="{a:.1f}" y="{y.b:g}" width="{b - a:.1f}" height="{y.a - y.b:g}" fill="{BAND}" fill-opacity=".3"/>')
    d = "".join(f"M{x.place(at):.1f} {y.a:g}V{y.b:g}" for at, _ in frame.events if x.lo <= at <= x.hi)
    if d:
        out.append(f'<path class="ev" d="{d}" stroke="{GREY}" stroke-dasharray="2 3" fill="none"/>')
    d = "".join(f"M{x.a:g} {y.place(v):.1f}H{x.b:g}" for v, _ in frame.levels if y.lo <= v <= y.hi)
    if d:
        out.append(f'<path class="lv" d="{d}" stroke="{GREY}" stroke-dasharray="6 4" fill="none"/>')
    return out


def _beside(px: float, rows: Iterable[float]) -> list[tuple[float, float, str]]:
    return [(px + side, row, anchor) for row in rows for side, anchor in ((5.0, "start"), (-5.0, "end"))]


def _events(x: Scale, y: Scale, frame: Frame, labels: Labels) -> list[str]:
    rows = [y.b + frame.font * (1 + 1.25 * k) for k in range(6)]
    named = [(at, text) for at, text in frame.events if text and x.lo <= at <= x.hi]
    return [labels.add(text, "tx", _beside(x.place(at), rows)) for at, text in named[:5]]


def _early_ends(lines: Sequence[Line], x: Scale, y: Scale, frame: Frame, labels: Labels) -> list[str]:
    """Names of lines that end before the others, at their ends."""
    out = []
    for line in lines:
        if line.label and ends_early(line, x):
            s, v = next(((s, v) for s, v in zip(reversed(line.steps), reversed(line.values), strict=True) if v is not None), (0, None))
            if v is not None:
                px, py = x.place(s), y.place(v)
                places = [(px + 5, py + frame.font * k, "start") for k in (0.35, -0.8, 1.4, -1.8, 2.4)]
                out.append(
                    labels.add(line.label, f"t{line.colour}", [(a, max(min(py, y.a - 4), y.b + frame.font), c) for a, py, c in places])
                )
    return out


def _best(lines: Sequence[Line], x: Scale, y: Scale, frame: Frame, labels: Labels) -> list[str]:
    """A ring at the best point, with its value on large charts; of the validation line where there is one."""
    out = []
    large = frame.height > 180
    for line in ([li for li in lines if li.best and li.colour != 0] or [li for li in lines if li.best])[:2]:
        assert line.best is not None
        s, v = line.best
        if not (y.lo <= v <= y.hi and x.lo <= s <= x.hi):
            continue
        px, py = x.place(s), y.place(v)
        out.append(
            f'<circle class="rg c{line.colour}" cx="{px:.1f}" cy="{py:.1f}" r="{4 if large else 3}" fill="#fff" '
            f'stroke="{COLOURS[line.colour]}" stroke-width="2"/>'
        )
        if large and not frame.quiet:
            rows = [py + frame.font * k for k in (1.8, -0.9, 2.8, -1.9, 3.8, -2.9, -4) if y.b < py + frame.font * k < y.a]
            places = [(px, row, "middle") for row in rows] + _beside(px + 4, [py + frame.font * 0.35, *rows])
            out.append(labels.add(f"best {number(v)} at {step(s)}", f"t{line.colour}", places))
    return out


def _clipped(lines: Sequence[Line], x: Scale, y: Scale, frame: Frame, labels: Labels) -> list[str]:
    """Arrow heads on the edge that a clipped point lies beyond, and the most extreme value in words."""
    out = []
    font = frame.font
    for line in lines:
        points = [(s, v) for s, v in zip(line.steps, line.values, strict=True) if v is not None]
        over, under = [p for p in points if p[1] > y.hi], [p for p in points if p[1] < y.lo]
        d = "".join(f"M{px - 3.5:.1f} {y.b + 6:g}h7l-3.5-6z" for px in _apart((s for s, _ in over), x))
        d += "".join(f"M{px - 3.5:.1f} {y.a - 6:g}h7l-3.5 6z" for px in _apart((s for s, _ in under), x))
        if d:
            out.append(f'<path class="f{line.colour}" d="{d}" fill="{COLOURS[line.colour]}"/>')
        if frame.quiet:
            continue
        for beyond, pick, rows in (
            (over, max, [y.b + font * k for k in (1.0, 2.2, 3.4)]),
            (under, min, [y.a - font * k for k in (0.4, 1.6, 2.8)]),
        ):
            if beyond:
                s, v = pick(beyond, key=lambda p: p[1])
                out.append(labels.add(f"{number(v, 3)} at {step(s)}", f"t{line.colour}", _beside(x.place(s) + 2, rows)))
    return out


def _nonfinite(lines: Sequence[Line], x: Scale, y: Scale, frame: Frame, labels: Labels) -> list[str]:
    """Crosses for NaN and hollow arrow heads for infinities, in a lane above the plot, with their count."""
    out = []
    at = y.b - 7
    for line in lines:
        if not line.nonfinite:
            continue
        known = [s for s, kind in line.nonfinite if kind == "nan"]
        if len(line.nonfinite) >= _LISTED:  # the list ends, the gaps in the curve tell the rest
            known += [s for s, v in zip(line.steps, line.values, strict=True) if v is None and s > line.nonfinite[-1][0]]
        d = "".join(f"M{px - 2.5:.1f} {at:g}l5 5m0-5l-5 5" for px in _apart(known, x))
        d += "".join(f"M{px - 3:.1f} {at + 5:g}h6l-3-6z" for px in _apart((s for s, k in line.nonfinite if k == "inf"), x))
        d += "".join(f"M{px - 3:.1f} {at:g}h6l-3 6z" for px in _apart((s for s, k in line.nonfinite if k == "-inf"), x))
        out.append(f'<path class="c{line.colour}" d="{d}" fill="none" stroke="{COLOURS[line.colour]}" stroke-width="1.4"/>')
        if not frame.quiet:
            kinds = [k for _, k in line.nonfinite]
            more = "+" if len(kinds) >= _LISTED else ""
            text = ", ".join(f"{_NAMES[k]} \u00d7{kinds.count(k)}{more if k == kinds[-1] else ''}" for k in _NAMES if k in kinds)
            rows = [y.b + frame.font * (1 + 1.2 * k) for k in range(4)]
            places = _beside(x.place(line.nonfinite[0][0]), rows)
            out.append(labels.add(f"{text} from {step(line.nonfinite[0][0])}", f"t{line.colour}", places))
    return out


def _apart(steps: Iterable[int], x: Scale) -> list[float]:
    """Pixels of the steps whose marks would not lie on each other."""
    out: list[float] = []
    for s in steps:
        px = x.place(s)
        if not out or px - out[-1] >= 5:
            out.append(px)
    return out


__all__ = ["Labels", "draw_marks"]
