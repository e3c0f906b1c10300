"""Validation that counts epochs beside training that counts steps: reports place it on the curves' axis and name both."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

import tbdiag
from tbdiag.detectors import _synth
from tbdiag.model import Run
from tbdiag.render import render

STEPS, EPOCHS = 1000, 20


def overfitting(*, validation_in_epochs: bool) -> Run:
    """A run of 1,000 steps whose validation loss turns at step 300, which is the sixth of 20 epochs."""
    rng = np.random.default_rng(7)
    epoch = np.arange(1, EPOCHS + 1)
    turn = np.where(epoch <= 6, 2.3 - 0.2 * epoch, 1.1 + 0.09 * (epoch - 6)) + rng.normal(0, 0.01, EPOCHS)
    train = _synth.decay(STEPS, 2.3, 0.1, 3.0) + rng.normal(0, 0.03, STEPS)
    by_step = _synth.make_series("val/loss", turn, step=epoch * (STEPS // EPOCHS))
    by_step = replace(by_step, wall_time=1.7e9 + by_step.step.astype(np.float64))
    val = replace(by_step, step=epoch.astype(np.int64)) if validation_in_epochs else by_step
    return _synth.make_run(
        {
            "train/loss": _synth.make_series("train/loss", train, step=np.arange(STEPS)),
            "val/loss": val,
        }
    )


@pytest.fixture(scope="module")
def report():
    return tbdiag.diagnose([overfitting(validation_in_epochs=True)])


def test_the_log_s_own_unit_stays_in_the_json(report):
    run = json.loads(render(report, "json"))["runs"][0]
    finding = next(f for f in run["findings"] if f["id"] == "overfitting")
    assert finding["onset_axis"] == "epoch"
    assert 4 <= finding["onset"]["first_step"] <= finding["onset"]["last_step"] <= 9
    assert 200 <= finding["drawn_onset"]["first_step"] <= finding["drawn_onset"]["last_step"] <= 450
    assert run["best_checkpoint"]["step"] == 6
    assert run["best_checkpoint"]["axis"] == "epoch"
    assert abs(run["best_checkpoint"]["drawn_step"] - 300) <= 50
    curve = next(c for c in run["curves"] if c["role"] == "val_loss")
    assert curve["axis"] == "step"
    assert curve["steps"][-1] > 900


@pytest.mark.parametrize("kind", ["html", "markdown", "text", "github", "junit"])
def test_every_format_names_step_and_epoch_of_the_onset(report, kind):
    told = re.sub(r"<[^>]+>", "", render(report, kind))
    assert re.search(r"[Oo]nset:? (step )?\d{3}(\u2013\d{3})? \(epoch \d\d?(\u2013\d\d?)?\)|\| \d{3}(\u2013\d{3})? \(epoch \d", told)


def test_the_best_checkpoint_and_the_headline_name_both(report):
    page = re.sub(r"<[^>]+>", "", render(report, "html"))
    assert re.search(r"Best checkpoint: step \d{3} \(epoch 6\)", page)
    assert re.search(r"overfitting from step \d{3} \(epoch \d\)", page)


def test_the_band_lies_where_it_lies_in_a_log_of_steps(report):
    """The same run with its validation logged by steps is drawn alike: band, axis and curve."""
    same = tbdiag.diagnose([overfitting(validation_in_epochs=False)])
    bands = [[float(x) for x in re.findall(r'class="bd" x="([\d.]+)"', render(r, "html"))] for r in (report, same)]
    assert bands[0]
    assert bands[0] == pytest.approx(bands[1], abs=2)
    charts = [re.findall(r">(epochs?|steps?)</text>", render(r, "html")) for r in (report, same)]
    assert charts[0] == charts[1]


def test_validation_that_counts_its_own_batches_is_put_on_the_steps_of_training():
    """Ten batches of validation after every fifty steps: step 60 of validation is step 300 of training."""
    run = overfitting(validation_in_epochs=False)
    val = run.series["val/loss"]
    run = replace(run, series={**run.series, "val/loss": replace(val, step=val.step // 5)})
    report = tbdiag.diagnose([run])
    page = re.sub(r"<[^>]+>", "", render(report, "html"))
    assert re.search(r"Best checkpoint: step 3\d\d \(logged as 60\)|Best checkpoint: step 2[5-9]\d \(logged as 60\)", page)
    assert "overfitting" in [f.id for f in report.runs[0].findings]
    assert report.runs[0].findings[0].onset.last_step <= 120 < report.runs[0].findings[0].drawn_onset.first_step


def test_validation_that_ends_early_keeps_its_steps():
    """Evaluations of the first fifth of a run, in the same unit, at the wall times of their steps: nothing is moved."""
    run = overfitting(validation_in_epochs=False)
    val = run.series["val/loss"]
    kept = replace(val, step=val.step // 5, wall_time=1.7e9 + (val.step // 5).astype(np.float64))
    report = tbdiag.diagnose([replace(run, series={**run.series, "val/loss": kept})])
    assert max(next(c for c in report.runs[0].curves if c.role == "val_loss").steps) == 200


def test_a_log_without_steps_is_judged_in_the_order_of_writing():
    """``add_scalar(tag, value)`` without a step: all points stand at zero, and still have a course."""
    run = overfitting(validation_in_epochs=False)
    stepless = {name: replace(s, step=np.zeros_like(s.step)) for name, s in run.series.items()}
    report = tbdiag.diagnose([replace(run, series=stepless)])
    finding = next(f for f in report.runs[0].findings if f.id == "overfitting")
    assert 4 <= finding.onset.first_step <= finding.onset.last_step <= 450
    curve = next(c for c in report.runs[0].curves if c.role == "train_loss")
    assert curve.steps[-1] == STEPS - 1
    assert "logged without a step" in next(s.why for s in report.runs[0].signals if s.tag == "val/loss")
    assert all(not s.step.any() for s in stepless.values())
