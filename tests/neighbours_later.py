"""More neighbouring runs: what is told apart by a second step, a NaN, a doubled level, a constant rate, a training loss that fits."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run

decay = _synth.decay


def noise(n: int, sd: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, n)


def losses_that_climb(both: bool) -> Run:
    """Training climbs with validation, or not."""
    up = 0.45 + np.linspace(0, 0.25, 22)
    train = up + 0.02 if both else decay(22, 0.5, 0.2)
    return _synth.make_run({"train/loss": train + noise(22, 0.02, 1), "val/loss": up + noise(22, 0.02, 2)})


def worse_from_the_second_evaluation() -> Run:
    val = np.concatenate(([2.27], 4.3 + noise(11, 0.15, 3)))
    return _synth.make_run(
        {"train/loss": decay(160, 1.7, 0.09, 8.0), "val/loss": _synth.make_series("val/loss", val, np.arange(12) * 14 + 5)}
    )


def rises_in_two_steps() -> Run:
    val = np.concatenate((decay(11, 1.65, 1.4), [1.41, 1.39, 1.54, 1.47, 1.65, 1.6, 1.62, 1.7, 1.68, 1.61, 1.63])) + noise(22, 0.01, 4)
    return _synth.make_run(
        {"train/loss": decay(132, 1.7, 0.2) + noise(132, 0.05, 5), "val/loss": _synth.make_series("val/loss", val, np.arange(22) * 6 + 5)}
    )


def metric_falls_where_the_loss_breaks(breaks: bool) -> Run:
    """Validation's loss turns NaN (or doubles) in the evaluation at which its accuracy falls."""
    loss = decay(18, 0.8, 0.07) + noise(18, 0.005, 6)
    loss[9:] = np.nan if breaks else 1.9 + noise(9, 0.01, 7)
    accuracy = np.where(np.arange(18) < 9, 0.97, 0.14) + noise(18, 0.004, 8)
    return _synth.make_run({"train/loss": decay(18, 1.8, 0.06), "val/loss": loss, "val/accuracy": accuracy})


def level_that_doubles() -> Run:
    val = np.concatenate(([1.81, 0.75, 0.25, 0.21], np.full(6, 0.2), np.full(9, 0.6))) + noise(19, 0.01, 9)
    return _synth.make_run({"train/loss": decay(19, 1.8, 0.16, 8.0), "val/loss": val})


def six_evaluations(constant: bool) -> Run:
    """Falling at every one under a rate that is kept up, or annealed."""
    val = _synth.make_series("val/loss", [2.31, 2.15, 2.02, 1.91, 1.835, 1.765], np.arange(6) * 48 + 48)
    rate = np.full(14, 6e-4) if constant else 6e-4 * (1 + np.cos(np.linspace(0, np.pi, 14))) / 2
    steps = np.arange(14) * 20 + 20
    series = {"train/loss": decay(14, 2.4, 1.6, 1.2) + noise(14, 0.02, 10), "lr": rate}
    return _synth.make_run({**{t: _synth.make_series(t, v, steps) for t, v in series.items()}, "val/loss": val})


def below_the_mean(fits: bool) -> Run:
    """An R2 of validation that never leaves zero, while training fits, or does not."""
    train = decay(120, 1.8, 0.02 if fits else 1.3, 8.0) + noise(120, 0.01, 11)
    r2 = -np.abs(noise(20, 40.0, 12)) - 1
    val = np.abs(noise(20, 0.5, 13)) + 0.1 if fits else decay(20, 1.8, 1.32, 8.0) + noise(20, 0.01, 14)
    at = np.arange(20) * 6 + 5
    return _synth.make_run(
        {"train/loss": train, "val/loss": _synth.make_series("val/loss", val, at), "val/r2": _synth.make_series("val/r2", r2, at)}
    )


def settles(*, gains: float) -> Run:
    """An agent whose policy settles, on what brings so much more (or less) than its first actions."""
    reward = gains - 6 - decay(70, gains, 0, 5.0)
    return _synth.make_run(
        {
            "rollout/ep_rew_mean": reward + noise(70, 0.6, 15),
            "train/entropy": decay(70, 1.6, 0.22) + noise(70, 0.02, 16),
            "train/approx_kl": np.full(70, 0.004),
        },
        every=384,
    )


