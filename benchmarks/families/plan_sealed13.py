"""Sound trainings of `sealed13`, which training is written how, and how many of each symptom are kept."""

import copy
import math
import zlib

import numpy as np
import torch

from families import conventions_sealed13, faults_sealed13, faults_sealed13b, faults_sealed13c, healthy_dev, tasks_sealed13
from families.healthy_dev import default, good_start
from families.plan import POOL
from families.plan_dev5 import moved
from families.plan_sealed8 import Judged
from families.setups import shows

DAMAGES = ["three_resumes", "garbage_tail", "restarted_from_zero", "flip_bits", "no_validation", "resumed_cleanly", "clock_set_back"]
DAMAGES += ["empty_second_file"]
HARMLESS = {"resumed_cleanly", "clock_set_back", "empty_second_file"}
FEW = {"healthy": 48, "overfitting": 10, "no-learning": 4, "underfitting": 4, "nan-inf": 4, "plateau": 4, "divergence": 4, "instability": 3}
FEW |= dict.fromkeys(("unconverged", "val-better", "sudden-shift", "prediction-collapse", "class-imbalance"), 3)
FEW |= dict.fromkeys(("missing-evidence", "low-confidence", "label-noise", "clipping-saturated", "leakage", "over-confidence"), 1)
FEW |= dict.fromkeys(("noisy-validation", "weight-growth", "epoch-sawtooth"), 1)
DOUBTFUL = set()
LOSSES = {"only_loss", "no_parts", "no_more"}
HEAT = ("instability", "plateau", "underfitting", "divergence", "spikes", "noisy-validation")
TEXTS = ("verse_lm",)
SLOW = (faults_sealed13b.rate_divided_by_devices_twice, faults_sealed13b.accumulates_and_keeps_the_rate)


@shows("lr")
def warm_up_then_a_line(s):
    """A warm-up of a tenth, then a line to nothing."""
    s.sched = lambda step, total: min((step + 1) / (0.1 * total), 1.112 * (1 - step / total) + 1e-3)


@shows("lr")
def exponential_from_the_start(s):
    """The rate falls by the same share in each step, to a fiftieth."""
    s.lr, s.sched = 1.3 * s.lr, lambda step, total: 0.02 ** (step / total)


@shows("lr")
def waves_of_the_rate(s):
    """Three equal waves of the rate between a tenth and one: the loss breathes with them."""
    s.epochs = int(1.3 * s.epochs)
    s.sched = lambda step, total: 0.1 + 0.9 * (0.5 + 0.5 * math.cos(6 * math.pi * step / total))
    s.truth["tolerated"] = ["lr-schedule"]


@shows("lr")
def tenth_at_two_milestones(s):
    """The rate is cut to a tenth at a half and once more at four fifths: a step down in the loss."""
    s.lr, s.sched = 1.4 * s.lr, lambda step, total: 1.0 if step < 0.5 * total else 0.1 if step < 0.8 * total else 0.01


def batches_of_five(s):
    """Batches of five at a quarter of the rate: single steps are ragged."""
    s.batch, s.lr, s.epochs = 5, s.lr / 4, max(7, s.epochs // 2)
    s.sched = lambda step, total: 1 - 0.96 * step / total
    s.truth["tolerated"] = ["instability", "spikes"]


def batches_that_fill_the_card(s):
    """Batches five times as large at twice the rate for thrice the passes."""
    s.batch, s.lr, s.epochs = 5 * s.batch, 2.2 * s.lr, 3 * s.epochs
    s.sched = lambda step, total: 0.51 + 0.49 * math.cos(math.pi * step / total)


def small_share_held_out(s):
    """Eighty fixed rows are held out."""
    s.data(val=(s.task.val[0][:80], s.task.val[1][:80]))
    s.sched = lambda step, total: 1 - 0.98 * step / total
    s.truth["tolerated"] = ["generalization-gap", "val-better"]


def stopped_early(s):
    """Three times the passes were planned; a patience of four ends the run."""
    s.epochs, s.patience, s.wd = 3 * s.epochs, 4, 0.02
    s.sched = lambda step, total: max(0.02, 0.004 ** (step / total))


def noise_on_what_training_sees(s):
    """Training's inputs get noise and a random gain, or one syllable in twelve is another; validation's do not."""

    def noise(step, ep, x, y):
        if x.is_floating_point():
            return x * (1 + 0.15 * torch.randn(len(x), *[1] * (x.dim() - 1))) + 0.25 * torch.randn_like(x), y
        return torch.where(torch.rand(x.shape) < 0.08, torch.randint(0, 18, x.shape), x), y

    s.on_batch.append(noise)
    s.sched = lambda step, total: 1 - 0.9 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def done_at_half_time(s):
    """Twice the passes under a fast decay: the second half is flat at a good level."""
    s.epochs, s.wd, s.lr = 2 * s.epochs, 0.02, 1.3 * s.lr
    s.sched = lambda step, total: max(0.005, 0.002 ** (1.4 * step / total))


def eight_points(s):
    """Eight passes at a higher rate under a cosine."""
    s.epochs, s.lr = 8, 1.5 * s.lr
    s.sched = lambda step, total: 0.51 + 0.49 * math.cos(math.pi * step / total)


@shows("gnorm", "lr")
def clipped_without_harm(s):
    """Gradients are clipped at 0.3 under Adam, on most steps at first."""
    s.clip = 0.3
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.05 * total)) * (1 - 0.95 * step / total)


