"""Shape of the learning rate over the run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tbdiag.features.curves import CurveFacts


@dataclass(frozen=True, slots=True)
class Schedule:
    """Facts of a learning-rate curve.

    Attributes:
        peak, end: largest and last value; peak_share: where the peak is first reached (0..1).
        constant: never leaves 1 % of its peak; annealed: ends below a tenth of its peak.
        zero_share: share of the points at zero (below 1e-12, or below a millionth of the peak).
        drops, jumps: indices after which it falls to a half or less, or doubles or more, between neighbouring points.
        cyclic: rises to at least half its peak at least twice after having fallen below a half of it,
            where it spends more than 3 % of the points.
        adaptive: goes up by a twentieth or more at a tenth of its points (ten at least), and down at as many: it follows a measurement,
            as the rates of agents follow the KL divergence of their updates. Those of public runs do so at 28 to 41 % of their points.
    """

    peak: float
    end: float
    peak_share: float
    constant: bool
    annealed: bool
    zero_share: float
    drops: tuple[int, ...]
    jumps: tuple[int, ...]
    cyclic: bool
    adaptive: bool


def read_schedule(lr: CurveFacts) -> Schedule:
    """Shape of a learning-rate curve with at least one point; worked out once."""
    found: Schedule | None = lr.known.get("schedule")
    if found is None:
        found = lr.known["schedule"] = _read(lr)
    return found


def _read(lr: CurveFacts) -> Schedule:
    value = lr.value
    peak = float(value.max())
    end = float(value[-1])
    at = int(np.argmax(value >= 0.999 * peak))
    span = max(int(lr.step[-1] - lr.step[0]), 1)
    low, high = value[:-1], value[1:]
    drops = np.flatnonzero((low > 0) & (high <= 0.55 * low))
    jumps = np.flatnonzero((low > 0) & (high >= 1.9 * low))
    share = value / peak if peak > 0 else value
    side = np.sign(share - 0.5)
    side = side[side != 0]
    ups = int(np.count_nonzero((side[:-1] < 0) & (side[1:] > 0)))
    often = max(10.0, lr.n / 10)
    return Schedule(
        peak=peak,
        end=end,
        peak_share=float(lr.step[at] - lr.step[0]) / span,
        constant=bool((value >= 0.99 * peak).all()),
        annealed=end < 0.1 * peak,
        zero_share=int(np.count_nonzero(value <= max(1e-12, 1e-6 * peak))) / value.size,
        drops=tuple(int(i) for i in drops[:200]),
        jumps=tuple(int(i) for i in jumps[:200]),
        # A cycle spends a good part of its time near its peak; single points far above all others are glitches, which explain nothing.
        cyclic=ups >= (2 if float(value[0]) < 0.5 * peak else 1) and float(np.mean(value >= 0.5 * peak)) > 0.03,
        adaptive=bool(min(np.count_nonzero(high > 1.05 * low), np.count_nonzero(low > 1.05 * high)) >= often),
    )


def decayed_by(lr: CurveFacts, share: float, level: float = 0.05) -> bool:
    """Whether the learning rate had fallen below a twentieth (`level`) of its peak before a share of the run, and ends there."""
    low = lr.value < level * float(lr.value.max())
    if not low[-1]:
        return False
    peak = int(np.argmax(lr.value))
    after = np.flatnonzero(low[peak:])
    span = max(float(lr.step[-1] - lr.step[0]), 1.0)
    return bool(after.size) and float(lr.step[peak + int(after[0])] - lr.step[0]) / span < share
