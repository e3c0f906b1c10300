"""``tbdiag verify``: every finding of an earlier run judged by its own success rule on the next run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tbdiag.compare.changes import Change, find_changes, learning_rate, say_changes
from tbdiag.compare.experiment import read_experiment
from tbdiag.compare.ladder import next_rung
from tbdiag.compare.sides import Side, SideRun, load_sides, match_runs
from tbdiag.compare.task import BREAKS, other_task
from tbdiag.model import SuccessRule
from tbdiag.model.report import to_plain
from tbdiag.success import PredicateResult, RuleResult, Status, check, result_to_dict, rule_from_dict, rule_text

if TYPE_CHECKING:
    from tbdiag.config import Config

VERDICTS = ("not-fixed", "overshot", "cannot-tell", "improved", "fixed")
SLOW = frozenset(
    {"lr-too-low", "no-learning", "plateau", "underfitting", "unconverged", "lr-zero", "vanishing-gradients", "frozen-weights"}
)
"""Findings whose cure can be a higher learning rate."""
RAISED = 1.1
HALFWAY = 0.5
SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Verified:
    """One earlier finding and what became of it."""

    finding: Mapping[str, Any]
    verdict: str
    reason: str
    run: str | None
    previous_run: str
    rule: SuccessRule
    result: RuleResult | None
    rung: str | None = None
    rate_between: float | None = None
    same_settings: bool = False
    """Whether both runs tell their settings and none that can change the result did."""

    @property
    def failed(self) -> bool:
        """Whether it counts as a failed rule (notes never do: they are told, and break nothing)."""
        if self.finding["severity"] == "note":
            return False
        return self.verdict in ("not-fixed", "overshot") or (self.result is not None and self.result.status is Status.FAILED)

    @property
    def unknown(self) -> bool:
        """Whether it is a finding at warning or above that cannot be told."""
        return self.verdict == "cannot-tell" and self.finding["severity"] != "note"


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """All that `verify` has to say."""

    previous: Side
    next: Side
    findings: tuple[Verified, ...]
    new: tuple[tuple[str, Mapping[str, Any]], ...]
    changed: tuple[tuple[str, Change], ...]
    confounded: tuple[tuple[str, str], ...]
    unmatched: tuple[str, ...]
    own_rules: tuple[tuple[str, Mapping[str, Any]], ...]
    experiments: tuple[Mapping[str, Any], ...] = ()

    @property
    def exit_code(self) -> int:
        """1 if a rule failed or a new error appeared; else 2 if an error or warning cannot be told; else 0."""
        own = any(rule["status"] == "failed" for _, rule in self.own_rules)
        if own or any(v.failed for v in self.findings) or any(f["severity"] == "error" for _, f in self.new):
            return 1
        return 2 if any(v.unknown for v in self.findings) else 0

    def to_dict(self) -> dict[str, Any]:
        """Strict JSON: ``{"findings": [{"id", "verdict", "rules": [...]}], "new": [...], "changed": [...]}`` and what explains it."""
        data: dict[str, Any] = to_plain(
            {
                "previous": self.previous.label,
                "next": self.next.label,
                "exit_code": self.exit_code,
                "findings": [_finding_dict(v) for v in self.findings],
                "new": [_new_dict(run, f) for run, f in self.new],
                "changed": [{"run": run, **_change_dict(c)} for run, c in self.changed],
                "confounded": [{"run": run, "message": text} for run, text in self.confounded],
                "unmatched": list(self.unmatched),
                "own_rules": [{"run": run, **rule} for run, rule in self.own_rules],
                "experiments": list(self.experiments),
            }
        )
        return data


def verify(
    previous: str, logdir: str, config: Config | None = None, *, match: Sequence[str] = (), tried: Mapping[str, Sequence[str]] | None = None
) -> Verification:
    """Judge the findings of `previous` (an earlier report, JSON or HTML, or a logdir) on the runs of `logdir`.

    Args:
        previous: path of a report or logdir.
        logdir: the next run or runs.
        config: the user's settings, for judging logdirs.
        match: ``OLD=NEW`` pairs of run names.
        tried: finding id -> actions that were tried before and are not named again.

    Raises:
        LogdirError, ReportError, UsageError: a side cannot be read, or a pair names no run.
    """
    before, after = load_sides([previous, logdir], config)
    return verify_sides(before, after, match=match, tried=tried)


def verify_sides(before: Side, after: Side, *, match: Sequence[str] = (), tried: Mapping[str, Sequence[str]] | None = None) -> Verification:
    """`verify` on sides that were read already."""
    pairs, extra = match_runs(before, after, match)
    verified: list[Verified] = []
    new: list[tuple[str, Mapping[str, Any]]] = []
    changed: list[tuple[str, Change]] = []
    confounded: list[tuple[str, str]] = []
    for old, fresh in pairs:
        changes = find_changes(old, fresh) if fresh is not None else []
        verified += [judge_finding(f, old, fresh, changes, tried) for f in old.findings]
        if fresh is None:
            continue
        known = {f["id"] for f in old.findings}
        new += [(fresh.name, f) for f in fresh.findings if f["id"] not in known]
        changed += [(fresh.name, c) for c in changes]
        if text := say_changes(changes):
            confounded.append((fresh.name, text))
    new += [(run.name, f) for run in extra for f in run.findings]
    return Verification(
        previous=before,
        next=after,
        findings=tuple(verified),
        new=tuple(sorted(new, key=lambda n: (SEVERITIES.index(n[1]["severity"]), n[0], n[1]["id"]))),
        changed=tuple(changed),
        confounded=tuple(confounded),
        unmatched=tuple(old.name for old, fresh in pairs if fresh is None),
        experiments=tuple(
            told for old, fresh in pairs if fresh is not None and fresh.readable and (told := read_experiment(old, fresh)) is not None
        ),
        own_rules=tuple((run.name, rule) for run in after.runs for rule in run.data.get("own_rules", ())),
    )


def judge_finding(
    finding: Mapping[str, Any],
    old: SideRun,
    fresh: SideRun | None,
    changes: Sequence[Change] = (),
    tried: Mapping[str, Sequence[str]] | None = None,
) -> Verified:
    """One finding of a run judged on the next run."""
    rule = rule_from_dict(finding["success_rule"])
    told = fresh is not None and old.features.signals.config and fresh.features.signals.config
    same = bool(told) and not any(c.relevant for c in changes)

    def verdict(word: str, why: str, result: RuleResult | None = None, rate: float | None = None) -> Verified:
        rung = (
            next_rung(finding, [c.key for c in changes if c.relevant], (tried or {}).get(finding["id"], ()))
            if word in ("not-fixed", "improved")
            else None
        )
        name = fresh.name if fresh is not None else None
        return Verified(finding, word, why, name, old.name, rule, result, rung, rate, same)

    if fresh is None:
        return verdict("cannot-tell", f"no run of the next side was matched with {old.name}; name one with --match {old.name}=NEW")
    if same_data(old, fresh):
        return verdict("not-fixed", "these are the same data as before", check(rule, fresh.features, old.features))
    if not fresh.readable:
        return verdict("cannot-tell", "nothing of the next run could be read")
    if not fresh.features.signals.all:
        return verdict("cannot-tell", "the next run has logged nothing yet")
    if why := other_task(old, fresh, finding):
        return verdict("cannot-tell", why)
    result = check(rule, fresh.features, old.features)
    over, rate = overshot(finding, old, fresh)
    if over:
        return verdict("overshot", over, result, rate)
    if result.status is Status.CANNOT_TELL:
        return verdict("cannot-tell", result.reason, result)
    again = fresh.finding(finding["id"])
    if result.status is Status.PASSED:
        left = [i for i in _consequences(finding, old) if (f := fresh.finding(i)) is not None and f["severity"] != "note"]
        rest = f"{', '.join(left)}, which it explained, {'is' if len(left) == 1 else 'are'} found again"
        if again is None:
            if left:
                return verdict("improved", f"its rule holds and the symptom is gone, but {rest}", result)
            return verdict("fixed", f"its rule holds and the symptom is gone{' (no logged setting changed)' if same else ''}", result)
        lighter = SEVERITIES.index(again["severity"]) > SEVERITIES.index(finding["severity"])
        if lighter and left:
            return verdict("not-fixed", f"its rule holds, but {rest}", result)
        if lighter or finding["severity"] == "note":
            return verdict("improved", f"its rule holds, and the symptom is found again as a {again['severity']}", result)
        return verdict("not-fixed", "its rule holds, but the symptom is found again", result)
    weight = SEVERITIES.index(finding["severity"])
    swapped = any(SEVERITIES.index(f["severity"]) <= min(weight, 1) and old.finding(f["id"]) is None for f in fresh.findings)
    if not swapped and (why := _improvement(result, rule, old, again)):
        return verdict("improved", f"{why}; {result.reason}", result)
    return verdict("not-fixed", result.reason, result)


def _consequences(finding: Mapping[str, Any], old: SideRun) -> list[str]:
    """Errors and warnings of the earlier run that this finding explained."""
    return [f["id"] for f in old.findings if f.get("caused_by") == finding["id"] and f["severity"] != "note"]


def _improvement(result: RuleResult, rule: SuccessRule, old: SideRun, again: Mapping[str, Any] | None) -> str:
    """Why a failed rule is progress: the symptom is gone and a part of the rule now holds, or all moved at least half of the way."""
    before = check(SuccessRule(rule.all, rule.sentence, ()), old.features)
    pairs = list(zip(before.predicates, result.predicates, strict=True))
    mended = any(a.status is Status.FAILED and b.status is Status.PASSED for a, b in pairs)
    if again is None and mended:
        return "the symptom is gone and part of its rule holds"
    failing = [(a, b) for a, b in pairs if b.status is Status.FAILED]
    if again is None and failing and all(progress(a, b) >= HALFWAY for a, b in failing):
        return "the symptom is gone and its numbers moved more than half of the way"
    return ""


def progress(before: PredicateResult, after: PredicateResult) -> float:
    """Share of the way from the earlier value to the limit that a predicate's value has gone; 0 where it cannot be told."""
    if before.value is None or after.value is None or after.limit is None:
        return 0.0
    way = after.limit - before.value
    gone = after.value - before.value
    return gone / way if way and math.isfinite(way) and math.isfinite(gone) else 0.0


