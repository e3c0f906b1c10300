"""Runs of agents: a fault and the healthy run that looks like it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run


def best_at_first(*, recovers: bool = False, lessons: bool = False, share: float = 2.5) -> Run:
    """The first episodes return -180, those after them less and less; or less at first and then much more, or less with every lesson."""
    x, rng = np.linspace(0, 1, 2000), np.random.default_rng(201)
    reward = -180 * (1 + share * (1 - np.exp(-x / 0.03)) * (0.7 + 0.3 * x))
    if recovers:
        reward += 1200 / (1 + np.exp(-20 * (x - 0.5)))
    series = {
        "Average Reward": reward + rng.normal(0, 12, 2000),
        "Critic Loss": rng.exponential(1.0, 2000),
        "Actor Loss": rng.normal(0, 0.01, 2000),
    }
    if lessons:
        series["Lesson Number"] = np.floor(5 * x)
    return _synth.make_run(series)


def moves_about(*, entropy_falls: bool) -> Run:
    """A return that swings widely and slowly and gains nothing, with a policy that stays as it was or gets surer."""
    x, rng = np.linspace(0, 1, 88), np.random.default_rng(203)
    reward = -0.45 - 0.3 * np.sin(14 * x) + rng.normal(0, 0.1, 88)
    return _synth.make_run(
        {
            "rollout/ep_rew_mean": reward + (0.0 if not entropy_falls else 0.1 * x),
            "train/entropy_loss": -(3.3 - (1.5 if entropy_falls else 0.01) * x) + rng.normal(0, 0.003, 88),
            "train/approx_kl": 0.01 * np.exp(rng.normal(0, 0.3, 88)),
        },
        every=10_000,
    )


def plays_itself(*, climbs: bool) -> Run:
    """Two copies play each other, so that the reward stays at zero; the rating climbs or stays."""
    x, rng = np.linspace(0, 1, 140), np.random.default_rng(204)
    return _synth.make_run(
        {
            "Environment/Cumulative Reward": 0.06 + rng.normal(0, 0.012, 140),
            "Self-play/ELO": 1200 + (400 * x if climbs else 0) + rng.normal(0, 15, 140),
            "Policy/Entropy": 4.2 + rng.normal(0, 0.01, 140),
            "Environment/Episode Length": 110 + rng.normal(0, 20, 140),
            "Losses/Policy Loss": 0.015 + rng.normal(0, 0.001, 140),
        },
        every=10_000,
    )


def kl_up(at: float, to: float = 0.15) -> Run:
    """An agent that learns while the KL divergence of its updates goes from 0.02 to `to` at a share of the run."""
    x, rng = np.linspace(0, 1, 400), np.random.default_rng(205)
    return _synth.make_run(
        {
            "rollout/ep_rew_mean": 400 * x + rng.normal(0, 10, 400),
            "train/approx_kl": np.where(x < at, 0.02, to) * np.exp(rng.normal(0, 0.25, 400)),
            "train/entropy_loss": -(1.4 - 0.8 * x),
        },
        every=2048,
    )


def entropy_gone(*, rose: bool, lessons: bool = False) -> Run:
    """The policy's entropy fades to nothing at half of the run; its return rose and was lost before, or never rose."""
    x, rng = np.linspace(0, 1, 160), np.random.default_rng(206)
    reward = 350 + rng.normal(0, 5, 160) + (np.where(x < 0.25, 1000 * x / 0.25, -190) if rose else 0)
    series = {
        "rollout/ep_rew_mean": reward,
        "train/entropy_loss": -(1.3 * np.where(x < 0.5, 1 - 0.5 * x, 1e-4) + 1e-5),
        "train/approx_kl": 0.01 * np.exp(rng.normal(0, 0.3, 160)),
    }
    if lessons:
        series["Environment/Lesson Number"] = np.floor(4 * x)
    return _synth.make_run(series, every=48_000)


