"""Write the reinforcement and adversarial cases of `dev3` and `sealed3`."""

import shutil
from pathlib import Path

import numpy as np

from families import logs
from families.special3 import CASES, TAGS, random_return, train_gan, train_gauss, train_q
from families.special_cases import keep

AFTER = [
    "instability",
    "lr-too-high",
    "lr-too-low",
    "lr-schedule",
    "exploding-gradients",
    "vanishing-gradients",
    "sudden-shift",
    "prediction-collapse",
    "no-learning",
    "plateau",
    "underfitting",
    "unconverged",
    "frozen-weights",
    "spikes",
]


def judge(rows, twin, name, low):
    """Facts, health, primary, alt, allowed and onset of a reinforcement run, by the rules of `families.special3`; None drops it."""
    r, t = (np.array([q["return"] for q in a]) for a in (rows, twin))
    n = max(4, len(t) // 10)
    means = lambda v: np.convolve(v, np.ones(n) / n, "valid")  # noqa: E731
    top = means(t).max()
    w = (means(r) - low) / (top - low)
    end, best, at = w[-1], w.max(), int(w.argmax())
    facts = {"random": float(low), "twin_best": float(top), "end": float(end), "best": float(best), "start": float(w[0])}
    if name.startswith("healthy"):
        return (facts, True, [], {}, ["unconverged"], {}) if end > 0.7 and best - end < 0.15 else None
    if "out_of_reach" in name:  # another reward: no twin; it never comes
        silent = bool(r.max() < 0.05)
        return (facts, False, ["no-learning"], {"no-learning": ["plateau", "underfitting"]}, AFTER, {}) if silent else None
    if best > 0.5 and best - end > 0.4:
        level = (r - low) / (top - low)
        fell = int(np.flatnonzero(level[at + n // 2 :] < best - 0.5 * (best - end))[0]) + at + n // 2
        x = [q["x"] for q in rows]
        near = ["instability", "sudden-shift", "prediction-collapse", "lr-schedule", "lr-too-high"]
        onset = {"divergence": [float(x[max(0, fell - n)]), float(x[min(len(x) - 1, fell + n)])]}
        return facts, False, ["divergence"], {"divergence": near}, AFTER, onset
    if best < 0.25:
        also = ["lr-too-low"] if "1e-9" in name else ["lr-too-high"] if rows[0]["lr"] > 0.02 else []
        also += ["divergence"] if "high_rate" in name else []
        return facts, False, ["no-learning"], {"no-learning": [*also, "underfitting", "plateau"]}, [*AFTER, *also, "lr-zero"], {}
    return None


def write_special(split, out):
    """Train, write and label; returns lines on what became of each."""
    twins, said, letter = {}, [], {"dev3": "g", "sealed3": "h"}[split]
    for k, (kind, name, how, seed) in enumerate(CASES[split]):
        case = f"{letter}{901 + k:04d}"
        path = Path(out) / case
        shutil.rmtree(path, ignore_errors=True)
        start = logs.START + 7e5 * (k + 1) + (2e6 if split == "dev3" else 1.1e7)
        if kind in ("q", "gauss"):
            train = train_q if kind == "q" else train_gauss
            rows = train(seed, **how)
            if how and (kind, seed) not in twins:
                twins[kind, seed] = train(seed)
            twin = twins.setdefault((kind, seed), rows)
            verdict = judge(rows, twin, name, random_return(seed, kind == "gauss"))
        else:
            rows, off = train_gan(seed, kind)
            verdict = ({"moments_off": off}, True, [], {}, [], {}) if off < 0.3 else None
        if verdict is None:
            said.append(f"{case} dropped {kind} {name}")
            continue
        task = {"q": "slope_dqn", "gauss": "slope_reinforce", "hinge": "gan_nine", "lsgan": "gan_moons"}[kind]
        written = {"rows": rows, "tags": TAGS[kind], "start": start, "pace": 0.3, "verdict": verdict}
        said.append(keep(path, kind=kind, name=name, split=split, seed=seed, task=task, **written))
    return said
