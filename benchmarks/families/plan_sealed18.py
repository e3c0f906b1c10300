"""Sound trainings of `sealed18`, which training is written how, and how many of each symptom are kept."""

import copy
import math
import zlib

import numpy as np
import torch
from torch import nn

from families import conventions_sealed18, faults_sealed18, faults_sealed18b, faults_sealed18c, healthy_dev, plan_sealed15, tasks_sealed18
from families.healthy_dev import default, good_start
from families.plan import POOL
from families.plan_dev5 import moved
from families.setups import shows

DAMAGES = [
    "rolled_back_far",
    "copied_too_early",
    "no_validation",
    "restarted_from_zero",
    "lost_block",
    "resumed_with_purge",
    "written_twice",
]
DAMAGES += ["second_half_done_again", "cut_in_a_header", "clock_set_back"]
HARMLESS = {"resumed_with_purge", "written_twice", "clock_set_back"}
FEW = {"healthy": 44, "overfitting": 11, "no-learning": 4, "underfitting": 4, "nan-inf": 4, "plateau": 4, "divergence": 4, "instability": 3}
FEW |= dict.fromkeys(("generalization-gap", "unconverged", "val-better", "sudden-shift", "prediction-collapse", "class-imbalance"), 3)
FEW |= dict.fromkeys(("missing-evidence", "low-confidence", "label-noise", "clipping-saturated", "leakage", "over-confidence"), 1)
FEW |= dict.fromkeys(("noisy-validation", "weight-growth", "epoch-sawtooth"), 1)
# what there is enough of by then
UNNEEDED = {75, 89, 95, 107, 116, 117, 119, 121, 134, 136, 140, 144, 147, 148, 154, 156, 157, *range(163, 169), *range(170, 179), 180}
LOSSES = {"only_loss", "no_parts", "no_more"}
TEXTS = ("names_lm", "sounds")
TOP = {"names_lm": 24, "sounds": 20, "questions6": 70}
A, B, C = faults_sealed18, faults_sealed18b, faults_sealed18c
SLOW = (B.rate_for_a_summed_loss, B.averages_swapped_in_and_left, B.share_of_one_of_six_machines, B.night_tariff_only)
SMALL = (A.one_measure_passed_the_filter, A.letter_by_letter, A.means_of_users_and_films, A.grey_signs, A.three_words_of_ten)
ROUGH = (B.three_rows_for_a_batch_norm, B.noise_for_privacy, B.triangle_with_a_high_top)
SHIFTED = (A.blue_before_red, A.sampled_at_another_rate, A.spelt_without_accents, A.new_users_only, A.names_of_another_country)
EASIER = (A.two_pictures_laid_over_each_other, A.bands_of_time_masked, A.letters_misprinted_in_training)
STILL = (C.cycle_of_a_tenth_of_the_run, C.water_level_of_another_task, C.weights_kept_in_a_small_box, C.hold_of_the_first_pass)
AWAY = (B.pruned_by_a_line_to_nothing, B.curriculum_of_dropped_units, B.range_that_grows, B.turned_slopes_gain_weight)
ANYONE = (A.answers_one_batch_behind, A.corner_in_place_of_the_middle, A.salt_of_each_worker, A.states_joined_by_position)
ANYONE = (*ANYONE, A.picture_ten_after_picture_one)
SPIKY = (B.answers_of_a_test_account, B.scan_of_another_bed, B.questions_in_another_alphabet)
ONE = (C.price_of_a_missed_repair, C.kind_of_the_first_folder, C.half_turn_of_a_sign, C.figures_of_batches_never_kept)


@shows("lr")
def up_for_a_third_then_down(s):
    """One cycle: the rate rises for three tenths of the run and falls to nearly nothing."""
    s.lr *= 1.8
    s.sched = lambda step, total: (
        0.04 + 0.96 * step / (0.3 * total) if step < 0.3 * total else 0.002 + 0.5 * (1 + math.cos(math.pi * (step / total - 0.3) / 0.7))
    )


