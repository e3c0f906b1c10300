"""How tags were read: a signal is a series (or histogram series) with the role that it plays in a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tbdiag.model.meanings import Axis, Direction, Domain, Role, Scale, Split, Writer
from tbdiag.model.runs import HistogramSeries, Int64, Run, Series


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """One series with its role. `series` is set for scalar roles, `histogram` for histogram roles.

    Attributes:
        stem: what is measured, with split words removed (``loss``, ``accuracy``, ``box_loss``); pairs train with validation.
        layer: layer or parameter name of a per-layer series; `depth` its position from the input (0 first), where known.
        class_id: class of a per-class series; `sub_kind` narrows the role (``zero_fraction``, ``p95``, ``std``, ``mean``).
        main: chosen to stand for its role and split (the train loss, the validation loss, the main metric).
        why: one clause that says how it was recognised; `convention` the convention's name, or ``""`` for general rules.
        axis: unit of the step column as it was logged.
        logged: the series as it was logged, where `series` is a copy that was moved onto the run's common axis (see `tbdiag.roles.axes`).
    """

    name: str
    role: Role
    split: Split
    direction: Direction
    stem: str
    why: str
    series: Series | None = None
    histogram: HistogramSeries | None = None
    scale: Scale = Scale.UNKNOWN
    axis: Axis = Axis.STEP
    layer: str | None = None
    depth: int | None = None
    class_id: str | None = None
    sub_kind: str | None = None
    main: bool = False
    convention: str = ""
    score: float = 0.0
    writer: Writer = field(default_factory=Writer)
    logged: Series | None = None

    def logged_step(self, step: float) -> int:
        """A step of `series` in the unit that the log itself uses for this series (the same step where nothing was moved)."""
        if self.logged is None or self.series is None or not len(self.series):
            return round(step)
        return round(float(np.interp(step, self.series.step, self.logged.step)))

    @property
    def key(self) -> str:
        """Role as success rules name it: ``train_loss``, ``val_metric``, ``lr``, ``grad_norm``."""
        split = "" if self.split is Split.NONE or self.role not in SPLIT_ROLES else f"{self.split.value}_"
        return split + self.role.value


SPLIT_ROLES = frozenset(
    {
        Role.LOSS,
        Role.LOSS_COMPONENT,
        Role.METRIC,
        Role.CONFIDENCE,
        Role.CALIBRATION_ERROR,
        Role.REWARD,
        Role.PREDICTION_SHARE,
        Role.CLASS_METRIC,
        Role.PREFERENCE_ACCURACY,
        Role.REWARD_MARGIN,
    }
)
"""Roles whose key carries the split."""


@dataclass(frozen=True, eq=False)
class Signals:
    """Every series of a run with its role, and what is known of the run as a whole.

    Attributes:
        all: signals in the order of the run's series names.
        domain, framework: what kind of training and which framework's layout (``""`` where none was recognised).
        config: configuration found in the log (``learning_rate``, ``batch_size``, ``epochs``, ``max_grad_norm``, ``seed``,
            ``precision``, ``weight_decay``, ``optimizer``, ``warmup_steps``, ``total_steps``, ``classes`` ...), each
            with its source in `config_source`.
        chance: chance level of the main loss in nats (ln K) and `classes` = K, where they can be known.
        epoch_steps: int64, the training steps at which an epoch ended, None where unknown; `epoch_why` says how they were found.
        overrides: series names whose role the user set.
    """

    run: Run
    all: tuple[Signal, ...] = ()
    domain: Domain = Domain.SUPERVISED
    framework: str = ""
    config: Mapping[str, float | str | bool] = field(default_factory=dict)
    config_source: Mapping[str, str] = field(default_factory=dict)
    classes: int | None = None
    chance: float | None = None
    chance_why: str = ""
    epoch_steps: Int64 | None = None
    epoch_why: str = ""
    overrides: tuple[str, ...] = ()

    def setting(self, name: str) -> float | None:
        """A number of the configuration; None where it is absent, a text or a truth value."""
        value = self.config.get(name)
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    def main(self, key: str) -> Signal | None:
        """The signal that stands for a role key such as ``train_loss`` or ``lr``, or None."""
        return self.mains.get(key)

    def role(self, role: Role, split: Split | None = None) -> tuple[Signal, ...]:
        """All signals of a role, of one split if given."""
        found = self.by_role.get(role, ())
        return found if split is None else tuple(s for s in found if s.split is split)

    @cached_property
    def mains(self) -> Mapping[str, Signal]:
        """The main signal of every role key that has one, the first where several claim it."""
        return {s.key: s for s in reversed(self.all) if s.main}

    @cached_property
    def by_role(self) -> Mapping[Role, tuple[Signal, ...]]:
        """All signals by role, in the order of `all`."""
        found: dict[Role, list[Signal]] = {}
        for s in self.all:
            found.setdefault(s.role, []).append(s)
        return {role: tuple(signals) for role, signals in found.items()}
