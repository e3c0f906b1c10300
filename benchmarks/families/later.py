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
    jump = abs(f.get("event_jump", 0.0))
    if truth.get("shift") and jump > 0.08 and jump > 5 * f["event_noise"] and "sudden-shift" not in shown:
        shown = sorted([*shown, "sudden-shift"], key=order.index)
    trained = f.get("vprogress", 0.0) > 0.6
    if shown and shown[0] in FOLLOW_FLOOR and trained and f.get("gap", 0.0) < -0.2:  # noise in training only hides what was learned
        shown = ["val-better", *[i for i in shown if i != "val-better"]]
    if shown and shown[0] == "generalization-gap" and f["vprogress"] > 0.9 and f["rise"] < 0.02:
        return []  # validation is as good as the twin's: the training loss has another scale
    if truth.get("val_few") and shown and shown[0] != "noisy-validation":
        return []  # what a few samples happen to show is no symptom
    if truth.get("event_step") and f.get("lr_jumps") and "divergence" in shown:
        shown = ["divergence", *[i for i in shown if i != "divergence"]]  # what the jump of the rate did to the units came after it
    return shown


def later_near(p, f, truth, seen, st, lo):
    """Further ids that are accepted in place of the primary one; may add to the loose symptoms `lo`."""
    near = []
    if p in ("exploding-gradients", "dead-units", "saturated-activations") and (f.get("lr_ratio") or 1) > 5:
        near.append("lr-too-high")
    if truth.get("grow") and p == "exploding-gradients" and "weight-growth" in st:
        near.append("weight-growth")
    if p == "generalization-gap" and f["late_val_gain"] > 0.03:
        near.append("unconverged")
    if p == "spikes" and "instability" in st:
        near.append("instability")
    if p == "noisy-validation" and (f.get("lr_ratio") or 1) > 5:
        near += ["instability", "lr-too-high"]
    if p == "sudden-shift" and truth.get("shift") == "val" and "overfitting" in st and abs(f["event_jump"]) < 0.2:
        near.append("overfitting")
    if f["lost"] > 0.06 and f["rise"] > 0.06:
        lo.add("divergence")  # training and validation both leave their best
    if seen["train"][1][0] > 1.5 * f["L0"] > 0:
        lo.add("loss-mismatch")
    return near
