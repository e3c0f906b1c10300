"""What changed in the configuration between two runs, as far as their logs tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tbdiag.compare.sides import SideRun
from tbdiag.features import CurveFacts, Features

SAME = 1e-6
RATE_CHANGED = 1.05
SHAPE_CHANGED = 0.1
SERIES = "learning-rate series"

BOOKKEEPING = (
    "seed", "run_name", "run_id", "name", "version", "log_dir", "logdir", "logging_dir", "output_dir", "save_dir", "checkpoint", "path",
    "date", "time", "host", "hostname", "user", "git", "commit", "device", "gpu", "num_workers", "log_every", "logging_steps", "verbose",
    "wandb", "tensorboard", "comment", "note", "tags", "uuid", "pid", "rank", "report_to", "disable_tqdm", "eval_steps", "save_steps",
)  # fmt: skip
"""Words in a setting's name that make a change of it no change of the experiment."""


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
    peak_old, peak_new = float(old.value.max()), float(new.value.max())
    out = []
    if not _close(peak_old, peak_new):
        out.append(Change("learning_rate", peak_old, peak_new, SERIES, True))
    shape_old, shape_new = _shape(old), _shape(new)
    for key, a, b in zip(("warm-up share of the run", "final over peak learning rate"), shape_old, shape_new, strict=True):
        if abs(a - b) > SHAPE_CHANGED:
            out.append(Change(key, a, b, SERIES, True))
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


def relevant(changes: list[Change]) -> list[Change]:
    """The changes that can have changed the result."""
    return [c for c in changes if c.relevant]


def say_changes(changes: list[Change]) -> str:
    """What cannot be told apart where more than one thing was changed at once; empty for at most one relevant change.

    Peak, warm-up and end of a learning-rate series are one schedule, and count once.
    """
    keys = list(dict.fromkeys("the learning rate's schedule" if c.source == SERIES else c.key for c in relevant(changes)))
    if len(keys) < 2:
        return ""
    return f"{', '.join(keys[:-1])} and {keys[-1]} changed together: the result stands, but which of them made it cannot be told apart"
