"""Sound trainings of `sealed10`, which training is written how, and how many of each symptom are kept."""

import math
import zlib

import numpy as np
import torch

from families import conventions_sealed10, faults_sealed10, faults_sealed10b, healthy_dev, plan4, tasks_sealed10
from families.healthy_dev import default, good_start
from families.plan import POOL
from families.plan_dev5 import moved
from families.plan_sealed8 import Judged
from families.setups import shows

DAMAGES = ["three_resumes", "zero_hole", "copied_too_early", "crash_loop", "no_validation", "resumed_cleanly", "empty_second_file"]
HARMLESS = plan4.HARMLESS | {"resumed_cleanly", "empty_second_file"}
FEW = {"healthy": 41, "overfitting": 7, "no-learning": 4, "underfitting": 3, "divergence": 3, "nan-inf": 3}
FEW |= dict.fromkeys(("plateau", "unconverged", "val-better", "sudden-shift", "prediction-collapse", "class-imbalance"), 3)
FEW |= dict.fromkeys(("missing-evidence", "low-confidence", "over-confidence", "label-noise", "clipping-saturated", "weight-growth"), 1)
FEW |= dict.fromkeys(("lr-too-high", "noisy-validation", "exploding-gradients", "leakage", "epoch-sawtooth"), 1)
DOUBTFUL = {13}  # scores of validation four times too large, and nothing but a gap to see
TEXTS = ("recipe_lm",)


@shows("lr")
def warm_flat_and_root_down(s):
    """A short warm-up, a flat stretch, and a square root down to nothing."""
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.05 * total), 1.3 * (1.001 - step / total) ** 0.5)


@shows("lr")
def steps_of_a_half(s):
    """The rate is halved every seventh of the run."""
    s.sched = lambda step, total: 0.5 ** int(7 * step / total)


@shows("lr")
def one_hump(s):
    """One hump: up to twice the rate at 30 %, then down to a thousandth."""
    s.sched = lambda step, total: (
        0.1 + 1.9 * step / (0.3 * total) if step < 0.3 * total else 1 + 0.999 * math.cos(math.pi * (step / total - 0.3) / 0.7)
    )


@shows("lr")
def two_restarts(s):
    """Two cosines of equal length, the second from half of the height: a small bump between them."""
    s.sched = lambda step, total: (1.0 if step < total / 2 else 0.5) * (0.52 + 0.48 * math.cos(2 * math.pi * ((step / total) % 0.5)))
    s.truth["tolerated"] = ["lr-schedule"]


def batches_of_ten(s):
    """Batches of ten at a quarter of the rate: a ragged curve."""
    s.batch, s.lr, s.epochs = 10, s.lr / 4, max(5, 2 * s.epochs // 3)
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["instability", "spikes"]


def large_and_long(s):
    """Batches four times as large at twice the rate for twice the passes."""
    s.batch, s.lr, s.epochs = 4 * s.batch, 2 * s.lr, 2 * s.epochs
    s.sched = lambda step, total: 1 - 0.97 * step / total


def ninety_rows_looked_at(s):
    """Validation is ninety fixed rows."""
    s.data(val=(s.task.val[0][:90], s.task.val[1][:90]))
    s.sched = lambda step, total: 1 - 0.98 * step / total
    s.truth["tolerated"] = ["generalization-gap", "val-better"]


def ends_by_patience(s):
    """Twice the passes under a line, ended by a patience of five."""
    s.epochs, s.patience, s.wd = 2 * s.epochs, 5, 0.03
    s.sched = lambda step, total: max(0.02, 1 - 1.7 * step / total)


def jittered_in_training(s):
    """Inputs are jittered in training only, or a few words are hidden."""
    alter = lambda x: x + 0.3 * torch.randn_like(x) if x.is_floating_point() else torch.where(torch.rand(x.shape) < 0.05, 23, x)  # noqa: E731
    s.on_batch.append(lambda step, ep, x, y: (alter(x), y))
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def long_flat_end(s):
    """Twice the passes under a fast decay: the second half is flat at a good level."""
    s.epochs, s.wd = 2 * s.epochs, 0.02
    s.sched = lambda step, total: max(0.002, 0.001 ** (1.3 * step / total))


def seven_points(s):
    """Seven passes at twice the rate under a line."""
    s.epochs, s.lr = 7, 1.8 * s.lr
    s.sched = lambda step, total: 1.02 - step / total


@shows("gnorm", "lr")
def clipped_to_no_harm(s):
    """Gradients are clipped at a half under Adam, on many steps."""
    s.clip = 0.5
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.06 * total)) * (1 - 0.95 * step / total)


def scale_found_from_above(s):
    """Mixed precision: the scale starts at 2 to the 20 and is halved in the first steps."""
    s.scaler = 2.0**20
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["nan-inf"]


@shows("whist", "ghist", "ahist", "layergrads", "wnorm", "gnorm", "lr")
def all_that_there_is(s):
    """A cosine with all that can be logged."""
    s.sched = lambda step, total: 0.52 + 0.48 * math.cos(math.pi * step / total)


