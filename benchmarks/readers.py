"""The readers that the reader's benchmark compares: each takes paths to numpy arrays of all points, and tells how to hash them.

    python benchmarks/readers.py READER DIRECTORY KIND      one measurement, as JSON

What only the measuring needs is imported after it, so that whole processes can be compared."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path


class Digest:
    """Hash of all points, whatever order series come in."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}
        self.points = 0

    def add(self, run: str, tag: str, *columns) -> None:
        import hashlib

        import numpy as np

        self.points += len(columns[0])
        arrays = [np.ascontiguousarray(np.asarray(c, dtype=d)) for c, d in zip(columns, ("<i8", "<f8", None, None), strict=False)]
        self.parts[f"{run}\0{tag}"] = hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()

    def hex(self) -> str:
        import hashlib
        import json

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
    import subprocess
    import tempfile

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


READERS = {
    "tbdiag": read_tbdiag,
    "bytes": read_bytes,
    "event-accumulator": read_event_accumulator,
    "tbparse": read_tbparse,
    "rustboard": read_rustboard,
}


def load(reader: str) -> None:
    """Import what a reader needs, before anything is measured."""
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


def work(reader: str, path: Path, kind: str) -> None:
    """One measurement in this process; prints JSON."""
    function = READERS[reader]
    load(reader)
    before = _reset_peak()
    began = time.process_time()
    digest = function(path, kind)
    cpu = time.process_time() - began + getattr(function, "server_cpu", 0.0)
    whole = time.process_time()
    peak = _peak() - before
    import json

    out = Digest()
    digest(out)
    print(
        json.dumps({"cpu": cpu, "process": whole, "peak_mb": peak / 1024, "points": out.points, "digest": out.hex() if out.parts else None})
    )


def _memory(name: str) -> int:
    """A line of this process' memory in kB, as Linux counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def _reset_peak() -> int:
    """Forget the peak so far, which may be that of the parent; what is held now, in kB."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _memory("VmRSS")


def _peak() -> int:
    try:
        return _memory("VmHWM")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    work(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
