"""The contract that every detector fulfils."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tbdiag.config import Config
from tbdiag.detectors import _synth, load_detectors
from tbdiag.detectors._base import HEADINGS, Detector, Example
from tbdiag.engine import run_detector
from tbdiag.features import Features
from tbdiag.features.statistics import LOG_STATISTICS, STATISTICS
from tbdiag.model import Finding, Outcome, OutcomeKind, Run, Severity
from tbdiag.roles import resolve
from tests import healthy_groups, healthy_shapes, healthy_short  # noqa: F401 - register their families
from tests.healthy import FAMILIES

DETECTORS = load_detectors()
EXAMPLES = [(d, e) for d in DETECTORS for e in d.examples]


def judge(detector: Detector, run: Run) -> Outcome:
    return run_detector(detector, Features(resolve(run, Config())), Config())


def names(value: object) -> str:
    return value.id if isinstance(value, Detector) else value.name.replace(" ", "-")[:40] if isinstance(value, Example) else str(value)


@pytest.mark.parametrize("detector", DETECTORS, ids=names)
def test_documentation_has_every_heading_once_and_in_order(detector):
    lines = [line for line in detector.doc.splitlines() if line in HEADINGS]
    assert lines == list(HEADINGS)
    assert all(len(text) > 15 for text in detector.sections().values())
    assert detector.summary.endswith(".")


@pytest.mark.parametrize("detector", DETECTORS, ids=names)
def test_thresholds_say_where_they_come_from(detector):
    for name, threshold in detector.thresholds.items():
        assert re.fullmatch(r"[a-z][a-z_0-9]*", name)
        assert len(threshold.why) > 10, name


@pytest.mark.parametrize("detector", DETECTORS, ids=names)
def test_has_examples_that_fire_and_that_stay_silent(detector):
    assert any(e.fires for e in detector.examples)
    assert any(not e.fires for e in detector.examples)


@pytest.mark.parametrize(("detector", "example"), EXAMPLES, ids=names)
def test_example_comes_out_as_declared(detector, example):
    outcome = judge(detector, example.make())
    assert outcome.kind is not OutcomeKind.CRASHED, outcome.why
    loud = outcome.finding is not None and (outcome.finding.severity is not Severity.NOTE or detector.severity is Severity.NOTE)
    assert loud == example.fires, outcome
    if outcome.finding is None:
        return
    check_finding(detector, outcome.finding)
    if example.onset is not None:
        assert outcome.finding.onset is not None
        assert example.onset[0] <= outcome.finding.onset.middle <= example.onset[1], outcome.finding.onset


def check_finding(detector: Detector, finding: Finding) -> None:
    assert finding.id == detector.id
    assert finding.phase == detector.phase
    assert 0.5 <= finding.confidence <= 1
    assert finding.evidence
    assert finding.causes
    assert finding.first_check
    assert finding.first_action
    assert finding.fixes
    assert finding.success_rule.sentence
    assert finding.success_rule.all
    for p in finding.success_rule.all:
        known = LOG_STATISTICS if p.role == "log" else STATISTICS
        assert p.statistic in known, p
        assert np.isfinite(p.threshold)
    if finding.onset:
        assert finding.onset.first_step <= finding.onset.last_step
    for evidence in finding.evidence:
        check_numbers(evidence.statement, evidence.numbers, evidence.series)


NUMBER = re.compile(r"(?<![\w.,/-])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?( ?%)?(?![\w-])")


def check_numbers(statement: str, numbers: dict[str, float], series: tuple[str, ...]) -> None:
    """Every number that stands in a sentence stands in its numbers, to the digits shown."""
    for name in sorted(series, key=len, reverse=True):
        statement = statement.replace(name, "")
    statement = re.sub(r"'[^']*'", "", statement)  # quoted names of layers and tags
    for match in NUMBER.finditer(statement):
        text = match.group(0).rstrip(" %").replace(",", "").rstrip(".")
        shown = float(text)
        percent = match.group(1) is not None
        digits = len(text.split("e")[0].split(".")[1]) if "." in text else 0
        exponent = int(text.split("e")[1]) if "e" in text else 0
        tolerance = 0.5001 * 10.0 ** (exponent - digits)
        values = [100 * v for v in numbers.values()] if percent else []
        values += list(numbers.values())
        assert any(abs(v - shown) <= max(tolerance, 1e-6 * abs(v)) for v in values), f"{match.group(0)!r} in {statement!r}: {numbers}"


@pytest.mark.parametrize("name", FAMILIES)
def test_healthy_families_raise_no_alarm(name):
    alarms = []
    for seed in range(40):
        features = Features(resolve(FAMILIES[name](np.random.default_rng((seed, 1))), Config()))
        for detector in DETECTORS:
            outcome = run_detector(detector, features, Config())
            assert outcome.kind is not OutcomeKind.CRASHED, (detector.id, seed, outcome.why)
            if outcome.finding is not None and outcome.finding.severity is not Severity.NOTE:
                alarms.append((detector.id, seed, outcome.why))
    assert len({seed for _, seed, _ in alarms}) <= 1, alarms


AWKWARD = {
    "empty": [],
    "one": [1.0],
    "two": [1.0, 0.5],
    "three": [1.0, 0.5, 0.7],
    "constant": [0.7] * 30,
    "zeros": [0.0] * 30,
    "negative": list(-np.linspace(1, 5, 30)),
    "nan": [np.nan] * 10,
    "mixed": [1.0, np.nan, 0.5, np.inf, 0.2, -np.inf, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
    "huge": [1e38, 3e38, 1e30, 1.0] * 10,
    "tiny": [1e-38, 1e-45, 0.0, 1e-30] * 10,
    "sign-changing": list(np.sin(np.arange(50))),
}
TAGS = {
    "supervised": ("train/loss", "val/loss", "train/accuracy", "val/accuracy", "learning_rate", "grad_norm"),
    "reinforcement": ("rollout/ep_rew_mean", "train/entropy_loss", "train/learning_rate", "train/approx_kl", "train/value_loss"),
    "groups": (
        "weight_norm/0.weight",
        "weight_norm/2.weight",
        "val_pred_fraction/class_0",
        "val_pred_fraction/class_1",
        "loss_scale",
        "val/confidence",
    ),
}


@pytest.mark.parametrize("values", AWKWARD.values(), ids=AWKWARD.keys())
@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS.keys())
@pytest.mark.filterwarnings("error")
def test_never_raises(values, tags):
    features = Features(resolve(_synth.make_run(dict.fromkeys(tags, values)), Config()))
    for detector in DETECTORS:
        outcome = run_detector(detector, features, Config())
        assert outcome.kind is not OutcomeKind.CRASHED, (detector.id, outcome.why)
        if outcome.finding:
            check_finding(detector, outcome.finding)


def seed_text(train, val):
    run = _synth.make_run({"train/loss": train, "val/loss": val})
    features = Features(resolve(run, Config()))
    return {
        o.id
        for d in DETECTORS
        if (o := run_detector(d, features, Config())).finding is not None and o.finding.severity is not Severity.NOTE
    }


def test_histories_of_the_seed_text_come_out_as_labelled():
    assert "underfitting" in seed_text([1.20, 1.08, 0.99, 0.94], [1.25, 1.13, 1.04, 1.02])
    assert "overfitting" in seed_text([0.90, 0.55, 0.31, 0.18], [0.92, 0.63, 0.68, 0.82])
    assert "instability" in seed_text([0.80, 1.65, 0.72, 1.48], [0.85, 1.70, 0.79, 1.55])
    assert seed_text([0.90, 0.55, 0.31, 0.18], [0.92, 0.63, 0.45, 0.38]) <= {"unconverged"}
