"""Rules of labels that came with the splits `dev3` and `sealed3` and hold for these only."""

import numpy as np

from families.facts import running_median, tail_mean

FOLLOW_SPIKES = ("divergence", "instability", "plateau", "underfitting", "no-learning")
FOLLOW_FLOOR = ("no-learning", "plateau", "underfitting", "unconverged")


def later_rules(f, truth, seen, shown, order):
    """The visible strict symptoms, in order, after the rules that the first splits did not have."""
    if f.get("spikes", 0) >= 3 + 3 * f.get("twin_spikes", 0) and "spikes" not in shown:
        shown = sorted([*shown, "spikes"], key=order.index)
    v = np.asarray(seen["train"][1], float)
    if "spikes" in shown and len(v) >= 40 and np.isfinite(v).all():
        s = running_median(v, 21)
        if tail_mean(s) - s.min() < 0.15 * f["R"]:  # without its spikes the curve ends near its best
            shown = [i for i in shown if i not in FOLLOW_SPIKES and (i != "epoch-sawtooth" or truth.get("sorted"))]
    if "floor" in truth and f.get("acc", 0.0) > 0.7:  # the loss cannot fall further, and the score shows what was learned
        shown = [i for i in shown if i not in FOLLOW_FLOOR]
    if truth.get("event_step") and f.get("lr_jumps") and "divergence" in shown:
        shown = ["divergence", *[i for i in shown if i != "divergence"]]  # what the jump of the rate did to the units came after it
    return shown
