"""Sound trainings of `sealed14`, which training is written how, and how many of each symptom are kept."""

import copy
import math
import zlib

import numpy as np
import torch

from families import conventions_sealed14, faults_sealed14, faults_sealed14b, faults_sealed14c, healthy_dev, tasks_sealed14
from families.healthy_dev import default, good_start
from families.plan import POOL
from families.plan_dev5 import moved
from families.plan_sealed6 import DEEP
from families.plan_sealed8 import Judged
from families.setups import shows

DAMAGES = ["crash_loop", "zeros_at_the_end", "rolled_back_far", "lost_block", "no_validation", "resumed_with_purge", "other_rank"]
DAMAGES += ["resumed_next_day"]
HARMLESS = {"resumed_with_purge", "other_rank", "resumed_next_day"}
FEW = {"healthy": 44, "overfitting": 9, "no-learning": 4, "underfitting": 4, "nan-inf": 4, "plateau": 4, "divergence": 4, "instability": 3}
FEW |= dict.fromkeys(("unconverged", "val-better", "sudden-shift", "prediction-collapse", "class-imbalance"), 3)
FEW |= dict.fromkeys(("missing-evidence", "low-confidence", "label-noise", "clipping-saturated", "leakage", "over-confidence"), 1)
FEW |= dict.fromkeys(("noisy-validation", "weight-growth", "epoch-sawtooth"), 1)
DOUBTFUL = set()
LOSSES = {"only_loss", "no_parts", "no_more"}
HEAT = ("instability", "plateau", "underfitting", "divergence", "spikes", "noisy-validation")
TEXTS = ("shell_lm",)
SLOW = (
    faults_sealed14b.rate_scaled_by_the_wrong_base,
    faults_sealed14b.batch_filled_the_new_card,
    faults_sealed14b.limit_of_the_free_queue,
)


@shows("lr")
def root_after_warm_up(s):
    """A warm-up of a twelfth, then the rate falls with the root of the steps."""
    s.lr *= 1.4
    s.sched = lambda step, total: min((step + 1) / (0.08 * total), math.sqrt(0.08 * total / (step + 1)))


@shows("lr")
def one_wave_up_and_down(s):
    """One cycle: up to twice the rate in three tenths, down to nothing in the rest."""
    s.lr *= 2
    s.sched = lambda step, total: min(
        0.08 + 0.92 * step / (0.3 * total), 0.5 + 0.5 * math.cos(math.pi * max(0.0, step / total - 0.3) / 0.7)
    )


@shows("lr")
def restarts_twice_as_long(s):
    """Cosines of one, two and four parts of the run, each from the top: the loss rises a little at two places."""
    s.epochs = int(1.4 * s.epochs)

    def rate(step, total):
        q = 7 * step / total
        a, b = (0, 1) if q < 1 else (1, 3) if q < 3 else (3, 7)
        return 0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * (q - a) / (b - a)))

    s.sched = rate
    s.truth["tolerated"] = ["lr-schedule", "instability", "spikes"]


@shows("lr")
def fifth_at_three_places(s):
    """The rate is cut to a fifth at 40, 65 and 85 %: steps down in the loss."""
    s.lr, s.sched = 1.5 * s.lr, lambda step, total: 0.2 ** sum(step >= q * total for q in (0.4, 0.65, 0.85))


def rows_by_six(s):
    """Batches of six at a third of the rate, for fewer passes: single steps are ragged."""
    s.batch, s.lr, s.epochs = 6, s.lr / 3, max(8, int(0.6 * s.epochs))
    s.sched = lambda step, total: 1 - 0.96 * step / total
    s.truth["tolerated"] = ["instability", "spikes"]


def few_large_steps(s):
    """Batches four times as large at twice the rate for two and a half times the passes."""
    s.batch, s.lr, s.epochs = 4 * s.batch, 2 * s.lr, int(2.5 * s.epochs)
    s.sched = lambda step, total: 1 - 0.97 * step / total


def ninety_rows_kept_back(s):
    """Ninety fixed rows are kept back, so that their loss moves in steps and lies somewhat off."""
    n = min(90, len(s.task.val[0]))
    s.data(val=(s.task.val[0][:n], s.task.val[1][:n]))
    s.sched = lambda step, total: 1 - 0.98 * step / total
    s.truth["tolerated"] = ["generalization-gap", "val-better"]


