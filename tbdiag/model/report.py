"""The report: everything that a renderer may tell, without the logs it was made from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from math import isfinite
from typing import Any

from tbdiag.model.findings import Finding, Outcome
from tbdiag.model.issues import ReadIssue

SCHEMA_VERSION = "1.0"
DEFAULT_FILE = "tbdiag-report.html"
"""Where a report is written unless told otherwise; what its commands name."""
VERIFY = "tbdiag verify "


def verify_command(file: str = DEFAULT_FILE) -> str:
    """The command that checks a saved report's success rules on the next run; by default it names no path of this machine."""
    return f"{VERIFY}{shlex.quote(file)} NEXT_LOGDIR"


@dataclass(frozen=True, slots=True)
class Curve:
    """A series min/max-decimated to at most 400 points, enough to redraw and compare it.

    `values` holds None where the logged value was not finite; `nonfinite` lists ``(step, "nan" | "inf" | "-inf")`` (first 100).
    `n` counts the logged points, `noise` is the standard deviation of the noise (same unit as the values).
    """

    role: str
    tag: str
    steps: tuple[int, ...]
    values: tuple[float | None, ...]
    n: int
    noise: float | None = None
    best: float | None = None
    best_step: int | None = None
    end: float | None = None
    first: float | None = None
    split: str = "none"
    direction: str = "none"
    stem: str = ""
    main: bool = False
    layer: str | None = None
    depth: int | None = None
    axis: str = "step"
    log_scale: bool = False
    nonfinite: tuple[tuple[int, str], ...] = ()
    first_wall_time: float | None = None
    last_wall_time: float | None = None


@dataclass(frozen=True, slots=True)
class HistogramView:
    """Quantiles (0, 5, 25, 50, 75, 95, 100 %) over time of a histogram series, at most 40 points; `zero` the share of zeros."""

    role: str
    tag: str
    layer: str | None
    depth: int | None
    steps: tuple[int, ...]
    quantiles: tuple[tuple[float | None, ...], ...]
    zero: tuple[float | None, ...]
    n: int


@dataclass(frozen=True, slots=True)
class SignalRow:
    """How one tag was read, as the signals table shows it."""

    tag: str
    role: str
    split: str
    direction: str
    main: bool
    n: int
    why: str
    convention: str = ""
    axis: str = "step"
    scale: str = "unknown"


@dataclass(frozen=True, slots=True)
class MissingEvidence:
    """Something that was not logged: what it would have decided in this run, and the lines that log it.

    `decides` names the findings that it would have told or untold in this run, the most important first.
    """

    id: str
    title: str
    present: bool
    why: str
    snippet: str = ""
    rank: int = 0
    decides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """The six-line symptom-to-action note."""

    curve_pattern: str
    prediction_signal: str
    gradient_signal: str
    data_check: str
    chosen_action: str
    success_rule: str

    def lines(self) -> tuple[str, ...]:
        """The note as six lines of text."""
        return (
            f"Curve pattern: {self.curve_pattern}",
            f"Prediction signal: {self.prediction_signal}",
            f"Gradient signal: {self.gradient_signal}",
            f"Data check: {self.data_check}",
            f"Chosen action: {self.chosen_action}",
            f"Success rule: {self.success_rule}",
        )


@dataclass(frozen=True, slots=True)
class RunReport:
    """The diagnosis of one run.

    Attributes:
        verdict: ``healthy``, ``findings``, ``unclear`` or ``unreadable``.
        status: ``ended`` or ``live`` (still being written, as judged against a given time).
        span: ``first_step``, ``last_step``, ``axis``, ``points``, ``seconds``, ``files``, ``bytes``, ``bytes_readable``.
        best_checkpoint: ``step``, ``role``, ``tag``, ``value`` of the best validation point, or None; where it counts another unit than
            the curves, also ``axis`` (its unit) and ``drawn_step`` (the step on theirs); where the metric was clearly better elsewhere than at the best of
            the loss, also ``other``: its best point, with the same keys and ``name``.
        next_experiment: ``finding``, ``kind``, ``cost``, ``action``, ``why``, ``outcomes``, ``success_rule`` (a sentence), ``rule``,
            ``command`` (see `tbdiag.diagnosis.experiment`); or None.
    """

    name: str
    path: str
    verdict: str
    status: str
    headline: str
    span: Mapping[str, Any]
    config: Mapping[str, Any]
    findings: tuple[Finding, ...]
    next_experiment: Mapping[str, Any] | None
    note: Note
    signals: tuple[SignalRow, ...]
    curves: tuple[Curve, ...]
    checks: tuple[Outcome, ...]
    missing_evidence: tuple[MissingEvidence, ...]
    read_issues: tuple[ReadIssue, ...]
    best_checkpoint: Mapping[str, Any] | None
    histograms: tuple[HistogramView, ...] = ()
    domain: str = "supervised"
    framework: str = ""
    own_rules: tuple[Mapping[str, Any], ...] = ()
    epoch_steps: tuple[int, ...] = ()

    @property
    def heads(self) -> tuple[Finding, ...]:
        """Findings that are not a consequence of another one."""
        return tuple(f for f in self.findings if f.caused_by is None)


@dataclass(frozen=True, slots=True)
class Report:
    """The diagnosis of all runs, worst first, then by name."""

    runs: tuple[RunReport, ...]
    tool: Mapping[str, str] = field(default_factory=dict)
    schema_version: str = SCHEMA_VERSION
    problems: tuple[ReadIssue, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON report: plain dicts, lists, strings and finite numbers (NaN and infinities become None)."""
        plain = to_plain(self)
        for run in plain["runs"]:
            run["checks"] = [{k: c[k] for k in ("id", "outcome", "why", "missing")} for c in run["checks"]]
        return {k: plain[k] for k in ("schema_version", "tool", "runs", "problems")}

    def _repr_html_(self) -> str:
        from tbdiag.render import render_notebook

        return render_notebook(self)


_RENAMED = {"kind": "outcome"}
_PLAIN_TYPES = frozenset({int, bool, str, type(None)})
_NUMBER_TYPES = _PLAIN_TYPES | {float}


@lru_cache(maxsize=64)
def _keys(kind: type) -> tuple[tuple[str, str], ...]:
    """Attribute and JSON key of each field of a dataclass."""
    names = _RENAMED if kind is Outcome else {}
    skip = {"finding"} if kind is Outcome else set()
    return tuple((f.name, names.get(f.name, f.name)) for f in fields(kind) if f.name not in skip)


def to_plain(value: Any) -> Any:
    """Dataclasses, enums, mappings and sequences as what strict JSON holds; non-finite floats as None."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bool) or value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, (list, tuple)):
        # Nearly all of a report is the points of its curves: lists of numbers are copied without looking at each in turn.
        kinds = set(map(type, value))
        if kinds <= _PLAIN_TYPES:
            return list(value)
        if kinds <= _NUMBER_TYPES:
            return [None if type(v) is float and not isfinite(v) else v for v in value]
        return [to_plain(v) for v in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {key: to_plain(getattr(value, name)) for name, key in _keys(type(value))}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if hasattr(value, "item"):
        return to_plain(value.item())
    raise TypeError(f"not plain data: {type(value).__name__}")
