"""How fast a night is: first night, nothing changed, 1 % grown, against runmedic, which judges every run as well.

    python benchmarks/nightly.py --runs 10000 --folder /var/tmp/tbdiag-bench --runmedic .venv-runmedic/bin/runmedic

Writes seeded logs (5 tags x 500 points a run, one run in ten with a fault, 3 % live) once, then times each night as a process of its
own: wall clock, CPU of all its processes, largest process. runmedic judges a sample of the same runs between the nights; its time is
scaled to all runs. Of the further nights without a change the median is told. Results go to standard output as a table and with --json to a file.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.eventlog import scalar_file, scalar_record

NOW = 1_780_000_000.0
POINTS = 500
SECONDS = 60.0
LIVE = 0.03
TAGS = ("loss/train", "loss/val", "accuracy/val", "lr", "grad_norm")


def make_series(i: int, n: int = POINTS) -> dict[str, np.ndarray]:
    """Five curves of run `i`; every tenth run has one of four faults."""
    rng = np.random.default_rng(i)
    x = np.linspace(0, 1, n)
    floor, rate = rng.uniform(0.2, 0.6), rng.uniform(4, 9)
    train = floor + 2 * np.exp(-rate * x) + rng.normal(0, 0.02, n)
    val = floor + 0.08 + 2 * np.exp(-rate * x) + rng.normal(0, 0.02, n)
    norm = 1 + 0.5 * np.exp(-rate * x) + rng.normal(0, 0.05, n)
    if i % 10 == 3:
        fault = (i // 10) % 4
        if fault == 0:
            val = val + 1.2 * np.clip(x - 0.3, 0, None)
        elif fault == 1:
            train[int(0.6 * n) :] = np.nan
        elif fault == 2:
            norm[int(0.5 * n) :] *= 400
            train = train + np.where(x > 0.5, 3 * (x - 0.5), 0)
            val = val + np.where(x > 0.5, 3 * (x - 0.5), 0)
        else:
            train = 2.3 + rng.normal(0, 0.01, n)
            val = 2.3 + rng.normal(0, 0.01, n)
    accuracy = np.clip(1 - val / 3, 0, 1)
    return dict(zip(TAGS, (train, val, accuracy, 1e-3 * (1 + np.cos(np.pi * x)) / 2, norm), strict=True))


def run_folder(folder: Path, i: int) -> Path:
    """Where run `i` lies: 40 owners, 10 projects each."""
    return folder / f"user{i % 40:02d}" / f"project{i // 40 % 10}" / f"run_{i:05d}"


def begin_time(i: int) -> float:
    """When run `i` began; live ones end at `NOW`."""
    back = random.Random(i).uniform(1, 60) * 86400
    return NOW - POINTS * SECONDS - (0 if is_live(i) else back)


def is_live(i: int) -> bool:
    """Whether run `i` is still being written at `NOW`."""
    return i % 100 < 100 * LIVE


def write_one(job: tuple[str, int]) -> int:
    """Write run `i`, its modification time at its last record."""
    folder, i = Path(job[0]), job[1]
    target = run_folder(folder, i)
    target.mkdir(parents=True)
    start = begin_time(i)
    file = target / f"events.out.tfevents.{int(start)}.host{i % 7}.{1000 + i}.0"
    file.write_bytes(scalar_file(make_series(i), start, SECONDS))
    end = start + POINTS * SECONDS
    os.utime(file, (end, end))
    return 1


def make_logs(folder: Path, runs: int) -> None:
    """Write all logs, unless they are there already."""
    if (folder / ".complete").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    begun = time.time()
    with multiprocessing.Pool() as pool:
        total = sum(pool.imap_unordered(write_one, [(str(folder), i) for i in range(runs)], chunksize=50))
    (folder / ".complete").touch()
    print(f"wrote {total:,} runs in {time.time() - begun:.0f} s", file=sys.stderr)


def grow(folder: Path, runs: int, share: float, round_: int) -> int:
    """Append ten more steps to live runs, `share` of all runs; returns how many."""
    grown = 0
    for i in (i for i in range(runs) if is_live(i)):
        if grown >= share * runs:
            break
        file = next(run_folder(folder, i).glob("events*"))
        at = NOW + round_ * 600
        with file.open("ab") as sink:
            for k in range(10):
                for tag in TAGS:
                    sink.write(scalar_record(tag, POINTS + 10 * round_ + k, 0.4, at + k))
        os.utime(file, (at + 10, at + 10))
        grown += 1
    return grown


def timed(command: list[str], env: dict[str, str]) -> dict[str, float]:
    """Wall clock, CPU seconds and largest process (MiB) of a command and all its children, once the disk has what was written before."""
    os.sync()
    code = (
        "import resource,subprocess,sys,time,json;t=time.perf_counter();"
        "r=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL,stderr=subprocess.PIPE,text=True);w=time.perf_counter()-t;"
        "u=resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(json.dumps({'code':r.returncode,'wall':w,'cpu':u.ru_utime+u.ru_stime,'mib':u.ru_maxrss/1024,'log':r.stderr[-2000:]}))"
    )
    out = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, env=env, check=True)
    result = json.loads(out.stdout)
    if result["code"] != 0:
        raise SystemExit(f"{' '.join(command)} ended with {result['code']}:\n{result['log']}")
    return result


def night(folder: Path, work: Path, now: float, *more: str) -> dict[str, float]:
    """One night as users run it."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is not compiled at each start
    command = [sys.executable, "-m", "tbdiag", "nightly", str(folder), "--site", str(work / "site"), "--state", str(work / "state")]
    return timed([*command, "--now", str(now), *more], env)


