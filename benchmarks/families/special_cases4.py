"""Write the reinforcement cases of `dev4` and `sealed4`."""

import shutil
from pathlib import Path

from families import logs
from families.special4 import CASES, TAGS, random_return, train_arms, train_table
from families.special_cases import keep
from families.special_cases3 import judge


def write_special(split, out):
    """Train, write and label; returns lines on what became of each."""
    twins, said, letter = {}, [], {"dev4": "i", "sealed4": "j"}[split]
    for k, (kind, name, how, seed) in enumerate(CASES[split]):
        case = f"{letter}{901 + k:04d}"
        path = Path(out) / case
        shutil.rmtree(path, ignore_errors=True)
        train = train_table if kind == "table" else train_arms
        rows = train(seed, **how)
        if how and (kind, seed) not in twins:
            twins[kind, seed] = train(seed)
        verdict = judge(rows, twins.setdefault((kind, seed), rows), name, random_return(kind))
        if verdict is None:
            said.append(f"{case} dropped {kind} {name}")
            continue
        start = logs.START + 6e5 * (k + 1) + (4e6 if split == "dev4" else 1.3e7)
        written = {"rows": rows, "tags": TAGS[kind], "start": start, "pace": 0.4, "verdict": verdict}
        said.append(keep(path, kind=kind, name=name, split=split, seed=seed, task=f"rl_{kind}", **written))
    return said
