"""The one next experiment: the change where the log shows the cause, else what separates the causes; and how verify reads it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tbdiag.config import Config
from tbdiag.detectors import _synth, load_detectors
from tbdiag.diagnosis import build_report, diagnose_run
from tbdiag.diagnosis.facts import FACTS, Case
from tbdiag.diagnosis.hypotheses import RIVALS, head_kind
from tbdiag.diagnosis.trials import CURES, TRIALS
from tbdiag.features import Features
from tbdiag.model import Run, RunReport
from tbdiag.render import render
from tbdiag.roles import resolve
from tbdiag.success import rule_from_dict, rule_text


def flat(n: int = 120, **more: Any) -> Run:
    rng = np.random.default_rng(5)
    series = {
        "train/loss": 2.3026 + rng.normal(0, 0.01, n),
        "val/loss": 2.304 + rng.normal(0, 0.003, n),
        "val/accuracy": 0.1 + rng.normal(0, 0.004, n),
        **more,
    }
    return _synth.make_run(series)


def agent() -> Run:
    """An agent whose return does not move, nor its policy."""
    rng = np.random.default_rng(8)
    n = 120
    return _synth.make_run(
        {"rollout/ep_rew_mean": np.zeros(n), "train/approx_kl": 1e-3 + 1e-5 * rng.normal(0, 1, n), "train/entropy_loss": np.full(n, -1.4)},
        every=2048,
    )


def language_policy(rate: float = 1e-6) -> Run:
    """Reinforcement learning of a language model whose completions get no reward."""
    rng = np.random.default_rng(9)
    n = 120
    zeros = ("train/loss", "train/reward", "train/reward_std")
    made = {
        **{k: np.zeros(n) for k in zeros},
        "train/kl": 1e-4 + 1e-6 * rng.normal(0, 1, n),
        "train/frac_reward_zero_std": np.ones(n),
        "train/grad_norm": 2e-4 + 1e-5 * rng.normal(0, 1, n),
        "train/learning_rate": np.full(n, np.float32(rate), np.float64),
    }
    return _synth.make_run(made)


def experiment(run: Run) -> dict[str, Any]:
    chosen = diagnose_run(run).next_experiment
    assert chosen is not None
    return dict(chosen)


def test_a_flat_loss_without_gradients_is_settled_by_the_tiny_overfit_test() -> None:
    chosen = experiment(flat())
    assert (chosen["finding"], chosen["kind"], chosen["trial"], chosen["cost"]) == ("no-learning", "test", "tiny-overfit", "short-run")
    assert "gradient norm logged" in chosen["action"]
    assert len(chosen["outcomes"]) == 3
    assert "labels" in chosen["outcomes"][0]["means"]
    assert "optimiser does not reach" in chosen["outcomes"][1]["means"]
    assert "does not separate" in chosen["why"]


def test_logged_gradients_leave_fewer_causes_open() -> None:
    alive = experiment(flat(**{"train/grad_norm": 0.5 + 0.05 * np.random.default_rng(6).normal(size=120)}))
    assert "optimiser does not reach" not in alive["why"]
    assert "gradient norm logged" not in alive["action"]


def test_without_any_reward_an_agent_gets_an_easier_task_and_completions_are_read() -> None:
    easy, read = experiment(agent()), experiment(language_policy())
    assert "easiest version" in easy["action"]
    assert "labels" not in f"{easy['why']} {easy['outcomes']}"
    assert read["action"].startswith("Read ten completions with their rewards")
    assert read["kind"] == "check"
    assert "below 1e-6" not in read["why"]  # 1e-6 in float32 is a little less, and a usual rate here


def worsening() -> Run:
    """An agent whose return only falls."""
    n = 200
    return _synth.make_run({"rollout/ep_rew_mean": -280.0 - 320.0 * np.linspace(0, 1, n) + np.random.default_rng(11).normal(0, 10, n)})


def test_an_agent_that_gets_worse_looks_at_its_signs_first_and_passes_only_above_its_start() -> None:
    chosen = experiment(worsening())
    assert chosen["action"].startswith("Check the signs of the advantage")
    assert chosen["cost"] == "look"
    assert (chosen["outcomes"][0]["if"], chosen["outcomes"][1]["if"]) == ("a sign is wrong", "all signs are right")
    assert "easiest version" in chosen["outcomes"][1]["then"]
    limit = float(re.search(r"ends above (-?[\d.]+), where it began", chosen["success_rule"])[1])  # type: ignore[index]
    assert -300 < limit < -260


def losing() -> Run:
    """An agent that loses in an instant, and for good, all that it had learned, and whose critic's loss grows from there on."""
    n = 200
    value = np.where(np.arange(n) < 120, 1000 * (1 - np.exp(-np.arange(n) / 30)), 150.0)
    critic = 10 * 1.1 ** np.clip(np.arange(n) - 120, 0, None)
    return _synth.make_run(
        {"rollout/ep_rew_mean": value + np.random.default_rng(13).normal(0, 10, n), "train/value_loss": critic}, every=2048
    )


