"""Sound trainings of `sealed16`, which training is written how, and how many of each symptom are kept."""

import copy
import math
import zlib

import numpy as np
import torch

from families import conventions_sealed16, faults_sealed16, faults_sealed16b, faults_sealed16c, healthy_dev, plan_sealed15, tasks_sealed16
from families.healthy_dev import default, good_start
from families.plan import POOL
from families.plan_dev5 import moved
from families.setups import shows

DAMAGES = [
    "second_half_done_again",
    "cut_in_a_header",
    "rolled_back_far",
    "lost_block",
    "no_validation",
    "resumed_with_purge",
    "other_rank",
]
DAMAGES += ["clock_set_back"]
HARMLESS = {"resumed_with_purge", "other_rank", "clock_set_back"}
FEW = {"healthy": 44, "overfitting": 10, "no-learning": 4, "underfitting": 4, "nan-inf": 4, "plateau": 4, "divergence": 4, "instability": 3}
FEW |= dict.fromkeys(("generalization-gap", "unconverged", "val-better", "sudden-shift", "prediction-collapse", "class-imbalance"), 3)
FEW |= dict.fromkeys(("missing-evidence", "low-confidence", "label-noise", "clipping-saturated", "leakage", "over-confidence"), 1)
FEW |= dict.fromkeys(("noisy-validation", "weight-growth", "epoch-sawtooth"), 1)
# second trainings of symptoms of which there are enough by then, and what showed nothing
UNNEEDED = {50, 96, 118, 120, 121, 127, 128, 131, 134, 135, 136, 143, *range(145, 165)}
LOSSES = {"only_loss", "no_parts", "no_more"}
TEXTS = ("drum_lm", "helix3")
A, B, C = faults_sealed16, faults_sealed16b, faults_sealed16c
SLOW = (B.passes_of_the_tutorial, B.preempted_and_not_queued_again, B.time_spent_on_looks, B.steps_relative_to_small_weights)
SMALL = (A.stop_words_of_the_product, A.rain_of_the_last_day, A.properties_of_the_cap_only, A.tones_summed_in_four)
SMALL = (*SMALL, A.baseline_left_as_the_model)
ROUGH = (B.controller_of_the_loss, B.preconditioner_seldom_refreshed)
SHIFTED = (A.tuned_to_another_pitch, A.residues_by_another_alphabet, A.charged_at_another_current)
EASIER = (A.validation_by_a_synthesiser, A.words_dropped_as_in_a_paper, A.partial_prints)
STILL = (C.body_frozen_at_the_first_setback, C.anchor_of_the_first_shard, C.rate_over_the_cube_of_steps)
AWAY = (B.trust_ratio_without_a_lid, B.rate_by_the_square_of_the_pass, B.units_stored_in_another_order)
AWAY = (*AWAY, B.decoupled_pull_to_a_random_peer)


@shows("lr")
def cosine_after_a_warm_up_of_a_tenth(s):
    """A rise over a tenth, then a cosine to a hundredth."""
    s.lr *= 1.2
    s.sched = lambda step, total: min((step + 1) / (0.1 * total), 1.0) * (0.505 + 0.495 * math.cos(math.pi * step / total))


@shows("lr")
def trapezium(s):
    """Up over a twelfth, level, and down over the last third."""
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.08 * total), (1.01 - step / total) / 0.34)


