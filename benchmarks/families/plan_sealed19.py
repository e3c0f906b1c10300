"""Sound trainings of `sealed19`, which training is written how, and how many of each symptom are kept."""

import copy
import math
import zlib

import numpy as np
import torch
from torch import nn

from families import conventions_sealed19, faults_sealed19, faults_sealed19b, faults_sealed19c, healthy_dev, plan_sealed15, tasks_sealed19
from families.healthy_dev import default, good_start
from families.plan import POOL
from families.plan_dev5 import moved
from families.setups import shows

DAMAGES = ["resume_old_steps", "cut_tail", "no_validation", "crash_loop", "bad_length", "resumed_next_day", "other_rank"]
DAMAGES += ["three_resumes", "zero_hole", "empty_second_file"]
HARMLESS = {"resumed_next_day", "other_rank", "empty_second_file"}
FEW = {"healthy": 44, "overfitting": 11, "no-learning": 4, "underfitting": 4, "nan-inf": 4, "plateau": 4, "divergence": 4, "instability": 3}
FEW |= dict.fromkeys(("generalization-gap", "unconverged", "val-better", "sudden-shift", "prediction-collapse", "class-imbalance"), 3)
FEW |= dict.fromkeys(("missing-evidence", "low-confidence", "label-noise", "clipping-saturated", "leakage", "over-confidence"), 1)
FEW |= dict.fromkeys(("noisy-validation", "weight-growth", "epoch-sawtooth"), 1)
# what there is enough of by then, and one whose score rises in spite of all
UNNEEDED = {52, 54, 59, 71, 78, 95, *range(100, 104), 105, 107, 109, 120, 121, 125, 126, 134, 136, 141, 144, 145, 150}
UNNEEDED |= {152, 156, *range(161, 186)}
LOSSES = {"only_loss", "no_parts", "no_more"}
TEXTS = ("genome_lm", "pupil_answers")
A, B, C = faults_sealed19, faults_sealed19b, faults_sealed19c
SLOW = (B.adam_with_an_epsilon_of_one, B.debug_switch_left_on, B.adams_rate_for_plain_descent, B.steps_counted_in_pieces)
SMALL = (A.airline_and_airport_only, A.thumbnails_of_two_by_two, A.codes_of_one_number, A.pupils_without_a_past, A.averages_of_ten_looks)
SMALL = (*SMALL, A.readings_an_hour_old)
ROUGH = (B.two_rows_at_a_high_rate, B.slopes_from_a_late_worker)
SHIFTED = (
    A.white_on_black,
    A.another_filter_bank,
    A.vocabulary_built_anew,
    A.sensors_in_order_of_their_names,
    A.read_from_the_other_strand,
)
SHIFTED = (*SHIFTED, C.answers_of_a_harder_course, C.jam_of_another_year)
EASIER = (A.cut_out_at_any_size, A.words_dropped_in_training, A.outliers_dropped_on_one_side, A.museum_birds)
STILL = (C.scheduler_told_to_wait_for_less, C.codes_kept_short, C.memory_of_the_first_pass)
AWAY = (B.momentum_over_one, B.test_of_rates_left_on, B.rate_times_two_at_each_resume, B.averages_that_overshoot, B.noise_of_a_curriculum)
AWAY = (*AWAY, B.betas_in_the_wrong_order)
ANYONE = (A.species_of_the_line_below, A.silence_is_all_that_is_left, A.angles_of_another_drive, A.softmax_over_the_batch)
SPIKY = (B.self_test_of_the_sensors, B.tracker_lost_the_eye, B.pages_of_an_error_message)
ONE = (C.desk_of_last_resort, C.price_list_for_weights, C.threshold_in_decibels)


@shows("lr")
def a_tenth_of_rise_and_a_cosine(s):
    """The rate rises for a tenth of the run and falls by a cosine to a fiftieth."""
    s.lr *= 1.4
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.1 * total)) * (0.51 + 0.49 * math.cos(math.pi * step / total))


@shows("lr")
def tenths_at_a_half_and_three_quarters(s):
    """The rate is cut to a tenth at a half and at three quarters; the loss falls by a step where it is."""
    s.lr *= 2.2
    s.sched = lambda step, total: 0.1 ** (int(step > 0.5 * total) + int(step > 0.75 * total))