HEALTHY = {
    default: ("dials8", "grain6", "wait_time", "recipe_lm", "calls5", "hills_ae"),
    good_start: ("wait_time", "hills_ae"),
    warm_flat_and_root_down: ("recipe_lm", "calls5"),
    steps_of_a_half: ("wait_time", "dials8"),
    one_hump: ("hills_ae", "grain6", "recipe_lm"),
    two_restarts: ("wait_time", "grain6"),
    batches_of_ten: ("wait_time", "hills_ae", "grain6"),
    large_and_long: ("calls5", "grain6"),
    ninety_rows_looked_at: ("wait_time", "dials8", "calls5"),
    ends_by_patience: ("grain6", "hills_ae", "recipe_lm"),
    jittered_in_training: ("calls5", "hills_ae", "recipe_lm"),
    long_flat_end: ("dials8", "recipe_lm"),
    seven_points: ("recipe_lm", "calls5", "wait_time"),
    clipped_to_no_harm: ("calls5", "recipe_lm"),
    scale_found_from_above: ("hills_ae", "dials8"),
    all_that_there_is: ("wait_time", "grain6"),
}


class Looked(Judged):
    """A case of this split: the rules of `sealed8`, and what came of looking at the curves."""

    def mend(self, verdict, f):
        """Answers of other rows are label noise that looks like a plateau."""
        verdict = super().mend(verdict, f)
        if verdict and self.mechanism is faults_sealed10b.names_matched_by_likeness:
            near = [*verdict["primary"], "plateau", "underfitting", "low-confidence", "generalization-gap", "overfitting"]
            return moved(verdict, "label-noise", near)
        p = verdict["primary"][0] if verdict and verdict["primary"] else ""
        if self.mechanism is faults_sealed10b.written_by_answer and f.get("phase_r2", 0) > 0.3:
            return moved(verdict, "epoch-sawtooth", ["instability", p])
        if verdict and self.mechanism is faults_sealed10b.no_memory_of_squares:  # loss and validation jump from the start
            near = [p, "divergence", "lr-too-high", "noisy-validation", "plateau", "underfitting"]
            return moved(verdict, "instability", near)
        if p == "prediction-collapse" and self.mechanism is faults_sealed10.graph_keeps_its_first_inputs:
            return moved(verdict, "no-learning", [p, "underfitting", "plateau"])
        if verdict and self.mechanism is faults_sealed10.second_loss_counted_in:
            return verdict | {"allowed": sorted({*verdict["allowed"], "loss-mismatch"})}
        if p == "divergence" and "weight-growth" in verdict["strict"] and "wnorm" in self.extras:
            return moved(verdict, "weight-growth", [p, *verdict["alt"].get(p, [])])
        if p == "val-better" and "no-learning" in verdict["strict"]:  # the spread of a constant's error differs by chance
            return moved(verdict, "no-learning", ["underfitting", "plateau", p])
        if (
            p in ("overfitting", "generalization-gap", "sudden-shift")
            and "prediction-collapse" in verdict["strict"]
            and "shares" in self.extras
        ):
            return moved(verdict, "prediction-collapse", [p, "generalization-gap", "overfitting"])
        return verdict


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= FEW.get(first, 2)


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    return tasks_sealed10.TASKS, {**faults_sealed10.FAULTS, **faults_sealed10b.FAULTS}, HEALTHY, conventions_sealed10.SEALED10


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES):
        out += [(names[(2 * i + 3 * j) % len(names)], default, d in HARMLESS, j, d, j) for j in range(2)]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    turn = rng.permutation(len(out)).tolist()
    use, res = {c.name: 0 for c in convs}, []
    for t, f, fine, k, d, _ in sorted([out[i] for i in turn], key=lambda q: q[5]):
        free = [c for c in convs if fits(c, f, d)]
        least = min(use[c.name] for c in free)
        free = [c for c in free if use[c.name] <= least + 1]
        c = free[rng.integers(len(free))]
        use[c.name] += 1
        extras = {e for e in POOL if rng.random() < (0.6 if e == "lr" else 0.4 if e == "gnorm" else 0.1)}
        extras = (extras | getattr(f, "shows", set()) | getattr(f, "extras", set())) - getattr(f, "without", set())
        if t in TEXTS:  # nobody logs a recall for every word
            extras -= {"recalls", "shares", "conf", "f1"} - getattr(f, "shows", set())
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        seed = 5000 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Looked(len(res) + 1, split, t, f, fine, seed, c, extras, (), d))
    return [c for c in res if c.index not in DOUBTFUL]


def fits(conv, mechanism, damage):
    """Some symptoms need values of single steps; accidents need one plain file."""
    if damage:
        return not any(conv.dirs) and (bool(conv.every) or damage != "no_validation") and conv.style == "scalar"
    if mechanism.__name__ == "filler_beyond_half" and not conv.every:
        return False
    return not (getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")))
