"""What a detector says: findings with evidence, actions and success rules, and outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Severity(str, Enum):
    """error: the run is broken or its result unusable; warning: it can be clearly better; note: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for error, 1 for warning, 2 for note."""
        return ("error", "warning", "note").index(self.value)


@dataclass(frozen=True, slots=True)
class Interval:
    """Inclusive interval of steps in the log's own unit."""

    first_step: int
    last_step: int

    @property
    def middle(self) -> float:
        """Middle of the interval."""
        return (self.first_step + self.last_step) / 2


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to draw into a chart: ``kind`` is ``best``, ``event``, ``level`` or ``band``."""

    kind: str
    label: str
    step: int | None = None
    value: float | None = None
    last_step: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One sentence with its numbers; every number in the sentence stands in `numbers`.

    Attributes:
        statement: the sentence.
        numbers: the values by name, unrounded.
        series: names of the series that prove it (keys of `Run.series` or `Run.histograms`).
        marks: what a chart of these series should show.
    """

    statement: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    series: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Cause:
    """A likely cause, most likely first in its list; `why` says what in the log speaks for it, if anything does."""

    text: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a series that a statistic looks at: a share of the run (0..1) or steps, inclusive."""

    first_share: float | None = None
    last_share: float | None = None
    first_step: int | None = None
    last_step: int | None = None


@dataclass(frozen=True, slots=True)
class Predicate:
    """``statistic(role) [- minus_times * minus(role)] comparison threshold [+ sd_times sd(role)]``, checked on the next run.

    Attributes:
        role: role key (``val_loss``), derived series of `Features` (``max_class_share``, ``grad_depth_ratio``), ``log`` (statistics of
            the files: `tbdiag.features.statistics.LOG_STATISTICS`), or ``series`` (whatever `tag` names).
        statistic: a name of `tbdiag.features.statistics.STATISTICS`; `argument` is its parameter, where it has one.
        comparison: one of ``<  <=  >  >=  ==  !=``.
        threshold: a number, this run's values already bound in.
        sd_times: added to the threshold in units of the next run's noise of `role`.
        source: where the threshold came from, in words: ``best(val_loss) of this run``.
        minus: second statistic that is subtracted on the left, e.g. ``best`` in ``end - best``; of the same role and tag unless
            `minus_role` or `minus_tag` say otherwise, `minus_argument` its parameter, multiplied by `minus_times`.
        if_logged: a run that does not log `role` at all passes: the cure may do away with the series (a loss scale in float32).
    """

    role: str
    statistic: str
    comparison: str
    threshold: float
    sd_times: float = 0.0
    argument: float | None = None
    minus: str | None = None
    window: Window | None = None
    source: str = ""
    tag: str | None = None
    minus_role: str | None = None
    minus_times: float = 1.0
    minus_argument: float | None = None
    minus_tag: str | None = None
    if_logged: bool = False


@dataclass(frozen=True, slots=True)
class SuccessRule:
    """What the next run must show. All predicates must pass; guards say when the rule cannot be judged.

    Attributes:
        guards: ``same-signals`` (the roles are logged again), ``half-the-points`` or, where the cure may end the run early,
            ``half-to-the-best``, and ``nothing-non-finite``.
    """

    all: tuple[Predicate, ...]
    sentence: str
    guards: tuple[str, ...] = ("same-signals", "half-the-points", "nothing-non-finite")


@dataclass(frozen=True, slots=True)
class Link:
    """One event of a story: a finding's id, its name in words, and its onset on the axis that the curves are drawn on."""

    id: str
    name: str
    onset: Interval


def own_unit(axis: str | None) -> str:
    """What a number in the log's own unit is called beside one on the axis of the curves; steps of its own need another word."""
    word = (axis or "step").replace("_", " ")
    return "logged as" if word == "step" else word


@dataclass(frozen=True, slots=True)
class Finding:
    """One symptom that a detector found, and what to do about it.

    Attributes:
        onset: where the symptom begins, first and last plausible step; None where it has no beginning.
        extent: how long it lasts.
        causes: likely causes, most likely first; first_check: the first inspection; first_action: ONE change.
        fixes: the ordered ladder for when the first action did not help.
        caused_by: id of the finding of which this one is a consequence; `caused_by_why` the reason.
        chain: of a head with consequences: itself, then those that did not begin before it, in order of onset; empty where nothing with an onset followed.
        fingerprint: stable identity (id, roles, coarse onset; no measured values).
        drawn_onset, drawn_extent: the same on the axis that the curves are drawn on, where the series that prove the finding were logged on
            another one (validation in epochs beside training in steps); None where both are the same.
        onset_axis: unit of `onset` and `extent` where it is not the run's, such as ``epoch``; else ``""``.
        phase: troubleshooting order: 0 curves, 1 predictions, 2 gradients, 3 data, 4 hyper-parameters, 5 model, 6 log health.
    """

    id: str
    severity: Severity
    confidence: float
    title: str
    evidence: tuple[Evidence, ...]
    causes: tuple[Cause, ...]
    first_check: str
    first_action: str
    fixes: tuple[str, ...]
    success_rule: SuccessRule
    onset: Interval | None = None
    extent: Interval | None = None
    caused_by: str | None = None
    caused_by_why: str = ""
    fingerprint: str = ""
    phase: int = 0
    drawn_onset: Interval | None = None
    drawn_extent: Interval | None = None
    onset_axis: str = ""
    roles: tuple[str, ...] = ()
    chain: tuple[Link, ...] = ()

    @property
    def drawn(self) -> Interval | None:
        """The onset on the axis that the curves are drawn on."""
        return self.drawn_onset or self.onset


class OutcomeKind(str, Enum):
    """How a check ended."""

    FOUND = "found"
    CLEAN = "clean"
    NOT_APPLICABLE = "not-applicable"
    SUPPRESSED = "suppressed"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one detector on one run; `why` says it in a clause, `missing` names the roles that were absent."""

    id: str
    kind: OutcomeKind
    why: str = ""
    finding: Finding | None = None
    missing: tuple[str, ...] = ()
