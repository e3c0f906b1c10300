"""Which training of `sealed8` is written how, and how many of each symptom are kept: about four fifths of `plan4.WANTED`."""

import zlib

import numpy as np

from families import conventions_sealed8, faults_sealed8, faults_sealed8b, healthy_dev, healthy_sealed8, plan4, tasks_sealed8
from families.plan import POOL
from families.plan_dev5 import Mended, moved
from families.plan_sealed6 import DEEP
from families.plan_sealed7 import Amended

DAMAGES = ["second_half_done_again", "zero_hole", "begun_three_times", "garbage_tail", "no_validation", "resumed_next_day"]
FEW = {"healthy": 42, "overfitting": 7, "nan-inf": 3, "plateau": 3, "divergence": 3, "unconverged": 3, "generalization-gap": 3}
FEW |= {"sudden-shift": 3, "missing-evidence": 1, "over-confidence": 1, "low-confidence": 1}
HOT = ("noisy-validation", "vanishing-gradients", "dead-units", "spikes")  # what a rate that is far too high may do
TEXTS = ("smiles_lm", "match_eight")


class Judged(Amended, Mended):
    """A case of this split: the rules of `dev5`, then those of `sealed7`."""

    def mend(self, verdict, f):
        """Rules that came of reading the curves, then those of `dev5` and of `sealed7`."""
        p, strict = verdict["primary"][0] if verdict["primary"] else "", verdict["strict"]
        near = verdict["alt"].get(p, [])
        if p in HOT and "lr" in self.extras and (f.get("lr_ratio") or 1) >= 30 and not f["lr_jumps"]:  # a reader would name the rate
            verdict = moved(verdict, "lr-too-high", [p, *near, "no-learning", "underfitting"])
        if p in ("prediction-collapse", "lr-schedule") and {"lr-schedule", "no-learning"} <= set(strict) and "lr" in self.extras:
            verdict = moved(verdict, "lr-schedule", [*near, "no-learning", "lr-too-low", p])  # it never left its start
        if p == "generalization-gap" and "over-confidence" in verdict["primary"] and f["test_excess"] > 0.5 and f["conf"] - f["acc"] > 0.1:
            verdict = moved(verdict, "over-confidence", ["generalization-gap", "overfitting"])  # the scores of both splits agree
        if p == "spikes" and self.mechanism is faults_sealed8.file_by_file:
            verdict = moved(verdict, "epoch-sawtooth", ["spikes", "instability"])  # each pass begins with one
        elif p == "spikes" and f["ups"] >= 1:  # jumps that take longer than a pass
            verdict = moved(verdict, p, [*near, "instability"])
        if p == "nan-inf" and f.get("lost", 0.0) > 1:  # it went away long before
            verdict = moved(verdict, p, [*near, "divergence"])
        if p == "no-learning" and f["late_gain"] > 0.15 * f["best_progress"] > 0 and f["late_val_gain"] > 0.01 and f["lost"] < 0.03:
            verdict = moved(verdict, "unconverged", [*near, p])  # it has begun to learn when the run ends
        if p == "exploding-gradients" and f["lr_max"] < 1e-8:
            verdict = verdict | {"allowed": sorted({*verdict["allowed"], "lr-too-low"})}
        verdict = Mended.mend(self, verdict, f)
        return verdict and Amended.mend(self, verdict, f)


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= FEW.get(first, 2)


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    faults = {**faults_sealed8.FAULTS, **faults_sealed8b.FAULTS}
    return tasks_sealed8.TASKS, faults, healthy_sealed8.HEALTHY, conventions_sealed8.SEALED8


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES):
        out += [(names[(3 * i + 5 * j + 1) % len(names)], healthy_dev.default, d in plan4.HARMLESS, j, d, j) for j in range(2)]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    turn = rng.permutation(len(out)).tolist()
    use, res = {c.name: 0 for c in convs}, []
    for t, f, fine, k, d, _ in sorted([out[i] for i in turn], key=lambda q: q[5]):
        free = [c for c in convs if fits(c, f, t, d)]
        least = min(use[c.name] for c in free)
        free = [c for c in free if use[c.name] <= least + 1]
        c = free[rng.integers(len(free))]
        use[c.name] += 1
        extras = {e for e in POOL if rng.random() < (0.55 if e == "lr" else 0.35 if e == "gnorm" else 0.1)}
        extras = (extras | getattr(f, "shows", set()) | getattr(f, "extras", set())) - getattr(f, "without", set())
        if t in TEXTS:  # nobody logs a recall for every symbol or place
            extras -= {"recalls", "shares", "conf", "f1"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = {"only_loss", "no_parts", "no_more"}
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        seed = 2600 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Judged(len(res) + 1, split, t, f, fine, seed, c, extras, (), d))
    return res


def fits(conv, mechanism, task, damage):
    """Some symptoms need values of single steps; accidents need one plain file; a name for accuracy is not one for an error."""
    if conv.name == "own-french" and task in ("crowd_map", "binding", "parcel_box"):
        return False
    if damage:
        return not any(conv.dirs) and (bool(conv.every) or damage != "no_validation")
    name, shown = mechanism.__name__, getattr(mechanism, "shows", set())
    if name == "looked_at_twice_a_pass" and "epoch" in (conv.xv or conv.x):
        return False
    if name in ("sums_of_attention_overflow", "scale_doubles_and_falls") and not conv.every:
        return False
    if getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")):
        return False
    return not (shown & DEEP and conv.name == "own-french" and not shown & {"recalls", "shares", "conf", "whist"})
