"""What is sent to a worker and what comes back: small, picklable, independent of the state database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tbdiag.config import Config


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may cost: `memory` in bytes a worker (0: no limit), `seconds` of wall clock a run (0: no limit)."""

    memory: int = 4 << 30
    seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What every task of a night shares.

    Attributes:
        config: the user's settings, without suppressions: those are applied when the night is closed, so that a changed
            suppression costs no reading.
        now: seconds since the epoch against which the night judges.
        reports: ``none``, ``findings`` (runs with a finding at warning or above) or ``all``.
        columns: directory for the points of growing runs, or None.
    """

    config: Config
    now: float
    limits: Limits = field(default_factory=Limits)
    reports: str = "findings"
    columns: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One run to judge.

    Attributes:
        key: identity that comes back with the answer.
        listing: what `tbdiag.nightly.source` needs to read the run.
        name: name as it is shown.
        size: bytes of its files, by which runs are shared among the workers.
        rules: earlier findings whose success rules this run is to be judged by, as ``(run, finding, rule)``; where there are any,
            nothing else is judged; `earlier` holds the listings of those runs that are still there.
    """

    key: int
    name: str
    listing: Any
    rules: tuple[tuple[int, str, str], ...] = ()
    earlier: Mapping[int, Any] = field(default_factory=dict)
    size: int = 0


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A finding as the state keeps it; severity 0 error, 1 warning, 2 note; `rule` the success rule as JSON, empty for notes."""

    id: str
    severity: int
    confidence: float
    title: str
    action: str
    onset: tuple[int, int] | None
    caused_by: str | None
    fingerprint: str
    rule: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is kept of a judged run.

    Attributes:
        first_write, last_write: wall times, seconds since the epoch; live_until: until when silence means nothing.
        was_live: whether it was judged as still being written.
        ending: how the log ends: ``planned`` (its planned length was reached), ``cut`` (inside a record), ``broken`` (a main
            curve ends without a finite value), ``short`` (before its planned length), or ``""``.
        spark: main curve as 28 base-36 characters (``-`` for a gap).
        names: owner and experiment names found in the run's configuration.
        report: the page of the full report, or None.
    """

    verdict: str
    headline: str
    findings: tuple[FoundRow, ...]
    first_write: float | None
    last_write: float | None
    live_until: float | None
    was_live: bool
    last_step: int
    ending: str
    points: int
    spark: str
    head: bytes
    names: dict[str, str] = field(default_factory=dict)
    report: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A worker's answer to a task: a judgement, verdicts of rules as ``(run, finding, outcome, why)``, or why it failed."""

    key: int
    judgement: Judgement | None = None
    verdicts: tuple[tuple[int, str, str, str], ...] = ()
    failed: str = ""
    seconds: float = 0.0
