"""First actions follow what the log shows: the same symptom asks for another change where something else speaks."""

from __future__ import annotations

import numpy as np

from tbdiag.config import Config
from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.model import Finding, Run

N, AT = 600, 360


def find(run: Run, finding_id: str) -> Finding:
    return next(f for f in diagnose_run(run, Config()).findings if f.id == finding_id)


def jumped(val_behind: float) -> Run:
    """A classifier whose training loss jumps from 0.5 to 4 at step 360, comes down to 1.8, and a validation loss that goes to `val_behind`."""
    rng = np.random.default_rng(1)
    train = _synth.decay(N, 1.9, 0.45, 8.0) + rng.normal(0, 0.08, N)
    train[AT:] = _synth.decay(N - AT, 4.0, 1.8, 10.0) + rng.normal(0, 0.1, N - AT)
    val = _synth.decay(12, 1.7, 0.55, 8.0) + rng.normal(0, 0.01, 12)
    val[7:] = np.linspace(val_behind, 1.75, 5)
    return _synth.make_run(
        {
            "train/loss": _synth.make_series("train/loss", train),
            "val/loss": _synth.make_series("val/loss", val, np.arange(1, 13) * 50 - 1),
            "train/lr": np.full(N, 1e-3),
        }
    )


def test_a_jump_that_validation_follows_in_part_asks_for_a_look_at_the_data_and_broken_weights_for_a_lower_rate():
    data, weights = find(jumped(0.9), "divergence"), find(jumped(2.2), "divergence")
    assert "what changed in the training data at step 360" in data.first_action
    assert data.causes[0].text.startswith("Data, loss or objective changed")
    assert data.causes[0].why
    assert weights.first_action.startswith("Lower the learning rate from 1e-3 to 3.3e-4 and restart from the last checkpoint before")
    assert weights.causes[0].text.startswith("Learning rate too high")


def diverging(steps: int) -> Run:
    """A loss that leaves its start for good after so many steps."""
    rng = np.random.default_rng(2)
    loss = np.concatenate((np.linspace(1.4, 0.9, steps), np.linspace(1.5, 5.0, 20), np.full(N - steps - 20, 5.0)))
    return _synth.make_run({"train/loss": loss + rng.normal(0, 0.05, N), "train/lr": np.full(N, 0.5)})


def test_the_sooner_a_run_diverged_the_lower_the_rate_that_is_tried():
    assert find(diverging(8), "divergence").first_action == "Lower the learning rate from 0.5 to 5e-3 and rerun."
    assert find(diverging(50), "divergence").first_action == "Lower the learning rate from 0.5 to 0.05 and rerun."
