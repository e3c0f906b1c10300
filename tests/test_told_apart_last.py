"""Pairs of runs that differ in one thing, of which one has the symptom: found with a tenth and an eleventh set of labelled trainings."""

from __future__ import annotations

import numpy as np
import pytest

from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.model import Run, Severity


def said(run: Run) -> set[str]:
    return {f.id for f in diagnose_run(run).findings if f.severity is not Severity.NOTE}


def noise(n: int, sigma: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, n)


def a_third_of_the_picture(*, gap: float) -> Run:
    """Eight classes, a third of the way in training; validation is `gap` of the training loss worse."""
    n = 16
    train = _synth.decay(n, 2.08, 1.4, 6.0) + noise(n, 0.01, 1)
    return _synth.make_run(
        {
            "train/loss": train,
            "val/loss": _synth.decay(n, 2.06, 1.4 * (1 + gap), 6.0) + noise(n, 0.01, 2),
            "val/accuracy": 0.32 - _synth.decay(n, 0.195, 0.0, 6.0) + noise(n, 0.005, 3),
        },
        every=20,
    )


def fine_tuned(*, validation_rises: bool) -> Run:
    """Training loses its head start within ten points and stands; validation keeps its level, or goes with it."""
    n = 70
    train = 0.24 - 0.065 * np.exp(-np.arange(n) / 3) + noise(n, 0.003, 4)
    val = 0.255 + (0.12 * (1 - np.exp(-np.arange(n) / 3)) if validation_rises else 0.0) + noise(n, 0.002, 5)
    return _synth.make_run({"train/loss": train, "val/loss": val}, every=4)


def at_the_highest_return(*, points: int) -> Run:
    """Returns that stand at the most there is, 80, and break down to 50 for some epochs."""
    reward = np.minimum(80.0, 16 + 8.0 * np.arange(100.0)) - np.abs(noise(100, 1.0, 6)) * (np.arange(100) % 4 == 0)
    reward[75 : 75 + points] = 50.0
    return _synth.make_run({"rollout/ep_rew_mean": reward, "train/approx_kl": np.full(100, 0.01)}, every=1000)


def pushed(*, slows_down: bool) -> Run:
    """The norm of all weights: a little learning first, then a push in a straight line, or a walk that gains less and less."""
    t = np.linspace(0, 1, 80)
    norm = 6.5 + 20.0 * (np.sqrt(t) if slows_down else t**1.12) + 1.8 * (1 - np.exp(-12 * t))
    return _synth.make_run({"train/loss": _synth.decay(80, 1.4, 0.2), "train/weight_norm": norm}, every=7)


def means_since_the_epoch_began(*, named: bool) -> Run:
    """A loss that steps down where each epoch begins; its name says that it is an average, or that it is none."""
    level = np.repeat(1.8 * 0.8 ** np.arange(14), 5) + noise(70, 0.004, 7)
    tag = "avg_train_loss" if named else "train_loss"
    val = 2.5 + 10 * (1 - np.exp(-np.arange(14) / 4))
    return _synth.make_run({tag: level, "epoch": np.repeat(np.arange(14.0), 5), "val_loss": _synth.make_series("val_loss", val, every=5)})


def solved_from_the_start(*, errors: bool) -> Run:
    """A loss of a ten-thousandth that jumps about by factors, where hardly an answer is wrong; or the same course a thousand times as high."""
    n = 200
    loss = 10 ** (-3.5 + 0.7 * np.sin(np.arange(n) / 6) + noise(n, 0.2, 20)) * (1000 if errors else 1)
    accuracy = np.full(n, 0.6 if errors else 1.0) + np.abs(noise(n, 0.001, 21)) * -1
    return _synth.make_run({"train/loss": loss, "train/accuracy": accuracy})


def rows_in_order(*, up_again: bool) -> Run:
    """Ten points an epoch: a loss that depends on the place in it and comes back at its end, or a mean since the epoch began that settles."""
    place = np.tile(np.arange(10.0), 20)
    shape = 0.04 * (place - 5) ** 2 if up_again else np.exp(-place)
    return _synth.make_run({"train/loss": 0.1 + shape + noise(200, 0.005, 30), "epoch": np.repeat(np.arange(20.0), 10)}, every=5)


def a_line_to_nought(*, learned: bool) -> Run:
    """A tiny rate under a linear decay: the loss moves by a thirtieth, and accuracy is constant all the while or good from the start."""
    n = 60
    left = 1 - np.arange(n) / n
    loss = 1.61 - 0.04 * (1 - left**2) + noise(n, 0.0005, 31)
    accuracy = np.full(n, 0.22) if not learned else 0.8 + noise(n, 0.002, 32)
    return _synth.make_run({"train/loss": loss, "val/loss": loss + 0.002, "val/accuracy": accuracy, "lr": 1e-5 * left + 1e-12})


def another_constant(*, learned: bool) -> Run:
    """Accuracy steps from 0.28 to 0.22 of four classes while nothing is learned, or from 0.88 to 0.52 after it was."""
    n = 24
    loss = np.full(n, np.log(4)) if not learned else _synth.decay(n, np.log(4), 0.3, 4.0)
    accuracy = (
        np.where(np.arange(n) < 14, 0.28, 0.22) if not learned else np.where(np.arange(n) < 14, 0.88 - _synth.decay(n, 0.6, 0.0, 2.0), 0.52)
    )
    run = {"train/loss": loss + noise(n, 0.002, 33), "val/loss": loss + noise(n, 0.002, 34), "val/accuracy": accuracy + noise(n, 0.001, 35)}
    return _synth.make_run(run, every=20)


