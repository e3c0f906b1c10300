"""One overfitting run, logged in every framework's layout: the same finding, the best checkpoint in the layout's own unit."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import frameworks_table as table

from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.logs import read_runs
from tbdiag.model import Domain
from tbdiag.roles import resolve

LAYOUTS = [x for x in table.LAYOUTS if x.train_loss and x.val_loss and " + " not in x.train_loss]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda x: x.folder)
def test_overfitting_is_found_in_every_layout(layout: table.Layout) -> None:
    run = max(read_runs(table.FIXTURES / layout.folder / "logs"), key=lambda r: len(r.series))
    signals = resolve(run)
    if signals.domain in {Domain.REINFORCEMENT, Domain.GAN, Domain.DIFFUSION, Domain.PREFERENCE}:
        pytest.skip("overfitting is judged otherwise there")
    train, val = run.series[layout.train_loss], run.series[layout.val_loss]
    rng = np.random.default_rng(3)
    fall = _synth.decay(len(train), 2.4, 0.02) + rng.normal(0, 0.003, len(train))
    x = np.linspace(0, 1, len(val))
    rise = _synth.decay(len(val), 2.4, 0.9, 9.0) + 1.6 * np.clip(x - 0.35, 0, None) + rng.normal(0, 0.003, len(val))
    changed = {
        train.name: replace(train, value=fall.astype(np.float32)),
        val.name: replace(val, value=rise.astype(np.float32)),
    }
    report = diagnose_run(replace(run, series={n: changed.get(n, s) for n, s in run.series.items()}))
    assert "overfitting" in [f.id for f in report.findings], [f.id for f in report.findings]
    finding = next(f for f in report.findings if f.id == "overfitting")
    best = int(val.step[np.argmin(rise)])
    assert finding.onset.first_step <= int(val.step[min(np.argmin(rise) + 3, len(val) - 1)])
    assert finding.onset.last_step <= int(val.step[-1])
    if report.best_checkpoint is not None and report.best_checkpoint["tag"] == val.name:
        assert report.best_checkpoint["step"] == best
