"""The data types that every other room speaks in: frozen, without behaviour beyond derived properties."""

from __future__ import annotations

from tbdiag.model.findings import (
    Cause,
    Evidence,
    Finding,
    Interval,
    Mark,
    Outcome,
    OutcomeKind,
    Predicate,
    Severity,
    SuccessRule,
    Window,
)
from tbdiag.model.report import Curve, HistogramView, MissingEvidence, Note, Report, RunReport, SignalRow
from tbdiag.model.runs import (
    EventFile,
    HistogramSeries,
    MediaSeries,
    ReadIssue,
    Restart,
    Run,
    Series,
    TensorSeries,
    TextSeries,
)
from tbdiag.model.signals import Axis, Direction, Domain, Role, Scale, Signal, Signals, Split, Writer

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
