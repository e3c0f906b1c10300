"""How often detectors alarm on healthy simulated runs: errors and warnings per detector and family.

    python benchmarks/false_alarms.py [--runs 5000] [--jobs 2] [--markdown FILE]

Families are those of `tests/healthy*.py`; seeds are fixed, so the table repeats. Goals: no detector above 0.1 % of a family's runs,
no family with more than 2 % of runs with any alarm.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tbdiag.config import Config
from tbdiag.detectors import load_detectors
from tbdiag.engine import run_detectors
from tbdiag.features import Features
from tbdiag.model import Severity
from tbdiag.roles import resolve
from tests import healthy_groups, healthy_shapes, healthy_short  # noqa: F401 - register their families
from tests.healthy import FAMILIES

BASE = 20261122


def judge(task: tuple[str, int, int, tuple[str, ...]]) -> tuple[str, int, Counter[str], list[tuple[str, int]]]:
    """Family, number of runs, alarms by detector (``any`` counts runs), and the seeds that alarmed."""
    name, first, last, select = task
    config = Config(select=select)
    alarms: Counter[str] = Counter()
    seeds = []
    for seed in range(first, last):
        run = FAMILIES[name](np.random.default_rng((BASE, seed)))
        outcomes = run_detectors(Features(resolve(run, config)), config)
        found = {o.id for o in outcomes if o.finding is not None and o.finding.severity is not Severity.NOTE}
        crashed = {f"crashed:{o.id}" for o in outcomes if o.kind.value == "crashed"}
        alarms.update(found | crashed)
        alarms["any"] += bool(found | crashed)
        seeds += [(i, seed) for i in found | crashed]
    return name, last - first, alarms, seeds


def main() -> int:
    """Print the table; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--family", action="append", choices=sorted(FAMILIES))
    parser.add_argument("--select", action="append", default=[], help="only this detector (repeat for more)")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--seeds", action="store_true", help="also print the seeds that alarmed")
    args = parser.parse_args()
    names = args.family or list(FAMILIES)
    tasks = [(n, a, min(a + 250, args.runs), tuple(args.select)) for n in names for a in range(0, args.runs, 250)]
    total: Counter[str] = Counter()
    alarms: dict[str, Counter[str]] = {n: Counter() for n in names}
    seeds: dict[str, list[tuple[str, int]]] = {n: [] for n in names}
    with ProcessPoolExecutor(args.jobs) as pool:
        for name, count, found, bad in pool.map(judge, tasks):
            total[name] += count
            alarms[name].update(found)
            seeds[name] += bad
            print(f"{name} {total[name]:,}: {dict(alarms[name])}", file=sys.stderr, flush=True)
    quiet = [d.id for d in load_detectors() if not any(alarms[n][d.id] for n in names)]
    lines = ["| family | runs | with any alarm | alarms by detector |", "|---|---|---|---|"]
    missed = False
    for n in names:
        by = [f"{i} {c} ({c / total[n]:.2%})" for i, c in sorted(alarms[n].items()) if i != "any"]
        share = alarms[n]["any"] / total[n]
        missed |= share > 0.02 or any(c / total[n] > 0.001 for i, c in alarms[n].items() if i != "any")
        lines.append(f"| {n} | {total[n]:,} | {alarms[n]['any']} ({share:.2%}) | {', '.join(by) or 'none'} |")
    lines.append(f"\nNever alarmed: {', '.join(quiet)}.")
    text = "\n".join(lines)
    print(text)
    if args.seeds:
        for n in names:
            print(n, seeds[n][:40])
    if args.markdown:
        args.markdown.write_text(text + "\n", encoding="utf-8")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
