"""Checks of the gradients as curves whose points are not finite where a check said so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tbdiag.detectors._base import View
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
