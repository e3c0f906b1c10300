"""Sound trainings of `sealed20`, which training is written how, and how many of each symptom are kept."""

import copy
import math
import zlib

import numpy as np
import torch
from torch import nn

from families import conventions_sealed20, faults_sealed20, faults_sealed20b, faults_sealed20c, healthy_dev, plan_sealed15, tasks_sealed20
from families.healthy_dev import default, good_start
from families.plan import POOL
from families.plan_dev5 import moved
from families.setups import shows

DAMAGES = ["second_half_done_again", "cut_in_a_header", "no_validation", "three_resumes", "lose_half_of_last", "resumed_cleanly"]
DAMAGES += ["written_twice", "begun_three_times", "garbage_tail", "clock_set_back"]
HARMLESS = {"resumed_cleanly", "written_twice", "clock_set_back"}
FEW = {"healthy": 44, "overfitting": 11, "no-learning": 4, "underfitting": 4, "nan-inf": 4, "plateau": 4, "divergence": 4, "instability": 3}
FEW |= dict.fromkeys(("generalization-gap", "unconverged", "val-better", "sudden-shift", "prediction-collapse", "class-imbalance"), 3)
FEW |= dict.fromkeys(("missing-evidence", "low-confidence", "label-noise", "clipping-saturated", "leakage", "over-confidence"), 1)
FEW |= dict.fromkeys(("noisy-validation", "weight-growth", "epoch-sawtooth"), 1)
# what there is enough of by then, and what shows nothing or something else than was meant
UNNEEDED = {20, 51, 53, 59, 62, 65, 76, 80, *range(100, 103), 110, 117, *range(119, 122)}
UNNEEDED |= {123, 125, 129, 131, 134, 139, 141, 147, 149, *range(152, 155), *range(163, 177), *range(178, 193)}
LOSSES = {"only_loss", "no_parts", "no_more"}
TEXTS = ("football_lm", "captcha3")
A, B, C = faults_sealed20, faults_sealed20b, faults_sealed20c
SLOW = (B.rate_of_the_tuning_guide, B.hour_of_the_free_tier, B.batch_of_the_whole_card, B.divided_among_accumulated_pieces_twice)
SMALL = (A.only_figures_that_are_known_in_advance, A.words_beyond_the_first_ten_unknown, A.gauge_that_reports_once_a_day, A.kernels_of_one)
SMALL = (*SMALL, A.one_unit_for_three_signs, A.brightest_band_only, A.electrodes_averaged_in_the_driver)
SHIFTED = (A.left_arms_in_validation, A.stains_in_the_other_order, A.codes_sorted_by_another_locale, A.signs_in_italics)
SHIFTED = (*SHIFTED, A.coast_in_validation, A.magnitudes_of_the_other_system)
EASIER = (
    A.gain_and_stain_at_random,
    A.earnings_as_told_by_neighbours,
    A.electrodes_switched_off_in_training,
    A.quiet_nights_for_validation,
)
EASIER = (*EASIER, A.captchas_distorted_once_more)
STILL = (C.threshold_of_a_patience_in_whole_units, C.only_large_slopes_are_sent, C.features_stored_after_the_first_pass)
NOBODY = (A.sorted_by_age_for_a_plot, A.hum_is_all_that_is_left, A.moods_of_the_reply, A.crops_beside_the_cell, A.tags_of_the_clip_before)
SPIKY = (B.tills_that_were_tested, B.band_that_slipped_off, B.gauge_that_was_cleaned)
ONE = (C.prior_of_the_world_added, C.price_of_a_missed_blast, C.cut_off_for_a_mailing)
HALF = (C.last_sign_is_cut_off, C.half_of_the_tags_by_chance)


@shows("lr")
def cycle_that_tops_at_three_tenths(s):
    """The rate rises for three tenths of the run and falls by a cosine to nearly nothing; the loss wavers at the top."""
    s.lr *= 1.8
    s.sched = lambda step, total: (
        0.04 + 0.96 * step / (0.3 * total) if step < 0.3 * total else 0.505 + 0.495 * math.cos(math.pi * (step / total - 0.3) / 0.7)
    )


@shows("lr")
def third_at_three_marks(s):
    """The rate is cut to a third at three marks; the loss falls by a step at the first."""
    s.lr *= 2.0
    s.sched = lambda step, total: 0.3 ** sum(step > q * total for q in (0.45, 0.65, 0.85))


@shows("lr")
def four_waves_that_sink(s):
    """Four cosines that begin again, each from a lower top: the loss rises a little where one begins."""
    s.epochs = int(1.3 * s.epochs)

    def rate(step, total):
        k, q = divmod(4 * step / total, 1)
        return 0.75**k * (0.52 + 0.48 * math.cos(math.pi * q)) * (1 - 0.5 * step / total)

    s.sched = rate
    s.truth["tolerated"] = ["lr-schedule", "instability", "spikes"]


