"""Which training of `sealed5` is written how, and how many of each symptom are kept: the mix of `plan4.WANTED`, half as many."""

import zlib

import numpy as np

from families import conventions_sealed5, faults_sealed5, faults_sealed5b, healthy_dev, healthy_sealed5, plan4, tasks_sealed5
from families.plan import POOL, Case

DAMAGES = ["second_half_done_again", "copied_too_early", "no_validation"]
LATER = {  # planned after the others, so that the order of these stays
    "multiplied_by_the_width": ("kg_links", "pose_keys", "record_tags"),
    "watched_the_wrong_figure": ("pose_keys", "ecg_beats"),
    "two_sources_in_turns": ("pose_keys",),
    "range_test_in_the_middle": ("kg_links",),
}
BY_STEP = {"evaluated_often"}  # two evaluations an epoch want steps as their axis


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= -(-plan4.WANTED.get(first, 1) // 2)


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    faults = {**faults_sealed5.FAULTS, **faults_sealed5b.FAULTS}
    return tasks_sealed5.TASKS, faults, healthy_sealed5.HEALTHY, conventions_sealed5.SEALED5


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES):
        out += [(names[(3 * i + 2 * j + 1) % len(names)], healthy_dev.default, False, j, d, j) for j in range(2)]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    turn = rng.permutation(len(out)).tolist()
    use, res = {c.name: 0 for c in convs}, []
    ordered = sorted([out[i] for i in turn], key=lambda q: q[5])
    ordered += [(t, f, False, k, "", 9) for f in faults for k, t in enumerate(LATER.get(f.__name__, ()))]
    for t, f, fine, k, d, _ in ordered:
        free = [c for c in convs if fits(c, f, d)]
        least = min(use[c.name] for c in free)
        free = [c for c in free if use[c.name] <= least + 1]
        c = free[rng.integers(len(free))]
        use[c.name] += 1
        extras = {e for e in POOL if rng.random() < (0.5 if e == "lr" else 0.35 if e == "gnorm" else 0.12)}
        extras = (extras | getattr(f, "shows", set()) | getattr(f, "extras", set())) - getattr(f, "without", set())
        if c.name == "own-few":
            extras &= {"lr", "gnorm"} | getattr(f, "shows", set()) | getattr(f, "extras", set())
        if "only_loss" in extras:
            extras = {"only_loss", "no_parts", "no_more"}
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        seed = 1300 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Case(len(res) + 1, split, t, f, fine, seed, c, extras, (), d))
    return res


def fits(conv, mechanism, damage):
    """Some symptoms need values of single steps; accidents need one plain file; evaluations within an epoch need steps."""
    if damage:
        return not any(conv.dirs) and (bool(conv.every) or damage != "no_validation")
    if mechanism.__name__ in BY_STEP and "epoch" in (conv.xv or conv.x):
        return False
    return not (getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")))
