"""`compare`: chance is not called a difference, planted differences are found, and the figures are right."""

from __future__ import annotations

import json

import numpy as np
import pytest

from loop.making import overfitting, run, side, write_log
from tbdiag.cli.app import run as tbdiag
from tbdiag.compare import compare_sides, render_compare
from tbdiag.compare.groups import make_groups, seed_free
from tbdiag.compare.inference import compare_one_to_seeds, compare_seeds, compare_singles, permutation_p
from tbdiag.compare.judge import BETTER, NONE, WORSE
from tbdiag.detectors import _synth


def curves(seed: int, level: float = 0.5, spread: float = 0.0) -> dict[str, np.ndarray]:
    """A training whose final loss is `level`, scattered by `spread` (relative) from seed to seed."""
    rng = np.random.default_rng(seed)
    end = level * (1 + spread * rng.normal())
    train = _synth.decay(80, 2.3, end - 0.1) + rng.normal(0, 0.02, 80)
    return {"loss/train": train, "loss/val": _synth.decay(80, 2.3, end) + rng.normal(0, 0.02, 80)}


def seeds(numbers: range, level: float, spread: float = 0.03) -> list[object]:
    return [run(curves(s, level, spread), f"seed_{s}") for s in numbers]


def test_welch_keeps_its_level_and_finds_what_is_there() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 3, 5):
        same = sum(compare_seeds(rng.normal(1, 0.1, n), rng.normal(1, 0.1, n), 0.0).different for _ in range(1000))
        assert same <= 40, n
    assert compare_seeds(rng.normal(1, 0.1, 5), rng.normal(1.5, 0.1, 5), 0.0).different


