"""What a run is said to suffer from, on logs that look alike: the fault, and its harmless neighbour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.model import Run, Severity

RNG = np.random.default_rng


def said(run: Run) -> set[str]:
    """Ids of the errors and warnings."""
    return {f.id for f in diagnose_run(run).findings if f.severity is not Severity.NOTE}


def spikes_at_every_tenth_point() -> Run:
    loss = _synth.decay(92, 1.0, 0.05) * np.exp(RNG(1).normal(0, 0.08, 92))
    loss[10::11] += 0.35
    return _synth.make_run({"train/loss": loss})


def worse_than_the_mean() -> Run:
    x = _synth.decay(26, 50.0, 1.4, 8.0)
    return _synth.make_run({"train/loss": 0.9 * x, "val/loss": x, "train/r2": 1 - 0.9 * x, "val/r2": 1 - x})


def explains_a_third() -> Run:
    x = _synth.decay(26, 1.0, 0.66, 8.0) + RNG(2).normal(0, 0.004, 26)
    return _synth.make_run({"train/loss": x, "val/loss": x + 0.005, "train/r2": 1 - x, "val/r2": 0.995 - x})


def only_begins_to_learn() -> Run:
    fall = 0.08 * np.linspace(0, 1, 14) ** 3
    series = {f"val/recall/{c}": np.full(14, 0.05) for c in range(20)}
    noise = RNG(3).normal(0, 1e-4, (2, 14))
    return _synth.make_run({"train/loss": 2.9957 - fall + noise[0], "val/loss": 2.9957 - fall + noise[1], **series})


def return_that_only_falls() -> Run:
    reward = 0.08 * np.exp(-np.linspace(0, 6, 45)) + RNG(4).normal(0, 0.004, 45)
    return _synth.make_run({"charts/episodic_return": reward, "losses/approx_kl": np.full(45, 0.01)}, every=576)


def return_of_nothing() -> Run:
    return _synth.make_run({"charts/episodic_return": np.zeros(45), "losses/approx_kl": np.full(45, 0.01)}, every=576)


def perplexity_cut_short() -> Run:
    nats = 3.2 - 1.5 * np.linspace(0, 1, 40) + RNG(5).normal(0, 0.004, 40)
    return _synth.make_run({"train/ppl": np.exp(nats), "dev/ppl": np.exp(nats + 0.02)}, every=8)


def perplexity_of_many_words() -> Run:
    nats = _synth.decay(40, 3.1, 1.3, 8.0) + RNG(6).normal(0, 0.004, 40)
    words = {f"dev/recall/{c}": np.full(40, 0.3) for c in range(24)}
    return _synth.make_run({"train/ppl": np.exp(nats), "dev/ppl": np.exp(nats + 0.02), **words}, every=8)


def validation_runs_away() -> Run:
    train = 33 + RNG(7).normal(0, 12, 56)
    return _synth.make_run(
        {"train/loss": train, "val/loss": _synth.make_series("val/loss", 40.0 * 1.15 ** np.arange(16), np.arange(1, 17) * 3)}
    )


def layer_without_gradient(names: tuple[str, ...], still: int) -> Run:
    rng = RNG(8)
    series = {f"grad_norm/{n}": np.zeros(14) if i == still else 0.2 * np.exp(rng.normal(0, 0.2, 14)) for i, n in enumerate(names)}
    return _synth.make_run({"train/loss": _synth.decay(14, 1.2, 0.9) + rng.normal(0, 0.01, 14), **series})


def loss_in_another_unit() -> Run:
    error = 0.5 * np.exp(-np.linspace(0, 3, 26)) + 0.03
    cost = -error * np.log(error) - (1 - error) * np.log(1 - error) + error * 6.9
    return _synth.make_run({"val/loss": 9 * cost, "train/loss": 9 * cost, "val/accuracy": 1 - error, "train/accuracy": 1 - error})


def loss_of_its_accuracy() -> Run:
    error = 0.5 * np.exp(-np.linspace(0, 3, 26)) + 0.03
    cost = -error * np.log(error) - (1 - error) * np.log(1 - error) + error
    return _synth.make_run({"val/loss": cost, "train/loss": cost, "val/accuracy": 1 - error, "train/accuracy": 1 - error})


def knows_the_next_token() -> Run:
    nats = 2.6 * np.exp(-np.linspace(0, 14, 42)) + 2e-4
    at = np.arange(3, 42, 3)
    right = np.append(0.985, np.ones(at.size - 1))
    dev = {"dev/ppl": np.exp(nats[at]), "dev/token-acc": right}
    return _synth.make_run(
        {
            "train/ppl": np.exp(nats),
            "train/token-acc": 1 - 0.66 * np.exp(-np.arange(42.0)),
            **{k: _synth.make_series(k, v, at * 8) for k, v in dev.items()},
        },
        every=8,
    )


def stands_still(seconds: float, *, resumed: bool) -> Run:
    run = _synth.make_run({"train/loss": _synth.decay(90, 1.0, 0.3) + RNG(9).normal(0, 0.01, 90)})
    series = run.series["train/loss"]
    series.wall_time[45:] += seconds
    if resumed:
        files = tuple(replace(run.files[0], path=f"events.{i}", first_wall_time=float(series.wall_time[i * 45])) for i in range(2))
        run = replace(run, files=files)
    return run


def gradient_grows_with_the_loss() -> Run:
    rng = RNG(10)
    t = np.linspace(0, 1, 112)
    return _synth.make_run(
        {"train/loss": 1.9 + 110 * t**1.2 + rng.normal(0, 0.5, 112), "train/grad_norm": 0.7 + 150 * t * np.exp(rng.normal(0, 0.4, 112))}
    )


def one_bad_batch_in_eight() -> Run:
    loss = _synth.decay(70, 0.12, 0.022, 9.0) * np.exp(RNG(11).normal(0, 0.05, 70))
    loss[16::9] += 0.04
    return _synth.make_run({"train/loss": loss})


def files_by_day(*, shuffled: bool) -> Run:
    """Fourteen epochs of 26 steps, every sixth of them logged: 4.3 points an epoch, at 13 different places."""
    step = np.arange(6, 361, 6)
    place = (step - 1) % 26
    loss = -0.3 - 0.4 * step / 360 + RNG(12).normal(0, 0.1, 60) + (0.0 if shuffled else 1.2 * np.cos(2 * np.pi * place / 26))
    ends = np.arange(26, 365, 26)
    val = _synth.make_series("val/loss", 0.2 - 0.9 * (1 - np.exp(-ends / 60)), ends)
    return _synth.make_run({"train/loss": _synth.make_series("train/loss", loss, step), "val/loss": val})


def never_above_the_mean(best: float) -> Run:
    train = -0.4 - 0.7 * (1 - np.exp(-np.linspace(0, 6, 60)))
    val = 2.5 - 3.1 * (1 - np.exp(-np.linspace(0, 6, 60)))
    return _synth.make_run(
        {
            "train/nll": train + RNG(13).normal(0, 0.02, 60),
            "val/nll": val + RNG(14).normal(0, 0.02, 60),
            "train/r2": 0.49 - 0.4 * np.exp(-np.linspace(0, 6, 60)),
            "val/r2": best - 2.5 * np.exp(-np.linspace(0, 6, 60)),
        }
    )


def reward_met_once(*, found_late: bool) -> Run:
    reward = np.zeros(70)
    reward[19] = 0.04
    if found_late:
        reward[-8:] = np.linspace(0.1, 0.8, 8)
    return _synth.make_run({"charts/episodic_return": reward, "losses/approx_kl": np.full(70, 0.01)}, every=576)


def evaluated_on_other_data(size: float) -> Run:
    val = np.array([-0.57, -0.67, -0.69, -0.71, -0.72, -0.73, -0.74, -0.75, -0.51, -0.55, -0.51, -0.54, -0.52, -0.53])
    val[8:] += size - 0.24
    train = _synth.make_series("train/loss", -0.85 + 0.5 * np.exp(-np.linspace(0, 9, 56)) + RNG(15).normal(0, 0.05, 56), np.arange(56) * 2)
    return _synth.make_run({"train/loss": train, "val/loss": _synth.make_series("val/loss", val, np.arange(1, 15) * 8)})


def bits_of_a_sum() -> Run:
    error = 0.68 + 0.27 * np.exp(-np.linspace(0, 9, 64))
    bits = 2045 + 760 * np.exp(-np.linspace(0, 9, 64))
    return _synth.make_run({"train/bpc": bits, "train/acc": 1 - error}, every=6)


def good_start_rounded_to_two_decimals() -> Run:
    train = 0.14 - 0.012 * np.linspace(0, 1, 14) + RNG(17).normal(0, 0.004, 14)
    return _synth.make_run({"train/loss": np.round(train, 2), "val/loss": np.full(14, 0.17)})


def value_loss_of_a_ppo(factor: float) -> Run:
    x = np.linspace(0, 1, 120)
    value = 2 * np.exp(-3 * x) + 0.2
    value[60:] *= factor ** np.linspace(0, 1, 60)
    reward = 200 - 180 * np.exp(-4 * x) + RNG(16).normal(0, 5, 120)
    return _synth.make_run({"charts/episodic_return": reward, "losses/value_loss": value, "losses/policy_loss": -0.01 * x}, every=2048)


def rounded_to_two_decimals(start: float) -> Run:
    val = np.round(_synth.decay(20, start, 0.4, 9.0), 2)
    return _synth.make_run({"train/loss": np.round(_synth.decay(20, start, 0.35, 7.0), 2), "val/loss": val})


def other_training_data(*, validation_minds: bool) -> Run:
    """The training loss jumps at half time, under a rate that is lowered there, and is learned anew; validation is on the old data."""
    train = np.concatenate((_synth.decay(39, 3.8, 1.5, 4.0), _synth.decay(39, 4.0, 2.2, 4.0))) + RNG(18).normal(0, 0.07, 78)
    worse = np.array([1.75, 2.11, 2.19, 2.26, 2.33, 2.38, 2.41]) if validation_minds else np.linspace(1.66, 1.5, 7)
    val = np.concatenate(([2.83, 2.31, 2.0, 1.83, 1.76, 1.68], worse))
    series = {"train/loss": train, "val/loss": _synth.make_series("val/loss", val, np.arange(1, 14) * 6), "lr": np.repeat([2e-3, 4e-4], 39)}
    return _synth.make_run(series)


def learns_only_at_the_end(*, begins: bool) -> Run:
    val = 1.056 + RNG(19).normal(0, 0.003, 24)
    if begins:
        val[-5:] = [1.036, 0.978, 0.903, 0.743, 0.649]
    train = np.concatenate(([102.0], np.repeat(val, 4)[1:] + RNG(20).normal(0, 0.03, 95)))
    return _synth.make_run({"train/loss": train, "val/loss": _synth.make_series("val/loss", val, np.arange(1, 25) * 4)})


def loss_far_above_what_its_answers_cost(factor: float) -> Run:
    error = 0.14 + 0.14 * np.exp(-np.linspace(0, 5, 12))
    loss = factor * (18 + 54 * np.exp(-np.linspace(0, 5, 12)))
    return _synth.make_run({"train/loss": 0.6 * loss, "val/loss": loss, "val/accuracy": 1 - error}, every=30)


def macro_f1_of_one_answer(*, single: bool) -> Run:
    p = np.array([0.124, 0.118, 0.126, 0.118, 0.138, 0.12, 0.138, 0.118, 0.118])
    f1 = 2 * p / (1 + p) / 8 * (1.0 if single else np.linspace(1.0, 1.6, 9))
    loss = np.array([2.2, 2.14, 2.16, 2.16, 2.13, 2.13, 2.1, 2.23, 2.13])
    return _synth.make_run({"train/loss": loss + 0.2, "val/loss": loss, "val/accuracy": p, "val/macro_f1": f1})


def run_that_ends_in_the_explosion(*, explodes: bool) -> Run:
    loss = np.concatenate((_synth.decay(13, 1.7, 0.84), [1.4, 2.7, 16.8, 60.0, 125.7] if explodes else np.full(5, 0.84)))
    norm = np.concatenate((np.linspace(0.23, 0.56, 14), [0.6, 2.0, 5.1, 13.4] if explodes else np.full(4, 0.6)))
    return _synth.make_run({"train/loss": loss, "val/loss": 1.3 * loss, "train/grad_norm": norm})


def validation_never_moves_while_training_learns() -> Run:
    train = _synth.decay(105, 0.13, 0.02, 30.0) * np.exp(RNG(21).normal(0, 0.04, 105))
    val = 0.21 + RNG(22).normal(0, 0.006, 14)
    val[0] = 0.191
    series = {"train/loss": train, "val/loss": _synth.make_series("val/loss", val, np.arange(1, 15) * 7)}
    return _synth.make_run({**series, "val/delta1": _synth.make_series("val/delta1", np.full(14, 0.16), np.arange(1, 15) * 7)})


def six_epochs(jump: float) -> Run:
    return _synth.make_run(
        {
            "train/loss": [0.586, 0.5, 0.47, 0.47 + 0.6 * jump, 0.54, 0.53],
            "val/loss": [0.532, 0.493, 0.485, *(0.485 + jump + np.array([0, 0.007, 0]))],
        }
    )


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: macro_f1_of_one_answer(single=True), "prediction-collapse"),
        (lambda: run_that_ends_in_the_explosion(explodes=True), "exploding-gradients"),
        (validation_never_moves_while_training_learns, "generalization-gap"),
        (lambda: six_epochs(0.155), "sudden-shift"),
        (lambda: other_training_data(validation_minds=True), "sudden-shift"),
        (lambda: learns_only_at_the_end(begins=True), "unconverged"),
        (lambda: loss_far_above_what_its_answers_cost(1.0), "loss-mismatch"),
        (lambda: value_loss_of_a_ppo(1e8), "divergence"),
        (one_bad_batch_in_eight, "spikes"),
        (lambda: files_by_day(shuffled=False), "epoch-sawtooth"),
        (lambda: never_above_the_mean(-0.2), "generalization-gap"),
        (lambda: reward_met_once(found_late=False), "no-learning"),
        (lambda: evaluated_on_other_data(0.24), "sudden-shift"),
        (bits_of_a_sum, "loss-mismatch"),
        (spikes_at_every_tenth_point, "spikes"),
        (worse_than_the_mean, "underfitting"),
        (only_begins_to_learn, "underfitting"),
        (return_that_only_falls, "no-learning"),
        (return_of_nothing, "no-learning"),
        (perplexity_cut_short, "unconverged"),
        (validation_runs_away, "divergence"),
        (lambda: layer_without_gradient(("net.0.weight", "net.2.weight", "net.4.weight"), 0), "frozen-weights"),
        (loss_in_another_unit, "loss-mismatch"),
        (knows_the_next_token, "leakage"),
        (lambda: stands_still(700.0, resumed=False), "stalled"),
        (gradient_grows_with_the_loss, "exploding-gradients"),
    ],
)
def test_the_fault_is_named(make, expected):
    assert expected in said(make())


@pytest.mark.parametrize(
    ("make", "never"),
    [
        (lambda: macro_f1_of_one_answer(single=False), "prediction-collapse"),
        (lambda: run_that_ends_in_the_explosion(explodes=False), "exploding-gradients"),
        (validation_never_moves_while_training_learns, "plateau"),
        (lambda: six_epochs(0.04), "sudden-shift"),
        (lambda: other_training_data(validation_minds=False), "sudden-shift"),
        (lambda: learns_only_at_the_end(begins=False), "unconverged"),
        (lambda: loss_far_above_what_its_answers_cost(0.05), "loss-mismatch"),
        (lambda: value_loss_of_a_ppo(2e4), "divergence"),
        (lambda: rounded_to_two_decimals(1.5), "plateau"),
        (good_start_rounded_to_two_decimals, "no-learning"),
        (one_bad_batch_in_eight, "instability"),
        (lambda: files_by_day(shuffled=True), "epoch-sawtooth"),
        (lambda: never_above_the_mean(0.45), "generalization-gap"),
        (lambda: reward_met_once(found_late=True), "no-learning"),
        (lambda: evaluated_on_other_data(0.05), "sudden-shift"),
        (explains_a_third, "underfitting"),
        (perplexity_of_many_words, "underfitting"),
        (perplexity_of_many_words, "plateau"),
        (lambda: layer_without_gradient(("body.0.base.weight", "body.0.a_weight", "body.0.b_weight", "head.weight"), 0), "frozen-weights"),
        (
            lambda: layer_without_gradient(("blocks.0.attn.weight", "blocks.0.a_weight", "blocks.0.b_weight", "head.weight"), 0),
            "frozen-weights",
        ),
        (loss_of_its_accuracy, "loss-mismatch"),
        (lambda: stands_still(200.0, resumed=False), "stalled"),
        (lambda: stands_still(40_000.0, resumed=True), "stalled"),
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