def last_point(*, kl: float, reward: float) -> Run:
    """Twenty-one points of a return that rises to 940, the last of which is `reward`, with an update of that KL divergence."""
    rng = np.random.default_rng(207)
    return _synth.make_run(
        {
            "rollout/ep_rew_mean": np.append(np.linspace(340, 940, 20) + rng.normal(0, 25, 20), reward),
            "train/approx_kl": np.append(0.03 * np.exp(rng.normal(0, 0.4, 20)), kl),
            "train/entropy_loss": -np.linspace(1.3, 0.4, 21),
        },
        every=48_000,
    )


def falls_back(*, lessons: bool) -> Run:
    """A return that gives back half of what it had gained, with or without lessons that get harder."""
    x, rng = np.linspace(0, 1, 300), np.random.default_rng(208)
    reward = np.where(x < 0.3, -180 + 900 * x, 90 - 135 * np.clip((x - 0.3) / 0.2, 0, 1)) + rng.normal(0, 25, 300)
    series = {"rollout/ep_rew_mean": reward, "train/approx_kl": 0.01 * np.exp(rng.normal(0, 0.3, 300))}
    if lessons:
        series["Environment/Lesson Number"] = np.floor(4 * x)
    return _synth.make_run(series, every=2048)


def solved_and(loses: float) -> Run:
    """A policy that begins solved, at 500 with next to no scatter, and ends lower by a share of that."""
    x, rng = np.linspace(0, 1, 300), np.random.default_rng(209)
    return _synth.make_run(
        {"rollout/ep_rew_mean": 500 * (1 - loses * x) + rng.normal(0, 0.5, 300), "train/approx_kl": 0.01 * np.exp(rng.normal(0, 0.3, 300))},
        every=2048,
    )


def better_by_little_and(loses: float) -> Run:
    """The same, but it gains 2 % over the first fifth, and loses within the second."""
    x, rng = np.linspace(0, 1, 300), np.random.default_rng(211)
    reward = 500 * (1 + 0.02 * np.clip(5 * x, 0, 1) - loses * np.clip(5 * x - 1, 0, 1))
    return _synth.make_run(
        {"rollout/ep_rew_mean": reward + rng.normal(0, 0.5, 300), "train/approx_kl": 0.01 * np.exp(rng.normal(0, 0.3, 300))}, every=2048
    )


def episodes_by_one(*, longer: float, slower: float, logged: bool = True) -> Run:
    """Steps that are episodes: they get longer, or each step of the environment takes more time, in the last quarter."""
    rng, n = np.random.default_rng(210), 200
    late = np.arange(n) >= 150
    length = np.where(late, 50 * longer, 50) * rng.uniform(0.8, 1.2, n)
    clock = 1.7e9 + np.cumsum(length * np.where(late, 0.5 * slower, 0.5))
    values = {"episode_reward_1": rng.normal(0, 5, n) + np.arange(n), "epsilon_1": np.maximum(0.05, 0.75 * 0.97 ** np.arange(n))}
    if logged:
        values["episode_duration_1"] = length
    run = _synth.make_run(values)
    for series in run.series.values():
        series.wall_time[:] = clock
    return run


def sparse_goal(*, met: str) -> Run:
    """Minus one a step until the goal is met, which is never, by chance at first, or more and more often from half of the run on."""
    x, rng = np.linspace(0, 1, 400), np.random.default_rng(212)
    chance = {"never": 0 * x, "at first": np.where(x < 0.2, 0.01, 0.0), "learned": np.clip(2 * x - 1, 0, 0.9)}[met]
    share = rng.binomial(100, chance) / 100
    return _synth.make_run({"rollout/ep_rew_mean": -100 + 60 * share, "rollout/success_rate": share}, every=400)


def settles_at_once(*, on: float) -> Run:
    """A discrete policy that returns -97 at first and settles, within a twentieth of the run, on what always returns `on`."""
    n, rng = 1000, np.random.default_rng(213)
    reward = np.where(np.arange(n) < 24, -97 + rng.choice([-3.0, -1.0, 1.0], n), on)
    return _synth.make_run(
        {
            "rollout/ep_rew_mean": reward,
            "train/entropy_loss": -(0.03 + 7.4 / (1 + np.exp((np.arange(n) - 14) / 2))),
            "train/approx_kl": np.where(np.arange(n) < 40, 0.03, 0.0),
        },
        every=50,
    )