def scale_that_grows_again(s):
    """Mixed precision begins with 2 to the 22, halves what does not fit and doubles again after a while."""
    s.scaler = 2.0**22
    s.sched = lambda step, total: 1 - 0.9 * step / total
    s.truth["tolerated"] = ["nan-inf"]


@shows("gnorm")
def plain_descent(s):
    """Descent with momentum and a cosine, for more passes."""
    faults_sealed13.descent(s, 0.6)
    s.sched, s.epochs = lambda step, total: 0.51 + 0.49 * math.cos(math.pi * step / total), int(1.3 * s.epochs)


def judged_by_the_mean_of_weights(s):
    """Validation judges a running mean of the weights: late at first, smooth, better than training."""
    kept = []
    s.on_model.append(lambda m: kept.append(copy.deepcopy(m)) or None)

    def follow(step, model):
        for a, b in zip(kept[0].parameters(), model.parameters(), strict=True):
            a.data.lerp_(b.data, 0.04)

    s.after_step.append(follow)
    s.eval_model = lambda model: kept[0]
    s.truth["tolerated"] = ["val-better"]


def accumulates_as_planned(s):
    """Four small batches are put together for a step, the rate fits."""
    s.accum, s.batch, s.lr = 4, max(4, s.batch // 3), 1.2 * s.lr
    s.sched = lambda step, total: 1 - 0.95 * step / total


def holds_then_cools(s):
    """The rate is held and cooled over the last fifth: both losses drop once more."""
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.03 * total), 5.05 * (1 - step / total))


def inputs_dropped_in_training(s):
    """Fifteen in a hundred inputs are dropped in training: training stays over validation."""
    s.on_batch.append(lambda step, ep, x, y: (x * (torch.rand_like(x) > 0.15) / 0.85, y))
    s.sched, s.epochs = lambda step, total: 1 - 0.95 * step / total, int(1.3 * s.epochs)
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def only_two_curves(s):
    """Nothing but the two losses is logged."""
    s.sched = lambda step, total: 0.5 + 0.5 * math.cos(math.pi * step / total)


@shows("whist", "ghist", "ahist", "layergrads", "wnorm", "gnorm", "lr", "text")
def with_all_there_is(s):
    """A cosine with all that can be logged."""
    s.sched = lambda step, total: 0.52 + 0.48 * math.cos(math.pi * step / total)


