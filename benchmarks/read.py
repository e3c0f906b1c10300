"""How fast event files are read, against the readers that people have.

    python benchmarks/read.py                     all inputs, all readers, three rounds (some 40 minutes on one core)
    python benchmarks/read.py --quick             a tenth of the size, one round
    python benchmarks/read.py --inputs scalars --readers tbdiag event-accumulator --rounds 1
    python benchmarks/read.py --whole             whole processes, start to arrays, on logs of 10 MB

Every reader runs in a process of its own, interleaved round by round with the others on the same input, because other work on the
machine moves absolute times by half; ratios are taken within a round and their median is shown. Times are CPU seconds (user and
system) of the read alone, from paths to numpy arrays of all points; imports are excluded, and measured by --whole. Memory is the peak of
what the process held in memory while it read, above what it held before. All readers must return the same numbers: each result is hashed,
and a difference ends the benchmark.

The host of a virtual machine takes free memory back, and the first touch of a page that it must give again costs up to fifty times as much
as that of another: half a second for the arrays of 170 MB. So half a gigabyte is touched before each measurement, whose reader it is.

Peers, where installed: TensorBoard's EventAccumulator (every point kept), tbparse, and TensorBoard's data server ("RustBoard": load and
fetch over gRPC; CPU of both processes, without payload checksums, its default). tbdiag checks every checksum."""

from __future__ import annotations

import argparse
import datetime
import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import readers

NAME = "events.out.tfevents.1700000000.host.1.0"
INPUTS = ["scalars", "tensors", "runs", "irregular", "irregular-long", "histos", "histogram-tensors", "images"]
TITLES = {
    "scalars": "one run, 20 scalar tags x {steps:,} steps, simple_value",
    "tensors": "the same as TF2 tensors, metadata on every event",
    "runs": "{runs:,} runs x 10 tags x 1,000 steps",
    "irregular": "irregular log (mixed cadences)",
    "irregular-long": "the same, {long:,} steps",
    "histos": "TF1 histo, 30 tags x {hsteps:,} steps",
    "histogram-tensors": "TF2 histogram tensors, 30 tags x {tsteps:,} steps",
    "images": "scalars among {images:,} images of 300 kB",
}
TARGETS = {
    "scalars": {"event-accumulator": 120, "tbparse": 120, "rustboard": 8},
    "tensors": {"event-accumulator": 200, "tbparse": 200, "rustboard": 8},
    "runs": {"event-accumulator": 50, "tbparse": 50, "rustboard": 2},
    "irregular": {"event-accumulator": 45, "tbparse": 45},
    "irregular-long": {"event-accumulator": 45, "tbparse": 45},
    "histos": {"event-accumulator": 100, "tbparse": 90, "rustboard": 4},
    "histogram-tensors": {"event-accumulator": 50, "tbparse": 50},
    "images": {"event-accumulator": 250, "rustboard": 2},
}
WHOLE = {
    "scalars": {"steps": 10_200},
    "tensors": {"steps": 7_050},
    "runs": {"runs": 20},
    "irregular": {"irregular": 8_100},
    "histos": {"hsteps": 28},
    "histogram-tensors": {"tsteps": 414},
    "images": {"images": 33},
}
"""Sizes of logs of 10 MB."""


def build(root: Path, sizes: dict[str, int]) -> None:
    """Write the inputs that are not there yet."""
    import inputs as make

    writers = {
        "scalars": lambda d: make.write_scalars(d / NAME, make.tags(20), sizes["steps"], make.simple),
        "tensors": lambda d: make.write_scalars(d / NAME, make.tags(20), sizes["steps"], make.tensor),
        "runs": lambda d: make.write_many(d, sizes["runs"]),
        "irregular": lambda d: make.write_irregular(d / NAME, sizes["irregular"]),
        "irregular-long": lambda d: make.write_irregular(d / NAME, sizes["long"]),
        "histos": lambda d: make.write_histos(d / NAME, 30, sizes["hsteps"]),
        "histogram-tensors": lambda d: make.write_histogram_tensors(d / NAME, 30, sizes["tsteps"]),
        "images": lambda d: make.write_images(d / NAME, sizes["images"] * 5, sizes["images"]),
    }
    for name in sizes["inputs"]:
        directory = root / name
        done = directory.with_suffix(".done")
        shape = json.dumps({k: v for k, v in sizes.items() if k != "inputs"})
        if not done.exists() or done.read_text() != shape:
            shutil.rmtree(directory, ignore_errors=True)
            writers[name](directory)
            done.write_text(shape)


