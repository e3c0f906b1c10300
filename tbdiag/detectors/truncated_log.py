"""An event file is cut off or corrupt.

What it means
    A record fails its checksum, or the file ends in the middle of one: the writer was killed, the disk was full, or the file
    was copied while it was being written.

Why it matters
    What is missing cannot be judged, and TensorBoard stops reading there without a word.

How it is told
    From the bytes: truncated records, checksum errors, records that do not parse, files that shrank or vanished. An empty or
    header-only file beside readable ones is a note. A partial last record of a file that is still being written is none.

First check
    Compare the size of the file with its original on the machine that wrote it.

First action
    Copy the event file again from the machine that wrote it, after its writer was closed.

Success rule
    Every record of every file passes its checksum.

Not to be confused with
    unconverged (a run that was stopped but whose file is whole).

Limits
    A file that ends exactly between two records looks complete.

Sources
    TFRecord framing: masked CRC-32C of length and payload.
"""

from __future__ import annotations

from dataclasses import replace

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
    Severity,
    SuccessRule,
    View,
    predicate,
)
from tbdiag.model import ReadIssue, Run
from tbdiag.stats.confidence import confidence

BROKEN = ("truncated", "corrupt", "bad-record", "shrunk", "vanished", "unreadable-file")
EMPTY = ("empty-file", "no-records")


def detect(view: View) -> Finding | NotApplicable | None:
    """Read issues that lost data."""
    run = view.features.run
    broken = [i for i in run.issues if i.damage and i.kind in BROKEN]
    empty = [i for i in run.issues if i.kind in EMPTY]
    if not broken and not empty:
        return None
    issues = broken or empty
    steps = [s for i in issues for s in (i.first_step, i.last_step) if s is not None]
    last = view.features.steps[1]
    lost = sum((i.end if i.end is not None else i.size or 0) - i.offset for i in broken if i.offset is not None and (i.end or i.size))
    numbers: dict[str, float] = {"count": len(issues)}
    sentence = f"{len(issues)} {'place' if len(issues) == 1 else 'places'} could not be read"
    if lost > 0:
        numbers["bytes"] = lost
        sentence += f"; {lost:,} bytes are lost"
    evidence = [Evidence(sentence + ".", numbers)]
    evidence += [Evidence(f"{_plain(i.kind)} in {i.file}.", {}) for i in issues[:5]]
    kinds = {i.kind for i in issues}
    cut = "truncated" in kinds or "shrunk" in kinds
    what = "is cut off" if cut else "is corrupt" if broken else "holds nothing"
    return Finding(
        id="truncated-log",
        severity=Severity.WARNING if broken else Severity.NOTE,
        confidence=confidence(),
        title=f"An event file {what}: {issues[0].file}",
        onset=Interval(min(steps), max(steps)) if steps else (Interval(last, last) if cut else None),
        extent=Interval(min(steps), max(steps)) if steps else None,
        evidence=tuple(evidence),
        causes=(
            Cause("The process was killed or the disk was full while it wrote", "the last record is incomplete" if cut else ""),
            Cause("The file was copied or synchronised while it was being written"),
            Cause("The storage is damaged", "a record in the middle fails its checksum" if "corrupt" in kinds else ""),
        ),
        first_check="Compare the size of the file with its original on the machine that wrote it.",
        first_action="Copy the event file again from the machine that wrote it, after its writer was closed.",
        fixes=(
            "Close or flush the writer at the end and on signals",
            "Synchronise logs only after flushing",
            "Check the disk's free space and health",
        ),
        success_rule=SuccessRule(
            all=(predicate("log", "damaged", "==", 0.0), predicate("log", "empty_files", "==", 0.0)),
            sentence="Nothing of any event file is lost, and none is empty.",
            guards=(),
        ),
        phase=LOG,
        roles=("log",),
    )


def _plain(kind: str) -> str:
    return {
        "truncated": "The file ends in the middle of a record",
        "corrupt": "A record fails its checksum",
        "bad-record": "A record does not parse",
        "shrunk": "The file became shorter while it was read",
        "vanished": "The file vanished while it was read",
        "unreadable-file": "The file could not be opened",
        "empty-file": "There is not one byte",
        "no-records": "There is no record",
    }.get(kind, kind)


def _run(*issues: ReadIssue) -> Run:
    run = _synth.make_run({"train/loss": _synth.decay(50, 2.0, 0.3)})
    return replace(run, issues=issues)


def _cut() -> Run:
    return _run(ReadIssue("truncated", "events.out.tfevents.0", "ends within a record", offset=2400, end=2450, size=2450, last_step=49))


def _corrupt() -> Run:
    return _run(
        ReadIssue(
            "corrupt", "events.out.tfevents.0", "a record fails its checksum", offset=900, end=950, size=2500, first_step=18, last_step=20
        )
    )


def _whole() -> Run:
    return _run()


def _restarted() -> Run:
    return _run(ReadIssue("restart", "events.out.tfevents.0", "resumed", damage=False))


EXAMPLES = (
    Example("last record incomplete", _cut, fires=True),
    Example("checksum error in the middle", _corrupt, fires=True, onset=(18, 20)),
    Example("whole file", _whole, fires=False),
    Example("a clean restart", _restarted, fires=False),
)

DETECTOR = Detector(
    id="truncated-log",
    title="Truncated or corrupt log",
    summary="An event file is cut off or corrupt.",
    severity=Severity.WARNING,
    phase=LOG,
    detect=detect,
    doc=__doc__ or "",
    needs=("log",),
    domains=EVERY,
    examples=EXAMPLES,
)
