"""What changed in the configuration between two runs, as far as their logs tell; and whether they solve the same task at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tbdiag.compare.sides import SideRun
from tbdiag.features import CurveFacts, Features
from tbdiag.model import Axis, Role

SAME = 1e-6
RATE_CHANGED = 1.05
SHAPE_CHANGED = 0.1
FAR_APART = 0.2
FEW_POINTS = 20
MOST_CLASSES = 20
"""Above this the levels ln K lie closer together than losses at the start scatter."""

BOOKKEEPING = (
    "seed", "run_name", "run_id", "name", "version", "log_dir", "logdir", "logging_dir", "output_dir", "save_dir", "checkpoint", "path",
    "date", "time", "host", "hostname", "user", "git", "commit", "device", "gpu", "num_workers", "log_every", "logging_steps", "verbose",
    "wandb", "tensorboard", "comment", "note", "tags", "uuid", "pid", "rank", "report_to", "disable_tqdm", "eval_steps", "save_steps",
)  # fmt: skip
"""Words in a setting's name that make a change of it no change of the experiment."""

TASK = ("dataset", "dataset_name", "data", "task", "task_name", "env", "env_id", "num_classes", "n_classes", "classes", "num_labels")
"""Settings whose change makes it another task."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference of configuration; `source` says where it was seen, `relevant` whether it can have changed the result."""

    key: str
    before: Any
    after: Any
    source: str
    relevant: bool


def find_changes(before: SideRun, after: SideRun) -> list[Change]:
    """Settings that differ, from hparams and configuration texts, then from the learning-rate series; in order of their names."""
    old, new = before.features.signals.config, after.features.signals.config
    both = [k for k in sorted(set(old) & set(new)) if not same_value(old[k], new[k])]
    # A setting that only one run tells may have been there all along: it is listed, and cannot be counted.
    one = sorted(set(old) ^ set(new)) if old and new else []
    out = [Change(k, old[k], new[k], "configuration", is_relevant(k)) for k in both]
    out += [Change(k, old.get(k), new.get(k), "told by one run only", False) for k in one]
    if not any(c.relevant and _is_rate(c.key) for c in out):
        out += _rate_changes(before.features, after.features)
    return out


def same_value(a: object, b: object) -> bool:
    """Whether two settings are the same, numbers within rounding."""
    if isinstance(a, (int, float)) and isinstance(b, (int, float)) and not isinstance(a, bool) and not isinstance(b, bool):
        return math.isclose(a, b, rel_tol=SAME, abs_tol=1e-15) or (math.isnan(a) and math.isnan(b))
    return str(a) == str(b)


def is_relevant(key: str) -> bool:
    """Whether a setting can change the result: not a name, place, seed or rhythm of logging."""
    word = key.lower().replace("-", "_").rsplit("/", 1)[-1].rsplit(".", 1)[-1]
    return not any(word == b or word.startswith(f"{b}_") or word.endswith(f"_{b}") for b in BOOKKEEPING)


def learning_rate(features: Features) -> float | None:
    """Peak learning rate of a run, from its series, else from its configuration."""
    curve = features.curve("lr")
    if curve is not None and curve.n and float(curve.value.max()) > 0:
        return float(curve.value.max())
    value = next((v for k, v in sorted(features.signals.config.items()) if _is_rate(k)), None)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else None


def _is_rate(key: str) -> bool:
    word = key.lower().replace("-", "_").rsplit("/", 1)[-1].rsplit(".", 1)[-1]
    return word in ("lr", "learning_rate", "base_lr", "max_lr", "peak_lr", "init_lr")


def _rate_changes(before: Features, after: Features) -> list[Change]:
    old, new = before.curve("lr"), after.curve("lr")
    if old is None or new is None or not (old.n and new.n):
        return []
    source = "learning-rate series"
    peak_old, peak_new = float(old.value.max()), float(new.value.max())
    out = []
    if not _close(peak_old, peak_new):
        out.append(Change("learning_rate", peak_old, peak_new, source, True))
    shape_old, shape_new = _shape(old), _shape(new)
    for key, a, b in zip(("warm-up share of the run", "final over peak learning rate"), shape_old, shape_new, strict=True):
        if abs(a - b) > SHAPE_CHANGED:
            out.append(Change(key, a, b, source, True))
    return out


