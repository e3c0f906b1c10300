"""The data types that every other room speaks in: frozen, without behaviour beyond derived properties.

A module loads when one of its types is first asked for: reading a log needs those of `runs` alone, and making the others takes as long as
reading a hundred thousand points.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tbdiag.model.findings import (
        Cause,
        Evidence,
        Finding,
        Interval,
        Link,
        Mark,
        Outcome,
        OutcomeKind,
        Predicate,
        Severity,
        SuccessRule,
        Window,
    )
    from tbdiag.model.issues import ReadIssue
    from tbdiag.model.meanings import Axis, Direction, Domain, Role, Scale, Split, Writer
    from tbdiag.model.report import Curve, HistogramView, MissingEvidence, Note, Report, RunReport, SignalRow
    from tbdiag.model.runs import (
        EventFile,
        HistogramSeries,
        MediaSeries,
        Restart,
        Run,
        Series,
        TensorSeries,
        TextSeries,
    )
    from tbdiag.model.signals import Signal, Signals

__all__ = [
    "Axis",
    "Cause",
    "Curve",
    "Direction",
    "Domain",
    "EventFile",
    "Evidence",
    "Finding",
    "HistogramSeries",
    "HistogramView",
    "Interval",
    "Link",
    "Mark",
    "MediaSeries",
    "MissingEvidence",
    "Note",
    "Outcome",
    "OutcomeKind",
    "Predicate",
    "ReadIssue",
    "Report",
    "Restart",
    "Role",
    "Run",
    "RunReport",
    "Scale",
    "Series",
    "Severity",
    "Signal",
    "SignalRow",
    "Signals",
    "Split",
    "SuccessRule",
    "TensorSeries",
    "TextSeries",
    "Window",
    "Writer",
]

_MODULES = {
    "findings": "Cause Evidence Finding Interval Link Mark Outcome OutcomeKind Predicate Severity SuccessRule Window",
    "report": "Curve HistogramView MissingEvidence Note Report RunReport SignalRow",
    "issues": "ReadIssue",
    "meanings": "Axis Direction Domain Role Scale Split Writer",
    "runs": "EventFile HistogramSeries MediaSeries Restart Run Series TensorSeries TextSeries",
    "signals": "Signal Signals",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
