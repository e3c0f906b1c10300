"""Which training of `sealed7` is written how, and how many of each symptom are kept: the mix of `plan4.WANTED`, half as many."""

import zlib

import numpy as np

from families import conventions_sealed7, faults_sealed7, faults_sealed7b, healthy_dev, healthy_sealed7, plan4, tasks_sealed7
from families.plan import POOL
from families.plan_sealed6 import DEEP, Read

DAMAGES = ["three_resumes", "lost_block", "no_validation", "resumed_cleanly"]
FEW = {"healthy": 26, "overfitting": 6}
ONCE = {"lr-too-high", "lr-too-low", "lr-zero", "dead-units", "leakage", "exploding-gradients", "loss-mismatch", "loss-scale-collapse"}
ONCE |= {"noisy-validation", "frozen-weights", "truncated-log", "missing-evidence"}  # the second case would be the first one again
DOUBTFUL = {45}  # a loss that jumps about above chance: called `no-learning`
TEXTS = ("date_norm", "melody_lm")


class Amended(Read):
    """A case of this split, with a rule of its own."""

    def mend(self, verdict, f):
        """A short run that still improves is unconverged before it is unsure of itself."""
        if verdict["primary"] == ["low-confidence"] and f["late_gain"] > 0.04 and f["late_val_gain"] > 0.02:
            near = ["low-confidence", "underfitting", "lr-too-low"]
            return verdict | {"primary": ["unconverged"], "alt": {"unconverged": near}, "allowed": sorted({*verdict["allowed"], *near})}
        if verdict["primary"] == ["saturated-activations"] and f["progress"] > 0.95:
            return None  # as good as the twin
        if verdict["primary"][:1] == ["generalization-gap"]:  # a validation that stays far off is no run that ended early
            return verdict | {"alt": {k: [i for i in v if i != "unconverged"] for k, v in verdict["alt"].items()}}
        return super().mend(verdict, f)


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= FEW.get(first, 1 if first in ONCE else max(2, -(-plan4.WANTED.get(first, 2) // 2)))


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    faults = {**faults_sealed7.FAULTS, **faults_sealed7b.FAULTS}
    return tasks_sealed7.TASKS, faults, healthy_sealed7.HEALTHY, conventions_sealed7.SEALED7


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES):
        out += [(names[(2 * i + 3 * j + 2) % len(names)], healthy_dev.default, d in plan4.HARMLESS, j, d, j) for j in range(2)]
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
        if t in TEXTS:  # nobody logs a recall for every digit or note
            extras -= {"recalls", "shares", "conf", "f1"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = {"only_loss", "no_parts", "no_more"}
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        seed = 2100 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Amended(len(res) + 1, split, t, f, fine, seed, c, extras, (), d))
    return [c for c in res if c.index not in DOUBTFUL]


def fits(conv, mechanism, task, damage):
    """Some symptoms need values of single steps; accidents need one plain file; a name for accuracy is not one for an error."""
    if conv.name == "own-german" and task in ("grasp_angle", "heat_field"):
        return False
    if damage:
        return not any(conv.dirs) and (bool(conv.every) or damage != "no_validation")
    name, shown = mechanism.__name__, getattr(mechanism, "shows", set())
    if name == "looked_at_three_times_a_pass" and "epoch" in (conv.xv or conv.x):
        return False
    if name in ("mask_beyond_half", "scale_too_high_at_first") and not conv.every:
        return False
    if getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")):
        return False
    return not (shown & DEEP and conv.name == "own-german" and not shown & {"recalls", "shares", "conf", "whist"})
