"""The return of a reinforcement learning run: what it gained, what it lost again."""

from __future__ import annotations

from dataclasses import dataclass

from tbdiag.detectors._base import View
from tbdiag.features import CurveFacts

RETURNS = ("train_reward", "reward", "val_reward")
"""Role keys of the return, the training return first: it is logged most often."""


@dataclass(frozen=True)
class Return:
    """First, best and last level of the return; `gain` and `loss` are positive and in its own unit."""

    curve: CurveFacts
    first: float
    best: float
    end: float
    gain: float
    loss: float

    @property
    def improved(self) -> bool:
        """Whether the end is above the start by more than four standard deviations of the noise and by a twentieth of its size."""
        up = self.end - self.first
        return up > 4 * self.curve.sigma and up > 0.05 * max(abs(self.first), abs(self.end))

    @property
    def fell(self) -> bool:
        """Whether a third of the gain, and more than four standard deviations, was lost again."""
        return self.gain > 6 * self.curve.sigma and self.loss > 4 * self.curve.sigma and self.loss > 0.3 * self.gain


def measure_return(view: View) -> Return | None:
    """The return's levels, or None below eight points."""
    curve = next((c for c in (view.curve(k) for k in RETURNS) if c is not None and c.n >= 8), None)
    if curve is None:
        return None
    gain = curve.first_cost - curve.best_cost
    return Return(curve, curve.first, curve.best, curve.end, gain, curve.end_cost - curve.best_cost)
