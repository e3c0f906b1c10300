"""The accuracy table: tbdiag, and other tools beside it, on folders of labelled runs.

    python benchmarks/accuracy.py FOLDER [FOLDER ...] [--details] [--only WORD] [--markdown FILE] [--json FILE]
    python benchmarks/accuracy.py FOLDER --peer 'runmedic=VENV/bin/python runmedic.py {logdir}'

A folder holds ``CASE/logs`` and ``CASE/label.json`` (as `benchmarks/generate.py` writes them). tbdiag runs through its Python interface, one
process a core, and the seconds are those of reading and judging; ``--command`` times the command line instead. A peer is a command that prints
``{"findings": [{"id", "severity", "step"}]}``. Notes are neither credited nor counted; ``--count-notes NAME`` counts them for a peer that
says everything in notes. Intervals are 95 % bootstrap intervals over cases.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import scoring
from scoring import Said, Verdict

SHORT = {
    "macro F1": "macro F1",
    "first finding right": "first right",
    "healthy without error or warning": "healthy quiet",
    "false alarms a healthy run": "false/healthy",
    "overfitting F1": "overfitting F1",
    "onset in the interval": "onset",
    "seconds a run": "s/run",
}


def said_by_report(report: dict[str, Any], seconds: float) -> Said:
    """The findings of a report's worst run, in the scorer's form; the onset is the middle of its interval."""
    findings, best = [], None
    for run in report["runs"]:
        checkpoint = run.get("best_checkpoint")
        if best is None and checkpoint:
            best = checkpoint["step"]
        for f in run["findings"]:
            onset = f.get("onset")
            step = (onset["first_step"] + onset["last_step"]) / 2 if onset else None
            findings.append(
                {"id": f["id"], "severity": f["severity"], "step": step, "confidence": f["confidence"], "caused_by": f["caused_by"]}
            )
    return Said(findings, best, seconds)


def ask_tbdiag(logs: Path) -> Said:
    """Read and judge in this process."""
    import tbdiag

    start = time.perf_counter()
    try:
        report = tbdiag.diagnose(tbdiag.read(logs)).to_dict()
    except Exception as error:
        return Said((), None, time.perf_counter() - start, f"{type(error).__name__}: {error}")
    return said_by_report(report, time.perf_counter() - start)


def ask_command_line(logs: Path) -> Said:
    """Run ``tbdiag report`` as a person would."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "tbdiag", "report", str(logs), "--format", "json", "-o", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        return Said((), None, seconds, done.stderr.strip()[-200:])
    return said_by_report(json.loads(done.stdout), seconds)


def ask_peer(command: str, timeout: float, logs: Path) -> Said:
    """Run another tool's adapter; its last JSON object with findings counts."""
    start = time.perf_counter()
    line = command.replace("{logdir}", shlex.quote(str(logs)))
    try:
        done = subprocess.run(line, shell=True, capture_output=True, text=True, errors="replace", timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return Said((), None, timeout, "timeout")
    seconds = time.perf_counter() - start
    for text in reversed(done.stdout.strip().splitlines() or [""]):
        try:
            said = json.loads(text)
        except ValueError:
            continue
        if isinstance(said, dict) and isinstance(said.get("findings"), list):
            return Said([f for f in said["findings"] if isinstance(f, dict)], said.get("best_step"), seconds)
    return Said((), None, seconds, (done.stderr or "no JSON").strip()[-200:])


def ask_everyone(name: str, command: str, labels: Sequence[scoring.Label], options: argparse.Namespace) -> list[Said]:
    """A peer's answers to all cases, taken from ``--keep`` where they lie there already."""
    kept = options.keep / f"{name}.json" if options.keep else None
    known = json.loads(kept.read_text(encoding="utf-8")) if kept and kept.exists() else {}
    ask = partial(ask_peer, command, options.timeout)
    new = [label for label in labels if _key(label) not in known]
    with ThreadPoolExecutor(options.jobs) as threads:
        for label, said in zip(new, threads.map(ask, [label.logs for label in new]), strict=True):
            known[_key(label)] = dataclasses.asdict(said)
    if kept and new:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(known) + "\n", encoding="utf-8")
    return [Said(**known[_key(label)]) for label in labels]


def _key(label: scoring.Label) -> str:
    return f"{label.logs.parent.parent.name}/{label.name}"


def show(value: float | None, bounds: tuple[float, float] | None = None) -> str:
    """A figure with its interval, ``-`` where it is undefined."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.3f}" + (f" ({bounds[0]:.2f}-{bounds[1]:.2f})" if bounds else "")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table."""
    out = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return out + ["| " + " | ".join(str(c) for c in row) + " |" for row in rows]


