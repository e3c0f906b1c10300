"""Steps that were written more than once, or go back: restarts, writers side by side, and what only looks like them."""

from __future__ import annotations

import numpy as np
import pytest
from tensorboard.compat.proto import event_pb2

from tbdiag import logs
from tests.reader.writers import regular_events, write_run

_LOSS = ("loss",)


def _second(tmp_path, first: int, steps: int, wall: float):
    write_run(tmp_path, regular_events(20, ("loss", "lr")))
    write_run(tmp_path, regular_events(steps, ("loss", "lr"), first=first, wall=wall), "events.out.tfevents.1700009999.host.2.0")
    (run,) = logs.read_runs(tmp_path)
    return run


def test_a_resumed_run_keeps_the_later_attempt_and_tells_of_the_earlier(tmp_path):
    run = _second(tmp_path, first=12, steps=20, wall=1.7e9 + 5000)
    (restart,) = run.restarts
    assert (restart.kind, restart.first_step, restart.last_step, restart.points, restart.tags) == ("step-regression", 12, 19, 16, 2)
    assert restart.agree is False
    assert run.series["loss"].step.tolist() == list(range(32))
    assert run.superseded["loss"].step.tolist() == list(range(12, 20))
    assert np.all(run.series["loss"].wall_time[12:] > 1.7e9 + 4000)
    assert [i.kind for i in run.issues] == ["restart"]
    assert not run.issues[0].damage


def test_two_writers_at_once_are_told_from_a_resume(tmp_path):
    run = _second(tmp_path, first=0, steps=20, wall=1.7e9 + 3)
    assert [r.kind for r in run.restarts] == ["overlapping-writers"]


def test_a_file_that_is_headed_with_the_whole_second_follows_the_one_before(tmp_path):
    """The header says 1 s before the first file's last point, for it is rounded down."""
    run = _second(tmp_path, first=0, steps=20, wall=1.7e9 + 18.7)
    assert [r.kind for r in run.restarts] == ["step-regression"]


def test_a_clean_resume_is_nothing(tmp_path):
    run = _second(tmp_path, first=20, steps=10, wall=1.7e9 + 5000)
    assert not run.restarts
    assert not run.issues
    assert len(run.series["loss"]) == 30


def test_a_session_start_supersedes_what_it_declares(tmp_path):
    events = regular_events(20, ("loss", "val"))[:-1]
    start = event_pb2.Event(wall_time=1.8e9, step=15, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))
    write_run(tmp_path, [*events, start, *regular_events(3, _LOSS, first=15)])
    (run,) = logs.read_runs(tmp_path)
    assert [r.kind for r in run.restarts] == ["session-start"]
    assert run.series["loss"].step.tolist() == list(range(18))
    assert run.series["val"].step.tolist() == list(range(15))


def test_steps_handed_in_late_are_sorted_not_superseded(tmp_path):
    events = regular_events(60, _LOSS)
    events[30], events[31] = events[31], events[30]
    write_run(tmp_path, events)
    (run,) = logs.read_runs(tmp_path)
    assert not run.restarts
    assert run.series["loss"].step.tolist() == list(range(60))


def test_steps_written_twice_keep_the_later_value(tmp_path):
    events = regular_events(10, _LOSS)
    write_run(tmp_path, [e for event in events for e in (event, event)])
    (run,) = logs.read_runs(tmp_path)
    assert [(r.kind, r.points, r.agree) for r in run.restarts] == [("duplicate-step", 10, True)]
    assert len(run.series["loss"]) == len(run.superseded["loss"]) == 10


def test_seconds_that_hold_several_points_are_told_as_such(tmp_path):
    events = regular_events(20, ("loss", "loss/time"))
    for event in events:
        if event.summary.value and event.summary.value[0].tag == "loss/time":
            event.step //= 2
    write_run(tmp_path, events)
    (run,) = logs.read_runs(tmp_path)
    assert [r.kind for r in run.restarts] == ["duplicate-step"]
    assert run.issues[0].message.startswith("seconds of the clock hold several points")


def test_a_tag_without_steps_keeps_all_points(tmp_path):
    events = regular_events(10, _LOSS)
    for event in events:
        event.step = 0
    write_run(tmp_path, events)
    (run,) = logs.read_runs(tmp_path)
    assert len(run.series["loss"]) == 10
    assert [i.kind for i in run.issues] == ["duplicate-step"]


def _bare(tmp_path, name: str, values, wall: float) -> None:
    events = regular_events(len(values), _LOSS, wall=wall)
    for event, value in zip(events, values, strict=True):
        event.step = 0
        event.summary.value[0].simple_value = value
    write_run(tmp_path, events, f"events.out.tfevents.{name}.host")


