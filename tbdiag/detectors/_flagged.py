"""What nan-inf tells besides losses: checks of the gradients as curves that are not finite where a check said so, and undefined metrics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tbdiag.detectors._base import Cause, Finding, View
from tbdiag.features import CurveFacts
from tbdiag.model import Role


def find_flagged(view: View) -> list[CurveFacts]:
    """Where a check reported NaN gradients, or a gradient histogram held values that no bucket does, as points that are not finite."""
    out = []
    flag = view.curve("has_nan_grad")
    if flag is not None:
        bad = flag.value > 0
        out.append(_as_bad(flag, bad))
    for facts in view.histograms(Role.GRADIENT_HISTOGRAM):
        bad = facts.nan_share > 0
        if bad.any():
            empty = CurveFacts(facts.signal, facts.step, facts.series.wall_time, np.zeros(facts.n), facts.step[:0], np.empty(0), facts.n)
            out.append(_as_bad(empty, bad))
    return out


def _as_bad(curve: CurveFacts, bad: npt.NDArray[np.bool_]) -> CurveFacts:
    return replace(
        curve,
        step=curve.step[~bad],
        wall_time=curve.wall_time[~bad],
        value=curve.value[~bad],
        bad_step=curve.step[bad],
        bad_value=np.full(int(bad.sum()), np.nan),
    )


def tell_undefined(found: Finding, name: str) -> Finding:
    """The finding of metrics without a single finite value beside finite losses: it is the metric, not the training."""
    return replace(
        found,
        causes=(
            Cause("The metric divides by zero or takes its logarithm: targets, counts or probabilities of zero"),
            Cause("What it is taken of is empty: no sample of a class, no pixel of a mask"),
        ),
        first_check=f"Which samples make {name} infinite or undefined?",
        first_action="Leave out what the metric is not defined for (targets of zero, empty classes) before it is averaged.",
        fixes=("Take the metric of all samples at once instead of averaging it over batches", "Bound what it divides by from below"),
    )
