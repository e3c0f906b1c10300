"""Sound trainings of `sealed11`, which training is written how, and how many of each symptom are kept."""

import copy
import math
import zlib

import numpy as np
import torch

from families import conventions_sealed11, faults_sealed11, faults_sealed11b, healthy_dev, tasks_sealed11
from families.healthy_dev import default, good_start
from families.plan import POOL
from families.plan_dev5 import moved
from families.plan_sealed8 import Judged
from families.setups import shows

DAMAGES = ["two_writers", "lose_half_of_last", "restarted_from_zero", "bad_length", "no_validation", "written_twice", "clock_set_back"]
HARMLESS = {"written_twice", "clock_set_back"}
FEW = {"healthy": 45, "overfitting": 8, "no-learning": 4, "underfitting": 4, "divergence": 4, "nan-inf": 4, "plateau": 4}
FEW |= dict.fromkeys(("instability", "unconverged", "val-better", "sudden-shift", "prediction-collapse", "class-imbalance"), 3)
FEW |= dict.fromkeys(("missing-evidence", "low-confidence", "over-confidence", "label-noise", "clipping-saturated", "weight-growth"), 1)
FEW |= dict.fromkeys(("noisy-validation", "leakage"), 1)
DOUBTFUL = set()
LOSSES = {"only_loss", "no_parts", "no_more"}
HEAT = ("instability", "plateau", "underfitting", "divergence", "spikes", "noisy-validation")


@shows("lr")
def stable_then_down(s):
    """A short warm-up, a constant rate for four fifths, then a line to nothing: the loss falls once more at the end."""
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.04 * total), 5.02 * (1 - step / total))


@shows("lr")
def long_warm_up(s):
    """A warm-up over a fifth of the run to half more than the usual rate, then half a cosine."""
    s.lr *= 1.5
    s.sched = lambda step, total: min((step + 1) / (0.2 * total), 0.5 + 0.5 * math.cos(math.pi * max(0.0, step / total - 0.2) / 0.8))


@shows("lr")
def six_small_waves(s):
    """The rate swings six times between a fifth and all of it, and its height is cut by a tenth each time."""
    s.sched = lambda step, total: 0.9 ** int(6 * step / total) * (0.6 + 0.4 * math.cos(12 * math.pi * step / total))
    s.truth["tolerated"] = ["lr-schedule"]


@shows("lr")
def thirds_of_the_rate(s):
    """The rate falls to a quarter at 60 % and again at 85 %."""
    s.sched = lambda step, total: 1.0 if step < 0.6 * total else 0.25 if step < 0.85 * total else 0.06


def batches_of_eight(s):
    """Batches of eight at a third of the rate: single steps are ragged."""
    s.batch, s.lr, s.epochs = 8, s.lr / 3, max(5, s.epochs // 2)
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["instability", "spikes"]


def batches_of_two_hundred(s):
    """Batches of two hundred at twice the rate for two and a half times the passes: smooth and few."""
    s.batch, s.lr, s.epochs = 200, 2 * s.lr, int(2.5 * s.epochs)
    s.sched = lambda step, total: 1 - 0.97 * step / total


def eighty_rows_of_validation(s):
    """Validation is eighty fixed rows, so that its loss lies off and moves in steps."""
    s.data(val=(s.task.val[0][:80], s.task.val[1][:80]))
    s.sched = lambda step, total: 1 - 0.98 * step / total
    s.truth["tolerated"] = ["generalization-gap", "val-better"]


def stops_by_itself(s):
    """Three times the passes under a decay, ended by a patience of four."""
    s.epochs, s.patience, s.wd = 3 * s.epochs, 4, 0.03
    s.sched = lambda step, total: max(0.01, 0.002 ** (step / total))


def noise_as_a_rein(s):
    """Inputs are jittered in training only, or a few symbols hidden."""
    alter = lambda x: x + 0.35 * torch.randn_like(x) if x.is_floating_point() else torch.where(torch.rand(x.shape) < 0.04, 1, x)  # noqa: E731
    s.on_batch.append(lambda step, ep, x, y: (alter(x), y))
    s.sched = lambda step, total: 1 - 0.9 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def flat_for_two_thirds(s):
    """Two and a half times the passes under a fast decay: two thirds of the run are flat at a good level."""
    s.epochs, s.wd, s.lr = int(2.3 * s.epochs), 0.02, 1.5 * s.lr
    s.sched = lambda step, total: max(0.02, 0.005 ** (1.2 * step / total))


def eight_points(s):
    """Eight passes at 1.8 times the rate under a cosine: eight points in all."""
    s.epochs, s.lr = 8, 1.8 * s.lr
    s.sched = lambda step, total: 0.51 + 0.49 * math.cos(math.pi * step / total)


@shows("gnorm", "lr")
def clipped_on_many_steps(s):
    """Gradients are clipped at a half under Adam, on many steps and to no harm."""
    s.clip = 0.5
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.05 * total)) * (1 - 0.95 * step / total)


