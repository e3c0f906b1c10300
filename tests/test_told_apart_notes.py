"""Notes and words that must not say what is false."""

from __future__ import annotations

import numpy as np
import pytest

from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.model import Run


def ids(run: Run) -> set[str]:
    return {f.id for f in diagnose_run(run).findings}


def comes_back_from_an_explosion(end: float) -> Run:
    """A loss that leaves its start of 0.5 for a thousand times as much, and comes down to `end`."""
    i = np.arange(400)
    up = 10 ** (3 * np.sin(np.pi * np.clip((i - 20) / 280, 0, 1)))
    noise = np.random.default_rng(0).normal(0, 1, 400) * np.where((i > 20) & (i < 300), 0.3, 0.05)
    return _synth.make_run({"loss": np.where(i < 300, 0.5 * up, end) * np.exp(noise)})


def stands_beside_a_metric(climbs: bool) -> Run:
    """A loss of noisy batches without a trend, with training's R2 by epoch."""
    rng = np.random.default_rng(4)
    r2 = np.linspace(0.2, 0.42, 12) if climbs else np.full(12, 0.3)
    made = {"train/loss": 0.6 + 0.15 * rng.normal(size=120), "train/r2": r2 + rng.normal(0, 0.004, 12)}
    return _synth.make_run(
        {"train/loss": made["train/loss"], "train/r2": _synth.make_series("train/r2", made["train/r2"], np.arange(12) * 10 + 9)}
    )


@pytest.mark.parametrize(("make", "still"), [(lambda: stands_beside_a_metric(True), False), (lambda: stands_beside_a_metric(False), True)])
def test_no_loss_is_called_still_beside_a_metric_that_climbs(make: object, still: bool) -> None:
    assert ("no-learning" in ids(make())) is still  # type: ignore[operator]


@pytest.mark.parametrize(("end", "still"), [(0.002, False), (0.5, True)])
def test_no_loss_is_called_still_that_ends_far_below_its_start(end: float, still: bool) -> None:
    assert ("no-learning" in ids(comes_back_from_an_explosion(end))) is still
