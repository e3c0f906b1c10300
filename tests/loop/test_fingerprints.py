"""Fingerprints stay over reruns, order of tags and drift, and tell runs and symptoms apart."""

from __future__ import annotations

import numpy as np

from loop.making import overfitting, run, side


def prints(*args: object, **kwargs: object) -> dict[str, str]:
    return {f["id"]: f["fingerprint"] for r in side(run(*args, **kwargs)).runs for f in r.findings}  # type: ignore[arg-type]


def test_a_rerun_has_the_same_fingerprints() -> None:
    first = prints(overfitting(1))
    for again in (
        prints(overfitting(7)),
        prints(dict(reversed(overfitting(1).items()))),
        prints({k: np.asarray(v) * 1.01 for k, v in overfitting(1).items()}),
        prints(overfitting(1, lr=np.full(60, 0.1))),
    ):
        assert {i: again[i] for i in first if i in again} == {i: f for i, f in first.items() if i in again}
        assert "overfitting" in again


def test_runs_and_symptoms_are_told_apart() -> None:
    a, b = prints(overfitting(1), "a"), prints(overfitting(1), "b")
    every = [*a.values(), *b.values()]
    assert len(set(every)) == len(every)
