"""Predicates as text: in the rule language (parses back to the same predicate) and as a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from tbdiag.model import Predicate, SuccessRule, Window
from tbdiag.success.measure import left_quantity, minus_quantity
from tbdiag.success.parse import LOG_ROLE, SERIES_ROLE, quote
from tbdiag.success.syntax import Quantity

_COMPARED = {
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
    "==": "is exactly",
    "!=": "is not",
}
_SPLITS = {"train": "training", "val": "validation", "test": "test"}
_WORDS = {"lr": "learning rate", "grad": "gradient", "kl": "KL divergence"}
_STATISTICS = {
    "first": "the first {}",
    "end": "the end of the {}",
    "best": "the best {}",
    "min": "the smallest {}",
    "max": "the largest {}",
    "mean": "the mean {}",
    "median": "the median {}",
    "sd": "the noise of the {}",
    "residual_sd": "the scatter of the {}",
    "range": "the range of the {}",
    "drop": "the improvement of the {}",
    "rise": "the rise of the {} over its best",
    "dip": "the deepest break-down of the {}",
    "slope": "the trend of the {}",
    "best_step": "the step of the best {}",
    "best_share": "the position of the best {} in the run",
    "max_share": "the position of the largest {} in the run",
    "last_step": "the last step of the {}",
    "steps": "the span of steps of the {}",
    "points": "the number of points of the {}",
    "nonfinite": "the number of non-finite points of the {}",
    "distinct": "the number of distinct values of the {}",
    "spikes": "the number of spikes of the {}",
    "growth": "the growth of the {} over its level before",
    "jumps_up": "the number of upward jumps of the {}",
    "gap": "the longest gap of the {} in seconds",
    "gap_ratio": "the longest gap of the {} over its typical one",
}
_WITH_ARGUMENT = {
    "quantile": "the {a} quantile of the {}",
    "share_above": "the share of the {} above {a}",
    "share_below": "the share of the {} below {a}",
    "excursions": "the number of times that the {} leaves its running median by {a}",
    "reach_step": "the step at which the {} reaches {a}",
}


def predicate_text(p: Predicate, digits: int | None = None) -> str:
    """A predicate in the rule language; `digits` rounds its numbers for people (None: exact)."""
    left = quantity_text(left_quantity(p), digits)
    minus = minus_quantity(p)
    if minus is not None:
        times = "" if p.minus_times == 1.0 else f"{_number(abs(p.minus_times), digits)} * "
        sign = "-" if p.minus_times >= 0 else "+"
        times = "" if abs(p.minus_times) == 1.0 else times
        left += f" {sign} {times}{quantity_text(minus, digits)}"
    right = _number(p.threshold, digits)
    if p.sd_times:
        unit = f"{_number(abs(p.sd_times), digits)} sd"
        sign = "-" if p.sd_times < 0 else "+"
        right = ("-" if p.sd_times < 0 else "") + unit if p.threshold == 0 else f"{right} {sign} {unit}"
    return f"{left} {p.comparison} {right}" + (" if logged" if p.if_logged else "")


def rule_text(rule: SuccessRule, digits: int | None = None) -> str:
    """A rule in the rule language."""
    return " and ".join(predicate_text(p, digits) for p in rule.all)


def rule_sentence(predicates: Sequence[Predicate]) -> str:
    """One sentence that says what the next run must show."""
    parts = [predicate_phrase(p) for p in predicates]
    text = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + ", and " + parts[-1]
    return text[:1].upper() + text[1:] + "."


def predicate_phrase(p: Predicate) -> str:
    """A predicate as a clause: ``the best validation loss is below 0.412 less 1 sd of its noise``."""
    return _phrase_of(p) + (" where it is logged" if p.if_logged else "")


def _phrase_of(p: Predicate) -> str:
    left = _phrase(left_quantity(p))
    minus = minus_quantity(p)
    if minus is not None:
        other = _phrase(minus)
        times = "" if p.minus_times == 1.0 else f"{p.minus_times:.4g} times "
        if p.threshold == 0 and not p.sd_times:
            return f"{left}{_window_words(p.window)} {_COMPARED[p.comparison]} {times}{other}"
        left = f"{left} minus {times}{other}"
    right = _amount(p)
    return f"{left}{_window_words(p.window)} {_COMPARED[p.comparison]} {right}"


def _amount(p: Predicate) -> str:
    if not p.sd_times:
        return f"{p.threshold:.4g}"
    noise = f"{abs(p.sd_times):.4g} sd of its noise"
    if p.threshold == 0:
        return ("minus " if p.sd_times < 0 else "") + noise
    return f"{p.threshold:.4g} {'less' if p.sd_times < 0 else 'plus'} {noise}"


def role_words(role: str, tag: str | None = None) -> str:
    """A role key in plain words: ``val_loss`` is "validation loss"; a tag names its series."""
    if role == SERIES_ROLE and tag is not None:
        return tag
    words = [_SPLITS.get(word, _WORDS.get(word, word)) for word in role.split("_")]
    return " ".join(words) + (f" ({tag})" if tag is not None else "")


def _phrase(what: Quantity) -> str:
    if what.role == LOG_ROLE:
        return f"the log's {what.statistic.replace('_', ' ')}"
    words = role_words(what.role, what.tag)
    if what.argument is not None and what.statistic in _WITH_ARGUMENT:
        return _WITH_ARGUMENT[what.statistic].replace("{}", words).replace("{a}", f"{what.argument:.4g}")
    pattern = _STATISTICS.get(what.statistic, f"the {what.statistic.replace('_', ' ')} of the {{}}")
    return pattern.replace("{}", words)


def _window_words(window: Window | None) -> str:
    return "" if window is None else f" over {_window(window, words=True)}"


def quantity_text(what: Quantity, digits: int | None = None) -> str:
    """A quantity in the rule language."""
    inner = what.role + (f" {quote(what.tag)}" if what.tag is not None else "")
    if what.argument is not None:
        inner += f", {_number(what.argument, digits)}"
    if what.window is not None:
        inner += f", {_window(what.window, words=False)}"
    return f"{what.statistic}({inner})"


def _window(window: Window, *, words: bool) -> str:
    article = "the " if words else ""
    if window.first_share is not None or window.last_share is not None:
        low, high = window.first_share or 0.0, 1.0 if window.last_share is None else window.last_share
        if high >= 1.0 and low > 0.0:
            return f"{article}last {_percent(1.0 - low)}%"
        if low <= 0.0:
            return f"{article}first {_percent(high)}%"
        return f"{_percent(low)}%..{_percent(high)}%"
    first = "" if window.first_step is None else str(window.first_step)
    last = "" if window.last_step is None else str(window.last_step)
    return f"steps {first}..{last}"


def _percent(share: float) -> str:
    return _plain(round(share * 100.0, 10))


def _number(value: float, digits: int | None) -> str:
    return _plain(value) if digits is None else f"{value:.{digits}g}"


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
