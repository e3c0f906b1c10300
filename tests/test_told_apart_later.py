"""A fault is named, and its neighbour is not: the runs of `tests/neighbours_later.py`."""

from __future__ import annotations

import pytest

from tbdiag.diagnosis import diagnose_run
from tests import neighbours_later as later
from tests.test_told_apart import said

CASES = [
    (later.losses_that_climb(both=True), "divergence", True),
    (later.losses_that_climb(both=False), "divergence", False),
    (later.losses_that_climb(both=False), "overfitting", True),
    (later.worse_from_the_second_evaluation(), "overfitting", True),
    (later.rises_in_two_steps(), "overfitting", True),
    (later.metric_falls_where_the_loss_breaks(breaks=False), "sudden-shift", True),
    (later.metric_falls_where_the_loss_breaks(breaks=True), "sudden-shift", False),
    (later.level_that_doubles(), "sudden-shift", True),
    (later.six_evaluations(constant=True), "unconverged", True),
    (later.six_evaluations(constant=False), "unconverged", False),
    (later.below_the_mean(fits=False), "underfitting", True),
    (later.below_the_mean(fits=True), "underfitting", False),
    (later.settles(gains=-2.0), "no-learning", True),
    (later.settles(gains=0.0), "no-learning", False),  # as an agent that was good before does
    (later.settles(gains=10.0), "no-learning", False),
    (later.knows_the_next_token(leaks=True), "leakage", True),
    (later.knows_the_next_token(leaks=True), "divergence", False),
    (later.knows_the_next_token(leaks=True), "noisy-validation", False),
    (later.knows_the_next_token(leaks=False), "leakage", False),
    (later.deep_stack(learns=False), "vanishing-gradients", True),
    (later.deep_stack(learns=True), "vanishing-gradients", False),
    (later.pairs_of_answers(told_apart=False), "no-learning", True),
    (later.pairs_of_answers(told_apart=True), "no-learning", False),
    (later.met_again(0.06), "epoch-sawtooth", False),
    (later.met_again(0.25), "epoch-sawtooth", True),
    (later.right_from_the_first_evaluation(errors=0.0), "leakage", True),
    (later.right_from_the_first_evaluation(errors=0.02), "leakage", False),
    (later.trains_well_late(0.3), "generalization-gap", True),
    (later.trains_well_late(1.3), "generalization-gap", False),
    (later.norms_from_the_start(9e5, learns=False), "exploding-gradients", True),
    (later.norms_from_the_start(9e5, learns=True), "exploding-gradients", False),
    (later.norms_from_the_start(9e3, learns=False), "exploding-gradients", False),
    (later.new_labels_among_fourteen_epochs(comes_back=False), "sudden-shift", True),
    (later.new_labels_among_fourteen_epochs(comes_back=True), "sudden-shift", False),
    (later.stands_half_way(0.45), "plateau", True),
    (later.stands_half_way(0.45, annealed=True), "plateau", False),
    (later.stands_half_way(0.8), "plateau", False),
    (later.pixels_of_four_classes(rare_found=False), "class-imbalance", True),
    (later.pixels_of_four_classes(rare_found=True), "class-imbalance", False),
]


@pytest.mark.parametrize(("run", "finding", "named"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_neighbours_are_told_apart(run, finding: str, named: bool) -> None:
    assert (finding in said(run)) == named


def test_a_slow_step_is_not_where_slow_steps_begin() -> None:
    found = next(f for f in diagnose_run(later.slower_after_a_hiccup()).findings if f.id == "stalled")
    assert found.onset is not None
    assert 355 <= found.onset.middle <= 365
