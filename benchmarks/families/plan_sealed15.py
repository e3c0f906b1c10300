"""Sound trainings of `sealed15`, which training is written how, and how many of each symptom are kept."""

import copy
import math
import zlib

import numpy as np
import torch

from families import conventions_sealed15, faults_sealed15, faults_sealed15b, faults_sealed15c, healthy_dev, tasks_sealed15
from families.healthy_dev import default, good_start
from families.plan import POOL
from families.plan_dev5 import moved
from families.plan_sealed8 import Judged
from families.setups import shows

DAMAGES = ["three_resumes", "copied_too_early", "begun_three_times", "zero_hole", "no_validation", "resumed_cleanly", "written_twice"]
DAMAGES += ["empty_second_file"]
HARMLESS = {"resumed_cleanly", "written_twice", "empty_second_file"}
FEW = {"healthy": 44, "overfitting": 9, "no-learning": 4, "underfitting": 4, "nan-inf": 4, "plateau": 4, "divergence": 4, "instability": 3}
FEW |= dict.fromkeys(("unconverged", "val-better", "sudden-shift", "prediction-collapse", "class-imbalance"), 3)
FEW |= dict.fromkeys(("missing-evidence", "low-confidence", "label-noise", "clipping-saturated", "leakage", "over-confidence"), 1)
FEW |= dict.fromkeys(("noisy-validation", "weight-growth", "epoch-sawtooth"), 1)
# second trainings of symptoms of which there are enough by then
UNNEEDED = {126, 136, 137, 141, 143, 144, 146, 152, 154, 159, 164, 166, 167, 168, 169, 170, 172, 174, 176, 177, 179, 180, 182, 184, 185}
UNNEEDED |= {187, 188, 189, 190, 191, 192, 193, 194, 195, 196, 197, 199, 200, 201, 205, 207, 209, 210, 211, 217, 223, 224, 225, 226}
LOSSES = {"only_loss", "no_parts", "no_more"}
HEAT = ("instability", "plateau", "underfitting", "divergence", "spikes", "noisy-validation")
TEXTS = ("openings_lm",)
SLOW = (
    faults_sealed15b.careful_rate_after_a_failure,
    faults_sealed15b.session_of_a_notebook_ends,
    faults_sealed15b.descent_without_momentum,
)


@shows("lr")
def line_after_a_short_rise(s):
    """A rise over a twentieth, then a line to nothing."""
    s.sched = lambda step, total: min((step + 1) / (0.05 * total), 1.0) * (1.001 - step / total)


@shows("lr")
def level_then_down(s):
    """The rate is level for four fifths of the run and goes down in the last one, where the loss falls once more."""
    s.lr *= 1.2
    s.sched = lambda step, total: min(1.0, (1.01 - step / total) / 0.21) * min(1.0, (step + 1) / (0.03 * total))


@shows("lr")
def ten_steps_of_a_stair(s):
    """The rate is multiplied by three quarters ten times."""
    s.lr *= 1.4
    s.sched = lambda step, total: 0.72 ** int(10 * step / total)


@shows("lr")
def power_of_two(s):
    """The rate falls with the square of what is left."""
    s.lr *= 1.3
    s.sched = lambda step, total: (1 - step / total) ** 2 + 1e-3


@shows("lr")
def three_waves_of_equal_length(s):
    """Three cosines of equal length, each from a lower top: the loss rises a little at two places."""
    s.epochs = int(1.3 * s.epochs)

    def rate(step, total):
        q = 3 * step / total
        return 0.01 + 0.6 ** int(q) * (0.5 + 0.5 * math.cos(math.pi * (q % 1)))

    s.sched = rate
    s.truth["tolerated"] = ["lr-schedule", "instability", "spikes"]


def rows_by_eight(s):
    """Batches of eight at two fifths of the rate, for fewer passes: single steps are ragged."""
    s.batch, s.lr, s.epochs = 8, 0.4 * s.lr, max(7, int(0.6 * s.epochs))
    s.sched = lambda step, total: 1 - 0.97 * step / total
    s.truth["tolerated"] = ["instability", "spikes"]


def batches_three_times_as_large(s):
    """Batches three times as large at one and a half times the rate for twice the passes."""
    s.batch, s.lr, s.epochs = 3 * s.batch, 1.6 * s.lr, int(2.2 * s.epochs)
    s.sched = lambda step, total: 1 - 0.97 * step / total


