"""Marks of severities and verdicts: each has its own shape, so that colour only repeats what shape and word say."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

_SHAPES = {
    "error": ("#b3261e", '<path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z"/>', "M8 4v5M8 11.2v.6"),
    "warning": ("#8a5200", '<path d="M8 1.2 15.4 14.6H.6z"/>', "M8 6v4M8 12v.5"),
    "note": ("#3d5a80", '<circle cx="8" cy="8" r="7"/>', "M8 7.2v4.3M8 4.2v.6"),
    "healthy": ("#1a7340", '<circle cx="8" cy="8" r="7"/>', "M4.8 8.3l2.3 2.3 4.2-4.8"),
    "unclear": ("#5b6470", '<circle cx="8" cy="8" r="7"/>', "M6 6.3c0-2.7 4.2-2.5 4.2 0C10.2 7.8 8 7.8 8 9.5M8 11.6v.5"),
    "unreadable": ("#5b6470", '<path d="M2 1h9l3 3v11H2z"/>', "M5.5 6l5 5M10.5 6l-5 5"),
}


@lru_cache(maxsize=32)
def icon(kind: str, size: int = 16) -> Any:
    """SVG mark of a severity or verdict, hidden from screen readers: the word stands beside it."""
    from markupsafe import Markup

    colour, shape, sign = _SHAPES.get(kind, _SHAPES["unclear"])
    return Markup(  # noqa: S704 - constants only
        f'<svg class="ic i-{kind if kind in _SHAPES else "unclear"}" width="{size}" height="{size}" viewBox="0 0 16 16" aria-hidden="true" fill="{colour}">{shape}'
        f'<path d="{sign}" fill="none" stroke="#fff" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"/></svg>'
    )


__all__ = ["icon"]