def test_a_return_that_is_lost_knows_no_half_precision() -> None:
    report = diagnose_run(losing())
    head = next(f for f in report.findings if f.id == "divergence")
    assert not any("precision" in text or "batch" in text for text in (*(c.text for c in head.causes), *head.fixes))
    assert any("target KL" in text for text in head.fixes)
    assert "precision" not in f"{report.next_experiment}"


def climbing(clipped: float) -> Run:
    """A return that still rises at the end, under updates of which a share is clipped."""
    n = 200
    rng = np.random.default_rng(12)
    series = {"rollout/ep_rew_mean": 100 * np.linspace(0, 1, n) ** 1.2 + rng.normal(0, 1, n), "train/clip_fraction": np.full(n, clipped)}
    return _synth.make_run(series, every=2048)


def test_updates_that_are_too_large_speak_against_a_rate_that_is_too_low() -> None:
    large, usual = experiment(climbing(0.5)), experiment(climbing(0.1))
    assert large["finding"] == usual["finding"] == "unconverged"
    assert "too low" in f"{usual['why']} {usual['outcomes']}"
    assert "too low" not in f"{large['why']} {large['outcomes']}"


def test_where_no_series_has_two_points_the_training_itself_is_asked_for() -> None:
    chosen = experiment(_synth.make_run({"test/accuracy": np.array([0.8])}))
    assert chosen["action"] == "Log the training loss in the next run."


def test_no_handful_of_samples_is_memorised_where_noise_is_drawn_anew() -> None:
    rng = np.random.default_rng(10)
    standing = 0.12 * np.exp(rng.normal(0, 0.05, 400))
    run = _synth.make_run({"diffusion/loss": standing, "diffusion/val_loss": 0.12 + rng.normal(0, 0.0005, 400), "lr": np.full(400, 1e-4)})
    chosen = diagnose_run(run).next_experiment
    assert chosen is None or "tiny" not in chosen["action"]


def test_where_the_log_shows_the_cause_the_experiment_is_the_change() -> None:
    x = np.arange(400)
    rng = np.random.default_rng(7)
    loss = 2.0 * np.exp(-x / 100) + 0.3 + rng.normal(0, 0.02, x.size)
    norm = np.exp(rng.normal(0, 0.2, x.size))
    grown, calm = loss.copy(), loss.copy()
    grown[295:300] *= [2, 5, 12, 40, 90]
    grown[300:] = calm[300:] = np.nan
    norm_grown, norm_calm = norm.copy(), norm.copy()
    norm_grown[294:300] *= [3, 10, 40, 100, 400, 900]
    norm_grown[300:] = norm_calm[300:] = np.nan
    driven = diagnose_run(_synth.make_run({"train/loss": grown, "train/grad_norm": norm_grown}))
    blue = diagnose_run(_synth.make_run({"train/loss": calm, "train/grad_norm": norm_calm}))
    assert driven.next_experiment is not None
    assert blue.next_experiment is not None
    assert driven.next_experiment["kind"] == "change"
    assert (blue.next_experiment["finding"], blue.next_experiment["trial"]) == ("nan-inf", "replay")
    assert [o["means"] for o in blue.next_experiment["outcomes"]][-1].startswith("a broken sample")


def test_every_row_of_the_tables_can_be_used() -> None:
    known = {d.id for d in load_detectors()}
    assert {key.partition("/")[0] for key in RIVALS} <= known
    assert set(TRIALS) <= set(RIVALS)
    assert set(CURES) <= set(RIVALS)
    for finding, rows in RIVALS.items():
        kinds = [row.kind for row in rows]
        assert len(set(kinds)) == len(kinds), finding
        assert {fact for row in rows for fact in row.facts} <= set(FACTS), finding
        assert CURES.get(finding, frozenset()) <= set(kinds), finding


