"""Which training of `dev3` and `sealed3` is written how; the same split gives the same list."""

import zlib

import numpy as np

from families import conventions_dev3, conventions_sealed3, healthy_dev
from families.plan import POOL, Case

DAMAGES = {
    "dev3": ["three_resumes", "garbage_tail", "clock_set_back", "empty_second_file", "no_validation", "resumed_next_day"],
    "sealed3": ["crash_loop", "cut_in_a_header", "bad_length", "written_twice", "other_rank", "no_validation", "resumed_cleanly"],
}
HARMLESS = {"clock_set_back", "empty_second_file", "resumed_next_day", "written_twice", "other_rank", "resumed_cleanly"}
SIDE_TAGS = {
    "dev3": [(), (), (), ("system/gpu.0.memory", "system/cpu_temp"), ("timing/queue_wait",), ("progress_pct",)],
    "sealed3": [(), (), (), ("node/mem_used_mb",), ("node/temp_c", "buffer/queue"), ("val_extra/nan_bucket",)],
}


def parts(split):
    """Tasks, faults, healthy mechanisms and conventions of a split."""
    if split == "dev3":
        from families import faults_dev3, faults_dev3b, healthy_dev3, tasks_dev3

        return tasks_dev3.TASKS, {**faults_dev3.FAULTS, **faults_dev3b.FAULTS}, healthy_dev3.HEALTHY, conventions_dev3.DEV3
    from families import faults_sealed3, faults_sealed3b, healthy_sealed3, tasks_sealed3

    return tasks_sealed3.TASKS, {**faults_sealed3.FAULTS, **faults_sealed3b.FAULTS}, healthy_sealed3.HEALTHY, conventions_sealed3.SEALED3


def cases(split):
    """The whole list, shuffled so that any prefix is varied."""
    tasks, faults, healthy, convs = parts(split)
    out = [(t, f, False, k, "") for f, names in faults.items() for k, t in enumerate(names)]
    out += [(t, f, True, k, "") for f, names in healthy.items() for k, t in enumerate(names)]
    names = list(tasks)
    for i, d in enumerate(DAMAGES[split]):
        out += [(names[(5 * i + 2 * j) % len(names)], healthy_dev.default, d in HARMLESS, j, d) for j in range(2 if split == "dev3" else 3)]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    use = {c.name: 0 for c in convs}
    res = []
    for i in rng.permutation(len(out)):
        t, f, fine, k, d = out[i]
        free = [c for c in convs if fits(c, f, t, d)]
        least = min(use[c.name] for c in free)
        free = [c for c in free if use[c.name] <= least + 1]
        c = free[rng.integers(len(free))]
        use[c.name] += 1
        extras = {e for e in POOL if rng.random() < (0.6 if e == "lr" else 0.4 if e == "gnorm" else 0.15)}
        extras |= getattr(f, "shows", set()) | getattr(f, "extras", set())
        if t in ("grammar_lm", "dialog_lm"):  # nobody logs a recall for every word
            extras -= {"recalls", "shares", "conf"} - getattr(f, "shows", set())
        if "only_loss" in extras:
            extras = {"only_loss", "no_parts", "no_more"}
        sides = SIDE_TAGS[split]
        side = sides[rng.integers(len(sides))] if c.every and c.logger == "torch" else ()
        if d == "no_validation":
            extras, side = {"no_val", "lr", "gnorm"}, ()
        seed = 500 + (zlib.crc32((t + split).encode()) % 60) * 4 + k % 2
        res.append(Case(len(res) + 1, split, t, f, fine, seed, c, extras, side, d))
    return res


def fits(conv, mechanism, task, damage):
    """Some symptoms need values of single steps; accidents need one plain file; not every name suits every task."""
    name = mechanism.__name__
    if damage:
        if any(conv.dirs) or conv.logger != "torch" or conv.turn_loss or conv.hidden:
            return False
        return bool(conv.every) or damage != "no_validation"
    if getattr(mechanism, "fine", False) and not (0 < conv.every <= 6 and conv.fold in ("mean", "last")):
        return False
    if conv.turn_loss and task not in ("grammar_lm", "reverse_s2s", "dialog_lm", "masked_sites"):
        return False
    if conv.hidden and (not mechanism.__module__.endswith(("healthy_dev3", "healthy_sealed3")) or task in ("forecast", "superres")):
        return False
    if conv.name == "nerfstudio" and task not in ("superres", "ddpm_knots", "quantiles", "forecast"):
        return False
    if conv.logger == "hf" and getattr(mechanism, "shows", set()) & {"whist", "ghist", "ahist", "layergrads", "recalls"}:
        return False
    if name in ("evaluated_in_steps", "five_evaluations"):
        return conv.every and conv.x == "step" and not conv.xv
    return not (conv.test_dir and name == "averaged_evaluation")