def ended_by_patience(s):
    """Three times the passes were planned; a patience of five ends the run when nothing more is gained."""
    s.epochs, s.patience, s.wd = 3 * s.epochs, 5, 0.03
    s.sched = lambda step, total: max(0.02, 0.003 ** (step / total))


def harder_rows_for_training(s):
    """Training's inputs are jittered, masked or exchanged; validation's are not."""

    def harder(step, ep, x, y):
        if not x.is_floating_point():
            return torch.where(torch.rand(x.shape) < 0.08, torch.randint(2, 26, x.shape), x), y
        return x + 0.2 * torch.randn_like(x), y

    s.on_batch.append(harder)
    s.sched = lambda step, total: 1 - 0.9 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def long_flat_end(s):
    """Twice the passes under a fast decay: more than half of the run is flat at a good level."""
    s.epochs, s.wd, s.lr = 2 * s.epochs, 0.03, 1.3 * s.lr
    s.sched = lambda step, total: max(0.004, 0.002 ** (1.5 * step / total))


def seven_points(s):
    """Seven passes at twice the rate, by a line."""
    s.epochs, s.lr = 7, 2 * s.lr
    s.sched = lambda step, total: 1.02 - step / total


@shows("gnorm", "lr")
def clipped_as_in_the_paper(s):
    """Gradients are clipped at a quarter under Adam, on nearly all steps at first."""
    s.clip = 0.25
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.06 * total)) * (1 - 0.95 * step / total)


def half_precision_as_it_should_be(s):
    """Mixed precision begins with 2 to the 21 and halves the scale until steps fit."""
    s.scaler = 2.0**21
    s.sched = lambda step, total: 1 - 0.9 * step / total
    s.truth["tolerated"] = ["nan-inf"]


@shows("gnorm")
def descent_with_momentum(s):
    """Descent with momentum and a cosine, for more passes."""
    faults_sealed14.descent(s, 0.7)
    s.sched, s.epochs = lambda step, total: 0.51 + 0.49 * math.cos(math.pi * step / total), int(1.4 * s.epochs)


def shadow_weights_are_judged(s):
    """Validation judges a slow shadow of the weights: late at first, then better than training."""
    kept = []
    s.on_model.append(lambda m: kept.append(copy.deepcopy(m)) or None)

    def follow(step, model):
        for a, b in zip(kept[0].parameters(), model.parameters(), strict=True):
            a.data.lerp_(b.data, 0.03)

    s.after_step.append(follow)
    s.eval_model = lambda model: kept[0]
    s.truth["tolerated"] = ["val-better"]