def runmedic(executable: str, folder: Path, runs: int, sample: int) -> dict[str, float]:
    """Time runmedic on every k-th run, through links in a folder of their own."""
    links = folder.with_name(folder.name + "-sample")
    shutil.rmtree(links, ignore_errors=True)
    links.mkdir()
    step = max(1, runs // sample)
    chosen = range(0, runs, step)
    for i in chosen:
        target = links / f"run_{i:05d}"
        target.mkdir()
        file = next(run_folder(folder, i).glob("events*"))
        os.link(file, target / file.name)
    result = timed([executable, "diagnose", str(links)], dict(os.environ))
    shutil.rmtree(links)
    return {
        "wall": result["wall"] * runs / len(chosen),
        "cpu": result["cpu"] * runs / len(chosen),
        "mib": result["mib"],
        "sample": len(chosen),
    }


def main() -> None:
    """Generate, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, required=True, help="where logs and state are written (1.3 GB for 10,000 runs)")
    parser.add_argument("--runmedic", help="path of the runmedic command; left out if not given")
    parser.add_argument("--sample", type=int, default=1000, help="runs that runmedic judges")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--skip-no-site", action="store_true")
    parser.add_argument("--keep-logs", action="store_true", help="leave the logs for the next time, though some have grown")
    options = parser.parse_args()
    logs, work = options.folder / f"logs-{options.runs}", options.folder / f"work-{options.runs}"
    make_logs(logs, options.runs)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    results: dict[str, dict[str, float]] = {}

    def note(name: str, result: dict[str, float]) -> None:
        results[name] = result
        print(f"{name:28} {result['wall']:8.2f} s wall {result['cpu']:8.2f} s CPU {result['mib']:7.0f} MiB", flush=True)

    if options.runmedic:
        note("runmedic (scaled)", runmedic(options.runmedic, logs, options.runs, options.sample))
    note("first night", night(logs, work, NOW))
    if options.runmedic:
        note("runmedic again (scaled)", runmedic(options.runmedic, logs, options.runs, options.sample))
    note("second night, unchanged", night(logs, work, NOW + 1))
    further = [night(logs, work, NOW + 2 + k) for k in range(4)]
    note("four more nights, unchanged", {key: statistics.median(one[key] for one in further) for key in ("wall", "cpu", "mib")})
    grow(logs, options.runs, 0.01, 0)
    note("1 % grown", night(logs, work, NOW + 60))
    if not options.skip_no_site:
        shutil.rmtree(work)
        note("first night, --no-site", night(logs, work, NOW + 60, "--no-site"))
        if options.runmedic:
            note("runmedic once more (scaled)", runmedic(options.runmedic, logs, options.runs, options.sample))
    if not options.keep_logs:
        (logs / ".complete").unlink()
    cores = len(os.sched_getaffinity(0))
    first = results["first night"]
    print(
        f"\nper run, first night: {1000 * first['cpu'] / options.runs:.2f} ms CPU; cores in use {first['cpu'] / first['wall'] / cores:.0%}"
    )
    for name in ("second night, unchanged", "four more nights, unchanged", "1 % grown"):
        print(
            f"{name}: {results[name]['wall'] / first['wall']:.1%} of the first night (wall), {results[name]['cpu'] / first['cpu']:.1%} (CPU)"
        )
    if options.runmedic:
        # Each against the peer's rounds before and after it: the speed of a shared machine changes within minutes.
        again = "runmedic again (scaled)"
        for name, rounds in (
            ("first night", ("runmedic (scaled)", again)),
            ("first night, --no-site", (again, "runmedic once more (scaled)")),
        ):
            if name in results:
                wall, cpu = (statistics.mean(results[x][key] for x in rounds) / results[name][key] for key in ("wall", "cpu"))
                print(f"{name}: {wall:.1f} x as fast as runmedic (wall), {cpu:.1f} x (CPU)")
    print(
        f"load average {os.getloadavg()[0]:.1f}, largest process ever {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB"
    )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
