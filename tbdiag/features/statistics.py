"""The statistics that success rules may name: name -> function of a curve (and an argument) -> float.

All are taken over the rule's window. ``best``, ``rise``, ``drop`` follow the direction of the role; the others are plain.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tbdiag.features.curves import CurveFacts

Statistic = Callable[[CurveFacts, "float | None"], float]

STATISTICS: dict[str, Statistic] = {
    "first": lambda c, _: c.first,
    "end": lambda c, _: c.end,
    "best": lambda c, _: c.best,
    "min": lambda c, _: float(c.value.min()),
    "max": lambda c, _: float(c.value.max()),
    "mean": lambda c, _: float(c.value.mean()),
    "median": lambda c, _: float(np.median(c.value)),
    "quantile": lambda c, a: float(np.quantile(c.value, 0.5 if a is None else a)),
    "sd": lambda c, _: c.sigma,
    "drop": lambda c, _: c.drop,
    "rise": lambda c, _: c.rise,
    "best_step": lambda c, _: float(c.best_step),
    "best_share": lambda c, _: float((c.best_step - c.step[0]) / max(int(c.step[-1] - c.step[0]), 1)),
    "last_step": lambda c, _: float(c.step[-1]),
    "points": lambda c, _: float(c.n),
    "nonfinite": lambda c, _: float(c.bad_step.size),
    "share_above": lambda c, a: float(np.mean(c.value > (0.0 if a is None else a))),
    "share_below": lambda c, a: float(np.mean(c.value < (0.0 if a is None else a))),
    "distinct": lambda c, _: float(np.unique(c.value).size),
}
"""Every statistic by name. More are added here, each with its meaning in ``docs/success-rules.md``."""