def three_small_batches_a_step(s):
    """Three small batches make a step, at a rate that fits."""
    s.accum, s.batch, s.lr = 3, max(4, s.batch // 2), 1.2 * s.lr
    s.sched = lambda step, total: 1 - 0.95 * step / total


def smoothed_by_a_twentieth(s):
    """A twentieth of each target is spread over all answers in training: its loss ends over that of validation."""
    f = s.task.loss

    def loss(out, b):
        if not torch.is_grad_enabled():
            return f(out, b)
        flat = -out.log_softmax(-1).mean(-1)
        return 0.95 * f(out, b) + 0.05 * (flat.mean(1) if flat.dim() > 1 else flat)

    s.data(loss=loss)
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def harder_step_by_step(s):
    """Noise on training's inputs grows with the passes, as planned: its loss stays level while validation gains."""
    s.on_batch.append(lambda step, ep, x, y: (x + 0.25 * min(1.0, 1.5 * step / s.total) * torch.randn_like(x), y))
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def two_losses_and_no_more(s):
    """Nothing but the two losses is logged."""
    s.sched = lambda step, total: 0.5 + 0.5 * math.cos(math.pi * step / total)


@shows("whist", "ghist", "ahist", "layergrads", "wnorm", "gnorm", "lr", "text")
def logged_to_the_last_weight(s):
    """A line with all that can be logged."""
    s.sched = lambda step, total: 1.02 - step / total


two_losses_and_no_more.extras = LOSSES
HEALTHY = {
    default: tuple(tasks_sealed14.TASKS),
    good_start: ("cover7", "quake4", "shell_lm"),
    root_after_warm_up: ("shell_lm", "student5", "glucose6"),
    one_wave_up_and_down: ("cover7", "life_grid", "concrete"),
    restarts_twice_as_long: ("cover7", "student5", "shell_lm"),
    fifth_at_three_places: ("concrete", "glucose6", "quake4"),
    rows_by_six: ("cover7", "quake4", "student5"),
    few_large_steps: ("student5", "shell_lm", "cover7"),
    ninety_rows_kept_back: ("cover7", "shell_lm", "student5"),
    ended_by_patience: ("cover7", "student5", "no_shows"),
    harder_rows_for_training: ("quake4", "shell_lm", "student5"),
    long_flat_end: ("student5", "shell_lm", "concrete"),
    seven_points: ("shell_lm", "cover7", "student5"),
    clipped_as_in_the_paper: ("shell_lm", "life_grid", "cover7"),
    half_precision_as_it_should_be: ("cover7", "shell_lm", "quake4"),
    descent_with_momentum: ("student5", "cover7", "concrete"),
    shadow_weights_are_judged: ("cover7", "student5", "concrete"),
    three_small_batches_a_step: ("shell_lm", "student5"),
    smoothed_by_a_twentieth: ("cover7", "quake4"),
    harder_step_by_step: ("student5", "cover7"),
    two_losses_and_no_more: ("shell_lm", "cover7", "life_grid"),
    logged_to_the_last_weight: ("cover7", "student5", "concrete"),
}


class Weighed(Judged):
    """A case of this split: the rules of `sealed8`, and what came of looking at the curves."""

    def mend(self, verdict, f):
        """What was done decides where the curves allow it."""
        verdict = super().mend(verdict, f)
        if verdict and self.healthy and f.get("val_end", 0) - f.get("train_end", 0) > 0.15 * f["R"]:  # sound, but some may call this a gap
            return verdict | {"allowed": sorted({*verdict["allowed"], "generalization-gap"})}
        if not verdict or self.healthy:
            return verdict
        a, b, c, m = faults_sealed14, faults_sealed14b, faults_sealed14c, self.mechanism
        p = (verdict["primary"] or [""])[0]
        near = verdict["alt"].get(p, [])
        if p == "unconverged" and f["best_progress"] < 0.05 and f["late_gain"] < 0.02 and m not in SLOW:  # it never began
            verdict, p = moved(verdict, "no-learning", [p, *near]), "no-learning"
            near = verdict["alt"][p]
        if m in SLOW:
            return moved(verdict, "unconverged" if f["late_gain"] > 0.04 else p, [p, "unconverged", "underfitting", "lr-too-low", *near])
        if m is a.digger_began_next_door and abs(f.get("event_jump", 0)) > 0.15:
            return moved(verdict, "sudden-shift", [p, "divergence", *near])
        small = (a.two_main_directions, a.one_sample_in_six, a.days_only_as_early_or_late, a.neighbours_two_away, a.student_of_one_unit)
        small = (*small, a.only_the_oldest_readings, a.line_without_its_order, a.strength_capped_by_the_form)
        if m in small and p in ("plateau", "unconverged", "no-learning") and f["best_progress"] > 0.08:
            return moved(verdict, "underfitting", [p, "plateau", *near])
        if m is c.head_of_another_task_added_when_judged:
            first = "prediction-collapse" if "prediction-collapse" in verdict["strict"] else "generalization-gap"
            return moved(verdict, first, ["generalization-gap", "prediction-collapse", "overfitting", p])
        if m in (a.buffer_never_filled, a.volts_as_whole_numbers) and p in (
            "prediction-collapse",
            "vanishing-gradients",
        ):  # all that can be said is one answer
            return moved(verdict, "no-learning", [p, "underfitting", "plateau"])
        if m is c.half_by_volunteers:
            return moved(verdict, "label-noise", [p, "plateau", "underfitting", "low-confidence", "generalization-gap", "overfitting"])
        if m in (c.mixes_in_the_order_of_strength, c.one_folder_after_another):
            return moved(verdict, "epoch-sawtooth", ["instability", "spikes", p]) if f.get("phase_r2", 0) > 0.3 else None
        if m is b.decay_at_each_log:
            return moved(verdict, "lr-schedule", [p, "lr-zero", "lr-too-low", "plateau", "no-learning", "underfitting", *near])
        if m is b.ramp_of_another_length:
            return moved(verdict, "lr-schedule", [p, "lr-too-low", "unconverged", "no-learning", "underfitting"])
        if m is b.averages_taken_with_a_sum_above_one:
            return moved(verdict, "weight-growth", [*verdict["primary"], "divergence"])
        if m in (b.soft_steps_of_a_tenth, b.drawn_for_a_wider_layer) and p == "frozen-weights":
            return moved(verdict, "vanishing-gradients", [p, *near])
        if m is c.level_of_each_look and p in ("generalization-gap", "overfitting", "instability"):
            return moved(verdict | {"allowed": sorted({*verdict["allowed"], "over-confidence"})}, "noisy-validation", [p, *near])
        if m is c.scores_sharpened_for_the_report and "over-confidence" in verdict["strict"]:
            return moved(verdict, "over-confidence", ["overfitting", "generalization-gap"])
        if m is c.penalty_on_sure_answers:
            return moved(verdict, "low-confidence", [p, "plateau", "underfitting", "loss-mismatch", *near])
        if m is b.amplifier_saturates_in_places and p == "instability" and f.get("spikes", 0) >= 2:
            return moved(verdict, "spikes", [p, *near])
        if m in (c.plan_of_a_single_shard, c.factor_of_a_pass_at_each_step) and p == "plateau":  # of the rate one can only guess
            return moved(verdict, p, [*near, "underfitting", "lr-too-low", "lr-schedule"])
        rough = (*HEAT, "overfitting", "exploding-gradients", "unconverged")
        if m in (b.pipeline_without_flushes, b.slopes_scaled_to_one_length, b.batch_of_three_at_the_old_rate) and p in rough:
            if f["best_progress"] < 0.15:  # it never went well, so that this is no longer a wavering
                return None
            verdict = moved(verdict, "instability", [p, *HEAT, "lr-too-high", "exploding-gradients"])
            return verdict | {"allowed": sorted({*verdict["allowed"], "overfitting", "generalization-gap"})}
        if m in (c.layer_of_the_old_framework, c.probability_given_to_a_loss_of_logits) and p != "nan-inf":  # right, at a loss far too high
            return moved(verdict, "loss-mismatch", [p, "plateau", "underfitting", "low-confidence"])
        if m is a.item_taken_before_the_loss:  # there is no slope, so that no weight moves
            return moved(verdict, "no-learning", [p, *near, "frozen-weights", "vanishing-gradients", "plateau"])
        if m in (b.rate_of_a_table_of_codes, b.square_root_not_taken):
            return moved(verdict, "lr-too-high", [p, *near])
        if m in (b.rate_in_a_string_with_a_comma, b.rate_of_the_last_stage) and p == "lr-too-low":
            return moved(verdict, p, [*near, "no-learning", "plateau", "unconverged"])
        if m in (a.mixed_with_others_half_and_half, a.hints_of_half_a_teacher) and f["gap"] < -0.12:
            return moved(verdict, "val-better", ["leakage", "loss-mismatch", p, *near])
        if m in (a.answers_of_the_previous_batch, a.joined_on_a_rounded_key):
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
    faults = {**faults_sealed14.FAULTS, **faults_sealed14b.FAULTS, **faults_sealed14c.FAULTS}
    return tasks_sealed14.TASKS, faults, HEALTHY, conventions_sealed14.SEALED14


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES):
        out += [(names[(3 * i + 2 * j + 2) % len(names)], default, d in HARMLESS, j, d, j) for j in range(2)]
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
        if t in TEXTS:  # nobody logs a recall for every word
            extras -= {"recalls", "shares", "conf", "f1"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = set(LOSSES)
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        side = conventions_sealed14.SIDE.get(c.name, ())
        seed = 9000 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Weighed(len(res) + 1, split, t, f, fine, seed, c, extras, side, d))
    return [c for c in res if c.index not in DOUBTFUL]


def fits(conv, mechanism, damage):
    """Some symptoms need values of single steps; accidents need one plain file."""
    if damage:
        return not any(conv.dirs) and conv.style == "scalar" and conv.logger == "torch" and (bool(conv.every) or damage != "no_validation")
    if mechanism.__name__ in ("attention_scores_in_short_numbers", "half_precision_as_it_should_be") and not conv.every:
        return False
    if conv.logger == "hf" and getattr(mechanism, "shows", set()) & DEEP:
        return False
    return not (getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")))