@shows("lr")
def rate_of_each_pass(s):
    """The rate is multiplied by 0.88 after each pass."""
    s.lr *= 1.4
    s.sched = lambda step, total: 0.88 ** (step // s.steps_per_epoch)


@shows("lr")
def third_at_half_and_at_four_fifths(s):
    """The rate is cut to a third at half of the run and again at four fifths, and the loss falls at both."""
    s.lr *= 1.5
    s.sched = lambda step, total: 1.0 if step < 0.5 * total else 0.33 if step < 0.8 * total else 0.1


@shows("lr")
def four_saw_teeth_that_shrink(s):
    """Four lines down, each from a lower top."""
    s.epochs = int(1.2 * s.epochs)
    s.sched = lambda step, total: 0.02 + 0.65 ** int(4 * step / total) * (1 - (4 * step / total) % 1)
    s.truth["tolerated"] = ["lr-schedule", "instability", "spikes"]


def nine_rows_a_batch(s):
    """Batches of nine at half of the rate for fewer passes: single steps are ragged."""
    s.batch, s.lr, s.epochs = 9, 0.5 * s.lr, max(7, int(0.5 * s.epochs))
    s.sched = lambda step, total: 1 - 0.98 * step / total
    s.truth["tolerated"] = ["instability", "spikes"]


def double_batches(s):
    """Batches twice as large at one and a half times the rate for half as many passes again."""
    s.batch, s.lr, s.epochs = 2 * s.batch, 1.5 * s.lr, int(1.6 * s.epochs)
    s.sched = lambda step, total: 1 - 0.95 * step / total


def hundred_rows_held_out(s):
    """A hundred fixed rows are all that validation has: its loss lies somewhat off and moves in steps."""
    n = min(100, len(s.task.val[0]))
    s.data(val=(s.task.val[0][:n], s.task.val[1][:n]))
    s.sched = lambda step, total: 0.52 + 0.48 * math.cos(math.pi * step / total)
    s.truth["tolerated"] = ["generalization-gap", "val-better"]


def ended_by_a_patience_of_five(s):
    """Twice the passes were planned; a patience of five ends the run."""
    s.epochs, s.patience, s.wd = int(2.2 * s.epochs), 5, 0.03
    s.sched = lambda step, total: max(0.02, 0.003 ** (step / total))


def augmented_a_little(s):
    """Training's inputs are scaled, shaken or replaced a little; validation's are not."""
    top = {"mushrooms": 6, "tickets5": 120, "helix3": 20, "drum_lm": 16}.get(s.task.name)

    def changed(step, ep, x, y):
        if top:
            return torch.where(torch.rand(x.shape) < 0.06, torch.randint(0, top, x.shape), x), y
        return x * (0.9 + 0.2 * torch.rand(len(x), *[1] * (x.dim() - 1))) + 0.1 * torch.randn_like(x), y

    s.on_batch.append(changed)
    s.sched = lambda step, total: 1 - 0.93 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def level_at_the_end(s):
    """Half as many passes again under a rate that falls soon: the last half is flat, at a good level."""
    s.epochs, s.wd, s.lr = int(1.5 * s.epochs), 0.02, 1.3 * s.lr
    s.sched = lambda step, total: max(0.004, 0.003 ** (1.5 * step / total))


def seven_passes(s):
    """Seven passes at twice the rate, by a line."""
    s.epochs, s.lr = 7, 2 * s.lr
    s.sched = lambda step, total: 1.02 - step / total


@shows("gnorm", "lr")
def clipped_at_three_tenths(s):
    """Gradients are clipped at three tenths under Adam, often at first."""
    s.clip = 0.3
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.04 * total)) * (1 - 0.96 * step / total)


def scale_of_amp_from_two_to_the_nineteen(s):
    """Mixed precision begins at 2 to the 19 and halves until steps fit."""
    s.scaler = 2.0**19
    s.sched = lambda step, total: 1 - 0.92 * step / total
    s.truth["tolerated"] = ["nan-inf"]


@shows("gnorm")
def momentum_and_a_line(s):
    """Descent with momentum, by a line."""
    faults_sealed16.descent(s, 0.6)
    s.sched, s.epochs = lambda step, total: 1.01 - step / total, int(1.2 * s.epochs)


def mean_of_the_last_weights(s):
    """Validation judges a running mean of the weights."""
    kept = []
    s.on_model.append(lambda m: kept.append(copy.deepcopy(m)) or None)

    def follow(step, model):
        for a, b in zip(kept[0].parameters(), model.parameters(), strict=True):
            a.data.lerp_(b.data, max(0.04, 1 / (1 + step)))

    s.after_step.append(follow)
    s.eval_model = lambda model: kept[0]
    s.truth["tolerated"] = ["val-better"]


def two_parts_of_a_batch(s):
    """Two parts of a batch make a step."""
    s.accum, s.batch = 2, s.batch // 2
    s.sched = lambda step, total: 1 - 0.96 * step / total


def smoothed_by_a_tenth(s):
    """A tenth of each target is spread over all answers in training: its loss ends over that of validation."""
    f = s.task.loss

    def loss(out, b):
        if not torch.is_grad_enabled():
            return f(out, b)
        flat = -out.log_softmax(-1).mean(-1)
        return 0.9 * f(out, b) + 0.1 * (flat.mean(1) if flat.dim() > 1 else flat)

    s.data(loss=loss)
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau", "low-confidence"]


