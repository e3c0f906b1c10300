"""Command line: write the cases of a split.

cd benchmarks && python -m families.generate OUT --split dev [--first 1] [--last 60] [--only WORD] [--relabel] [--special]
"""

import argparse
import json
import os
import pickle
import shutil
import sys
import traceback
import types
import zlib
from collections import Counter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

for _v in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_v, "1")

from families import damage, facts, files, labels, logs, onsets, plan, plan3, plan4, plan5, special_cases, special_cases3, special_cases4
from families.setups import Setup
from families.training import run

TWINS = {}
LETTER = {"dev": "e", "sealed": "f", "dev3": "g", "sealed3": "h", "dev4": "i", "sealed4": "j", "sealed5": "k", "dev5": "l"}
LETTER["sealed6"] = "m"
LETTER["sealed7"] = "o"
LETTER["sealed8"] = "q"
LETTER["sealed9"] = "v"
LETTER["sealed10"] = "w"
LETTER["sealed11"] = "y"
LETTER["sealed12"] = "k"
LETTER["sealed13"] = "q"
LETTER["sealed14"] = "sn"
LETTER["sealed15"] = "se"
LETTER["sealed16"] = "sx"
LETTER["sealed17"] = "sy"
LETTER["sealed18"] = "sz"
LETTER["sealed19"] = "ta"
LETTER["sealed20"] = "tb"


def build(case, tasks):
    """Train the case and its twin; returns (trace, twin)."""
    test = bool(case.conv.test_dir)
    key = (case.split, case.task, case.seed, test)
    if key not in TWINS:
        if len(TWINS) > 24:
            TWINS.clear()
        TWINS[key] = run(Setup(tasks[case.task](case.seed), case.seed, with_test=test))
    twin = TWINS[key]
    if case.mechanism.__name__ == "default":
        return twin, twin
    setup = Setup(tasks[case.task](case.seed), case.seed, with_test=test)
    case.mechanism(setup)
    return run(setup), twin


def finite_json(x):
    """Numbers that JSON can hold."""
    if isinstance(x, dict):
        return {k: finite_json(v) for k, v in x.items()}
    if isinstance(x, list | tuple):
        return [finite_json(v) for v in x]
    if hasattr(x, "item"):
        x = x.item()
    return (x if x == x and abs(x) != float("inf") else None) if isinstance(x, float) else x


def make(case, tasks, out):
    """Write one case; returns a word on what became of it."""
    name = f"{LETTER[case.split]}{case.index:04d}"
    path = Path(out) / name
    if path.exists():
        shutil.rmtree(path)
    trace, twin = build(case, tasks)
    start = logs.START + (zlib.crc32(f"{case.split}{case.index}".encode()) % 20000) * 700.0
    root = path / "logs"
    if case.damage:
        seen = damage.write(case, trace, root, start)
    else:
        seen = logs.write(trace, case.conv, case.extras, root, start, case.side)
        files.settle(root, start, case.index)
    at = (trace.setup.truth.get("event_step") or 0) + 1
    seen["event"] = (seen.pop("tx")(at), seen.pop("vx")(at))
    f = facts.measure(trace, twin, seen, case.conv)
    kept = types.SimpleNamespace(
        evals=[{"val_loss": e["val_loss"], "val_score": e["val_score"]} for e in trace.evals],
        rising=trace.setup.task.rising,
        later=int(case.split.lstrip("adelsv") or 0),
        setup=types.SimpleNamespace(truth=trace.setup.truth),
    )
    memory = Path(out).parent / f"{Path(out).name}-facts"
    memory.mkdir(exist_ok=True)
    (memory / f"{name}.pickle").write_bytes(pickle.dumps((f, kept, seen)))
    return settle_label(case, path, f, kept, seen)