only_two_curves.extras = LOSSES
HEALTHY = {
    default: tuple(tasks_sealed13.TASKS),
    good_start: ("spirals4", "stress_tags", "symptoms6"),
    warm_up_then_a_line: ("verse_lm", "symptoms6", "tide_nll"),
    exponential_from_the_start: ("spirals4", "rare_calls", "sugar_progress"),
    waves_of_the_rate: ("spirals4", "symptoms6"),
    tenth_at_two_milestones: ("tide_nll", "pair_sum", "stress_tags"),
    batches_of_five: ("spirals4", "rare_calls", "symptoms6"),
    batches_that_fill_the_card: ("symptoms6", "rare_calls", "tide_nll"),
    small_share_held_out: ("symptoms6", "spirals4", "stress_tags"),
    stopped_early: ("rare_calls", "stress_tags", "spirals4"),
    noise_on_what_training_sees: ("pair_sum", "verse_lm", "rare_calls"),
    done_at_half_time: ("symptoms6", "tide_nll", "verse_lm"),
    eight_points: ("verse_lm", "spirals4", "symptoms6"),
    clipped_without_harm: ("verse_lm", "stress_tags", "pair_sum"),
    scale_that_grows_again: ("stress_tags", "spirals4", "verse_lm"),
    plain_descent: ("symptoms6", "verse_lm", "spirals4"),
    judged_by_the_mean_of_weights: ("spirals4", "tide_nll", "pair_sum"),
    accumulates_as_planned: ("stress_tags", "rare_calls"),
    holds_then_cools: ("tide_nll", "verse_lm", "symptoms6"),
    inputs_dropped_in_training: ("symptoms6", "pair_sum"),
    only_two_curves: ("verse_lm", "tide_nll", "sugar_progress"),
    with_all_there_is: ("spirals4", "pair_sum", "rare_calls"),
}


