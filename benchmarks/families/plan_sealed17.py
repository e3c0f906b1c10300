"""Sound trainings of `sealed17`, which training is written how, and how many of each symptom are kept."""

import copy
import math
import zlib

import numpy as np
import torch

from families import conventions_sealed17, faults_sealed17, faults_sealed17b, faults_sealed17c, healthy_dev, plan_sealed15, tasks_sealed17
from families.healthy_dev import default, good_start
from families.plan import POOL
from families.plan_dev5 import moved
from families.setups import shows

DAMAGES = ["crash_loop", "garbage_tail", "no_validation", "writers_of_two_ranks", "bad_length", "resumed_next_day", "empty_second_file"]
DAMAGES += ["resume_old_steps", "flip_bits"]
HARMLESS = {"resumed_next_day", "empty_second_file"}
FEW = {"healthy": 44, "overfitting": 11, "no-learning": 4, "underfitting": 4, "nan-inf": 4, "plateau": 4, "divergence": 4, "instability": 3}
FEW |= dict.fromkeys(("generalization-gap", "unconverged", "val-better", "sudden-shift", "prediction-collapse", "class-imbalance"), 3)
FEW |= dict.fromkeys(("missing-evidence", "low-confidence", "label-noise", "clipping-saturated", "leakage", "over-confidence"), 1)
FEW |= dict.fromkeys(("noisy-validation", "weight-growth", "epoch-sawtooth"), 1)
# what showed nothing, and further trainings of symptoms of which there are enough by then
UNNEEDED = {1, 18, 39, 82, 88, 94, 101, 105, 109, 114, 118, 129, 130, 131, 137, 138, 141, 143, 152, 153, 154, *range(156, 165)}
LOSSES = {"only_loss", "no_parts", "no_more"}
TEXTS = ("dance_lm", "road3")
TOP = {"dance_lm": 12, "rude2": 60}
A, B, C = faults_sealed17, faults_sealed17b, faults_sealed17c
SLOW = (B.limit_of_the_short_queue, B.larger_batches_and_nothing_else, B.wrapper_that_waits_for_ten, B.settings_of_a_demonstration)
SMALL = (A.measures_with_a_comma, A.cars_without_year_and_brand, A.strips_of_a_line_scanner, A.words_of_a_preview, A.one_point_of_a_road)
ROUGH = (B.rate_found_on_one_batch, B.step_lengths_from_two_slopes, B.last_layer_drawn_anew)
SHIFTED = (A.keyed_by_a_beginner, A.pictures_of_the_other_half_of_the_earth, A.measured_by_another_calliper, A.words_split_by_another_tool)
EASIER = (A.static_of_a_storm_in_training, A.clouds_drawn_over_the_moon, A.points_lost_in_training)
STILL = (C.reducer_fed_with_single_steps, C.guard_on_the_number_of_updates, C.first_stage_restored_all_the_time)
AWAY = (B.rate_learned_with_its_sign_turned, B.grid_of_weights_gets_coarse, B.heat_of_a_sampler_turned_round)
AWAY = (*AWAY, B.constraint_with_a_growing_price)


@shows("lr")
def rise_then_a_root(s):
    """A rise over a twentieth, then the rate falls with the root of the step."""
    s.lr *= 1.2
    s.sched = lambda step, total: min((step + 1) / (0.05 * total), math.sqrt(0.05 * total / (step + 1)))


@shows("lr")
def cosine_that_ends_at_a_tenth(s):
    """A cosine that ends at a tenth of its top."""
    s.sched = lambda step, total: 0.1 + 0.45 * (1 + math.cos(math.pi * step / total))


@shows("lr")
def cut_at_three_fifths_and_at_five_sixths(s):
    """The rate is cut to a quarter at three fifths and again at five sixths; the loss falls at both."""
    s.lr *= 1.5
    s.sched = lambda step, total: 1.0 if step < 0.6 * total else 0.25 if step < 0.83 * total else 0.06


