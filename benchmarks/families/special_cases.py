"""Write the reinforcement and adversarial cases of a split."""

import json
import shutil
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from families import files, logs
from families.special import GAN_TAGS, RL_CASES, RL_TAGS, Catch, Grid, train_gan, train_policy

CHOSEN = {
    "dev": [("rl", "healthy", 3), ("rl", "rate_1e-8", 4), ("rl", "rate_grows", 5), ("rl", "healthy_linear_rate", 6), ("gan", "healthy", 7)],
    "sealed": [
        ("rl", "healthy", 13),
        ("rl", "advantage_sign", 14),
        ("rl", "rate_grows", 15),
        ("rl", "healthy_linear_rate", 16),
        ("rl", "rate_1e-8", 17),
        ("gan", "healthy", 18),
        ("gan", "healthy", 19),
    ],
}


def judge_policy(rows, name):
    """Label of a reinforcement run, by the rules of `families.special`."""
    r = np.array([q["return"] for q in rows])
    n = max(3, len(r) // 10)
    windows = np.array([r[i : i + n].mean() for i in range(len(r) - n + 1)])
    end, best, at = windows[-1], windows.max(), int(windows.argmax())
    facts = {"return_end": float(end), "return_best": float(best), "return_start": float(windows[0])}
    after = "instability lr-too-high lr-schedule exploding-gradients sudden-shift prediction-collapse no-learning plateau overfitting clipping-saturated underfitting unconverged".split()  # noqa: SIM905
    if name.startswith("healthy"):
        return (facts, True, [], {}, ["unconverged"], {}) if end > 0.6 and best - end < 0.1 else None
    if best > 0.5 and best - end > 0.4:
        fell = int(np.flatnonzero(r[at:] < best - 0.5 * (best - end))[0]) + at
        x = [q["x"] for q in rows]
        return (
            facts,
            False,
            ["divergence"],
            {"divergence": ["instability", "sudden-shift", "prediction-collapse", "lr-schedule", "lr-too-high"]},
            after,
            {"divergence": [float(x[max(0, fell - 4)]), float(x[min(len(x) - 1, fell + 3)])]},
        )
    if end < 0.3 and best < 0.35:
        low = ["lr-too-low"] if name == "rate_1e-8" else []
        return (
            facts,
            False,
            ["no-learning"],
            {"no-learning": [*low, "underfitting", "plateau"]},
            [*after, *low, "frozen-weights", "lr-zero", "val-better"],
            {},
        )
    return None


def keep(path, *, kind, name, split, seed, task, rows, tags, start, pace, verdict):
    """Write a case's log and label; the line on what became of it."""
    w, rng, wall = SummaryWriter(str(path / "logs")), np.random.default_rng(seed), 0.0
    for q in rows:
        wall += float(rng.lognormal(pace, 0.1))
        for key, tag in tags.items():
            w.add_scalar(tag, q[key], q["x"], walltime=start + wall)
    w.close()
    files.settle(path / "logs", start, seed)
    facts, healthy, primary, alt, allowed, onset = verdict
    label = {
        "case": path.name,
        "task": task,
        "fault": primary[0] if primary else "none",
        "mechanism": name,
        "logger": f"{kind}-{split}",
        "healthy": healthy,
        "primary": primary,
        "alt": alt,
        "allowed": sorted(set(allowed) - set(primary)),
        "onset": onset,
        "best_step": None,
        "why": f"{kind} {name}: {facts}",
        "split": split,
        "seed": seed,
        "extras": [],
        "oracle": facts,
    }
    (path / "label.json").write_text(json.dumps(label, indent=1) + "\n")
    return f"{path.name} kept {kind} {name} {primary} {facts}"


def write_special(split, out):
    """Train, write and label; returns lines on what became of each."""
    said = []
    for k, (kind, name, seed) in enumerate(CHOSEN[split]):
        case = f"{'e' if split == 'dev' else 'f'}{901 + k:04d}"
        path = Path(out) / case
        shutil.rmtree(path, ignore_errors=True)
        start = logs.START + 9e5 * (k + 1) + (0 if split == "dev" else 7e6)
        if kind == "rl":
            rows = train_policy(Grid if split == "dev" else Catch, seed, **RL_CASES[name])
            for i, q in enumerate(rows):
                q["x"] = i + 1 if split == "dev" else q["frames"]
            tags, verdict = RL_TAGS[split], judge_policy(rows, name)
        else:
            rows, off = train_gan(seed, spiral=split == "sealed")
            for q in rows:
                q["x"] = q["step"]
            tags = GAN_TAGS[split]
            verdict = ({"moments_off": off}, True, [], {}, ["missing-evidence"], {}) if off < 0.35 else None
        if verdict is None:
            said.append(f"{case} dropped {kind} {name}")
            continue
        task = ("grid_ppo" if split == "dev" else "catch_ppo") if kind == "rl" else ("gan_four" if split == "dev" else "gan_spiral")
        said.append(
            keep(
                path, kind=kind, name=name, split=split, seed=seed, task=task, rows=rows, tags=tags, start=start, pace=0.5, verdict=verdict
            )
        )
    return said
