"""Derived series: one curve made of a group of series, so that rules can name it. Each entry: name -> function(features) -> Signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tbdiag.model import Signal

if TYPE_CHECKING:
    from tbdiag.features import Features

DERIVED: dict[str, Callable[[Features], Signal | None]] = {}
"""Every derived series by name. Modules of this package register theirs here."""


def derived(name: str) -> Callable[[Callable[[Features], Signal | None]], Callable[[Features], Signal | None]]:
    """Register a function that makes the derived series `name` (None where its parts were not logged)."""

    def register(make: Callable[[Features], Signal | None]) -> Callable[[Features], Signal | None]:
        DERIVED[name] = make
        return make

    return register
