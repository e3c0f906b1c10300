"""Follows live runs: reads on as they grow, judges again, tells only what changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tbdiag.config import Config
from tbdiag.errors import LogdirError
from tbdiag.nightly.judge import find_last_write, how_it_ends
from tbdiag.nightly.naming import show_name
from tbdiag.nightly.source import survey_roots
from tbdiag.nightly.status import judge_status

if TYPE_CHECKING:
    from tbdiag.logs import RunListing, RunState
    from tbdiag.model import Finding

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changed in a run.

    Attributes:
        kind: ``run`` (it appeared), ``status``, ``finding`` (new, or worse than before), ``gone`` (a finding that no longer holds),
            ``trouble`` (it cannot be read).
        severity: of a finding, else empty.
    """

    run: str
    kind: str
    text: str
    severity: str = ""
    finding: str = ""
    action: str = ""


@dataclass(slots=True)
class _Followed:
    state: RunState
    status: str = ""
    live_until: float | None = None
    was_live: bool | None = None
    findings: dict[str, tuple[int, str]] = field(default_factory=dict)
    last_write: float | None = None
    ending: str = ""


class Watch:
    """Runs beneath a logdir, followed. Every `step` costs one listing, and one judgement a run that grew.

    Args:
        logdir: directory or event file; it need not exist yet.
        least: lowest severity that is told: 0 error, 1 warning, 2 note.
    """

    def __init__(self, logdir: str, config: Config | None = None, *, least: int = 1) -> None:
        self.logdir = logdir
        self.config = config or Config()
        self.least = least
        self._runs: dict[str, _Followed] = {}

    @property
    def statuses(self) -> dict[str, str]:
        """Status of each run by name, see `tbdiag.nightly.status`."""
        return {followed.state.run.name: followed.status for followed in self._runs.values()}

    def step(self, now: float) -> list[Change]:
        """Look once, at `now` (seconds since the epoch); what changed since the last look, in order of the runs' names."""
        try:
            listings = survey_roots([self.logdir]).runs()
        except LogdirError:
            if self._runs:
                raise
            return []
        changes: list[Change] = []
        for listing in listings:
            changes += self._look(listing, now)
        return changes

    def _look(self, listing: RunListing, now: float) -> list[Change]:
        from tbdiag.logs import open_run, refresh

        name = show_name(listing.name)
        known = self._runs.get(listing.path)
        changes = []
        if known is None:
            known = self._runs[listing.path] = _Followed(open_run(listing))
            changes.append(Change(name, "run", "is being followed"))
            grown = True
        elif grown := known.state.changed(listing):
            known.state = refresh(known.state, listing)
        live = known.live_until is not None and now <= known.live_until
        if grown or live != known.was_live:
            changes += self._judge(known, name, now)
        status = judge_status(now=now, live_until=known.live_until, last_write=known.last_write, ending=known.ending)
        if status != known.status:
            if known.status or status != "live":
                changes.append(Change(name, "status", f"{known.status or 'now'} -> {status}" if known.status else f"is {status}"))
            known.status = status
        return changes

    def _judge(self, known: _Followed, name: str, now: float) -> list[Change]:
        from tbdiag.diagnosis import judge_run, live_until

        run = known.state.run
        known.live_until, known.last_write = live_until(run), find_last_write(run)
        known.was_live, known.ending = False, ""
        findings: tuple[Finding, ...] = ()
        if run.readable:
            judged = judge_run(run, self.config, now=now)
            known.was_live, known.ending, findings = judged.live, how_it_ends(judged), judged.findings
        found = {f.id: f for f in findings if f.caused_by is None and f.severity.rank <= self.least}
        changes = [self._tell(name, f) for f in found.values() if f.severity.rank < known.findings.get(f.id, (9, ""))[0]]
        changes += [
            Change(name, "gone", f"no longer: {title}", SEVERITIES[rank], finding)
            for finding, (rank, title) in known.findings.items()
            if finding not in found
        ]
        known.findings = {f.id: (f.severity.rank, show_name(f.title)) for f in found.values()}
        return changes

    @staticmethod
    def _tell(name: str, found: Finding) -> Change:
        return Change(name, "finding", show_name(found.title), found.severity.value, found.id, show_name(found.first_action))
