"""A rule judged on a run: passed, failed or cannot tell, with the numbers of every predicate."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from tbdiag.features import DERIVED, CurveFacts, Features
from tbdiag.model import Predicate, SuccessRule
from tbdiag.success.measure import Taken, curves_of, left_quantity, minus_quantity, take, take_all
from tbdiag.success.parse import LOG_ROLE
from tbdiag.success.say import predicate_text
from tbdiag.success.stored import StoredFeatures

LEAST_SHARE_OF_POINTS = 0.5
"""A series of the next run must have at least this share of the earlier run's points."""

FEWEST_POINTS = 3

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Status(str, Enum):
    """How a rule or a predicate ended."""

    PASSED = "passed"
    FAILED = "failed"
    CANNOT_TELL = "cannot-tell"


@dataclass(frozen=True, slots=True)
class PredicateResult:
    """One predicate with its numbers.

    Attributes:
        text: the predicate in the rule language, rounded for people.
        value: what the left side is in the judged run; limit: what it is compared with, noise included.
        earlier: what the left side was in the earlier run, where that is known.
        reason: why it cannot be told, else empty.
    """

    text: str
    status: Status
    value: float | None
    limit: float | None
    earlier: float | None
    reason: str = ""
    role: str = ""
    comparison: str = ""


@dataclass(frozen=True, slots=True)
class RuleResult:
    """A rule's verdict; `reason` is a clause that says why it failed or cannot be told."""

    status: Status
    predicates: tuple[PredicateResult, ...]
    reason: str = ""


def check(rule: SuccessRule, features: Features, earlier: Features | None = None) -> RuleResult:
    """Judge a rule on a run, all of whose points are in `features`.

    Guards: ``same-signals``, ``half-the-points`` and ``half-to-the-best`` compare with `earlier` (without it the first one asks only that
    the roles are logged) and lead to "cannot tell"; ``nothing-non-finite`` fails the rule, since a run that broke has shown no success.
    A predicate that cannot be computed makes the rule "cannot tell" unless another one failed.
    """
    if earlier is not None and not isinstance(features, StoredFeatures):
        features = _AsBefore(features, earlier)
    results = tuple(check_predicate(p, features, earlier) for p in rule.all)
    if "nothing-non-finite" in rule.guards:
        broken = _first_nonfinite(rule, features)
        if broken:
            return RuleResult(Status.FAILED, results, broken)
    for guard, judge in GUARDS:
        if guard in rule.guards and (why := judge(rule, features, earlier)):
            return RuleResult(Status.CANNOT_TELL, results, why)
    failed = [r for r in results if r.status is Status.FAILED]
    if failed:
        return RuleResult(Status.FAILED, results, "; ".join(_say_failed(r) for r in failed))
    unknown = [r.reason for r in results if r.status is Status.CANNOT_TELL]
    if unknown:
        return RuleResult(Status.CANNOT_TELL, results, "; ".join(dict.fromkeys(unknown)))
    return RuleResult(Status.PASSED, results)


class _AsBefore(Features):
    """Features in which a series keeps the role that it played in the earlier run, where it is logged again under its name.

    A series that was added since (the training set evaluated besides, a second validation set) must not take the role over.
    """

    def __init__(self, features: Features, earlier: Features) -> None:
        super().__init__(features.signals)
        self._features, self._earlier = features, earlier

    def curve(self, key: str) -> CurveFacts | None:
        """Facts of the series that played a role before, else of the one that plays it now."""
        before = self._earlier.curve(key)
        if before is not None and key not in DERIVED:
            same = next((s for s in self.signals.all if s.name == before.name and s.series is not None), None)
            if same is not None:
                return self._features.of(same)
        return self._features.curve(key)


def check_predicate(p: Predicate, features: Features, earlier: Features | None = None) -> PredicateResult:
    """Judge one predicate; where several series play its role, the one that is furthest from passing decides."""
    text = predicate_text(p, 4)
    before = left_value(p, earlier) if earlier is not None else Taken(None)
    if _done_away_with(p, features):
        return PredicateResult(text, Status.PASSED, None, None, before.value, f"{p.role} is not logged", p.role, p.comparison)
    taken = left_value(p, features)
    if taken.value is None:
        return PredicateResult(text, Status.CANNOT_TELL, None, None, before.value, taken.why, p.role, p.comparison)
    limit = p.threshold + p.sd_times * taken.sigma
    status = Status.PASSED if _compare(p.comparison, taken.value, limit) else Status.FAILED
    return PredicateResult(text, status, taken.value, limit, before.value, "", p.role, p.comparison)


