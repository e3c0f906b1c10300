"""Seeded reports for the tests of the renderers: healthy, several findings with consequences, many runs, hostile names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tbdiag.model import (
    Cause,
    Curve,
    Evidence,
    Finding,
    HistogramView,
    Interval,
    Mark,
    MissingEvidence,
    Note,
    Outcome,
    OutcomeKind,
    Predicate,
    ReadIssue,
    Report,
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


def _signals(curves: Sequence[Curve]) -> tuple[SignalRow, ...]:
    return tuple(
        SignalRow(c.tag, c.role, c.split, c.direction, c.main, c.n, f"the tag's words say {c.role.replace('_', ' ')}") for c in curves
    )


def _span(curves: Sequence[Curve], lost: int = 0) -> dict[str, Any]:
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
        "span": _span(curves),
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
        "signals": _signals(curves),
        "curves": tuple(curves),
        "checks": checks([f.id for f in findings]),
        "missing_evidence": missing(),
        "read_issues": (),
        "best_checkpoint": {"step": val.best_step, "role": "val_loss", "tag": val.tag, "value": val.best, "split": "val"} if val else None,
        "framework": "PyTorch SummaryWriter",
    }
    return RunReport(**{**values, **more})


def _decay(n: int, start: float, end: float, rate: float = 6.0) -> np.ndarray:
    return end + (start - end) * np.exp(-rate * np.linspace(0, 1, n))


def curves_of(seed: int = 1, n: int = 400, *, overfit: bool = False, every: int = 50) -> list[Curve]:
    """Curves of an ordinary run."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, n)
    m = max(4, n // 10)
    xv = np.linspace(0, 1, m)
    train = _decay(n, 2.3, 0.06 if overfit else 0.35) + rng.normal(0, 0.03, n)
    val = _decay(m, 2.3, 0.55, 9) + (1.1 * np.clip(xv - 0.21, 0, None) if overfit else 0) + rng.normal(0, 0.01, m)
    accuracy = 0.1 + 0.75 * (1 - np.exp(-7 * xv)) + rng.normal(0, 0.004, m)
    lr = np.where(x < 0.05, x / 0.05, 0.5 * (1 + np.cos(np.pi * (x - 0.05) / 0.95))) * 3e-4
    norm = np.exp(rng.normal(0, 0.25, n)) * (0.4 + 2 * np.exp(-8 * x))
    wide = every * n // m
    return [
        curve("loss/train", "train_loss", train, every=every, split="train", direction="lower", stem="loss"),
        curve("loss/val", "val_loss", val, every=wide, split="val", direction="lower", stem="loss"),
        curve(
            "accuracy/train",
            "train_metric",
            np.minimum(1, 0.12 + 0.88 * (1 - np.exp(-6 * x))),
            every=every,
            split="train",
            direction="higher",
            stem="accuracy",
        ),
        curve("accuracy/val", "val_metric", accuracy, every=wide, split="val", direction="higher", stem="accuracy"),
        curve("lr", "lr", lr, every=every),
        curve("grad_norm", "grad_norm", norm, every=every),
    ]


def healthy() -> Report:
    """One healthy run."""
    return Report((run_report("runs/exp41", curves_of(1)),), TOOL)


def overfitting_finding(curves: Sequence[Curve], last: int) -> Finding:
    """The finding of an overfitting run."""
    val = curves[1]
    assert val.best is not None
    assert val.best_step is not None
    evidence = Evidence(
        f"The validation loss was best at step {val.best_step:,} with {val.best:.4g} and ended at {val.end:.4g}.",
        {"best_step": val.best_step, "best": val.best, "end": val.end or 0.0},
        ("loss/val", "loss/train"),
        (Mark("best", "best validation", val.best_step, val.best),),
    )
    more = Evidence("Training went on falling over the same steps, from 0.71 to 0.0604.", {"then": 0.71, "now": 0.0604}, ("loss/train",))
    return finding(
        "overfitting",
        "warning",
        f"Overfitting: the validation loss rises from {val.best:.4g} to {val.end:.4g} after step {val.best_step:,} while training improves",
        (evidence, more),
        onset=(val.best_step, val.best_step + 400),
        last=last,
    )


def overfitting() -> Report:
    """One run that overfits, with a consequence and two notes."""
    curves = curves_of(2, overfit=True)
    head = overfitting_finding(curves, 19950)
    consequence = finding(
        "over-confidence",
        "warning",
        "Confidence 0.91 is far above accuracy 0.71",
        onset=(4800, 6000),
        caused_by="overfitting",
        why="it begins after the validation loss turned",
    )
    note = finding("missing-evidence", "note", "Missing evidence: predicted class shares and seed were not logged", confidence=1.0)
    stalled = finding("stalled", "note", "Nothing was written for 14 min after step 8,200", onset=(8200, 8250), confidence=0.7)
    return Report((run_report("runs/exp42", curves, (head, consequence, note, stalled), histograms=histograms()),), TOOL)


def exploding() -> Report:
    """A run with an error: NaN after a spike, clipped values, a restart, a truncated file."""
    rng = np.random.default_rng(5)
    curves = curves_of(5)
    values = _decay(400, 2.3, 0.9) + rng.normal(0, 0.03, 400)
    values[240:250] = [3, 9, 40, 800, 2.4e4, 1e6, np.inf, np.nan, np.nan, np.nan]
    values[250:] = np.nan
    curves[0] = curve("loss/train", "train_loss", values, split="train", direction="lower", stem="loss")
    norm = np.exp(rng.normal(0, 0.2, 400)) * 0.6
    norm[236:247] = 10.0 ** np.linspace(0, 6, 11)
    norm[247:] = np.nan
    curves[5] = curve("grad_norm", "grad_norm", norm, log_scale=True)
    head = finding(
        "nan-inf",
        "error",
        "Loss became NaN at step 12,350 after the gradient norm rose a millionfold from step 11,800",
        (
            Evidence(
                "The train loss is NaN from step 12,350 to the end: 153 of 400 points.", {"first": 12350, "count": 153}, ("loss/train",)
            ),
            Evidence(
                "The gradient norm rose from 0.61 to 1,000,000 in the 550 steps before.",
                {"from": 0.61, "to": 1e6},
                ("grad_norm",),
                (Mark("event", "clipping would act", 11800),),
            ),
        ),
        onset=(11800, 12050),
        last=19950,
        confidence=0.98,
    )
    follower = finding(
        "spikes", "warning", "Three spikes of the loss above 3", onset=(12000, 12150), caused_by="nan-inf", why="the spikes lead up to it"
    )
    issues = (
        ReadIssue(
            "restart",
            "events.out.tfevents.1700000100.gpu-node-17.4242.1",
            "steps 9,000 to 9,450 were written twice: the later write was kept",
            first_step=9000,
            last_step=9450,
            damage=False,
        ),
        ReadIssue(
            "truncated",
            "events.out.tfevents.1700000000.gpu-node-17.4242.0",
            "file ends inside a record at byte 88,113 of 88,200",
            offset=88113,
            end=88200,
            size=88200,
        ),
    )
    run = run_report("runs/fp16-lr3e-3", curves, (head, follower), read_issues=issues)
    return Report((replace(run, span={**run.span, "bytes_readable": run.span["bytes"] - 87}),), TOOL)


def comparison(count: int = 12) -> Report:
    """Several runs, worst first."""
    runs = []
    for k in range(count):
        bad = k < max(1, count // 3)
        curves = curves_of(20 + k, n=400 if count <= 20 else 200, overfit=bad)
        found = (overfitting_finding(curves, 19950),) if bad else ()
        if k == 0:
            found = (
                finding(
                    "divergence",
                    "error",
                    "Divergence: the loss leaves its best of 0.4 at step 6,100 for good",
                    (Evidence("The loss left its best.", {}, ("loss/train",)),),
                    onset=(6100, 6600),
                    last=19950,
                ),
                *found,
            )
        runs.append(run_report(f"sweep/lr{k % 4}-wd{k // 4}-seed{k}", curves, found))
    return Report(tuple(runs), TOOL)


def many(charts: int) -> Report:
    """One run with as many charts of a single curve each."""
    rng = np.random.default_rng(9)
    curves = [
        curve(f"metric_{k}/value", "unknown", _decay(1000, 2, 0.5) + rng.normal(0, 0.05, 1000), main=False, stem=f"metric_{k}")
        for k in range(charts)
    ]
    return Report((run_report("runs/wide", curves),), TOOL)


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(1)</script>",
    "</svg><svg onload=alert(1)>",
    "'-alert(1)-'",
    "line\nbreak\ttab\x00nul\x1b[31mred",
    "\u202eevil\u2066bidi",
    "zero\u200bwidth\ufeff",
    "caf\u00e9 \u6f22\u5b57 \U0001f600",
    "bytes \udc80\udcff",
    "{{ 7*7 }}{% raw %}",
    "]]> --> <!-- <![CDATA[",
    "a" * 5000,
    "Z\u0300\u0301\u0302\u0303\u0304\u0305\u0306",
    "@everyone #1 [x](javascript:alert(1)) `tick` |pipe| **bold**",
    "::error file=x::owned%0A",
    "javascript:alert(1)",
)


def hostile() -> Report:
    """Runs and tags with names that try to script, to break out, or to hide what follows."""
    runs = []
    for k, name in enumerate(HOSTILE):
        curves = [
            curve(f"{name}/train", "train_loss", _decay(60, 2, 0.2), split="train", direction="lower", stem=name),
            curve(f"{name}/val", "val_loss", _decay(60, 2, 0.6), split="val", direction="lower", stem=name),
        ]
        evidence = Evidence(
            f"{name} rose.", {"x": 1.0}, (f"{name}/train", f"{name}/val"), (Mark("event", name, 500), Mark("level", name, None, 1.0))
        )
        found = finding("overfitting", "warning", f"Overfitting of {name} after step 1,000", (evidence,), onset=(1000, 1200), last=2950)
        issue = ReadIssue("truncated", name, f"{name} is cut")
        runs.append(
            run_report(
                name,
                curves,
                (found,),
                config={name: {"value": name, "source": name}},
                read_issues=(issue,),
                histograms=histograms(2, 4) if k == 0 else (),
            )
        )
    return Report(tuple(runs), TOOL)


ALL = {"healthy": healthy, "overfitting": overfitting, "exploding": exploding, "comparison": comparison, "hostile": hostile}
