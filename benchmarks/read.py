"""How fast event files are read, against the readers that people have.

    python benchmarks/read.py                     all inputs, all readers, three rounds (some 40 minutes on one core)
    python benchmarks/read.py --quick             a tenth of the size, one round
    python benchmarks/read.py --inputs scalars --readers tbdiag event-accumulator --rounds 1

Every reader runs in a process of its own, interleaved round by round with the others on the same input, because other work on the
machine moves absolute times by half; ratios are taken within a round and their median is shown. Times are CPU seconds (user and
system) of the read alone, from paths to numpy arrays of all points; imports are excluded, and shown for the whole process apart. Memory
is the growth of the peak over what the process held after its imports. All readers must return the same numbers: each result is
hashed, and a difference ends the benchmark.

Peers, where installed: TensorBoard's EventAccumulator (every point kept), tbparse, and TensorBoard's data server ("RustBoard": load and
fetch over gRPC; CPU of both processes, without payload checksums, its default). tbdiag checks every checksum."""

from __future__ import annotations

import argparse
import datetime
import functools
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
NAME = "events.out.tfevents.1700000000.host.1.0"
READERS = ["tbdiag", "bytes", "event-accumulator", "tbparse", "rustboard"]
INPUTS = ["scalars", "tensors", "runs", "irregular", "histos", "histogram-tensors", "images"]
TITLES = {
    "scalars": "one run, 20 scalar tags x {steps:,} steps, simple_value",
    "tensors": "the same as TF2 tensors, metadata on every event",
    "runs": "{runs:,} runs x 10 tags x 1,000 steps",
    "irregular": "irregular log (mixed cadences)",
    "histos": "TF1 histo, 30 tags x {hsteps:,} steps",
    "histogram-tensors": "TF2 histogram tensors, 30 tags x 500 steps",
    "images": "scalars among {images:,} images of 300 kB",
}
TARGETS = {
    "scalars": {"event-accumulator": 120, "tbparse": 120, "rustboard": 8},
    "tensors": {"event-accumulator": 200, "tbparse": 200, "rustboard": 8},
    "runs": {"event-accumulator": 50, "tbparse": 50, "rustboard": 2},
    "irregular": {"event-accumulator": 45, "tbparse": 45},
    "histos": {"event-accumulator": 100, "tbparse": 90, "rustboard": 4},
    "histogram-tensors": {"event-accumulator": 50, "tbparse": 50},
    "images": {"event-accumulator": 250, "rustboard": 2},
}


def build(root: Path, sizes: dict[str, int]) -> None:
    """Write the inputs that are not there yet."""
    import inputs as make

    writers = {
        "scalars": lambda d: make.write_scalars(d / NAME, make.tags(20), sizes["steps"], make.simple),
        "tensors": lambda d: make.write_scalars(d / NAME, make.tags(20), sizes["steps"], make.tensor),
        "runs": lambda d: make.write_many(d, sizes["runs"]),
        "irregular": lambda d: make.write_irregular(d / NAME),
        "histos": lambda d: make.write_histos(d / NAME, 30, sizes["hsteps"]),
        "histogram-tensors": lambda d: make.write_histogram_tensors(d / NAME),
        "images": lambda d: make.write_images(d / NAME, sizes["images"] * 5, sizes["images"]),
    }
    for name in sizes["inputs"]:
        directory = root / name
        done = directory.with_suffix(".done")
        shape = json.dumps({k: v for k, v in sizes.items() if k != "inputs"})
        if not done.exists() or done.read_text() != shape:
            writers[name](directory)
            done.write_text(shape)


