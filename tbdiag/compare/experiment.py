"""The experiment that a report named, read from the log that it left: which outcome was seen, and what that means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tbdiag.compare.sides import SideRun
from tbdiag.success import Status, check, result_to_dict, rule_from_dict, rule_text

PATIENCE = 0.1
"""A replay ends soon after the step that it looks at; a run that goes on for a tenth of the earlier run's length is a new run."""


def read_experiment(old: SideRun, fresh: SideRun) -> dict[str, Any] | None:
    """What became of the earlier run's experiment, where the next run is that experiment; None where it is not, or it has no rule of its own.

    Returns:
        ``run``, ``finding``, ``action``, ``status`` (``passed``, ``failed``, ``cannot-tell``), ``reason``, ``rule``, ``sentence``, ``rules``
        (the conditions with their numbers) and ``outcomes``: those of the report that fit what was seen.
    """
    told = old.data.get("next_experiment")
    if not isinstance(told, Mapping) or told.get("kind") != "test" or not told.get("rule"):
        return None
    was_run = _WAS_RUN.get(str(told.get("trial")))
    if was_run is None or not was_run(old, fresh):
        return None
    rule = rule_from_dict(told["rule"])
    result = check(rule, fresh.features, old.features)
    outcomes = list(told.get("outcomes") or ())
    fitting = {Status.PASSED: outcomes[:1], Status.FAILED: outcomes[1:]}.get(result.status, [])
    plain = result_to_dict(result)
    return {
        "run": fresh.name,
        "finding": str(told["finding"]),
        "action": str(told["action"]),
        "status": plain["status"],
        "reason": result.reason,
        "rule": rule_text(rule, 4),
        "sentence": rule.sentence,
        "rules": plain["predicates"],
        "outcomes": fitting,
    }


def _is_tiny(_: SideRun, fresh: SideRun) -> bool:
    return fresh.features.tiny_test is not None


def _logs_more(old: SideRun, fresh: SideRun) -> bool:
    """Whether the series that the rule reads is logged now."""
    tags = {p.get("tag") for p in old.data["next_experiment"]["rule"]["all"]} - {None}
    named = {name for s in fresh.features.signals.all for name in (s.name, s.series.tag if s.series is not None else None)}
    return bool(tags) and tags <= named


def _is_replay(old: SideRun, fresh: SideRun) -> bool:
    """Whether the next run goes to the step in question and not far beyond."""
    wanted = [p["threshold"] for p in old.data["next_experiment"]["rule"]["all"] if p["statistic"] == "last_step"]
    first, last = old.features.steps
    return bool(wanted) and fresh.features.steps[1] <= max(wanted) + PATIENCE * (last - first)


_WAS_RUN: Mapping[str, Callable[[SideRun, SideRun], bool]] = {
    "tiny-overfit": _is_tiny,
    "train-eval": _logs_more,
    "fixed-eval": _logs_more,
    "replay": _is_replay,
}
"""Experiment -> whether the next run is it: a rule of an experiment says nothing about a run that was made for something else."""
