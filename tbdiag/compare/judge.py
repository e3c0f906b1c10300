"""``tbdiag compare``: what differs between two sides, how sure that is, and a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tbdiag.compare.changes import Change, find_changes, say_changes
from tbdiag.compare.groups import Group, make_groups
from tbdiag.compare.inference import ALPHA, SINGLE_SIGMAS, Estimate, compare_one_to_seeds, compare_seeds, compare_singles
from tbdiag.compare.sides import Side, SideRun, load_sides
from tbdiag.features import CurveFacts
from tbdiag.model import Direction, Role, Split
from tbdiag.model.report import to_plain

if TYPE_CHECKING:
    from tbdiag.config import Config

HEADLINES = ("val_metric", "val_loss", "test_metric", "test_loss", "val_reward", "reward", "train_reward", "train_metric", "train_loss")
"""Which measure decides: the first of these that both sides logged under the same tag."""
HELD_OUT = ("val_metric", "val_loss", "test_metric", "test_loss")
"""Measures that may decide where the first one shows nothing."""
ROLES = (*HEADLINES, "grad_norm", "throughput", "step_time", "memory", "val_confidence", "val_calibration_error")
BETTER, WORSE, NONE = "better", "worse", "no evidence of a difference"
SEVERITIES = ("error", "warning", "note")

LOSS_ALLOWANCE = 0.06
RANGE_ALLOWANCE = 0.02
METRIC_ALLOWANCE = 0.012
RISE_ALLOWANCE = 0.15
"""Standard deviation that another seed alone is granted where a side has one run only: of a loss relative to its level or to its
improvement, of a metric between 0 and 1, and of an end relative to its rise over the best. Calibrated on real seed pairs of five small tasks (``docs/compare.md``)."""


TIMES = 2.0
"""Factor between two losses from which on their noise is taken in proportion to their levels."""
CHANCES = 1.7
"""A further metric must differ by so many half widths of its 95 % interval (3.3 standard deviations: 0.001 each, 8 of them stay below 1 %)."""
MORE_METRICS = 8


@dataclass(frozen=True, slots=True)
class Difference:
    """One role compared; values are means over the runs of a side, `verdict` follows the role's direction."""

    role: str
    tag: str
    statistic: str
    base: float
    head: float
    estimate: Estimate
    verdict: str
    main: bool = True

    @property
    def name(self) -> str:
        """What a table calls it: the role of a main series, the tag of a further one."""
        return self.role if self.main else self.tag


@dataclass(frozen=True, slots=True)
class Reach:
    """When each side reached the base's best: steps and seconds since the run began, None where it never did."""

    role: str
    level: float
    base_steps: float | None
    head_steps: float | None
    base_seconds: float | None
    head_seconds: float | None


@dataclass(frozen=True, slots=True, eq=False)
class GroupResult:
    """The comparison of one group of runs."""

    group: Group
    verdict: str
    why: str
    headline: Difference | None
    differences: tuple[Difference, ...]
    reach: Reach | None
    findings: Mapping[str, tuple[Mapping[str, Any], ...]]
    changes: tuple[Change, ...]
    deciding: Difference | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """One head side against the base."""

    base: Side
    head: Side
    groups: tuple[GroupResult, ...]
    unmatched: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Worse if any group is, else better if any is, else no evidence."""
        verdicts = {g.verdict for g in self.groups}
        return WORSE if WORSE in verdicts else BETTER if BETTER in verdicts else NONE

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain data for strict JSON."""
        data: dict[str, Any] = to_plain(
            {
                "base": self.base.label,
                "head": self.head.label,
                "verdict": self.verdict,
                "groups": [_group_dict(g) for g in self.groups],
                "unmatched": list(self.unmatched),
            }
        )
        return data


def compare(
    base: str, heads: Sequence[str], config: Config | None = None, *, match: Sequence[str] = (), seeds: bool = False
) -> list[Comparison]:
    """Compare logdirs or reports with a base, each head by itself.

    Raises:
        LogdirError, ReportError, UsageError: a side cannot be read, or a pair names no run.
    """
    first, *rest = load_sides([base, *heads], config)
    return [compare_sides(first, head, match=match, seeds=seeds) for head in rest]