@shows("lr")
def four_fifths_after_each_pass(s):
    """The rate is multiplied by four fifths after each pass."""
    s.lr *= 1.3
    s.sched = lambda step, total: 0.8 ** (step // s.steps_per_epoch)


@shows("lr")
def halved_when_nothing_is_gained(s):
    """The rate is cut to a third at a half, seven tenths and nine tenths, as by a rule with patience."""
    s.epochs = int(1.2 * s.epochs)
    s.sched = lambda step, total: (1 / 3) ** sum(step > q * total for q in (0.5, 0.7, 0.9))


@shows("lr")
def three_waves_each_lower(s):
    """Three waves of the rate, each begins lower than the last: small bumps where one begins."""
    s.epochs = int(1.3 * s.epochs)
    s.sched = lambda step, total: 0.005 + 0.6 ** int(3 * step / total) * 0.5 * (1 + math.cos(math.pi * (3 * step / total % 1)))
    s.truth["tolerated"] = ["lr-schedule", "instability", "spikes"]


@shows("lr")
def root_of_what_is_left(s):
    """The rate falls with the root of what is left of the run."""
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.06 * total)) * math.sqrt(1.001 - step / total)


def five_rows_at_a_time(s):
    """Batches of five rows at a quarter of the rate: single steps are ragged."""
    s.batch, s.lr, s.epochs = 5, 0.25 * s.lr, max(7, int(0.5 * s.epochs))
    s.sched = lambda step, total: 1 - 0.98 * step / total
    s.truth["tolerated"] = ["instability", "spikes"]


def seventy_fixed_rows(s):
    """Validation has seventy fixed rows: its loss lies somewhat off and moves in steps."""
    s.data(val=tuple(q[:70] for q in s.task.val))
    s.sched = lambda step, total: 0.51 + 0.48 * math.cos(math.pi * step / total)
    s.truth["tolerated"] = ["generalization-gap", "val-better"]


def stopped_by_a_patience_of_five(s):
    """Two and a half times the passes were planned, and a patience of five ends the run."""
    s.epochs, s.patience, s.wd = int(2.5 * s.epochs), 5, 0.03
    s.sched = lambda step, total: max(0.02, 0.003 ** (step / total))


def many_units_dropped(s):
    """A third of the units is dropped in training: its loss ends over that of validation."""
    s.on_model.append(lambda m: [setattr(q, "p", 0.35) for q in m.modules() if isinstance(q, nn.Dropout)] and None)
    s.epochs = int(1.2 * s.epochs)
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def changed_a_little_in_training(s):
    """Inputs of training are changed a little; validation's are not."""

    def changed(step, ep, x, y):
        if s.task.name in TOP:
            return torch.where(torch.rand(x.shape) < 0.03, torch.randint(0, TOP[s.task.name], x.shape), x), y
        return x * (1 + 0.08 * torch.randn(len(x), *[1] * (x.dim() - 1))) + 0.12 * torch.randn_like(x), y

    s.on_batch.append(changed)
    s.sched = lambda step, total: 1 - 0.93 * step / total
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def level_after_a_third(s):
    """Twice the passes under a rate that falls soon: two thirds of the run are level, and good."""
    s.epochs, s.wd, s.lr = int(1.9 * s.epochs), 0.03, 1.3 * s.lr
    s.sched = lambda step, total: max(0.004, 0.003 ** (1.7 * step / total))


def seven_points(s):
    """Seven passes at twice the rate, by a line."""
    s.epochs, s.lr = 7, 2.0 * s.lr
    s.sched = lambda step, total: 1.02 - step / total


@shows("gnorm", "lr")
def clipped_at_three_tenths(s):
    """Gradients are clipped at three tenths under Adam, often at first."""
    s.clip = 0.3
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.05 * total)) * (1 - 0.96 * step / total)


