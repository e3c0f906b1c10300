"""A fault is named, and its neighbour is not: the runs of `tests/neighbours_stands.py`."""

from __future__ import annotations

import pytest

from tbdiag.diagnosis import diagnose_run
from tbdiag.model import Run
from tests import neighbours_stands as stands
from tests.test_told_apart import said

CASES = [
    (stands.on_a_line(), "plateau", True),
    (stands.on_a_line(scatter=0.004), "plateau", False),
    (stands.on_a_line(left=0.2), "plateau", False),
    (stands.on_a_line(decays=True), "plateau", False),
    (stands.drawn_at_random(), "label-noise", True),
    (stands.drawn_at_random(loss=0.85), "label-noise", False),
    (stands.drawn_at_random(loss=1.15), "label-noise", False),
    (stands.drawn_at_random(classes=2), "label-noise", False),
    (stands.drawn_at_random(apart=0.6), "label-noise", False),
    (stands.scores_are_lost(both=True), "divergence", True),
    (stands.scores_are_lost(both=False), "divergence", False),
    (stands.one_answer(loss=0.7), "class-imbalance", True),
    (stands.one_answer(loss=2.05), "class-imbalance", False),
    (stands.thrown_up_first(validation_falls=True), "unconverged", True),
    (stands.thrown_up_first(validation_falls=False), "unconverged", False),
    (stands.evaluations_thrown_back(restless=True), "instability", True),
    (stands.evaluations_thrown_back(restless=False), "instability", False),
    (stands.scatter_that_rises(period=0.15), "instability", True),
    (stands.scatter_that_rises(period=0.15), "divergence", False),
    (stands.scatter_that_rises(period=0.04), "instability", True),
    (stands.scatter_that_rises(period=0.008), "instability", True),
    (stands.scatter_that_rises(period=None), "instability", True),
    (stands.scatter_that_rises(period=None, level=0.6), "instability", False),
    (stands.a_nat_lost(), "divergence", True),
    (stands.a_nat_lost(stays=False), "divergence", False),
    (stands.a_nat_lost(both=False), "divergence", False),
    (stands.distance_of_a_gan(climbs=True), "divergence", True),
    (stands.distance_of_a_gan(climbs=False), "divergence", False),
    (stands.knows_nothing_later(learns=False), "generalization-gap", True),
    (stands.knows_nothing_later(learns=True), "generalization-gap", False),
]


@pytest.mark.parametrize(("run", "finding", "named"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_neighbours_are_told_apart(run: Run, finding: str, named: bool) -> None:
    assert (finding in said(run)) == named


@pytest.mark.parametrize("period", [0.15, 0.04, 0.008, None])
def test_a_scatter_that_rises_begins_where_it_does(period: float | None) -> None:
    found = next(f for f in diagnose_run(stands.scatter_that_rises(period)).findings if f.id == "instability")
    assert found.onset is not None
    assert found.onset.first_step <= 12_900
    assert found.onset.last_step >= 12_000
