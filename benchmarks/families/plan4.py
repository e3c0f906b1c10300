"""Which training of `dev4` and `sealed4` is written how, and how many of each symptom are kept.

The two splits have the mix of the labelled runs that the project started from: 35 to 40 % are healthy, and `WANTED` gives the share of each
symptom among the faulty ones.  More trainings are planned than kept: `plan4.full` says whether a symptom has enough of them already.
"""

import zlib

import numpy as np

from families import conventions_dev4, healthy_dev
from families.plan import POOL, Case

WANTED = {  # cases of a hundred and twenty; half as many, rounded up, in dev4
    "healthy": 45,
    "overfitting": 11,
    "no-learning": 4,
    "underfitting": 4,
    "nan-inf": 4,
    "val-better": 3,
    "sudden-shift": 3,
    "divergence": 4,
    "prediction-collapse": 3,
    "class-imbalance": 3,
    "plateau": 4,
    "unconverged": 3,
    "spikes": 2,
    "stalled": 2,
    "instability": 3,
    "frozen-weights": 2,
    "truncated-log": 2,
    "restart-overlap": 2,
    "lr-zero": 2,
    "vanishing-gradients": 2,
    "loss-scale-collapse": 2,
    "loss-mismatch": 2,
    "dead-units": 2,
    "saturated-activations": 2,
    "lr-too-low": 2,
    "lr-too-high": 2,
    "generalization-gap": 2,
    "exploding-gradients": 2,
    "lr-schedule": 2,
}
DAMAGES = {
    "dev4": ["rolled_back_far", "copied_too_early", "no_validation", "resumed_next_day"],
    "sealed4": ["begun_three_times", "writers_of_two_ranks", "lost_block", "zeros_at_the_end", "no_validation", "resumed_cleanly"],
}
LATER = {  # planned after the others, so that the order of these stays: mechanism and tasks of which the first rounds gave too few
    "dev4": {},
    "sealed4": {"validation_of_quiet_rows": ("listwise", "protonet", "hash_codes")},
}
HARMLESS = {"resumed_next_day", "resumed_cleanly"}
SIDE_TAGS = [(), (), (), (), ("gpu/mem_mb",), ("loader/queue",)]
TEXTS = ("chars_gru", "slots_bio", "phones")


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    n = WANTED.get(first, 1)
    return got[first] >= (n if split == "sealed4" else -(-n // 2))


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of a split."""
    if split == "dev4":
        from families import faults_dev4, faults_dev4b, healthy_dev4, tasks_dev4

        return tasks_dev4.TASKS, {**faults_dev4.FAULTS, **faults_dev4b.FAULTS}, healthy_dev4.HEALTHY, conventions_dev4.DEV4
    from families import conventions_sealed4, faults_sealed4, faults_sealed4b, faults_sealed4c, healthy_sealed4, tasks_sealed4

    tasks, faults = tasks_sealed4.TASKS, {**faults_sealed4.FAULTS, **faults_sealed4b.FAULTS, **faults_sealed4c.FAULTS}
    return tasks, faults, healthy_sealed4.HEALTHY, conventions_sealed4.SEALED4


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES[split]):
        out += [(names[(4 * i + 3 * j) % len(names)], healthy_dev.default, d in HARMLESS, j, d, j) for j in range(2)]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    turn = rng.permutation(len(out))
    use, res, rare = {c.name: 0 for c in convs}, [], 0.06 if split == "dev4" else 0.15
    ordered = [out[i] for i in sorted(turn, key=lambda j: (out[j][5], int(np.flatnonzero(turn == j)[0])))]
    ordered += [(t, f, False, k, "", 9) for f in faults for k, t in enumerate(LATER[split].get(f.__name__, ()))]
    for t, f, fine, k, d, _ in ordered:
        free = [c for c in convs if fits(c, f, d)]
        least = min(use[c.name] for c in free)
        free = [c for c in free if use[c.name] <= least + 1]
        c = free[rng.integers(len(free))]
        use[c.name] += 1
        extras = {e for e in POOL if rng.random() < (0.6 if e == "lr" else 0.4 if e == "gnorm" else rare)}
        extras = (extras | getattr(f, "shows", set()) | getattr(f, "extras", set())) - getattr(f, "without", set())
        if t in TEXTS:  # nobody logs a recall for every character
            extras -= {"recalls", "shares", "conf"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = {"only_loss", "no_parts", "no_more"}
        side = SIDE_TAGS[rng.integers(len(SIDE_TAGS))] if c.every and c.logger == "torch" else ()
        if d == "no_validation":
            extras, side = {"no_val", "lr", "gnorm"}, ()
        seed = 900 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Case(len(res) + 1, split, t, f, fine, seed, c, extras, side, d))
    return res


def fits(conv, mechanism, damage):
    """Some symptoms need values of single steps; accidents need one plain file; loggers differ in what they can write."""
    if damage:
        if any(conv.dirs) or conv.logger != "torch" or conv.style == "add_scalars":
            return False
        return bool(conv.every) or damage != "no_validation"
    if getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")):
        return False
    deep = getattr(mechanism, "shows", set()) & {"whist", "ghist", "ahist", "layergrads", "recalls", "shares", "conf", "predhist", "dead"}
    return not (deep and conv.logger in ("hf", "accelerate"))
