"""Steps go backwards: a run was resumed over its own log, or two writers share a directory.

What it means
    The same steps were written more than once, by a process that resumed from an earlier checkpoint, started anew, or ran
    beside another one.

Why it matters
    TensorBoard draws both as one zigzag, and any reading of the curve mixes two trainings.

How it is told
    From the order of writing: within a tag a later record has a smaller step, or two files whose wall times interleave, by more than two seconds,
    hold the same steps. Points that a later write replaced are set apart; if there are none, or the same points were merely
    written twice with the same values, it is a note. A SessionLog START that announces the restart makes it a note too. Where no step
    goes back, but some hold several points, one process logs more often than it counts: a note with words of its own, but
    where a framework does so by design: means at the ends of epochs under the name of the batch (Lightning), a final evaluation (Ultralytics).
    Of tags without steps a launch is known by its first values: those with which the first file began, where that had left them.
    Disorder by one or two steps is ignored, and so are counters, epochs, series on an axis of seconds and series that play
    no part: they may repeat a step (a second of the clock holds two updates) in a log that was written once. So are series that
    nothing is known of where a loss, a learning rate or a norm of gradients beside them was written once over the same steps.

First check
    Do the values of the repeated steps agree (a resume), or not (another configuration, or two jobs)?

First action
    Give each launch its own directory, or pass purge_step=<resumed step> to the writer.

Success rule
    Steps never go backwards.

Not to be confused with
    spikes and sudden-shift, which the seam of two trainings imitates.

Limits
    Two runs whose steps do not overlap look like one. Two jobs that write each step at the same time into one file look like one that
    logs twice.

Sources
    Deterministic. TensorBoard's own rule purges on SessionLog START only.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    EVERY,
    LOG,
    Cause,
    Detector,
    Example,
    Finding,
    Interval,
    NotApplicable,
    Severity,
    SuccessRule,
    View,
    predicate,
)
from tbdiag.detectors._tails import name_some
from tbdiag.detectors._words import say
from tbdiag.features.restarts import find_seams, list_differing
from tbdiag.model import Restart, Run
from tbdiag.stats.confidence import confidence


def detect(view: View) -> Finding | NotApplicable | None:
    """Restarts that replaced points."""
    seams = find_seams(view.features)
    serious = [r for r in seams if r.kind in ("step-regression", "overlapping-writers")]
    shown = serious or seams
    if not shown:
        return None
    if all(r.kind == "duplicate-step" for r in shown):
        return _repeated(view, tuple(shown))
    worst = max(shown, key=lambda r: r.points)
    points = sum(r.points for r in shown)
    disagree = any(r.agree is False for r in shown)
    writers = any(r.kind == "overlapping-writers" for r in shown)
    sentence = "Steps {first:,} to {last:,} were written more than once; {points:,} earlier points are set apart (tags concerned: {tags})"
    differing = list_differing(view.features) if disagree else ()
    whose = f"the values of {name_some(differing)}" if differing else "their values"
    sentence += f", and {whose} differ from the later ones." if disagree else "."
    evidence = [say(sentence, (), (), first=worst.first_step, last=worst.last_step, points=points, tags=worst.tags)]
    if len(shown) > 1:
        evidence.append(say("This happened {count} times.", count=len(shown)))
    title = ("Two writers share this log" if writers else "Steps go backwards") + (
        f": steps {worst.first_step:,} to {worst.last_step:,} were written more than once"
    )
    action = f"Give each launch its own directory, or pass purge_step={worst.first_step} to the writer when resuming."
    if worst.kind == "step-regression" and worst.first_step == worst.last_step and worst.points > 2 * worst.tags:
        title, action = "A later launch begins anew in this log, without steps", "Give each launch its own directory, and log the step."
        sentence = "A later file begins anew, at the values of the first; {points:,} earlier points are set apart (tags concerned: {tags})."
        evidence = [say(sentence, (), (), points=points, tags=worst.tags)]
    return Finding(
        id="restart-overlap",
        severity=Severity.WARNING if serious else Severity.NOTE,
        confidence=confidence(supports=int(bool(serious))),
        title=title,
        onset=Interval(min(r.first_step for r in shown), max(r.last_step for r in shown)),
        extent=Interval(min(r.first_step for r in shown), max(r.last_step for r in shown)),
        evidence=tuple(evidence),
        causes=(
            Cause("Two jobs write into the same directory", "files with interleaved wall times hold the same steps" if writers else ""),
            Cause("The run was resumed from an earlier checkpoint without purging", "" if disagree else "the repeated values agree"),
            Cause(
                "A new run was started in the directory of an old one", "it begins again at the first step" if worst.first_step <= 1 else ""
            ),
        ),
        first_check="Do the values of the repeated steps agree (a resume), or not (another configuration, or two jobs)?",
        first_action=action,
        fixes=("Name directories by time and job", "Delete or move the log of the abandoned attempt", "Log the resumed step"),
        success_rule=SuccessRule(
            all=(predicate("log", "step_regressions", "==", 0.0),), sentence="Steps never go backwards in the next run.", guards=()
        ),
        phase=LOG,
        roles=("log",),
    )


def _repeated(view: View, seams: tuple[Restart, ...]) -> Finding:
    """Steps that never go back, of which some hold several points: what is logged more often than its step counts on."""
    first, last = min(r.first_step for r in seams), max(r.last_step for r in seams)
    points, tags = sum(r.points for r in seams), sum(r.tags for r in seams)
    sentence = "Of steps {first:,} to {last:,} some hold several points, and no step goes back; {points:,} points are set apart, the last of each step counts (tags concerned: {tags})"
    differing = list_differing(view.features) if any(r.agree is False for r in seams) else ()
    sentence += f". The points of one step differ in {name_some(differing)}." if differing else "."
    several = (view.signals.setting("gradient_accumulation_steps") or 0) > 1
    return Finding(
        id="restart-overlap",
        severity=Severity.NOTE,
        confidence=confidence(),
        title=f"Several points share a step: steps {first:,} to {last:,}",
        onset=Interval(first, last),
        extent=Interval(first, last),
        evidence=(say(sentence, (), (), first=first, last=last, points=points, tags=tags),),
        causes=(
            Cause(
                "Logged with every batch, while the step counts updates",
                "gradients are accumulated over several batches" if several else "",
            ),
            Cause("Several layers, losses or callbacks write under one name"),
            Cause("Several processes of one training write the same values into one file"),
            Cause("A resumed run logged the step again at which the one before it ended"),
        ),
        first_check="How many points does a step hold, and what does the code log between two steps?",
        first_action="Log their mean once a step, or give each of them a name of its own.",
        fixes=("Count batches instead of updates in the step", "Log from the main process only"),
        success_rule=SuccessRule(
            all=(predicate("log", "step_regressions", "==", 0.0),), sentence="No step is written twice in the next run.", guards=()
        ),
        phase=LOG,
        roles=("log",),
    )


def _run(*restarts: Restart) -> Run:
    return replace(_synth.make_run({"train/loss": _synth.decay(50, 2.0, 0.3)}), restarts=restarts)


def _rollback() -> Run:
    return _run(Restart("step-regression", 20, 31, 1.7e9, points=24, tags=2, agree=False))


def _two_writers() -> Run:
    return _run(Restart("overlapping-writers", 0, 49, 1.7e9, points=100, tags=2, agree=False))


def _announced() -> Run:
    return _run(Restart("session-start", 20, 20, 1.7e9, points=0, tags=0))


def _bare() -> Run:
    """Three launches without steps: the reader sets the first two aside."""
    return _run(Restart("step-regression", 0, 0, 1.7e9, points=80, tags=1))


def _single() -> Run:
    return _run()


def _repeating_counter() -> Run:
    """Several losses a step of the epoch counter: only the counter repeats its steps."""
    run = _synth.make_run({"train/loss": _synth.decay(50, 2.0, 0.3), "train/epoch": np.arange(50) // 5})
    again = _synth.make_series("train/epoch", np.arange(40) // 5, np.arange(40))
    return replace(
        run, restarts=(Restart("duplicate-step", 0, 39, 1.7e9, points=40, tags=1, agree=True),), superseded={"train/epoch": again}
    )


def _unknown_repeats() -> Run:
    """A gauge of another process goes back and forth; the loss beside it does not."""
    run = _synth.make_run({"train/loss": _synth.decay(50, 2.0, 0.3), "rank1/gauge": np.full(50, 60.0)})
    again = _synth.make_series("rank1/gauge", np.full(20, 61.0), np.arange(10, 30))
    return replace(
        run, restarts=(Restart("step-regression", 10, 29, 1.7e9, points=20, tags=1, agree=True),), superseded={"rank1/gauge": again}
    )


EXAMPLES = (
    Example("resumed from an older checkpoint", _rollback, fires=True, onset=(20, 31)),
    Example("two writers", _two_writers, fires=True, onset=(0, 49)),
    Example("launches without steps", _bare, fires=True, onset=(0, 0)),
    Example("announced restart without overlap", _announced, fires=False),
    Example("written once", _single, fires=False),
    Example("only an epoch counter repeats its steps", _repeating_counter, fires=False),
    Example("only what nothing is known of repeats its steps", _unknown_repeats, fires=False),
)

DETECTOR = Detector(
    id="restart-overlap",
    title="Overlapping restarts",
    summary="Steps go backwards: a run was resumed over its own log, or two writers share a directory.",
    severity=Severity.WARNING,
    phase=LOG,
    detect=detect,
    doc=__doc__ or "",
    needs=("log",),
    domains=EVERY,
    examples=EXAMPLES,
)
