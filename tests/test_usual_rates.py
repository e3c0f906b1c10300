"""Changes of the learning rate respect what is trained: a pretrained model bears a fraction of what one from scratch does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tbdiag.config import Config
from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.model import Finding, Run

N = 90


def find(run: Run, finding_id: str) -> Finding:
    return next(f for f in diagnose_run(run, Config()).findings if f.id == finding_id)


def stands(level: float, rate: float, noise: float = 0.01, **more: np.ndarray) -> Run:
    """A loss that stays at its level at a tiny rate, with the HF Trainer's tags."""
    rng = np.random.default_rng(11)
    series = {
        "train/loss": level + rng.normal(0, noise, N),
        "train/learning_rate": np.full(N, rate),
        "train/grad_norm": 3 + rng.normal(0, 0.1, N),
        "train/epoch": np.arange(N) / 30,
    }
    return _synth.make_run({**series, **more}, every=10)


def test_a_tiny_rate_is_raised_to_what_the_task_bears():
    tuned = find(stands(1.84, 2e-9), "lr-too-low").first_action
    assert tuned.startswith("Raise the learning rate from 2e-9 to 2e-5, a usual rate of fine-tuning a pretrained model (2e-4 with LoRA)")
    rng = np.random.default_rng(12)
    pairs = {f"train/rewards/{k}": rng.normal(0, 0.01, N) for k in ("chosen", "rejected", "margins")}
    pairs["train/rewards/accuracies"] = 0.5 + rng.normal(0, 0.03, N)
    preferred = find(stands(0.6931, 5e-9, 0.001, **pairs), "lr-too-low").first_action
    assert preferred.startswith("Raise the learning rate from 5e-9 to 1e-6, a usual rate of preference training")


def test_where_the_task_is_not_known_a_hundredfold_is_the_most_and_what_knows_nothing_is_from_scratch():
    rng = np.random.default_rng(13)
    made = {"train/loss": 0.05 + rng.normal(0, 0.0002, N), "lr": np.full(N, 1e-8)}
    assert find(_synth.make_run(made), "lr-too-low").first_action.startswith("Raise the learning rate from 1e-8 to 1e-6 and rerun")
    guesses = _synth.make_run({"train/loss": 2.303 + rng.normal(0, 0.002, N), "val/acc": np.full(N, 0.1), "lr": np.full(N, 1e-8)})
    action = find(replace(guesses, hparams={"num_classes": 10.0}), "lr-too-low").first_action
    assert action.startswith("Raise the learning rate from 1e-8 to 1e-4 and rerun")


def breaks(rates: np.ndarray) -> Run:
    """A loss that diverges at point 300 of 500, whose gradient norm rose ten points before."""
    rng = np.random.default_rng(14)
    loss = _synth.decay(500, 9.0, 2.8, 8.0) + rng.normal(0, 0.02, 500)
    loss[300:] = np.minimum(2.8 + 0.3 * np.arange(200), 6.0) + rng.normal(0, 0.05, 200)
    norm = 0.4 * np.exp(rng.normal(0, 0.1, 500))
    norm[290:330] *= 30
    return _synth.make_run({"train/loss": loss, "lr": rates, "grad_norm": norm}, every=10)


def test_a_run_that_breaks_late_restarts_before_the_earliest_sign_with_a_third_of_the_rate_there():
    decayed = find(breaks(6e-4 * np.linspace(1, 0.2, 500)), "divergence")
    assert decayed.first_action == (
        "Lower the learning rate to a third, from 3.2e-4 to 1.1e-4 at step 2,900, and restart from the last checkpoint before step 2,900."
    )
    constant = find(breaks(np.full(500, 6e-4)), "divergence")
    assert constant.first_action == "Lower the learning rate from 6e-4 to 2e-4 and restart from the last checkpoint before step 2,900."
    assert any("from step 2,900 on" in e.statement for e in constant.evidence)


