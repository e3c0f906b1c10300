"""A fault is named, and its neighbour is not: the runs of `tests/neighbours_agents.py`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbdiag import diagnose
from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.model import Role, Run, Severity
from tbdiag.render.words import what_was_read
from tbdiag.roles.resolve import resolve
from tests import neighbours_agents as agents
from tests.test_told_apart import said

CASES = [
    (agents.best_at_first(), "no-learning", True),
    (agents.best_at_first(recovers=True), "no-learning", False),
    (agents.best_at_first(lessons=True), "no-learning", False),
    (agents.best_at_first(share=0.15), "no-learning", False),
    (agents.second_lesson(lessons=False), "divergence", True),
    (agents.second_lesson(lessons=True), "divergence", False),
    (agents.harder_each_time(lessons=False), "instability", True),
    (agents.harder_each_time(lessons=True), "instability", False),
    (agents.few_returns(-0.5, -0.31, -0.14, -0.28, -0.1), "instability", False),
    (agents.few_returns(0.98, 0.99, 0.98, 1.0, 1.03), "unconverged", False),
    (agents.few_returns(0.01, 0.35, 0.55, 0.71), "unconverged", True),
    (agents.few_returns(0.1, 0.11, 0.12, 0.1, 0.13, 0.2, 0.38, 0.6, 0.9), "unconverged", True),
    (agents.solved_and(loses=0.5), "no-learning", True),
    (agents.solved_and(loses=0.1), "no-learning", False),
    (agents.better_by_little_and(loses=0.6), "divergence", True),
    (agents.better_by_little_and(loses=0.08), "divergence", False),
    (agents.better_by_little_and(loses=0.08), "return-collapse", False),
    (agents.sparse_goal(met="never"), "no-learning", True),
    (agents.sparse_goal(met="at first"), "no-learning", True),
    (agents.sparse_goal(met="learned"), "no-learning", False),
    (agents.settles_at_once(on=-100.0), "no-learning", True),
    (agents.settles_at_once(on=-90.0), "no-learning", False),
    (agents.settles_at_once(on=-100.0), "entropy-collapse", True),
    (agents.settles_at_once(on=-90.0), "entropy-collapse", False),
    (agents.plays_itself(climbs=False), "no-learning", True),
    (agents.plays_itself(climbs=True), "no-learning", False),
    (agents.entropy_gone(rose=False), "entropy-collapse", True),
    (agents.entropy_gone(rose=False, lessons=True), "entropy-collapse", False),
    (agents.episodes_by_one(longer=1, slower=8), "stalled", True),
    (agents.episodes_by_one(longer=8, slower=1), "stalled", False),
    (agents.episodes_by_one(longer=8, slower=1, logged=False), "stalled", False),
]
NOTES = [
    (agents.moves_about(entropy_falls=False), "no-learning", True),
    (agents.moves_about(entropy_falls=True), "no-learning", False),
    (agents.kl_up(at=0.2), "kl-blow-up", True),
    (agents.kl_up(at=0.0), "kl-blow-up", False),
    (agents.kl_up(at=0.2, to=0.06), "kl-blow-up", False),
    (agents.partners_in_turn(learns=False), "no-learning", True),
    (agents.partners_in_turn(learns=True), "no-learning", False),
    (agents.evaluated(lasts=False), "return-collapse", True),
    (agents.evaluated(lasts=True), "return-collapse", False),
    (agents.last_point(kl=1.5, reward=250), "return-collapse", True),
    (agents.last_point(kl=0.03, reward=250), "return-collapse", False),
    (agents.last_point(kl=1.5, reward=800), "return-collapse", False),
]


@pytest.mark.parametrize(("run", "finding", "named"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_neighbours_are_told_apart(run: Run, finding: str, named: bool) -> None:
    assert (finding in said(run)) == named


@pytest.mark.parametrize(("run", "finding", "named"), NOTES, ids=lambda x: x if isinstance(x, str) else "")
def test_what_is_noted_is_told_apart(run: Run, finding: str, named: bool) -> None:
    assert [f.severity for f in diagnose_run(run).findings if f.id == finding] == [Severity.NOTE] * named


def test_a_noted_collapse_is_no_health_and_its_action_is_the_one_to_take() -> None:
    told = diagnose_run(agents.falls_back(lessons=False))
    assert told.verdict == "unclear"
    assert "return collapse" in told.headline
    assert told.next_experiment is None
    assert told.note.chosen_action.startswith("Go back to the checkpoint")


def test_a_return_that_falls_as_lessons_get_harder_is_no_doubt() -> None:
    told = diagnose_run(agents.falls_back(lessons=True))
    assert told.verdict == "healthy"
    assert "keep this configuration" in told.note.chosen_action


def test_entropy_that_goes_after_a_lost_return_is_told_in_that_order() -> None:
    found = {f.id: f for f in diagnose_run(agents.entropy_gone(rose=True)).findings}
    assert found["entropy-collapse"].caused_by == "divergence"
    assert "before the return rises" not in found["entropy-collapse"].title


def test_entropy_is_told_with_its_own_sign() -> None:
    said_of = diagnose_run(agents.last_point(kl=0.03, reward=950)).note.prediction_signal
    assert said_of.startswith("policy entropy 1.")


def test_series_of_agents_have_roles() -> None:
    roles = {s.name: s.role for s in resolve(agents.episodes_by_one(longer=1, slower=1)).all}
    assert roles["episode_duration_1"] is Role.EPISODE_LENGTH
    assert roles["epsilon_1"] is Role.COUNTER


def test_steps_of_the_header_are_those_of_all_series() -> None:
    x = np.linspace(0, 1, 140)
    longer = _synth.make_run({"train/entropy_loss": -(1.4 - x), "train/approx_kl": np.full(140, 0.01)}, every=2048)
    run = replace(longer, series={**longer.series, **_synth.make_run({"rollout/ep_rew_mean": 100 * x[:100]}, every=2048).series})
    assert f"–{int(longer.series['train/entropy_loss'].step[-1]):,}" in what_was_read(diagnose(run).to_dict()["runs"][0])


def test_a_return_that_was_kept_for_a_while_was_lost_where_it_left() -> None:
    runs = agents.falls_from(0.25), agents.best_at_first()
    kept, never = (next(f for f in diagnose_run(run).findings if f.id == "no-learning") for run in runs)
    assert kept.onset is not None
    assert never.onset is not None
    assert 0.2 < kept.onset.middle / 1_900_000 < 0.4
    assert "checkpoint" in kept.first_action
    assert never.onset.middle < 100
    assert "signs" in never.first_action