@shows("lr")
def cycles_twice_as_long_each_time(s):
    """Cosines that begin again, each twice as long as the last one: the loss rises a little where one begins."""
    s.epochs = int(1.4 * s.epochs)

    def rate(step, total):
        q = 7 * step / total
        k = int(math.log2(q + 1)) if q < 7 else 2
        return 0.01 + 0.5 * (1 + math.cos(math.pi * (q - 2**k + 1) / 2**k))

    s.sched = rate
    s.truth["tolerated"] = ["lr-schedule", "instability", "spikes"]


@shows("lr")
def inverse_root_after_a_rise(s):
    """A rise, then one over the root of the steps, as for the first transformers."""
    s.lr *= 1.3
    s.sched = lambda step, total: min((step + 1) / (0.08 * total), math.sqrt(0.08 * total / (step + 1))) * (1.02 - 0.6 * step / total)


@shows("lr")
def level_and_a_last_fifth(s):
    """A level rate and a line to nothing in the last quarter, where the loss falls once more."""
    s.sched = lambda step, total: min(1.0, (1.002 - step / total) / 0.25)


def six_rows_at_a_time(s):
    """Batches of six rows at a quarter of the rate: single steps are ragged."""
    s.batch, s.lr, s.epochs = 6, 0.25 * s.lr, max(7, int(0.5 * s.epochs))
    s.sched = lambda step, total: 1 - 0.98 * step / total
    s.truth["tolerated"] = ["instability", "spikes"]


def sixty_fixed_rows(s):
    """Validation has sixty fixed rows: its loss lies somewhat off and moves in steps."""
    s.data(val=tuple(q[:60] for q in s.task.val))
    s.sched = lambda step, total: 0.51 + 0.48 * math.cos(math.pi * step / total)
    s.truth["tolerated"] = ["generalization-gap", "val-better"]


def ended_by_a_patience_of_four(s):
    """Three times the passes were planned, and a patience of four ends the run."""
    s.epochs, s.patience, s.wd = int(3 * s.epochs), 4, 0.03
    s.sched = lambda step, total: max(0.02, 0.002 ** (step / total))


def two_fifths_of_units_dropped(s):
    """Two fifths of the units are dropped in training: its loss ends over that of validation."""
    s.on_model.append(lambda m: [setattr(q, "p", 0.4) for q in m.modules() if isinstance(q, nn.Dropout)] and None)
    s.epochs = int(1.3 * s.epochs)
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def shaken_and_scaled_in_training(s):
    """Inputs of training are scaled and shaken a little; validation's are not."""
    s.on_batch.append(lambda step, ep, x, y: ((1 + 0.1 * torch.randn(len(x), *[1] * (x.dim() - 1))) * x + 0.15 * torch.randn_like(x), y))
    s.sched = lambda step, total: 1 - 0.93 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def easy_rows_first(s):
    """Rows come from easy to hard in the first third, by the length of their input, and by chance from then on."""
    size = s.task.train[0].float().flatten(1).norm(dim=1).numpy()

    def order(epoch, perm):
        k = epoch / (0.34 * s.epochs)
        return perm if k >= 1 else perm[np.argsort(size[perm] + 3 * k * size.std() * np.random.default_rng(epoch).normal(size=len(perm)))]

    s.order, s.epochs = order, int(1.4 * s.epochs)
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["instability", "epoch-sawtooth", "spikes"]


def level_for_most_of_the_run(s):
    """Twice the passes under a rate that falls soon: most of the run is level, and good."""
    s.epochs, s.wd, s.lr = int(2.0 * s.epochs), 0.03, 1.3 * s.lr
    s.sched = lambda step, total: max(0.004, 0.003 ** (1.7 * step / total))


def six_looks_only(s):
    """Six passes at twice the rate, by a line."""
    s.epochs, s.lr = 6, 2.2 * s.lr
    s.sched = lambda step, total: 1.02 - step / total


@shows("gnorm", "lr")
def clipped_at_one_quarter(s):
    """Gradients are clipped at a quarter under Adam, often at first."""
    s.clip = 0.25
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.05 * total)) * (1 - 0.96 * step / total)


def scale_from_two_to_the_nineteen(s):
    """Mixed precision begins at 2 to the 19, halves until steps fit, and tries more now and then."""
    s.scaler = 2.0**19
    s.sched = lambda step, total: 1 - 0.92 * step / total
    s.truth["tolerated"] = ["nan-inf"]


@shows("gnorm")
def descent_with_momentum(s):
    """Descent with momentum by a cosine, for some passes more."""
    A.descent(s, 0.7)
    s.sched, s.epochs = lambda step, total: 0.51 + 0.49 * math.cos(math.pi * step / total), int(1.3 * s.epochs)