@shows("lr")
def polynomial_of_nine_tenths(s):
    """A short rise and a decay by the power nine tenths, as for segmentation."""
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.04 * total)) * (1.001 - step / total) ** 0.9


@shows("lr")
def cut_when_validation_stands_still(s):
    """The rate is cut to three tenths whenever validation gained nothing for two looks."""
    state = {"k": 1.0, "best": math.inf, "since": 0}

    def look(e):
        if e["val_loss"] < state["best"] - 1e-3:
            state.update(best=e["val_loss"], since=0)
        else:
            state["since"] += 1
        if state["since"] >= 2:
            state.update(k=max(0.01, 0.3 * state["k"]), since=0)

    s.after_eval.append(look)
    s.sched, s.epochs = lambda step, total: state["k"], int(1.4 * s.epochs)


def seven_rows_a_step(s):
    """Batches of seven rows at a quarter of the rate: single steps are ragged."""
    s.batch, s.lr, s.epochs = 7, 0.25 * s.lr, max(7, int(0.5 * s.epochs))
    s.sched = lambda step, total: 1 - 0.97 * step / total
    s.truth["tolerated"] = ["instability", "spikes"]


def seventy_five_fixed_rows(s):
    """Validation has seventy-five fixed rows: its loss lies somewhat off and moves in steps."""
    s.data(val=tuple(q[:75] for q in s.task.val))
    s.sched = lambda step, total: 0.51 + 0.48 * math.cos(math.pi * step / total)
    s.truth["tolerated"] = ["generalization-gap", "val-better"]


def stopped_by_a_patience_of_three(s):
    """Three times the passes were planned, and a patience of three ends the run soon after its best."""
    s.epochs, s.patience, s.wd = int(3 * s.epochs), 3, 0.03
    s.sched = lambda step, total: max(0.02, 0.003 ** (step / total))


def quarter_of_units_dropped(s):
    """A quarter of the units are dropped in training: its loss ends over that of validation."""
    s.on_model.append(lambda m: [setattr(q, "p", 0.25) for q in m.modules() if isinstance(q, nn.Dropout)] and None)
    s.epochs = int(1.6 * s.epochs)
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def inputs_with_some_noise(s):
    """Inputs of training get some noise; validation's do not."""
    s.on_batch.append(lambda step, ep, x, y: (x + 0.22 * torch.randn_like(x), y))
    s.sched = lambda step, total: 1 - 0.94 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def pairs_of_rows_mixed(s):
    """In training each picture has a fifth of another one mixed in and keeps its own answer."""
    s.on_batch.append(lambda step, ep, x, y: (0.85 * x + 0.15 * x[torch.randperm(len(x))], y))
    s.sched = lambda step, total: 1 - 0.94 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def done_after_a_third(s):
    """Twice the passes under a rate that falls soon: two thirds of the run are level, and good."""
    s.epochs, s.wd, s.lr = int(2.1 * s.epochs), 0.03, 1.3 * s.lr
    s.sched = lambda step, total: max(0.004, 0.004 ** (1.6 * step / total))


def five_looks(s):
    """Five passes at twice the rate, by a line."""
    s.epochs, s.lr = 5, 2.3 * s.lr
    s.sched = lambda step, total: 1.02 - step / total


@shows("gnorm", "lr")
def clipped_at_a_third(s):
    """Gradients are clipped at a third under Adam, often at first."""
    s.clip = 0.33
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.06 * total)) * (1 - 0.95 * step / total)


def scale_from_two_to_the_twenty_one(s):
    """Mixed precision begins at 2 to the 21, halves until steps fit, and tries more now and then."""
    s.scaler = 2.0**21
    s.sched = lambda step, total: 1 - 0.93 * step / total
    s.truth["tolerated"] = ["nan-inf"]


@shows("gnorm")
def plain_descent_with_a_rise(s):
    """Descent with momentum, a rise and a cosine, for some passes more."""
    A.descent(s, 0.8)
    s.epochs = int(1.3 * s.epochs)
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.05 * total)) * (0.51 + 0.49 * math.cos(math.pi * step / total))


def average_of_weights_is_judged(s):
    """Validation judges a running average of the weights, which is late at first."""
    kept = []
    s.on_model.append(lambda m: kept.append(copy.deepcopy(m)) or None)

    def follow(step, model):
        for a, b in zip(kept[0].parameters(), model.parameters(), strict=True):
            a.data.lerp_(b.data, max(0.035, 1 / (1 + step)))

    s.after_step.append(follow)
    s.eval_model = lambda model: kept[0]
    s.truth["tolerated"] = ["val-better"]


