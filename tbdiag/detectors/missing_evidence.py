"""Something that a diagnosis needs was never logged.

What it means
    The log lacks a series or an artefact of the trade's list: train and validation curves, configuration and seed, code and data
    version, split version, best checkpoint, prediction samples, gradient statistics, learning rate.

Why it matters
    What was not logged cannot be checked: a run without validation can overfit unseen, a run without seed cannot be reproduced.

How it is told
    Each artefact is looked for among the recognised roles, the configuration found in the log, and the text and media tags.

First check
    Look in the signals table whether the series was logged under a name that was not recognised, and set its role if so.

First action
    Log the one missing series that would decide most in this run; the report holds the lines.

Success rule
    The next run logs that role with at least ten points.

Not to be confused with
    truncated-log (it was logged but could not be read).

Limits
    Always a note. Artefacts saved outside the event files (checkpoints, configuration files) are not seen.

Sources
    The trade's list of what to save in every run; Amazon SageMaker Debugger and trainproof list skipped checks likewise.
"""

from __future__ import annotations

from functools import lru_cache

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    EVERY,
    LOG,
    Cause,
    Detector,
    Evidence,
    Example,
    Finding,
    Severity,
    SuccessRule,
    View,
    predicate,
)
from tbdiag.features.evidence import SAMPLES, Artefact, is_present, list_artefacts

ROLE_OF = {
    "val-curve": "val_loss",
    "return-curve": "train_reward",
    "train-curve": "train_loss",
    "learning-rate": "lr",
    "gradient-statistics": "grad_norm",
    "prediction-samples": "max_class_share",
}


def detect(view: View) -> Finding | None:
    """List the absent artefacts, most deciding first."""
    wanted = list_artefacts(view.features)
    absent = [a for a in wanted if not is_present(a.id, view.features)]
    return _tell(tuple(absent), len(wanted)) if absent else None


@lru_cache(maxsize=256)
def _tell(absent: tuple[Artefact, ...], wanted: int) -> Finding:
    """The same for all runs that lack the same."""
    first = absent[0]
    names = ", ".join(a.title for a in absent)
    curves = sum(a.id in ROLE_OF for a in absent)
    if first.id in ROLE_OF and first is not SAMPLES:
        role = ROLE_OF[first.id]
        rule = SuccessRule(
            all=(predicate(role, "points", ">=", 10, source="ten points are enough to judge a curve"),),
            sentence=f"The next run logs the {first.title} with at least 10 points.",
            guards=(),
        )
    else:
        rule = SuccessRule(
            all=(predicate("log", f"has_{first.id.replace('-', '_')}", ">=", 1, source="logged at all"),),
            sentence=f"The next run's log holds the {first.title}.",
            guards=(),
        )
    return Finding(
        id="missing-evidence",
        severity=Severity.NOTE,
        confidence=0.95 if curves else 0.8,
        title=f"Not logged: {names}",
        evidence=(
            Evidence(
                f"{len(absent)} of {wanted} artefacts that every run should save are absent.",
                {"absent": len(absent), "artefacts": wanted},
            ),
        ),
        causes=(Cause("The training script never logs it"), Cause("It is logged under a name that was not recognised")),
        first_check="Look in the signals table for the series under another name; set its role in the configuration if it is there.",
        first_action=f"Log the {first.title} in the next run.",
        fixes=tuple(f"Log the {a.title}: {a.why}" for a in absent[1:]),
        success_rule=rule,
        phase=LOG,
        roles=(),
    )


def _train_only() -> object:
    return _synth.make_run({"train/loss": _synth.decay(50, 2.0, 0.2)})


def _complete() -> object:
    from tbdiag.model import Run, TextSeries

    run = _synth.make_run(
        {
            "train/loss": _synth.decay(50, 2.0, 0.2),
            "val/loss": _synth.decay(50, 2.0, 0.3),
            "train/lr": _synth.decay(50, 1e-3, 1e-5),
            "train/grad_norm": _synth.decay(50, 2.0, 0.5),
            "val/pred_share/class_0": [0.5] * 50,
            "val/pred_share/class_1": [0.5] * 50,
        }
    )
    step = run.series["train/loss"].step[:1]
    wall = run.series["train/loss"].wall_time[:1]
    names = ("seed", "git_commit", "split", "best_checkpoint")
    texts = {name: TextSeries(name, "", step, wall, ("1",)) for name in names}
    return Run(name=run.name, path=run.path, series=run.series, texts=texts, files=run.files, hparams={"learning_rate": 1e-3, "seed": 1.0})


EXAMPLES = (
    Example("training loss only", _train_only, fires=True),
    Example("everything on the list", _complete, fires=False),
)

DETECTOR = Detector(
    id="missing-evidence",
    title="Missing evidence",
    summary="A series or artefact that a diagnosis needs was never logged.",
    severity=Severity.NOTE,
    phase=LOG,
    detect=detect,
    doc=__doc__ or "",
    domains=EVERY,
    examples=EXAMPLES,
)
