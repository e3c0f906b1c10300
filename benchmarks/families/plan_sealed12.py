"""Sound trainings of `sealed12`, which training is written how, and how many of each symptom are kept."""

import copy
import math
import zlib

import numpy as np
import torch

from families import conventions_sealed12, faults_sealed12, faults_sealed12b, faults_sealed12c, healthy_dev, tasks_sealed12
from families.healthy_dev import default, good_start
from families.plan import POOL
from families.plan_dev5 import moved
from families.plan_sealed8 import Judged
from families.setups import shows

DAMAGES = ["begun_three_times", "cut_in_a_header", "rolled_back_far", "lost_block", "no_validation", "resumed_with_purge", "other_rank"]
HARMLESS = {"resumed_with_purge", "other_rank"}
FEW = {"healthy": 44, "overfitting": 9, "no-learning": 4, "underfitting": 4, "nan-inf": 4, "plateau": 4, "divergence": 3, "instability": 3}
FEW |= dict.fromkeys(("unconverged", "val-better", "sudden-shift", "prediction-collapse", "class-imbalance"), 3)
FEW |= dict.fromkeys(("missing-evidence", "low-confidence", "over-confidence", "label-noise", "clipping-saturated", "weight-growth"), 1)
FEW |= dict.fromkeys(("noisy-validation", "leakage"), 1)
DOUBTFUL = set()
LOSSES = {"only_loss", "no_parts", "no_more"}
HEAT = ("instability", "plateau", "underfitting", "divergence", "spikes", "noisy-validation")
TEXTS = ("editor_lm",)


@shows("lr")
def warm_up_hold_and_root(s):
    """A short warm-up, then the rate falls with the root of the steps."""
    w = 0.06 * s.total
    s.sched = lambda step, total: min((step + 1) / w, (w / (step + 1)) ** 0.5)


@shows("lr")
def one_cycle(s):
    """One cycle up to twice the rate at 30 % and down to nothing."""
    s.lr *= 2
    s.sched = lambda step, total: (
        0.04 + 0.96 * (step / (0.3 * total) if step < 0.3 * total else 0.5 + 0.5 * math.cos(math.pi * (step / total - 0.3) / 0.7))
    )


@shows("lr")
def three_restarts_that_lengthen(s):
    """A cosine with restarts after an seventh and three sevenths: the loss rises a little after each."""

    def rate(step, total):
        q = 7 * step / total
        a, b = (0, 1) if q < 1 else (1, 2) if q < 3 else (3, 4)
        return 0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * (q - a) / b))

    s.epochs, s.sched = int(1.4 * s.epochs), rate
    s.truth["tolerated"] = ["lr-schedule"]


@shows("lr")
def halved_by_a_patient_callback(s):
    """The rate is halved three times where a callback with patience saw no progress."""
    s.sched = lambda step, total: 0.5 ** sum(step > q * total for q in (0.5, 0.68, 0.86))


def batches_of_six(s):
    """Batches of six at a quarter of the rate and a line to nothing: single steps are ragged."""
    s.batch, s.lr, s.epochs = 6, s.lr / 3, max(6, s.epochs // 2)
    s.sched = lambda step, total: 1 - 0.96 * step / total
    s.truth["tolerated"] = ["instability", "spikes"]


def all_that_fits_on_the_card(s):
    """Batches of a quarter of a thousand at two and a half times the rate for three times the passes."""
    s.batch, s.lr, s.epochs = 240, 2.5 * s.lr, 3 * s.epochs
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.05 * total)) * (1 - 0.97 * step / total)


def hundred_rows_held_out(s):
    """Validation has a hundred rows and lies a little off; a line to nothing."""
    s.data(val=(s.task.val[0][:100], s.task.val[1][:100]))
    s.sched = lambda step, total: 1 - 0.98 * step / total
    s.truth["tolerated"] = ["generalization-gap", "val-better"]


def stopped_by_patience(s):
    """Three times the passes were planned under a decay; a patience of five ends the run."""
    s.epochs, s.patience, s.wd = 3 * s.epochs, 5, 0.03
    s.sched = lambda step, total: max(0.01, 0.003 ** (step / total))


