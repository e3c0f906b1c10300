"""Event files for tests, written by the generator's own writer (format only, no framework needed)."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np


def _load() -> ModuleType:
    path = Path(__file__).resolve().parent.parent / "benchmarks" / "trainings" / "writer.py"
    spec = importlib.util.spec_from_file_location("trainings_writer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["trainings_writer"] = module
    spec.loader.exec_module(module)
    return module


writer = _load()


def write_log(
    directory: Path, series: Mapping[str, Sequence[float]], *, wall: Sequence[float] | None = None, name: str = "events.out.tfevents.1"
) -> Path:
    """Write one event file of scalar series (one point a step, steps 1, 2, ...); returns its path."""
    file = writer.EventFile(directory / name, 1.7e9)
    for step in range(max((len(v) for v in series.values()), default=0)):
        time = 1.7e9 + step if wall is None else wall[step]
        file.add(time, step + 1, *(writer.scalar(tag, v[step]) for tag, v in series.items() if step < len(v)))
    file.save()
    return file.path


def healthy(n: int = 40, seed: int = 0) -> dict[str, list[float]]:
    """Training and validation losses that fall together."""
    rng = np.random.default_rng(seed)
    base = 0.4 + 1.9 * np.exp(-6 * np.linspace(0, 1, n))
    return {
        "train/loss": list(base + rng.normal(0, 0.01, n)),
        "val/loss": list(base + 0.02 + rng.normal(0, 0.01, n)),
        "val/accuracy": list(0.9 - 0.8 * np.exp(-6 * np.linspace(0, 1, n))),
    }