def settle_label(case, path, f, trace, seen):
    """Decide and write the label; a case that shows nothing goes."""
    if trace.setup.truth.get("shift") and f.get("R"):
        truth = trace.setup.truth
        if trace.later >= 4 and "val" in seen["roles"] and f.get("n_evals", 0) >= 8:  # the side where it shows
            jump = {side: facts.event_jump(seen, {**truth, "shift": side}, f["R"]) for side in ("train", "val")}
            truth["shift"] = max(jump, key=lambda side: abs(jump[side][0]) * (abs(jump[side][0]) > 5 * jump[side][1]))
        f["event_jump"], f["event_noise"] = facts.event_jump(seen, truth, f["R"])
    verdict = damage.decide(case, f, trace, seen) if case.damage else labels.decide(f, trace, seen, case.healthy)
    verdict = case.mend(verdict, f) if verdict and hasattr(case, "mend") else verdict
    if verdict is None:
        shutil.rmtree(path, ignore_errors=True)
        finite = f["nonfinite_train"] is None and f["nonfinite_val"] is None
        return "dropped", sorted(labels.strict(f, trace.setup.truth, finite)), f
    nan = {"nan-inf"} if any("nan" in t or "bleu" in t for t in case.side) else set()
    note = lambda k: f"{f[k]:.4g}" if f.get(k) is not None else "-"  # noqa: E731
    label = {
        "case": path.name,
        "task": case.task,
        "fault": verdict["primary"][0] if verdict["primary"] else "none",
        "mechanism": case.damage or case.mechanism.__name__,
        "logger": case.conv.name,
        "healthy": case.healthy,
        "primary": verdict["primary"],
        "alt": verdict["alt"],
        "allowed": sorted((set(verdict["allowed"]) | nan) - set(verdict["primary"])),
        "onset": onsets.onsets(f, trace, seen, verdict["primary"]) if not case.damage else {},
        "best_step": onsets.best_step(f, trace, seen) if not case.damage else None,
        "why": f"{(case.mechanism.__doc__ or '').strip()} Train end {note('train_end')} of {note('L0')} (twin {note('target')}), val best {note('val_best')} end {note('val_end')} (twin {note('twin_val_best')}).",
        "split": case.split,
        "seed": case.seed,
        "extras": sorted(case.extras),
        "oracle": {
            **f,
            "strict_facts": verdict["strict"],
            "loose_facts": verdict["loose"],
            "logged": sorted(labels.written(f, seen["roles"])),
        },
    }
    (path / "label.json").write_text(json.dumps(finite_json(label), indent=1) + "\n")
    return "kept", verdict, f


def relabel(case, out):
    """Apply the rules again to remembered facts; the logs must be there (a dropped case stays dropped)."""
    name = f"{LETTER[case.split]}{case.index:04d}"
    path = Path(out) / name
    if not path.exists():
        return "absent", [], {}
    f, trace, seen = pickle.loads((path.parent.parent / f"{path.parent.name}-facts" / f"{name}.pickle").read_bytes())
    return settle_label(case, path, f, trace, seen)


def main():
    """Parse the arguments and write."""
    ap = argparse.ArgumentParser()
    ap.add_argument("out")
    ap.add_argument("--split", choices=tuple(LETTER), required=True)
    ap.add_argument("--first", type=int, default=1)
    ap.add_argument("--last", type=int, default=10**6)
    ap.add_argument("--only", default="")
    ap.add_argument("--relabel", action="store_true", help="apply the label rules again to what is there")
    ap.add_argument("--special", action="store_true", help="only the reinforcement and adversarial cases")
    a = ap.parse_args()
    if a.special:
        writer = {"3": special_cases3, "4": special_cases4}.get(a.split[-1], special_cases)
        print("\n".join(writer.write_special(a.split, a.out)))
        return
    chosen = {"3": plan3, "4": plan4, "5": plan5}.get(a.split[-1], plan)
    if find_spec(f"families.plan_{a.split}"):  # a split with a plan of its own
        chosen = import_module(f"families.plan_{a.split}")
    tasks = chosen.parts(a.split)[0]
    got, lost = Counter(), 0
    for case in chosen.cases(a.split):
        words = f"{case.task} {case.mechanism.__name__} {case.conv.name} {case.damage}"
        if not a.first <= case.index <= a.last or (a.only and a.only not in words):
            continue
        try:
            state, verdict, f = relabel(case, a.out) if a.relabel else make(case, tasks, a.out)
            if (
                state == "kept"
                and not a.relabel
                and a.split not in ("dev", "sealed", "dev3", "sealed3")  # the first plans say themselves how many
                and chosen.full(a.split, got, verdict)
            ):
                shutil.rmtree(Path(a.out) / f"{LETTER[a.split]}{case.index:04d}")
                state, verdict = "surplus", verdict["primary"]
        except Exception:
            print(f"{case.index:4d} FAILED  {words}", flush=True)
            traceback.print_exc()
            continue
        if state == "kept":
            got[verdict["primary"][0] if verdict["primary"] else "healthy" if case.healthy else "none"] += 1
            said = f"{verdict['primary']} alt {verdict['alt']}"
        else:
            lost, said = lost + 1, f"strict {verdict}"
        show = {
            k: round(float(f[k]), 3)
            for k in ("progress", "best_progress", "gap", "rise", "lost", "late_gain", "flat_change", "step_sd", "ups", "test_excess")
            if f.get(k) is not None
        }
        print(f"{case.index:4d} {state:7s} {words:60s} {said} {show}", flush=True)
    print(dict(got), "dropped", lost, file=sys.stderr)


if __name__ == "__main__":
    main()
