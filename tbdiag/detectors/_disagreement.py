"""Validation loss and metric that go apart: what overfitting says and advises where only one of them gets worse."""

from __future__ import annotations

import re
from dataclasses import replace

from tbdiag.detectors._base import Evidence, Severity, SuccessRule, View, predicate
from tbdiag.detectors._words import label, say, short, unit
from tbdiag.features import CurveFacts
from tbdiag.features.disagreement import Behind, is_one_sided
from tbdiag.features.levels import metric_level
from tbdiag.model import Scale
from tbdiag.stats.confidence import HIGHEST
from tbdiag.stats.noise import median
from tbdiag.stats.rise import Rise, measure_rise

_AVERAGE_PRECISION = re.compile(r"(^|[^a-z])map([^a-z]|$)")


def falls_alone(view: View, metric: CurveFacts, loss: CurveFacts, rise: Rise) -> bool:
    """Whether a bounded metric that had learned something loses a good part of it while the validation loss does not rise.

    Neither may the same metric of the training data fall: what both splits lose is no overfitting.
    """
    level = metric_level(metric, view.features)
    if level is None or is_one_sided(metric) or loss.n < 10 or rise.sigmas < 3:
        return False
    size = abs(level.best - level.chance)
    gained = float(metric.cost[0]) - rise.best  # what is best at once has learned nothing
    if gained < view["metric_learned"] * size or rise.amount < max(view["metric_lost"] * size, view["metric_lost_of_gain"] * gained):
        return False
    calm = measure_rise(loss.trace.cost, 0.0)
    if calm.amount > view["relative_rise"] * abs(calm.best):
        return False
    train = view.curve("train_metric")
    if train is None or train.n < 10 or train.signal.stem != metric.signal.stem:
        return True
    share = (metric.trace.step[rise.best_index] - metric.trace.step[0]) / max(metric.trace.step[-1] - metric.trace.step[0], 1.0)
    then = train.trace.cost[train.trace.within(max(share - 0.05, 0.0), min(share + 0.05, 1.0))]
    return then.size == 0 or train.end_cost - median(then) < 0.3 * rise.amount


def metric_change(metric: CurveFacts | None) -> tuple[bool, bool]:
    """Whether the metric fell back from its best, and whether it is still at its best and improved late."""
    if metric is None or metric.n < 4:
        return False, False
    rise = measure_rise(metric.trace.cost, metric.trace.noise.sigma)
    gain = metric.first_cost - rise.best
    if gain <= 0:
        return metric.n >= 10 and rise.sigmas > 4, False
    worse = rise.amount > 0.05 * gain and (rise.sigmas > 3 or metric.n < 10) and rise.best_index < metric.trace.n - 2
    return worse, not worse and rise.best_index >= 0.85 * (metric.trace.n - 1) and metric.n >= 6


def doubt_rise(view: View, metric: CurveFacts | None, behind: Behind | None) -> tuple[float, Severity]:
    """Highest confidence and severity of a rise of the loss behind which the metric still improves: where much of its whole gain came there, it may be what counts.

    A mean average precision is: by that detectors are chosen, and the losses of their parts rise long before it does its best.
    """
    if metric is None or behind is None:
        return HIGHEST, Severity.WARNING
    share = metric.sign * (behind.then - behind.end) / max(metric.start_cost - metric.end_cost, 1e-12)
    if share <= view["gained_behind"]:
        return HIGHEST, Severity.WARNING
    detects = _AVERAGE_PRECISION.search((metric.signal.stem or metric.signal.name).lower())
    return view["doubted"], Severity.NOTE if detects else Severity.WARNING


def say_metric(metric: CurveFacts, behind: Behind, worse: bool) -> Evidence:
    """What the metric did behind the best of the loss (it is a median of three points there), or that it fell back from its own best."""
    if worse:
        return say(f"The {label(metric)} fell back from {{start:.4g}} to {{stop:.4g}}.", (metric,), start=metric.best, stop=metric.end)
    if behind.gains:
        text = f"The {label(metric)} still improved, from {{start:.4g}} around there to {{stop:.4g}}, and was best at {unit(metric)} {{best_step:,}} with {{best:.4g}}."
        return say(text, (metric,), start=behind.then, stop=behind.end, best=behind.best, best_step=behind.best_step)
    still = "hardly moved" if abs(behind.end - behind.then) <= 0.05 * abs(behind.then) else "stayed within its scatter"
    what = still if behind.holds else "got worse as well"
    return say(
        f"The {label(metric)} {what}: {{start:.4g}} around there, {{stop:.4g}} at the end.", (metric,), start=behind.then, stop=behind.end
    )


def keep_metric(view: View, metric: CurveFacts, behind: Behind) -> str:
    """Action where only the loss gets worse: its answers grow too certain, and stopping at its best would give up right ones."""
    kept = f"Keep the checkpoint that is best by {label(metric)} (in this run {unit(metric)} {behind.best_step:,} with {behind.best:.4g}), and "
    if doubt_rise(view, metric, behind)[1] is Severity.NOTE:
        return kept + "go on choosing by that, not by the loss."
    return (
        kept
        + "rerun with "
        + ("label smoothing of 0.1." if _counts_answers(metric) and not _smooths(view) else f"more regularisation: {_stronger(view)}.")
    )


def allow_for_metric(rule: SuccessRule, metric: CurveFacts) -> SuccessRule:
    """The loss's rise must be gone, and the metric be no worse than it became; the loss's own scale may change with the remedy."""
    better, spare = ("<=", 2.0) if metric.sign > 0 else (">=", -2.0)
    key, best = metric.signal.key, metric.best
    kept = predicate(key, "best", better, best, sd_times=spare, source=f"best({key}) of this run, smoothed")
    ends = rule.sentence.partition(", and that")[0]
    return replace(
        rule, all=(rule.all[0], kept), sentence=f"{ends}, and the best {label(metric)} is no worse than {best:.4g} by more than 2 sd."
    )


def regularise(view: View) -> str:
    """Fix that raises the regularisation, with both values where the log tells the present one."""
    return f"Increase regularisation: {_stronger(view)}"


def _stronger(view: View) -> str:
    known = view.signals.setting("weight_decay")
    if known is not None and known > 0:
        return f"weight decay from {short(known)} to {short(5 * known)}"
    return "a dropout of 0.3" if known == 0 else "weight decay times 5, or a dropout of 0.3 where there was none"


def _counts_answers(metric: CurveFacts) -> bool:
    return "acc" in metric.signal.stem.lower() or metric.signal.scale is Scale.PERCENT


def _smooths(view: View) -> bool:
    known = view.signals.config.get("label_smoothing")
    return isinstance(known, (int, float)) and known > 0
