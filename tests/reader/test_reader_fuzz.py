"""A short, seeded run of ``benchmarks/fuzz.py``."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path

import pytest

_BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def fuzz():
    sys.path.insert(0, str(_BENCHMARKS))
    spec = importlib.util.spec_from_file_location("tbdiag_fuzz", _BENCHMARKS / "fuzz.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(_BENCHMARKS))


@pytest.mark.parametrize("part", range(4))
def test_mutated_files_neither_crash_nor_lose_untouched_points(fuzz, part):
    for number in range(part * 250, part * 250 + 250):
        fuzz.check(random.Random(f"0/{number}"))


def test_the_fuzzer_would_notice_a_lost_point(fuzz, monkeypatch):
    whole = fuzz.points_of
    monkeypatch.setattr(fuzz, "points_of", lambda columns: whole(columns)[: -1 if columns.damage else None])
    noticed = 0
    for number in range(60):
        try:
            fuzz.check(random.Random(f"0/{number}"))
        except AssertionError:  # noqa: PERF203
            noticed += 1
    assert noticed > 5