def scale_that_finds_its_place(s):
    """Mixed precision begins at 2 to the 17, halves until steps fit, and tries more now and then."""
    s.scaler = 2.0**17
    s.sched = lambda step, total: 1 - 0.92 * step / total
    s.truth["tolerated"] = ["nan-inf"]


@shows("gnorm")
def means_of_squares(s):
    """Steps are divided by the root of a running mean of squares, without momentum, by a line."""
    s.opt, s.lr = "rmsprop", 0.5 * s.lr
    s.sched = lambda step, total: 1.01 - step / total


def slow_copy_is_judged(s):
    """Validation judges a slow copy of the weights."""
    kept = []
    s.on_model.append(lambda m: kept.append(copy.deepcopy(m)) or None)

    def follow(step, model):
        for a, b in zip(kept[0].parameters(), model.parameters(), strict=True):
            a.data.lerp_(b.data, max(0.04, 1 / (1 + step)))

    s.after_step.append(follow)
    s.eval_model = lambda model: kept[0]
    s.truth["tolerated"] = ["val-better"]


def five_pieces_make_a_step(s):
    """Five pieces of a batch make a step."""
    s.accum, s.batch = 5, max(4, s.batch // 4)
    s.sched = lambda step, total: 1 - 0.96 * step / total


def a_tenth_for_all_answers(s):
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


@shows("wnorm")
def strong_decay(s):
    """A decay of three tenths, which Adam stands: the norm of weights falls after a while."""
    s.wd = 0.3
    s.sched = lambda step, total: 1 - 0.97 * step / total


def twice_a_pass(s):
    """Validation is looked at twice a pass."""
    s.eval_every = max(4, s.steps_per_epoch // 2)
    s.sched = lambda step, total: 1 - 0.95 * step / total


def two_losses(s):
    """Nothing but the two losses is logged."""
    s.sched = lambda step, total: 0.5 + 0.5 * math.cos(math.pi * step / total)


@shows("whist", "ghist", "ahist", "layergrads", "wnorm", "gnorm", "lr", "text", "speed")
def everything_logged(s):
    """A line, with all that can be logged."""
    s.sched = lambda step, total: 1.02 - step / total


two_losses.extras = LOSSES
HEALTHY = {
    default: tuple(tasks_sealed18.TASKS),
    good_start: ("pumps3", "abalone_age"),
    up_for_a_third_then_down: ("questions6", "lesion_dice"),
    four_fifths_after_each_pass: ("abalone_age", "sounds"),
    halved_when_nothing_is_gained: ("lesion_dice", "pumps3"),
    three_waves_each_lower: ("colourise", "abalone_age"),
    root_of_what_is_left: ("eyes2", "colourise"),
    five_rows_at_a_time: ("abalone_age", "pumps3"),
    seventy_fixed_rows: ("abalone_age", "lesion_dice"),
    stopped_by_a_patience_of_five: ("abalone_age", "pumps3"),
    many_units_dropped: ("signs6", "lesion_dice"),
    changed_a_little_in_training: ("colourise", "questions6"),
    level_after_a_third: ("lesion_dice", "abalone_age"),
    seven_points: ("pumps3", "lesion_dice"),
    clipped_at_three_tenths: ("sounds", "lesion_dice"),
    scale_that_finds_its_place: ("colourise", "eyes2"),
    means_of_squares: ("abalone_age", "signs6"),
    slow_copy_is_judged: ("pumps3", "names_lm"),
    five_pieces_make_a_step: ("abalone_age", "eyes2"),
    a_tenth_for_all_answers: ("questions6", "pumps3"),
    strong_decay: ("ratings_mf", "abalone_age"),
    twice_a_pass: ("pumps3", "lesion_dice"),
    two_losses: ("names_lm", "questions6"),
    everything_logged: ("abalone_age", "lesion_dice"),
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
        if m in SHIFTED and p == "generalization-gap" and f["rise"] > 0.1:
            return moved(verdict, p, ["overfitting", *near])
        if m in (A.film_of_another_maker, A.pumps_of_a_dry_year) and abs(f.get("event_jump", 0)) > 0.15:
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
        if m is A.picture_ten_after_picture_one and p in ("plateau", "underfitting"):  # where lesions tend to lie is all that was learned
            return moved(verdict, p, [*near, "no-learning", "underfitting", "plateau"])
        if m in ONE:
            seen = "prediction-collapse" in verdict["strict"]
            near = ["generalization-gap", "prediction-collapse", "overfitting", p]
            return moved(verdict, "prediction-collapse" if seen else "generalization-gap", near)
        if m is C.answered_by_pupils:
            return moved(verdict, "label-noise", [p, "plateau", "underfitting", "low-confidence", "generalization-gap", "overfitting"])
        if m is C.survey_from_broken_to_sound:
            return moved(verdict, "epoch-sawtooth", ["instability", "spikes", p]) if f.get("phase_r2", 0) > 0.3 else None
        if m is B.half_life_of_nine_steps:
            return moved(verdict, "lr-schedule", [p, "lr-zero", "lr-too-low", "plateau", "no-learning", "underfitting", *near])
        if m is B.cycle_stepped_by_passes:
            return moved(verdict, "lr-schedule", [p, "lr-too-low", "unconverged", "no-learning", "underfitting"])
        if m is C.evened_out_for_a_short_type:
            return moved(verdict, "weight-growth", [*verdict["primary"], "divergence"])
        if m in (B.fifteen_layers_by_default, B.tangents_of_a_tenth) and p == "frozen-weights":
            return moved(verdict, "vanishing-gradients", [p, *near])
        if m is C.sharpened_as_for_unlabelled_rows and "over-confidence" in verdict["strict"]:
            return moved(verdict, "over-confidence", ["overfitting", "generalization-gap"])
        if m is C.share_of_guesses_left_in:
            return moved(verdict, "low-confidence", [p, "plateau", "underfitting", "loss-mismatch", *near])
        if m is C.probabilities_given_to_a_loss_of_scores and p != "nan-inf":  # right, at a loss far too high
            return moved(verdict, "loss-mismatch", [p, "plateau", "underfitting", "low-confidence"])
        if m in SPIKY and p == "instability" and f["spikes"] >= 2:
            return moved(verdict, "spikes", [p, *near])
        if m in (B.last_of_the_rates_tried, B.multiplied_by_the_width):
            return moved(verdict, "lr-too-high", [p, *near, *plan_sealed15.HEAT[:3]])
        if m in (B.fields_exchanged, B.rate_of_a_large_language_model) and p == "lr-too-low":
            return moved(verdict, p, [*near, "no-learning", "plateau", "unconverged"])
        return verdict


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= FEW.get(first, 2)


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    faults = {**faults_sealed18.FAULTS, **faults_sealed18b.FAULTS, **faults_sealed18c.FAULTS}
    return tasks_sealed18.TASKS, faults, HEALTHY, conventions_sealed18.SEALED18


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    _, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = ("abalone_age", "lesion_dice", "pumps3", "names_lm", "colourise", "sounds", "questions6", "ratings_mf", "eyes2")
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
        if t in TEXTS:  # nobody logs a recall for every letter
            extras -= {"recalls", "shares", "conf", "f1"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = set(LOSSES)
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        side = conventions_sealed18.SIDE.get(c.name, ())
        seed = 11200 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Looked(len(res) + 1, split, t, f, fine, seed, c, extras, side, d))
    return [c for c in res if c.index not in UNNEEDED]


def fits(conv, mechanism, damage, task):
    """Some symptoms need values of single steps; accidents need one plain file."""
    if damage:
        return not any(conv.dirs) and conv.style == "scalar" and (bool(conv.every) or damage != "no_validation")
    if mechanism is twice_a_pass and (not conv.every or conv.xv):
        return False
    scaled = (B.sums_of_squares_in_half, B.kernel_of_a_new_driver, scale_that_finds_its_place)
    if mechanism in scaled and (not conv.every or conv.style == "add_scalars"):
        return False
    return not (getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")))
