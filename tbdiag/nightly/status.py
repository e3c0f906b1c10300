"""Whether a run is still going, has finished, stalled, or looks crashed: judged from stored facts, so that it costs no reading."""

from __future__ import annotations

FORGET = 86400.0
"""Seconds of silence after which a run that ended before its planned length counts as crashed rather than stalled."""

STATUSES = ("live", "stalled", "crashed", "finished", "unknown")


def judge_status(*, now: float, live_until: float | None, last_write: float | None, ending: str) -> str:
    """Status of a run.

    Args:
        live_until: until when its silence means nothing (its last write plus N times its own cadence, see
            `tbdiag.diagnosis.live_until`).
        last_write: wall time of its last record.
        ending: see `tbdiag.nightly.tasks.Judgement.ending`.

    Returns:
        ``live``: its next write is not yet overdue. ``finished``: it reached its planned length, or fell silent without any sign that it
        was to go on. ``crashed``: it is silent and its log ends inside a record or without a finite loss, or it ended before its planned
        length and has been silent for a day. ``stalled``: it is silent, before its planned length, and not yet for a day. ``unknown``:
        nothing was readable. The planned length is what the log's configuration or most runs of its family say.
    """
    if last_write is None:
        return "live" if live_until is not None and now <= live_until else "unknown"
    if ending == "planned":
        return "finished"
    if live_until is not None and now <= live_until:
        return "live"
    if ending in ("cut", "broken"):
        return "crashed"
    if ending == "short":
        return "stalled" if now - last_write <= max(FORGET, (live_until or last_write) - last_write) else "crashed"
    return "finished"