def _done_away_with(p: Predicate, features: Features) -> bool:
    """Whether a predicate that asks something only of a logged series has none to ask."""
    return p.if_logged and p.role != LOG_ROLE and not curves_of(features, p.role, p.tag)


def left_value(p: Predicate, features: Features) -> Taken:
    """The left side of a predicate on a run; of several series, of the one that is furthest from passing."""
    known = [t for t in take_all(features, left_quantity(p)) if t.value is not None]
    if not known:
        return take(features, left_quantity(p))
    worst = max if p.comparison in ("<", "<=", "==") else min
    first = worst(known, key=lambda t: t.value or 0.0)
    minus = minus_quantity(p)
    if minus is None:
        return first
    second = take(features, minus)
    if second.value is None or first.value is None:
        return second
    value = first.value - p.minus_times * second.value
    return Taken(None, "the difference is undefined") if math.isnan(value) else Taken(value, sigma=first.sigma)


def _compare(comparison: str, value: float, limit: float) -> bool:
    """Compare, with equality within the rounding error of float32, the usual dtype of logged values."""
    if comparison in ("==", "!="):
        same = math.isclose(value, limit, rel_tol=2.0**-22, abs_tol=1e-12)
        return same if comparison == "==" else not same
    return _COMPARE[comparison](value, limit)


def _say_failed(result: PredicateResult) -> str:
    assert result.value is not None
    assert result.limit is not None
    return f"{result.text} does not hold: {result.value:.4g} against {result.limit:.4g}"


def _roles(rule: SuccessRule, features: Features) -> list[tuple[str, str | None]]:
    """Role and tag of everything that the rule compares; counting points asks for no signal to be there already, nor does "if logged"."""
    asked = [p for p in rule.all if not _done_away_with(p, features)]
    quantities = [q for p in asked for q in (left_quantity(p), minus_quantity(p)) if q is not None]
    return list(dict.fromkeys((q.role, q.tag) for q in quantities if q.role != LOG_ROLE and q.statistic != "points"))


def _first_nonfinite(rule: SuccessRule, features: Features) -> str:
    for role, tag in _roles(rule, features):
        for curve in curves_of(features, role, tag):
            if curve.bad_step.size:
                return f"{curve.name} is not finite at step {int(curve.bad_step[0]):,} ({curve.bad_step.size} of {curve.total} points)"
    return ""


def _other_signals(rule: SuccessRule, features: Features, earlier: Features | None) -> str:
    for role, tag in _roles(rule, features):
        now = curves_of(features, role, tag)
        if not now:
            return f"{role} is no longer logged" if earlier and curves_of(earlier, role, tag) else f"{role} was not logged"
        if earlier is None:
            continue
        before = curves_of(earlier, role, tag)
        if before and not ({c.name for c in before} & {c.name for c in now}):
            return f"{role} is another series now: {_names(now)} instead of {_names(before)}"
    return ""


def _names(curves: tuple[CurveFacts, ...]) -> str:
    names = sorted(c.name for c in curves)
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")


def _too_few_points(rule: SuccessRule, features: Features, earlier: Features | None) -> str:
    if earlier is None:
        return ""
    for role, tag in _roles(rule, features):
        now, before = curves_of(features, role, tag), curves_of(earlier, role, tag)
        if not (now and before):
            continue
        points, points_before = sum(c.total for c in now), sum(c.total for c in before)
        if points < LEAST_SHARE_OF_POINTS * points_before:
            return f"{role} has {points} points where the earlier run has {points_before}: less than half"
    return ""


def _ends_before_the_best(rule: SuccessRule, features: Features, earlier: Features | None) -> str:
    """For rules that a run may pass by ending early: it must get half as far as the earlier run's best, and have three points."""
    if earlier is None:
        return ""
    for role, tag in _roles(rule, features):
        for now, before in zip(curves_of(features, role, tag), curves_of(earlier, role, tag), strict=False):
            if not (now.n and before.n):
                continue
            half = int(before.step[0]) + (before.best_step - int(before.step[0])) / 2
            if now.step[-1] < half or now.n < min(before.n, FEWEST_POINTS):
                return (
                    f"{role} ends at step {int(now.step[-1]):,} after {now.n} points: too early to tell, the earlier run was best at step "
                    f"{before.best_step:,}"
                )
    return ""


GUARDS = (("same-signals", _other_signals), ("half-the-points", _too_few_points), ("half-to-the-best", _ends_before_the_best))
"""Guards that lead to "cannot tell", in the order in which they are asked."""