def explodes(tags: dict[str, str], rate: float) -> Run:
    """Gradient norm and loss leave their levels at the fifth of 120 points, during a warm-up."""
    rng = np.random.default_rng(15)
    n, at = 120, 5
    loss = 1.4 + rng.normal(0, 0.03, n)
    loss[at:] = 6.4 + rng.normal(0, 0.2, n - at)
    norm = 0.6 + rng.normal(0, 0.03, n)
    norm[at - 1 :] = 8 + np.abs(rng.normal(0, 2, n - at + 1))
    series = {"loss": loss, "grad_norm": norm, "learning_rate": rate * np.minimum(np.arange(n) / 6 + 0.1, 1.0), "epoch": np.arange(n) / n}
    return _synth.make_run({tags[k]: v for k, v in series.items()}, every=5)


def test_an_explosion_of_a_pretrained_model_is_about_its_rate_and_not_about_inputs():
    trainer = {k: f"train/{k}" for k in ("loss", "grad_norm", "learning_rate", "epoch")}
    report = diagnose_run(explodes(trainer, 5e-3), Config())
    found = next(f for f in report.findings if f.id == "exploding-gradients")
    assert found.first_action.startswith("Lower the learning rate from 5e-3 to 2e-4 (with LoRA; to 2e-5 where all weights are trained)")
    assert report.next_experiment is not None
    assert report.next_experiment["action"] == found.first_action
    assert not any("initialised" in c.text or "unnormalised" in c.text for c in found.causes)
    other = find(explodes({k: k for k in trainer}, 5e-3), "exploding-gradients")
    assert any("initialised too large" in c.text for c in other.causes)


def collapses(learned: float) -> Run:
    """A hundred classes, accuracies in percent: from epoch 8 on one answer, at a loss of ln 100; before it an accuracy of `learned`."""
    rng = np.random.default_rng(16)
    n, at = 60, 8
    guess = float(np.log(100))
    loss = guess + rng.normal(0, 0.02, n)
    loss[:at] = np.linspace(guess, guess - 0.07 * learned, at)
    accuracy = np.full(n, 1.0)
    accuracy[:at] = np.linspace(1.0, learned, at)
    norm = np.where(np.arange(n) < at, 2.0, 0.02) + np.abs(rng.normal(0, 0.01, n))
    norm[at - 1 : at + 1] = 60.0
    made = {
        "train_loss": loss + rng.normal(0, 0.01, n),
        "eval_loss": loss,
        "eval_top1": accuracy,
        "lr": np.full(n, 3e-3),
        "grad_norm": norm,
    }
    return replace(_synth.make_run(made), hparams={"num_classes": 100.0})


def test_a_model_that_had_learned_before_it_collapsed_was_lost_to_its_rate():
    found = find(collapses(15.0), "prediction-collapse")
    assert found.first_action.startswith("Lower the learning rate from 3e-3 to 1e-3, with a warm-up twice as long, and restart")
    assert "exactly 1 %" in found.title
    assert found.causes[0].why == "it had learned before, and the gradient norm grew tenfold"
    assert "target encoding" in find(collapses(2.5), "prediction-collapse").first_action


def agent(critic: float) -> Run:
    """A return that collapses at point 120 of 250, and a critic's loss that grows by so much per point from there."""
    rng = np.random.default_rng(17)
    n, at = 250, 120
    reward = np.concatenate((3000 * (1 - np.exp(-np.arange(at) / 30)), np.full(n - at, -100.0))) + rng.normal(0, 40, n)
    value = 10 * np.exp(rng.normal(0, 0.15, n)) * critic ** np.clip(np.arange(n) - at, 0, None)
    return _synth.make_run(
        {
            "rollout/ep_rew_mean": reward,
            "rollout/ep_len_mean": np.full(n, 1000.0),
            "train/critic_loss": value,
            "train/actor_loss": rng.normal(0, 1, n),
        },
        every=4000,
    )


def test_a_critic_that_diverges_is_named_beside_the_return_that_it_takes_along():
    grown, calm = find(agent(1.1), "divergence"), find(agent(1.005), "divergence")
    assert any(e.statement.startswith("The critic loss grew from") for e in grown.evidence)
    assert grown.causes[0].text.startswith("Estimates of the critic that diverge")
    assert not any("critic" in e.statement for e in calm.evidence)
    assert not any("critic" in c.text for c in calm.causes)