@pytest.mark.parametrize(("anew", "points"), [(True, 30), (False, 90)])
def test_a_launch_that_begins_anew_without_steps_replaces_the_one_before(tmp_path, anew, points):
    """Three files of a loss without steps: each begins where the first one began, or where the one before ended."""
    fall = 0.02 + 0.2 * np.exp(-np.arange(90) / 8)
    for i in range(3):
        _bare(tmp_path, f"170000{i}000", fall[:30] if anew else fall[30 * i : 30 * i + 30], 1.7e9 + 1000 * i)
    (run,) = logs.read_runs(tmp_path)
    assert len(run.series["loss"]) == points
    assert [r.points for r in run.restarts] == ([60] if anew else [])


@pytest.mark.parametrize(("passes", "last"), [(6, 10), (4, 7)])
def test_steps_that_begin_again_with_every_epoch_go_on(tmp_path, passes, last):
    """The index of the batch logged as the step: ten points an epoch, every fifth batch; the last epoch may be cut short."""
    events = regular_events(10 * (passes - 1) + last, _LOSS)
    for i, event in enumerate(events):
        event.step = 5 * (i % 10)
    write_run(tmp_path, events)
    (run,) = logs.read_runs(tmp_path)
    assert run.series["loss"].step.tolist() == [5 * i for i in range(len(events))]
    assert not run.restarts
    assert not run.superseded
    assert [i.kind for i in run.issues] == ["epoch-steps"]
    assert "begin again with every epoch" in run.issues[0].message


@pytest.mark.parametrize(("begins", "wait"), [((0, 10, 20), 0.0), ((0, 10, 13, 29), 0.0), ((0, 10, 20, 30), 600.0)])
def test_restarts_are_no_epochs(tmp_path, begins, wait):
    """Twice only, after unequal numbers of points, or each time after a long wait: a job that was started again."""
    events = regular_events(40, _LOSS)
    for i, event in enumerate(events):
        begin = max(b for b in begins if b <= i)
        event.step = i - begin
        event.wall_time += wait * begins.index(begin)
    write_run(tmp_path, events)
    (run,) = logs.read_runs(tmp_path)
    assert run.restarts
    assert run.superseded


def _in_turn(rollouts: int, episodes: int, stride: int):
    """Four environments that hand in the episodes of each rollout of 100 steps one after the other, as Stable-Baselines 2 does."""
    steps = [400 * r + 7 * e * stride + w for r in range(rollouts) for w in range(0, 4) for e in range(episodes)]
    events = regular_events(len(steps), _LOSS)
    for event, step in zip(events, steps, strict=True):
        event.step = step
    return events, steps


def test_writers_of_one_process_that_take_turns_are_sorted_not_superseded(tmp_path):
    events, steps = _in_turn(rollouts=10, episodes=5, stride=1)
    events[-1].step = events[-2].step  # a second point of a step goes to the next free one
    write_run(tmp_path, events)
    (run,) = logs.read_runs(tmp_path)
    assert not run.restarts
    assert not run.superseded
    values = [event.summary.value[0].simple_value for event in events]
    order = sorted(range(len(steps)), key=lambda i: events[i].step)
    found = run.series["loss"]
    assert np.all(np.diff(found.step) > 0)
    assert abs(found.step - np.array([events[i].step for i in order])).max() <= 1
    assert found.value.tolist() == pytest.approx([values[i] for i in order])
    assert [i.kind for i in run.issues] == ["writers-in-turn"]


def test_of_writers_in_turn_that_hold_every_step_the_last_counts(tmp_path):
    events = regular_events(400, _LOSS)
    for i, event in enumerate(events):
        event.step = 10 * (i // 40) + i % 10  # four writers, ten steps each, ten times
    write_run(tmp_path, events)
    (run,) = logs.read_runs(tmp_path)
    assert not run.restarts
    assert run.series["loss"].step.tolist() == list(range(100))
    assert len(run.superseded["loss"]) == 300
    assert "300 are set aside" in run.issues[0].message


@pytest.mark.parametrize(("times", "far"), [(12, 5), (30, 120)])
def test_relaunches_are_no_writers_in_turn(tmp_path, times, far):
    """Too few steps back, or steps back by a fifth of the run."""
    steps, at = [], 0
    for _ in range(times):
        steps += range(at, at + far + 20)
        at += 20
    events = regular_events(len(steps), _LOSS)
    for event, step in zip(events, steps, strict=True):
        event.step = step
    write_run(tmp_path, events)
    (run,) = logs.read_runs(tmp_path)
    assert run.restarts
    assert run.superseded
