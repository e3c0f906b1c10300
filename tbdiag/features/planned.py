"""How long a run was meant to be: the epochs and steps of its configuration, against how far its log came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tbdiag.model import Role, Signals

ENDED = 0.02
"""Share of the configured steps within which their end was reached: the last steps are seldom logged."""
UNTIL = 0.9
"""Share of the planned epochs up to which a run is called cut short: a counter may begin at 0 or 1, and the last epoch is seldom logged."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan that the log did not come to the end of.

    Attributes:
        epochs: planned by the configuration; reached: epoch at the last point, a fraction where the counter holds fractions.
        whole: whether the counter holds whole epochs, the last of which may be incomplete.
        share: of the planned epochs, at the last point (0..1).
        steps: about so many steps the whole plan would have taken, on the axis of the epoch counter.
        last: step of the last point; limit: the configured steps, where they ended the run before its epochs did, else None.
    """

    epochs: float
    reached: float
    whole: bool
    share: float
    steps: float
    last: int
    limit: float | None


def find_planned(signals: Signals) -> Planned | None:
    """The planned length, where configuration and epoch counter tell that the log ends well before it; None else.

    Steps alone are not believed: names such as ``num_steps`` mean other things as well.
    """
    counter = next((s for s in signals.all if s.main and s.role is Role.EPOCH and s.series is not None), None)
    epochs = signals.setting("epochs")
    if counter is None or counter.series is None or epochs is None or epochs <= 0:
        return None
    value = counter.series.value.astype(np.float64)
    good = np.isfinite(value)
    value, step = value[good], counter.series.step[good]
    if value.size < 2 or np.any(np.diff(value) < 0) or value[0] < 0 or value[-1] <= 0:
        return None
    whole = bool(np.all(value == np.round(value)))
    reached = float(value[-1]) + (1.0 if whole and value[0] == 0 else 0.0)
    share = reached / epochs
    if share > UNTIL:
        return None
    last = int(step[-1])
    limit = signals.setting("total_steps")
    if limit is not None and limit <= 0:
        limit = None  # -1 says that there is none
    if limit is not None and not abs(last + 1 - limit) <= max(1.0, ENDED * limit):
        # Either that is another count, or both ends lie ahead: the nearer one is not known.
        return None
    steps = last / share
    ends = signals.epoch_steps
    if whole and ends is not None and ends.size >= 3:
        steps = float(ends[-1] - ends[0]) / (ends.size - 1) * epochs
    return Planned(epochs, reached, whole, share, steps, last, limit)