def up_before_nan(*, points: int) -> Run:
    """Validation rises for some evaluations, then both losses are NaN."""
    val = np.concatenate(([0.72, 0.47, 0.3, 0.233, 0.216, 0.203, 0.207], 0.207 + 0.06 * np.arange(1, points + 1), np.full(6, np.nan)))
    n = val.size
    train = np.concatenate((_synth.decay(n - 6, 1.3, 0.05, 4.0), np.full(6, np.nan)))
    return _synth.make_run({"train/loss": train, "val/loss": val}, every=40)


def nothing_moves(*, evaluations: float, level: float) -> Run:
    """A regression without a score whose training loss stands in its noise, and whose evaluations vary by a share of their level."""
    train = level * (1 + noise(120, 0.06, 36))
    val = level * (1 + evaluations * np.linspace(-0.5, 0.5, 15)[np.argsort(noise(15, 1.0, 37))])
    return _synth.make_run(
        {"train/loss": _synth.make_series("train/loss", train, every=4), "val/loss": _synth.make_series("val/loss", val, every=32)}
    )


def stands_at(*, level: float, gains: float) -> Run:
    """Training comes down to a level within the first tenth of the run; validation gains a share of its level from its first evaluation on."""
    train = level + (1 - level) * np.exp(-np.arange(160) / 6) + noise(160, 0.02, 38)
    val = level * (1 + gains * np.exp(-np.arange(16) / 3)) + noise(16, 0.002, 39)
    return _synth.make_run(
        {
            "train/loss": _synth.make_series("train/loss", train, every=4),
            "val/loss": _synth.make_series("val/loss", val, step=np.arange(1, 17) * 40),
        }
    )


def easy_first_batches(*, validation_falls: bool) -> Run:
    """A training loss that is far higher after its first points; validation gets better all the while, or goes with it."""
    train = np.concatenate((np.full(4, 0.6), 4.5 - 0.3 * np.linspace(0, 1, 156))) + noise(160, 0.05, 40)
    val = 3.0 - 0.6 * np.linspace(0, 1, 16) ** 0.4 if validation_falls else np.linspace(2.8, 4.6, 16)
    val = val + noise(16, 0.01, 41)
    return _synth.make_run(
        {
            "train/loss": _synth.make_series("train/loss", train, every=4),
            "val/loss": _synth.make_series("val/loss", val, step=np.arange(1, 17) * 40),
        }
    )


def risen(*, back: bool) -> Run:
    """Validation steps up once; it stays there, or comes back and rises slowly to where it stands."""
    after = np.full(33, 0.465) if not back else np.linspace(0.4, 0.473, 33)
    val = np.concatenate(([1.3, 1.1, 0.85, 0.62, 0.48, 0.42, 0.38, 0.37, 0.36, 0.357, 0.36, 0.475], after)) + noise(45, 0.002, 42)
    return _synth.make_run({"train/loss": _synth.decay(45, 1.3, 0.001, 8.0), "val/loss": val})


def from_far(*, score: float | None) -> Run:
    """Gradient norms of thousands and a loss that fall to a fraction; no score says what the end is worth, or a score says so."""
    fall = 1 / (1 + np.arange(60.0))
    run = {"train/loss": 6000 * fall + 30, "val/loss": 3000 * fall[::3] + 35, "grad_norm": 9000 * fall**0.8 * np.exp(noise(60, 0.2, 43))}
    if score is not None:
        run["val/r2"] = score - 0.3 * fall[::3]
    return _synth.make_run(run, every=5)


CASES = [
    (a_third_of_the_picture(gap=0.2), "underfitting", True),
    (a_third_of_the_picture(gap=0.6), "underfitting", False),
    (fine_tuned(validation_rises=True), "divergence", True),
    (fine_tuned(validation_rises=False), "divergence", False),
    (at_the_highest_return(points=4), "spikes", True),
    (at_the_highest_return(points=1), "spikes", False),
    (pushed(slows_down=False), "weight-growth", True),
    (pushed(slows_down=True), "weight-growth", False),
    (means_since_the_epoch_began(named=False), "epoch-sawtooth", True),
    (means_since_the_epoch_began(named=True), "epoch-sawtooth", False),
    (solved_from_the_start(errors=True), "instability", True),
    (solved_from_the_start(errors=False), "instability", False),
    (rows_in_order(up_again=True), "epoch-sawtooth", True),
    (rows_in_order(up_again=False), "epoch-sawtooth", False),
    (a_line_to_nought(learned=False), "lr-too-low", True),
    (a_line_to_nought(learned=True), "lr-too-low", False),
    (another_constant(learned=True), "sudden-shift", True),
    (another_constant(learned=False), "sudden-shift", False),
    (up_before_nan(points=5), "overfitting", True),
    (up_before_nan(points=1), "overfitting", False),
    (nothing_moves(evaluations=0.006, level=0.9), "no-learning", True),
    (nothing_moves(evaluations=0.03, level=0.9), "no-learning", False),
    (nothing_moves(evaluations=0.006, level=0.1), "no-learning", False),
    (stands_at(level=0.65, gains=0.01), "plateau", True),
    (stands_at(level=0.65, gains=0.08), "plateau", False),
    (stands_at(level=0.2, gains=0.01), "plateau", False),
    (easy_first_batches(validation_falls=True), "divergence", False),
    (easy_first_batches(validation_falls=False), "divergence", True),
    (risen(back=True), "overfitting", True),
    (from_far(score=None), "exploding-gradients", True),
    (from_far(score=0.95), "exploding-gradients", False),
]


@pytest.mark.parametrize(("run", "finding", "named"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_neighbours_are_told_apart(run: Run, finding: str, named: bool) -> None:
    assert (finding in said(run)) == named
