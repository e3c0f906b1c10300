"""Judge findings against labels: the published table's figures, with bootstrap confidence intervals. Standard library and numpy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SILENT = frozenset({"info", "note", "notice", "hint", "debug", "ok", "none", "trace"})
VOCABULARY = frozenset(
    [
        "overfitting",
        "generalization-gap",
        "underfitting",
        "no-learning",
        "plateau",
        "unconverged",
        "divergence",
        "nan-inf",
        "instability",
        "spikes",
        "sudden-shift",
        "val-better",
        "noisy-validation",
        "epoch-sawtooth",
        "prediction-collapse",
        "class-imbalance",
        "low-confidence",
        "over-confidence",
        "exploding-gradients",
        "vanishing-gradients",
        "dead-units",
        "saturated-activations",
        "frozen-weights",
        "weight-growth",
        "clipping-saturated",
        "lr-zero",
        "lr-too-high",
        "lr-too-low",
        "lr-schedule",
        "loss-scale-collapse",
        "loss-mismatch",
        "label-noise",
        "leakage",
        "restart-overlap",
        "truncated-log",
        "stalled",
        "missing-evidence",
    ]
)


@dataclass(frozen=True)
class Label:
    """What should be said of one case."""

    name: str
    logs: Path
    primary: tuple[str, ...]
    allowed: frozenset[str]
    alternatives: Mapping[str, tuple[str, ...]]
    onset: Mapping[str, tuple[float, float]]
    best_step: float | None
    healthy: bool
    about: str


@dataclass(frozen=True)
class Said:
    """What a tool said of one case, most important first: dicts of id, severity, step, confidence, caused_by."""

    findings: Sequence[Mapping[str, Any]]
    best_step: float | None = None
    seconds: float = 0.0
    error: str = ""


@dataclass
class Verdict:
    """One case judged."""

    label: Label
    said: Said
    found: list[str] = field(default_factory=list)
    hits: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    top: bool = False
    onsets: dict[str, bool] = field(default_factory=dict)
    confidences: list[tuple[float, bool]] = field(default_factory=list)
    best: bool | None = None

    @property
    def missed(self) -> list[str]:
        """Primary ids that were not found."""
        return [i for i in self.label.primary if i not in self.hits]


def load_labels(folder: Path, only: str = "") -> list[Label]:
    """Every ``*/label.json`` below a folder, in order of name."""
    labels = []
    for path in sorted(folder.glob("*/label.json")):
        raw = json.loads(path.read_text(encoding="utf-8"))
        about = " ".join(str(raw.get(k, "")) for k in ("task", "fault", "mechanism", "logger"))
        if only and only not in about:
            continue
        labels.append(
            Label(
                name=path.parent.name,
                logs=path.parent / "logs",
                primary=tuple(raw["primary"]),
                allowed=frozenset(raw["allowed"]),
                alternatives={k: tuple(v) for k, v in (raw.get("alt") or {}).items()},
                onset={k: (float(v[0]), float(v[1])) for k, v in (raw.get("onset") or {}).items()},
                best_step=raw.get("best_step"),
                healthy=bool(raw["healthy"]),
                about=about,
            )
        )
    return labels


def judge(label: Label, said: Said, *, count_notes: bool = False) -> Verdict:
    """Hits, false alarms, first finding, onsets and confidences of one case, by the rules of the bench's referee."""
    verdict = Verdict(label, said)
    loud = []
    for finding in said.findings:
        severity = str(finding.get("severity") or "warning").lower()
        name = finding.get("id")
        if name and name not in ("ok", "healthy") and (count_notes or severity not in SILENT or name == "missing-evidence"):
            loud.append(finding)
            if name not in verdict.found:
                verdict.found.append(str(name))
    accepted = set(label.primary) | {a for i in label.primary for a in label.alternatives.get(i, ())}
    right = accepted | label.allowed
    for i in label.primary:
        if i in verdict.found or any(a in verdict.found for a in label.alternatives.get(i, ())):
            verdict.hits.append(i)
    known = VOCABULARY if not label.healthy else None
    verdict.false = [
        i
        for i in verdict.found
        if i not in label.primary and i not in label.allowed and i != "missing-evidence" and (known is None or i in known)
    ]
    first = next((i for i in verdict.found if i != "missing-evidence" or i in label.primary), None)
    heads = {f.get("caused_by") for f in said.findings if f.get("id") in accepted and f.get("caused_by")}
    verdict.top = bool(label.primary) and (first in accepted or (first in label.allowed and first in heads))
    steps: dict[str, float] = {}
    for finding in loud:
        if isinstance(finding.get("step"), (int, float)):
            steps.setdefault(str(finding["id"]), float(finding["step"]))
        if isinstance(finding.get("confidence"), (int, float)) and str(finding.get("severity")).lower() not in SILENT:
            verdict.confidences.append((float(finding["confidence"]), finding["id"] in right))
    for i, (low, high) in label.onset.items():
        if i in verdict.hits:
            step = next((steps[j] for j in (i, *label.alternatives.get(i, ())) if j in steps), None)
            verdict.onsets[i] = step is not None and low <= step <= high
    if label.best_step is not None and said.best_step is not None:
        verdict.best = abs(said.best_step - label.best_step) <= max(1.0, 0.05 * abs(label.best_step))
    return verdict


