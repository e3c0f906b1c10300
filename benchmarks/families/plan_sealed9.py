"""Which training of `sealed9` is written how, and how many of each symptom are kept: the proportions of the labelled runs of the start."""

import zlib

import numpy as np

from families import conventions_sealed9, faults_sealed9, faults_sealed9b, healthy_dev, healthy_sealed9, plan4, tasks_sealed9
from families.plan import POOL
from families.plan_dev5 import moved
from families.plan_sealed8 import Judged

DAMAGES = ["rolled_back_far", "writers_of_two_ranks", "cut_in_a_header", "lost_block", "no_validation", "resumed_with_purge", "other_rank"]
HARMLESS = plan4.HARMLESS | {"resumed_with_purge", "other_rank"}
FEW = {"healthy": 46, "overfitting": 9, "no-learning": 4, "underfitting": 4, "divergence": 4, "nan-inf": 4}
FEW |= dict.fromkeys(("plateau", "unconverged", "val-better", "sudden-shift", "prediction-collapse", "class-imbalance"), 3)
FEW |= dict.fromkeys(("missing-evidence", "low-confidence", "over-confidence", "label-noise", "clipping-saturated", "weight-growth"), 1)
DOUBTFUL = {71, 97, 130}  # teeth of seven points and flips between the points, called `unconverged`; a start at a level nobody can judge
COLLAPSED = (faults_sealed9.operators_in_wrong_order, faults_sealed9.mask_turned_in_evaluation)
LATER = [  # planned after the others, so that the order of these stays
    (faults_sealed9.averages_of_eight_answers, "accel6"),
    (faults_sealed9b.scaled_linearly_twice, "accel6"),
]
TEXTS = ("code_lm", "qa_span")


class Looked(Judged):
    """A case of this split: the rules of `sealed8`, and what came of looking at the curves."""

    def mend(self, verdict, f):
        """Guessed answers are label noise that looks like a plateau."""
        verdict = super().mend(verdict, f)
        if verdict and self.mechanism is faults_sealed9.answers_by_forty_students:
            near = [*verdict["primary"], "plateau", "underfitting", "low-confidence", "generalization-gap", "overfitting"]
            return moved(verdict, "label-noise", near)
        if verdict and "prediction-collapse" in verdict["strict"] and self.mechanism in COLLAPSED and "shares" in self.extras:
            near = ["generalization-gap", "overfitting"] if self.mechanism is faults_sealed9.mask_turned_in_evaluation else []
            allowed = {*verdict["primary"], *verdict["allowed"]}
            verdict = moved(verdict | {"allowed": sorted(allowed)}, "prediction-collapse", near)
        p = verdict["primary"][0] if verdict and verdict["primary"] else ""
        if p == "divergence" and self.mechanism is faults_sealed9b.importance_without_a_cap and f["best_progress"] < 0.3:
            return moved(verdict, "instability", ["divergence", "lr-too-high", "no-learning", "spikes"])  # it never was better
        if p == "exploding-gradients" and "lr" in self.extras and (f.get("lr_ratio") or 1) >= 30 and not f["lr_jumps"]:
            return moved(verdict, "lr-too-high", [p, *verdict["alt"].get(p, []), "divergence"])
        if p == "class-imbalance" and f["val_end"] > 1.04 * f["val_best"]:  # and the snow is learned by heart
            return verdict | {"allowed": sorted({*verdict["allowed"], "overfitting", "generalization-gap"})}
        if p == "overfitting" and self.mechanism is faults_sealed9.hard_cases_only_after_a_while:  # the loss steps up where they begin
            return verdict | {"allowed": sorted({*verdict["allowed"], "sudden-shift"})}
        if p == "lr-schedule" and self.mechanism is faults_sealed9b.divided_again_at_each_resume:
            return moved(verdict, p, [*verdict["alt"].get(p, []), "lr-zero", "plateau"])
        if verdict and self.mechanism is faults_sealed9b.rates_read_backwards and verdict["primary"] == ["lr-schedule"]:
            return moved(verdict, "lr-schedule", ["unconverged", "lr-too-low", *verdict["alt"].get("lr-schedule", [])])
        return verdict


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= FEW.get(first, 2)


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    faults = {**faults_sealed9.FAULTS, **faults_sealed9b.FAULTS}
    return tasks_sealed9.TASKS, faults, healthy_sealed9.HEALTHY, conventions_sealed9.SEALED9


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES):
        out += [(names[(3 * i + 2 * j) % len(names)], healthy_dev.default, d in HARMLESS, j, d, j) for j in range(2)]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    turn = rng.permutation(len(out)).tolist()
    use, res = {c.name: 0 for c in convs}, []
    planned = sorted([out[i] for i in turn], key=lambda q: q[5]) + [(t, f, False, k, "", 9) for k, (f, t) in enumerate(LATER)]
    for t, f, fine, k, d, _ in planned:
        free = [c for c in convs if fits(c, f, t, d)]
        least = min(use[c.name] for c in free)
        free = [c for c in free if use[c.name] <= least + 1]
        c = free[rng.integers(len(free))]
        use[c.name] += 1
        extras = {e for e in POOL if rng.random() < (0.55 if e == "lr" else 0.4 if e == "gnorm" else 0.1)}
        extras = (extras | getattr(f, "shows", set()) | getattr(f, "extras", set())) - getattr(f, "without", set())
        if t in TEXTS:  # nobody logs a recall for every symbol or place
            extras -= {"recalls", "shares", "conf", "f1"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = {"only_loss", "no_parts", "no_more"}
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        seed = 4000 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Looked(len(res) + 1, split, t, f, fine, seed, c, extras, (), d))
    return [c for c in res if c.index not in DOUBTFUL]


def fits(conv, mechanism, task, damage):
    """Some symptoms need values of single steps; accidents need one plain file."""
    if damage:
        return not any(conv.dirs) and (bool(conv.every) or damage != "no_validation") and conv.x != "epoch1000"
    if mechanism.__name__ in ("branch_without_a_use", "scale_starts_too_high") and not conv.every:
        return False
    return not (getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")))
