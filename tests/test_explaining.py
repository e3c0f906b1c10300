"""Cause before consequence, and the order in which findings are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tbdiag.diagnosis.explaining import PRODUCES, explain_away, order_findings, rank_story
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


def of(found: Finding, role: str) -> Finding:
    return replace(found, roles=(role,))


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


def test_a_story_is_told_in_order_of_onset_and_names_what_came_between() -> None:
    head, *rest = judge(
        finding("nan-inf", Severity.ERROR, (812, 812)),
        finding("exploding-gradients", Severity.ERROR, (803, 804)),
        finding("lr-schedule", onset=(800, 801)),
        finding("clipping-saturated", onset=(805, 806)),
        finding("no-learning", Severity.ERROR),
    )
    assert [link.id for link in head.chain] == ["lr-schedule", "exploding-gradients", "clipping-saturated", "nan-inf"]
    assert [link.onset.first_step for link in head.chain] == [800, 803, 805, 812]
    assert {f.caused_by for f in rest} == {"lr-schedule"}
    assert all(not f.chain for f in rest)
    told = {f.id: f.caused_by_why for f in rest}
    assert "exploding-gradients" in told["clipping-saturated"]  # the rate does not produce clipping by itself


def test_an_evaluation_that_breaks_with_training_is_its_consequence_whatever_is_logged_more_often() -> None:
    for broken in ("nan-inf", "divergence"):
        told = judge(finding("sudden-shift", onset=(164, 179)), finding(broken, Severity.ERROR, (168, 170)))
        assert [(f.id, f.caused_by) for f in told] == [(broken, None), ("sudden-shift", broken)]
        before = judge(finding("sudden-shift", onset=(120, 130)), finding(broken, Severity.ERROR, (168, 170)))
        assert [(f.id, f.caused_by) for f in before] == [("sudden-shift", None), (broken, "sudden-shift")]


def test_a_norm_that_is_never_finite_does_not_explain_a_loss_that_is_never_finite() -> None:
    told = judge(finding("exploding-gradients", Severity.ERROR, (11, 11)), finding("nan-inf", Severity.ERROR, (1, 11)))
    assert [(f.id, f.caused_by) for f in told] == [("nan-inf", None), ("exploding-gradients", "nan-inf")]


def test_a_loss_that_leaves_for_good_is_no_second_story_of_swings() -> None:
    told = judge(finding("instability", onset=(400, 440)), finding("divergence", Severity.ERROR, (500, 510)))
    assert [(f.id, f.caused_by) for f in told] == [("divergence", None), ("instability", "divergence")]
    before = judge(finding("instability", onset=(100, 140)), finding("divergence", Severity.ERROR, (500, 510)))
    assert all(f.caused_by is None for f in before)


def test_weights_that_grew_before_the_loss_diverged_lead() -> None:
    told = judge(finding("divergence", Severity.ERROR, (500, 700)), finding("weight-growth", Severity.ERROR, (0, 200)))
    assert [(f.id, f.caused_by) for f in told] == [("weight-growth", None), ("divergence", "weight-growth")]


@pytest.mark.parametrize("every", [1, 5])
def test_a_jump_of_the_rate_that_ends_in_nan_is_one_story_in_the_report(every: int) -> None:
    import numpy as np

    from tbdiag.detectors import _synth
    from tbdiag.diagnosis import diagnose_run

    rng = np.random.default_rng(3)
    x = np.arange(1200)
    loss = 2.3 * np.exp(-x / 250) + 0.25 + rng.normal(0, 0.03, x.size)
    norm = 0.8 * np.exp(rng.normal(0, 0.25, x.size))
    after = np.clip(x - 802, 0, 40)
    loss, norm = loss + 0.05 * np.expm1(after), norm * np.exp(1.2 * after)
    loss[812:] = norm[813:] = np.nan
    rate = np.where(x < 801, 1e-3, 4e-2)
    series = {"train/loss": loss, "train/grad_norm": norm, "train/lr": rate}
    run = _synth.make_run({k: _synth.make_series(k, v[::every], step=x[::every]) for k, v in series.items()})
    told = diagnose_run(run)
    head = told.findings[0]
    assert head.id == "lr-schedule"
    assert [f.id for f in told.heads if f.severity is not Severity.NOTE] == ["lr-schedule"]
    assert [link.id for link in head.chain] == ["lr-schedule", "exploding-gradients", "divergence", "nan-inf"]
    assert 800 <= head.chain[1].onset.last_step <= 805


def test_a_story_is_as_bad_as_its_worst_part() -> None:
    told = judge(
        finding("lr-schedule", onset=(500, 500)),
        finding("divergence", Severity.ERROR, (506, 515)),
        finding("noisy-validation"),
    )
    assert {f.id: rank_story(f, told) for f in told} == {"lr-schedule": 0, "divergence": 0, "noisy-validation": 1}


def test_what_seems_to_have_begun_before_its_head_is_not_told_in_order() -> None:
    told = judge(
        finding("divergence", Severity.ERROR, (450, 468)),
        finding("instability", onset=(440, 445)),
        finding("exploding-gradients", onset=(496, 500), confidence=0.6),
    )
    head = next(f for f in told if f.id == "divergence")
    assert {f.id for f in told if f.caused_by == "divergence"} >= {"instability"}
    assert "instability" not in [link.id for link in head.chain]


@pytest.mark.parametrize(("head", "later"), [("lr-too-high", "vanishing-gradients"), ("instability", "frozen-weights")])
def test_what_kills_a_net_leads_only_where_it_began_before(head: str, later: str) -> None:
    """Gradients that were not there at the first point are no work of the rate; weights that stand still from the start of no swing."""
    after = {f.id: f.caused_by for f in judge(finding(head, onset=(10, 40)), finding(later, Severity.ERROR, onset=(60, 80)))}
    assert after[later] == head
    at_once = {f.id: f.caused_by for f in judge(finding(head, onset=(10, 40)), finding(later, Severity.ERROR, onset=(0, 5)))}
    assert at_once[later] is None


def test_overfitting_leads_the_gap_that_it_opened_and_the_story_stays_in_order() -> None:
    judged = {f.id: f for f in judge(finding("overfitting", onset=(700, 900)), finding("generalization-gap", onset=(50, 90)))}
    assert judged["generalization-gap"].caused_by == "overfitting"
    assert "before validation turns" in judged["generalization-gap"].caused_by_why
    assert judged["overfitting"].chain == ()


@pytest.mark.parametrize(("role", "parent"), [("val_loss", "generalization-gap"), ("train_loss", None)])
def test_validation_that_stands_from_the_start_belongs_to_the_gap_and_training_that_stands_does_not(role: str, parent: str | None) -> None:
    judged = {f.id: f for f in judge(finding("generalization-gap", onset=(300, 310)), of(finding("plateau", onset=(1, 2)), role))}
    assert judged["generalization-gap"].caused_by is None
    assert judged["plateau"].caused_by == parent
    assert judged["generalization-gap"].chain == ()


@pytest.mark.parametrize(("role", "parent"), [("train_reward", "kl-blow-up"), ("train_loss", None)])
def test_updates_that_were_too_large_before_a_return_was_lost_lead(role: str, parent: str | None) -> None:
    lost = of(finding("divergence", Severity.WARNING, (400, 410)), role)
    told = judge(finding("kl-blow-up", Severity.WARNING, (100, 110)), lost)
    assert {f.id: f.caused_by for f in told} == {"kl-blow-up": None, "divergence": parent}
