"""Rules of labels that hold for the splits from the fourth on only."""

import itertools

HOT = ("instability", "plateau", "underfitting", "no-learning", "divergence", "spikes", "lr-schedule", "unconverged")
GAP = ("generalization-gap", "overfitting")


def swings(v, size):
    """Moves up and moves down of at least this size between neighbours of a curve, whichever are fewer."""
    d = [b - a for a, b in itertools.pairwise(v)]
    return min(sum(q > size for q in d), sum(q < -size for q in d))


def jumpy(v, f):
    """Whether a validation loss jumps up and down and still comes back to its best in the last third."""
    n, size = len(v), 0.12 * f["R"]
    return swings(v[n // 5 :], size) >= max(3, n // 8) and min(v[2 * n // 3 :]) < min(v) + size


def newest_rules(f, truth, seen, shown):
    """The visible strict symptoms after rules on rates, on schedules without harm, and on validation that jumps up and down.

    A logged rate thirty times the sound one is itself the finding, where optimiser and schedule can be compared with the twin's.
    """
    if shown and f.get("progress", 0.0) > 0.95 and f.get("lost", 1.0) < 0.05 and shown[0] in ("lr-schedule", "unconverged", "underfitting"):
        return []  # as good as the twin: nothing that a reader could call harm
    if shown and shown[0] in GAP and "val" in seen["roles"] and not truth.get("shift") and jumpy(seen["val"][1], f):
        return ["noisy-validation", *[i for i in shown if i not in GAP]]
    if truth.get("shift") and shown[:1] == ["exploding-gradients"] and "divergence" in shown:
        return ["divergence", *[i for i in shown if i != "divergence"]]
    hot = (f.get("lr_ratio") or 1) >= 30 and "lr" in seen["roles"] and not truth.get("event_step") and not f.get("lr_jumps")
    if shown and shown[0] in HOT and hot:
        return ["lr-too-high", *shown]
    if shown and shown[0] == "sudden-shift" and not truth.get("shift"):
        return shown[1:]
    if shown and shown[0] == "noisy-validation" and f["lost"] > 0.15:
        fell = "divergence" if f["lost"] > 0.25 and f["train_best_at"] < 0.85 else "instability"
        return [fell, *[i for i in shown if i != fell]]  # training itself went wrong
    return shown


def newest_near(p, f, truth, seen, shown):
    """Further ids that are accepted in place of the primary one."""
    if p == "lr-too-high":
        return [i for i in shown if i in HOT]
    near = ["sudden-shift"] if p == "divergence" and truth.get("shift") else []
    if p in ("dead-units", "saturated-activations") and (f.get("lr_ratio") or 1) > 5:  # the rate did it, and the curves show it too
        near += [i for i in shown if i in HOT or i == "noisy-validation"]
    if p == "prediction-collapse" and f.get("spread") is not None:  # seen in a histogram only; the curves are just flat
        near += [i for i in shown if i in ("plateau", "underfitting", "no-learning")]
    if p == "noisy-validation" and f["gap"] > 0.2:
        near.append("generalization-gap")
    if p in HOT and f.get("lr_jumps") and "lr" in seen["roles"]:
        near.append("lr-schedule")
    if p in ("plateau", "underfitting") and f["rise"] > 0.03:
        near.append("overfitting")
    if p == "no-learning" and f["best_progress"] > 0.02:
        near += ["unconverged", "lr-too-low"]
    if p == "frozen-weights" and f["flat_change"] < 0.005 and f["best_progress"] < 0.4:  # nothing moves at all
        near.append("no-learning")
    if p == "exploding-gradients" and seen["train"][1][0] > 3 * f["L0"] > 0:
        near.append("loss-mismatch")
    if p == "sudden-shift" and f["rise"] > 0.1:
        near += ["divergence", "overfitting"][: 1 + (truth.get("shift") == "val")]
    return near


def healthy_allowed(f):
    """Ids that may be said of a sound run of these splits, beyond those of all splits: a gap that the data of that seed has."""
    return {"generalization-gap"} if f["gap"] > 0.25 else set()
