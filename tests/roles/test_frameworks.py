"""Every framework's log resolves to what its authors meant, and the table in the docs says so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import frameworks_table as table

from tbdiag.config import Config
from tbdiag.detectors import _synth
from tbdiag.logs import read_runs
from tbdiag.model import Axis, Direction, Domain, Role, Scale, Signals
from tbdiag.roles import resolve
from tbdiag.roles.convention import load_conventions


@pytest.fixture(scope="module")
def rows() -> list[table.Row]:
    return table.make_rows()


def signals_of(folder: str) -> Signals:
    runs = read_runs(table.FIXTURES / folder / "logs")
    return max((resolve(r) for r in runs), key=lambda s: len(s.all))


def test_every_framework_is_read_as_expected(rows: list[table.Row]) -> None:
    wrong = [(r.layout.folder, r.framework, r.expected, r.resolved) for r in rows if not r.right]
    assert not wrong


def test_docs_show_the_table(rows: list[table.Row]) -> None:
    text = table.DOC.read_text(encoding="utf-8")
    shown = text.partition(table.BEGIN)[2].partition(table.END)[0].strip()
    assert shown == table.make_table(rows), "run python tests/roles/frameworks_table.py --write"


def test_every_convention_has_a_log(rows: list[table.Row]) -> None:
    assert {c.name for c in load_conventions()} == {r.framework for r in rows if r.framework}


def test_conventions_name_their_source_and_match_only_one_way() -> None:
    for convention in load_conventions():
        assert convention.source, convention.name
        assert sum(convention.signs.values()) >= 1.0, f"{convention.name} can never be recognised"
        patterns = [t.pattern for t in convention.tags]
        assert len(patterns) == len(set(patterns)), f"{convention.name} states a tag twice"
        assert all(p == p.lower() for p in [*patterns, *convention.signs]), f"{convention.name}: patterns are lower case"


def test_fairseq_losses_are_bits_and_clip_is_percent() -> None:
    signals = signals_of("fairseq")
    for name in ("train_inner/loss", "train/loss", "valid/loss", "valid/nll_loss"):
        assert next(s for s in signals.all if s.name == name).scale is Scale.BITS
    assert signals.main("clip_fraction").scale is Scale.PERCENT
    assert signals.config["learning_rate"] == 0.0005
    assert signals.config["max_grad_norm"] == 0.1
    assert signals.config["precision"] == "fp16"
    assert signals.config["seed"] == 7


def test_mmengine_validation_is_put_on_iterations_and_leads_back() -> None:
    signals = signals_of("mmengine")
    metric, loss = signals.main("val_metric"), signals.main("train_loss")
    assert metric.axis is Axis.EPOCH
    assert metric.logged is not None
    assert metric.logged.step.tolist() == list(range(1, 11))
    assert metric.series.step.tolist() == [60 * i for i in range(1, 11)]
    assert metric.logged_step(180) == 3
    assert loss.logged is None
    assert signals.epoch_steps.tolist() == metric.series.step.tolist()


def test_what_writers_did_is_known() -> None:
    detectron = signals_of("detectron2").main("train_loss").writer
    assert detectron.median_window == 20
    hf = signals_of("hf_trainer").main("train_loss").writer
    assert (hf.mean_window, hf.quantum, hf.nan_as) == (5, 1e-4, 0.0)
    assert next(s for s in signals_of("keras").all if s.name == "train/batch_loss").writer.running_mean
    assert signals_of("coqui").main("grad_norm").writer.nan_as == 0.0
    assert signals_of("rllib").main("train_reward").writer.drops_nan
    assert signals_of("kohya").main("train_loss").writer.mean_window == 1


def test_copies_on_other_axes_are_one_series() -> None:
    ignored = {s.name for s in signals_of("megatron").all if s.role is Role.IGNORED}
    assert {"lm loss vs samples", "grad-norm vs samples", "lm loss validation vs samples"} <= ignored
    ignored = {s.name for s in signals_of("rl_games").all if s.role is Role.IGNORED}
    assert {"rewards/iter", "rewards/time", "episode_lengths/time", "shaped_rewards/iter"} <= ignored
    assert next(s for s in signals_of("rsl_rl").all if s.name == "Train/mean_reward/time").role is Role.IGNORED


@pytest.mark.parametrize(
    ("folder", "domain"),
    [
        ("trl_dpo", Domain.PREFERENCE),
        ("torchtune_dpo", Domain.PREFERENCE),
        ("trl_grpo", Domain.REINFORCEMENT),
        ("rsl_rl", Domain.REINFORCEMENT),
        ("stable_baselines3", Domain.REINFORCEMENT),
        ("vits", Domain.GAN),
        ("dcgan", Domain.GAN),
        ("kohya", Domain.DIFFUSION),
        ("megatron", Domain.LANGUAGE_MODEL),
        ("hf_trainer", Domain.LANGUAGE_MODEL),
        ("keras", Domain.SUPERVISED),
        ("plain_slash", Domain.SUPERVISED),
    ],
)
def test_domains(folder: str, domain: Domain) -> None:
    assert signals_of(folder).domain is domain


def test_losses_without_a_direction() -> None:
    assert signals_of("trl_grpo").main("train_loss").direction is Direction.NONE
    assert signals_of("stable_baselines3").main("train_loss").direction is Direction.NONE
    assert signals_of("dcgan").main("generator_loss").direction is Direction.NONE
    assert signals_of("vits").main("train_loss").direction is Direction.LOWER


def test_real_logs_give_their_configuration() -> None:
    torch = signals_of("torch")
    assert torch.config == {"learning_rate": 0.005, "batch_size": 32.0, "epochs": 30.0, "seed": 1.0, "optimizer": "Adam"}
    assert set(torch.config_source.values()) == {"hparams"}
    assert signals_of("lightning").config["learning_rate"] == 0.005
    hf = signals_of("hf_trainer")
    assert hf.config["max_grad_norm"] == 1.0
    assert hf.config["epochs"] == 2.0
    assert hf.config["batch_size"] == 16.0
    assert hf.chance == pytest.approx(4.454, abs=1e-3)
    assert signals_of("coqui").config["optimizer"] == "AdamW"
    assert signals_of("cleanrl").config["total_steps"] == 500000.0


RETURNS, FALLING = 400 - _synth.decay(30, 390.0, 0.0), _synth.decay(30, 2.0, 0.1)
OLD_TIANSHOU = {
    "train/reward": "train_reward",
    "train/length": "episode_length",
    "train/episode": "counter",
    "test/env_step": "counter",
    "test/reward": "val_reward",
    "test/reward_std": "reward_std",
    "test/length_std": "unknown",
    "update/loss": "train_loss",
    "update/loss/clip": "policy_loss",
    "update/loss/vf": "value_loss",
    "update/loss/ent": "entropy",
    "update/loss/disc": "train_loss_component",
    "update/stats/acc_pi": "unknown",
}
"""Tianshou 0.5 (GAIL): the accuracies are those of the discriminator, and say nothing of the agent."""


ML_AGENTS_SAC = {
    "Environment/Cumulative Reward": "train_reward",
    "Environment/Episode Length": "episode_length",
    "Losses/Policy Loss": "policy_loss",
    "Policy/Extrinsic Value": "prediction_stat",
    "Policy/Continuous Entropy Coeff": "counter",
    "Policy/Entropy": "entropy",
}
RL_GAMES = {
    "rewards/step": "train_reward",
    "rewards/iter": "ignored",
    "losses/a_loss": "policy_loss",
    "consecutive_successes/frame": "train_metric",
    "consecutive_successes/iter": "ignored",
    "consecutive_successes/time": "ignored",
}


def test_versions_of_a_framework_that_are_read_by_what_they_log() -> None:
    for framework, tags in (("Tianshou", OLD_TIANSHOU), ("ML-Agents", ML_AGENTS_SAC), ("rl_games", RL_GAMES)):
        series = {t: RETURNS if key.endswith("reward") else FALLING for t, key in tags.items()}
        signals = resolve(_synth.make_run(series), Config())
        assert (signals.framework, signals.domain) == (framework, Domain.REINFORCEMENT)
        assert {x.name: x.key for x in signals.all} == tags
    signals = resolve(_synth.make_run({"train/reward": RETURNS, "test/reward": RETURNS, "test/reward_std": FALLING}), Config())
    assert not signals.framework  # any script may call its returns so
