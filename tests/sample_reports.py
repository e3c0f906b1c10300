"""Seeded reports for the tests of the renderers: healthy, several findings with consequences, many runs, hostile names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sample_parts import NOTE, TOOL, curve, finding, histograms, run_report

from tbdiag.model import (
    Curve,
    Evidence,
    Finding,
    Mark,
    ReadIssue,
    Report,
)


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
__all__ = ["ALL", "HOSTILE", "NOTE", "TOOL", "comparison", "exploding", "healthy", "hostile", "many", "overfitting"]
