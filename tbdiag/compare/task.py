"""Whether two runs solve the same task at all: nothing of one run judges another that learns something else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tbdiag.compare.changes import learning_rate, same_value
from tbdiag.compare.sides import SideRun
from tbdiag.features import CurveFacts, Features
from tbdiag.model import Axis, Role
from tbdiag.roles.choose import NEVER_A_NUMBER
from tbdiag.stats.noise import mad

SETTINGS = ("dataset", "dataset_name", "data", "task", "task_name", "env", "env_id", "num_classes", "n_classes", "classes", "num_labels")
"""Settings whose change makes it another task."""
START_MOVES = frozenset(
    {
        "divergence", "nan-inf", "exploding-gradients", "instability", "lr-too-high", "saturated-activations",
        "dead-units", "vanishing-gradients", "weight-growth",
    }
)  # fmt: skip
"""Findings whose cure can change the loss before the first update, if they begin there: initialisation, input scaling."""
OTHER_LOSS = frozenset({"class-imbalance", "prediction-collapse", "low-confidence", "label-noise", "loss-mismatch"})
"""Findings whose cure changes the loss itself (its weights, labels or formula), wherever they begin."""

BREAKS = frozenset({"divergence", "nan-inf", "exploding-gradients", "instability", "lr-too-high"})
"""What a learning rate beyond what the run bears does to it."""

FAR = 0.33
"""Difference in the logarithm of the loss at the start that seed and batch do not explain (seen: up to 0.28 between initialisations of one
small network). The levels ln 10 and ln 5 of a uniform guess differ by 0.36, ln 10 and ln 3 by 0.74."""
AT_START = 0.1
RAISED = 2.0
NEAR = 0.1
"""Fresh starts this close are the same task; between this and `FAR` they are a hint that needs a second one."""
FRESH_STEPS = 5
FRESH_SHARE = 0.01
OTHER_CADENCE = 1.1
KEPT_TAGS = 0.8
FEWEST_KEPT = 0.5
"""Share of the earlier tags that must be logged again; added tags never count against a run."""


def other_task(before: SideRun, after: SideRun, finding: Mapping[str, Any] | None = None) -> str:
    """Why two runs do not solve the same task; empty where nothing speaks against it.

    Certain signs (kind of training, settings, classes logged one by one, metrics without a common tag, few tags kept) count alone. So does a loss
    at the start, before learning, at another level, unless the cure of `finding` can move it. A first point that learning has touched
    already is only a hint: it needs a second one (another rhythm of validation, other tags).
    """
    a, b = before.features.signals, after.features.signals
    if a.domain is not b.domain:
        return f"another kind of training: {b.domain.value} instead of {a.domain.value}"
    for key in SETTINGS:
        if key in a.config and key in b.config and not same_value(a.config[key], b.config[key]):
            return f"another task: {key} is {b.config[key]} instead of {a.config[key]}"
    for role in (Role.PREDICTION_SHARE, Role.CLASS_METRIC, Role.LABEL_SHARE):
        many = [{s.name for s in x.all if s.role is role and s.series is not None} for x in (a, b)]
        if all(many) and len(many[0]) != len(many[1]) and _classes(before) != _classes(after):
            return f"another number of classes: {len(many[1])} {role.value} series instead of {len(many[0])}"
    known = _classes(before), _classes(after)
    if None not in known and known[0] != known[1]:
        return f"another number of classes: {known[1]} instead of {known[0]}"
    metrics = [
        {s.name for s in x.all if s.series is not None and (s.role is Role.METRIC or s.why.endswith(NEVER_A_NUMBER))} for x in (a, b)
    ]
    if all(metrics) and not metrics[0] & metrics[1]:
        return f"another task: it is measured by {_first(metrics[1])} instead of {_first(metrics[0])}"
    if tags := _other_tags(before.features, after.features, FEWEST_KEPT):
        return tags
    few = finding is not None and "overfit" in str(finding.get("first_action", "")).lower()
    moves = (
        (finding is not None and _start_moves(finding, before.features))
        or _broke_at_once(after)
        or _thrown_up(before.features, after.features)
    )
    return _other_start(before.features, after.features, moves=moves, few_samples=few)


def _first(names: set[str]) -> str:
    return min(names)


def _classes(run: SideRun) -> int | None:
    """Number of classes that the log tells; a guess from the loss at the start does not count."""
    signals = run.features.signals
    why = signals.chance_why
    if not run.whole:
        row = run.data.get("config", {}).get("classes")
        why = str(row.get("source", "")) if isinstance(row, Mapping) else ""
    return None if signals.classes is None or why.startswith("the first") else signals.classes


def _broke_at_once(after: SideRun) -> bool:
    """Whether the later run broke within its first tenth: a rate raised too far throws the loss up before the first point is logged."""
    first, last = after.features.steps
    found = [f for f in after.findings if f["id"] in BREAKS and f["severity"] != "note"]
    return any(_from_start(f, first, last) for f in found)


def _thrown_up(before: Features, after: Features) -> bool:
    """Whether a raised rate may have thrown the loss up before its first logged point, which an update came before."""
    a, b = learning_rate(before), learning_rate(after)
    x, y = before.curve("train_loss"), after.curve("train_loss")
    if a is None or b is None or b < RAISED * a or x is None or y is None or not (x.n and y.n):
        return False
    return int(y.step[0]) > 1 and float(y.value[0]) > float(x.value[0])


def _start_moves(finding: Mapping[str, Any], features: Features) -> bool:
    """Whether the cure of a finding can change the loss before the first update: it concerns the start, and began there."""
    return finding["id"] in OTHER_LOSS or (finding["id"] in START_MOVES and _from_start(finding, *features.steps))


def _from_start(finding: Mapping[str, Any], first: int, last: int) -> bool:
    """Whether a finding concerns the whole run or begins in its first tenth, on the axis of the curves."""
    onset = finding.get("drawn_onset") or finding.get("onset")
    return not onset or onset["first_step"] <= first + AT_START * (last - first)


def _other_start(before: Features, after: Features, *, moves: bool, few_samples: bool) -> str:
    far = ""
    for key in ("train_loss", "val_loss"):
        a, b = before.curve(key), after.curve(key)
        if a is None or b is None or not (a.n and b.n) or a.name != b.name:
            continue
        fresh = _fresh(a) and _fresh(b)
        single = all(_classifies(f) and c.step[0] <= 1 for f, c in ((before, a), (after, b)))
        x, y = _start(a, fresh, single), _start(b, fresh, single)
        if not (x > 0 and y > 0):
            continue
        # A run that broke is noisy itself; where the start hardly varies, the calmer run tells how much.
        noise = math.sqrt(2) * min(a.sigma, b.sigma) if single else math.hypot(a.sigma, b.sigma)
        if not single:  # before it has learnt, a loss scatters as it does over its first points: in proportion to its level
            noise = max(noise, math.hypot(*(level * _early_scatter(c) for level, c in ((x, a), (y, b)))))
        apart, sigmas = abs(math.log(x / y)), abs(x - y) / max(noise, 1e-300)
        if apart <= NEAR or sigmas <= 1:
            if fresh:
                return ""  # both start alike before anything was learnt: the strongest sign of the same task
            continue
        if (apart <= FAR or sigmas <= 3) and not fresh:
            continue
        if fresh and not moves and apart > FAR and sigmas > 3:
            return f"another task: {key} starts at {y:.3g} instead of {x:.3g}"
        far = far or f"another task: {key} begins at {y:.3g} instead of {x:.3g}"
    # The tiny overfit test has a rhythm of its own: that it was asked for is no sign of another task.
    hint = ("" if few_samples else _other_rhythm(before, after)) or _other_tags(before, after)
    return f"{far}, and {hint}" if far and hint else ""


def _start(curve: CurveFacts, fresh: bool, single: bool) -> float:
    """Level of the first points: three where many single steps were logged, which learning has hardly touched yet.

    The first one alone (`single`) of a classifier, whose loss hardly varies before the first update: a rate that is far too high has
    touched the second.
    """
    return float(np.median(curve.value[: 3 if fresh and curve.n >= 100 and not single else 1]))


def _early_scatter(curve: CurveFacts) -> float:
    """Relative noise of the first ten points, trends apart; 0 where there are few points or one is not positive."""
    early = curve.value[:10]
    if curve.n < 100 or float(early.min()) <= 0:
        return 0.0
    return mad(np.diff(np.log(early))) / math.sqrt(2)


def _classifies(features: Features) -> bool:
    return any(s.role is Role.METRIC and "acc" in s.stem.lower() for s in features.signals.all)


def _fresh(curve: CurveFacts) -> bool:
    """Whether the first point was measured before anything was learnt."""
    if curve.signal.axis is not Axis.STEP or curve.n < 10:
        return False
    first, span = int(curve.step[0]), int(curve.step[-1] - curve.step[0])
    every = int(np.median(np.diff(curve.step)))
    if first == 0 and every > 1:  # an axis of every single step from 0 may count epochs after all
        return True
    return first <= FRESH_STEPS and every <= max(FRESH_STEPS, FRESH_SHARE * span)


def _other_rhythm(before: Features, after: Features) -> str:
    a, b = before.curve("val_loss"), after.curve("val_loss")
    if a is None or b is None or a.n < 3 or b.n < 3 or a.signal.axis is not Axis.STEP or b.signal.axis is not Axis.STEP:
        return ""
    x, y = float(np.median(np.diff(a.step))), float(np.median(np.diff(b.step)))
    if x > 0 and y > 0 and max(x, y) / min(x, y) > OTHER_CADENCE:
        return f"validation comes every {y:g} steps instead of {x:g}"
    return ""


def _other_tags(before: Features, after: Features, kept: float = KEPT_TAGS) -> str:
    x, y = ({s.name for s in f.signals.all if s.series is not None and s.role is not Role.IGNORED} for f in (before, after))
    if x and y and len(x & y) < kept * len(x):
        return f"only {len(x & y)} of {len(x)} tags are logged again"
    return ""