def two_losses(s):
    """Nothing but the two losses is logged."""
    s.sched = lambda step, total: 0.5 + 0.5 * math.cos(math.pi * step / total)


@shows("whist", "ghist", "ahist", "layergrads", "wnorm", "gnorm", "lr", "text", "speed")
def each_hook_is_on(s):
    """A line, with all that can be logged."""
    s.sched = lambda step, total: 1.02 - step / total


two_losses.extras = LOSSES
HEALTHY = {
    default: tuple(tasks_sealed16.TASKS),
    good_start: ("tickets5", "demand_q"),
    cosine_after_a_warm_up_of_a_tenth: ("drum_lm", "runoff"),
    trapezium: ("chords5", "helix3"),
    rate_of_each_pass: ("battery", "demand_q"),
    third_at_half_and_at_four_fifths: ("runoff", "drum_lm"),
    four_saw_teeth_that_shrink: ("demand_q", "helix3"),
    nine_rows_a_batch: ("demand_q", "battery"),
    double_batches: ("helix3", "demand_q"),
    hundred_rows_held_out: ("helix3", "demand_q"),
    ended_by_a_patience_of_five: ("battery", "demand_q"),
    augmented_a_little: ("battery", "helix3"),
    level_at_the_end: ("demand_q", "battery"),
    seven_passes: ("demand_q", "helix3"),
    clipped_at_three_tenths: ("drum_lm", "battery"),
    scale_of_amp_from_two_to_the_nineteen: ("helix3", "demand_q"),
    momentum_and_a_line: ("demand_q", "chords5"),
    mean_of_the_last_weights: ("battery", "runoff"),
    two_parts_of_a_batch: ("helix3", "demand_q"),
    smoothed_by_a_tenth: ("chords5", "helix3"),
    two_losses: ("drum_lm", "battery"),
    each_hook_is_on: ("demand_q", "chords5"),
}


