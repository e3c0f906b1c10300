"""Which training of `sealed6` is written how, and how many of each symptom are kept: the mix of `plan4.WANTED`, nine tenths as many."""

import zlib

import numpy as np

from families import conventions_sealed6, faults_sealed6, faults_sealed6b, healthy_dev, healthy_sealed6, plan4, tasks_sealed6
from families.plan import POOL, Case

DAMAGES = ["crash_loop", "lose_half_of_last", "no_validation", "resumed_with_purge"]
FEW = {"overfitting": 8, "healthy": 42}  # no symptom makes more than an eighth of the faulty cases
DOUBTFUL = {3, 123}  # a slow rise of both losses that is called `underfitting`, a rough curve that is called `unconverged`
DEEP = {"whist", "ghist", "ahist", "layergrads", "recalls", "shares", "conf", "predhist", "dead", "wnorm", "scale", "f1"}


class Read(Case):
    """A case whose label is amended where the curves say more than the rules."""

    def mend(self, verdict, f):
        """Bad batches show in the next evaluation; few evaluations that all improve are a run that ended early; a sound run may keep a gap."""
        if not verdict["primary"] and f["gap"] > 0.12:
            return verdict | {"allowed": sorted({*verdict["allowed"], "generalization-gap"})}
        if verdict["primary"] == ["spikes"]:
            return verdict | {"allowed": sorted({*verdict["allowed"], "noisy-validation"})}
        if verdict["primary"] == ["underfitting"] and f["n_evals"] <= 8 and min(f["late_gain"], f["late_val_gain"]) > 0.03:
            allowed = sorted({*verdict["allowed"], "underfitting"} - {"unconverged"})
            return verdict | {"primary": ["unconverged"], "alt": {"unconverged": ["underfitting", "lr-too-low"]}, "allowed": allowed}
        return verdict


def full(split, got, verdict):
    """Whether the split holds enough cases of this first symptom."""
    first = verdict["primary"][0] if verdict["primary"] else "healthy"
    return got[first] >= FEW.get(first, -(-9 * plan4.WANTED.get(first, 2) // 10))


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of the split."""
    faults = {**faults_sealed6.FAULTS, **faults_sealed6b.FAULTS}
    return tasks_sealed6.TASKS, faults, healthy_sealed6.HEALTHY, conventions_sealed6.SEALED6


def cases(split):
    """The whole list: first a training of every mechanism in random order, then the second ones, and so on."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "", k) for f, names in faults.items() for k, t in enumerate(names)]
    for f, names in healthy.items():
        out += [(t, f, True, k, "", 0 if f is healthy_dev.default else k) for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES):
        out += [
            (names[(2 * i + 3 * j + 1) % len(names)], healthy_dev.default, d in plan4.HARMLESS | {"resumed_with_purge"}, j, d, j)
            for j in range(2)
        ]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    turn = rng.permutation(len(out)).tolist()
    use, res = {c.name: 0 for c in convs}, []
    for t, f, fine, k, d, _ in sorted([out[i] for i in turn], key=lambda q: q[5]):
        free = [c for c in convs if fits(c, f, d)]
        least = min(use[c.name] for c in free)
        free = [c for c in free if use[c.name] <= least + 1]
        c = free[rng.integers(len(free))]
        use[c.name] += 1
        extras = {e for e in POOL if rng.random() < (0.55 if e == "lr" else 0.35 if e == "gnorm" else 0.12)}
        extras = (extras | getattr(f, "shows", set()) | getattr(f, "extras", set())) - getattr(f, "without", set())
        if c.name == "own-cost":
            extras &= {"lr", "gnorm"} | getattr(f, "shows", set()) | getattr(f, "extras", set())
        if t == "log_bytes":  # nobody logs a recall for every byte
            extras -= {"recalls", "shares", "conf"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = {"only_loss", "no_parts", "no_more"}
        if d == "no_validation":
            extras = {"no_val", "lr", "gnorm"}
        seed = 1700 + (zlib.crc32((t + split).encode()) % 70) * 5 + k % 2
        res.append(Read(len(res) + 1, split, t, f, fine, seed, c, extras, (), d))
    return [c for c in res if c.index not in DOUBTFUL]


def fits(conv, mechanism, damage):
    """Some symptoms need values of single steps; accidents need one plain file; loggers differ in what they can write."""
    if damage:
        return (
            not any(conv.dirs)
            and conv.logger == "torch"
            and conv.style != "add_scalars"
            and (bool(conv.every) or damage != "no_validation")
        )
    name, shown = mechanism.__name__, getattr(mechanism, "shows", set())
    if name in ("every_third_pass",) and "epoch" in (conv.xv or conv.x):
        return conv.every == 0
    if name in ("products_overflow", "scale_found_at_the_start") and not conv.every:
        return False
    if getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")):
        return False
    if "start_factor" in name or name in ("meter_never_divided", "softmax_in_the_graph"):  # bits would hide the number
        return conv.turn_loss == ""
    return not (shown & DEEP and (conv.logger == "hf" or conv.name == "own-cost"))