def test_welch_agrees_with_scipy() -> None:
    from scipy.stats import ttest_ind

    x, y = np.array([1.0, 1.2, 0.9, 1.1]), np.array([1.5, 1.4, 1.9])
    mine, theirs = compare_seeds(x, y, 0.0), ttest_ind(y, x, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert mine.p == pytest.approx(theirs.pvalue)
    assert (mine.low, mine.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_permutation_p_counts_every_split() -> None:
    assert permutation_p(np.arange(4.0), np.arange(10.0, 14.0)) == pytest.approx(2 / 70)
    assert permutation_p(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 1.0


def test_lucky_seeds_cannot_be_surer_than_the_noise_within_runs() -> None:
    x, y = np.array([1.0, 1.0]), np.array([1.01, 1.01])
    assert compare_seeds(x, y, 0.0).different
    assert not compare_seeds(x, y, 0.05).different


def test_one_run_against_seeds_uses_their_spread() -> None:
    many = np.random.default_rng(1).normal(1, 0.05, 6)
    assert not compare_one_to_seeds(1.05, many, 0.0, one_is_head=True).different
    better = compare_one_to_seeds(0.6, many, 0.0, one_is_head=True)
    assert better.different
    assert better.difference == pytest.approx(0.6 - many.mean())
    assert compare_one_to_seeds(0.6, many, 0.0, one_is_head=False).difference == pytest.approx(many.mean() - 0.6)


def test_singles_get_an_allowance_for_the_seed() -> None:
    assert not compare_singles(0.50, 0.55, 0.002, 0.03).different
    assert compare_singles(0.50, 0.75, 0.002, 0.03).different


def test_simulated_seed_pairs_are_rarely_called_different() -> None:
    called = sum(
        compare_sides(side(run(curves(2 * i, 0.5, 0.04))), side(run(curves(2 * i + 1, 0.5, 0.04)))).verdict != NONE for i in range(60)
    )
    assert called <= 3


@pytest.mark.parametrize(("level", "verdict"), [(0.3, BETTER), (0.9, WORSE)])
def test_planted_differences_are_found(level: float, verdict: str) -> None:
    assert compare_sides(side(run(curves(1, 0.5))), side(run(curves(2, level)))).verdict == verdict
    base, head = side(*seeds(range(4), 0.5)), side(*seeds(range(10, 14), level))  # type: ignore[arg-type]
    result = compare_sides(base, head)
    assert result.verdict == verdict
    [group] = result.groups
    assert len(group.group.base) == len(group.group.head) == 4
    assert group.headline is not None
    assert group.headline.estimate.p is not None


def test_seeds_find_a_difference_that_single_runs_cannot() -> None:
    base, head = side(*seeds(range(6), 0.5, 0.01)), side(*seeds(range(10, 16), 0.45, 0.01))  # type: ignore[arg-type]
    assert compare_sides(base, head).verdict == BETTER
    assert compare_sides(side(run(curves(1, 0.5))), side(run(curves(2, 0.45)))).verdict == NONE


def test_a_metric_is_better_when_it_is_higher() -> None:
    def accuracy(seed: int, top: float) -> dict[str, np.ndarray]:
        return {"val/accuracy": top - _synth.decay(80, 0.6, 0.0) + np.random.default_rng(seed).normal(0, 0.005, 80)}

    assert compare_sides(side(run(accuracy(1, 0.7))), side(run(accuracy(2, 0.9)))).verdict == BETTER
    assert compare_sides(side(run(accuracy(1, 0.9))), side(run(accuracy(2, 0.7)))).verdict == WORSE


def test_a_head_that_broke_is_worse() -> None:
    broken = {k: np.where(np.arange(80) > 50, np.nan, v) for k, v in curves(2).items()}
    result = compare_sides(side(run(curves(1))), side(run(broken)))
    assert result.verdict == WORSE
    assert "not finite" in result.groups[0].why


def test_findings_new_fixed_and_unchanged() -> None:
    result = compare_sides(side(run(overfitting(1))), side(run(overfitting(2, slope=0.0, best=0.5))))
    kinds = {k: {f["id"] for f in v} for k, v in result.groups[0].findings.items()}
    assert "overfitting" in kinds["fixed"]
    assert "missing-evidence" in kinds["unchanged"]


def test_time_to_reach_the_bases_best() -> None:
    slow = {k: np.asarray(v) for k, v in curves(1, 0.5).items()}
    fast = {k: np.concatenate((v[::2], np.full(40, float(np.asarray(v)[-5:].mean()) - 0.02))) for k, v in curves(2, 0.5).items()}
    reach = compare_sides(side(run(slow)), side(run(fast))).groups[0].reach
    assert reach is not None
    assert reach.head_steps is not None
    assert reach.base_steps is not None
    assert reach.head_steps < reach.base_steps
    assert reach.head_seconds == pytest.approx(reach.head_steps)


@pytest.mark.parametrize(
    ("name", "free"),
    [("exp/seed_3", "exp"), ("exp-seed3", "exp"), ("exp/version_0", "exp"), ("a/0", "a"), ("lr_0.1", "lr_0.1"), ("resnet50", "resnet50")],
)
def test_names_without_their_seed(name: str, free: str) -> None:
    assert seed_free(name) == free


def test_runs_of_one_name_but_other_settings_are_no_seeds() -> None:
    base = side(run(curves(1), "run_1", learning_rate=0.1), run(curves(2), "run_2", learning_rate=0.01))
    groups, _ = make_groups(base, base)
    assert [(g.name, len(g.base)) for g in groups] == [("run_1", 1), ("run_2", 1)]
    same = side(run(curves(1), "run_1", learning_rate=0.1), run(curves(2), "run_2", learning_rate=0.1))
    [group], _ = make_groups(same, same)
    assert len(group.base) == 2


def test_configurations_match_by_name_and_the_rest_is_named() -> None:
    base = side(run(curves(1), "small"), run(curves(2), "large"))
    head = side(run(curves(3), "small"), run(curves(4), "huge"), run(curves(5), "tiny"))
    result = compare_sides(base, head)
    assert [g.group.name for g in result.groups] == ["small"]
    assert set(result.unmatched) == {"large", "huge", "tiny"}


def test_commands_write_every_format(tmp_path: object, capfd: pytest.CaptureFixture[str]) -> None:
    from pathlib import Path

    root = Path(str(tmp_path))
    for seed, (name, level) in enumerate((("base", 0.5), ("head", 0.9), ("more", 0.5))):
        write_log(root / name / "r", curves(seed, level))
    paths = [str(root / n) for n in ("base", "head", "more")]
    assert tbdiag(["compare", *paths[:2], "--format", "json"]) == 0
    data = json.loads(capfd.readouterr().out)
    assert data["verdict"] == WORSE
    assert data["groups"][0]["headline"]["role"] == "val_loss"
    assert tbdiag(["compare", *paths, "--format", "json"]) == 0
    assert [c["verdict"] for c in json.loads(capfd.readouterr().out)["comparisons"]] == [WORSE, NONE]
    assert tbdiag(["compare", *paths, "--format", "html", "-o", str(root / "c.html")]) == 0
    html = (root / "c.html").read_text(encoding="utf-8")
    assert html.count("<figure") == 4
    assert "style=" not in html
    assert tbdiag(["compare", *paths[:2]]) == 0
    assert "head: worse than base" in capfd.readouterr().out


def test_same_input_same_bytes() -> None:
    texts = {
        render_compare([compare_sides(side(run(curves(1))), side(run(curves(2))))], format_)
        for _ in range(2)
        for format_ in ("text", "json", "markdown", "html")
    }
    assert len(texts) == 4


def test_as_accurate_but_less_sure_of_it_is_worse_and_names_the_loss() -> None:
    rng = np.random.default_rng(11)
    accuracy = 0.9 - 0.6 * np.exp(-np.arange(40) / 5)

    def curves(end: float) -> dict[str, np.ndarray]:
        return {"val/accuracy": accuracy + rng.normal(0, 0.002, 40), "val/loss": _synth.decay(40, 2.3, end) + rng.normal(0, 0.01, 40)}

    result = compare_sides(side(run(curves(0.3))), side(run(curves(0.9)))).groups[0]
    assert result.verdict == "worse"
    assert "val_loss" in result.why
    assert compare_sides(side(run(curves(0.3))), side(run(curves(0.3)))).groups[0].verdict == "no evidence of a difference"


def validated(**curves: np.ndarray) -> object:
    rng = np.random.default_rng(12)
    return side(run({f"val/{name}": curve + rng.normal(0, 0.002, curve.size) for name, curve in curves.items()}))


def test_a_better_best_of_a_run_that_falls_apart_is_worse_and_says_so() -> None:
    steady = 0.8 - 0.6 * np.exp(-np.arange(60) / 6)
    apart = np.where(np.arange(60) < 30, 0.9 - 0.6 * np.exp(-np.arange(60) / 6), 0.45)
    [group] = compare_sides(validated(accuracy=steady), validated(accuracy=apart)).groups
    assert group.verdict == WORSE
    assert group.why.startswith("end val_metric 0.8")
    assert "but best val_metric is better" in group.why


def test_another_metric_counts_where_the_headline_shows_nothing() -> None:
    accuracy, f1 = (top - 0.6 * np.exp(-np.arange(60) / 6) for top in (0.9, 0.8))
    base = validated(accuracy=accuracy, f1=f1)
    [group] = compare_sides(base, validated(accuracy=accuracy, f1=f1 - 0.15)).groups
    assert group.verdict == WORSE
    assert "val/f1 0.8" in group.why
    [group] = compare_sides(base, validated(accuracy=accuracy, f1=f1 - 0.01)).groups
    assert group.verdict == NONE
    [group] = compare_sides(base, validated(accuracy=accuracy + 0.08, f1=f1 - 0.15)).groups
    assert group.verdict == BETTER
    assert "but best val/f1 is worse" in group.why


def test_a_tenfold_loss_is_worse_though_it_swings_by_as_much() -> None:
    rng = np.random.default_rng(13)
    calm = _synth.decay(12, 1.1, 0.3) + rng.normal(0, 0.005, 12)
    wild = 5.0 * np.exp(rng.normal(0, 0.35, 12))
    [group] = compare_sides(side(run({"val/loss": calm})), side(run({"val/loss": wild}))).groups
    assert group.verdict == WORSE
    assert group.headline is not None
    assert group.headline.estimate.low > 0


def test_a_validation_loss_that_only_ends_worse_counts_where_the_metric_shows_nothing() -> None:
    accuracy = 0.9 - 0.6 * np.exp(-np.arange(60) / 6)
    steady = _synth.decay(60, 2.3, 0.4, 12.0)
    rising = steady + 1.2 * np.clip(np.linspace(0, 1, 60) - 0.4, 0, None)
    [group] = compare_sides(validated(accuracy=accuracy, loss=steady), validated(accuracy=accuracy, loss=rising)).groups
    assert group.verdict == WORSE
    assert group.why.startswith("end val_loss 0.4")