class Looked(plan_sealed15.Read):
    """A case of this split: the rules of `sealed15` that name no mechanism, and what came of looking at the curves."""

    def mend(self, verdict, f):
        """What was done decides where the curves allow it."""
        m, slow = self.mechanism, self.mechanism in SLOW and verdict
        first = verdict
        verdict = super().mend(verdict, f)
        if not verdict or self.healthy or self.damage:
            return verdict
        p = (verdict["primary"] or [""])[0]
        near = verdict["alt"].get(p, [])
        if slow:
            p = (first["primary"] or [""])[0]
            return moved(verdict, "unconverged" if f["late_gain"] > 0.04 else p, [p, "unconverged", "underfitting", "lr-too-low", *near])
        if m in SMALL and p in ("plateau", "unconverged", "no-learning") and f["best_progress"] > 0.08:
            return moved(verdict, "underfitting", [p, "plateau", *near])
        if m in STILL and p in ("underfitting", "plateau"):  # the rate can only be guessed
            return moved(verdict, "plateau", [*near, "underfitting", "lr-too-low", "lr-schedule"])
        if m in SHIFTED and p == "overfitting" and f["gap"] > 2.5 * f["rise"]:  # far off from the first look on
            return moved(verdict, "generalization-gap", [p, *near])
        if m in (A.gauge_rated_anew, A.cells_of_another_maker) and abs(f.get("event_jump", 0)) > 0.15:
            return moved(verdict, "sudden-shift", [p, "divergence", *near])
        if m in EASIER and f["gap"] < -0.12:
            return moved(verdict, "val-better", ["leakage", "loss-mismatch", p, *near])
        if m in ROUGH and p in (*plan_sealed15.HEAT, "overfitting", "exploding-gradients", "unconverged", "val-better"):
            if f["best_progress"] < 0.15:  # it never went well, so that this is no longer a wavering
                return None
            verdict = moved(verdict, "instability", [p, *plan_sealed15.HEAT, "lr-too-high", "exploding-gradients"])
            return verdict | {"allowed": sorted({*verdict["allowed"], "overfitting", "generalization-gap", "lr-schedule"})}
        if m in AWAY and p == "divergence":  # gradual, or at once
            return moved(verdict, p, [*near, "instability", "sudden-shift"])
        if m in (A.largest_along_the_wrong_axis, A.scans_read_as_another_type) and p == "no-learning":
            return moved(verdict, p, [*near, "label-noise"])
        if m in (C.sigmoid_before_the_threshold, C.offset_of_another_prior):
            seen = "prediction-collapse" in verdict["strict"]
            near = ["generalization-gap", "prediction-collapse", "overfitting", p]
            return moved(verdict, "prediction-collapse" if seen else "generalization-gap", near)
        if m is C.picked_in_a_form:
            return moved(verdict, "label-noise", [p, "plateau", "underfitting", "low-confidence", "generalization-gap", "overfitting"])
        if m is C.months_in_their_order:
            return moved(verdict, "epoch-sawtooth", ["instability", "spikes", p]) if f.get("phase_r2", 0) > 0.3 else None
        if m is B.schedule_stepped_for_each_row:
            return moved(verdict, "lr-schedule", [p, "lr-zero", "lr-too-low", "plateau", "no-learning", "underfitting", *near])
        if m is B.start_and_end_exchanged:
            return moved(verdict, "lr-schedule", [p, "lr-too-low", "unconverged", "no-learning", "underfitting"])
        if m is B.weight_norm_folded_each_pass:
            return moved(verdict, "weight-growth", [*verdict["primary"], "divergence"])
        if m in (B.what_the_tangent_takes_off, B.capsules_in_a_row) and p == "frozen-weights":
            return moved(verdict, "vanishing-gradients", [p, *near])
        if m is C.scores_in_decibels and "over-confidence" in verdict["strict"]:
            return moved(verdict, "over-confidence", ["overfitting", "generalization-gap"])
        if m is C.mixed_with_what_is_usual:
            return moved(verdict, "low-confidence", [p, "plateau", "underfitting", "loss-mismatch", *near])
        if m in (B.layer_of_last_week, B.counter_wraps_around, B.answers_of_a_debugger) and p == "instability" and f.get("spikes", 0) >= 2:
            return moved(verdict, "spikes", [p, *near])
        if m in (B.rate_of_adadelta, B.drawn_between_logs):
            return moved(verdict, "lr-too-high", [p, *near])
        if m in (B.divided_by_the_rows, B.exponent_of_a_sweep) and p == "lr-too-low":
            return moved(verdict, p, [*near, "no-learning", "plateau", "unconverged"])
        return verdict


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= FEW.get(first, 2)


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    faults = {**faults_sealed16.FAULTS, **faults_sealed16b.FAULTS, **faults_sealed16c.FAULTS}
    return tasks_sealed16.TASKS, faults, HEALTHY, conventions_sealed16.SEALED16


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES):
        out += [(names[(4 * i + 5 * j + 2) % len(names)], default, d in HARMLESS, j, d, j) for j in range(2 - (d == "no_validation"))]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    turn = rng.permutation(len(out)).tolist()
    use, res = {c.name: 0 for c in convs}, []
    for t, f, fine, k, d, _ in sorted([out[i] for i in turn], key=lambda q: q[5]):
        free = [c for c in convs if fits(c, f, d, t)]
        least = min(use[c.name] for c in free)
        free = [c for c in free if use[c.name] <= least + 1]
        c = free[rng.integers(len(free))]
        use[c.name] += 1
        extras = {e for e in POOL if rng.random() < (0.55 if e == "lr" else 0.4 if e == "gnorm" else 0.04 if e.endswith("hist") else 0.1)}
        extras = (extras | getattr(f, "shows", set()) | getattr(f, "extras", set())) - getattr(f, "without", set())
        if t in TEXTS:  # nobody logs a recall for every place
            extras -= {"recalls", "shares", "conf", "f1"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = set(LOSSES)
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        side = conventions_sealed16.SIDE.get(c.name, ())
        seed = 9900 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Looked(len(res) + 1, split, t, f, fine, seed, c, extras, side, d))
    return [c for c in res if c.index not in UNNEEDED]


def fits(conv, mechanism, damage, task):
    """Some symptoms need values of single steps; accidents need one plain file; a name for two kinds is not one for five."""
    if conv.name == "darts-like" and task not in ("battery", "runoff", "demand_q"):
        return False
    if damage:
        return (
            not any(conv.dirs) and conv.style == "scalar" and conv.name != "darts-like" and (bool(conv.every) or damage != "no_validation")
        )
    if (
        mechanism.__name__ in ("long_window_in_half", "watchdog_halves_the_scale", "scale_of_amp_from_two_to_the_nineteen")
        and not conv.every
    ):
        return False
    return not (getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")))
