"""The configuration that a command works with, checked against the detectors that exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbdiag.config import Config


def load_settings(start: Path, explicit: Path | None, overrides: Mapping[str, Sequence[str]] | None = None) -> Config:
    """`tbdiag.config.load_config`, refusing ids and thresholds that do not exist: a misspelt one would silently do nothing.

    Raises:
        ConfigError: the file or an option is wrong; the message names file, line and near match.
    """
    from tbdiag.config import check_detectors, load_config

    settings = load_config(start, explicit, overrides)
    if settings.select or settings.ignore or settings.thresholds or settings.suppressions:
        from tbdiag.detectors import load_detectors  # a third of a second, for nothing where none is named

        check_detectors(settings, {d.id: d.thresholds for d in load_detectors()})
    return settings