@shows("lr")
def two_cosines(s):
    """Two cosines, the second from half of the top: the loss rises a little where it begins."""
    s.epochs = int(1.2 * s.epochs)
    s.sched = lambda step, total: 0.01 + (1.0 if 2 * step < total else 0.5) * 0.5 * (1 + math.cos(2 * math.pi * step / total % math.pi))
    s.truth["tolerated"] = ["lr-schedule", "instability", "spikes"]


@shows("lr")
def power_of_one_and_a_half(s):
    """The rate falls with a power of what is left, after a short rise."""
    s.lr *= 1.3
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.04 * total)) * (1.001 - step / total) ** 1.5


def seven_rows_at_a_time(s):
    """Batches of seven at a third of the rate for half of the passes: single steps are ragged."""
    s.batch, s.lr, s.epochs = 7, 0.35 * s.lr, max(7, int(0.5 * s.epochs))
    s.sched = lambda step, total: 1 - 0.98 * step / total
    s.truth["tolerated"] = ["instability", "spikes"]


def wide_batches(s):
    """Batches of two and a half times the rows, at one and a half times the rate, for twice the passes."""
    s.batch, s.lr, s.epochs = int(2.5 * s.batch), 1.5 * s.lr, int(1.9 * s.epochs)
    s.sched = lambda step, total: 1 - 0.96 * step / total


def ninety_fixed_rows(s):
    """Validation has ninety fixed rows: its loss lies somewhat off and moves in steps."""
    n = min(90, len(s.task.val[0]))
    s.data(val=(s.task.val[0][:n], s.task.val[1][:n]))
    s.sched = lambda step, total: 0.51 + 0.48 * math.cos(math.pi * step / total)
    s.truth["tolerated"] = ["generalization-gap", "val-better"]


def ended_by_patience_before_its_plan(s):
    """Two and a half times the passes were planned; a patience of six ends the run."""
    s.epochs, s.patience, s.wd = int(2.5 * s.epochs), 6, 0.03
    s.sched = lambda step, total: max(0.02, 0.002 ** (step / total))


def disturbed_a_little_in_training(s):
    """Inputs of training are shaken, or some words replaced; validation's are not."""

    def changed(step, ep, x, y):
        if s.task.name in TOP:
            return torch.where(torch.rand(x.shape) < 0.04, torch.randint(0, TOP[s.task.name], x.shape), x), y
        return x * (1 + 0.08 * torch.randn(len(x), *[1] * (x.dim() - 1))) + 0.12 * torch.randn_like(x), y

    s.on_batch.append(changed)
    s.sched = lambda step, total: 1 - 0.93 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def long_and_level(s):
    """Twice the passes under a rate that falls soon: more than half of the run is level, and good."""
    s.epochs, s.wd, s.lr = int(1.9 * s.epochs), 0.03, 1.3 * s.lr
    s.sched = lambda step, total: max(0.003, 0.003 ** (1.6 * step / total))


def eight_points(s):
    """Eight passes at nearly twice the rate, by a line."""
    s.epochs, s.lr = 8, 1.8 * s.lr
    s.sched = lambda step, total: 1.02 - step / total


@shows("gnorm", "lr")
def clipped_at_two_fifths(s):
    """Gradients are clipped at two fifths under Adam, often at first."""
    s.clip = 0.4
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.05 * total)) * (1 - 0.96 * step / total)


def scale_that_begins_at_two_to_the_eighteen(s):
    """Mixed precision begins at 2 to the 18, halves until steps fit, and tries more now and then."""
    s.scaler = 2.0**18
    s.sched = lambda step, total: 1 - 0.92 * step / total
    s.truth["tolerated"] = ["nan-inf"]


@shows("gnorm")
def descent_by_a_line(s):
    """Descent with momentum by a line, for a third more passes."""
    faults_sealed17.descent(s, 0.8)
    s.sched, s.epochs = lambda step, total: 1.01 - step / total, int(1.35 * s.epochs)


