"""What a run is said to suffer from, on logs that look alike: the fault, and its harmless neighbour."""

from __future__ import annotations

import neighbours
import neighbours_rates
import numpy as np
import pytest
from healthy_shapes import step_decay, warm_restarts

from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.model import Run, Severity


def said(run: Run) -> set[str]:
    """Ids of the errors and warnings."""
    return {f.id for f in diagnose_run(run).findings if f.severity is not Severity.NOTE}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: neighbours.answers_that_never_change(0.33), "plateau"),
        (lambda: neighbours.loss_of_guessing_with_an_f1(0.347), "no-learning"),
        (lambda: neighbours.learned_when_they_come_again(2.6), "epoch-sawtooth"),
        (lambda: neighbours.softmax_of_probabilities(confidence=0.87), "loss-mismatch"),
        (lambda: neighbours.easier_validation(0.47), "val-better"),
        (lambda: neighbours.evaluations_that_fail_at_random(fail=True), "noisy-validation"),
        (lambda: neighbours_rates.adam_at(0.5), "lr-too-high"),
        (lambda: neighbours_rates.rate_of_an_agent_jumps(100.0), "lr-schedule"),
        (lambda: neighbours.macro_f1_of_one_answer(single=True), "prediction-collapse"),
        (lambda: neighbours.run_that_ends_in_the_explosion(explodes=True), "exploding-gradients"),
        (neighbours.validation_never_moves_while_training_learns, "generalization-gap"),
        (lambda: neighbours.six_epochs(0.155), "sudden-shift"),
        (lambda: neighbours.other_training_data(validation_minds=True), "sudden-shift"),
        (lambda: neighbours.learns_only_at_the_end(begins=True), "unconverged"),
        (lambda: neighbours.loss_far_above_what_its_answers_cost(1.0), "loss-mismatch"),
        (lambda: neighbours.value_loss_of_a_ppo(1e8), "divergence"),
        (neighbours.one_bad_batch_in_eight, "spikes"),
        (lambda: neighbours.files_by_day(shuffled=False), "epoch-sawtooth"),
        (lambda: neighbours.never_above_the_mean(-0.2), "generalization-gap"),
        (lambda: neighbours.reward_met_once(found_late=False), "no-learning"),
        (lambda: neighbours.evaluated_on_other_data(0.24), "sudden-shift"),
        (neighbours.bits_of_a_sum, "loss-mismatch"),
        (neighbours.spikes_at_every_tenth_point, "spikes"),
        (neighbours.worse_than_the_mean, "underfitting"),
        (neighbours.only_begins_to_learn, "underfitting"),
        (neighbours.return_that_only_falls, "no-learning"),
        (neighbours.return_of_nothing, "no-learning"),
        (neighbours.perplexity_cut_short, "unconverged"),
        (lambda: neighbours.perfect_from_the_first_evaluation(always=True), "leakage"),
        (lambda: neighbours_rates.rate_jumps_under_noisy_batches(50.0), "lr-schedule"),
        (lambda: neighbours_rates.rate_jumps_in_few_points(60.0), "lr-schedule"),
        (lambda: neighbours_rates.rate_logged_as_zero(learns=False), "lr-zero"),
        (lambda: neighbours.single_batches_under_means_of_epochs(1.5), "spikes"),
        (lambda: neighbours.tuned_from_a_good_start(0.5), "no-learning"),
        (lambda: neighbours.validation_ahead_after_a_steep_descent(1.0), "val-better"),
        (lambda: neighbours.drops_late(stands=False), "unconverged"),
        (neighbours.validation_runs_away, "divergence"),
        (lambda: neighbours.layer_without_gradient(("net.0.weight", "net.2.weight", "net.4.weight"), 0), "frozen-weights"),
        (neighbours.loss_in_another_unit, "loss-mismatch"),
        (neighbours.knows_the_next_token, "leakage"),
        (lambda: neighbours.stands_still(700.0, resumed=False), "stalled"),
        (neighbours.gradient_grows_with_the_loss, "exploding-gradients"),
    ],
)
def test_the_fault_is_named(make, expected):
    assert expected in said(make())


