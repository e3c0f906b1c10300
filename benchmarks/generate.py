"""Make labelled trainings: real ones, in numpy, on synthetic tasks, with faults, in the tag layouts of many frameworks.

    python benchmarks/generate.py OUT --split calibration [--repeats 1] [--jobs 2] [--only WORD]
    python benchmarks/generate.py OUT --split held-out

Each case is ``OUT/gNNNN/logs`` (event files) and ``OUT/gNNNN/label.json`` (as `benchmarks/accuracy.py` reads it). The same arguments write the
same bytes. Tasks of the two splits never meet, and five layouts are written for the held-out one only. A training whose log does not show
what was meant (judged against a healthy twin of it) is left out, so the label is what shows, not what was done.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import zlib
from collections import Counter
from functools import lru_cache
from multiprocessing import Pool
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np
from trainings import judge, layouts, quiet_faults, tasks
from trainings.faults import HEALTHY, Plan
from trainings.train import Trace, train

FAULTS = quiet_faults.FAULTS


def seed_of(*parts: object) -> int:
    """A number that depends on the parts only."""
    return zlib.crc32("/".join(map(str, parts)).encode())


@lru_cache(maxsize=4)
def make_task(name: str, seed: int) -> tasks.Task:
    """The task's data of one seed."""
    return {**tasks.CALIBRATION, **tasks.HELD_OUT}[name](np.random.default_rng([seed, 3]))


def ordinary(task: tasks.Task) -> tasks.Setting:
    """The ordinary way to train a task."""
    return tasks.Setting(epochs=task.epochs, lr=task.lr, optimizer=task.optimizer)


@lru_cache(maxsize=4)
def twin(name: str, seed: int) -> Trace:
    """The ordinary training of a task."""
    task = make_task(name, seed)
    return train(task, ordinary(task), seed)


def jobs(split: str, repeats: int) -> list[tuple[str, str, str, str, int]]:
    """(task, kind, mechanism, layout, seed) of every training of a split, the layouts dealt out evenly."""
    names = list(tasks.CALIBRATION if split == "calibration" else tasks.HELD_OUT)
    known = list(layouts.COMMON) if split == "calibration" else [*layouts.RESERVED, *layouts.COMMON[::2]]
    out = []
    for repeat in range(repeats):
        for name in names:
            seed = seed_of(split, name, repeat) % 10_000
            mechanisms = [("healthy", m) for m in HEALTHY] + [("faulty", m) for m in FAULTS]
            for i, (kind, mechanism) in enumerate(mechanisms):
                layout = known[(i * 5 + repeat * 3 + names.index(name)) % len(known)].name
                out.append((name, kind, mechanism, layout, seed))
    return out


def plan_of(name: str, kind: str, mechanism: str, seed: int) -> Plan | None:
    """What to train, or None where the task cannot show it."""
    task = make_task(name, seed)
    maker = (HEALTHY if kind == "healthy" else FAULTS)[mechanism]
    return maker(task, ordinary(task), np.random.default_rng([seed, seed_of(mechanism) % 1000]))


def make(job: tuple[int, Path, tuple[str, str, str, str, int]]) -> tuple[str, str, list[str]] | None:
    """Train one case and write it; None where it shows nothing clear, or cannot show in this layout."""
    number, out, (name, kind, mechanism, layout_name, seed) = job
    layout = next(q for q in (*layouts.COMMON, *layouts.RESERVED) if q.name == layout_name)
    plan = plan_of(name, kind, mechanism, seed)
    if plan is None or ("every-step" in plan.log and layout.axis.startswith("epoch")):
        return None
    trace = train(plan.task, plan.setting, seed, plan.hooks)
    steps = layouts.steps_logged(layout, plan, trace)
    verdict = judge.judge(plan, trace, twin(name, seed), steps, mean=layout.mean and "every-step" not in plan.log)
    if verdict is None:
        return None
    primary, allowed, alternatives = verdict
    rng = np.random.default_rng([seed, number])
    log = layouts.collect(layout, plan, trace, rng)
    case = out / f"g{number:04d}"
    layouts.write(log, case / "logs")
    onsets = {i: judge.onset(i, plan, trace) for i in primary}
    val_axis = layout.val_axis or layout.axis
    by_validation = mechanism in ("validation-data-change", "small-training-set", "memorised-label-noise", "memorised-with-confidence")
    axis = val_axis if by_validation else layout.axis
    val = [e.val_loss if np.isfinite(e.val_loss) else np.inf for e in trace.evaluations]
    best = trace.evaluations[int(np.argmin(val))].step
    seen_val = "train-only" not in plan.log and bool(np.isfinite(min(val)))
    clear = seen_val and (primary == ["overfitting"] or not primary)
    label = {
        "case": case.name,
        "task": name,
        "fault": primary[0] if primary else "none",
        "mechanism": mechanism,
        "logger": layout_name,
        "healthy": not primary,
        "primary": primary,
        "allowed": allowed,
        "onset": {i: [log.unit(max(a, 1), axis), log.unit(max(b, 1), axis)] for i, q in onsets.items() if q for a, b in [q]},
        "alt": alternatives,
        "best_step": log.unit(best, val_axis) if clear else None,
        "why": f"{mechanism} on {name}, seed {seed}",
        "seed": seed,
    }
    (case / "label.json").write_text(json.dumps(label, indent=1) + "\n", encoding="utf-8")
    return kind, mechanism, primary


def main() -> None:
    """Parse the command line and write the cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", choices=("calibration", "held-out"), default="calibration")
    parser.add_argument("--repeats", type=int, default=1, help="trainings of every (task, mechanism), each with other data")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="only mechanisms, tasks or layouts that contain this")
    options = parser.parse_args()
    todo = [(n, options.out, job) for n, job in enumerate(jobs(options.split, options.repeats)) if options.only in " ".join(map(str, job))]
    options.out.mkdir(parents=True, exist_ok=True)
    with Pool(options.jobs) as pool:
        done = pool.map(make, todo, chunksize=8)
    kept = [d for d in done if d]
    primaries = Counter(i for _, _, p in kept for i in p)
    healthy = sum(not p for _, _, p in kept)
    print(f"{len(kept)} cases of {len(todo)} trainings ({healthy} healthy) in {options.out}")
    print(", ".join(f"{i} {n}" for i, n in sorted(primaries.items())))
    dropped = Counter(job[2][2] for job, d in zip(todo, done, strict=True) if d is None)
    print("left out as unclear: " + (", ".join(f"{m} {n}" for m, n in sorted(dropped.items())) or "none"), file=sys.stderr)


if __name__ == "__main__":
    main()