def knows_the_next_token(*, leaks: bool) -> Run:
    """A language model that is right from the first evaluation on, and loses a thousandth of that at the end; or one that learns."""
    train = np.r_[decay(20, 3.46, 1e-4, 12.0), np.abs(noise(500, 2e-6, 17)), np.full(20, 0.02)] if leaks else decay(540, 3.4, 1.6, 8.0)
    val = np.r_[np.full(16, 1e-6), 2e-4, 0.03] if leaks else decay(18, 2.4, 1.66)
    at = np.arange(18) * 30 + 29
    return _synth.make_run(
        {"loss": train, "val_loss": _synth.make_series("val_loss", val, at), "val_ppl": _synth.make_series("val_ppl", np.exp(val), at)}
    )


def deep_stack(*, learns: bool) -> Run:
    """Norms that fade from the output to the input, where those of the first layer, with its many inputs, are the largest of the front."""
    level = np.array([8e-4, 4e-5, 1.5e-5, 2e-5, 1.4e-5, 7e-5, 4e-4, 6e-3, 4e-2, 0.5])
    loss = decay(200, 2.3, 0.2 if learns else 1.95) + noise(200, 0.02, 18)
    scatter = np.exp(noise(14, 0.3, 19))
    norms = {f"grad_norm/net.{i}.weight": _synth.make_series(f"g{i}", x * scatter, np.arange(14) * 15) for i, x in enumerate(level)}
    norms = {tag: _synth.make_series(tag, s.value, s.step) for tag, s in norms.items()}
    guess = _synth.make_series("val/accuracy", np.full(20, 0.2) if not learns else 0.95 - decay(20, 0.8, 0.0), np.arange(20) * 10 + 9)
    return _synth.make_run({"train/loss": loss, "val/accuracy": guess, **norms})


def pairs_of_answers(*, told_apart: bool) -> Run:
    """A reward model on pairs whose sides were mixed up, or not."""
    loss = (decay(45, 0.7, 0.3) if told_apart else np.full(45, 0.6935)) + noise(45, 0.003, 20)
    accuracy = (0.9 - decay(45, 0.4, 0.0) if told_apart else np.full(45, 0.5)) + noise(45, 0.02, 21)
    return _synth.make_run(
        {"train/loss": loss, "train/accuracy": accuracy, "train/margin": accuracy - 0.5, "train/min_reward": -1 - accuracy}
    )


def met_again(height: float) -> Run:
    """A loss that falls a little when an epoch begins and comes back within it, of a model that generalises."""
    n, epochs = 30, 18
    loss = decay(n * epochs, 3.4, 1.55, 9.0) + height * np.tile(np.linspace(-0.5, 0.5, n), epochs) + noise(n * epochs, 0.04, 22)
    val = _synth.make_series("val_loss", decay(18, 2.4, 1.65, 5.0), np.arange(18) * n + n - 1)
    return _synth.make_run({"loss": loss, "epoch": np.repeat(np.arange(epochs), n), "val_loss": val})


def pixels_of_four_classes(*, rare_found: bool) -> Run:
    """Accuracies of all pixels as segmentation frameworks call them, beside those of the classes."""
    at = np.arange(18) * 20 + 20
    classes = {f"val/Acc.{name}": np.full(18, 0.9 if rare_found else 0.0) for name in ("sky", "car", "tree")} | {
        "val/Acc.road": np.full(18, 1.0)
    }
    series = {**classes, "val/aAcc": np.full(18, 0.98 if rare_found else 0.927), "val/loss": decay(18, 0.42, 0.29, 8.0)}
    made = {tag: _synth.make_series(tag, v, at) for tag, v in series.items()}
    return _synth.make_run({"train/loss": _synth.make_series("train/loss", decay(72, 1.2, 0.26, 8.0), np.arange(72) * 5 + 5), **made})


