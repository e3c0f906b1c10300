"""The soak in short: a fleet of hostile live runs, a few nights, some of them killed; the long one is `benchmarks/soak.py`."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import replace
from pathlib import Path

from tests.nightly.world import Nights, load_benchmark

soak = load_benchmark("soak")


def test_nights_over_a_growing_fleet_equal_a_fresh_judgement(tmp_path: Path) -> None:
    nights = Nights(tmp_path, site=tmp_path / "site")
    fleet = soak.Fleet(nights.logs, 20, seed=3, steps=9)
    now = 1_790_000_000.0
    for _ in range(6):
        for _ in range(4):
            now += 20
            fleet.tick(now)
        nights.run(now)
        assert soak.check_site(nights.site)[1] == []
    fresh = replace(nights.options, state=tmp_path / "fresh", site=None, now=now)
    from tbdiag.nightly import run_night

    run_night(fresh)
    runs, findings, problems = soak.compare(tmp_path / "state", tmp_path / "fresh")
    assert runs == 18  # two of the twenty were deleted
    assert findings > 0
    assert problems == []


def test_killed_nights_repair_themselves(tmp_path: Path) -> None:
    fleet = soak.Fleet(tmp_path / "logs", 12, seed=4, steps=9)
    chance = random.Random(1)
    reader = soak.Reader(tmp_path / "work" / "site", pause=0.05)
    fleet.tick(time.time() - 100)
    begun = time.monotonic()
    first = soak.nightly(tmp_path / "logs", tmp_path / "work", "site")
    first.communicate()
    assert first.returncode == 0
    typical = time.monotonic() - begun
    reader.start()
    for k in range(3):
        fleet.tick(time.time() - 90 + k)
        process = soak.nightly(tmp_path / "logs", tmp_path / "work", "site")
        time.sleep(chance.uniform(0.3, 1.0) * typical)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    figures = soak.finish(tmp_path / "logs", tmp_path / "work", reader, {})
    assert figures["polls"] > 0
    assert figures["broken"] == []
    assert figures["differences"] == []
