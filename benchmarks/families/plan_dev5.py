"""Which training of `dev5` is written how, and how many of each symptom are kept: the mix of `plan5`, with more healthy ones."""

import zlib

import numpy as np

from families import conventions_dev5, faults_dev5, faults_dev5b, healthy_dev, healthy_dev5, plan5, tasks_dev5
from families.plan import POOL, Case
from families.plan4 import fits as plain_fits

DAMAGES = ["crash_loop", "cut_in_a_header", "no_validation"]
BY_STEP = {"every_other_pass"}
MANY = {
    "healthy": 29,
    "epoch-sawtooth": 2,
    "generalization-gap": 2,
    "loss-mismatch": 2,
    "lr-schedule": 2,
    "frozen-weights": 2,
    "val-better": 4,
    "nan-inf": 4,
}


SLOW = ("no-learning", "plateau", "underfitting")


def moved(verdict, first, near):
    """The verdict with another primary id and what is accepted in its place."""
    near = [i for i in dict.fromkeys(near) if i != first]
    return {**verdict, "primary": [first], "alt": {first: near}, "allowed": sorted({*verdict["allowed"], *near} - {first})}


class Mended(Case):
    """A case of this split, with its rules of labels beyond those of all."""

    def mend(self, verdict, f):
        """A curve that falls steadily to the end is unconverged, whatever its level; a sound run whose validation turns is left out."""
        p = verdict["primary"][0] if verdict["primary"] else ""
        if self.healthy and f.get("rise", 0.0) > 0.02:
            return None
        if self.healthy and f["val_end"] > 1.6 * f["train_end"] > 0:  # sound, but a reader may call this a gap
            verdict = {**verdict, "allowed": sorted({*verdict["allowed"], "generalization-gap"})}
        if self.healthy and f["best_i"] >= f["n_evals"] - 2 and f["late_gain"] > 0.008 and f["late_val_gain"] > 0.003:
            verdict = {**verdict, "allowed": sorted({*verdict["allowed"], "unconverged"})}
        falls = f.get("lost", 1.0) < 0.03 and f["late_gain"] > 0.15 * f["best_progress"] > 0 and f["late_val_gain"] > 0
        if p in SLOW and falls and f["train_best_at"] > 0.9:
            return moved(verdict, "unconverged", [p, *verdict["alt"].get(p, []), "underfitting", "lr-too-low", "no-learning"])
        if p in SLOW and f["gap"] < -0.12 and f["vprogress"] > f["progress"] + 0.1:  # noise in training hides what was learned
            return moved(verdict, "val-better", ["leakage", p, *verdict["alt"].get(p, [])])
        if p in SLOW and f["val_noise"] > 0.06 * f["R"]:
            return moved(verdict, p, [*verdict["alt"].get(p, []), "noisy-validation"])
        if p == "nan-inf" and f["n_evals"] < 2:  # at once, so that the rate may be blamed
            return {**verdict, "allowed": sorted({*verdict["allowed"], "lr-too-high"})}
        if p == "generalization-gap" and f["progress"] > 1.05:  # training is learned by heart
            return moved(verdict, p, [*verdict["alt"].get(p, []), "overfitting"])
        if p == "exploding-gradients" and "divergence" in verdict["strict"] and f["best_progress"] > 0.5:  # good before the loss left
            return moved(verdict, "divergence", [p, "lr-too-high"] if (f.get("lr_ratio") or 3) > 2 else [p])
        if p == "lr-too-high" and f["lr_peak_at"] > 0.9 and f["lr_at_half"] < 0.1:  # it climbs to the end
            return moved(verdict, "lr-schedule", [p, *verdict["alt"].get(p, [])])
        if p == "prediction-collapse" and f["progress"] > 0.9 and f["gap"] > 0.5:  # in validation only, whose inputs are at fault
            both = ["overfitting", "generalization-gap"][:: 1 if "overfitting" in verdict["strict"] else -1]
            return moved(verdict, both[0], [both[1], p])
        return verdict


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= MANY[first] if first in MANY else plan5.full(split, got, verdict)


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    return tasks_dev5.TASKS, {**faults_dev5.FAULTS, **faults_dev5b.FAULTS}, healthy_dev5.HEALTHY, conventions_dev5.DEV5


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", k // 4 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES):
        out += [(names[(3 * i + 2 * j + 2) % len(names)], healthy_dev.default, False, j, d, j) for j in range(2)]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    turn = rng.permutation(len(out)).tolist()
    use, res = {c.name: 0 for c in convs}, []
    for t, f, fine, k, d, _ in sorted([out[i] for i in turn], key=lambda q: q[5]):
        free = [c for c in convs if fits(c, f, d)]
        least = min(use[c.name] for c in free)
        free = [c for c in free if use[c.name] <= least + 1]
        c = free[rng.integers(len(free))]
        use[c.name] += 1
        extras = {e for e in POOL if rng.random() < (0.5 if e == "lr" else 0.35 if e == "gnorm" else 0.1)}
        extras = (extras | getattr(f, "shows", set()) | getattr(f, "extras", set())) - getattr(f, "without", set())
        if t == "byte_sums":  # nobody logs a recall for every byte
            extras -= {"recalls", "shares", "conf"} - getattr(f, "shows", set())
        if c.name == "own-letters":
            extras &= {"lr", "gnorm", "conf"} | getattr(f, "shows", set()) | getattr(f, "extras", set())
        if "only_loss" in extras:
            extras = {"only_loss", "no_parts", "no_more"}
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        seed = 2100 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Mended(len(res) + 1, split, t, f, fine, seed, c, extras, (), d))
    return res


def fits(conv, mechanism, damage):
    """As in `plan4`; two evaluations an epoch, or one in two, want steps as their axis."""
    if mechanism.__name__ in BY_STEP and "epoch" in (conv.xv or conv.x):
        return False
    return plain_fits(conv, mechanism, damage)
