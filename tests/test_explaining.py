"""Cause before consequence, and the order in which findings are told."""

from __future__ import annotations

import pytest

from tbdiag.diagnosis.explaining import PRODUCES, explain_away, order_findings
from tbdiag.model import Evidence, Finding, Interval, Severity, SuccessRule


def finding(name: str, severity: Severity = Severity.WARNING, onset: tuple[int, int] | None = None, confidence: float = 0.8) -> Finding:
    return Finding(
        id=name,
        severity=severity,
        confidence=confidence,
        title=name,
        evidence=(Evidence("it is so"),),
        causes=(),
        first_check="look",
        first_action="change",
        fixes=(),
        success_rule=SuccessRule(all=(), sentence="better"),
        onset=Interval(*onset) if onset else None,
    )


def judge(*findings: Finding) -> tuple[Finding, ...]:
    return order_findings(explain_away(tuple(findings), 1000))


def test_a_rate_jump_that_blew_up_gradients_and_ended_in_nan_is_one_story() -> None:
    told = judge(
        finding("nan-inf", Severity.ERROR, (520, 520)),
        finding("exploding-gradients", onset=(505, 510)),
        finding("lr-schedule", onset=(500, 500)),
        finding("divergence", Severity.ERROR, (506, 515)),
    )
    assert [f.id for f in told] == ["lr-schedule", "exploding-gradients", "divergence", "nan-inf"]
    assert [f.caused_by for f in told] == [None, "lr-schedule", "lr-schedule", "lr-schedule"]
    assert all("500" in f.caused_by_why for f in told[1:])


def test_what_began_later_is_no_cause() -> None:
    told = judge(finding("divergence", Severity.ERROR, (100, 110)), finding("lr-schedule", onset=(800, 810)))
    assert {f.id: f.caused_by for f in told} == {"divergence": None, "lr-schedule": None}


def test_a_guess_is_no_head() -> None:
    told = judge(finding("label-noise", confidence=0.4), finding("overfitting", confidence=0.9))
    assert told[0].id == "overfitting"
    assert told[0].caused_by is None


def test_a_note_explains_nothing_away() -> None:
    told = judge(finding("lr-zero", Severity.NOTE), finding("no-learning", Severity.ERROR))
    assert told[0].id == "no-learning"
    assert told[0].caused_by is None


def test_a_consequence_follows_its_head_even_past_a_milder_finding() -> None:
    told = judge(finding("stalled"), finding("spikes"), finding("instability"), finding("nan-inf", Severity.ERROR))
    assert told[0].id == "nan-inf"
    at = {f.id: i for i, f in enumerate(told)}
    for f in told:
        if f.caused_by:
            assert at[f.caused_by] < at[f.id]


def test_no_finding_is_its_own_consequence_and_heads_stay_heads() -> None:
    every = sorted(set(PRODUCES) | {i for ids in PRODUCES.values() for i in ids})
    told = judge(*(finding(i) for i in every))
    heads = {f.id for f in told if f.caused_by is None}
    assert heads
    assert all(f.caused_by in heads for f in told if f.caused_by is not None)


def test_a_detector_outside_the_table_brings_its_own_consequences(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from tbdiag.detectors import load_detectors
    from tbdiag.diagnosis import explaining

    stranger = replace(load_detectors()[0], id="stranger", explains=("spikes",))
    monkeypatch.setattr(explaining, "load_detectors", lambda: (stranger,))
    told = judge(finding("spikes"), finding("stranger"))
    assert [(f.id, f.caused_by) for f in told] == [("stranger", None), ("spikes", "stranger")]
