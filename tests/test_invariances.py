"""What must not change a verdict: where steps begin, how densely was logged, other tags, how files are split, the unit of a loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbdiag.config import Config
from tbdiag.detectors import _synth, load_detectors
from tbdiag.engine import run_detectors
from tbdiag.features import Features
from tbdiag.model import Run, Severity
from tbdiag.roles import resolve
from tbdiag.stats.noise import estimate_noise
from tests.healthy import FAMILIES

DETECTORS = load_detectors()
NOTES = {"explained-variance-low", "likelihood-displacement", "missing-evidence", "tiny-overfit-passed"}
"""What is said as a note only."""
OURS = [d.id for d in DETECTORS if d.id not in NOTES]
FIRING = [(d.id, e) for d in DETECTORS if d.id in OURS for e in d.examples if e.fires]


def verdicts(run: Run) -> set[str]:
    outcomes = run_detectors(Features(resolve(run, Config())), Config())
    return {o.id for o in outcomes if o.finding is not None and o.finding.severity is not Severity.NOTE and o.id in OURS}


def each_series(run: Run, change) -> Run:
    return replace(run, series={name: change(s) for name, s in run.series.items()})


def shift(run: Run, by: int) -> Run:
    return each_series(run, lambda s: replace(s, step=s.step + by))


def thin(run: Run) -> Run:
    def half(s):
        return s if len(s) < 100 else replace(s, step=s.step[1::2], wall_time=s.wall_time[1::2], value=s.value[1::2])

    return each_series(run, half)


def double(run: Run) -> Run:
    """A point between each two: their mean with the noise of its neighbours, or the one before where values repeat."""
    rng = np.random.default_rng(3)

    def twice(s):
        value = s.value.astype(np.float64)
        if len(s) < 20 or not np.isfinite(value).all() or np.any(np.diff(s.step) < 1):
            return replace(s, step=s.step * 2)
        between = (value[1:] + value[:-1]) / 2 + rng.normal(0, estimate_noise(value).sigma / np.sqrt(2), len(s) - 1)
        if np.unique(value).size < 0.9 * len(s):
            # Counts of few samples scatter as their neighbours do; schedules and counters keep their value.
            turns = np.diff(value[value != np.roll(value, 1)])
            noisy = turns.size > 0.3 * len(s) and min(np.mean(turns > 0), np.mean(turns < 0)) > 0.25
            near = np.clip(np.arange(len(s) - 1) + rng.integers(-2, 4, len(s) - 1), 0, len(s) - 1)
            between = value[near] if noisy else value[:-1]
        low, high = float(value.min()), float(value.max())
        step, wall = s.step * 2, s.wall_time
        return replace(
            s,
            step=np.sort(np.concatenate((step, step[:-1] + np.diff(step) // 2))),
            wall_time=np.sort(np.concatenate((wall, (wall[1:] + wall[:-1]) / 2))),
            value=np.insert(value, np.arange(1, len(s)), np.clip(between, low, high)).astype(s.value.dtype),
        )

    return each_series(run, twice)


def stretch(run: Run, factor: int) -> Run:
    return each_series(run, lambda s: replace(s, step=s.step * factor))


def scale_losses(run: Run, factor: float) -> Run:
    return each_series(run, lambda s: replace(s, value=s.value * np.float32(factor)) if "loss" in s.tag.lower() else s)


def names(value):
    return value if isinstance(value, str) else value.name.replace(" ", "-")[:30]


@pytest.mark.parametrize(("found", "example"), FIRING, ids=names)
def test_shifted_steps_change_nothing(found, example):
    run = example.make()
    assert found in verdicts(run)
    assert verdicts(shift(run, 100_000)) == verdicts(run)


@pytest.mark.parametrize(("found", "example"), FIRING, ids=names)
def test_other_tags_change_nothing(found, example):
    run = example.make()
    rng = np.random.default_rng(1)
    other = {f"zz/custom_{i}": _synth.make_series(f"zz/custom_{i}", rng.normal(size=50).cumsum()) for i in range(5)}
    assert found in verdicts(replace(run, series={**run.series, **other}))


@pytest.mark.parametrize(("found", "example"), FIRING, ids=names)
def test_half_as_many_points_tell_the_same(found, example):
    run = example.make()
    if found in {"spikes", "nan-inf"}:
        pytest.skip("single points that are left out are not there to be found")
    assert found in verdicts(thin(run))


@pytest.mark.parametrize(("found", "example"), FIRING, ids=names)
def test_twice_as_many_points_tell_the_same(found, example):
    assert found in verdicts(double(example.make()))


@pytest.mark.parametrize(("found", "example"), [(i, e) for i, e in FIRING if next(d for d in DETECTORS if d.id == i).scale_free], ids=names)
@pytest.mark.parametrize("factor", [1e-6, 1e4])
def test_the_unit_of_a_loss_does_not_matter_where_the_detector_says_so(found, example, factor):
    assert found in verdicts(scale_losses(example.make(), factor))


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(sorted(FAMILIES)),
    st.integers(0, 10_000),
    st.sampled_from(["shift", "thin", "stretch", "scale"]),
)
def test_healthy_runs_stay_healthy(name, seed, how):
    run = FAMILIES[name](np.random.default_rng((7, seed)))
    change = {
        "shift": lambda r: shift(r, 12_345),
        "thin": thin,
        "stretch": lambda r: stretch(r, 64),
        "scale": lambda r: scale_losses(r, 250.0),
    }
    before, after = verdicts(run), verdicts(change[how](run))
    if how == "scale":
        # A cross-entropy that is 250 times what its accuracy costs is told: that detector counts nats, and says so.
        after &= {d.id for d in DETECTORS if d.scale_free}
    # Within a tenth of a threshold a verdict may flip; healthy families are far from all of them.
    assert after <= before or len(after) <= 1, (before, after)


def test_few_verdicts_flip_when_the_cadence_changes():
    flips = total = 0
    for name in sorted(FAMILIES):
        for seed in range(25):
            run = FAMILIES[name](np.random.default_rng((8, seed)))
            total += 1
            flips += verdicts(run) != verdicts(thin(run))
    assert flips / total <= 0.05


def test_a_log_split_into_files_reads_the_same(tmp_path):
    tensorboard = pytest.importorskip("tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    from tbdiag.logs import read_runs

    assert tensorboard
    run = next(e for i, e in FIRING if i == "overfitting").make()
    points = sorted(
        ((int(t), s.tag, float(v), float(w)) for s in run.series.values() for t, v, w in zip(s.step, s.value, s.wall_time, strict=True))
    )
    found = []
    for parts in (1, 3):
        folder = tmp_path / str(parts)
        for k, chunk in enumerate(np.array_split(np.arange(len(points)), parts)):
            writer = EventFileWriter(str(folder), filename_suffix=f".{k}")
            for i in chunk.tolist():
                step, tag, value, clock = points[i]
                writer.add_event(Event(step=step, wall_time=clock, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)])))
            writer.close()
        (read,) = read_runs(str(folder))
        found.append(verdicts(read))
    assert found[0] == found[1]
    assert "overfitting" in found[0]