def _close(a: float, b: float) -> bool:
    return a == b or (a > 0 and b > 0 and max(a, b) / min(a, b) <= RATE_CHANGED)


def _shape(lr: CurveFacts) -> tuple[float, float]:
    peak = float(lr.value.max())
    if peak <= 0:
        return 0.0, 1.0
    there = int((lr.value >= peak * (1 - 1e-3)).argmax())
    span = max(int(lr.step[-1] - lr.step[0]), 1)
    return float((lr.step[there] - lr.step[0]) / span), float(lr.value[-1] / peak)


def other_task(before: SideRun, after: SideRun) -> str:
    """Why two runs do not solve the same task, so that nothing of one judges the other; empty where nothing speaks against it."""
    a, b = before.features.signals, after.features.signals
    if a.domain is not b.domain:
        return f"another kind of training: {b.domain.value} instead of {a.domain.value}"
    for key in TASK:
        if key in a.config and key in b.config and not same_value(a.config[key], b.config[key]):
            return f"another task: {key} is {b.config[key]} instead of {a.config[key]}"
    classes = _class_ids(before.features), _class_ids(after.features)
    if all(classes) and len(classes[0]) != len(classes[1]):
        return f"another number of classes: {len(classes[1])} instead of {len(classes[0])}"
    known = _classes(before), _classes(after)
    if known[0] is not None and known[1] is not None and known[0] != known[1]:
        return f"another number of classes: {known[1]} instead of {known[0]}"
    return _other_start(before.features, after.features)


def _classes(run: SideRun) -> int | None:
    """Number of classes where the log tells it; a guess from the loss at the start is left to `_other_start`."""
    signals = run.features.signals
    if not run.whole:
        row = run.data.get("config", {}).get("classes")
        why = str(row.get("source", "")) if isinstance(row, Mapping) else ""
    else:
        why = signals.chance_why
    return None if signals.classes is None or "first" in why or "initial" in why or "starts" in why else signals.classes


def _class_ids(features: Features) -> frozenset[str]:
    roles = (Role.PREDICTION_SHARE, Role.CLASS_METRIC, Role.LABEL_SHARE)
    return frozenset(s.name for s in features.signals.all if s.role in roles and s.series is not None)


def _other_start(before: Features, after: Features) -> str:
    """A loss logged before the first update at the level of a uniform guess tells the number of classes."""
    for key in ("train_loss", "val_loss"):
        a, b = _guess_classes(before.curve(key)), _guess_classes(after.curve(key))
        if a is not None and b is not None and a != b and abs(math.log(a / b)) > FAR_APART:
            return f"another number of classes: {key} starts at the level of {b} classes instead of {a}"
    return ""


def _guess_classes(curve: CurveFacts | None) -> int | None:
    """K where the first point, logged at step 0 of a step axis, lies within 0.05 of ln K for a small K; else None."""
    if curve is None or curve.n < FEW_POINTS or curve.step[0] != 0 or curve.signal.axis is not Axis.STEP:
        return None
    start = float(curve.value[0])
    if not 0.5 < start < math.log(MOST_CLASSES):
        return None
    guess = max(round(math.exp(start)), 2)
    return guess if abs(start - math.log(guess)) < 0.05 else None


def relevant(changes: list[Change]) -> list[Change]:
    """The changes that can have changed the result."""
    return [c for c in changes if c.relevant]


def say_changes(changes: list[Change]) -> str:
    """What cannot be told apart where more than one thing was changed at once; empty for at most one relevant change."""
    keys = [c.key for c in relevant(changes)]
    if len(keys) < 2:
        return ""
    return f"{', '.join(keys[:-1])} and {keys[-1]} changed together: the result stands, but which of them made it cannot be told apart"