def describe(name: str, verdicts: Sequence[Verdict], resamples: int) -> list[str]:
    """The whole of one tool's results as Markdown."""
    faulty, healthy = sum(bool(v.label.primary) for v in verdicts), sum(v.label.healthy for v in verdicts)
    failed = sum(bool(v.said.error) for v in verdicts)
    lines = [f"### {name}: {len(verdicts)} cases, {faulty} with a fault, {healthy} healthy, {failed} not answered", ""]
    rows = [(n, show(f(verdicts), scoring.interval(verdicts, n, resamples))) for n, f in scoring.FIGURES.items()]
    lines += [*table(("figure", "value (95 % interval)"), rows), ""]
    per = scoring.per_id(verdicts)
    ids = [(i, r.support, r.hits, r.false, show(r.precision), show(r.recall), show(r.f1)) for i, r in per.items()]
    lines += [*table(("finding", "cases", "found", "false alarms", "precision", "recall", "F1"), ids), ""]
    confidences = [c for v in verdicts for c in v.confidences]
    if confidences:
        bins = [(b, f"{c:.2f}", f"{r:.2f}", n) for b, c, r, n in scoring.reliability(confidences)]
        lines += [*table(("confidence", "mean", "share right", "findings"), bins), ""]
    return lines


def compare(results: dict[str, list[Verdict]], resamples: int) -> list[str]:
    """Tools side by side."""
    rows = []
    for name, verdicts in results.items():
        rows.append([name, *(show(scoring.FIGURES[k](verdicts), scoring.interval(verdicts, k, resamples)) for k in SHORT)])
    return [*table(("tool", *SHORT.values()), rows), ""]


def details(verdicts: Sequence[Verdict]) -> list[str]:
    """One line a case with a miss, a false alarm or an error."""
    out = []
    for v in verdicts:
        late = [i for i, ok in v.onsets.items() if not ok]
        if v.missed or v.false or v.said.error or late or (v.label.primary and not v.top):
            said = [f"{f['id']}:{f['severity']}@{f.get('step')}" for f in v.said.findings]
            out.append(
                f"{v.label.name} [{v.label.about}] missed={v.missed} false={v.false} onset={late} top={v.top} said={said} {v.said.error}"
            )
    return out


def main() -> None:
    """Parse the command line, ask every tool about every case, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=CMD", help="another tool; {logdir} stands for the logdir")
    parser.add_argument("--count-notes", action="append", default=[], metavar="NAME", help="count this peer's notes as warnings")
    parser.add_argument("--only", default="", help="only cases whose task, fault, mechanism or logger contains this")
    parser.add_argument("--details", action="store_true", help="a line for every case that is not wholly right")
    parser.add_argument("--command", action="store_true", help="run the command line instead of the Python interface")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=120.0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the peers' answers here and do not ask again what lies here")
    parser.add_argument("--resamples", type=int, default=400, help="of the bootstrap")
    parser.add_argument("--markdown", type=Path, help="write the tables here as well")
    parser.add_argument("--json", type=Path, help="write every case's verdict here")
    options = parser.parse_args()
    labels = [label for folder in options.folders for label in scoring.load_labels(folder, options.only)]
    if not labels:
        sys.exit("no labelled cases: a folder must hold CASE/label.json")
    results: dict[str, list[Verdict]] = {}
    with ProcessPoolExecutor(options.jobs) as pool:
        ask = ask_command_line if options.command else ask_tbdiag
        answers = pool.map(ask, [label.logs for label in labels], chunksize=4)
        results["tbdiag"] = [scoring.judge(label, said) for label, said in zip(labels, answers, strict=True)]
    for peer in options.peer:
        name, command = peer.split("=", 1)
        said = ask_everyone(name, command, labels, options)
        count = name in options.count_notes
        results[name] = [scoring.judge(label, s, count_notes=count) for label, s in zip(labels, said, strict=True)]
    lines = compare(results, options.resamples) if len(results) > 1 else []
    lines += describe("tbdiag", results["tbdiag"], options.resamples)
    print("\n".join(lines))
    if options.details:
        print("\n".join(details(results["tbdiag"])))
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if options.json:
        plain = {
            name: [{"case": v.label.name, "found": v.found, "missed": v.missed, "false": v.false, "top": v.top} for v in verdicts]
            for name, verdicts in results.items()
        }
        options.json.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
