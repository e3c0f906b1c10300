"""The configuration: `[tool.tbdiag]` of pyproject.toml, or tbdiag.toml, as a frozen `Config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Suppression:
    """A finding that is known and accepted: `finding` id, `run` glob, `reason`, and `expires` (ISO date) or None."""

    finding: str
    reason: str
    run: str = "*"
    expires: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a user can set.

    Attributes:
        select, ignore: detector ids to run (empty: all) or to leave out.
        thresholds: detector id -> threshold name -> value.
        roles: role key (``train_loss``) -> tag (or series name) that plays it.
        directions: tag -> ``lower``, ``higher`` or ``none``.
        success: name -> success rule in the rule language, checked in every report.
        suppressions: accepted findings.
        source: the file that it was read from, or None.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    directions: Mapping[str, str] = field(default_factory=dict)
    success: Mapping[str, str] = field(default_factory=dict)
    suppressions: tuple[Suppression, ...] = ()
    source: str | None = None
