"""Does `tbdiag compare` call chance a difference, and does it find real ones?

    python benchmarks/seed_pairs.py [--markdown FILE]

Real pairs: healthy trainings of five tasks (`trainings`), six seeds each on the same data: every two of them (one run a side), and every split
into three and three (several seeds a side). Simulated pairs: decaying curves, and five metrics each, whose levels scatter from seed to seed. Planted differences: the
same tasks with a learning rate divided by 40, and with a third of the training labels shuffled, against the ordinary training.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from itertools import combinations
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import generate
import numpy as np
from trainings.train import train, with_data

from tbdiag.compare.judge import BETTER, NONE, WORSE, compare_sides
from tbdiag.compare.sides import Side, SideRun
from tbdiag.config import Config
from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.features import Features
from tbdiag.model import Run
from tbdiag.model.report import to_plain
from tbdiag.roles import resolve

TASKS = ("blobs", "teacher", "waves", "spirals", "density")
SEEDS = range(6)
PLANTED_SEEDS = range(3)
SIMULATED = 100


def judged(run: Run) -> SideRun:
    """A run as `load_side` would have it."""
    return SideRun(run.name, to_plain(diagnose_run(run, Config())), Features(resolve(run, Config())), True)


def side(*runs: SideRun) -> Side:
    """A side of runs that are judged already."""
    return Side("side", runs, {}, False)


def real_run(task_name: str, seed: int, fault: str = "") -> SideRun:
    """One training, as far as `compare` looks at it."""
    task = generate.make_task(task_name, 1)
    setting = generate.ordinary(task)
    if fault == "rate / 40":
        setting = replace(setting, lr=setting.lr / 40)
    if fault == "labels":
        y = task.y.copy()
        chosen = np.random.default_rng(9).permutation(len(y))[: len(y) // 3]
        y[chosen] = y[np.random.default_rng(10).permutation(chosen)]
        task = with_data(task, y=y)
    trace = train(task, setting, seed)
    steps = [e.step for e in trace.evaluations]
    series = {
        "train/loss": _synth.make_series("train/loss", trace.loss, np.arange(1, trace.steps + 1)),
        "val/loss": _synth.make_series("val/loss", [e.val_loss for e in trace.evaluations], steps),
        f"val/{task.metric}": _synth.make_series(f"val/{task.metric}", [e.val_metric for e in trace.evaluations], steps),
    }
    return judged(_synth.make_run(series, name=f"seed_{seed}"))


def simulated_run(seed: int) -> SideRun:
    """A decaying curve with autocorrelated noise; its level scatters by 5 % from seed to seed."""
    rng = np.random.default_rng([seed, 4])
    n = 60
    end = 0.5 * (1 + 0.05 * rng.normal())
    val = _synth.decay(n, 2.3, end) + _synth.ar1(n, 0.02, 0.4, rng)
    return judged(
        _synth.make_run({"train/loss": _synth.decay(n, 2.3, end - 0.1) + _synth.ar1(n, 0.02, 0.4, rng), "val/loss": val}, every=50)
    )


def simulated_metrics(seed: int) -> SideRun:
    """Five metrics that rise towards levels which scatter by 0.01 from seed to seed, with autocorrelated noise."""
    rng = np.random.default_rng([seed, 6])
    n = 60
    tops = 0.75 + 0.01 * rng.normal(size=5)
    names = ("accuracy", "f1", "precision", "recall", "auroc")
    series = {f"val/{name}": _synth.decay(n, 0.1, top, 6.0) + _synth.ar1(n, 0.008, 0.3, rng) for name, top in zip(names, tops, strict=True)}
    return judged(_synth.make_run(series, every=50))


def verdict(base: tuple[SideRun, ...], head: tuple[SideRun, ...]) -> str:
    """What `compare` says of two sides."""
    return compare_sides(side(*base), side(*head), seeds=len(base) + len(head) > 2).verdict


def main() -> None:
    """Train, compare, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    healthy = {t: [real_run(t, s) for s in SEEDS] for t in TASKS}
    rows: list[tuple[str, int, int]] = []
    singles = [verdict((a,), (b,)) for runs in healthy.values() for a, b in combinations(runs, 2)]
    rows.append(("real, one run a side", len(singles), sum(v != NONE for v in singles)))
    threes = [
        verdict(tuple(runs[i] for i in pick), tuple(r for i, r in enumerate(runs) if i not in pick))
        for runs in healthy.values()
        for pick in combinations(range(len(runs)), 3)
        if 0 in pick
    ]
    rows.append(("real, three seeds a side", len(threes), sum(v != NONE for v in threes)))
    made = [simulated_run(i) for i in range(2 * SIMULATED)]
    pairs = [verdict((made[2 * i],), (made[2 * i + 1],)) for i in range(SIMULATED)]
    rows.append(("simulated, one run a side", SIMULATED, sum(v != NONE for v in pairs)))
    made = [simulated_metrics(i) for i in range(2 * SIMULATED)]
    pairs = [verdict((made[2 * i],), (made[2 * i + 1],)) for i in range(SIMULATED)]
    rows.append(("simulated, five metrics, one run a side", SIMULATED, sum(v != NONE for v in pairs)))
    total = (sum(r[1] for r in rows), sum(r[2] for r in rows))
    lines = ["| pairs of the same configuration | pairs | called different |", "|---|---|---|"]
    lines += [f"| {name} | {n} | {called} ({called / n:.1%}) |" for name, n, called in rows]
    lines.append(f"| **all** | {total[0]} | {total[1]} ({total[1] / total[0]:.1%}) |")
    lines += ["", "| planted difference | sides | found worse | no evidence | called better |", "|---|---|---|---|---|"]
    for fault in ("rate / 40", "labels"):
        planted = {t: [real_run(t, s, fault) for s in PLANTED_SEEDS] for t in TASKS}
        one = [verdict((healthy[t][i],), (planted[t][i],)) for t in TASKS for i in PLANTED_SEEDS]
        three = [verdict(tuple(healthy[t][:3]), tuple(planted[t])) for t in TASKS]
        for name, said in (("one run a side", one), ("three seeds a side", three)):
            told = [str(sum(v == w for v in said)) for w in (WORSE, NONE, BETTER)]
            lines.append(f"| {fault}, {name} | {len(said)} | {' | '.join(told)} |")
    text = "\n".join(lines) + "\n"
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
