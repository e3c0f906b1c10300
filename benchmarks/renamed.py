"""How much is still named when one kind of word in the tags is unknown: labelled runs, renamed in memory.

    python benchmarks/renamed.py FOLDER [FOLDER ...] [--jobs 2] [--kinds loss,metric,split,lr,grad_norm] [--details]

Every word that names a kind (as tbdiag reads the run) is replaced by one that no language knows, the same word by the same one everywhere in
a run. What then is still right was read from the shape of the tags and of the curves.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import scoring
from accuracy import said_by_report

import tbdiag
from tbdiag.model import Role, Run, Series
from tbdiag.roles import resolve
from tbdiag.roles.splits import split_word

UNKNOWN = ["qualm", "zorp", "vorn", "braxel", "mundle", "tegory", "fripp", "slond", "warp", "dremble", "knurl", "opsin", "tarv", "blen"]
KINDS = {
    "loss": {Role.LOSS, Role.LOSS_COMPONENT},
    "metric": {Role.METRIC},
    "lr": {Role.LR},
    "grad_norm": {Role.GRAD_NORM, Role.LAYER_GRAD_NORM},
    "weight_norm": {Role.WEIGHT_NORM, Role.LAYER_WEIGHT_NORM},
    "confidence": {Role.CONFIDENCE, Role.CALIBRATION_ERROR},
    "share": {Role.PREDICTION_SHARE, Role.LABEL_SHARE},
    "class_metric": {Role.CLASS_METRIC},
    "activation": {Role.ACTIVATION_STAT},
    "loss_scale": {Role.LOSS_SCALE},
}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def rename(run: Run, kind: str) -> Run:
    """The run with unknown words for one kind: ``split`` in tags and directories, else in the tags of the kind's series."""
    roles = {s.name: s.role for s in resolve(run).all}
    words: dict[str, str] = {}

    def unknown(word: str) -> str:
        lower = word.lower()
        if lower not in words:
            turn, place = divmod(len(words), len(UNKNOWN))
            words[lower] = UNKNOWN[place] + ("x" * turn)
        return words[lower]

    def change(text: str, name: str) -> str:
        def swap(match: re.Match[str]) -> str:
            is_split = split_word(match[0].lower()) is not None
            hit = is_split if kind == "split" else not is_split and roles.get(name) in KINDS[kind]
            return unknown(match[0]) if hit else match[0]

        return _WORD.sub(swap, text)

    made: dict[str, Series] = {}
    for name, series in run.series.items():
        subrun = change(series.subrun, name) if kind == "split" else series.subrun
        new = dataclasses.replace(series, tag=change(series.tag, name), subrun=subrun)
        while new.name in made:
            new = dataclasses.replace(new, tag=new.tag + "_again")
        made[new.name] = new
    return dataclasses.replace(run, series=made)


def judge(task: tuple[scoring.Label, str]) -> scoring.Verdict:
    label, kind = task
    runs = tbdiag.read(label.logs)
    report = tbdiag.diagnose([rename(r, kind) for r in runs] if kind else runs).to_dict()
    return scoring.judge(label, said_by_report(report, 0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kinds", default="loss,metric,split,lr,grad_norm")
    parser.add_argument("--details", action="store_true", help="name the runs that were right and are not any more")
    args = parser.parse_args()
    labels = [label for folder in args.folders for label in scoring.load_labels(folder)]
    print("| unknown words | first finding right | of those right with known words | healthy with an alarm | false alarms on faulty runs |")
    print("| --- | --- | --- | --- | --- |")
    base: set[str] = set()
    with ProcessPoolExecutor(args.jobs) as pool:
        for kind in ("", *args.kinds.split(",")):
            verdicts = list(pool.map(judge, [(label, kind) for label in labels], chunksize=4))
            right = {str(v.label.logs) for v in verdicts if v.top}
            base = base or right
            faulty = [v for v in verdicts if v.label.primary]
            healthy = [v for v in verdicts if v.label.healthy]
            alarms = sum(bool(v.false) for v in healthy)
            false = sum(len(v.false) for v in faulty)
            print(
                f"| {kind or 'none'} | {len(right)} of {len(faulty)} | {len(right & base) / len(base):.1%} | {alarms} of {len(healthy)} | {false} |",
                flush=True,
            )
            if args.details:
                print("\n".join(sorted(base - right)), flush=True)


if __name__ == "__main__":
    main()