class Digest:
    """Hash of all points, whatever order series come in."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}
        self.points = 0

    def add(self, run: str, tag: str, *columns) -> None:
        import numpy as np

        self.points += len(columns[0])
        arrays = [np.ascontiguousarray(np.asarray(c, dtype=d)) for c, d in zip(columns, ("<i8", "<f8", None, None), strict=False)]
        self.parts[f"{run}\0{tag}"] = hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()

    def hex(self) -> str:
        return hashlib.sha256(json.dumps(self.parts, sort_keys=True).encode()).hexdigest()[:16]


def read_tbdiag(path: Path, kind: str):
    from tbdiag import logs

    runs = logs.read_runs(path)

    def digest(out: Digest) -> None:
        import numpy as np

        for run in runs:
            for s in run.series.values():
                out.add(run.name, s.tag, s.step, s.wall_time, s.value.astype("<f4"))
            for h in run.histograms.values():
                if h.left is None:
                    out.add(run.name, h.tag, h.step, h.wall_time, np.concatenate([h.right, h.count]))
                else:
                    out.add(run.name, h.tag, h.step, h.wall_time, np.stack([h.left, h.right, h.count], axis=1))

    return digest


def read_event_accumulator(path: Path, kind: str):
    import numpy as np
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    sizes = {"scalars": 0, "histograms": 0, "tensors": 0, "images": 1, "audio": 1, "compressedHistograms": 1}
    found = {}
    for directory in sorted({p.parent for p in path.rglob("*tfevents*")}):
        accumulator = EventAccumulator(str(directory), size_guidance=sizes, purge_orphaned_data=False)
        accumulator.Reload()
        name = directory.relative_to(path).as_posix()
        tags = accumulator.Tags()
        for tag in tags["scalars"]:
            events = accumulator.Scalars(tag)
            arrays = ([e.step for e in events], [e.wall_time for e in events], np.array([e.value for e in events], "<f4"))
            found[name, tag] = arrays
        for tag in tags["tensors"] if kind != "images" else []:
            events = accumulator.Tensors(tag)
            value = np.array([tensor_util.make_ndarray(e.tensor_proto) for e in events])
            found[name, tag] = ([e.step for e in events], [e.wall_time for e in events], value)
        for tag in tags["histograms"]:
            events = accumulator.Histograms(tag)
            limits = [np.array(e.histogram_value.bucket_limit) for e in events]
            counts = [np.array(e.histogram_value.bucket) for e in events]
            found[name, tag] = ([e.step for e in events], [e.wall_time for e in events], np.concatenate(limits + counts))

    def digest(out: Digest) -> None:
        for (name, tag), (step, wall, value) in found.items():
            out.add(name, tag, step, wall, value.reshape(-1, 3) if value.ndim == 3 else value)

    return digest


def read_tbparse(path: Path, kind: str):
    import numpy as np
    from tbparse import SummaryReader

    wanted = {"scalars": {"scalars"}, "tensors": {"tensors"}, "histos": {"histograms"}, "histogram-tensors": {"tensors"}}
    types = wanted.get(kind, {"scalars"})
    reader = SummaryReader(str(path), extra_columns={"wall_time", "dir_name"}, event_types=types)
    frames = {name: getattr(reader, name) for name in types}

    def digest(out: Digest) -> None:
        for name, frame in frames.items():
            for (directory, tag), rows in frame.groupby(["dir_name", "tag"]):
                # tbparse sorts by step; the inputs are in order of step.
                run = directory or "."
                if name == "histograms":
                    value = np.concatenate([*map(np.asarray, rows["limits"]), *map(np.asarray, rows["counts"])])
                elif name == "tensors" and kind == "histogram-tensors":
                    value = np.stack(list(rows["value"])).reshape(-1, 3)
                else:
                    value = rows["value"].to_numpy().astype("<f4")
                out.add(run, tag, rows["step"].to_numpy(), rows["wall_time"].to_numpy(), value)

    return digest


def read_rustboard(path: Path, kind: str):
    """Load by the data server, fetch all points; the caller adds the server's CPU time."""
    import grpc
    import numpy as np
    import tensorboard_data_server
    from tensorboard.data import grpc_provider
    from tensorboard.data.proto import data_provider_pb2 as pb

    directories = sorted({p.parent.relative_to(path).as_posix() for p in path.rglob("*tfevents*")})
    with tempfile.TemporaryDirectory() as scratch:
        port_file = Path(scratch) / "port"
        command = [tensorboard_data_server.server_binary(), f"--logdir={path}", "--port=0", f"--port-file={port_file}"]
        command += ["--reload=once", "--samples-per-plugin=scalars=all,histograms=all,images=1", "--die-after-stdin"]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            while not port_file.exists() or not port_file.read_text().endswith("\n"):
                time.sleep(0.01)
            options = [("grpc.max_receive_message_length", 1 << 30)]
            channel = grpc.insecure_channel(f"localhost:{port_file.read_text().strip()}", options=options)
            stub = grpc_provider.make_stub(channel)
            plugin = "histograms" if kind.startswith("histo") else "scalars"
            selection = pb.PluginFilter(plugin_name=plugin)
            steady, before = 0, -1.0
            while steady < 5:
                # Loading is over when the server uses no time any more.
                now = _process_cpu(server.pid)
                steady = steady + 1 if now - before < 0.005 else 0
                before = now
                time.sleep(0.3)
            list_request = pb.ListScalarsRequest(experiment_id="e", plugin_filter=selection)
            read = stub.ListScalars if plugin == "scalars" else stub.ListTensors
            if plugin == "histograms":
                list_request = pb.ListTensorsRequest(experiment_id="e", plugin_filter=selection)
            runs = read(list_request).runs
            found = {}
            for run in runs:
                chosen = pb.RunTagFilter(runs=pb.RunFilter(names=[run.run_name]))
                sample = pb.Downsample(num_points=10_000_000)
                if plugin == "scalars":
                    request = pb.ReadScalarsRequest(experiment_id="e", plugin_filter=selection, run_tag_filter=chosen, downsample=sample)
                    for entry in stub.ReadScalars(request).runs[0].tags:
                        data = entry.data
                        columns = np.array(data.step), np.array(data.wall_time), np.array(data.value, "<f4")
                        found[run.run_name, entry.tag_name] = columns
                else:
                    request = pb.ReadTensorsRequest(experiment_id="e", plugin_filter=selection, run_tag_filter=chosen, downsample=sample)
                    for entry in stub.ReadTensors(request).runs[0].tags:
                        data = entry.data
                        found[run.run_name, entry.tag_name] = np.array(data.step), np.array(data.wall_time), np.zeros(0, "<f4")
            read_rustboard.server_cpu = _process_cpu(server.pid)
        finally:
            server.stdin.close()
            server.wait()
    assert len(directories) == len(runs), "the server had not read everything"

    def digest(out: Digest) -> None:
        for (name, tag), (step, wall, value) in found.items():
            out.add(name, tag, step, wall, value)

    return digest