def test_rivals_speak_of_the_causes_that_the_detector_lists() -> None:
    listed: dict[str, set[str]] = {i: set() for i in RIVALS}
    made = [(d.id, e.make()) for d in load_detectors() if d.id in RIVALS for e in d.examples if e.fires]
    for finding_id, run in [*made, ("no-learning", agent()), ("no-learning", language_policy()), ("divergence", losing())]:
        report = diagnose_run(run)
        for finding in report.findings:
            if finding.id == finding_id:
                features = Features(resolve(run, Config()))
                listed[head_kind(Case(finding, report.findings, features))] |= {c.text for c in finding.causes}
    for finding, rows in RIVALS.items():
        assert listed[finding], finding
        for row in rows:
            assert not row.cause or any(row.cause in text for text in listed[finding]), (finding, row.cause)


def everything() -> list[RunReport]:
    return [diagnose_run(e.make()) for d in load_detectors() for e in d.examples if e.fires]


def test_every_experiment_is_one_action_with_a_rule_that_parses_and_outcomes_that_differ() -> None:
    told = [r.next_experiment for r in everything() if r.next_experiment]
    assert len(told) > 60
    assert {e["kind"] for e in told} == {"change", "test", "check", "log"} or {e["kind"] for e in told} >= {"change", "test", "check"}
    for chosen in told:
        assert chosen["action"].strip()
        assert chosen["why"].endswith(".")
        if chosen["kind"] != "log":
            assert chosen["rule"].all, chosen
            assert rule_text(chosen["rule"])
            assert chosen["rule"].sentence == chosen["success_rule"]
        means = [o["means"] for o in chosen["outcomes"]]
        assert len(set(means)) == len(means) != 1
        assert (chosen["kind"] == "test") == bool(chosen["trial"])


def test_experiments_are_told_in_every_format() -> None:
    report = build_report([diagnose_run(flat())])
    for kind in ("text", "markdown", "html"):
        text = re.sub(r"\s+", " ", re.sub(r"[\\<>]", " ", render(report, kind)))
        assert "labels that do not belong to their inputs" in text, kind
        assert "Passes when" in text, kind
        assert "does not separate" in text, kind


@pytest.mark.parametrize(("reaches", "status", "points_at"), [(0.05, "passed", "labels"), (2.0, "failed", "optimiser does not reach")])
def test_verify_reads_the_outcome_of_a_tiny_overfit_test(tmp_path: Path, reaches: float, status: str, points_at: str) -> None:
    from event_files import write_log

    from tbdiag.verify import verify

    before, after = tmp_path / "runs", tmp_path / "tiny-overfit"
    rng = np.random.default_rng(8)
    write_log(before, {"train/loss": 2.3026 + rng.normal(0, 0.01, 100), "val/accuracy": 0.1 + rng.normal(0, 0.003, 100)})
    write_log(after, {"train/loss": reaches + (2.3 - reaches) * np.exp(-np.arange(100) / 10) + rng.normal(0, 0.001, 100)})
    result = verify(str(before), str(after))
    (told,) = result.to_dict()["experiments"]
    assert (told["finding"], told["status"]) == ("no-learning", status)
    assert points_at in told["outcomes"][0]["means"]
    assert "experiments" in result.to_dict()


def test_a_rule_of_an_experiment_says_nothing_about_a_run_that_is_not_the_experiment(tmp_path: Path) -> None:
    from event_files import write_log

    from tbdiag.verify import verify

    rng = np.random.default_rng(9)
    write_log(tmp_path / "a", {"train/loss": 2.3026 + rng.normal(0, 0.01, 100), "val/accuracy": 0.1 + rng.normal(0, 0.003, 100)})
    write_log(tmp_path / "b", {"train/loss": 0.05 + 2.25 * np.exp(-np.arange(100) / 10), "val/accuracy": np.full(100, 0.9)})
    assert verify(str(tmp_path / "a"), str(tmp_path / "b")).experiments == ()


def test_the_rule_survives_the_report(tmp_path: Path) -> None:
    import json

    report = build_report([diagnose_run(flat())])
    told = json.loads(render(report, "json"))["runs"][0]["next_experiment"]
    assert rule_text(rule_from_dict(told["rule"])).startswith("best(train_loss) <= ")


def test_an_action_that_is_long_is_told_in_short_where_room_is_small() -> None:
    from tbdiag.render.words import in_short

    assert in_short("Lower the rate.") == "Lower the rate."
    long = "Run the tiny overfit test into a directory named tiny-overfit: " + "64 training samples, no regularisation, " * 4
    assert in_short(long) == "Run the tiny overfit test into a directory named tiny-overfit …"
    assert len(in_short("word " * 60)) <= 112