def mixed_with_a_neighbour(s):
    """Training's inputs are jittered and scaled at random, validation's are not."""
    s.on_batch.append(lambda step, ep, x, y: (x * (1 + 0.15 * torch.randn(len(x), *[1] * (x.dim() - 1))) + 0.3 * torch.randn_like(x), y))
    s.sched = lambda step, total: 1 - 0.9 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def long_after_it_was_done(s):
    """Two and a half times the passes, and the rate falls fast: the second half is flat at a good level."""
    s.epochs, s.wd, s.lr = int(2.5 * s.epochs), 0.02, 1.4 * s.lr
    s.sched = lambda step, total: max(0.01, 0.003 ** (1.3 * step / total))


def six_points(s):
    """Six passes at twice the rate under a cosine."""
    s.epochs, s.lr = 6, 2 * s.lr
    s.sched = lambda step, total: 0.51 + 0.49 * math.cos(math.pi * step / total)


@shows("gnorm", "lr")
def clipped_as_a_habit(s):
    """Gradients are clipped at four tenths under Adam, on many steps, without harm."""
    s.clip = 0.4
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.05 * total)) * (1 - 0.95 * step / total)


def scale_begins_too_high(s):
    """Mixed precision begins with a scale of 2 to the 24 that is halved until it fits, and grows again."""
    s.scaler = 2.0**24
    s.sched = lambda step, total: 1 - 0.9 * step / total
    s.truth["tolerated"] = ["nan-inf"]


@shows("gnorm")
def heavy_ball(s):
    """Descent with momentum, half a cosine."""
    faults_sealed12.descent(s, 0.5)
    s.sched, s.epochs = lambda step, total: 0.51 + 0.49 * math.cos(math.pi * step / total), int(1.2 * s.epochs)


def judged_by_a_shadow(s):
    """Validation judges a running mean of the weights: late at the start, smooth, better than training."""
    kept = []
    s.on_model.append(lambda m: kept.append(copy.deepcopy(m)) or None)

    def follow(step, model):
        for a, b in zip(kept[0].parameters(), model.parameters(), strict=True):
            a.data.lerp_(b.data, 0.03)

    s.after_step.append(follow)
    s.eval_model = lambda model: kept[0]
    s.truth["tolerated"] = ["val-better"]


def cools_at_the_very_end(s):
    """A constant rate, and over the last tenth a line to nothing: both losses drop once more."""
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.02 * total), 10.1 * (1 - step / total))


def fifth_of_the_inputs_dropped(s):
    """A fifth of the inputs is dropped in training: training stays over validation."""
    s.on_batch.append(lambda step, ep, x, y: (x * (torch.rand_like(x) > 0.2) / 0.8, y))
    s.sched, s.epochs = lambda step, total: 1 - 0.95 * step / total, int(1.3 * s.epochs)
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def nothing_else_is_written(s):
    """Nothing but the two losses is logged."""
    s.sched = lambda step, total: 0.5 + 0.5 * math.cos(math.pi * step / total)


@shows("whist", "ghist", "ahist", "layergrads", "wnorm", "gnorm", "lr", "text")
def everything_is_written(s):
    """A cosine with all that can be logged."""
    s.sched = lambda step, total: 0.52 + 0.48 * math.cos(math.pi * step / total)


