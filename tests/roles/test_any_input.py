"""Whatever was logged, `resolve` gives every series one role and at most one main series a key."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, given, settings

from tbdiag.model import HistogramSeries, Role, Run, Series, TextSeries
from tbdiag.roles import resolve

WORDS = [
    "train",
    "val",
    "loss",
    "acc",
    "grad",
    "norm",
    "weight",
    "0",
    "1",
    "class",
    "pred",
    "share",
    "vs",
    "samples",
    "mean",
    "epoch",
    "lr",
    "total",
    "act",
    "zero",
    "fraction",
]
TAG = st.one_of(
    st.text(max_size=12),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).flatmap(lambda w: st.sampled_from("/_- .:").map(lambda s: s.join(w))),
)
VALUE = st.one_of(st.floats(width=32), st.sampled_from([0.0, 1.0, -1.0, float("nan"), float("inf"), 2.3026]))


@st.composite
def series(draw: st.DrawFn) -> Series:
    """A series as the reader gives it: ascending steps, any values, any wall times."""
    tag, subrun = draw(TAG), draw(st.sampled_from(["", "train", "validation", "eval_x", "loss_train", "a/b"]))
    value = draw(st.lists(VALUE, max_size=30))
    first, gap = draw(st.integers(-5, 2**40)), draw(st.integers(0, 10**6))
    step = np.int64(first) + gap * np.arange(len(value), dtype=np.int64)
    wall = np.array(draw(st.lists(st.floats(allow_nan=True), min_size=len(value), max_size=len(value))), dtype=np.float64)
    return Series(tag, subrun, step, wall, np.array(value, dtype=np.float32))


def histogram(tag: str) -> HistogramSeries:
    one, none = np.zeros(1), np.zeros(0)
    return HistogramSeries(tag, "", np.zeros(1, np.int64), one, np.zeros(2, np.int64), none, none, None, one, one, one, one, one, "histo")


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(series(), max_size=8), st.lists(TAG, max_size=3), st.lists(st.text(max_size=60), max_size=2))
def test_every_series_gets_one_role(many: list[Series], tags: list[str], texts: list[str]) -> None:
    one = np.zeros(1, dtype=np.int64)
    run = Run(
        name="r",
        path="r",
        series={s.name: s for s in many},
        histograms={t: histogram(t) for t in tags},
        texts={f"config{i}": TextSeries(f"config{i}", "", one, one.astype(float), (t,)) for i, t in enumerate(texts)},
        hparams={"lr": float("nan"), "batch_size": "many", "seed": True},
    )
    signals = resolve(run)
    logged = [s for s in signals.all if " + " not in s.name]
    assert {s.name for s in logged if s.series is not None} == set(run.series)
    assert {s.name for s in logged if s.histogram is not None} == set(run.histograms)
    keys = [s.key for s in signals.all if s.main]
    assert len(keys) == len(set(keys))
    for s in signals.all:
        assert s.why
        assert isinstance(s.role, Role)
        if s.series is not None:
            assert np.all(np.diff(s.series.step) >= 0)
            assert s.series.value.size == s.series.step.size
            if s.logged is not None:
                assert s.logged is run.series[s.name]
