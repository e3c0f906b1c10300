"""`verify`: what became of every earlier finding, what is new, what changed, and the exit code."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loop.making import overfitting, run, side, write_log
from tbdiag.cli.app import run as tbdiag
from tbdiag.compare.ladder import next_rung
from tbdiag.compare.sides import load_side, match_runs
from tbdiag.compare.tell_verify import render_verify
from tbdiag.config import Config
from tbdiag.detectors import _synth
from tbdiag.errors import UsageError
from tbdiag.verify import VERDICTS, Verification, verify_sides


def judge(before: object, after: object, name: str = "overfitting") -> tuple[str, Verification]:
    result = verify_sides(before, after)  # type: ignore[arg-type]
    return next(v.verdict for v in result.findings if v.finding["id"] == name), result


FAULTY = side(run(overfitting(1)))


def test_the_cured_run_is_fixed_and_exits_0() -> None:
    verdict, result = judge(FAULTY, side(run(overfitting(2, slope=0.0, best=0.5), "other name")))
    assert verdict == "fixed"
    assert result.exit_code == 0


def test_another_seed_of_the_faulty_run_is_not_fixed_and_names_the_next_rung() -> None:
    verdict, result = judge(FAULTY, side(run(overfitting(3))))
    assert verdict == "not-fixed"
    assert result.exit_code == 1
    finding = next(v for v in result.findings if v.finding["id"] == "overfitting")
    assert finding.rung in finding.finding["fixes"]


def test_the_same_data_again_are_not_fixed() -> None:
    for verified in verify_sides(FAULTY, FAULTY).findings:
        assert (verified.verdict, verified.reason) == ("not-fixed", "these are the same data as before")


def test_gone_but_worse_is_improved() -> None:
    verdict, result = judge(FAULTY, side(run(overfitting(2, slope=0.0, best=0.85))))
    assert verdict == "improved"
    assert result.exit_code == 1


def test_the_faulty_run_stopped_early_is_fixed_though_it_is_short() -> None:
    verdict, result = judge(FAULTY, side(run({k: np.asarray(v)[:24] for k, v in overfitting(2).items()})))
    assert verdict == "fixed"
    assert result.exit_code == 0


def test_a_run_of_which_other_rules_need_half_the_points_cannot_be_told() -> None:
    rng = np.random.default_rng(3)
    jumps = np.concatenate((_synth.decay(100, 2.3, 0.5), np.full(100, 1.5))) + rng.normal(0, 0.01, 200)
    before = side(run({"train/loss": _synth.decay(200, 2.3, 0.3) + rng.normal(0, 0.01, 200), "val/loss": jumps}))
    verdict, result = judge(
        before, side(run({"train/loss": _synth.decay(60, 2.3, 0.3), "val/loss": _synth.decay(60, 2.3, 0.5)})), "sudden-shift"
    )
    assert verdict == "cannot-tell"
    assert "less than half" in next(v.reason for v in result.findings if v.finding["id"] == "sudden-shift")


@pytest.mark.parametrize(
    ("curves", "why"),
    [
        ({"loss/train": overfitting(2)["loss/train"]}, "val_loss is no longer logged"),
        ({"train_loss": overfitting(2)["loss/train"], "val_loss": overfitting(2)["loss/val"]}, "tags are logged again"),
        ({k: np.asarray(v)[:8] for k, v in overfitting(2, slope=0).items()}, "too early to tell"),
        ({k: np.asarray(v) * 0.4 for k, v in overfitting(2, slope=0).items()}, "another task"),
    ],
)
def test_cannot_tell_with_the_reason(curves: dict[str, np.ndarray], why: str) -> None:
    result = verify_sides(FAULTY, side(run(curves)))
    found = next(v for v in result.findings if v.finding["id"] == "overfitting")
    assert found.verdict == "cannot-tell"
    if "task" not in why:
        assert why in found.reason
    assert result.exit_code == 2


def test_another_number_of_classes_cannot_be_told() -> None:
    def shares(k: int) -> dict[str, np.ndarray]:
        return {f"val/pred_share/class_{i}": np.full(60, 1 / k) for i in range(k)}

    before = side(run(overfitting(1, **shares(10))))
    same, _ = judge(before, side(run(overfitting(2, slope=0.0, best=0.5, **shares(10)))))
    other, result = judge(before, side(run(overfitting(2, slope=0.0, best=0.5, **shares(5)))))
    assert (same, other) == ("fixed", "cannot-tell")
    assert "number of classes" in next(v.reason for v in result.findings if v.finding["id"] == "overfitting")


def test_a_setting_of_the_task_that_changed_cannot_be_told() -> None:
    before = side(run(overfitting(1), dataset="cifar10"))
    verdict, _ = judge(before, side(run(overfitting(2, slope=0.0, best=0.5), dataset="cifar100")))
    assert verdict == "cannot-tell"


def test_a_broken_run_is_not_fixed_and_its_nan_is_a_new_error() -> None:
    curves = {k: np.asarray(v, dtype=float).copy() for k, v in overfitting(2, slope=0.0, best=0.5).items()}
    curves["loss/train"][40:] = np.nan
    curves["loss/val"][40:] = np.nan
    verdict, result = judge(FAULTY, side(run(curves)))
    assert verdict == "not-fixed"
    assert ("nan-inf", "error") in {(f["id"], f["severity"]) for _, f in result.new}
    assert result.exit_code == 1


def test_diverging_after_the_rate_was_raised_is_overshot_with_a_rate_between() -> None:
    rng = np.random.default_rng(5)
    flat = 2.302 + rng.normal(0, 0.002, 200)
    slow = side(run({"train/loss": flat, "val/loss": flat, "lr": np.full(200, 1e-6)}))
    ids = {f["id"] for f in slow.runs[0].findings} & {"no-learning", "lr-too-low", "plateau"}
    assert ids
    wild = np.concatenate((_synth.decay(60, 2.3, 1.2), np.geomspace(1.2, 1e6, 60), np.full(80, np.nan)))
    broken = side(run({"train/loss": wild, "val/loss": wild, "lr": np.full(200, 1e-2)}))
    result = verify_sides(slow, broken)
    for verified in result.findings:
        if verified.finding["id"] in ids:
            assert verified.verdict == "overshot", verified.reason
            assert verified.rate_between == pytest.approx(math.sqrt(1e-6 * 1e-2), rel=0.06)
    assert result.exit_code == 1


def test_changes_are_listed_and_two_of_them_cannot_be_told_apart() -> None:
    before = side(run(overfitting(1), weight_decay=0.01, learning_rate=0.1, seed=1.0))
    _, one = judge(before, side(run(overfitting(2, slope=0.0, best=0.5), weight_decay=0.05, learning_rate=0.1, seed=2.0)))
    changed = {c.key: c.relevant for _, c in one.changed}
    assert changed == {"seed": False, "weight_decay": True}
    assert not one.confounded
    verdict, two = judge(before, side(run(overfitting(2, slope=0.0, best=0.5), weight_decay=0.05, learning_rate=0.01, seed=1.0)))
    assert verdict == "fixed"
    assert "learning_rate and weight_decay changed together" in two.confounded[0][1]


def test_a_change_of_the_learning_rate_is_seen_in_its_series() -> None:
    before = side(run(overfitting(1, lr=np.full(60, 0.1))))
    _, result = judge(before, side(run(overfitting(2, slope=0.0, best=0.5, lr=np.full(60, 0.05)))))
    [(_, change)] = result.changed
    assert (change.key, change.source) == ("learning_rate", "learning-rate series")
    assert (change.before, change.after) == (pytest.approx(0.1), pytest.approx(0.05))


def test_several_runs_match_by_name_and_the_unmatched_cannot_be_told() -> None:
    before = side(run(overfitting(1), "a"), run(overfitting(2), "b"))
    after = side(run(overfitting(3, slope=0.0, best=0.5), "a"), run(overfitting(4), "c"))
    result = verify_sides(before, after, match=())
    verdicts = {v.previous_run: v.verdict for v in result.findings if v.finding["id"] == "overfitting"}
    assert verdicts == {"a": "fixed", "b": "cannot-tell"} or verdicts == {"a": "fixed", "b": "not-fixed"}
    matched = verify_sides(before, after, match=["b=c"])
    assert {v.previous_run: v.verdict for v in matched.findings if v.finding["id"] == "overfitting"} == {"a": "fixed", "b": "not-fixed"}
    with pytest.raises(UsageError, match="no such run"):
        match_runs(before, after, ["b=x"])
    with pytest.raises(UsageError, match="OLD=NEW"):
        match_runs(before, after, ["b"])


def test_two_runs_that_share_no_name_are_not_matched_by_luck() -> None:
    before = side(run(overfitting(1), "a"), run(overfitting(2), "b"))
    after = side(run(overfitting(3), "c"), run(overfitting(4), "d"))
    result = verify_sides(before, after)
    assert {v.verdict for v in result.findings if v.finding["severity"] != "note"} == {"cannot-tell"}
    assert result.unmatched == ("a", "b")


def test_own_rules_that_fail_end_with_1() -> None:
    config = Config(success={"good": "best(val_loss) < 0.01"})
    after = side(run(overfitting(2, slope=0.0, best=0.5)), config=config)
    assert verify_sides(FAULTY, after).exit_code == 1


def test_the_ladder_skips_what_was_tried() -> None:
    finding = {
        "first_action": "Lower the learning rate from 0.1 to 0.03.",
        "fixes": ("Lower the learning rate", "Enable gradient clipping", "Verify input normalisation"),
    }
    assert next_rung(finding) == "Enable gradient clipping"
    assert next_rung(finding, ["max_grad_norm", "gradient clip"]) == "Verify input normalisation"
    assert next_rung(finding, [], ["Enable gradient clipping.", "verify input normalisation"]) is None


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("verify")
    made = {
        "faulty": write_log(root / "faulty" / "run1", overfitting(1)),
        "again": write_log(root / "again" / "run2", overfitting(3)),
        "cured": write_log(root / "cured" / "run3", overfitting(2, slope=0.0, best=0.5)),
        "other": write_log(root / "other" / "run4", {"epoch_loss": overfitting(2, slope=0.0)["loss/val"]}),
    }
    paths = {k: str(v.parent) for k, v in made.items()}
    for suffix, format_ in (("json", "json"), ("html", "html")):
        paths[suffix] = str(root / f"report.{suffix}")
        assert tbdiag(["report", paths["faulty"], "--format", format_, "-o", paths[suffix], "-q"]) == 0
    return paths


@pytest.mark.parametrize("previous", ["faulty", "json", "html"])
def test_every_kind_of_previous_gives_the_same_verdicts(logs: dict[str, str], previous: str, capfd: pytest.CaptureFixture[str]) -> None:
    for after, verdict, code in (("cured", "fixed", 0), ("again", "not-fixed", 1), ("faulty", "not-fixed", 1), ("other", "cannot-tell", 2)):
        assert tbdiag(["verify", logs[previous], logs[after], "--format", "json"]) == code
        data = json.loads(capfd.readouterr().out)
        found = next(f for f in data["findings"] if f["id"] == "overfitting")
        assert found["verdict"] == verdict, (after, found["reason"])
        assert {"findings", "new", "changed"} <= set(data)
        if after in ("cured", "again"):
            assert all(r["value"] is not None and r["earlier"] is not None for r in found["rules"])


def test_text_markdown_and_html_tell_the_verdict(logs: dict[str, str]) -> None:
    data = verify_sides(load_side(logs["json"]), load_side(logs["cured"])).to_dict()
    text = render_verify(data, "text")
    assert text.startswith("1 fixed")
    assert "earlier run" in text
    assert render_verify(data, "markdown").startswith("## 1 fixed")
    html = render_verify(data, "html")
    assert "<title>1 fixed" in html
    assert "src=" not in html
    assert 'href="http' not in html


def test_hostile_names_break_nothing() -> None:
    name = "<script>alert(1)</script>|`x`\n@all"
    data = verify_sides(side(run(overfitting(1), name)), side(run(overfitting(2), name))).to_dict()
    assert "<script>alert" not in render_verify(data, "html")
    assert "<script>" not in render_verify(data, "markdown")
    assert "\n@all" not in render_verify(data, "text")


def test_what_cannot_be_read_is_one_line_and_exit_2(tmp_path: object, capfd: pytest.CaptureFixture[str], logs: dict[str, str]) -> None:
    assert tbdiag(["verify", "nowhere.json", logs["cured"]]) == 2
    assert tbdiag(["verify", logs["json"], "nowhere"]) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 2
    assert "Traceback" not in err


def test_an_earlier_report_without_findings_has_nothing_to_verify() -> None:
    clean = side(run(overfitting(2, slope=0.0, best=0.5)))
    quiet = replace(clean, runs=tuple(replace(r, data={**r.data, "findings": []}) for r in clean.runs))
    result = verify_sides(quiet, clean)
    assert result.exit_code == 0
    assert render_verify(result.to_dict(), "text").startswith("nothing to verify")


def test_a_next_run_that_cannot_be_read_cannot_be_told(logs: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path / "next", {})
    code = tbdiag(["verify", logs["json"], str(tmp_path / "next"), "--format", "json"])
    data = json.loads(capfd.readouterr().out)
    assert code == 2
    assert {f["verdict"] for f in data["findings"]} == {"cannot-tell"}


def test_the_json_is_strict_and_its_numbers_stand_side_by_side() -> None:
    broken = {k: np.where(np.arange(60) > 40, np.nan, v) for k, v in overfitting(1).items()}
    text = render_verify(verify_sides(side(run(broken)), FAULTY).to_dict(), "json")
    data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    for finding in data["findings"]:
        assert finding["verdict"] in VERDICTS
        for rule in finding["rules"]:
            assert {"text", "status", "value", "limit", "earlier", "reason"} <= set(rule)


def test_rules_of_notes_are_told_but_decide_no_exit_code() -> None:
    _, result = judge(FAULTY, side(run(overfitting(2, slope=0.0, best=0.5))))
    note = next(v for v in result.findings if v.finding["severity"] == "note")
    assert note.verdict == "not-fixed"
    assert result.exit_code == 0


def test_a_rate_raised_too_far_that_throws_the_first_logged_point_up_is_no_other_task() -> None:
    rng = np.random.default_rng(8)

    def logged(loss: np.ndarray, lr: float) -> object:
        curves = {"train/loss": loss, "val/loss": loss, "lr": np.full(200, lr)}
        return side(run({k: _synth.make_series(k, v, np.arange(2, 402, 2)) for k, v in curves.items()}))

    before = logged(0.78 + rng.normal(0, 0.01, 200), 1e-6)
    assert any(f["severity"] != "note" for f in before.runs[0].findings)  # type: ignore[attr-defined]
    thrown = np.concatenate((np.geomspace(130, 0.3, 60), np.full(140, 0.3))) + rng.normal(0, 0.01, 200)
    for rate, other in ((0.5, False), (1e-6, True)):
        result = verify_sides(before, logged(thrown, rate))  # type: ignore[arg-type]
        assert any("another task" in v.reason for v in result.findings) is other


def test_a_run_in_the_logdir_itself_goes_by_its_side() -> None:
    text = render_verify(
        verify_sides(side(run(overfitting(1), "."), label="yesterday"), side(run(overfitting(3), "."), label="today")).to_dict(), "text"
    )
    assert "(earlier run yesterday)" in text
    assert "  .  " not in text