nothing_else_is_written.extras = LOSSES
HEALTHY = {
    default: tuple(tasks_sealed12.TASKS),
    good_start: ("star5", "solar_yield", "vein_seg"),
    warm_up_hold_and_root: ("editor_lm", "tile_fill", "gait_triplets"),
    one_cycle: ("star5", "wafer_fail", "solar_yield"),
    three_restarts_that_lengthen: ("tile_fill", "star5"),
    halved_by_a_patient_callback: ("gait_triplets", "vein_seg", "wafer_fail"),
    batches_of_six: ("star5", "gait_triplets", "solar_yield"),
    all_that_fits_on_the_card: ("wafer_fail", "gait_triplets", "star5"),
    hundred_rows_held_out: ("wafer_fail", "solar_yield", "vein_seg"),
    stopped_by_patience: ("gait_triplets", "solar_yield", "vein_seg"),
    mixed_with_a_neighbour: ("star5", "wafer_fail"),
    long_after_it_was_done: ("editor_lm", "gait_triplets", "solar_yield"),
    six_points: ("star5", "vein_seg", "editor_lm"),
    clipped_as_a_habit: ("vein_seg", "editor_lm", "review_stars"),
    scale_begins_too_high: ("star5", "wafer_fail", "tile_fill"),
    heavy_ball: ("star5", "wafer_fail", "gait_triplets"),
    judged_by_a_shadow: ("solar_yield", "tile_fill"),
    cools_at_the_very_end: ("editor_lm", "vein_seg", "gait_triplets"),
    fifth_of_the_inputs_dropped: ("wafer_fail", "star5"),
    nothing_else_is_written: ("editor_lm", "tile_fill", "solar_yield"),
    everything_is_written: ("star5", "wafer_fail", "solar_yield"),
}


