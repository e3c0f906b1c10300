"""How an unconverged run goes on: for how long, towards which planned end, and where its curve would lead."""

from __future__ import annotations

from tbdiag.detectors._base import View
from tbdiag.detectors._words import about, bears, scale_lr, schedule, unit
from tbdiag.features import CurveFacts
from tbdiag.features.planned import Planned
from tbdiag.model import Role
from tbdiag.stats.extrapolation import fit_power_law

LONGER = ((1.5, "half as many steps"), (2.0, "as many steps"), (3.0, "twice as many steps"), (4.0, "three times as many steps"))
STRAIGHT = 0.2
"""Share of the gain in the last quarter; a straight line makes 0.25, an exponential decay of one time constant 0.17."""


def say_how_long(view: View, curve: CurveFacts, share: float, limit: float) -> str:
    """First action: resume until the last quarter brings half of what is called unconverged; a nearly straight curve needs larger steps, if it bears them."""
    plan, trace = schedule(view), curve.trace
    if curve.signal.role is not Role.REWARD and share > STRAIGHT and bears(view, 5) and (plan is None or plan.constant):
        return f"{scale_lr(view, 5)} and rerun otherwise unchanged."
    longer = LONGER[0]
    law = fit_power_law(trace.step - trace.step[0] + trace.step[-1] / trace.n, trace.cost) if trace.n >= 10 and trace.step[-1] > 0 else None
    if law is not None:
        enough = (x for x in LONGER if law.at(0.75 * x[0]) - law.at(x[0]) < 0.5 * (limit or 0.1) * (trace.cost[0] - law.at(x[0])))
        longer = next(enough, LONGER[-1])
    stretched = (
        ""
        if plan is not None and plan.constant
        else ", with the schedule stretched"
        if plan is not None
        else ", with any schedule stretched"
    )
    return f"Resume from {unit(curve)} {int(curve.step[-1]):,} for {longer[1]} again{stretched}."


def say_end(curve: CurveFacts) -> str:
    """What an end is, which may lie above the last points of a curve that falls."""
    return f" (the median of its last {curve.tail_points} points here)" if curve.tail_points > 1 else ""


def why_short(planned: Planned | None) -> str:
    """What of the plan ended the run, as the grounds of a cause."""
    return "the configured steps ended before the planned epochs" if planned is not None and planned.limit is not None else ""


def go_to_end(planned: Planned, curve: CurveFacts) -> str:
    """What was planned and not done comes before any change."""
    do = f"Raise the limit of {planned.limit:,.0f} steps and r" if planned.limit is not None else "R"
    in_steps = unit(curve) == "step"
    steps = f" (about {about(planned.steps)} steps)" if in_steps else ""
    return f"{do}esume from {unit(curve)} {planned.last if in_steps else int(curve.step[-1]):,} towards the planned {planned.epochs:g} epochs{steps}."


def go_on(curve: CurveFacts) -> float | None:
    """Where a power law through the last two thirds of the curve leads after half as many steps again; None where it does not fit."""
    trace = curve.trace
    tail = trace.within(0.33, 1.0)
    t, y = trace.step - trace.step[0], trace.cost
    law = fit_power_law(t[tail], y[tail]) if trace.n >= 6 else None
    if law is None or law.residual > 2 * trace.noise.sigma:
        return None
    ahead = float(y[-1]) + law.at(1.5) - law.at(1.0)
    return curve.sign * ahead if not (curve.signal.role is Role.LOSS and not curve.signed and ahead <= 0) else None