def shadow_of_the_weights(s):
    """Validation judges a shadow of the weights that follows them."""
    kept = []
    s.on_model.append(lambda m: kept.append(copy.deepcopy(m)) or None)

    def follow(step, model):
        for a, b in zip(kept[0].parameters(), model.parameters(), strict=True):
            a.data.lerp_(b.data, max(0.05, 1 / (1 + step)))

    s.after_step.append(follow)
    s.eval_model = lambda model: kept[0]
    s.truth["tolerated"] = ["val-better"]


def three_pieces_make_a_step(s):
    """Three pieces of a batch make a step."""
    s.accum, s.batch = 3, max(4, s.batch // 3)
    s.sched = lambda step, total: 1 - 0.96 * step / total


def smoothed_by_eight_hundredths(s):
    """Eight hundredths of each target are spread over all answers in training: its loss ends over that of validation."""
    f = s.task.loss

    def loss(out, b):
        if not torch.is_grad_enabled():
            return f(out, b)
        flat = -out.log_softmax(-1).mean(-1)
        return 0.92 * f(out, b) + 0.08 * (flat.mean(1) if flat.dim() > 1 else flat)

    s.data(loss=loss)
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau", "low-confidence"]


def looked_at_after_each_third_of_a_pass(s):
    """Validation is looked at three times a pass."""
    s.eval_every = max(4, s.steps_per_epoch // 3)
    s.sched = lambda step, total: 1 - 0.95 * step / total


def only_what_is_needed(s):
    """Nothing but the two losses is logged."""
    s.sched = lambda step, total: 0.5 + 0.5 * math.cos(math.pi * step / total)


@shows("whist", "ghist", "ahist", "layergrads", "wnorm", "gnorm", "lr", "text", "speed")
def all_boxes_ticked(s):
    """A line, with all that can be logged."""
    s.sched = lambda step, total: 1.02 - step / total


only_what_is_needed.extras = LOSSES
HEALTHY = {
    default: tuple(tasks_sealed17.TASKS),
    good_start: ("car_price", "beans5"),
    rise_then_a_root: ("dance_lm", "spectra_ae"),
    cosine_that_ends_at_a_tenth: ("rude2", "road3"),
    cut_at_three_fifths_and_at_five_sixths: ("spectra_ae", "morse8"),
    two_cosines: ("paint_mix", "beans5"),
    power_of_one_and_a_half: ("track_mode4", "car_price"),
    seven_rows_at_a_time: ("car_price", "paint_mix"),
    wide_batches: ("beans5", "spectra_ae"),
    ninety_fixed_rows: ("beans5", "dance_lm"),
    ended_by_patience_before_its_plan: ("car_price", "paint_mix"),
    disturbed_a_little_in_training: ("morse8", "dance_lm"),
    long_and_level: ("spectra_ae", "beans5"),
    eight_points: ("road3", "car_price"),
    clipped_at_two_fifths: ("dance_lm", "morse8"),
    scale_that_begins_at_two_to_the_eighteen: ("road3", "spectra_ae"),
    descent_by_a_line: ("beans5", "paint_mix"),
    shadow_of_the_weights: ("car_price", "dance_lm"),
    three_pieces_make_a_step: ("road3", "beans5"),
    smoothed_by_eight_hundredths: ("moons5", "beans5"),
    looked_at_after_each_third_of_a_pass: ("spectra_ae",),
    only_what_is_needed: ("road3", "rude2"),
    all_boxes_ticked: ("paint_mix", "morse8"),
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
        if m in SHIFTED and p in ("overfitting", "noisy-validation") and f["gap"] > 2.5 * f["rise"]:  # far off from the first look on
            return moved(verdict, "generalization-gap", [p, *near])
        if m is A.trips_cut_into_pieces and p == "generalization-gap" and f["rise"] > 0.1:  # it rises steadily after a rough start
            return moved(verdict, "overfitting", [p, *near])
        if m in (A.lamp_of_the_meter_replaced, A.second_camera_without_focus) and abs(f.get("event_jump", 0)) > 0.15:
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
        if m in (A.answers_sorted_apart, A.verdicts_of_another_export, A.left_channel_of_a_mono_record) and p in (
            "no-learning",
            "prediction-collapse",
        ):
            return moved(verdict, "no-learning", [p, *near, "underfitting", "plateau", "label-noise"])
        if m in (C.threshold_of_a_strict_forum, C.bonus_of_a_rush_hour, C.folder_of_one_kind_read_for_all):
            seen = "prediction-collapse" in verdict["strict"]
            near = ["generalization-gap", "prediction-collapse", "overfitting", p]
            return moved(verdict, "prediction-collapse" if seen else "generalization-gap", near)
        if m is C.paid_by_the_click:
            return moved(verdict, "label-noise", [p, "plateau", "underfitting", "low-confidence", "generalization-gap", "overfitting"])
        if m is C.trips_in_order_of_their_kind:
            return moved(verdict, "epoch-sawtooth", ["instability", "spikes", p]) if f.get("phase_r2", 0) > 0.3 else None
        if m is B.decay_by_the_clock:
            return moved(verdict, "lr-schedule", [p, "lr-zero", "lr-too-low", "plateau", "no-learning", "underfitting", *near])
        if m is B.rise_to_the_end:
            return moved(verdict, "lr-schedule", [p, "lr-too-low", "unconverged", "no-learning", "underfitting"])
        if m is B.decay_with_the_other_sign:
            return moved(verdict, "weight-growth", [*verdict["primary"], "divergence"])
        if m in (B.hard_sigmoids_of_a_telephone, B.divided_by_the_inputs_themselves) and p == "frozen-weights":
            return moved(verdict, "vanishing-gradients", [p, *near])
        if m is C.inverse_of_a_temperature and "over-confidence" in verdict["strict"]:
            return moved(verdict, "over-confidence", ["overfitting", "generalization-gap"])
        if m is C.scores_on_a_small_ball:
            return moved(verdict, "low-confidence", [p, "plateau", "underfitting", "loss-mismatch", *near])
        if (
            m in (B.blocks_of_raw_counts, B.prices_in_another_unit, B.figures_of_an_empty_template)
            and p == "instability"
            and f["spikes"] >= 2
        ):
            return moved(verdict, "spikes", [p, *near])
        if m in (B.rate_of_a_linear_probe, B.rate_times_the_rows_of_a_batch):
            return moved(verdict, "lr-too-high", [p, *near])
        if m in (B.rate_over_pieces_and_workers, B.rate_in_parts_of_a_billion) and p == "lr-too-low":
            return moved(verdict, p, [*near, "no-learning", "plateau", "unconverged"])
        return verdict


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= FEW.get(first, 2)


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    faults = {**faults_sealed17.FAULTS, **faults_sealed17b.FAULTS, **faults_sealed17c.FAULTS}
    return tasks_sealed17.TASKS, faults, HEALTHY, conventions_sealed17.SEALED17


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    out += [(names[(3 * i + 1) % len(names)], default, d in HARMLESS, i % 2, d, int(i > 6)) for i, d in enumerate(DAMAGES)]
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
        side = conventions_sealed17.SIDE.get(c.name, ())
        seed = 10300 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Looked(len(res) + 1, split, t, f, fine, seed, c, extras, side, d))
    return [c for c in res if c.index not in UNNEEDED]


def fits(conv, mechanism, damage, task):
    """Some symptoms need values of single steps; accidents need one plain file; the name of a loss must be that of the task's."""
    if conv.name == "super-gradients-like" and task in ("car_price", "rude2", "spectra_ae", "paint_mix"):
        return False
    if damage:
        return not any(conv.dirs) and conv.style == "scalar" and (bool(conv.every) or damage != "no_validation")
    if mechanism is looked_at_after_each_third_of_a_pass and (not conv.every or conv.xv):
        return False
    scaled = (B.masked_with_a_large_number, B.square_in_half_precision, scale_that_begins_at_two_to_the_eighteen)
    if mechanism in scaled and not conv.every:
        return False
    return not (getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")))
