"""Parts of sample reports: curves, findings, checks, histograms and run reports as a diagnosis would make them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tbdiag.model import (
    Cause,
    Curve,
    Evidence,
    Finding,
    HistogramView,
    Interval,
    MissingEvidence,
    Note,
    Outcome,
    OutcomeKind,
    Predicate,
    RunReport,
    Severity,
    SignalRow,
    SuccessRule,
)
from tbdiag.render.decimate import keep_extremes

TOOL = {"name": "tbdiag", "version": "0.1.0"}
CHECKS = [
    "class-imbalance",
    "clipping-saturated",
    "dead-units",
    "divergence",
    "epoch-sawtooth",
    "exploding-gradients",
    "frozen-weights",
    "generalization-gap",
    "instability",
    "label-noise",
    "leakage",
    "loss-mismatch",
    "lr-schedule",
    "lr-too-high",
    "lr-too-low",
    "lr-zero",
    "missing-evidence",
    "nan-inf",
    "no-learning",
    "noisy-validation",
    "over-confidence",
    "overfitting",
    "plateau",
    "prediction-collapse",
    "restart-overlap",
    "saturated-activations",
    "spikes",
    "stalled",
    "sudden-shift",
    "truncated-log",
    "unconverged",
    "underfitting",
    "val-better",
    "vanishing-gradients",
    "weight-growth",
]
NOT_LOGGED = {
    "dead-units": "not logged: activation_stat or activation_histogram",
    "saturated-activations": "not logged: activation_stat or activation_histogram",
    "over-confidence": "not logged: confidence",
    "class-imbalance": "not logged: class_metric",
    "prediction-collapse": "not logged: prediction_share or prediction_histogram",
}


def curve(
    tag: str, role: str, values: Sequence[float] | np.ndarray, *, every: int = 50, split: str = "none", direction: str = "none", **more: Any
) -> Curve:
    """A curve of the report from all its logged values."""
    array = np.asarray(values, dtype=np.float32).astype(float)
    steps = np.arange(array.size) * every
    plain = [float(f"{v:.7g}") if math.isfinite(v) else None for v in array]
    kept = keep_extremes(plain, 400)
    finite = [(v, int(s)) for v, s in zip(plain, steps, strict=False) if v is not None]
    best: tuple[float | None, int | None] = (None, None)
    if finite and direction != "none":
        best = min(finite) if direction == "lower" else max(finite)
    bad = tuple(
        (int(s), "nan" if math.isnan(v) else "inf" if v > 0 else "-inf") for v, s in zip(array, steps, strict=False) if not math.isfinite(v)
    )
    return Curve(
        role=role,
        tag=tag,
        steps=tuple(int(steps[i]) for i in kept),
        values=tuple(plain[i] for i in kept),
        n=int(array.size),
        noise=0.01,
        best=best[0],
        best_step=best[1],
        end=finite[-1][0] if finite else None,
        first=finite[0][0] if finite else None,
        split=split,
        direction=direction,
        stem=more.pop("stem", tag.split("/")[0]),
        main=more.pop("main", True),
        nonfinite=bad[:100],
        **more,
    )


def finding(
    id: str,  # noqa: A002
    severity: str,
    title: str,
    evidence: Sequence[Evidence] = (),
    *,
    onset: tuple[int, int] | None = None,
    last: int | None = None,
    confidence: float = 0.85,
    caused_by: str | None = None,
    why: str = "",
) -> Finding:
    """A finding with everything that a card shows."""
    return Finding(
        id=id,
        severity=Severity(severity),
        confidence=confidence,
        title=title,
        evidence=tuple(evidence) or (Evidence(title + ".", {}, ()),),
        causes=(
            Cause("Too many epochs or too much capacity for the amount of data", "training accuracy reaches 99.8 %"),
            Cause("Training and validation data are distributed or preprocessed differently"),
            Cause("Label noise that is memorised"),
        ),
        first_check="Verify that no sample, user, scene or time window lies in both splits, and that preprocessing is the same.",
        first_action="Rerun unchanged except for stronger regularisation: weight decay times 5 (0.01 to 0.05).",
        fixes=("Verify split integrity and align preprocessing", "Reduce capacity", "More data, better augmentation", "Stop early"),
        success_rule=SuccessRule(
            all=(Predicate("val_loss", "best", "<", 0.6214, sd_times=-1.0, source="best(val_loss) of this run"),),
            sentence="The best validation loss is below 0.6214 by more than its noise, and the end stays within 4 sd of the best.",
        ),
        onset=Interval(*onset) if onset else None,
        extent=Interval(onset[0], last) if onset and last is not None else None,
        caused_by=caused_by,
        caused_by_why=why,
        fingerprint=f"{abs(hash_of(id)):012x}",
    )


def hash_of(text: str) -> int:
    """A number from a text, the same in every process."""
    import zlib

    return zlib.crc32(text.encode("utf-8", "surrogatepass")) * 4099


def checks(found: Sequence[str] = (), crashed: Sequence[str] = ()) -> tuple[Outcome, ...]:
    """An outcome for every check."""
    out = []
    for i in CHECKS:
        if i in found:
            out.append(Outcome(i, OutcomeKind.FOUND, i))
        elif i in crashed:
            out.append(Outcome(i, OutcomeKind.CRASHED, "ValueError: something odd"))
        elif i in NOT_LOGGED:
            out.append(Outcome(i, OutcomeKind.NOT_APPLICABLE, NOT_LOGGED[i], missing=("confidence",)))
        else:
            out.append(Outcome(i, OutcomeKind.CLEAN))
    return tuple(out)


def missing() -> tuple[MissingEvidence, ...]:
    """The audit of evidence."""
    return (
        MissingEvidence(
            "prediction-shares",
            "predicted class shares",
            False,
            "would have decided prediction-collapse, class-imbalance in this run",
            'counts = torch.bincount(predictions, minlength=classes)\nfor k, n in enumerate(counts):\n    writer.add_scalar(f"predictions/class_{k}", n / counts.sum(), step)',
            0,
        ),
        MissingEvidence("seed", "seed", False, "it makes the run reproducible", 'writer.add_text("seed", str(seed))', 1),
        MissingEvidence("validation-loss", "validation loss", True, "logged; it shows overfitting", "", 2),
        MissingEvidence("gradient-norm", "gradient norm", True, "logged; it catches instability early", "", 3),
    )


NOTE = Note(
    "overfit: validation worsens after step 4,200",
    "confidence 0.91 at 0.71 accuracy",
    "norm 0.8, finite, steady",
    "verify that no sample lies in both splits",
    "weight decay times 5",
    "best validation loss below 0.6214 by more than its noise",
)


def histograms(layers: int = 5, points: int = 24, role: str = "gradient_histogram") -> tuple[HistogramView, ...]:
    """Histogram series of several layers, the scale falling with depth."""
    rng = np.random.default_rng(3)
    out = []
    for k in range(layers):
        scale = 10.0 ** (-k * 0.6)
        rows = []
        for i in range(points):
            s = scale * (1 + 0.5 * math.sin(i / 3 + k)) * (1 - 0.02 * i) * (1 + 0.05 * rng.normal())
            rows.append(tuple(float(f"{s * q:.5g}") for q in (-4, -1.6, -0.7, 0.02, 0.7, 1.6, 4)))
        out.append(
            HistogramView(
                role,
                f"gradients/layer{layers - 1 - k}.weight",
                f"layer{layers - 1 - k}",
                layers - 1 - k,
                tuple(range(0, points * 500, 500)),
                tuple(rows),
                tuple(min(1.0, 0.15 * k) for _ in range(points)),
                points,
            )
        )
    return tuple(out)


def signal_rows(curves: Sequence[Curve]) -> tuple[SignalRow, ...]:
    return tuple(
        SignalRow(c.tag, c.role, c.split, c.direction, c.main, c.n, f"the tag's words say {c.role.replace('_', ' ')}") for c in curves
    )


def span_of(curves: Sequence[Curve], lost: int = 0) -> dict[str, Any]:
    last = max((c.steps[-1] for c in curves if c.steps), default=0)
    points = sum(c.n for c in curves)
    return {
        "first_step": 0,
        "last_step": last,
        "axis": "step",
        "points": points,
        "series": len(curves),
        "seconds": 2531.4,
        "files": 2,
        "bytes": 48 * points + 4096,
        "bytes_readable": 48 * points + 4096 - lost,
    }


CONFIG = {
    "batch_size": {"value": 64, "source": "hparams"},
    "learning_rate": {"value": 0.0003, "source": "hparams"},
    "optimizer": {"value": "AdamW", "source": "hparams"},
    "seed": {"value": 17, "source": "text summary config"},
}


def run_report(name: str, curves: Sequence[Curve], findings: Sequence[Finding] = (), **more: Any) -> RunReport:
    """A run's report around curves and findings."""
    heads = [f for f in findings if f.caused_by is None]
    strong = [f for f in heads if f.severity is not Severity.NOTE]
    notes = len(heads) - len(strong)
    tail = f", {notes} note{'s' * (notes != 1)}" if notes else ""
    head = strong[0] if strong else None
    if head:
        headline = f"{name}: {head.id.replace('-', ' ')}" + (f" from step {head.onset.first_step:,}" if head.onset else "")
        headline += (f", {len(strong) - 1} more finding{'s' * (len(strong) != 2)}" if len(strong) > 1 else "") + tail
    else:
        headline = f"{name}: healthy, 30 checks clean, 5 not possible{tail}"
    val = next((c for c in curves if c.role == "val_loss" and c.best is not None), None)
    values: dict[str, Any] = {
        "name": name,
        "path": f"runs/{name}",
        "verdict": "findings" if strong else "healthy",
        "status": "ended",
        "headline": headline,
        "span": span_of(curves),
        "config": CONFIG,
        "findings": tuple(findings),
        "next_experiment": {
            "finding": head.id,
            "action": head.first_action,
            "why": f"it is the first thing to settle about {head.id}.",
            "success_rule": head.success_rule.sentence,
            "command": "tbdiag verify tbdiag-report.html NEXT_LOGDIR",
        }
        if head
        else None,
        "note": NOTE,
        "signals": signal_rows(curves),
        "curves": tuple(curves),
        "checks": checks([f.id for f in findings]),
        "missing_evidence": missing(),
        "read_issues": (),
        "best_checkpoint": {"step": val.best_step, "role": "val_loss", "tag": val.tag, "value": val.best, "split": "val"} if val else None,
        "framework": "PyTorch SummaryWriter",
    }
    return RunReport(**{**values, **more})