def scale_finds_its_place(s):
    """Mixed precision: the scale starts at 2 to the 22, is halved in the first steps, and doubles now and then."""
    s.scaler = 2.0**22
    s.sched = lambda step, total: 1 - 0.9 * step / total
    s.truth["tolerated"] = ["nan-inf"]


@shows("gnorm")
def descent_and_momentum(s):
    """Descent with momentum and a line."""
    faults_sealed11.descent(s, 0.4)
    s.sched, s.epochs = lambda step, total: 1 - 0.97 * step / total, int(1.2 * s.epochs)


def mean_of_late_weights(s):
    """Validation judges a running mean of the weights: smooth, and late at the start."""
    kept = []
    s.on_model.append(lambda m: kept.append(copy.deepcopy(m)) or None)

    def follow(step, model):
        for a, b in zip(kept[0].state_dict().values(), model.state_dict().values(), strict=True):
            a.copy_(0.97 * a + 0.03 * b if a.is_floating_point() else b)

    s.after_step.append(follow)
    s.eval_model = lambda model: kept[0]
    s.truth["tolerated"] = ["val-better"]


@shows("lr")
def head_first_then_all(s):
    """The last layer alone for the first quarter, then all layers at a lower rate: the loss falls a second time."""
    kept = []
    s.on_model.append(lambda m: kept.append(m) or None)

    def hold(step, model):
        if step < 0.25 * s.total:
            last = list(model.parameters())[-2:]
            for p in model.parameters():
                if p.grad is not None and not any(p is q for q in last):
                    p.grad = None

    s.on_grad.append(hold)
    s.epochs = int(1.5 * s.epochs)
    s.sched = lambda step, total: 1.0 if step < 0.25 * total else 1.3 * (1.01 - step / total)


def divergence_of_the_code_grows(s):
    """The weight of the code's divergence grows from nothing to one over the first third: training's loss rises meanwhile."""
    p, at = tasks_sealed11.CARPET_PARTS, [0]
    s.on_batch.append(lambda step, ep, x, y: (at.__setitem__(0, step), (x, y))[1])

    def bound(out, b):
        w = min(1.0, at[0] / (0.35 * s.total)) if torch.is_grad_enabled() else 1.0
        return p["recon"](out, b) + w * p["kl"](out, b)

    s.data(loss=bound)
    s.sched = lambda step, total: 1 - 0.9 * step / total
    s.truth["tolerated"] = ["sudden-shift", "divergence", "generalization-gap", "plateau"]


def nothing_but_losses(s):
    """Nothing but the two losses is logged."""
    s.sched = lambda step, total: 0.5 + 0.5 * math.cos(math.pi * step / total)


@shows("whist", "ghist", "ahist", "layergrads", "wnorm", "gnorm", "lr")
def all_hooks_on(s):
    """A cosine with all that can be logged."""
    s.sched = lambda step, total: 0.52 + 0.48 * math.cos(math.pi * step / total)


nothing_but_losses.extras = LOSSES
HEALTHY = {
    default: tuple(tasks_sealed11.TASKS),
    good_start: ("gas6", "pulse_rate", "fruit_spot"),
    stable_then_down: ("knit_lm", "pulse_rate", "kilim_vae"),
    long_warm_up: ("film_genres", "leaves6", "wind_dir"),
    six_small_waves: ("pulse_rate", "gas6"),
    thirds_of_the_rate: ("wind_dir", "fruit_spot", "weld_flaw"),
    batches_of_eight: ("weld_flaw", "film_genres", "wind_dir"),
    batches_of_two_hundred: ("film_genres", "kilim_vae", "gas6"),
    eighty_rows_of_validation: ("weld_flaw", "pulse_rate", "film_genres"),
    stops_by_itself: ("wind_dir", "film_genres", "gas6"),
    noise_as_a_rein: ("leaves6", "knit_lm", "wind_dir"),
    flat_for_two_thirds: ("kilim_vae", "film_genres", "pulse_rate"),
    eight_points: ("gas6", "film_genres", "wind_dir"),
    clipped_on_many_steps: ("knit_lm", "fruit_spot", "pulse_rate"),
    scale_finds_its_place: ("film_genres", "wind_dir", "kilim_vae"),
    descent_and_momentum: ("gas6", "weld_flaw", "film_genres"),
    mean_of_late_weights: ("pulse_rate", "weld_flaw"),
    head_first_then_all: ("gas6", "pulse_rate"),
    divergence_of_the_code_grows: ("kilim_vae", "kilim_vae"),
    nothing_but_losses: ("knit_lm", "weld_flaw", "leaves6"),
    all_hooks_on: ("film_genres", "gas6", "pulse_rate"),
}