def slower_after_a_hiccup() -> Run:
    """Steps of 0.3 s, one of 3 s, then from step 360 on steps of 2 s."""
    waits = np.r_[np.full(318, 0.3), 3.0, np.full(40, 0.3), np.full(440, 2.1)] * np.exp(noise(799, 0.05, 23))
    loss = _synth.make_series("train/loss", decay(800, 2.3, 0.1))
    return _synth.make_run({"train/loss": type(loss)("train/loss", "", loss.step, 1.7e9 + np.r_[0.0, np.cumsum(waits)], loss.value)})


def stands_half_way(quality: float, *, annealed: bool = False) -> Run:
    """Both losses stand for four fifths of the run, at a level that the metric calls half good, or good."""
    n = 100
    lr = 2e-3 * (1 + np.cos(np.linspace(0, np.pi, n))) / 2 if annealed else np.full(n, 2e-3)
    left = 1 - quality
    at = np.arange(20) * 5 + 4
    val = _synth.make_series("val/loss", decay(20, 0.75, left, 40.0) + noise(20, 0.003, 24), at)
    r2 = _synth.make_series("val/r2", quality - decay(20, 0.2, 0.0, 40.0) + noise(20, 0.002, 25), at)
    return _synth.make_run(
        {"train/loss": decay(n, 1.0, left, 40.0) + noise(n, 0.01, 26), "lr": lr, "val/loss": val, "val/r2": r2},
    )


def right_from_the_first_evaluation(*, errors: float) -> Run:
    """Training's first mean over an epoch is a quarter of guessing; validation makes no error, or a few."""
    n = 12
    train = np.r_[0.19, 0.004, decay(n - 2, 2e-3, 1e-4)]
    val = decay(n, 1.5e-3, 5e-5) + errors / 4
    return _synth.make_run(
        {"train/loss": train, "val/loss": val, "val/accuracy": 1.0 - errors - 0.5 * decay(n, errors, 0.0), "val/f1": np.full(n, 1 - errors)}
    )


def trains_well_late(end: float) -> Run:
    """Training becomes good at its end only, or stays where validation is; validation stands."""
    train = np.linspace(1.6, end, 200) + noise(200, 0.02, 27)
    at = np.arange(20) * 10 + 9
    val = _synth.make_series("val/loss", decay(20, 1.7, 1.45, 5.0) + noise(20, 0.005, 28), at)
    accuracy = _synth.make_series("val/accuracy", 0.45 - decay(20, 0.1, 0.0, 5.0), at)
    right = 0.3 + (0.95 if end < 0.5 else 0.5) * (1.6 - train) / 1.6
    return _synth.make_run({"train/loss": train, "train/accuracy": np.clip(right, 0, 1), "val/loss": val, "val/accuracy": accuracy})


def norms_from_the_start(size: float, *, learns: bool) -> Run:
    """Norms of a million from the first point on, of a model that stays at guessing, or of a loss in another unit."""
    loss = decay(40, 6e5, 8e4 if not learns else 2e4)
    accuracy = np.full(40, 0.1) + noise(40, 0.004, 29) if not learns else 0.9 - decay(40, 0.7, 0.0)
    norm = size * decay(40, 1.0, 0.3) * np.exp(noise(40, 0.05, 30))
    return _synth.make_run(
        {"train/loss": loss, "grad_norm": norm, "train/accuracy": accuracy, "val/accuracy": accuracy, "val/loss": loss * 1.01}
    )


def new_labels_among_fourteen_epochs(*, comes_back: bool) -> Run:
    """The training loss jumps between two epochs and learns anew; validation is worse ever after, or recovers."""
    train = np.r_[decay(7, 1.9, 0.35, 3.0), decay(7, 1.5, 0.6 if not comes_back else 0.3, 3.0)]
    val = np.r_[decay(7, 1.8, 0.5, 3.0), np.linspace(0.75, 1.05, 7) if not comes_back else decay(7, 1.4, 0.42, 4.0)]
    return _synth.make_run({"train/loss": train + noise(14, 0.01, 31), "val/loss": val + noise(14, 0.01, 32)})