def compare_sides(base: Side, head: Side, *, match: Sequence[str] = (), seeds: bool = False) -> Comparison:
    """`compare` on sides that were read already."""
    groups, lonely = make_groups(base, head, match, seeds=seeds)
    return Comparison(base, head, tuple(compare_group(g) for g in groups), tuple(lonely))


def compare_group(group: Group) -> GroupResult:
    """Compare the runs of one group."""
    compared = [d for role in ROLES if (d := compare_role(role, group)) is not None]
    headline = next((d for role in HEADLINES for d in compared if d.role == role), None)
    ends = {
        d.role: end
        for d in compared
        if (d is headline or d.role in HELD_OUT) and d.statistic == "best" and (end := compare_role(d.role, group, "end")) is not None
    }
    ending = ends.get(headline.role) if headline is not None else None
    more = _more_metrics(group)
    differences = (*(d for c in compared for d in ((c, ends[c.role]) if c.role in ends else (c,))), *more)
    deciding: Difference | None = headline
    broken_base, broken_head = (_broken(side) for side in (group.base, group.head))
    if broken_head and not broken_base:
        verdict, why = WORSE, broken_head
    elif broken_base and not broken_head:
        verdict, why = BETTER, f"the base broke ({broken_base}), the head did not"
    elif headline is None:
        verdict, why = NONE, "no loss, metric or reward was logged under the same tag on both sides"
    else:
        held_out = [d for d in compared if d.role in HELD_OUT and d is not headline]
        others = (*held_out, *(ends[d.role] for d in held_out if d.role in ends))
        deciding = _decide(headline, ending, (*others, *more))
        verdict, why = deciding.verdict, _why_all(deciding, [headline, ending, *others, *more])
    changes = tuple(find_changes(group.base[0], group.head[0]))
    return GroupResult(group, verdict, why, headline, differences, _reach(headline, group), compare_findings(group), changes, deciding)


def _decide(headline: Difference, ending: Difference | None, others: Sequence[Difference]) -> Difference:
    """What decides: the headline's best, unless it ends worse; where neither differs, what else was held out.

    A run that has a better best and ends worse (it overfitted, or fell apart late) is worse: going on as it was set up leads there. Where the
    headline shows nothing, one measure that is worse outweighs others that are better: fewer answers of as accurate a run are sure.
    """
    if headline.verdict == WORSE:
        return headline
    if ending is not None and ending.verdict == WORSE:
        return ending
    if headline.verdict == BETTER:
        return headline
    told = [d for d in (ending, *others) if d is not None and d.verdict in (BETTER, WORSE)]
    return next((d for d in told if d.verdict == WORSE), told[0] if told else headline)


def _why_all(deciding: Difference, told: Sequence[Difference | None]) -> str:
    """Why, and what speaks against it."""
    against = [f"{d.statistic} {d.name}" for d in told if d is not None and d.verdict == _OTHER.get(deciding.verdict)]
    but = f"; but {', '.join(against)} {'is' if len(against) == 1 else 'are'} {_OTHER[deciding.verdict]}" if against else ""
    return _why(deciding) + but


_OTHER = {BETTER: WORSE, WORSE: BETTER}


def _more_metrics(group: Group) -> tuple[Difference, ...]:
    """Further validation metrics that all runs logged, by tag; with so many chances of a difference each needs a plainer one."""
    tags = [
        {
            s.name: s
            for s in run.features.signals.all
            if s.role is Role.METRIC and s.split is Split.VAL and s.series is not None and not s.main and s.direction is not Direction.NONE
        }
        for run in (*group.base, *group.head)
    ]
    shared = sorted(set(tags[0]).intersection(*tags[1:]))[:MORE_METRICS]
    found = []
    for name in shared:
        curves = [run.features.of(known[name]) for run, known in zip((*group.base, *group.head), tags, strict=True)]
        base, head = ([c for c in side if c.n] for side in (curves[: len(group.base)], curves[len(group.base) :]))
        if base and head:
            found.append(_difference("val_metric", base, head, "best", chances=len(shared)))
    return tuple(found)


def compare_role(role: str, group: Group, statistic: str | None = None) -> Difference | None:
    """One role compared over the runs of a group; None where a side lacks it, or it goes by another tag.

    `statistic` is ``best`` for roles with a direction and ``end`` for the others where it is not given.
    """
    base, head = _curves(role, group.base), _curves(role, group.head)
    if not base or not head or base[0].name != head[0].name:
        return None
    return _difference(role, base, head, statistic)


