"""Small trees of runs, and nights over them, for the tests of nightly: written byte by byte, judged at times that the tests choose."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np

from tbdiag.config import Config
from tbdiag.nightly import Night, Options, run_night

ROOT = Path(__file__).resolve().parents[2]
START = 1_700_000_000.0
DAY = 86400.0
LATER = START + 10 * DAY
"""A time at which every run of `write` has ended long ago."""


def load_benchmark(name: str) -> ModuleType:
    """A module of the benchmarks folder."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    if f"benchmarks.{name}" in sys.modules:
        return sys.modules[f"benchmarks.{name}"]
    spec = importlib.util.spec_from_file_location(f"benchmarks.{name}", ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"benchmarks.{name}"] = module
    spec.loader.exec_module(module)
    return module


eventlog = load_benchmark("eventlog")


def curves(kind: str, n: int = 80, seed: int = 1) -> dict[str, np.ndarray]:
    """Training and validation losses: ``healthy``, ``overfit``, ``nan`` (from the middle on)."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, n)
    train = 0.3 + 2 * np.exp(-9 * x) + rng.normal(0, 0.01, n)
    val = 0.35 + 2 * np.exp(-9 * x) + rng.normal(0, 0.01, n)
    if kind == "overfit":
        val = val + 1.5 * np.clip(x - 0.3, 0, None)
    if kind == "nan":
        train[n // 2 :] = np.nan
    return {"loss/train": train, "loss/val": val}


def write(folder: Path, kind: str = "healthy", *, n: int = 80, start: float = START, seconds: float = 60.0, seed: int = 1) -> Path:
    """Write a run; its modification time is its last record's. Returns the event file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"events.out.tfevents.{int(start)}.host"
    file.write_bytes(eventlog.scalar_file(curves(kind, n, seed), start, seconds))
    end = start + n * seconds
    os.utime(file, (end, end))
    return file


def append(
    file: Path, kind: str, first: int, last: int, n: int = 80, *, start: float = START, seconds: float = 60.0, seed: int = 1
) -> None:
    """Append the steps ``first..last`` (exclusive) of a run of `n` steps, with the time of its last record."""
    series = curves(kind, n, seed)
    with file.open("ab") as sink:
        for step in range(first, last):
            for tag, values in series.items():
                sink.write(eventlog.scalar_record(tag, step, float(values[step]), start + step * seconds))
    os.utime(file, (start + last * seconds, start + last * seconds))


class Nights:
    """Nights over one tree, each with its own `now`; judged in this process unless a test says otherwise."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.logs = folder / "logs"
        self.site = folder / "site"
        self.said: list[str] = []
        self.options = replace(
            Options(roots=(str(self.logs),), state=folder / "state", now=LATER, scheduler="inline", config=Config(), say=self.said.append),
            **options,
        )

    def run(self, now: float = LATER, **options: object) -> Night:
        """One night at `now`."""
        return run_night(replace(self.options, now=now, **options))

    def owners(self) -> dict[str, str]:
        """Owner of every run."""
        import sqlite3

        db = sqlite3.connect(self.options.state / "nightly.sqlite")
        rows = db.execute("SELECT name, owner FROM runs").fetchall()
        db.close()
        return dict(rows)

    def states(self) -> dict[tuple[str, str], str]:
        """State of every finding at warning or above by run and finding."""
        import sqlite3

        db = sqlite3.connect(self.options.state / "nightly.sqlite")
        rows = db.execute("SELECT r.name, h.finding, h.state FROM history h JOIN runs r ON r.id = h.run WHERE h.severity < 2").fetchall()
        db.close()
        return {(name, finding): state for name, finding, state in rows}

    def findings(self, name: str) -> set[str]:
        """Findings at warning or above of one run, as last judged."""
        import sqlite3

        db = sqlite3.connect(self.options.state / "nightly.sqlite")
        rows = db.execute(
            "SELECT finding FROM findings f JOIN runs r ON r.id = f.run WHERE r.name = ? AND severity < 2", (name,)
        ).fetchall()
        db.close()
        return {row[0] for row in rows}
