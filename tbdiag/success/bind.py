"""Syntax tree -> the model's `SuccessRule`: sums brought to one form, values of this run put in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tbdiag.model import Predicate, SuccessRule
from tbdiag.success.measure import take
from tbdiag.success.parse import parse
from tbdiag.success.say import rule_sentence
from tbdiag.success.syntax import Call, Clause, Term, fail

if TYPE_CHECKING:
    from tbdiag.features import Features

GUARDS = ("same-signals", "half-the-points", "nothing-non-finite")
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(slots=True)
class _Sum:
    """``left - right`` of a clause: calls with factors in order of appearance, units of noise, and a number."""

    calls: list[tuple[Call, float]]
    sd: float
    number: float
    sources: list[str]


def compile_rule(text: str, this: Features | None = None, *, sentence: str = "", guards: tuple[str, ...] = GUARDS) -> SuccessRule:
    """A rule from its text; ``this.statistic(role)`` is replaced by the value of the run `this`.

    Args:
        text: the rule, e.g. ``best(val_loss) < this.best(val_loss) - 1 sd``.
        this: the run that the rule is written for; without it ``this.`` is an error.
        sentence: how to say it; made from the predicates where empty.
        guards: the guards that hold for it.

    Raises:
        RuleError: the text does not parse, a value of this run cannot be had, or a clause does not fit
            ``statistic [- factor * statistic] comparison number [+ factor sd]``.
    """
    predicates = tuple(_predicate(text, clause, this) for clause in parse(text))
    return SuccessRule(all=predicates, sentence=sentence or rule_sentence(predicates), guards=guards)


def _predicate(text: str, clause: Clause, this: Features | None) -> Predicate:
    total = _Sum([], 0.0, 0.0, [])
    for sign, side in ((1.0, clause.left), (-1.0, clause.right)):
        for term in side:
            _add(text, total, term, sign, this)
    if not total.calls:
        raise fail(text, clause.column, "nothing of the next run is named in this condition")
    if len(total.calls) > 2:
        raise fail(text, total.calls[2][0].column, "at most two statistics can be compared in one condition")
    (head, factor), rest = total.calls[0], total.calls[1:]
    comparison = clause.comparison
    if len(rest) == 1 and factor < 0 < rest[0][1]:
        (head, factor), rest = rest[0], [(head, factor)]
    if factor == 0:
        raise fail(text, head.column, "the factor of this statistic is zero")
    if factor < 0:
        comparison = _TURNED[comparison]
    what = head.quantity
    minus = rest[0][0].quantity if rest else None
    if minus is not None and minus.window != what.window:
        raise fail(text, rest[0][0].column, "both statistics of one condition must look at the same window")
    return Predicate(
        role=what.role,
        statistic=what.statistic,
        comparison=comparison,
        threshold=_tidy(-total.number / factor),
        sd_times=_tidy(-total.sd / factor),
        argument=what.argument,
        minus=minus.statistic if minus else None,
        window=what.window,
        source=" and ".join(total.sources),
        tag=what.tag,
        minus_role=minus.role if minus and (minus.role, minus.tag) != (what.role, what.tag) else None,
        minus_times=_tidy(-rest[0][1] / factor) if rest else 1.0,
        minus_argument=minus.argument if minus else None,
        minus_tag=minus.tag if minus and minus.tag != what.tag else None,
        if_logged=clause.if_logged,
    )


def _tidy(value: float) -> float:
    return value + 0.0  # turns -0.0 into 0.0


def _add(text: str, total: _Sum, term: Term, sign: float, this: Features | None) -> None:
    factor = sign * term.factor
    call = term.call
    if term.unit_sd:
        total.sd += factor
    elif call is None:
        total.number += factor
    elif call.earlier:
        value = _value_of_this(text, call, this)
        total.number += factor * value
        total.sources.append(f"{call.quantity.statistic}({call.quantity.role}) of this run")
    else:
        for i, (known, known_factor) in enumerate(total.calls):
            if known.quantity == call.quantity:
                total.calls[i] = (known, known_factor + factor)
                return
        total.calls.append((call, factor))


def _value_of_this(text: str, call: Call, this: Features | None) -> float:
    if this is None:
        raise fail(text, call.column, "'this.' needs an earlier run, and there is none here")
    taken = take(this, call.quantity)
    if taken.value is None or not math.isfinite(taken.value):
        raise fail(text, call.column, f"no value of this run: {taken.why or 'it is infinite'}")
    return taken.value
