"""What a detector file declares. Read `overfitting.py` for the pattern, CONTRIBUTING.md for the steps.

A detector file holds, in this order: the module docstring under the fixed `HEADINGS`; constants; one pure function
``detect(view) -> Finding | NotApplicable | None``; ``EXAMPLES``; and ``DETECTOR = Detector(...)``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tbdiag.features import CurveFacts, Features, HistogramFacts, LayerFacts
from tbdiag.features.layers import SOURCES
from tbdiag.model import (
    Cause,
    Domain,
    Evidence,
    Finding,
    Interval,
    Predicate,
    Role,
    Severity,
    Signals,
    Split,
    SuccessRule,
    Window,
)

HEADINGS = (
    "What it means",
    "Why it matters",
    "How it is told",
    "First check",
    "First action",
    "Success rule",
    "Not to be confused with",
    "Limits",
    "Sources",
)
"""Headings of every detector's docstring, in this order; each stands alone on its line, its text indented below."""

SUPERVISED = frozenset({Domain.SUPERVISED, Domain.LANGUAGE_MODEL, Domain.SELF_SUPERVISED})
DIRECTED = SUPERVISED | {Domain.PREFERENCE, Domain.DIFFUSION}
EVERY = frozenset(Domain)

CURVES, PREDICTIONS, GRADIENTS, DATA, HYPERPARAMETERS, MODEL, LOG = range(7)
"""Phases of the troubleshooting order."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Default of one threshold and where it comes from; the configuration can change the value."""

    value: float
    why: str


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The detector could not judge the run; `why` is a clause, `missing` the role keys that were absent."""

    why: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """A seeded curve set (see `tbdiag.detectors._synth`) or fixture that must fire or stay silent.

    Attributes:
        make: function without arguments that returns the `Run` to judge.
        fires: whether this detector must find its symptom there.
        onset: interval that must contain the middle of the finding's onset, where given.
    """

    name: str
    make: Callable[[], Any]
    fires: bool
    onset: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What a detector sees of a run: the roles that it declared, nothing else."""

    features: Features
    thresholds: Mapping[str, float]
    allowed: frozenset[str]

    @property
    def signals(self) -> Signals:
        """The run's signals (domain, chance level, configuration)."""
        return self.features.signals

    def curve(self, key: str) -> CurveFacts | None:
        """Facts of a declared role key or derived series, or None where it was not logged or has no finite point."""
        if key not in self.allowed:
            raise LookupError(f"role {key} was not declared by this detector")
        filled = self.features.filled
        try:
            return filled[key]
        except KeyError:
            curve = self.features.curve(key)
            filled[key] = curve = curve if curve is not None and curve.value.size else None
            return curve

    def group(self, role: Role, split: Split | None = None) -> tuple[CurveFacts, ...]:
        """Facts of all scalar signals of a role (declared by the role's plain value)."""
        if role.value not in self.allowed:
            raise LookupError(f"role {role.value} was not declared by this detector")
        return tuple(c for c in self.features.group(role, split) if c.n)

    def layers(self, kind: str) -> tuple[LayerFacts, ...]:
        """Layers of a kind from the input to the output; the detector must declare the roles that they come from."""
        scalar, _, histogram = SOURCES[kind]
        if scalar.value not in self.allowed or histogram.value not in self.allowed:
            raise LookupError(f"roles {scalar.value} and {histogram.value} were not declared by this detector")
        return tuple(x for x in self.features.layers(kind) if x.curve.total)

    def histograms(self, role: Role) -> tuple[HistogramFacts, ...]:
        """Facts of all histogram signals of a role (declared by the role's plain value)."""
        if role.value not in self.allowed:
            raise LookupError(f"role {role.value} was not declared by this detector")
        signals = (s for s in self.signals.role(role) if s.histogram is not None and len(s.histogram))
        return tuple(self.features.histogram(s) for s in signals)

    def __getitem__(self, threshold: str) -> float:
        return self.thresholds[threshold]


@dataclass(frozen=True, slots=True)
class Detector:
    """Declaration of a detector.

    Attributes:
        id: kebab-case symptom; the file's name.
        title: what it is in a few words; summary: one sentence for tables.
        needs: role keys without which it does not run; an inner tuple means "any one of these".
        wants: further role keys that it uses where they are there.
        domains: kinds of training in which it runs.
        thresholds: defaults by name.
        phase: place in the troubleshooting order.
        scale_free: multiplying all values by a constant changes no verdict (False where nats, bounded metrics or chance levels are used).
        explains: ids whose findings this one explains away when both are found and this one begins no later; counts where the table of
            `tbdiag.diagnosis.explaining` does not hold this detector.
    """

    id: str
    title: str
    summary: str
    severity: Severity
    phase: int
    detect: Callable[[View], Finding | NotApplicable | None]
    doc: str
    needs: tuple[str | tuple[str, ...], ...] = ()
    wants: tuple[str, ...] = ()
    domains: frozenset[Domain] = SUPERVISED
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    scale_free: bool = True
    explains: tuple[str, ...] = ()

    @property
    def declared(self) -> frozenset[str]:
        """Every role key that the detector may look at."""
        flat: set[str] = set(self.wants)
        for need in self.needs:
            flat.update((need,) if isinstance(need, str) else need)
        return frozenset(flat)

    def sections(self) -> dict[str, str]:
        """The docstring's text by heading."""
        return split_sections(self.doc)


def split_sections(doc: str) -> dict[str, str]:
    """Text below each of the `HEADINGS` of a docstring, dedented; headings that are absent are left out."""
    out: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in doc.splitlines():
        if line.strip() in HEADINGS and not line.startswith("    "):
            current = out.setdefault(line.strip(), [])
        elif current is not None:
            current.append(re.sub(r"^ {4}", "", line))
    return {k: "\n".join(v).strip() for k, v in out.items()}


def predicate(
    role: str,
    statistic: str,
    comparison: str,
    threshold: float,
    *,
    sd_times: float = 0.0,
    argument: float | None = None,
    minus: str | None = None,
    window: tuple[float, float] | None = None,
    source: str = "",
    tag: str | None = None,
    minus_role: str | None = None,
    minus_times: float = 1.0,
    minus_argument: float | None = None,
    if_logged: bool = False,
) -> Predicate:
    """A predicate whose window is a share of the run."""
    return Predicate(
        role=role,
        statistic=statistic,
        comparison=comparison,
        threshold=float(threshold),
        sd_times=sd_times,
        argument=argument,
        minus=minus,
        window=Window(first_share=window[0], last_share=window[1]) if window else None,
        source=source,
        tag=tag,
        minus_role=minus_role,
        minus_times=minus_times,
        minus_argument=minus_argument,
        if_logged=if_logged,
    )


__all__ = [
    "CURVES",
    "DATA",
    "DIRECTED",
    "EVERY",
    "GRADIENTS",
    "HEADINGS",
    "HYPERPARAMETERS",
    "LOG",
    "MODEL",
    "PREDICTIONS",
    "SUPERVISED",
    "Cause",
    "Detector",
    "Evidence",
    "Example",
    "Finding",
    "Interval",
    "NotApplicable",
    "Predicate",
    "Severity",
    "SuccessRule",
    "Threshold",
    "View",
    "predicate",
    "split_sections",
]