class Viewed(Judged):
    """A case of this split: the rules of `sealed8`, and what came of looking at the curves."""

    def mend(self, verdict, f):
        """What was done decides where the curves allow it."""
        verdict = super().mend(verdict, f)
        if verdict and self.healthy and f.get("val_end", 0) - f.get("train_end", 0) > 0.15 * f["R"]:  # sound, but some may call this a gap
            return verdict | {"allowed": sorted({*verdict["allowed"], "generalization-gap"})}
        if not verdict or self.healthy:
            return verdict
        a, b, c, m = faults_sealed13, faults_sealed13b, faults_sealed13c, self.mechanism
        p = (verdict["primary"] or [""])[0]
        near = verdict["alt"].get(p, [])
        if p == "unconverged" and f["best_progress"] < 0.05 and f["late_gain"] < 0.02 and m not in SLOW:  # it never began
            verdict, p = moved(verdict, "no-learning", [p, *near]), "no-learning"
            near = verdict["alt"][p]
        if m in (b.accumulates_and_keeps_the_rate, b.passes_of_a_dry_run, b.rate_divided_by_devices_twice):
            return moved(verdict, "unconverged" if f["late_gain"] > 0.04 else p, [p, "unconverged", "underfitting", "lr-too-low", *near])
        if m is a.gauge_was_moved and abs(f.get("event_jump", 0)) > 0.15:
            return moved(verdict, "sudden-shift", [p, "divergence", *near])
        small = (a.two_units_after_a_search, a.thumbnails_of_two_by_two, a.no_bend_between_layers, a.figures_as_whole_numbers)
        small = (*small, a.second_picture_of_another_row, a.holes_filled_with_the_mean)
        if m in small and p in ("plateau", "unconverged", "no-learning") and f["best_progress"] > 0.08:
            noise = ["label-noise"] if m is a.second_picture_of_another_row else []
            return moved(verdict, "underfitting", [p, "plateau", *noise, *near])
        if m is c.offsets_of_a_prior_counted_thousandfold:
            first = "prediction-collapse" if "prediction-collapse" in verdict["strict"] else "generalization-gap"
            return moved(verdict, first, ["generalization-gap", "prediction-collapse", "overfitting", p])
        if m is a.no_syllable_is_known and p == "prediction-collapse":  # the largest class is all that can be said
            return moved(verdict, "no-learning", [p, "underfitting", "plateau"])
        learned = (a.spread_without_a_floor, a.waves_of_too_short_a_length, a.hidden_layer_of_the_other_config)
        if m in learned and f["rise"] > 0.15 and f["progress"] > 1.05:
            return moved(verdict, "overfitting", ["generalization-gap", p, *(["noisy-validation"] if m is learned[0] else [])])
        if m is c.two_notebooks_disagree:
            return moved(verdict, "label-noise", [p, "plateau", "underfitting", "low-confidence", "generalization-gap", "overfitting"])
        if m in (c.levels_sorted_in_each_pass, c.arms_one_after_the_other) and f.get("phase_r2", 0) > 0.3:
            return moved(verdict, "epoch-sawtooth", ["instability", "spikes", p])
        if m is b.mode_max_for_a_loss:
            return moved(verdict, "lr-schedule", [p, "lr-zero", "lr-too-low", "plateau", "no-learning", "underfitting", *near])
        if m is b.warm_up_counted_in_samples:
            return moved(verdict, "lr-schedule", [p, "lr-too-low", "unconverged", "no-learning", "underfitting"])
        if m is b.corrected_for_its_start_at_each_step:
            return moved(verdict, "weight-growth", [*verdict["primary"], "divergence"])
        if m in (b.eighth_of_what_comes_in, b.weights_at_a_hundredth) and p == "frozen-weights":
            return moved(verdict, "vanishing-gradients", [p, *near])
        if m is c.light_of_each_look and p in ("generalization-gap", "overfitting", "instability"):
            return moved(verdict | {"allowed": sorted({*verdict["allowed"], "over-confidence"})}, "noisy-validation", [p, *near])
        if m is c.temperature_of_an_eighth_when_judged and "over-confidence" in verdict["strict"]:
            return moved(verdict, "over-confidence", ["overfitting", "generalization-gap"])
        if m is c.answers_of_an_undecided_teacher:
            return moved(verdict, "low-confidence", [p, "plateau", "underfitting", "loss-mismatch", *near])
        rough = (*HEAT, "overfitting", "exploding-gradients", "unconverged")
        if m in (b.slopes_of_a_slow_worker, b.signs_only_at_a_high_rate, b.squares_forgotten_at_once) and p in rough:
            return moved(verdict, "instability", [p, *HEAT, "lr-too-high", "exploding-gradients"])
        if m in (c.softmax_inside_the_net, c.sigmoid_before_the_logits) and p != "nan-inf":  # right answers at a loss that is far too high
            return moved(verdict, "loss-mismatch", [p, "plateau", "underfitting", "low-confidence"])
        if m is a.rounded_before_the_loss:  # there is no slope, so that no weight moves
            return moved(verdict, p, [*near, "frozen-weights", "vanishing-gradients"])
        if m in (b.rate_of_descent_given_to_adam, b.rate_times_the_cluster):
            return moved(verdict, "lr-too-high", [p, *near])
        if m in (b.rate_in_millionths, b.rate_for_fine_tuning_from_scratch) and p == "lr-too-low":
            return moved(verdict, p, [*near, "no-learning", "plateau", "unconverged"])
        if m in (a.smoothed_by_a_half, a.kept_taken_for_dropped) and f["gap"] < -0.12:
            return moved(verdict, "val-better", ["leakage", "loss-mismatch", p, *near])
        if m in (a.diagnoses_of_the_next_bed, a.arms_by_the_hash_of_the_row):
            return moved(verdict, p, [*near, "label-noise"])
        if m is b.optimiser_holds_an_old_body and self.extras & {"whist"}:
            return moved(verdict, "frozen-weights", [p, "plateau", "underfitting", *near])
        if p in ("overfitting", "generalization-gap") and "prediction-collapse" in verdict["strict"] and "shares" in self.extras:
            return moved(verdict, "prediction-collapse", [p, "generalization-gap", "overfitting"])
        return verdict


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= FEW.get(first, 2)


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    faults = {**faults_sealed13.FAULTS, **faults_sealed13b.FAULTS, **faults_sealed13c.FAULTS}
    return tasks_sealed13.TASKS, faults, HEALTHY, conventions_sealed13.SEALED13


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES):
        out += [(names[(3 * i + 2 * j + 3) % len(names)], default, d in HARMLESS, j, d, j) for j in range(2)]
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
        if t in TEXTS:  # nobody logs a recall for every syllable
            extras -= {"recalls", "shares", "conf", "f1"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = set(LOSSES)
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        side = conventions_sealed13.SIDE.get(c.name, ())
        seed = 8000 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Viewed(len(res) + 1, split, t, f, fine, seed, c, extras, side, d))
    return [c for c in res if c.index not in DOUBTFUL]


def fits(conv, mechanism, damage):
    """Some symptoms need values of single steps; accidents need one plain file."""
    if damage:
        return not any(conv.dirs) and conv.logger == "torch" and (bool(conv.every) or damage != "no_validation")
    if mechanism.__name__ in ("scores_in_half_precision", "scale_that_grows_again") and not conv.every:
        return False
    return not (getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")))