def _process_cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_bytes(path: Path, kind: str):
    """The floor: read every file and take one CRC32C over it."""
    import google_crc32c

    for file in sorted(path.rglob("*tfevents*")):
        data = file.read_bytes()
        if kind != "images":
            google_crc32c.value(data)
    return lambda out: None


def work(reader: str, path: Path, kind: str) -> None:
    """One measurement in this process; prints JSON."""
    functions = {
        "tbdiag": read_tbdiag,
        "event-accumulator": read_event_accumulator,
        "tbparse": read_tbparse,
        "rustboard": read_rustboard,
        "bytes": read_bytes,
    }
    function = functions[reader]
    _import(reader)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    digest = function(path, kind)
    cpu = time.process_time() - began + getattr(function, "server_cpu", 0.0)
    whole = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    out = Digest()
    digest(out)
    print(
        json.dumps({"cpu": cpu, "process": whole, "peak_mb": peak / 1024, "points": out.points, "digest": out.hex() if out.parts else None})
    )


def _import(reader: str) -> None:
    if reader == "tbdiag":
        import tbdiag.events.reader
        import tbdiag.logs.assembly  # noqa: F401
    elif reader == "event-accumulator":
        import tensorboard.backend.event_processing.event_accumulator
        import tensorboard.util.tensor_util
    elif reader == "tbparse":
        import tbparse  # noqa: F401
    elif reader == "rustboard":
        import tensorboard.data.grpc_provider  # noqa: F401
    elif reader == "bytes":
        import google_crc32c  # noqa: F401


def run_one(reader: str, path: Path, kind: str) -> dict:
    command = [sys.executable, __file__, "--work", reader, str(path), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode:
        raise SystemExit(f"{reader} failed on {kind}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


@functools.cache
def _environment() -> dict[str, str]:
    """That of an installed package, whose modules are compiled: a checkout's are compiled here, before anything is measured."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(HERE.parent / "tbdiag")], check=True, env=environment)
    return environment


def available(reader: str) -> bool:
    import importlib.util

    needed = {"tbparse": "tbparse", "rustboard": "tensorboard_data_server", "event-accumulator": "tensorboard"}
    return reader not in needed or importlib.util.find_spec(needed[reader]) is not None


def applies(reader: str, kind: str) -> bool:
    return reader in ("tbdiag", "bytes", *TARGETS[kind])


def measure(root: Path, kind: str, readers: list[str], rounds: int) -> dict[str, list[dict]]:
    results: dict[str, list[dict]] = {reader: [] for reader in readers if applies(reader, kind)}
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
    parser.add_argument("--work", nargs=3, metavar=("READER", "PATH", "KIND"), help=argparse.SUPPRESS)
    parser.add_argument("--inputs", nargs="+", default=INPUTS, choices=INPUTS)
    parser.add_argument("--readers", nargs="+", default=READERS, choices=READERS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, one round")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the inputs, 1 for the full ones")
    parser.add_argument("--directory", type=Path, help="where inputs are kept between calls (default: a temporary directory)")
    options = parser.parse_args()
    if options.work:
        work(options.work[0], Path(options.work[1]), options.work[2])
        return
    scale = 0.1 if options.quick else options.scale
    rounds = 1 if options.quick else options.rounds
    sizes = {"steps": int(50_000 * scale), "runs": int(500 * scale), "hsteps": int(500 * scale), "images": int(1024 * scale)}
    readers = [r for r in options.readers if available(r)]
    for reader in sorted(set(options.readers) - set(readers)):
        print(f"not installed, left out: {reader}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        root = options.directory or Path(scratch)
        root.mkdir(parents=True, exist_ok=True)
        build(root, {**sizes, "inputs": options.inputs})
        results = {kind: measure(root, kind, readers, rounds) for kind in options.inputs}
    print(f"{datetime.date.today().isoformat()}, {os.cpu_count()} cores, {rounds} round{'s' * (rounds > 1)}, scale {scale:g}\n")
    print(show(results, sizes))
    for kind, table in results.items():
        wholes = {
            reader: statistics.median(r["process"] for r in rows)
            for reader, rows in table.items()
            if reader in ("tbdiag", "event-accumulator")
        }
        if len(wholes) == 2:
            ratio = wholes["event-accumulator"] / wholes["tbdiag"]
            ours, theirs = wholes["tbdiag"], wholes["event-accumulator"]
            print(f"\nwhole process, {kind}: tbdiag {ours:.2f} s, EventAccumulator {theirs:.2f} s, {ratio:.0f} x")


if __name__ == "__main__":
    main()
