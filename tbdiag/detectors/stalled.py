"""The clock went on while the run stood still, or became many times slower.

What it means
    There is a gap of wall time in the log, or every step takes several times as long as in the beginning.

Why it matters
    Machines are paid for nothing, and a deadline is missed for a reason that is not the model.

How it is told
    From the wall times of the training series: a gap of more than half an hour and more than 20 times the usual interval
    (or of more than five minutes, a hundred intervals and all the rest of the run), that is not one of several equal ones
    (evaluations, checkpoints) and not a restart; or the time per step over the last fifth is more than three times that of
    the first half, with every later quarter slower; or the logged throughput has halved twice, or the step time has grown
    threefold. Only as a note: a logged pace that has halved (larger images, longer sequences and unfrozen layers do that), and
    a logged loader time of half the step time and more.

First check
    What did the machine do at that time: loader, storage, preemption, other jobs, memory?

First action
    After a single gap: read the scheduler's and the system's log of that time, for a job that was preempted needs no change. Else log
    loader time and step time separately for 200 steps.

Success rule
    No gap is longer than 20 usual intervals; where steps became slower, the last steps take at most half again as long as the first, or the
    logged pace comes back to two thirds of what it was.

Not to be confused with
    restart-overlap (the run was stopped and resumed), a run that is still being written.

Limits
    In reinforcement learning a step that is an episode is longer where the agent lives longer: there the time per step of the environment
    must have grown as well, and without a logged episode length nothing is said of steps that are counted by one.
    Wall times of copied or converted logs may mean nothing; clocks that jump backwards are ignored.

Sources
    SageMaker's StalledTrainingRule (30 minutes); simulation of jittering step times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    EVERY,
    LOG,
    Cause,
    Detector,
    Evidence,
    Example,
    Finding,
    Interval,
    NotApplicable,
    Predicate,
    Severity,
    SuccessRule,
    Threshold,
    View,
    predicate,
)
from tbdiag.detectors._words import braced, say, unit
from tbdiag.features import CurveFacts
from tbdiag.model import Axis, Domain, Mark, Role, Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import Float64, median

READ_LOGS = (
    "Read the scheduler's and the system's log of the time of the gap: a job that was preempted or suspended needs no change of the training. "
    "If they tell of neither, log loader time and step time separately."
)


@dataclass(frozen=True)
class Found:
    """What was found: ``gap``, ``slower`` (by the clock), ``logged`` (by a logged pace), ``halved`` or ``loader`` (notes); rules of its own."""

    evidence: Evidence
    onset: Interval
    margin: float
    what: str
    rules: tuple[Predicate, ...] = ()
    sentence: str = ""


def detect(view: View) -> Finding | NotApplicable | None:
    """Gaps and slow-downs of the main training series, then logged throughput and step time."""
    keys = ("train_loss", "reward", "train_reward", "val_loss", "train_metric", "lr")
    curve = next((c for c in map(view.curve, keys) if c is not None and c.n >= 8), None)
    found: Found | None = None
    if curve is not None and np.all(np.isfinite(curve.wall_time)) and curve.wall_time[-1] > curve.wall_time[0]:
        found = _gap(view, curve) or _slower(view, curve)
    found = found or _logged(view) or _loader(view)
    if found is None:
        return NotApplicable("no series with eight wall times") if curve is None else None
    evidence, onset = found.evidence, found.onset
    gap, note = found.what == "gap", found.what in ("halved", "loader")
    rules = found.rules or (predicate("log", "gap_ratio", "<=", 20.0, source="20 usual intervals"),)
    sentence = found.sentence or "No gap of wall time is longer than 20 usual intervals."
    loader = Cause("Data loader or storage", "loader time grows too" if _loader_grows(view) else "")
    pause = Cause("Preemption, suspension or a deadlock", "one gap, then the old pace" if gap else "")
    contention = Cause("Another job on the machine, or thermal throttling", "" if gap else "the new pace lasts")
    leak = Cause("A memory leak that ends in swapping")
    return Finding(
        id="stalled",
        severity=Severity.NOTE if note else Severity.WARNING,
        confidence=confidence(found.margin, supports=int(not note), doubts=int(note)),
        title=_title(found),
        onset=onset,
        extent=Interval(onset.first_step, onset.last_step if gap or curve is None else int(curve.step[-1])),
        evidence=(evidence,),
        causes=(pause, loader, contention, leak) if gap else (loader, pause, contention, leak),
        first_check=f"What did the machine do around step {onset.last_step:,}: loader, storage, preemption, other jobs, memory?",
        first_action=READ_LOGS if gap else "Log loader time and step time separately for 200 steps.",
        fixes=(
            "Raise the number of loader workers, cache or move the data",
            "Watch memory and temperature",
            "Add a watchdog that ends stalled runs",
        ),
        success_rule=SuccessRule(all=rules, sentence=sentence, guards=()),
        phase=LOG,
        roles=("log",),
    )


def _title(found: Found) -> str:
    numbers = found.evidence.numbers
    if found.what == "gap":
        return f"Stalled: {numbers['seconds'] / 3600:.1f} hours without a logged point after step {found.onset.first_step:,}"
    if found.what == "loader":
        return f"The data loader takes {numbers['share']:.0%} of the time of every step"
    if found.what == "halved":
        return f"The pace fell to {1 / numbers['times']:.0%} from step {found.onset.last_step:,} on"
    return f"Slower: steps take {numbers['times']:.1f} times as long from step {found.onset.last_step:,} on"


def _gap(view: View, curve: CurveFacts) -> Found | None:
    wait = np.diff(curve.wall_time)
    longest = int(np.argmax(wait))
    usual = median(wait[wait > 0]) if (wait > 0).any() else 0.0
    gap = float(wait[longest])
    # Steps that were made and not logged took their time as well.
    apart = np.diff(curve.step)
    missed = float(apart[longest]) / max(median(apart.astype(np.float64)), 1.0) - 1
    gap -= max(missed, 0.0) * usual
    rest = float(curve.wall_time[-1] - curve.wall_time[0]) - float(wait[longest])
    short = gap < max(view["gap_seconds"], view["gap_times"] * usual)
    if short and gap < max(view["short_gap_seconds"], 5 * view["gap_times"] * usual, rest):
        return None
    # Several equal waits are evaluations or checkpoints.
    if int(np.sum(wait > 0.5 * gap)) > 3:
        return None
    when = curve.wall_time[longest]
    restarts = view.features.run.restarts
    opened = [f.first_wall_time for f in view.features.run.files if f.first_wall_time is not None]
    if any(when < t <= when + wait[longest] + 1 for t in opened):
        return None  # it was stopped and resumed into a new file
    if any(abs(r.wall_time - (when + gap)) < 0.1 * gap for r in restarts if np.isfinite(r.wall_time)):
        return None
    first, last = int(curve.step[longest]), int(curve.step[longest + 1])
    steps = ", the time of the steps that are not in the log taken off" if missed >= 1 else ""
    evidence = say(
        f"Between {unit(curve)} {{first:,}} and {{last:,}} {{seconds:,.0f}} seconds passed{steps}; usually it is {{usual:.3g}}.",
        (curve,),
        (Mark("event", "gap", last),),
        first=first,
        last=last,
        seconds=round(gap),
        usual=usual,
    )
    return Found(evidence, Interval(first, last), max(gap / max(view["gap_seconds"], view["gap_times"] * usual), 1.0), "gap")


def _slower(view: View, curve: CurveFacts) -> Found | None:
    wait, apart = np.diff(curve.wall_time), np.diff(curve.step).astype(np.float64)
    good = (wait > 0) & (apart > 0)
    if int(good.sum()) < 7:
        return None
    pace, at = (wait / np.maximum(apart, 1))[good], np.flatnonzero(good)
    n = pace.size
    before, after = median(pace[: n // 2]), median(pace[-max(3, n // 5) :])
    # Bursts of a few points share one clock tick; a pace is only known where waits are not that.
    if before <= 0 or after < view["slower"] * before or float(np.median(wait[good][-max(3, n // 5) :])) < view["slow_seconds"]:
        return None
    if view.signals.domain is Domain.REINFORCEMENT and not _slower_to_act(view, curve, good):
        return None
    high = pace > np.sqrt(before * after)
    lasting = np.flatnonzero(~high)
    begin = int(lasting[-1]) + 1 if lasting.size else 0
    # The new pace must hold: a fifth of the points at least, all but a tenth of those behind the change, and at once.
    for i in range(n // 4, n - max(3, n // 10)):
        if high[i] and float(np.mean(high[i : i + max(3, n // 50)])) > 0.6 and float(np.mean(high[i:])) > 0.9:
            begin = i
            break
    if n - begin < max(3, n // 10):
        return None
    i = int(at[begin])
    evidence = say(
        f"Each {unit(curve)} took {{before:.3g}} seconds in the first half and {{after:.3g}} over the last fifth, {{times:.1f}} times as long.",
        (curve,),
        (Mark("event", "slower from here", int(curve.step[i])),),
        before=before,
        after=after,
        times=after / before,
    )
    rules = (
        predicate("log", "pace_ratio", "<=", view["same_pace"], source=f"{view['same_pace']:g} times the first half"),
        predicate("log", "gap_ratio", "<=", 20.0, source="20 usual intervals"),
    )
    sentence = "The last steps take at most half again as long as the first, and no gap is longer than 20 usual intervals."
    onset = Interval(int(curve.step[max(i - 1, 0)]), int(curve.step[i + 1]))
    return Found(evidence, onset, after / before / view["slower"], "slower", rules, sentence)


def _slower_to_act(view: View, curve: CurveFacts, good: npt.NDArray[np.bool_]) -> bool:
    """Whether steps of the environment take longer, not only episodes that have more of them; False where the log cannot tell.

    Steps that are counted by one are episodes or iterations, and agents that get better or slower at a task play longer ones.
    """
    if curve.signal.axis is Axis.ENV_STEP or median(np.diff(curve.step).astype(np.float64)) > 1:
        return True
    lengths = next((c for c in view.group(Role.EPISODE_LENGTH) if c.n >= 8), None)
    if lengths is None:
        return False
    wait, length = np.diff(curve.wall_time)[good], np.interp(curve.step[1:], lengths.step, lengths.value)[good]
    last = -max(3, wait.size // 5)
    early, late = wait[: wait.size // 2].sum() / length[: wait.size // 2].sum(), wait[last:].sum() / length[last:].sum()
    return bool(late >= view["slower"] * early)


def _logged(view: View) -> Found | None:
    """Step time grown threefold, or throughput fallen to a quarter, in blocks that last; half of that as a note."""
    halved: Found | None = None
    for role, better in ((Role.STEP_TIME, -1), (Role.THROUGHPUT, 1)):
        for curve in view.group(role):
            if curve.n < 20 or float(curve.value.min()) <= 0:
                continue
            n = curve.trace.n
            value = np.abs(curve.trace.cost)
            before, after = median(value[: n // 2]), median(value[-max(4, n // 5) :])
            times = before / after if better > 0 else after / before
            limit = view["slower"] if better < 0 else 4.0
            tail = value[-max(4, n // 5) :]
            lasting = float(np.mean(tail < np.sqrt(before * after) if better > 0 else tail > np.sqrt(before * after)))
            least = view["halved"]
            if times < least or lasting < 0.9:
                continue
            high = value < np.sqrt(before * after) if better > 0 else value > np.sqrt(before * after)
            calm = np.flatnonzero(~high)
            begin = min(int(calm[-1]) + 1, n - 1) if calm.size else 0
            step = curve.trace.last_step
            evidence = say(
                "The logged value went from {before:.3g} in the first half to {after:.3g} over the last fifth, {times:.1f} times slower.",
                (curve,),
                before=before,
                after=after,
                times=times,
            )
            onset = Interval(int(step[max(begin - 1, 0)]), int(step[begin]))
            back = before / view["same_pace"] if better > 0 else before * view["same_pace"]
            rule = predicate(
                "series", "median", ">=" if better > 0 else "<=", back, window=(0.8, 1.0), tag=curve.name, source="this run's first half"
            )
            sentence = f"Over the last fifth of the run {curve.name} is {'at least' if better > 0 else 'at most'} {back:.3g}."
            found = Found(
                evidence, onset, times / (limit if times >= limit else least), "logged" if times >= limit else "halved", (rule,), sentence
            )
            if found.what == "logged":
                return found
            # Longer sequences, larger images, layers that are unfrozen: a pace may halve on purpose.
            halved = halved or (found if view.signals.domain is not Domain.REINFORCEMENT else None)
    return halved


def _loader(view: View) -> Found | None:
    """Note on a loader that takes half of every step and more, both logged in one unit and under one name but for the word."""
    if view.signals.domain is Domain.REINFORCEMENT:
        return None  # what agents load is their own play
    for wait in view.group(Role.LOADER_TIME):
        for whole in view.group(Role.STEP_TIME):
            if min(wait.n, whole.n) < 10 or wait.signal.split is not whole.signal.split or float(whole.value.min()) <= 0:
                continue
            if wait.name.rpartition("/")[0] != whole.name.rpartition("/")[0] or "%" in wait.name:
                continue
            loads, takes = median(wait.value[wait.n // 2 :]), median(whole.value[whole.n // 2 :])
            share = loads / takes
            # More than the whole is another unit, or a step that is counted without its loading.
            if not view["loader"] <= share <= 1.0:
                continue
            evidence = say(
                f"Over the second half of the run {braced(wait.name)} is {{loads:.3g}} and {braced(whole.name)} {{takes:.3g}}: {{share:.0%}} of it.",
                (wait, whole),
                loads=loads,
                takes=takes,
                share=share,
            )
            half = view["loader"] * takes
            rule = predicate("series", "median", "<", half, window=(0.5, 1.0), tag=wait.name, source="half of this run's step time")
            onset = Interval(int(wait.step[0]), int(wait.step[0]))
            return Found(
                evidence, onset, share / view["loader"], "loader", (rule,), f"{wait.name} is below {half:.3g} over the second half."
            )
    return None


def _loader_grows(view: View) -> bool:
    return any(c.n >= 10 and median(c.value[-c.n // 5 :]) > 2 * median(c.value[: c.n // 2]) for c in view.group(Role.LOADER_TIME))


def _timed(waits: Float64) -> Run:
    n = waits.size + 1
    series = _synth.make_series("train/loss", _synth.decay(n, 2.0, 0.3), every=10)
    clock = 1.7e9 + np.concatenate([[0.0], np.cumsum(waits)])
    return _synth.make_run({"train/loss": type(series)(series.tag, "", series.step, clock, series.value)})


def _four_hours() -> Run:
    waits = np.random.default_rng(151).uniform(0.9, 1.1, 150)
    waits[80] = 14_400
    return _timed(waits)


def _slow() -> Run:
    waits = np.random.default_rng(152).uniform(17, 19, 30)
    waits[20:] *= 25
    return _timed(waits)


def _pauses() -> Run:
    waits = np.random.default_rng(153).uniform(9, 11, 200)
    waits[19::20] = 2400
    return _timed(waits)


def _jitter() -> Run:
    return _timed(np.exp(np.random.default_rng(154).normal(0, 0.7, 300)))


EXAMPLES = (
    Example("four hours of nothing", _four_hours, fires=True, onset=(795, 815)),
    Example("25 times slower", _slow, fires=True, onset=(185, 215)),
    Example("regular pauses for evaluation", _pauses, fires=False),
    Example("jitter", _jitter, fires=False),
)

DETECTOR = Detector(
    id="stalled",
    title="Stalled",
    summary="The clock went on while the run stood still, or became many times slower.",
    severity=Severity.WARNING,
    phase=LOG,
    detect=detect,
    doc=__doc__ or "",
    needs=("log",),
    wants=(
        "train_loss",
        "reward",
        "train_reward",
        "val_loss",
        "train_metric",
        "lr",
        "step_time",
        "throughput",
        "loader_time",
        "episode_length",
    ),
    domains=EVERY,
    thresholds={
        "gap_seconds": Threshold(1800.0, "SageMaker's limit of half an hour"),
        "short_gap_seconds": Threshold(300.0, "where it also is a hundred intervals and longer than all the rest of the run"),
        "gap_times": Threshold(20.0, "evaluations and checkpoints take a few intervals"),
        "slower": Threshold(3.0, "jitter and growing sequences stay below a factor of two"),
        "same_pace": Threshold(1.5, "steps that take half again as long still are of the same pace"),
        "halved": Threshold(2.0, "a note; logged paces of runs that nothing was wrong with fell by 1.2"),
        "loader": Threshold(0.5, "of the step, a note; loaders of runs that nothing was wrong with took a tenth"),
        "slow_seconds": Threshold(1.0, "intervals below a second are buffering"),
    },
    examples=EXAMPLES,
)
