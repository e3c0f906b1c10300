"""Histograms of several layers under one tag, as Keras 3 writes them: one series a layer, nothing set aside."""

from __future__ import annotations

import numpy as np
import pytest
from tensorboard.compat.proto import event_pb2, summary_pb2

from tbdiag import diagnose, logs
from tests.reader.reference import scalar_event
from tests.reader.writers import write_run


def _histogram(step: int, wall: float, values: np.ndarray) -> event_pb2.Event:
    count, edges = np.histogram(values, 20)
    histo = summary_pb2.HistogramProto(
        min=values.min(), max=values.max(), num=values.size, sum=values.sum(), sum_squares=(values**2).sum(),
        bucket_limit=edges[1:].tolist(), bucket=count.tolist(),
    )  # fmt: skip
    value = summary_pb2.Summary.Value(tag="kernel/histogram", histo=histo)
    return event_pb2.Event(step=step, wall_time=wall, summary=summary_pb2.Summary(value=[value]))


def _layers(epochs: int, sizes: tuple[int, ...] = (64, 32, 16), moves: tuple[bool, ...] = (True, True, True)) -> list[event_pb2.Event]:
    """Every layer's weights once an epoch, a random walk each."""
    rng = np.random.default_rng(3)
    weights = [rng.normal(0, 0.2, n) for n in sizes]
    events = []
    for epoch in range(epochs):
        for i, w in enumerate(weights):
            events.append(_histogram(epoch, 1.7e9 + 10 * epoch + i / 10, w))
            if moves[i]:
                weights[i] = w + rng.normal(0, 0.05, w.size)
    return events


def test_each_layer_is_a_series_of_its_own(tmp_path):
    write_run(tmp_path, _layers(6))
    (run,) = logs.read_runs(tmp_path)
    assert list(run.histograms) == ["kernel/histogram#1", "kernel/histogram#2", "kernel/histogram#3"]
    assert [h.num.tolist() for h in run.histograms.values()] == [[64.0] * 6, [32.0] * 6, [16.0] * 6]
    assert all(h.step.tolist() == list(range(6)) for h in run.histograms.values())
    assert not run.restarts
    assert [i.kind for i in run.issues] == ["shared-tag"]
    assert "3 layers write under the tag 'kernel/histogram'" in run.issues[0].message


def test_an_epoch_cut_short_loses_nothing(tmp_path):
    write_run(tmp_path, _layers(6)[:-1])
    (run,) = logs.read_runs(tmp_path)
    assert [len(h) for h in run.histograms.values()] == [6, 6, 5]
    assert run.histograms["kernel/histogram#3"].num.tolist() == [16.0] * 5


def test_a_resumed_run_is_resolved_layer_by_layer(tmp_path):
    events = _layers(8)
    write_run(tmp_path, events[:15], "events.out.tfevents.1700000000.host.1.0")
    write_run(tmp_path, events[9:], "events.out.tfevents.1700000100.host.2.0")
    (run,) = logs.read_runs(tmp_path)
    assert [h.step.tolist() for h in run.histograms.values()] == [list(range(8))] * 3
    assert {r.kind for r in run.restarts} <= {"overlapping-writers", "step-regression"}
    assert run.restarts


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda events: [e for e in events[::3] for _ in range(3)], id="the same histogram three times"),
        pytest.param(lambda events: events[:4] + events[5:], id="a step with fewer"),
        pytest.param(lambda events: events[:3] + events[4:2:-1] + events[5:], id="another order"),
    ],
)
def test_what_is_in_no_order_is_not_split(tmp_path, spoil):
    write_run(tmp_path, spoil(_layers(6)))
    (run,) = logs.read_runs(tmp_path)
    assert list(run.histograms) == ["kernel/histogram"]
    assert [i.kind for i in run.issues] == ["duplicate-step"]


def test_a_layer_that_stands_is_seen_among_others(tmp_path):
    losses = [scalar_event(s, 1.7e9 + 10 * s + 5, "epoch_loss", 2.0 * 0.9**s) for s in range(12)]
    events = sorted([*_layers(12, moves=(True, False, True)), *losses], key=lambda e: e.wall_time)
    write_run(tmp_path, events)
    report = diagnose(logs.read_runs(tmp_path))
    found = [f for f in report.runs[0].findings if f.id == "frozen-weights"]
    assert found
    assert "#2" in found[0].title + " ".join(e.statement for e in found[0].evidence)