def eighty_rows_for_validation(s):
    """Eighty fixed rows are all that validation has: its loss moves in steps and lies somewhat off."""
    n = min(80, len(s.task.val[0]))
    s.data(val=(s.task.val[0][:n], s.task.val[1][:n]))
    s.sched = lambda step, total: 0.51 + 0.49 * math.cos(math.pi * step / total)
    s.truth["tolerated"] = ["generalization-gap", "val-better"]


def stopped_when_nothing_was_gained(s):
    """Three times the passes were planned; a patience of four ends the run."""
    s.epochs, s.patience, s.wd = 3 * s.epochs, 4, 0.03
    s.sched = lambda step, total: max(0.02, 0.004 ** (step / total))


def inputs_shaken_in_training(s):
    """Training's inputs are shaken, or some of them replaced; validation's are not."""
    top = {"languages5": 20, "openings_lm": 28, "punctuation": 40}.get(s.task.name)

    def shaken(step, ep, x, y):
        if top:
            return torch.where(torch.rand(x.shape) < 0.07, torch.randint(0, top, x.shape), x), y
        return x + 0.2 * torch.randn_like(x), y

    s.on_batch.append(shaken)
    s.sched = lambda step, total: 1 - 0.9 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def flat_for_half_the_run(s):
    """Twice the passes under a rate that falls soon: half of the run is flat at a good level."""
    s.epochs, s.wd, s.lr = int(1.8 * s.epochs), 0.03, 1.2 * s.lr
    s.sched = lambda step, total: max(0.005, 0.004 ** (1.4 * step / total))


def six_points(s):
    """Six passes at a higher rate, by a line."""
    s.epochs, s.lr = 6, 2 * s.lr
    s.sched = lambda step, total: 1.02 - step / total


@shows("gnorm", "lr")
def clipped_at_a_half(s):
    """Gradients are clipped at a half under Adam, often at first and seldom later."""
    s.clip = 0.5
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.05 * total)) * (1 - 0.95 * step / total)


def scale_of_amp_settles(s):
    """Mixed precision begins with 2 to the 20, halves the scale until steps fit, and tries a larger one now and then."""
    s.scaler = 2.0**20
    s.sched = lambda step, total: 1 - 0.9 * step / total
    s.truth["tolerated"] = ["nan-inf"]


@shows("gnorm")
def descent_by_a_cosine(s):
    """Descent with momentum and a cosine, for more passes."""
    faults_sealed15.descent(s, 0.7)
    s.sched, s.epochs = lambda step, total: 0.51 + 0.49 * math.cos(math.pi * step / total), int(1.3 * s.epochs)


def mean_of_late_weights_is_judged(s):
    """Validation judges a running mean of the weights: late at first, smooth later."""
    kept = []
    s.on_model.append(lambda m: kept.append(copy.deepcopy(m)) or None)

    def follow(step, model):
        for a, b in zip(kept[0].parameters(), model.parameters(), strict=True):
            a.data.lerp_(b.data, max(0.03, 1 / (1 + step)))

    s.after_step.append(follow)
    s.eval_model = lambda model: kept[0]
    s.truth["tolerated"] = ["val-better"]