def overshot(finding: Mapping[str, Any], old: SideRun, fresh: SideRun) -> tuple[str, float | None]:
    """Why the cure went too far, and a learning rate in between; ``("", None)`` where it did not.

    A run that learned too little and now breaks after its learning rate was raised was on the right way. Without a known rate
    on both sides only `lr-too-low`, whose first action raises it, is read so.
    """
    if finding["id"] not in SLOW:
        return "", None
    known = {f["id"] for f in old.findings if f["severity"] != "note"}
    broken = [f["id"] for f in fresh.findings if f["id"] in BREAKS - known and f["severity"] != "note"]
    if not broken:
        return "", None
    a, b = learning_rate(old.features), learning_rate(fresh.features)
    if a is None or b is None:
        if finding["id"] != "lr-too-low":
            return "", None
        return f"learning broke ({', '.join(broken)}) after the rate was raised; try a rate between the two", None
    if b < a * RAISED:
        return "", None
    between = math.sqrt(a * b)
    return f"learning broke ({', '.join(broken)}) after the rate was raised from {a:.3g} to {b:.3g}; try {between:.2g}", float(
        f"{between:.2g}"
    )


def same_data(old: SideRun, fresh: SideRun) -> bool:
    """Whether both runs are the same recording: the same points, written at the same time."""
    keep = ("tag", "steps", "values", "n", "first_wall_time", "last_wall_time")
    files = ("points", "bytes", "files", "restarts")
    if any(old.data["span"].get(k) != fresh.data["span"].get(k) for k in files):
        return False
    a, b = ([{k: c.get(k) for k in keep} for c in run.data.get("curves", ())] for run in (old, fresh))
    return bool(a) and sorted(map(repr, a)) == sorted(map(repr, b))


def _finding_dict(v: Verified) -> dict[str, Any]:
    f = v.finding
    result = result_to_dict(v.result) if v.result is not None else None
    return {
        "id": f["id"],
        "verdict": v.verdict,
        "reason": v.reason,
        "run": v.run,
        "previous_run": v.previous_run,
        "severity": f["severity"],
        "title": f["title"],
        "fingerprint": f.get("fingerprint", ""),
        "caused_by": f.get("caused_by"),
        "rule": rule_text(v.rule, 4),
        "sentence": v.rule.sentence,
        "rule_status": result["status"] if result else "cannot-tell",
        "rules": result["predicates"] if result else [],
        "first_action": f["first_action"],
        "next_rung": v.rung,
        "rate_between": v.rate_between,
        "same_settings": v.same_settings,
    }


def _new_dict(run: str, finding: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("id", "severity", "title", "fingerprint", "caused_by", "first_action")
    return {"run": run, **{k: finding.get(k) for k in keys}}


def _change_dict(change: Change) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(change)
    return plain