def two_halves_make_a_step(s):
    """Two halves of a batch make a step."""
    s.accum, s.batch, s.lr = 2, max(4, s.batch // 2), 1.05 * s.lr
    s.sched = lambda step, total: 1 - 0.96 * step / total


def eight_hundredths_for_all_answers(s):
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


def squares_with_a_short_memory(s):
    """Adam with 0.95 for the squares, as language models are trained, and a cosine."""
    s.betas, s.lr, s.epochs = (0.9, 0.95), 0.9 * s.lr, int(1.4 * s.epochs)
    s.sched = lambda step, total: 0.51 + 0.49 * math.cos(math.pi * step / total)


def twice_a_pass_in_steps(s):
    """Validation is looked at twice a pass."""
    s.eval_every = max(4, s.steps_per_epoch // 2)
    s.sched = lambda step, total: 1 - 0.95 * step / total


def two_losses_and_nothing_else(s):
    """Nothing but the two losses is logged."""
    s.sched = lambda step, total: 0.5 + 0.5 * math.cos(math.pi * step / total)


@shows("whist", "ghist", "ahist", "layergrads", "wnorm", "gnorm", "lr", "text", "speed")
def every_box_is_ticked(s):
    """A line, with all that can be logged."""
    s.sched = lambda step, total: 1.02 - step / total


two_losses_and_nothing_else.extras = LOSSES
HEALTHY = {
    default: tuple(tasks_sealed20.TASKS),
    good_start: ("street6", "captcha3"),
    cycle_that_tops_at_three_tenths: ("emotions5", "deblur"),
    third_at_three_marks: ("captcha3", "air_hours"),
    four_waves_that_sink: ("emg5", "street6"),
    polynomial_of_nine_tenths: ("blood4", "football_lm"),
    cut_when_validation_stands_still: ("store_sales", "street6"),
    seven_rows_a_step: ("redshift", "income2"),
    seventy_five_fixed_rows: ("emg5", "store_sales"),
    stopped_by_a_patience_of_three: ("air_hours", "redshift"),
    quarter_of_units_dropped: ("emotions5", "street6"),
    inputs_with_some_noise: ("air_hours", "emg5"),
    pairs_of_rows_mixed: ("captcha3", "air_hours"),
    done_after_a_third: ("redshift", "income2"),
    five_looks: ("store_sales", "redshift"),
    clipped_at_a_third: ("football_lm", "emg5"),
    scale_from_two_to_the_twenty_one: ("deblur", "blood4"),
    plain_descent_with_a_rise: ("street6", "income2"),
    average_of_weights_is_judged: ("store_sales", "air_hours"),
    two_halves_make_a_step: ("emg5", "football_lm"),
    eight_hundredths_for_all_answers: ("emg5", "emotions5"),
    squares_with_a_short_memory: ("emotions5", "deblur"),
    twice_a_pass_in_steps: ("redshift", "street6"),
    two_losses_and_nothing_else: ("air_hours", "deblur"),
    every_box_is_ticked: ("street6", "captcha3"),
}


class Seen(plan_sealed15.Read):
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
        if m in SMALL and p in ("plateau", "unconverged", "no-learning", "val-better") and f["best_progress"] > 0.08:
            return moved(verdict, "underfitting", [p, "plateau", *near])
        if m in (*STILL, *HALF) and p in ("underfitting", "plateau"):  # the rate can only be guessed
            return moved(verdict, "plateau", [*near, "underfitting", *(["lr-too-low", "lr-schedule"] if m in STILL else ["label-noise"])])
        if m in SHIFTED and p in ("overfitting", "noisy-validation") and f["gap"] > 2.5 * f["rise"]:  # far off from the first look on
            return moved(verdict, "generalization-gap", [p, *near])
        if m in SHIFTED and p == "generalization-gap":
            return moved(verdict, p, ["overfitting", *near])
        if m in (A.weeks_before_christmas, A.slides_of_an_old_microscope) and abs(f.get("event_jump", 0)) > 0.15:
            return moved(verdict, "sudden-shift", [p, "divergence", *near])
        if m in EASIER and f["gap"] < -0.12:
            return moved(verdict, "val-better", ["leakage", "loss-mismatch", p, *near])
        if m in B.ROUGH and p in (*plan_sealed15.HEAT, "overfitting", "exploding-gradients", "unconverged", "val-better"):
            if f["best_progress"] < 0.15:  # it never went well, so that this is no longer a wavering
                return None
            verdict = moved(verdict, "instability", [p, *plan_sealed15.HEAT, "lr-too-high", "exploding-gradients"])
            return verdict | {"allowed": sorted({*verdict["allowed"], "overfitting", "generalization-gap", "lr-schedule"})}
        if m in B.AWAY and p == "divergence":  # gradual, or at once
            return moved(verdict, p, [*near, "instability", "sudden-shift"])
        if m in NOBODY and p in ("no-learning", "prediction-collapse"):
            return moved(verdict, "no-learning", [p, *near, "underfitting", "plateau", "label-noise"])
        if m in ONE:
            seen = "prediction-collapse" in verdict["strict"]
            near = ["generalization-gap", "prediction-collapse", "overfitting", p]
            return moved(verdict, "prediction-collapse" if seen else "generalization-gap", near)
        if m is C.moods_clicked_for_a_cent:
            return moved(verdict, "label-noise", [p, "plateau", "underfitting", "low-confidence", "generalization-gap", "overfitting"])
        if m is C.gesture_after_gesture:
            return moved(verdict, "epoch-sawtooth", ["instability", "spikes", p]) if f.get("phase_r2", 0) > 0.3 else None
        if m is B.decay_for_epochs_counted_in_logs:
            return moved(verdict, "lr-schedule", [p, "lr-zero", "lr-too-low", "plateau", "no-learning", "underfitting", *near])
        if m is B.ramp_that_ends_with_the_run:
            return moved(verdict, "lr-schedule", [p, "lr-too-low", "unconverged", "no-learning", "underfitting"])
        if m is C.adapters_merged_at_each_save:
            return moved(verdict, "weight-growth", [*verdict["primary"], "divergence"])
        if m in (B.narrow_start_before_a_soft_unit, B.gates_of_gates) and p == "frozen-weights":
            return moved(verdict, "vanishing-gradients", [p, *near])
        if m is C.logits_of_eight_checkpoints_added and "over-confidence" in verdict["strict"]:
            return moved(verdict, "over-confidence", ["overfitting", "generalization-gap"])
        if m is C.votes_mixed_with_a_coin:
            return moved(verdict, "low-confidence", [p, "plateau", "underfitting", "loss-mismatch", *near])
        if m in SPIKY and p == "instability" and f["spikes"] >= 2:
            return moved(verdict, "spikes", [p, *near])
        if m in (B.first_trial_of_a_search, B.comma_read_as_nothing):
            return moved(verdict, "lr-too-high", [p, *near, *plan_sealed15.HEAT[:3]])
        if m in (B.thousandths_of_thousandths, B.eleven_for_one) and p == "lr-too-low":
            return moved(verdict, p, [*near, "no-learning", "plateau", "unconverged"])
        return verdict


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= FEW.get(first, 2)


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    faults = {**faults_sealed20.FAULTS, **faults_sealed20b.FAULTS, **faults_sealed20c.FAULTS}
    return tasks_sealed20.TASKS, faults, HEALTHY, conventions_sealed20.SEALED20


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    _, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = ("store_sales", "income2", "emg5", "captcha3", "redshift", "street6", "football_lm", "air_hours", "emotions5", "blood4")
    out += [(names[i % len(names)], default, d in HARMLESS, i % 2, d, int(i > 7)) for i, d in enumerate(DAMAGES)]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    turn = rng.permutation(len(out)).tolist()
    use, res = {c.name: 0 for c in convs}, []
    for t, f, fine, k, d, _ in sorted([out[i] for i in turn], key=lambda q: q[5]):
        free = [c for c in convs if fits(c, f, d)]
        least = min(use[c.name] for c in free)
        free = [c for c in free if use[c.name] <= least + 1]
        c = free[rng.integers(len(free))]
        use[c.name] += 1
        extras = {e for e in POOL if rng.random() < (0.55 if e == "lr" else 0.4 if e == "gnorm" else 0.04 if e.endswith("hist") else 0.1)}
        extras = (extras | getattr(f, "shows", set()) | getattr(f, "extras", set())) - getattr(f, "without", set())
        if t in TEXTS:  # nobody logs a recall for every zone
            extras -= {"recalls", "shares", "conf", "f1"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = set(LOSSES)
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        side = conventions_sealed20.SIDE.get(c.name, ())
        seed = 13300 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Seen(len(res) + 1, split, t, f, fine, seed, c, extras, side, d))
    return [c for c in res if c.index not in UNNEEDED]


def fits(conv, mechanism, damage):
    """Some symptoms need values of single steps; accidents need one plain file."""
    if damage:
        return not any(conv.dirs) and conv.style == "scalar" and (bool(conv.every) or damage != "no_validation")
    if mechanism is twice_a_pass_in_steps and (not conv.every or conv.xv):
        return False
    scaled = (B.logits_times_a_learned_factor_in_half, B.running_sum_of_counts_in_half, scale_from_two_to_the_twenty_one)
    if mechanism in scaled and (not conv.every or conv.style == "add_scalars"):
        return False
    return not (getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")))