def _difference(role: str, base: Sequence[CurveFacts], head: Sequence[CurveFacts], statistic: str | None, chances: int = 1) -> Difference:
    """Curves of one measure compared; with several `chances` a single run must differ by more (`CHANCES`), seeds at a level divided by them."""
    directed = base[0].signal.direction is not Direction.NONE
    statistic = statistic or ("best" if directed else "end")
    x, y = (np.array([getattr(c, statistic) for c in side]) for side in (base, head))
    noise_of = [_standard_error(c, statistic) for c in (*base, *head)]
    noise = float(np.median(noise_of))
    if x.size > 1 and y.size > 1:
        estimate = compare_seeds(x, y, noise)
    elif x.size > 1 or y.size > 1:
        one, many = (float(y[0]), x) if x.size > 1 else (float(x[0]), y)
        estimate = compare_one_to_seeds(one, many, noise, one_is_head=x.size > 1)
    else:
        both = math.hypot(*noise_of)
        estimate = compare_singles(float(x[0]), float(y[0]), both, max(seed_allowance(c, statistic) for c in (base[0], head[0])))
    if len(base) == len(head) == 1 and not estimate.different:
        estimate = _in_proportion(base[0], head[0], float(x[0]), float(y[0]), noise_of) or estimate
    different = estimate.different
    if chances > 1 and different:
        plain = abs(estimate.difference) > CHANCES * (estimate.high - estimate.low) / 2
        different = plain if estimate.p is None else estimate.p < ALPHA / chances
    verdict = NONE
    if different and directed:
        verdict = BETTER if base[0].sign * estimate.difference < 0 else WORSE
    elif different:
        verdict = "higher" if estimate.difference > 0 else "lower"
    return Difference(role, base[0].name, statistic, float(x.mean()), float(y.mean()), estimate, verdict, main=base[0].signal.main)


def _in_proportion(base: CurveFacts, head: CurveFacts, x: float, y: float, noise: Sequence[float]) -> Estimate | None:
    """Two positive losses that lie apart by a factor which neither noise nor seed explains; None where they do not.

    The noise of a run that was thrown about is as large as its level, so that in absolute numbers it would hide a tenfold loss; relative to its
    level it does not. The difference must still be more than a seed's share of what either run learned: near zero a factor is nothing.
    """
    if base.sign < 0 or min(float(base.value.min()), float(head.value.min()), x, y) <= 0 or max(x, y) < TIMES * min(x, y):
        return None
    ratio, error = math.log(y / x), math.sqrt((noise[0] / x) ** 2 + (noise[1] / y) ** 2 + 2 * LOSS_ALLOWANCE**2)
    learned = min(abs(c.first_cost - c.best_cost) for c in (base, head))
    if abs(ratio) <= SINGLE_SIGMAS * error or abs(y - x) <= SINGLE_SIGMAS * math.sqrt(2) * RANGE_ALLOWANCE * learned:
        return None
    low, high = (x * math.exp(ratio + side * 1.96 * error) - x for side in (-1, 1))
    return Estimate(y - x, low, high, None, "noise within the runs in proportion to their levels, with an allowance for the seed", True)


def seed_allowance(curve: CurveFacts, statistic: str = "best") -> float:
    """Standard deviation of a value that another seed alone is granted, for single runs; a rise over the best scatters more."""
    value = float(getattr(curve, statistic))
    improved = abs(curve.first_cost - curve.best_cost)
    rise = RISE_ALLOWANCE * curve.rise if statistic == "end" else 0.0
    if _is_share(curve):
        binomial = math.sqrt(max(value * (1 - value), 0.0)) * 0.02
        return max(METRIC_ALLOWANCE, binomial, RANGE_ALLOWANCE * improved * 0.5, rise)
    return max(LOSS_ALLOWANCE * abs(value), RANGE_ALLOWANCE * improved, rise)


def _is_share(curve: CurveFacts) -> bool:
    return curve.signal.direction is Direction.HIGHER and float(curve.value.min()) >= 0 and float(curve.value.max()) <= 1


