"""Curves of two sides over each other, as one SVG element: geometry and colours are attributes, so it shows without styles."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import numpy as np

from tbdiag.features import CurveFacts

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 240, 64, 28, 8
MOST_POINTS = 240
COLOURS = {"base": ("c4", "#475569"), "head": ("c0", "#1d5fd6")}
"""Class, which follows light and dark, and the colour where no style sheet is applied."""
DASHES = {"base": "5 4", "head": "none"}


def draw_curves(base: Sequence[CurveFacts], head: Sequence[CurveFacts], label: str) -> str:
    """An ``<svg>`` of the curves of both sides, the base dashed; empty where there is nothing to draw."""
    sides = {"base": [c for c in base if c.n > 1], "head": [c for c in head if c.n > 1]}
    every = [c for side in sides.values() for c in side]
    if not every:
        return ""
    log = all(c.log_scale for c in every)
    low_x, high_x = min(int(c.step[0]) for c in every), max(int(c.step[-1]) for c in every)
    values = [math.log10(v) if log else v for c in every for v in np.quantile(c.value, (0.0, 0.02, 0.98, 1.0)).tolist()]
    low_y, high_y = min(values), max(values)
    if high_y <= low_y:
        low_y, high_y = low_y - 0.5, high_y + 0.5
    across = (WIDTH - LEFT - 8) / max(high_x - low_x, 1)
    up = (HEIGHT - TOP - BOTTOM) / (high_y - low_y)

    def path(curve: CurveFacts) -> str:
        keep = np.unique(np.linspace(0, curve.n - 1, min(curve.n, MOST_POINTS)).astype(int))
        y = curve.sign * curve.smooth[keep]
        y = np.log10(np.maximum(y, 1e-300)) if log else y
        xs = LEFT + (curve.step[keep] - low_x) * across
        ys = HEIGHT - BOTTOM - (np.clip(y, low_y, high_y) - low_y) * up
        return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(xs.tolist(), ys.tolist(), strict=True))

    lines = [
        f'<path class="{COLOURS[side][0]}" d="{path(c)}" fill="none" stroke="{COLOURS[side][1]}" stroke-width="1.6" stroke-dasharray="{DASHES[side]}"/>'
        for side, curves in sides.items()
        for c in curves
    ]
    texts = [
        _text(LEFT - 6, TOP + 10, "end", _value(high_y, log)),
        _text(LEFT - 6, HEIGHT - BOTTOM, "end", _value(low_y, log)),
        _text(LEFT, HEIGHT - 8, "start", f"{low_x:,}"),
        _text(WIDTH - 8, HEIGHT - 8, "end", f"{high_x:,}"),
    ]
    frame = f'<path class="frame" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - 8}" fill="none" stroke="#8c959f" stroke-width="1"/>'
    name = html.escape(label, quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{name}">{frame}{"".join(lines)}{"".join(texts)}</svg>'
    )


def _value(value: float, log: bool) -> str:
    return f"{10**value if log else value:.3g}"


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="11" font-family="sans-serif" fill="#57606a">{html.escape(text)}</text>'