def mean_of_weights_is_judged(s):
    """Validation judges a running mean of the weights."""
    kept = []
    s.on_model.append(lambda m: kept.append(copy.deepcopy(m)) or None)

    def follow(step, model):
        for a, b in zip(kept[0].parameters(), model.parameters(), strict=True):
            a.data.lerp_(b.data, max(0.04, 1 / (1 + step)))

    s.after_step.append(follow)
    s.eval_model = lambda model: kept[0]
    s.truth["tolerated"] = ["val-better"]


def three_small_batches_make_a_step(s):
    """Three small batches make a step."""
    s.accum, s.batch, s.lr = 3, max(4, s.batch // 3), 1.1 * s.lr
    s.sched = lambda step, total: 1 - 0.96 * step / total


def a_little_for_all_answers(s):
    """Six hundredths of each target are spread over all answers in training: its loss ends over that of validation."""
    f = s.task.loss

    def loss(out, b):
        if not torch.is_grad_enabled():
            return f(out, b)
        flat = -out.log_softmax(-1).mean(-1)
        return 0.94 * f(out, b) + 0.06 * (flat.mean(1) if flat.dim() > 1 else flat)

    s.data(loss=loss)
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau", "low-confidence"]


@shows("lr")
def rate_of_a_fifth_for_the_body(s):
    """The rate of all layers but the last is a fifth until a quarter of the run; then it is the same."""
    s.on_grad.append(lambda step, m: [p.grad.mul_(0.2) for p in list(m.parameters())[:-2]][:0] if step < 0.25 * s.total else None)
    s.sched, s.lr = lambda step, total: 1 - 0.95 * step / total, 1.2 * s.lr


def three_times_a_pass(s):
    """Validation is looked at three times a pass."""
    s.eval_every = max(4, s.steps_per_epoch // 3)
    s.sched = lambda step, total: 1 - 0.95 * step / total


def nothing_but_two_curves(s):
    """Nothing but the two losses is logged."""
    s.sched = lambda step, total: 0.5 + 0.5 * math.cos(math.pi * step / total)


@shows("whist", "ghist", "ahist", "layergrads", "wnorm", "gnorm", "lr", "text", "speed")
def all_there_is_to_log(s):
    """A line, with all that can be logged."""
    s.sched = lambda step, total: 1.02 - step / total


nothing_but_two_curves.extras = LOSSES
HEALTHY = {
    default: tuple(tasks_sealed19.TASKS),
    good_start: ("flight_delay", "penguins3"),
    a_tenth_of_rise_and_a_cosine: ("genome_lm", "xray5"),
    tenths_at_a_half_and_three_quarters: ("traffic10", "cough2"),
    cycles_twice_as_long_each_time: ("gaze3", "traffic10"),
    inverse_root_after_a_rise: ("headlines4", "flight_delay"),
    level_and_a_last_fifth: ("pupil_answers", "flight_delay"),
    six_rows_at_a_time: ("traffic10", "penguins3"),
    sixty_fixed_rows: ("traffic10", "penguins3"),
    ended_by_a_patience_of_four: ("penguins3", "traffic10"),
    two_fifths_of_units_dropped: ("garments6", "xray5"),
    shaken_and_scaled_in_training: ("cough2", "traffic10"),
    easy_rows_first: ("xray5", "penguins3"),
    level_for_most_of_the_run: ("traffic10", "penguins3"),
    six_looks_only: ("penguins3", "flight_delay"),
    clipped_at_one_quarter: ("genome_lm", "penguins3"),
    scale_from_two_to_the_nineteen: ("flight_delay", "gaze3"),
    descent_with_momentum: ("traffic10", "penguins3"),
    mean_of_weights_is_judged: ("flight_delay", "gaze3"),
    three_small_batches_make_a_step: ("cough2", "traffic10"),
    a_little_for_all_answers: ("penguins3", "headlines4"),
    rate_of_a_fifth_for_the_body: ("gaze3", "traffic10"),
    three_times_a_pass: ("penguins3", "xray5"),
    nothing_but_two_curves: ("traffic10", "genome_lm"),
    all_there_is_to_log: ("penguins3", "traffic10"),
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
        if m in SMALL and p == "val-better":  # pupils of validation happen to be easier
            return moved(verdict, "underfitting", [p, "plateau", *near])
        if m in STILL and p in ("underfitting", "plateau"):  # the rate can only be guessed
            return moved(verdict, "plateau", [*near, "underfitting", "lr-too-low", "lr-schedule"])
        if m in SHIFTED and p in ("overfitting", "noisy-validation") and f["gap"] > 2.5 * f["rise"]:  # far off from the first look on
            return moved(verdict, "generalization-gap", [p, *near])
        if m in SHIFTED and p == "generalization-gap" and f["rise"] > 0.1:
            return moved(verdict, p, ["overfitting", *near])
        if m in (A.winter_timetable, A.pictures_that_customers_took) and abs(f.get("event_jump", 0)) > 0.15:
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
        if m in ANYONE and p in ("no-learning", "prediction-collapse"):
            return moved(verdict, "no-learning", [p, *near, "underfitting", "plateau", "label-noise"])
        if m is C.pairs_told_apart_by_nobody and p in ("plateau", "underfitting"):
            return moved(verdict, p, [*near, "label-noise", "underfitting", "plateau"])
        if m in ONE:
            seen = "prediction-collapse" in verdict["strict"]
            near = ["generalization-gap", "prediction-collapse", "overfitting", p]
            return moved(verdict, "prediction-collapse" if seen else "generalization-gap", near)
        if m is C.desks_given_by_a_first_model:
            return moved(verdict, "label-noise", [p, "plateau", "underfitting", "low-confidence", "generalization-gap", "overfitting"])
        if m is C.species_by_species:
            return moved(verdict, "epoch-sawtooth", ["instability", "spikes", p]) if f.get("phase_r2", 0) > 0.3 else None
        if m is B.factor_of_a_pass_at_each_step:
            return moved(verdict, "lr-schedule", [p, "lr-zero", "lr-too-low", "plateau", "no-learning", "underfitting", *near])
        if m is B.cycle_whose_top_is_at_the_end:
            return moved(verdict, "lr-schedule", [p, "lr-too-low", "unconverged", "no-learning", "underfitting"])
        if m is C.sum_of_copies_over_too_few:
            return moved(verdict, "weight-growth", [*verdict["primary"], "divergence"])
        if m in (B.softmax_after_each_layer, B.spread_of_a_transformer) and p == "frozen-weights":
            return moved(verdict, "vanishing-gradients", [p, *near])
        if m is C.temperature_on_the_wrong_side and "over-confidence" in verdict["strict"]:
            return moved(verdict, "over-confidence", ["overfitting", "generalization-gap"])
        if m is C.probabilities_held_in_the_middle:
            return moved(verdict, "low-confidence", [p, "plateau", "underfitting", "loss-mismatch", *near])
        if m in SPIKY and p == "instability" and f["spikes"] >= 2:
            return moved(verdict, "spikes", [p, *near])
        if m in (B.rate_of_adadelta, B.scaled_to_a_batch_of_one):
            return moved(verdict, "lr-too-high", [p, *near, *plan_sealed15.HEAT[:3]])
        if m in (B.rate_divided_by_all_rows, B.minus_seven_for_minus_three) and p == "lr-too-low":
            return moved(verdict, p, [*near, "no-learning", "plateau", "unconverged"])
        return verdict


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= FEW.get(first, 2)


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    faults = {**faults_sealed19.FAULTS, **faults_sealed19b.FAULTS, **faults_sealed19c.FAULTS}
    return tasks_sealed19.TASKS, faults, HEALTHY, conventions_sealed19.SEALED19


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    _, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = ("flight_delay", "penguins3", "xray5", "genome_lm", "traffic10", "driving", "gaze3", "headlines4", "cough2")
    out += [(names[i % len(names)], default, d in HARMLESS, i % 2, d, int(i > 6)) for i, d in enumerate(DAMAGES)]
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
        if t in TEXTS:  # nobody logs a recall for every codon
            extras -= {"recalls", "shares", "conf", "f1"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = set(LOSSES)
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        side = conventions_sealed19.SIDE.get(c.name, ())
        seed = 12100 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Looked(len(res) + 1, split, t, f, fine, seed, c, extras, side, d))
    return [c for c in res if c.index not in UNNEEDED]


def fits(conv, mechanism, damage, task):
    """Some symptoms need values of single steps; accidents need one plain file."""
    if damage:
        return not any(conv.dirs) and conv.style == "scalar" and (bool(conv.every) or damage != "no_validation")
    if mechanism is three_times_a_pass and (not conv.every or conv.xv):
        return False
    scaled = (B.variance_taken_in_half, B.penalty_of_large_squares, scale_from_two_to_the_nineteen)
    if mechanism in scaled and (not conv.every or conv.style == "add_scalars"):
        return False
    return not (getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")))