@dataclass(frozen=True)
class Row:
    """Precision, recall and F1 of one id; None where undefined."""

    support: int
    hits: int
    false: int

    @property
    def precision(self) -> float | None:
        """Hits over all times it was said and counted."""
        return self.hits / (self.hits + self.false) if self.hits + self.false else None

    @property
    def recall(self) -> float | None:
        """Hits over the cases that should have it."""
        return self.hits / self.support if self.support else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean; None where no case should have it."""
        return 2 * self.hits / (self.hits + self.false + self.support) if self.support else None


def per_id(verdicts: Sequence[Verdict]) -> dict[str, Row]:
    """One row an id that is primary somewhere or was a false alarm."""
    counts: dict[str, list[int]] = {}
    for v in verdicts:
        for i in v.label.primary:
            counts.setdefault(i, [0, 0, 0])[0] += 1
        for i in v.hits:
            counts[i][1] += 1
        for i in v.false:
            counts.setdefault(i, [0, 0, 0])[2] += 1
    return {i: Row(*c) for i, c in sorted(counts.items())}


def _mean(values: Sequence[Any]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def calibration_error(confidences: Sequence[tuple[float, bool]]) -> float | None:
    """Expected calibration error over ten equal bins."""
    total = 0.0
    for row in reliability(confidences):
        total += abs(row[1] - row[2]) * row[3]
    return total / len(confidences) if confidences else None


def reliability(confidences: Sequence[tuple[float, bool]]) -> list[tuple[str, float, float, int]]:
    """(bin, mean confidence, share right, findings) of every bin that is not empty."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for c, ok in confidences:
        bins.setdefault(min(int(c * 10), 9), []).append((c, ok))
    return [
        (f"{b / 10:.1f}-{(b + 1) / 10:.1f}", float(np.mean([c for c, _ in q])), float(np.mean([ok for _, ok in q])), len(q))
        for b, q in sorted(bins.items())
    ]


FIGURES: dict[str, Callable[[Sequence[Verdict]], float | None]] = {
    "macro F1": lambda vs: _mean([r.f1 for r in per_id(vs).values() if r.f1 is not None]),
    "first finding right": lambda vs: _mean([v.top for v in vs if v.label.primary]),
    "some right finding": lambda vs: _mean([bool(v.hits) for v in vs if v.label.primary]),
    "healthy without error or warning": lambda vs: _mean([not v.false for v in vs if v.label.healthy]),
    "false alarms a healthy run": lambda vs: _mean([len(v.false) for v in vs if v.label.healthy]),
    "false alarms a faulty run": lambda vs: _mean([len(v.false) for v in vs if not v.label.healthy]),
    "overfitting F1": lambda vs: per_id(vs)["overfitting"].f1 if "overfitting" in per_id(vs) else None,
    "onset in the interval": lambda vs: _mean([ok for v in vs for ok in v.onsets.values()]),
    "best checkpoint within 5 %": lambda vs: _mean([v.best for v in vs if v.best is not None]),
    "calibration error": lambda vs: calibration_error([c for v in vs for c in v.confidences]),
    "seconds a run": lambda vs: _mean([v.said.seconds for v in vs]),
}


def interval(verdicts: Sequence[Verdict], figure: str, resamples: int = 400, seed: int = 0) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval over cases."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        value = FIGURES[figure]([verdicts[i] for i in rng.integers(0, len(verdicts), len(verdicts))])
        if value is not None:
            values.append(value)
    return (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))) if values else None
