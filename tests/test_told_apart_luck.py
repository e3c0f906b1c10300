"""A score by luck, a ceiling at guessing, a validation that only rises, and what a likelihood or a spectrogram's distance is called."""

from __future__ import annotations

import numpy as np
import pytest

import tbdiag
from tbdiag.detectors import _synth
from tbdiag.model import Finding, Run, Scale
from tbdiag.roles import resolve
from tests.test_told_apart import said

decay = _synth.decay


def noise(n: int, sd: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, n)


def _findings(run: Run) -> dict[str, Finding]:
    return {f.id: f for f in tbdiag.diagnose([run]).runs[0].findings}


def rare_class(n: int = 400, *, lucky: int = 2, f1: float = 0.02, auc: float | None = 0.5) -> Run:
    """Nearly nothing is called positive; at `lucky` evaluations everything is, which scores 0.16."""
    scores = np.clip(f1 + noise(n, 0.01, 1), 0, 1)
    scores[n // 3 :: n // 3][:lucky] = 0.16
    if lucky > 3:
        scores[n // 2 : n // 2 + lucky] = 0.16
    made = {
        "train_loss": decay(n, 0.93, 0.89, 30.0) + noise(n, 0.004, 2),
        "val_loss": np.full(n, 0.86) + noise(n, 0.015, 3),
        "train_f1": np.clip(0.02 + noise(n, 0.01, 4), 0, 1),
        "val_f1": scores,
    }
    return _synth.make_run(made | ({"val_auc": auc + noise(n, 0.004, 5)} if auc is not None else {}))


@pytest.mark.parametrize(
    ("run", "named"),
    [
        (rare_class(), True),
        (rare_class(auc=None), True),
        (rare_class(lucky=20), False),  # one evaluation in twenty is no luck
        (rare_class(n=60, lucky=1), False),  # of few evaluations the best one counts
        (rare_class(auc=0.8), False),  # it ranks well, and only the threshold is wrong
        (rare_class(f1=0.3, auc=0.8), False),
    ],
)
def test_one_lucky_score_is_no_learning(run: Run, named: bool) -> None:
    assert ("no-learning" in said(run)) == named


def by_heart(ceiling: float, classes: int, *, rises: float = 0.0) -> Run:
    """Training knows all by heart at the end; validation's accuracy stands at `ceiling`, its loss at the entropy of that and then rises."""
    n, rest = 60, 1 - ceiling
    entropy = -(ceiling * np.log(ceiling) + rest * np.log(rest / max(classes - 1, 1)))
    x = np.linspace(0, 1, n)
    start = 1 / classes
    train = start + (ceiling - start) * np.clip(4 * x, 0, 1) + (1 - ceiling) * np.clip((x - 0.6) / 0.3, 0, 1)
    rows = {
        "train_loss": np.log(classes) * (1 - train + start) + 0.001,
        "train_acc": train,
        "val_loss": entropy + rises * np.clip(x - 0.4, 0, None) + noise(n, 0.002, 6),
        "val_acc": start + (ceiling - start) * np.clip(8 * x, 0, 1) + noise(n, 0.003, 7),
    }
    run = _synth.make_run(rows)
    run.hparams["num_classes"] = classes
    return run


@pytest.mark.parametrize(("ceiling", "classes", "noted"), [(0.543, 2, False), (0.75, 2, True), (0.7, 10, True)])
def test_a_ceiling_at_guessing_speaks_of_no_labels(ceiling: float, classes: int, noted: bool) -> None:
    assert ("label-noise" in _findings(by_heart(ceiling, classes))) == noted


def test_a_validation_loss_that_rises_is_not_said_to_stay() -> None:
    n = 100
    x = np.linspace(0, 1, n)
    rows = {
        "train_loss": 0.69 / (1 + np.exp(30 * (x - 0.45))) + 1e-3,
        "train_acc": 1 - 0.5 / (1 + np.exp(30 * (x - 0.45))),
        "val_loss": 0.69 + 4.2 * np.clip(x - 0.4, 0, None) / 0.6 + noise(n, 0.003, 8),
        "val_acc": 0.5 + noise(n, 0.02, 9),
    }
    found = _findings(_synth.make_run(rows))["generalization-gap"]
    assert "rose to" in found.title
    assert "hardly left" not in " ".join(e.statement for e in found.evidence)


def test_a_log_likelihood_is_called_one() -> None:
    rows = {"training_log_probs": 1.0 - decay(200, 1.7, 0.0, 1.2) + noise(200, 0.01, 10)}
    rows["validation_log_probs"] = rows["training_log_probs"] + noise(200, 0.01, 11)
    found = _findings(_synth.make_run(rows))["unconverged"]
    assert "validation log likelihood" in found.title
    assert "validation loss" not in " ".join([found.title, found.success_rule.sentence, *(e.statement for e in found.evidence)])


def test_the_distance_of_two_spectrograms_is_no_rate() -> None:
    tags = {"training/gen_loss_total": decay(50, 100, 40), "training/mel_spec_error": decay(50, 2.4, 0.4)}
    signals = resolve(_synth.make_run(tags | {"validation/mel_spec_error": decay(50, 2.4, 0.6)}))
    for key in ("train_metric", "val_metric"):
        signal = signals.main(key)
        assert signal is not None
        assert signal.scale is Scale.UNKNOWN
        assert signal.stem == "mel_distance"
