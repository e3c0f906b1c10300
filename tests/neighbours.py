"""Runs that look alike: faults, and their harmless neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run

RNG = np.random.default_rng


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


def easier_validation(gap: float) -> Run:
    train = 1.5 + 0.75 * np.exp(-np.linspace(0, 8, 200)) + RNG(23).normal(0, 0.06, 200)
    ends = np.arange(9, 200, 9)
    val = _synth.make_series("val/loss", train[ends] * 0 + 1.5 - gap + 0.6 * np.exp(-np.linspace(0, 6, ends.size)), ends)
    return _synth.make_run({"train/loss": train, "val/loss": val})


def evaluations_that_fail_at_random(*, fail: bool) -> Run:
    val = _synth.decay(24, 1.9, 0.19, 7.0)
    if fail:
        val[[3, 5, 16, 18, 19, 20]] += [1.6, 1.8, 0.6, 0.5, 0.55, 0.57]
    train = _synth.decay(144, 2.7, 0.23, 7.0) * np.exp(RNG(24).normal(0, 0.08, 144))
    return _synth.make_run({"train/loss": train, "val/loss": _synth.make_series("val/loss", val, np.arange(24) * 6 + 5)})


def leak_with_a_tiny_blip() -> Run:
    train = np.r_[1.86, 0.5, 1.2e-3 * np.exp(RNG(27).normal(0, 1.0, 286))]
    train[270] = 0.02
    return _synth.make_run({"train/loss": train})


def accuracy_of_weights_that_hardly_move() -> Run:
    val = 2.791 - 0.011 * np.linspace(0, 1, 24)
    return _synth.make_run(
        {
            "train/loss": 2.817 - 0.009 * np.linspace(0, 1, 24) + RNG(28).normal(0, 0.002, 24),
            "val/loss": val,
            "val/accuracy": np.full(24, 0.076),
        }
    )


def accuracy_that_was_never_above_guessing() -> Run:
    train = 2.773 + RNG(29).normal(0, 0.01, 240)
    acc = np.r_[0.09, 0.09, np.full(22, 0.06)]
    val = {"val/loss": 2.771 + RNG(30).normal(0, 0.001, 24), "val/accuracy": acc}
    return _synth.make_run({"train/loss": train, **{k: _synth.make_series(k, v, np.arange(24) * 10 + 9) for k, v in val.items()}})


def softmax_of_probabilities(*, confidence: float | None) -> Run:
    """Five classes, probabilities of 0.87 squashed again: short of the floor of one-hot outputs by a tenth."""
    accuracy = 0.93 - 0.73 * np.exp(-np.linspace(0, 9, 40))
    loss = 1.03 + 0.58 * np.exp(-np.linspace(0, 9, 40))
    loss[0] = 1.61
    recall = {f"val/recall/{c}": accuracy for c in range(5)}
    told = {} if confidence is None else {"val/confidence": confidence - (confidence - 0.3) * np.exp(-np.linspace(0, 9, 40))}
    return _synth.make_run(
        {"train/loss": loss, "val/loss": loss + 0.01, "train/accuracy": accuracy, "val/accuracy": accuracy - 0.01, **recall, **told}
    )


def answers_that_never_change(level: float) -> Run:
    """Hits among three of many, the same to the last digit from the third evaluation on, under a rate that is kept up."""
    train = _synth.decay(240, 4.25, 3.3, 40.0) + RNG(41).normal(0, 0.08, 240)
    hits = np.full(26, level)
    hits[:2] *= (0.1, 0.7)
    val = _synth.decay(26, 4.1, 3.38, 40.0) + RNG(42).normal(0, 0.001, 26)
    step = np.arange(1, 27) * 37
    return _synth.make_run(
        {
            "train/loss": _synth.make_series("train/loss", train, every=4),
            "lr": _synth.make_series("lr", np.full(240, 0.006), every=4),
            "val/loss": _synth.make_series("val/loss", val, step=step),
            "val/hits@3": _synth.make_series("val/hits@3", hits, step=step),
        }
    )


def loss_of_guessing_with_an_f1(f1: float) -> Run:
    loss = np.linspace(0.6945, 0.6920, 22)
    return _synth.make_run({"train/loss": loss, "val/loss": loss - 4e-4, "val/f1": f1 + np.linspace(0, 0.003, 22)})


def learned_when_they_come_again(validation: float) -> Run:
    """Six points an epoch, whose loss falls at the boundaries alone; `validation` is where its loss ends."""
    epochs, each = 25, 6
    levels = np.repeat(np.linspace(4.2, 1.8, epochs), each)
    train = levels + RNG(43).normal(0, 0.02, levels.size)
    val = _synth.make_series("val/loss", np.linspace(4.0, validation, epochs), step=np.arange(1, epochs + 1) * 36)
    epoch = np.repeat(np.arange(float(epochs)), each)
    return _synth.make_run(
        {
            "train/loss": _synth.make_series("train/loss", train, every=6),
            "epoch": _synth.make_series("epoch", epoch, every=6),
            "val/loss": val,
        }
    )


def drops_late(*, stands: bool) -> Run:
    """A last drop at seven eighths of the run: of the rate, after which the loss stands, or of a descent that goes on."""
    x = np.linspace(0, 1, 80)
    loss = 0.5 + 1.8 * np.exp(-12 * x) - 0.15 * (x > 0.87) if stands else 2.3 - 1.2 * x - 0.1 * (x > 0.87)
    loss = loss + RNG(61).normal(0, 0.004, 80)
    return _synth.make_run({"train/loss": loss, "val/loss": loss + 0.02})


def perfect_from_the_first_evaluation(*, always: bool) -> Run:
    """Validation without an error from the first epoch on, whose training mean was half learned; or with one now and then."""
    train = _synth.decay(20, 0.33, 0.002, 14.0)
    accuracy = np.ones(20)
    if not always:
        accuracy[[0, 4, 9]] = 0.97, 0.985, 0.99
    first = np.concatenate(([0.985], np.ones(19)))
    return _synth.make_run(
        {"train/loss": train, "val/loss": 0.6 * train + 0.0005, "train/accuracy": first, "val/accuracy": accuracy}, every=1
    )


def validation_ahead_after_a_steep_descent(ahead: float) -> Run:
    """Eleven evaluations, most of the descent between two of them: the noise of so few points is not known."""
    train = np.array([1.106, 1.1, 1.095, 1.038, 0.819, 0.774, 0.72, 0.669, 0.591, 0.554, 0.475])
    far = np.array([0.01, 0.007, 0.03, 0.257, 0.151, 0.171, 0.25, 0.351, 0.359, 0.324, 0.267])
    steps = np.arange(11) * 10
    loss = np.interp(np.arange(101), steps, train) + RNG(63).normal(0, 0.03, 101)
    return _synth.make_run({"train/loss": loss, "val/loss": _synth.make_series("val/loss", train - ahead * far, steps)}, every=1)


def tuned_from_a_good_start(accuracy: float) -> Run:
    """A loss of 0.65 that hardly moves, next to ln 2: two classes are guessed at an accuracy of a half, not at one of three quarters."""
    loss = 0.65 - 0.01 * np.linspace(0, 1, 60) + RNG(65).normal(0, 0.004, 60)
    right = np.full(60, accuracy) + RNG(66).normal(0, 0.008, 60)
    return _synth.make_run({"train/loss": loss, "train/accuracy": right, "val/loss": loss - 0.005, "val/accuracy": right})


def single_batches_under_means_of_epochs(height: float) -> Run:
    """The loss by the batch beside that by the epoch: six batches thrown high in 189."""
    loss = _synth.decay(189, 1.3, 0.08, 14.0) + RNG(67).normal(0, 0.004, 189)
    loss[[48, 70, 95, 120, 150, 175]] += height
    epoch = loss.reshape(21, 9).mean(axis=1)
    by_epoch = {
        f"Epoch/{k}Loss": _synth.make_series(f"Epoch/{k}Loss", v, np.arange(21) * 45 + 40) for k, v in (("Train", epoch), ("Val", epoch))
    }
    return _synth.make_run({"Batch/Loss": loss, **by_epoch}, every=5)