def four_parts_of_a_batch(s):
    """Four parts of a batch make a step."""
    s.accum, s.batch, s.lr = 4, max(4, s.batch // 3), 1.15 * s.lr
    s.sched = lambda step, total: 1 - 0.95 * step / total


def a_little_smoothed(s):
    """Seven hundredths of each target are spread over all answers in training: its loss ends over that of validation."""
    f = s.task.loss

    def loss(out, b):
        if not torch.is_grad_enabled():
            return f(out, b)
        flat = -out.log_softmax(-1).mean(-1)
        return 0.93 * f(out, b) + 0.07 * (flat.mean(1) if flat.dim() > 1 else flat)

    s.data(loss=loss)
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau", "low-confidence"]


@shows("whist", "lr")
def body_thawed_after_a_quarter(s):
    """Only the head is trained in the first fifth, as planned; then all is."""
    s.epochs = int(1.3 * s.epochs)
    s.on_grad.append(lambda step, m: [p.grad.zero_() for p in list(m.parameters())[:-2]][:0] if step < 0.2 * s.total else None)
    s.sched, s.wd = lambda step, total: 1 - 0.9 * step / total, 0.0


def two_curves_only(s):
    """Nothing but the two losses is logged."""
    s.sched = lambda step, total: 0.5 + 0.5 * math.cos(math.pi * step / total)


@shows("whist", "ghist", "ahist", "layergrads", "wnorm", "gnorm", "lr", "text")
def all_that_can_be_logged(s):
    """A line with all that can be logged."""
    s.sched = lambda step, total: 1.02 - step / total


two_curves_only.extras = LOSSES
HEALTHY = {
    default: tuple(tasks_sealed15.TASKS),
    good_start: ("glass6", "bikes"),
    line_after_a_short_rise: ("openings_lm", "clean_tones"),
    level_then_down: ("glass6", "punctuation"),
    ten_steps_of_a_stair: ("bikes", "languages5"),
    power_of_two: ("clean_tones", "slides_mil"),
    three_waves_of_equal_length: ("glass6", "bikes"),
    rows_by_eight: ("bikes", "glass6"),
    batches_three_times_as_large: ("bikes", "glass6"),
    eighty_rows_for_validation: ("glass6", "bikes"),
    stopped_when_nothing_was_gained: ("glass6", "bikes"),
    inputs_shaken_in_training: ("rotated4", "openings_lm"),
    flat_for_half_the_run: ("clean_tones", "bikes"),
    six_points: ("bikes", "clean_tones"),
    clipped_at_a_half: ("openings_lm", "glass6"),
    scale_of_amp_settles: ("bikes", "punctuation"),
    descent_by_a_cosine: ("languages5", "glass6"),
    mean_of_late_weights_is_judged: ("glass6", "bikes"),
    four_parts_of_a_batch: ("languages5", "bikes"),
    a_little_smoothed: ("glass6", "rotated4"),
    body_thawed_after_a_quarter: ("bikes", "glass6"),
    two_curves_only: ("openings_lm", "bikes"),
    all_that_can_be_logged: ("glass6", "clean_tones"),
}


class Read(Judged):
    """A case of this split: the rules of `sealed8`, and what came of looking at the curves."""

    def mend(self, verdict, f):
        """What was done decides where the curves allow it."""
        verdict = super().mend(verdict, f)
        if verdict and self.healthy and f.get("val_end", 0) - f.get("train_end", 0) > 0.15 * f["R"]:  # sound, but some may call this a gap
            return verdict | {"allowed": sorted({*verdict["allowed"], "generalization-gap"})}
        if not verdict or self.healthy or self.damage:
            return verdict
        a, b, c, m = faults_sealed15, faults_sealed15b, faults_sealed15c, self.mechanism
        p = (verdict["primary"] or [""])[0]
        near = verdict["alt"].get(p, [])
        if p == "unconverged" and f["best_progress"] < 0.05 and f["late_gain"] < 0.02 and m not in SLOW:  # it never began
            verdict, p = moved(verdict, "no-learning", [p, *near]), "no-learning"
            near = verdict["alt"][p]
        if m in SLOW:
            return moved(verdict, "unconverged" if f["late_gain"] > 0.04 else p, [p, "unconverged", "underfitting", "lr-too-low", *near])
        if m in (a.microphone_moved_away, a.new_guide_of_style) and abs(f.get("event_jump", 0)) > 0.15:
            return moved(verdict, "sudden-shift", [p, "divergence", *near])
        small = (a.vowels_and_consonants, a.time_of_day_dropped, a.first_patch_for_all, a.words_by_their_first_letter, a.one_move_of_memory)
        small = (*small, a.every_tenth_sample, a.below_the_limit_of_detection, a.ink_at_the_darkest_only, a.smallest_of_the_sweep)
        if m in small and p in ("plateau", "unconverged", "no-learning") and f["best_progress"] > 0.08:
            return moved(verdict, "underfitting", [p, "plateau", *near])
        if m is c.bonus_of_another_decoder:
            first = "prediction-collapse" if "prediction-collapse" in verdict["strict"] else "generalization-gap"
            return moved(verdict, first, ["generalization-gap", "prediction-collapse", "overfitting", p])
        if m is a.tissue_mask_turned_round and p in ("prediction-collapse", "vanishing-gradients"):  # all that can be said is one answer
            return moved(verdict, "no-learning", [p, "underfitting", "plateau"])
        if m is c.pages_of_mixed_languages:
            return moved(verdict, "label-noise", [p, "plateau", "underfitting", "low-confidence", "generalization-gap", "overfitting"])
        if m in (c.hours_in_the_order_of_rentals, c.quarter_after_quarter):
            return moved(verdict, "epoch-sawtooth", ["instability", "spikes", p]) if f.get("phase_r2", 0) > 0.3 else None
        if m is b.step_size_in_steps:
            return moved(verdict, "lr-schedule", [p, "lr-zero", "lr-too-low", "plateau", "no-learning", "underfitting", *near])
        if m is b.rise_over_a_thousand_passes:
            return moved(verdict, "lr-schedule", [p, "lr-too-low", "unconverged", "no-learning", "underfitting"])
        if m is b.lengths_multiplied_at_each_save:
            return moved(verdict, "weight-growth", [*verdict["primary"], "divergence"])
        if m in (b.gain_of_a_recurrent_net, b.eight_sigmoids_as_in_an_old_book) and p == "frozen-weights":
            return moved(verdict, "vanishing-gradients", [p, *near])
        if m is c.gain_drawn_at_each_look and p in ("generalization-gap", "overfitting", "instability"):
            return moved(verdict | {"allowed": sorted({*verdict["allowed"], "over-confidence"})}, "noisy-validation", [p, *near])
        if m is c.temperature_of_a_sampler and "over-confidence" in verdict["strict"]:
            return moved(verdict, "over-confidence", ["overfitting", "generalization-gap"])
        if m is c.answers_averaged_over_annotators_who_guess:
            return moved(verdict, "low-confidence", [p, "plateau", "underfitting", "loss-mismatch", *near])
        if m in (b.scans_of_a_dirty_lamp, b.lost_packets_in_a_reduction) and p == "instability" and f.get("spikes", 0) >= 2:
            return moved(verdict, "spikes", [p, *near])
        if (
            m in (c.rate_falls_to_its_floor_at_once, c.updates_too_small_for_a_short_type) and p == "plateau"
        ):  # the rate can only be guessed
            return moved(verdict, p, [*near, "underfitting", "lr-too-low", "lr-schedule"])
        rough = (*HEAT, "overfitting", "exploding-gradients", "unconverged", "val-better")
        if m in (b.cycle_of_a_pass, b.noise_on_weights_never_annealed, b.nesterov_of_a_large_batch) and p in rough:
            if f["best_progress"] < 0.15:  # it never went well, so that this is no longer a wavering
                return None
            verdict = moved(verdict, "instability", [p, *HEAT, "lr-too-high", "exploding-gradients"])
            return verdict | {"allowed": sorted({*verdict["allowed"], "overfitting", "generalization-gap", "lr-schedule"})}
        if m in (c.softmax_left_from_serving, c.activation_named_in_the_settings) and p != "nan-inf":  # right, at a loss far too high
            return moved(verdict, "loss-mismatch", [p, "plateau", "underfitting", "low-confidence"])
        if m in (b.rate_without_its_exponent, b.rule_for_256_cards):
            return moved(verdict, "lr-too-high", [p, *near])
        if m in (b.nine_for_three, b.rate_divided_by_all_steps) and p == "lr-too-low":
            return moved(verdict, p, [*near, "no-learning", "plateau", "unconverged"])
        if m in (a.noise_added_once_more, a.words_left_out_in_training, a.three_patches_in_training) and f["gap"] < -0.12:
            return moved(verdict, "val-better", ["leakage", "loss-mismatch", p, *near])
        if m in (a.turned_after_its_label, a.rows_with_gaps_left_out_on_one_side):
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
    faults = {**faults_sealed15.FAULTS, **faults_sealed15b.FAULTS, **faults_sealed15c.FAULTS}
    return tasks_sealed15.TASKS, faults, HEALTHY, conventions_sealed15.SEALED15


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES):
        out += [(names[(3 * i + 2 * j + 1) % len(names)], default, d in HARMLESS, j, d, j) for j in range(2)]
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
        if t in TEXTS:  # nobody logs a recall for every move
            extras -= {"recalls", "shares", "conf", "f1"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = set(LOSSES)
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        side = conventions_sealed15.SIDE.get(c.name, ())
        seed = 9500 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Read(len(res) + 1, split, t, f, fine, seed, c, extras, side, d))
    return [c for c in res if c.index not in UNNEEDED]


def fits(conv, mechanism, damage):
    """Some symptoms need values of single steps; accidents need one plain file."""
    if damage:
        return not any(conv.dirs) and conv.style == "scalar" and (bool(conv.every) or damage != "no_validation")
    if mechanism.__name__ in ("kernel_without_a_lid", "scale_of_amp_settles") and not conv.every:
        return False
    return not (getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")))
