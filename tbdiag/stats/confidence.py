"""How sure a finding is: one mapping from margins to probabilities, so that it can be recalibrated in one place.

``logit p = START + PER_DOUBLING * log2(margin) + PER_SUPPORT * supports - PER_DOUBT * doubts``, with the margin the ratio of the deciding
statistic to its threshold (at least 1, capped at 16). The constants are fitted on labelled runs; see the reliability table in the docs.
"""

from __future__ import annotations

from math import exp, log2

START = 1.7
"""Log odds at the threshold without support or doubt (85 %)."""
PER_DOUBLING = 0.5
PER_SUPPORT = 0.6
PER_DOUBT = 0.8
LOWEST, HIGHEST = 0.5, 0.985


def confidence(*margins: float, supports: int = 0, doubts: int = 0, cap: float = HIGHEST) -> float:
    """Probability that a finding is right.

    Args:
        margins: deciding statistics over their thresholds; the smallest counts. No margin: deterministic evidence.
        supports: number of independent series or facts that agree; doubts: number of known traps that are near.
        cap: upper limit for what curves alone can tell.
    """
    margin = min((m for m in margins if m == m), default=16.0)  # noqa: PLR0124 - NaN is no margin
    odds = START + PER_DOUBLING * log2(min(max(margin, 1.0), 16.0)) + PER_SUPPORT * supports - PER_DOUBT * doubts
    return round(min(max(1 / (1 + exp(-odds)), LOWEST), cap), 3)