@pytest.mark.parametrize(
    ("make", "never"),
    [
        (lambda: step_decay(np.random.default_rng((20261122, 521))), "unconverged"),
        (lambda: step_decay(np.random.default_rng((20261122, 157))), "unconverged"),
        (lambda: step_decay(np.random.default_rng((20261122, 506))), "unconverged"),
        (lambda: neighbours.drops_late(stands=True), "unconverged"),
        (lambda: neighbours.perfect_from_the_first_evaluation(always=False), "leakage"),
        (lambda: neighbours_rates.rate_jumps_under_noisy_batches(1.5), "lr-schedule"),
        (lambda: neighbours_rates.rate_jumps_in_few_points(1.0), "lr-schedule"),
        (lambda: neighbours_rates.rate_logged_as_zero(learns=True), "lr-zero"),
        (lambda: neighbours.single_batches_under_means_of_epochs(0.0), "spikes"),
        (lambda: neighbours.tuned_from_a_good_start(0.74), "underfitting"),
        (lambda: neighbours.validation_ahead_after_a_steep_descent(0.2), "val-better"),
        (lambda: warm_restarts(np.random.default_rng((20261122, 196))), "unconverged"),
        (lambda: warm_restarts(np.random.default_rng((20261122, 418))), "unconverged"),
        (lambda: neighbours.answers_that_never_change(0.93), "plateau"),
        (lambda: neighbours.loss_of_guessing_with_an_f1(0.7), "no-learning"),
        (lambda: neighbours.learned_when_they_come_again(2.0), "epoch-sawtooth"),
        (lambda: neighbours.softmax_of_probabilities(confidence=0.6), "loss-mismatch"),
        (lambda: neighbours.easier_validation(0.15), "val-better"),
        (lambda: neighbours.evaluations_that_fail_at_random(fail=False), "noisy-validation"),
        (lambda: neighbours_rates.adam_at(0.003), "lr-too-high"),
        (lambda: neighbours_rates.rate_of_an_agent_jumps(1.0), "lr-schedule"),
        (neighbours.leak_with_a_tiny_blip, "spikes"),
        (neighbours.accuracy_of_weights_that_hardly_move, "prediction-collapse"),
        (neighbours.accuracy_that_was_never_above_guessing, "sudden-shift"),
        (lambda: neighbours.macro_f1_of_one_answer(single=False), "prediction-collapse"),
        (lambda: neighbours.run_that_ends_in_the_explosion(explodes=False), "exploding-gradients"),
        (neighbours.validation_never_moves_while_training_learns, "plateau"),
        (lambda: neighbours.six_epochs(0.04), "sudden-shift"),
        (lambda: neighbours.other_training_data(validation_minds=False), "sudden-shift"),
        (lambda: neighbours.learns_only_at_the_end(begins=False), "unconverged"),
        (lambda: neighbours.loss_far_above_what_its_answers_cost(0.05), "loss-mismatch"),
        (lambda: neighbours.value_loss_of_a_ppo(2e4), "divergence"),
        (lambda: neighbours.rounded_to_two_decimals(1.5), "plateau"),
        (neighbours.good_start_rounded_to_two_decimals, "no-learning"),
        (neighbours.one_bad_batch_in_eight, "instability"),
        (lambda: neighbours.files_by_day(shuffled=True), "epoch-sawtooth"),
        (lambda: neighbours.never_above_the_mean(0.45), "generalization-gap"),
        (lambda: neighbours.reward_met_once(found_late=True), "no-learning"),
        (lambda: neighbours.evaluated_on_other_data(0.05), "sudden-shift"),
        (neighbours.explains_a_third, "underfitting"),
        (neighbours.perplexity_of_many_words, "underfitting"),
        (neighbours.perplexity_of_many_words, "plateau"),
        (
            lambda: neighbours.layer_without_gradient(("body.0.base.weight", "body.0.a_weight", "body.0.b_weight", "head.weight"), 0),
            "frozen-weights",
        ),
        (
            lambda: neighbours.layer_without_gradient(("blocks.0.attn.weight", "blocks.0.a_weight", "blocks.0.b_weight", "head.weight"), 0),
            "frozen-weights",
        ),
        (neighbours.loss_of_its_accuracy, "loss-mismatch"),
        (lambda: neighbours.stands_still(200.0, resumed=False), "stalled"),
        (lambda: neighbours.stands_still(40_000.0, resumed=True), "stalled"),
    ],
)
def test_its_harmless_neighbour_is_not(make, never):
    assert never not in said(make())


def test_nan_from_the_first_point_leads_to_the_data():
    series = _synth.make_series("Loss", np.full(5, np.nan), np.arange(1, 6) * 1662)
    run = _synth.make_run({"Loss": series})
    (found,) = [f for f in diagnose_run(run).findings if f.id == "nan-inf"]
    assert "from its first point" in found.title
    assert found.first_action.startswith("Look through all inputs")
    assert "last good value" not in found.evidence[0].statement


def test_weights_that_jump_are_told_where():
    norm = np.concatenate((np.linspace(24, 28, 21), np.linspace(75, 160, 15)))
    loss = np.concatenate((_synth.decay(21, 2.3, 1.9), np.linspace(2.2, 2.0, 15)))
    (found,) = [f for f in diagnose_run(_synth.make_run({"train/loss": loss, "weight_norm": norm})).findings if f.id == "weight-growth"]
    assert "nearly all of it after step 20" in found.title
    assert found.onset is not None
    assert found.onset.first_step >= 20


def test_an_agent_without_returns_is_asked_for_returns_not_for_a_validation_loss():
    run = _synth.make_run({"losses/value_loss": np.linspace(2, 1, 40), "losses/policy_loss": np.zeros(40) + 0.01})
    (found,) = [f for f in diagnose_run(run).findings if f.id == "missing-evidence"]
    assert found.title.startswith("Not logged: return of the episodes")
    assert "validation" not in found.title