class Looked(Judged):
    """A case of this split: the rules of `sealed8`, and what came of looking at the curves."""

    def mend(self, verdict, f):
        """Answers of a cheap model are label noise that looks like underfitting, and so on: what was done where the curves allow it."""
        verdict = super().mend(verdict, f)
        if verdict and self.mechanism is head_first_then_all and {"layergrads", "whist", "ghist"} & self.extras:
            return verdict | {"allowed": sorted({*verdict["allowed"], "frozen-weights"})}
        if not verdict or self.healthy:
            return verdict
        p, m, b = (verdict["primary"] or [""])[0], self.mechanism, faults_sealed11b
        near = verdict["alt"].get(p, [])
        if m is b.tagged_by_a_cheap_model:
            return moved(verdict, "label-noise", [p, "plateau", "underfitting", "low-confidence", "generalization-gap", "overfitting"])
        if m is b.made_anew_for_each_fold and f.get("phase_r2", 0) > 0.3:
            return moved(verdict, "epoch-sawtooth", ["instability", "plateau", "underfitting", "no-learning", "val-better", "spikes", p])
        if m is b.sound_welds_first and f.get("phase_r2", 0) > 0.3:
            return moved(verdict, "epoch-sawtooth", ["instability", "spikes", p])
        if m is b.warm_up_begins_at_each_pass:
            return moved(verdict, "lr-schedule", [p, "lr-too-low", "unconverged", "no-learning", "underfitting"])
        if m is b.decay_per_batch_of_a_tenth and "lr" in self.extras:
            return moved(verdict, "lr-schedule", [p, "lr-zero", "plateau", "no-learning", *near])
        if m is b.sphere_that_grows and "wnorm" in self.extras:
            return moved(verdict, "weight-growth", [*verdict["primary"], "divergence"])
        if m in (b.cubes_in_a_row, b.gates_in_a_row) and p == "frozen-weights":
            return moved(verdict, "vanishing-gradients", [p, *near])
        if m is b.sensors_fail_at_each_look and p in ("generalization-gap", "overfitting"):
            return moved(verdict | {"allowed": sorted({*verdict["allowed"], "over-confidence"})}, "noisy-validation", [p, *near])
        if m is b.multiplied_by_the_inverse_temperature and "over-confidence" in verdict["strict"]:
            return moved(verdict, "over-confidence", ["overfitting", "generalization-gap"])
        if m is b.state_of_adam_lost and p in (*HEAT, "overfitting"):  # training jumps as much as validation
            return moved(verdict, "instability", [p, *HEAT, "lr-too-high"])
        if m is b.rate_drawn_for_each_step and p in HEAT:
            return moved(verdict, p, [*near, *HEAT, "lr-too-high"])
        if m is faults_sealed11.range_of_another_gauge:  # there is no slope, so that no weight moves
            return moved(verdict, p, [*near, "frozen-weights"])
        if m is faults_sealed11.only_the_worst_third_counts and f["gap"] < -0.12:
            return moved(verdict, "val-better", ["leakage", p, *near])
        if m is faults_sealed11.answers_drawn_at_each_pass:  # as right as the share of the larger class
            return verdict | {"allowed": sorted({*verdict["allowed"], "class-imbalance", "noisy-validation"} - {p})}
        if p in ("overfitting", "generalization-gap") and "prediction-collapse" in verdict["strict"] and "shares" in self.extras:
            return moved(verdict, "prediction-collapse", [p, "generalization-gap", "overfitting"])
        if p == "generalization-gap" and "prediction-collapse" in verdict["strict"]:
            return verdict | {"allowed": sorted({*verdict["allowed"], "prediction-collapse", "no-learning"})}
        return verdict


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= FEW.get(first, 2)


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    faults = {**faults_sealed11.FAULTS, **faults_sealed11b.FAULTS}
    return tasks_sealed11.TASKS, faults, HEALTHY, conventions_sealed11.SEALED11


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES):
        out += [(names[(2 * i + 4 * j + 1) % len(names)], default, d in HARMLESS, j, d, j) for j in range(2)]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    turn = rng.permutation(len(out)).tolist()
    use, res = {c.name: 0 for c in convs}, []
    for t, f, fine, k, d, _ in sorted([out[i] for i in turn], key=lambda q: q[5]):
        free = [c for c in convs if fits(c, f, d)]
        least = min(use[c.name] for c in free)
        free = [c for c in free if use[c.name] <= least + 1]
        c = free[rng.integers(len(free))]
        use[c.name] += 1
        extras = {e for e in POOL if rng.random() < (0.55 if e == "lr" else 0.4 if e == "gnorm" else 0.1)}
        extras = (extras | getattr(f, "shows", set()) | getattr(f, "extras", set())) - getattr(f, "without", set())
        if t == "knit_lm":  # nobody logs a recall for every stitch
            extras -= {"recalls", "shares", "conf", "f1"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = set(LOSSES)
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        side = conventions_sealed11.SIDE.get(c.name, ("evaluator/bleu",) if c.name == "acme-like" and len(res) % 2 else ())
        seed = 6000 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Looked(len(res) + 1, split, t, f, fine, seed, c, extras, side, d))
    return [c for c in res if c.index not in DOUBTFUL]


def fits(conv, mechanism, damage):
    """Some symptoms need values of single steps; accidents need one plain file."""
    if damage:
        return not any(conv.dirs) and (bool(conv.every) or damage != "no_validation")
    if mechanism.__name__ in ("overflow_of_a_fused_kernel", "scale_finds_its_place") and not conv.every:
        return False
    return not (getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")))
