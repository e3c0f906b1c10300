"""The verdict of a run, its headline, and the checkpoint to keep."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import numpy as np

from tbdiag.detectors import load_detectors
from tbdiag.detectors._base import SUPERVISED
from tbdiag.diagnosis.doubts import Doubt
from tbdiag.diagnosis.suppression import ACCEPTED
from tbdiag.diagnosis.units import own_step
from tbdiag.diagnosis.words import say_clause, say_id
from tbdiag.features import CurveFacts, Features
from tbdiag.features.disagreement import is_one_sided, look_behind
from tbdiag.model import Direction, Finding, Outcome, OutcomeKind, Role, Run, Split
from tbdiag.model.findings import own_unit

QUALITY = ("val_loss", "val_metric", "test_metric", "test_loss", "train_metric", "reward", "val_reward", "train_reward")


def choose_verdict(findings: tuple[Finding, ...], features: Features, doubt: Doubt | None = None) -> str:
    """``findings`` with an error or warning; ``unclear`` where nothing moved or there is a `Doubt`; ``healthy`` where validation or an agent's quality was judged or a tiny overfit test passed; else ``unclear``."""
    if any(f.severity.rank < 2 for f in findings):
        return "findings"
    if any(f.id == "no-learning" for f in findings):
        return "unclear"  # a loss that never moved is no proof of health, even where nothing says that it is bad
    if any(f.id == "tiny-overfit-passed" for f in findings):
        return "healthy"
    if doubt is not None:
        return "unclear"
    # What training itself scores says no more about new data than its loss does.
    supervised = features.signals.domain in SUPERVISED
    judged = any((c := features.curve(key)) is not None and c.n >= 3 for key in QUALITY if not (supervised and key == "train_metric"))
    return "healthy" if judged or _any_metric(features, supervised) else "unclear"


def _any_metric(features: Features, supervised: bool) -> bool:
    roles = (Role.METRIC, Role.REWARD, Role.PREFERENCE_ACCURACY)
    found = (s for r in roles for s in features.signals.role(r) if s.series is not None and len(s.series) >= 3)
    return any(not (supervised and s.split is Split.TRAIN) for s in found)


def holds_curves(features: Features) -> bool:
    """Whether any series has two points; a graph, texts or final metrics alone tell of no training."""
    return any(s.series is not None and len(s.series) > 1 for s in features.signals.all)


def list_set_aside(outcomes: tuple[Outcome, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of accepted findings, and of checks that the configuration left out; those that can only be notes do not count."""
    aside = [o for o in outcomes if o.kind is OutcomeKind.SUPPRESSED]
    if not aside:
        return (), ()
    loud = {d.id for d in load_detectors() if d.severity.rank < 2}
    aside = [o for o in aside if o.id in loud]
    accepted = tuple(o.id for o in aside if o.why.startswith(ACCEPTED))
    return accepted, tuple(o.id for o in aside if not o.why.startswith(ACCEPTED))


def find_label(run: Run) -> str:
    """Name of a run as people know it: its path below the logdir, or the logdir's own name for the logdir itself."""
    return run.name if run.name != "." else PurePath(run.path).name or "."


def write_headline(
    name: str,
    verdict: str,
    findings: tuple[Finding, ...],
    outcomes: tuple[Outcome, ...],
    doubt: Doubt | None = None,
    *,
    curves: bool = True,
) -> str:
    """One line that tells the verdict: ``runs/exp42: overfitting from step 4,200, 2 notes``; `curves`: see `holds_curves`."""
    heads = [f for f in findings if f.caused_by is None]
    strong = [f for f in heads if f.severity.rank < 2]
    notes = len(heads) - len(strong)
    tail = f", {notes} note{'s' * (notes != 1)}" if notes else ""
    accepted = sum(o.kind is OutcomeKind.SUPPRESSED and o.why.startswith(ACCEPTED) for o in outcomes)
    tail += f", {accepted} accepted" if accepted else ""
    if strong:
        first = strong[0]
        since = ""
        if first.drawn is not None and first.onset is not None:
            own = f" ({own_unit(first.onset_axis)} {first.onset.first_step:,})" if first.drawn_onset else ""
            since = f" from step {first.drawn.first_step:,}{own}"
        more = f", {len(strong) - 1} more finding{'s' * (len(strong) != 2)}" if len(strong) > 1 else ""
        return f"{name}: {say_id(first.id)}{since}{more}{tail}"
    clean = sum(o.kind is OutcomeKind.CLEAN for o in outcomes)
    impossible = sum(o.kind is OutcomeKind.NOT_APPLICABLE for o in outcomes)
    aside, left_out = list_set_aside(outcomes)
    tail += f", {len(left_out)} left out" if left_out else ""
    if aside:
        return f"{name}: nothing besides what was accepted ({', '.join(aside)}), {clean} checks clean, {impossible} not possible{tail}"
    if left_out:
        return f"{name}: nothing found, {clean} checks clean, {impossible} not possible{tail}"
    if verdict == "healthy":
        return f"{name}: healthy, {clean} checks clean, {impossible} not possible{tail}"
    stands = next((f for f in findings if f.id == "no-learning"), None)
    if stands is not None:
        return f"{name}: unclear, {say_clause(stands.title)} ({clean} checks clean, {impossible} not possible){tail}"
    if doubt is not None:
        return f"{name}: unclear, {doubt.seen} ({clean} checks clean, {impossible} not possible){tail}"
    what = "nothing wrong in what was logged" if curves else "no scalar series has two points"
    return f"{name}: unclear, {what} ({clean} checks clean, {impossible} not possible){tail}"


def find_best_checkpoint(features: Features) -> dict[str, Any] | None:
    """Step, role, tag and value of the best point of the validation loss, else of the main validation metric or reward.

    Where it was logged on another axis than the curves are drawn on, also that axis and the step there (``axis``, ``drawn_step``). Where the
    validation metric was clearly better at another time than at the best of the loss, ``other`` is its best point, with the same keys and its ``name``.
    """
    for key in ("val_loss", "val_metric", "test_loss", "val_reward", "reward", "train_reward"):
        curve = features.curve(key)
        if curve is None or curve.n < 2 or curve.signal.direction is Direction.NONE:
            continue
        metric = features.curve("val_metric") if key == "val_loss" else None
        behind = look_behind(curve, metric) if metric is not None and metric.signal.direction is not Direction.NONE else None
        if metric is None or behind is None or not behind.parts or is_one_sided(metric):
            return _say_best(key, curve, features)
        name = metric.signal.stem.replace("_", " ").strip() or "metric"
        return {**_say_best(key, curve, features), "other": {**_say_best("val_metric", metric, features), "name": name}}
    return None


def _say_best(key: str, curve: CurveFacts, features: Features) -> dict[str, Any]:
    index = best_point(curve)
    drawn = int(curve.step[index])
    step = own_step(curve.name, drawn, features)
    return {
        "step": step,
        "role": key,
        "tag": curve.name,
        "value": float(curve.value[index]),
        "split": curve.signal.split.value if curve.signal.split is not Split.NONE else "",
        **({"axis": curve.signal.axis.value, "drawn_step": drawn} if step != drawn else {}),
    }


def best_point(curve: CurveFacts) -> int:
    """Index of the best logged point: a checkpoint exists at a point, not at a smoothed one."""
    return int(np.argmin(curve.cost))