class Seen(Judged):
    """A case of this split: the rules of `sealed8`, and what came of looking at the curves."""

    def mend(self, verdict, f):
        """What was done decides where the curves allow it."""
        verdict = super().mend(verdict, f)
        if verdict and self.healthy and f.get("val_end", 0) > 1.4 * f.get("train_end", 0) > 0:  # sound, but a reader may call this a gap
            return verdict | {"allowed": sorted({*verdict["allowed"], "generalization-gap"})}
        if not verdict or self.healthy:
            return verdict
        a, b, c, m = faults_sealed12, faults_sealed12b, faults_sealed12c, self.mechanism
        p = (verdict["primary"] or [""])[0]
        near = verdict["alt"].get(p, [])
        if m is c.grades_scraped_from_another_site:
            return moved(verdict, "label-noise", [p, "plateau", "underfitting", "low-confidence", "generalization-gap", "overfitting"])
        if m is c.restored_at_the_start_of_each_pass and f.get("phase_r2", 0) > 0.3:
            return moved(verdict, "epoch-sawtooth", ["instability", "plateau", "underfitting", "no-learning", "val-better", "spikes", p])
        if m is c.read_by_folder and f.get("phase_r2", 0) > 0.3:
            return moved(verdict, "epoch-sawtooth", ["instability", "spikes", p])
        if m in (b.gamma_for_a_hundred_passes, b.cycle_counted_in_batches) and "lr" in self.extras:
            return moved(verdict, "lr-schedule", [p, "lr-zero", "lr-too-low", "plateau", "no-learning", *near])
        if m is b.norm_kept_by_a_growing_gain and "wnorm" in self.extras:
            return moved(verdict, "weight-growth", [*verdict["primary"], "divergence"])
        if m in (b.layer_scales_without_a_way_around, b.logarithms_in_a_row) and p == "frozen-weights":
            return moved(verdict, "vanishing-gradients", [p, *near])
        if m is c.volume_of_each_look and p in ("generalization-gap", "overfitting", "instability"):
            return moved(verdict | {"allowed": sorted({*verdict["allowed"], "over-confidence"})}, "noisy-validation", [p, *near])
        if m is c.scores_summed_over_crops and "over-confidence" in verdict["strict"]:
            return moved(verdict, "over-confidence", ["overfitting", "generalization-gap"])
        if m is b.four_rows_at_the_rate_of_a_thousand and p == "no-learning":  # it died of its rate at once
            return moved(verdict, p, [*near, "lr-too-high", "instability", "dead-units", "plateau"])
        rough = (*HEAT, "overfitting", "exploding-gradients", "unconverged")
        if m in (b.four_rows_at_the_rate_of_a_thousand, b.resilient_steps_on_small_batches) and p in rough:
            return moved(verdict, "instability", [p, *HEAT, "lr-too-high", "exploding-gradients"])
        if m is b.two_domains_in_turns and p in HEAT:
            return moved(verdict, "instability", [p, *HEAT, "epoch-sawtooth", "sudden-shift"])
        if m is c.clamped_like_a_phone and p != "nan-inf":  # right answers at a loss that is far too high
            return moved(verdict, "loss-mismatch", [p, "plateau", "underfitting", "low-confidence"])
        if m is c.integers_on_the_way_out:  # there is hardly a slope, so that no weight moves
            return moved(verdict, p, [*near, "frozen-weights", "vanishing-gradients"])
        if m is a.stepper_of_another_line and p in ("noisy-validation", "generalization-gap", "overfitting"):
            return moved(verdict, "generalization-gap", ["noisy-validation", "overfitting", "sudden-shift", *near])
        if m is a.started_from_zeros and p == "frozen-weights":  # gradients are nought as well
            return moved(verdict, p, [*near, "no-learning", "vanishing-gradients"])
        if m is b.per_cent_of_a_per_mille and p == "lr-too-low":
            return moved(verdict, p, [*near, "no-learning", "plateau"])
        if m is b.samples_are_drawn_without_gradient and {"layergrads", "whist"} <= self.extras:
            return moved(verdict, "frozen-weights", [p, "plateau", "underfitting", *near])
        if m is a.rows_from_the_next_day and p in ("unconverged", "overfitting"):
            return moved(verdict, "no-learning", [p, "plateau", "underfitting", "label-noise", *near])
        if m in (b.rate_of_a_line_search, b.rate_without_its_exponent) and "lr" in self.extras:
            return moved(verdict, "lr-too-high", [p, *near])
        if m in (a.class_weights_only_in_training, a.padded_rows_count_as_right) and f["gap"] < -0.12:
            return moved(verdict, "val-better", ["leakage", "loss-mismatch", p, *near])
        if m in (a.verdicts_of_the_whole_lot, a.rows_from_the_next_day):
            return moved(verdict, p, [*near, "label-noise"])
        if p in ("overfitting", "generalization-gap") and "prediction-collapse" in verdict["strict"] and "shares" in self.extras:
            return moved(verdict, "prediction-collapse", [p, "generalization-gap", "overfitting"])
        return verdict


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= FEW.get(first, 2)


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    faults = {**faults_sealed12.FAULTS, **faults_sealed12b.FAULTS, **faults_sealed12c.FAULTS, **faults_sealed12.LATE}
    return tasks_sealed12.TASKS, faults, HEALTHY, conventions_sealed12.SEALED12


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    late = faults_sealed12.LATE
    out = [(t, f, False, k, "", k) for f, names in faults.items() if f not in late for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES):
        out += [(names[(3 * i + 4 * j + 2) % len(names)], default, d in HARMLESS, j, d, j) for j in range(2)]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    turn = rng.permutation(len(out)).tolist()
    use, res = {c.name: 0 for c in convs}, []
    ordered = sorted([out[i] for i in turn], key=lambda q: q[5]) + [(t, f, False, k, "", 9) for f in late for k, t in enumerate(late[f])]
    for t, f, fine, k, d, _ in ordered:
        free = [c for c in convs if fits(c, f, t, d)]
        least = min(use[c.name] for c in free)
        free = [c for c in free if use[c.name] <= least + 1]
        c = free[rng.integers(len(free))]
        use[c.name] += 1
        extras = {e for e in POOL if rng.random() < (0.55 if e == "lr" else 0.4 if e == "gnorm" else 0.1)}
        extras = (extras | getattr(f, "shows", set()) | getattr(f, "extras", set())) - getattr(f, "without", set())
        if t in TEXTS:  # nobody logs a recall for every key
            extras -= {"recalls", "shares", "conf", "f1"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = set(LOSSES)
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        side = conventions_sealed12.SIDE.get(c.name, ())
        seed = 7000 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Seen(len(res) + 1, split, t, f, fine, seed, c, extras, side, d))
    return [c for c in res if c.index not in DOUBTFUL]


def fits(conv, mechanism, task, damage):
    """Some symptoms need values of single steps; accidents need one plain file; a likelihood wants a loss that is one."""
    if conv.turn_loss == "likelihood" and task not in conventions_sealed12.LIKELIHOOD:
        return False
    if damage:
        return not any(conv.dirs) and conv.style != "add_scalars" and (bool(conv.every) or damage != "no_validation")
    if mechanism.__name__ in ("cap_of_scores_removed", "scale_begins_too_high") and not conv.every:
        return False
    return not (getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")))
