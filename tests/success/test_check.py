"""Rules judged on runs: passed, failed, cannot tell, with the reason."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest

from tbdiag.config import Config
from tbdiag.detectors import _synth
from tbdiag.errors import RuleError
from tbdiag.features import Features
from tbdiag.model import Direction, ReadIssue, Restart, Role, Run, Series, Signal, Signals, Split
from tbdiag.success import Status, check, check_config_rules, compile_rule, rule_text

_ROLES = {
    "loss/train": (Role.LOSS, Split.TRAIN, Direction.LOWER, True),
    "loss/val": (Role.LOSS, Split.VAL, Direction.LOWER, True),
    "acc/val": (Role.METRIC, Split.VAL, Direction.HIGHER, True),
    "lr": (Role.LR, Split.NONE, Direction.NONE, True),
    "eval_loss": (Role.LOSS, Split.VAL, Direction.LOWER, True),
    "act/a": (Role.ACTIVATION_STAT, Split.NONE, Direction.NONE, False),
    "act/b": (Role.ACTIVATION_STAT, Split.NONE, Direction.NONE, False),
}


def features(series: Mapping[str, npt.ArrayLike | Series], **changes: object) -> Features:
    """Features of hand-made series whose tags stand in `_ROLES`."""
    run = _synth.make_run(series, every=10)
    if changes:
        run = Run(**{**{f: getattr(run, f) for f in Run.__slots__}, **changes})  # type: ignore[arg-type]
    signals = []
    for name, values in run.series.items():
        role, split, direction, main = _ROLES[name]
        signals.append(Signal(name, role, split, direction, stem=role.value, why="by hand", series=values, main=main))
    return Features(Signals(run, tuple(signals)))


def curve(n: int = 100, end: float = 0.5, seed: int = 0, noise: float = 0.01) -> npt.NDArray[np.float64]:
    return _synth.decay(n, 2.0, end) + np.random.default_rng(seed).normal(0, noise, n)


RULE = compile_rule("best(val_loss) < 0.6 - 1 sd and end(val_loss) - best(val_loss) <= 4 sd")


def test_passes_where_all_hold_and_tells_the_numbers() -> None:
    result = check(RULE, features({"loss/val": curve(end=0.5)}))
    assert result.status is Status.PASSED
    first, second = result.predicates
    assert first.value == pytest.approx(0.53, abs=0.03)
    assert first.limit is not None
    assert 0.58 < first.limit < 0.6
    assert second.value is not None
    assert second.value <= 0.05


def test_fails_with_the_numbers_in_the_reason() -> None:
    result = check(RULE, features({"loss/val": curve(end=0.9)}))
    assert result.status is Status.FAILED
    assert "best(val_loss) < 0.6 - 1 sd does not hold: 0.9" in result.reason


def test_cannot_tell_where_the_signal_is_no_longer_logged() -> None:
    earlier = features({"loss/val": curve()})
    result = check(RULE, features({"loss/train": curve()}), earlier)
    assert (result.status, result.reason) == (Status.CANNOT_TELL, "val_loss is no longer logged")


def test_cannot_tell_where_another_series_plays_the_role() -> None:
    result = check(RULE, features({"eval_loss": curve()}), features({"loss/val": curve()}))
    assert result.status is Status.CANNOT_TELL
    assert "eval_loss instead of loss/val" in result.reason


def test_cannot_tell_with_less_than_half_the_points() -> None:
    earlier = features({"loss/val": curve(100)})
    assert check(RULE, features({"loss/val": curve(49)}), earlier).status is Status.CANNOT_TELL
    assert check(RULE, features({"loss/val": curve(50)}), earlier).status is Status.PASSED


def test_a_run_that_broke_has_failed_even_if_it_is_short() -> None:
    values = curve(40)
    values[30:] = np.nan
    result = check(RULE, features({"loss/val": values}), features({"loss/val": curve(100)}))
    assert result.status is Status.FAILED
    assert "not finite at step 300" in result.reason


def test_counting_points_fails_rather_than_cannot_tell() -> None:
    rule = compile_rule("points(val_loss) >= 10")
    assert check(rule, features({"loss/train": curve()}), features({"loss/train": curve()})).status is Status.FAILED
    assert check(rule, features({"loss/val": curve(10)})).status is Status.PASSED


def test_best_follows_the_direction_of_the_role() -> None:
    rule = compile_rule("best(val_metric) > 0.8")
    assert check(rule, features({"acc/val": 1 - curve(end=0.1) / 2})).status is Status.PASSED


def test_windows_cut_by_share_and_by_steps() -> None:
    values = np.concatenate((np.full(50, 3.0), np.full(50, 1.0)))
    seen = features({"loss/val": values})
    for text, status in [
        ("max(val_loss, last 40%) < 2", Status.PASSED),
        ("max(val_loss, first 40%) < 2", Status.FAILED),
        ("max(val_loss, steps 500..) < 2", Status.PASSED),
        ("max(val_loss, steps 490..) < 2", Status.FAILED),
        ("max(val_loss, steps 5000..6000) < 2", Status.CANNOT_TELL),
    ]:
        assert check(compile_rule(text), seen).status is status, text


def test_the_worst_of_several_series_decides_unless_one_is_named() -> None:
    seen = features({"act/a": np.full(20, 0.2), "act/b": np.full(20, 0.95)})
    assert check(compile_rule("median(activation_stat) <= 0.9"), seen).status is Status.FAILED
    assert check(compile_rule('median(activation_stat "act/a") <= 0.9'), seen).status is Status.PASSED
    assert check(compile_rule('median(series "act/b") <= 0.9'), seen).status is Status.FAILED


def test_the_log_is_a_role_of_its_own() -> None:
    whole = features({"loss/val": curve()})
    hurt = features(
        {"loss/val": curve()},
        issues=(ReadIssue("corrupt", "events", "bad checksum"),),
        restarts=(Restart("step-regression", 10, 20, 0.0, 3, 1),),
    )
    for text in ("crc_errors(log) == 0", "step_regressions(log) == 0", "damaged(log) == 0"):
        assert check(compile_rule(text), whole).status is Status.PASSED
        assert check(compile_rule(text), hurt).status is Status.FAILED


def test_values_of_this_run_are_bound_in() -> None:
    this = features({"loss/val": curve(end=0.5, noise=0.0)})
    rule = compile_rule("best(val_loss) < 0.9 * this.best(val_loss)", this)
    best = this.curve("val_loss").best  # type: ignore[union-attr]
    assert rule.all[0].threshold == pytest.approx(0.9 * best)
    assert rule.all[0].source == "best(val_loss) of this run"
    assert "this" not in rule_text(rule)
    with pytest.raises(RuleError, match="not logged"):
        compile_rule("end(lr) < this.end(lr)", this)


def test_rules_of_the_configuration_are_judged_in_order_of_name() -> None:
    config = Config(success={"b": "end(lr) > 0", "a": "best(val_loss) < 1"}, source="pyproject.toml")
    rows = check_config_rules(config, features({"loss/val": curve()}))
    assert [(r["name"], r["status"]) for r in rows] == [("a", "passed"), ("b", "cannot-tell")]
    assert rows[1]["reason"] == "lr was not logged"


def test_a_wrong_rule_of_the_configuration_names_file_rule_and_column() -> None:
    config = Config(success={"good": "best(val_loss < 1"}, source="pyproject.toml")
    with pytest.raises(RuleError, match=r"pyproject\.toml: success\.good: success rule, column 15"):
        check_config_rules(config, features({}))


def test_a_series_keeps_its_role_where_another_one_would_take_it_over() -> None:
    earlier = features({"loss/val": curve(end=0.9)})
    now = features({"eval_loss": curve(end=0.9), "loss/val": curve(end=0.5)})
    assert now.curve("val_loss").name == "eval_loss"  # type: ignore[union-attr]
    assert check(RULE, now, earlier).status is Status.PASSED


def test_if_logged_asks_nothing_of_a_run_without_the_series() -> None:
    rule = compile_rule("min(lr) >= 0.5 if logged and end(train_loss) < 1")
    before = features({"loss/train": curve(), "lr": np.full(100, 0.1)})
    without = check(rule, features({"loss/train": curve()}), before)
    assert without.status is Status.PASSED
    assert without.predicates[0].reason == "lr is not logged"
    assert check(rule, before).status is Status.FAILED
    plain = compile_rule("min(lr) >= 0.5 and end(train_loss) < 1")
    assert check(plain, features({"loss/train": curve()}), before).status is Status.CANNOT_TELL


def test_if_without_logged_points_at_the_column() -> None:
    with pytest.raises(RuleError, match="column 19: expected 'logged' after 'if'"):
        compile_rule("min(lr) >= 0.5 if and end(train_loss) < 1")
