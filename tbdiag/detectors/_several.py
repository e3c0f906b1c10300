"""Several series of one role within one detector: which of them show the symptom, with the false discoveries among them controlled."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._base import Evidence, View
from tbdiag.detectors._words import say
from tbdiag.features import CurveFacts
from tbdiag.model import Role, Split
from tbdiag.stats.multiple import adjust_p, normal_tail
from tbdiag.stats.rise import measure_rise


def other_sets(view: View, main: CurveFacts) -> list[Evidence]:
    """Which of several validation losses rise as well, at a false discovery rate of 5 % over all of them."""
    sets = [c for c in view.group(Role.LOSS, Split.VAL) if c.n >= 10]
    if len(sets) < 2 or all(c.name != main.name for c in sets):
        return []
    rises = [measure_rise(c.trace.cost, c.trace.noise.sigma) for c in sets]
    # The test's own level: 4 (1 + 3 / n) standard deviations are exceeded by one flat curve of a hundred.
    p = np.array([normal_tail(2.33 * r.sigmas / (4 * (1 + 3 / c.trace.n))) for c, r in zip(sets, rises, strict=True)])
    found = [c for c, q in zip(sets, adjust_p(p), strict=True) if q < 0.05]
    return [say("Of {all} validation losses {up} rise beyond their noise.", found or sets[:1], (), all=len(sets), up=len(found))]
