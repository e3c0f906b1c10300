"""Verdicts that need more than one finding, more than one number, or a look at what the broken run still tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tbdiag.compare.tell_verify import render_verify
from tbdiag.detectors import _synth
from tbdiag.features import Features
from tbdiag.success import Status, check, compile_rule
from tbdiag.success.store import rule_from_dict
from tbdiag.verify import verify, verify_sides

from .making import run, side, write_log


def broken(metric: str) -> dict[str, object]:
    """A run whose loss left the numbers at its second point, and whose metric never was one."""
    rng = np.random.default_rng(3)
    loss, norm = np.full(200, np.nan), np.full(200, np.nan)
    loss[:2], norm[:2] = (9.0, 3e6), (30.0, 5e6)
    return {"train/loss": loss, "train/grad_norm": norm, f"val/{metric}": np.full(200, np.nan) + 0 * rng.normal(size=200)}


def learning(metric: str, level: float = 1.0) -> dict[str, object]:
    rng = np.random.default_rng(4)
    curve = _synth.decay(200, level, 0.1) + rng.normal(0, 0.01, 200)
    return {"train/loss": curve, "train/grad_norm": 1 + 0.1 * rng.random(200), f"val/{metric}": 1 - 0.5 * curve}


def test_a_metric_that_was_never_a_number_still_tells_another_task() -> None:
    before = side(run(broken("mae")))
    assert verify_sides(before, side(run(learning("mae")))).findings[0].verdict == "fixed"
    other = verify_sides(before, side(run(learning("accuracy")))).findings[0]
    assert other.verdict == "cannot-tell"
    assert "measured by val/accuracy instead of val/mae" in other.reason


def exploding(at: int) -> dict[str, object]:
    """A run of 400 steps whose norms rise a thousandfold from step `at` on, and whose loss leaves its level there."""
    rng = np.random.default_rng(5)
    norm = np.exp(rng.normal(0, 0.2, 400))
    loss = _synth.decay(400, 2.3, 0.4) + rng.normal(0, 0.02, 400)
    norm[at:] *= 1e3
    loss[at:] += 3.0
    return {"train/loss": loss, "train/grad_norm": norm}


@pytest.mark.parametrize("at", [70, 150, 300])
def test_norms_that_stay_exploded_for_most_of_the_run_fail_the_rule_against_them(at: int) -> None:
    before = side(run(exploding(300)))
    rule = rule_from_dict(before.runs[0].finding("exploding-gradients")["success_rule"])  # type: ignore[index]
    assert check(rule, side(run(exploding(at))).runs[0].features, before.runs[0].features).status is Status.FAILED
    calm = {k: v[:300] for k, v in exploding(399).items()}  # type: ignore[index]
    assert check(rule, side(run(calm)).runs[0].features, before.runs[0].features).status is Status.PASSED


def test_spikes_are_counted_only_if_they_are_as_high_as_the_ones_before() -> None:
    def spiky(height: float) -> dict[str, object]:
        rng = np.random.default_rng(6)
        loss = _synth.decay(450, 2.3, 0.4) + rng.normal(0, 0.02, 450)
        loss[[100, 180, 260, 330, 400]] += height
        return {"train/loss": loss}

    before = side(run(spiky(6.0)))
    [found] = [v for v in verify_sides(before, side(run(spiky(0.3)))).findings if v.finding["id"] == "spikes"]
    assert found.result is not None
    assert found.result.status is Status.PASSED
    [found] = [v for v in verify_sides(before, side(run(spiky(5.0)))).findings if v.finding["id"] == "spikes"]
    assert found.verdict == "not-fixed"


def test_a_head_whose_consequence_stays_is_not_called_fixed() -> None:
    """The finding is gone, but what it explained is not: the cause may be there still."""
    rng = np.random.default_rng(7)
    val = _synth.decay(60, 2.3, 0.6, 12.0) + 0.9 * np.clip(np.linspace(0, 1, 60) - 0.3, 0, None) + rng.normal(0, 0.01, 60)
    curves = {"loss/train": _synth.decay(60, 2.3, 0.05), "loss/val": val}
    before, after = side(run(curves)), side(run({**curves, "loss/train": curves["loss/train"] * 0.99}))
    old = before.runs[0]
    rule = {**old.findings[0]["success_rule"], "all": [{**old.findings[0]["success_rule"]["all"][0], "comparison": "<=", "threshold": 1e9}]}
    head = {**old.findings[0], "id": "lr-too-high", "success_rule": rule}
    told = {**old.data, "findings": [head, {**old.findings[0], "caused_by": "lr-too-high"}]}
    result = verify_sides(replace(before, runs=(replace(old, data=told),)), after)
    assert [(v.finding["id"], v.verdict) for v in result.findings] == [("lr-too-high", "improved"), ("overfitting", "not-fixed")]
    assert "overfitting, which it explained, is found again" in result.findings[0].reason


def test_fixed_without_a_changed_setting_says_so() -> None:
    before = side(run(broken("mae"), learning_rate=1.0, optimizer="sgd"))
    same = verify_sides(before, side(run(learning("mae"), learning_rate=1.0, optimizer="sgd"))).findings[0]
    changed = verify_sides(before, side(run(learning("mae"), learning_rate=0.01, optimizer="sgd"))).findings[0]
    assert (same.verdict, changed.verdict) == ("fixed", "fixed")
    assert "no logged setting changed" in same.reason
    assert "no logged setting changed" not in changed.reason


def test_growth_is_measured_against_the_level_before() -> None:
    features = side(run({"train/grad_norm": np.concatenate((np.full(100, 2.0), np.full(100, 50.0)))})).runs[0].features
    assert isinstance(features, Features)
    rule = compile_rule("growth(grad_norm) <= 24")
    assert check(rule, features).status is Status.FAILED
    assert check(compile_rule("growth(grad_norm) <= 26"), features).status is Status.PASSED


def test_sides_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_log(tmp_path / name / "version_0", learning("mae"))  # type: ignore[arg-type]
    result = verify(str(tmp_path / "first" / "version_0"), str(tmp_path / "second" / "version_0"))
    assert (result.previous.label, result.next.label) == ("first/version_0", "second/version_0")


def test_a_rerun_without_a_changed_setting_is_reminded_of_the_first_action() -> None:
    before = side(run(broken("mae"), learning_rate=1.0))
    again = run({k: v * 1.01 for k, v in broken("mae").items()}, learning_rate=1.0)  # type: ignore[operator]
    text = render_verify(verify_sides(before, side(again)).to_dict(), "text")
    assert "No logged setting changed between the runs. If it was not done yet, this comes first: " in " ".join(text.split())
