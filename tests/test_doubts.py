"""What keeps a run without an error or a warning from being called healthy, beside a healthy run that looks like it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.model import Run


def wins(*, chance: float, whose: str = "battle_won_mean") -> Run:
    """An agent whose return rises over 120 points, with a share of battles won that rises to `chance`."""
    x, rng = np.linspace(0, 1, 120), np.random.default_rng(301)
    return _synth.make_run(
        {
            "rollout/ep_rew_mean": 20 * (1 - np.exp(-5 * x)) + rng.normal(0, 0.5, 120),
            "train/critic_loss": 0.1 * np.exp(rng.normal(0, 0.2, 120)),
            "train/actor_loss": rng.normal(0, 0.2, 120),
            whose: rng.binomial(32, chance * x) / 32,
        },
        every=10_000,
    )


def behaviour(*, reward: float) -> Run:
    """An ML-Agents behaviour whose losses were logged 200 times, of rewards of that size, or of none."""
    rng = np.random.default_rng(302)
    return _synth.make_run(
        {
            "Policy/Entropy": np.full(200, np.log(3)) - 0.3 * reward * np.linspace(0, 1, 200),
            "Losses/Policy Loss": reward * rng.normal(0.02, 0.002, 200),
            "Losses/Value Loss": reward * np.exp(rng.normal(0, 0.3, 200)),
            "Policy/Learning Rate": np.full(200, 3e-4),
        },
        every=10_000,
    )


def ten_summaries(*, gain: float, entropy: float = 1.0, lessons: bool = False) -> Run:
    """The ten points that a run of ML-Agents writes with its default settings; the policy's entropy ends at that share of its start."""
    x, rng = np.linspace(0, 1, 10), np.random.default_rng(304)
    series = {
        "Environment/Cumulative Reward": -1.5 + gain * (1 - np.exp(-8 * x)) + rng.normal(0, 0.08, 10) - np.where(np.arange(10) > 7, 0.1, 0),
        "Policy/Entropy": 1.4 * (1 + (entropy - 1) * x),
        "Losses/Policy Loss": rng.normal(0.02, 0.002, 10),
        "Losses/Value Loss": np.exp(rng.normal(0, 0.1, 10)),
    }
    if lessons:
        series["Environment/Lesson Number"] = np.floor(3 * x)
    return _synth.make_run(series, every=50_000)


def three_epochs(*evaluations: float) -> Run:
    """A fine-tuning whose training loss falls, with these evaluations."""
    x, rng = np.linspace(0, 1, 120), np.random.default_rng(305)
    run = _synth.make_run({"train/loss": 1.7 * np.exp(-1.5 * x) + rng.normal(0, 0.05, 120)}, every=50)
    return replace(run, series={**run.series, **_synth.make_run({"eval/loss": list(evaluations)}, every=1983).series})


CASES = [
    (wins(chance=0.0), "battle_won_mean is 0"),
    (wins(chance=0.8), None),
    (wins(chance=0.0, whose="opponent_win_rate"), None),
    (behaviour(reward=0.0), "exactly 0 at all 200 points"),
    (behaviour(reward=1.0), "nothing wrong in what was logged"),
    (ten_summaries(gain=0.0), "no better than it began"),
    (ten_summaries(gain=1.2), None),
    (ten_summaries(gain=0.0, entropy=0.7), None),
    (ten_summaries(gain=0.0, lessons=True), None),
    (three_epochs(1.94, 2.38, 2.76), "above its best"),
    (three_epochs(0.40, 0.38, 0.43), None),
    (three_epochs(0.40, 0.42, 0.46), None),
]


@pytest.mark.parametrize(("run", "seen"), CASES, ids=lambda x: x.name if isinstance(x, Run) else str(x))
def test_a_doubt_keeps_a_run_from_being_called_healthy(run: Run, seen: str | None) -> None:
    told = diagnose_run(run)
    assert told.verdict == ("healthy" if seen is None else "unclear"), told.headline
    assert (seen or "healthy") in told.headline
