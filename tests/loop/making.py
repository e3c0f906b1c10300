"""Runs and sides for tests: hand-made curves, judged as read logs would be, and small logdirs written to disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tbdiag.compare.sides import Side, SideRun
from tbdiag.config import Config
from tbdiag.detectors import _synth
from tbdiag.diagnosis import build_report, diagnose_run
from tbdiag.features import Features
from tbdiag.model import Run, Series
from tbdiag.roles import resolve

Curves = Mapping[str, npt.ArrayLike | Series]


def overfitting(seed: int = 0, *, slope: float = 0.9, best: float = 0.6, **more: npt.ArrayLike) -> dict[str, npt.ArrayLike]:
    """Curves of a run that overfits by `slope`; 0 is the cured one."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, 60)
    val = _synth.decay(60, 2.3, best, 12.0) + slope * np.clip(x - 0.3, 0, None) + rng.normal(0, 0.01, 60)
    train = _synth.decay(60, 2.3, 0.05 if slope else best - 0.1) + rng.normal(0, 0.01, 60)
    return {"loss/train": train, "loss/val": val, **more}


def run(curves: Curves, name: str = "run", **hparams: float | str) -> Run:
    return replace(_synth.make_run(curves, every=100, name=name), hparams=hparams)


def side(*runs: Run, label: str = "logs", config: Config | None = None) -> Side:
    config = config or Config()
    report = build_report([diagnose_run(r, config) for r in runs]).to_dict()
    features = {r.name: Features(resolve(r, config)) for r in runs}
    return Side(label, tuple(SideRun(d["name"], d, features[d["name"]], True) for d in report["runs"]), report, False)


def write_log(folder: Path, curves: Curves, *, every: int = 100, seconds: float = 1.0, start: float = 1.7e9) -> Path:
    """An event file of scalars, with simulated wall times; returns the folder."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "events.out.tfevents.1700000000.test.1.0").open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=start, file_version="brain.Event:2").SerializeToString())
        for tag, values in curves.items():
            for i, value in enumerate(np.asarray(values, dtype=np.float64)):
                point = Summary(value=[Summary.Value(tag=tag, simple_value=float(value))])
                event = Event(wall_time=start + i * every * seconds, step=i * every, summary=point)
                writer.write(event.SerializeToString())
        writer.flush()
    return folder