def partners_in_turn(*, learns: bool) -> Run:
    """A return that swings between partners, one of them hopeless at the end; evaluation with all of them rises, or stays."""
    n, rng = 84, np.random.default_rng(214)
    risen = 1 / (1 + np.exp(-20 * (np.linspace(0, 1, n) - 0.4))) if learns else np.full(n, 0.5)
    turn = np.tile([0.5, 0.8, 0.48, 0.97], n // 4)
    turn[-20::4] = 0.1
    return _synth.make_run(
        {
            "return_mean": 38 * risen * turn + rng.normal(0, 1, n),
            "test_return_mean": 19 * risen + rng.normal(0, 0.6, n),
            "td_error_abs": 0.1 * np.exp(rng.normal(0, 0.2, n)),
        },
        every=12_800,
    )


def evaluated(*, lasts: bool) -> Run:
    """A training return that creeps up, and evaluations that rise to 120 at two fifths of the run and fall back, or stay."""
    x, rng = np.linspace(0, 1, 140), np.random.default_rng(215)
    run = _synth.make_run(
        {
            "rollout/ep_rew_mean": -115 + 105 * x + rng.normal(0, 2, 140),
            "train/entropy_loss": -(5.7 - 0.2 * x),
            "train/approx_kl": 0.01 * np.exp(rng.normal(0, 0.3, 140)),
        },
        every=2048,
    )
    at = np.linspace(0, 1, 28)
    level = np.where(at < 0.4, -70, np.where((at < 0.66) | lasts, 120, -60))
    evaluation = _synth.make_run({"eval/mean_reward": level + rng.normal(0, 20, 28)}, every=10_240)
    return replace(run, series={**run.series, **evaluation.series})


def falls_from(share: float) -> Run:
    """A return that stays at 4 for a share of the run and then falls to -50, where it swings."""
    x, rng = np.linspace(0, 1, 190), np.random.default_rng(216)
    fall = np.clip((x - share) / 0.12, 0, 1)
    return _synth.make_run(
        {
            "Environment/Cumulative Reward": 4 - 54 * fall + rng.normal(0, 0.4 + 6 * fall, 190),
            "Policy/Entropy": 1.0 + rng.normal(0, 0.3, 190),
            "Losses/Policy Loss": -4 + 64 * fall + rng.normal(0, 1, 190),
            "Losses/Value Loss": np.exp(rng.normal(0, 0.5, 190)),
        },
        every=10_000,
    )


def harder_each_time(*, lessons: bool) -> Run:
    """A return that falls with each of four harder lessons and is learned again in each, with or without their number."""
    x, rng = np.linspace(0, 1, 400), np.random.default_rng(213)
    lesson = np.minimum(np.floor(4 * x), 3)
    reward = 1 - np.exp(-4 * (4 * x - lesson)) - 0.45 * lesson + rng.normal(0, 0.06, 400)
    series = {"Environment/Cumulative Reward": reward, "Policy/Entropy": 2.0 - x}
    return _synth.make_run(series | ({"Environment/Lesson Number": lesson} if lessons else {}), every=10_000)


def second_lesson(*, lessons: bool) -> Run:
    """A return that was learned over three fifths of the run and is lost for good with the second lesson, whose number is logged or not."""
    x, rng = np.linspace(0, 1, 400), np.random.default_rng(214)
    lesson = (x >= 0.6).astype(float)
    reward = np.where(x < 0.6, 1 - np.exp(-6 * x), 0.05) + rng.normal(0, 0.04, 400)
    series = {"Environment/Cumulative Reward": reward, "Policy/Entropy": 2.0 - x}
    return _synth.make_run(series | ({"Environment/Lesson Number": lesson} if lessons else {}), every=10_000)


def few_returns(*values: float) -> Run:
    """What ML-Agents logs of a short run: a handful of returns."""
    return _synth.make_run(
        {"Environment/Cumulative Reward": np.array(values), "Policy/Entropy": np.linspace(1.6, 0.6, len(values))}, every=50_000
    )
