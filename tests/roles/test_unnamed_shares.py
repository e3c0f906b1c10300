"""Shares of classes without a known word: numbered series that are one together."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.model import Role, Run, Split
from tbdiag.roles.resolve import resolve


def _run(name: str = "check/said", *, collapsed: bool = False, total: float = 1.0, error: str = "check/err") -> Run:
    rng = np.random.default_rng(5)
    shares = np.full((3, 12), 1 / 3) + rng.uniform(-0.02, 0.02, (3, 12))
    if collapsed:
        shares[:] = [[0.98], [0.01], [0.01]]
        shares[:, ::2] += [[0.01], [-0.005], [-0.005]]
    shares *= total / shares.sum(axis=0)
    steps = np.arange(12) * 10
    series = {f"{name}/{k}": _synth.make_series(f"{name}/{k}", shares[k], steps) for k in range(3)}
    series |= {
        "fit/loss": _synth.decay(120, 1.1, 0.4) + rng.normal(0, 0.02, 120),
        "check/loss": _synth.make_series("check/loss", _synth.decay(12, 1.0, 0.5), steps),
        error: _synth.make_series(error, _synth.decay(12, 0.6, 0.3), steps),
    }
    return _synth.make_run(series)


def _roles(run: Run) -> set[Role]:
    return {s.role for s in resolve(run).all if s.name.rsplit("/", 1)[-1].isdigit()}


def test_numbered_series_that_are_one_together_are_shares_of_classes():
    signals = resolve(_run())
    shares = [s for s in signals.all if s.role is Role.PREDICTION_SHARE]
    assert {s.class_id for s in shares} == {"0", "1", "2"}
    assert {s.split for s in shares} == {Split.VAL}
    assert signals.classes == 3


def test_a_collapse_is_seen_in_them():
    assert "prediction-collapse" in {f.id for f in diagnose_run(_run(collapsed=True)).findings}
    assert "prediction-collapse" not in {f.id for f in diagnose_run(_run()).findings}


def test_other_parts_of_one_and_parts_of_more_are_not():
    assert _roles(_run("check/expert")) == {Role.UNKNOWN}
    assert _roles(_run(total=1.3)) == {Role.UNKNOWN}
    assert _roles(_run(error="check/mae")) == {Role.UNKNOWN}