def _standard_error(curve: CurveFacts, statistic: str) -> float:
    """Standard error of a smoothed value: the noise over the effective number of points that the median looks at."""
    points = 5.0 if statistic == "best" else float(curve.tail_points)
    if curve.n < 10:
        points = 1.0
    r1 = curve.noise.r1
    independent = max(points * (1 - r1) / (1 + r1), 1.0)
    return 1.25 * curve.sigma / math.sqrt(independent)


def _curves(role: str, runs: Sequence[SideRun]) -> list[CurveFacts]:
    found = [run.features.curve(role) for run in runs]
    return [c for c in found if c is not None and c.n]


def _broken(runs: Sequence[SideRun]) -> str:
    """Why a side's runs broke (most of them ended in NaN or Inf), or empty."""
    why = []
    for run in runs:
        curve = run.features.curve("train_loss") or run.features.curve("val_loss")
        if curve is not None and curve.bad_step.size and (not curve.n or curve.bad_step[-1] > curve.step[-1]):
            why.append(f"{curve.name} of {run.name} is not finite from step {int(curve.bad_step[0]):,} to its end")
    return why[0] if len(why) * 2 > len(runs) else ""


def _why(d: Difference) -> str:
    e = d.estimate
    return f"{d.statistic} {d.name} {d.base:.4g} -> {d.head:.4g} ({e.difference:+.3g}, 95 % interval {e.low:+.3g} to {e.high:+.3g}; {e.method})"


def _reach(headline: Difference | None, group: Group) -> Reach | None:
    if headline is None:
        return None
    base, head = _curves(headline.role, group.base), _curves(headline.role, group.head)
    if headline.statistic != "best":
        return None
    when = [[_first_at(c, headline.base) for c in side] for side in (base, head)]
    steps = [_middle([w[0] for w in side]) for side in when]
    seconds = [_middle([w[1] for w in side]) for side in when]
    return Reach(headline.role, headline.base, steps[0], steps[1], seconds[0], seconds[1])


def _first_at(curve: CurveFacts, level: float) -> tuple[float, float]:
    there = np.flatnonzero(curve.smooth <= curve.sign * level + 1e-9 * abs(level))
    if not there.size:
        return math.inf, math.inf
    i = int(there[0])
    return float(curve.step[i] - curve.step[0]), float(curve.wall_time[i] - curve.wall_time[0])


def _middle(values: list[float]) -> float | None:
    known = sorted(math.inf if math.isnan(v) else v for v in values)
    if not known:
        return None
    value = known[len(known) // 2]
    return value if math.isfinite(value) else None


def compare_findings(group: Group) -> dict[str, tuple[Mapping[str, Any], ...]]:
    """Findings that are new, fixed, worse or unchanged; with several seeds a finding counts where at least half of the runs have it."""
    base, head = _common(group.base), _common(group.head)

    def pick(ids: Sequence[str], side: Mapping[str, Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
        return tuple(sorted((side[i] for i in ids), key=lambda f: (SEVERITIES.index(f["severity"]), f["id"])))

    both = [i for i in head if i in base]
    worse = [i for i in both if SEVERITIES.index(head[i]["severity"]) < SEVERITIES.index(base[i]["severity"])]
    return {
        "new": pick([i for i in head if i not in base], head),
        "fixed": pick([i for i in base if i not in head], base),
        "worse": pick(worse, head),
        "unchanged": pick([i for i in both if i not in worse], head),
    }


def _common(runs: Sequence[SideRun]) -> dict[str, Mapping[str, Any]]:
    seen: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        for finding in run.findings:
            seen.setdefault(finding["id"], []).append(finding)
    return {i: min(many, key=lambda f: SEVERITIES.index(f["severity"])) for i, many in seen.items() if 2 * len(many) >= len(runs)}


def _group_dict(result: GroupResult) -> dict[str, Any]:
    keep = ("id", "severity", "title", "fingerprint", "caused_by")
    return {
        "name": result.group.name,
        "base_runs": [run.name for run in result.group.base],
        "head_runs": [run.name for run in result.group.head],
        "verdict": result.verdict,
        "why": result.why,
        "headline": result.headline,
        "differences": result.differences,
        "reach": result.reach,
        "findings": {kind: [{k: f.get(k) for k in keep} for f in many] for kind, many in result.findings.items()},
        "changed": result.changes,
        "confounded": say_changes(list(result.changes)),
    }