def run_one(reader: str, path: Path, kind: str) -> dict:
    subprocess.run([sys.executable, "-c", "import numpy; numpy.ones(1 << 26)"], check=True)
    command = [sys.executable, str(HERE / "readers.py"), reader, str(path), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode:
        raise SystemExit(f"{reader} failed on {kind}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


@functools.cache
def _environment() -> dict[str, str]:
    """That of an installed package, whose modules are compiled: a checkout's are compiled here, before anything is measured.

    numpy's linear algebra starts no threads, in no reader: that takes as long as all other imports, and tbdiag's command sets the same."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["OPENBLAS_NUM_THREADS"] = "1"
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(HERE.parent / "tbdiag")], check=True, env=environment)
    return environment


def available(reader: str) -> bool:
    import importlib.util

    needed = {"tbparse": "tbparse", "rustboard": "tensorboard_data_server", "event-accumulator": "tensorboard"}
    return reader not in needed or importlib.util.find_spec(needed[reader]) is not None


def applies(reader: str, kind: str) -> bool:
    return reader in ("tbdiag", "bytes", *TARGETS[kind])


def measure(root: Path, kind: str, names: list[str], rounds: int) -> dict[str, list[dict]]:
    results: dict[str, list[dict]] = {reader: [] for reader in names if applies(reader, kind)}
    for number in range(rounds):
        for reader in results:
            results[reader].append(run_one(reader, root / kind, kind))
            print(f"  {kind} round {number + 1} {reader}: {results[reader][-1]['cpu']:.3f} s", file=sys.stderr, flush=True)
    exact = {r: results[r][0]["digest"] for r in results if r != "bytes" and not (r == "rustboard" and kind.startswith("histo"))}
    if len(set(exact.values())) > 1:
        raise SystemExit(f"{kind}: the readers returned different numbers: {exact}")
    return results


def show(results: dict[str, dict[str, list[dict]]], sizes: dict[str, int]) -> str:
    """The tables as Markdown."""
    head = "| input | points | tbdiag, s | M points/s | EventAccumulator | tbparse | RustBoard | file's bytes | peak, MB | bytes a point |"
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    for kind, table in results.items():
        own = table["tbdiag"]
        cpu = statistics.median(r["cpu"] for r in own)
        points = own[0]["points"]
        cells = [TITLES[kind].format(**sizes), f"{points:,}", f"{cpu:.3f}", f"{points / cpu / 1e6:.1f}"]
        for peer in ("event-accumulator", "tbparse", "rustboard"):
            if peer in table:
                ratio = statistics.median(p["cpu"] / o["cpu"] for p, o in zip(table[peer], own, strict=True))
                cells.append(f"{ratio:.3g} x (goal {TARGETS[kind][peer]})")
            else:
                cells.append("")
        floor = (
            statistics.median(o["cpu"] / max(p["cpu"], 1e-4) for p, o in zip(table["bytes"], own, strict=True))
            if "bytes" in table
            else None
        )
        cells.append(f"{floor:.2g} x their time" if floor is not None else "")
        peak = statistics.median(r["peak_mb"] for r in own)
        cells += [f"{peak:.0f}", f"{peak * 2**20 / points:.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", nargs="+", default=INPUTS, choices=INPUTS)
    parser.add_argument("--readers", nargs="+", default=list(readers.READERS), choices=list(readers.READERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--whole", action="store_true", help="whole processes on logs of 10 MB instead of the read alone")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, one round")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the inputs, 1 for the full ones")
    parser.add_argument("--directory", type=Path, help="where inputs are kept between calls (default: a temporary directory)")
    options = parser.parse_args()
    scale = 0.1 if options.quick else options.scale
    rounds = 1 if options.quick else options.rounds
    sizes = {"steps": int(50_000 * scale), "runs": int(500 * scale), "hsteps": int(500 * scale), "images": int(1024 * scale)}
    sizes |= {"irregular": 4000, "long": int(40_000 * scale), "tsteps": 500}
    names = [r for r in options.readers if available(r)]
    for reader in sorted(set(options.readers) - set(names)):
        print(f"not installed, left out: {reader}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        root = options.directory or Path(scratch)
        root.mkdir(parents=True, exist_ok=True)
        when = f"{datetime.date.today().isoformat()}, {os.cpu_count()} cores, {rounds} round{'s' * (rounds > 1)}"
        if options.whole:
            print(f"{when}, logs of 10 MB\n\n{compare_processes(root, [k for k in options.inputs if k in WHOLE], sizes, rounds)}")
            return
        build(root, {**sizes, "inputs": options.inputs})
        results = {kind: measure(root, kind, names, rounds) for kind in options.inputs}
    print(f"{when}, scale {scale:g}\n")
    print(show(results, sizes))


def compare_processes(root: Path, kinds: list[str], sizes: dict[str, int], rounds: int) -> str:
    """CPU seconds of whole processes on logs of 10 MB, as a Markdown table."""
    lines = ["| log of 10 MB | MB | tbdiag, s | EventAccumulator, s | ratio |", "|---|---|---|---|---|"]
    for kind in kinds:
        build(root / "whole", {**sizes, **WHOLE[kind], "inputs": [kind]})
        rows = measure(root / "whole", kind, ["tbdiag", "event-accumulator"], rounds)
        own, peer = ([row["process"] for row in rows[reader]] for reader in ("tbdiag", "event-accumulator"))
        ratio = statistics.median(b / a for a, b in zip(own, peer, strict=True))
        size = sum(file.stat().st_size for file in (root / "whole" / kind).rglob("*tfevents*")) / 1e6
        title = TITLES[kind].format(**sizes | WHOLE[kind])
        lines.append(f"| {title} | {size:.1f} | {statistics.median(own):.2f} | {statistics.median(peer):.2f} | {ratio:.0f} x (goal 20) |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
