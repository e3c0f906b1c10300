"""Success rules as plain data and back, for reports that are read again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tbdiag.errors import ReportError
from tbdiag.features.statistics import LOG_STATISTICS, STATISTICS
from tbdiag.model import Predicate, SuccessRule, Window
from tbdiag.model.report import to_plain
from tbdiag.success.parse import LOG_ROLE
from tbdiag.success.syntax import COMPARISONS

_NUMBERS = {"threshold": 0.0, "sd_times": 0.0, "minus_times": 1.0}
_MAYBE_NUMBERS = ("argument", "minus_argument")
_MAYBE_TEXTS = ("minus", "tag", "minus_role", "minus_tag")


def rule_to_dict(rule: SuccessRule) -> dict[str, Any]:
    """A rule as strict JSON holds it: ``{"all": [predicates], "sentence", "guards"}``."""
    plain: dict[str, Any] = to_plain(rule)
    return plain


def rule_from_dict(data: Any) -> SuccessRule:
    """The rule that `rule_to_dict` wrote; unknown keys are ignored, so that later versions can be read.

    Raises:
        ReportError: the data is not a rule, or names a statistic or comparison that this version does not know.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("all"), (list, tuple)):
        raise ReportError("a success rule of the report is damaged: it has no list 'all'")
    guards = data.get("guards", ())
    return SuccessRule(
        all=tuple(_predicate(p) for p in data["all"]),
        sentence=str(data.get("sentence", "")),
        guards=tuple(str(g) for g in guards) if isinstance(guards, (list, tuple)) else (),
    )


def _predicate(data: Any) -> Predicate:
    if not isinstance(data, Mapping):
        raise ReportError("a predicate of a success rule in the report is damaged: it is not an object")
    role, statistic, comparison = (data.get(k) for k in ("role", "statistic", "comparison"))
    known = LOG_STATISTICS if role == LOG_ROLE else STATISTICS
    if not isinstance(role, str) or statistic not in known or comparison not in COMPARISONS:
        raise ReportError(f"a predicate of a success rule in the report is not known to this version: {statistic}({role}) {comparison}")
    return Predicate(
        role=role,
        statistic=str(statistic),
        comparison=str(comparison),
        window=_window(data.get("window")),
        if_logged=data.get("if_logged") is True,
        source=str(data.get("source", "")),
        **{k: _number(data, k, default) for k, default in _NUMBERS.items()},
        **{k: _number(data, k, None) for k in _MAYBE_NUMBERS},
        **{k: None if data.get(k) is None else str(data[k]) for k in _MAYBE_TEXTS},  # type: ignore[arg-type]
    )


def _number(data: Mapping[str, Any], key: str, default: Any) -> Any:
    value = data.get(key, default)
    if value is None and default is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ReportError(f"a success rule of the report is damaged: {key} is not a number")
    return float(value)


def _window(data: Any) -> Window | None:
    if data is None:
        return None
    if not isinstance(data, Mapping):
        raise ReportError("a success rule of the report is damaged: its window is not an object")
    shares = {k: _number(data, k, None) for k in ("first_share", "last_share")}
    steps = {k: None if data.get(k) is None else int(_number(data, k, None)) for k in ("first_step", "last_step")}
    return Window(**shares, **steps)
