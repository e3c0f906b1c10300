"""Rows of the site: every run in order, worst first, as HTML and as the compact data that the script filters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from tbdiag.nightly.digest import show_time
from tbdiag.nightly.status import STATUSES, judge_status

if TYPE_CHECKING:
    from tbdiag.nightly.state import State

KINDS = ("error", "failed", "unreadable", "warning", "note", "unclear", "healthy")
STATES = ("pending", "new", "ongoing", "fixed", "regressed")
WORDS = {
    "error": "Error",
    "failed": "Failed",
    "unreadable": "Unreadable",
    "warning": "Warning",
    "note": "Note",
    "unclear": "Unclear",
    "healthy": "Healthy",
}
TAGS = {"pending": "first seen", "new": "new", "ongoing": "", "fixed": "fixed", "regressed": "back", "muted": "muted"}
_KIND_NUMBERS = {kind: i for i, kind in enumerate(KINDS)}
_STATUS_NUMBERS = {status: i for i, status in enumerate(STATUSES)}
_ICONS = {"failed": "unreadable"}
_DIGITS = {c: i for i, c in enumerate("0123456789abcdefghijklmnopqrstuvwxyz")}


@dataclass(frozen=True, slots=True)
class RowFinding:
    """A finding in a row: what it is, how bad, what became of it, when it was first seen (seconds since the epoch)."""

    id: str
    severity: int
    state: str
    title: str
    action: str
    since: float


@dataclass(frozen=True, slots=True)
class Row:
    """One run of the site; `kind` is one of `KINDS`, `page` its full report's file name or empty."""

    name: str
    owner: str
    kind: str
    status: str
    last_write: float | None
    page: str
    spark: str
    why: str
    findings: tuple[RowFinding, ...] = ()


class Ranked(NamedTuple):
    """The place of a run on the site; `changed` numbers the last change of what its row is made of, its status aside."""

    rank: int
    fewer: int
    name: str
    id: int
    status: str
    changed: int


_QUIET_RANKS = {"findings": 5, "unclear": 6}


def rank_runs(state: State, now: float) -> list[Ranked]:
    """All runs that are there, worst first: errors, failures, warnings, stalled or crashed ones, then the rest; then by name."""
    worst = {
        run: (severity, -n)
        for run, severity, n in state.db.execute(
            """
            SELECT f.run, min(f.severity), count(*) FROM findings f JOIN history h ON h.run = f.run AND h.finding = f.finding
            WHERE f.caused_by IS NULL AND h.state <> 'fixed' AND h.muted IS NULL AND f.severity < 2 GROUP BY f.run
            """
        )
    }
    ranked = []
    rows = state.db.execute(
        "SELECT id, name, verdict, failed <> '', live_until, last_write, iif(ending = '', peers, ending), changed FROM runs WHERE gone_night IS NULL"
    )
    for run, name, verdict, failed, live_until, last_write, ending, changed in rows:
        severity, n = worst.get(run, (2, 0))
        status = judge_status(now=now, live_until=live_until, last_write=last_write, ending=ending)
        if failed or verdict == "unreadable":
            rank = min(severity * 3, 1 if failed else 2)
        elif severity < 2:
            rank = severity * 3
        else:
            rank = 4 if status in ("stalled", "crashed") else _QUIET_RANKS.get(verdict, 7)
        ranked.append(Ranked(rank, n, name, run, status, changed))
    ranked.sort()
    return ranked


def load_rows(state: State, ids: Sequence[int], now: float) -> Iterator[Row]:
    """Rows of runs in the order of `ids`, read in chunks."""
    for start in range(0, len(ids), 500):
        chunk = list(ids[start : start + 500])
        marks = ",".join("?" * len(chunk))
        found: dict[int, list[RowFinding]] = {}
        for run, finding, severity, muted, what, title, action, since in state.db.execute(
            f"""
            SELECT f.run, f.finding, f.severity, h.muted IS NOT NULL, h.state, f.title, f.action, n.now
            FROM findings f JOIN history h ON h.run = f.run AND h.finding = f.finding LEFT JOIN nights n ON n.id = h.first_night
            WHERE f.run IN ({marks}) AND f.caused_by IS NULL AND f.severity < 2 ORDER BY f.run, h.muted IS NOT NULL, h.state = 'fixed', f.position
            """,  # noqa: S608 - question marks only
            chunk,
        ):
            found.setdefault(run, []).append(RowFinding(finding, severity, "muted" if muted else what, title, action, since or 0.0))
        rows = {
            row[0]: row[1:]
            for row in state.db.execute(
                f"""
                SELECT r.id, r.name, r.owner, r.verdict, r.failed, r.headline, r.live_until, r.last_write, iif(r.ending = '', r.peers, r.ending), r.spark, coalesce(p.name, '')
                FROM runs r LEFT JOIN reports p ON p.run = r.id AND p.until_night IS NULL WHERE r.id IN ({marks})
                """,  # noqa: S608
                chunk,
            )
        }
        for run in chunk:
            name, owner, verdict, failed, headline, live_until, last_write, ending, spark, page = rows[run]
            findings = tuple(found.get(run, ()))
            live = [f for f in findings if f.state not in ("fixed", "muted")]
            status = judge_status(now=now, live_until=live_until, last_write=last_write, ending=ending)
            why = failed or (headline.removeprefix(f"{name}: ") if verdict == "unreadable" else "")
            kind = _kind(failed, verdict, min((f.severity for f in live), default=2))
            yield Row(name, owner, kind, status, last_write, page, spark if live or why else "", why, findings)


def _kind(failed: str, verdict: str, severity: int) -> str:
    if severity == 0:
        return "error"
    if failed:
        return "failed"
    if verdict == "unreadable":
        return "unreadable"
    if severity == 1:
        return "warning"
    return {"findings": "note", "unclear": "unclear"}.get(verdict, "healthy")


def row_html(row: Row) -> str:
    """One table row. Plain string building: ten thousand of them must not cost a second."""
    name = escape(row.name).replace("/", "/<wbr>")
    if row.page:
        name = f'<a href="runs/{row.page}">{name}</a>'
    owner = f'<span class="hd">{escape(row.owner)}</span>' if row.owner else ""
    what = "".join(_finding_html(f) for f in row.findings[:1])
    if row.why:
        what = f'<p class="wh">{escape(row.why[:300])}</p>{what}'
    if row.findings and row.findings[0].action and row.findings[0].state not in ("fixed", "muted"):
        what += f'<p class="ac">Do first: {escape(row.findings[0].action)}</p>'
    if len(row.findings) > 1:
        also = ", ".join(f"{f.id}{_tag(f.state)}" for f in row.findings[1:9])
        more = f" and {len(row.findings) - 9} more" if len(row.findings) > 9 else ""
        what += f'<p class="ac">Also {also}{more}</p>'
    icon = _ICONS.get(row.kind, row.kind)
    when = show_time(row.last_write) if row.last_write is not None else ""
    return (
        f'<tr><td class="v v-{icon}"><svg class="ic i-{icon}" width="16" height="16" aria-hidden="true"><use href="#k-{icon}"/></svg> '
        f'{WORDS[row.kind]}</td><th scope="row">{name}{owner}</th><td class="nx">{what}</td><td class="spk">{spark_svg(row.spark)}</td>'
        f'<td class="st s-{row.status}">{row.status}</td><td class="num">{when}</td></tr>\n'
    )


def _finding_html(found: RowFinding) -> str:
    return f'<p class="wh">{escape(found.title)}{_tag(found.state)}</p>'


def _tag(state: str) -> str:
    word = TAGS[state]
    return f' <b class="tag t-{state}">{word}</b>' if word else ""


def spark_svg(spark: str) -> str:
    """A sparkline from its characters; gaps where nothing finite was logged."""
    if not spark or not spark.strip("-"):
        return ""
    parts, pen = [], False
    for i, c in enumerate(spark):
        level = _DIGITS.get(c)
        if level is None:
            pen = False
            continue
        parts.append(f"{'L' if pen else 'M'}{2 + i * 4} {20 - level // 2}")
        pen = True
    gap = spark.find("-")
    mark = f'<path class="gp" d="M{2 + gap * 4} 2V20" stroke="#b3261e"/>' if gap >= 0 else ""
    return (
        '<svg class="sp" width="112" height="22" viewBox="0 0 112 22" aria-hidden="true">'
        f'<path class="c0" fill="none" stroke="#1d5fd6" stroke-width="1.5" d="{"".join(parts)}"/>{mark}</svg>'
    )


class RowData:
    """Rows as compact JSON for the script: texts that repeat are kept once and named by number.

    Args:
        owners, findings: every owner and every finding that rows may name, in order.
    """

    def __init__(self, owners: Sequence[str], findings: Sequence[str]) -> None:
        self._owners = {owner: i for i, owner in enumerate(owners)}
        self._findings = {finding: i for i, finding in enumerate(findings)}

    def write(self, rows: Iterable[Row]) -> str:
        """Items of a JSON array; rows without findings take five short fields."""
        return json.dumps([self._fields(row) for row in rows], separators=(",", ":"), ensure_ascii=False)[1:-1]

    def _fields(self, row: Row) -> list[object]:
        data: list[object] = [
            row.name,
            self._owners[row.owner],
            _KIND_NUMBERS[row.kind],
            _STATUS_NUMBERS[row.status],
            int(row.last_write // 60) if row.last_write is not None else 0,
        ]
        if row.page or row.findings or row.why:
            found = [[self._findings[f.id], (*STATES, "muted").index(f.state)] for f in row.findings[:9]]
            first = row.findings[0] if row.findings else None
            data += [row.page, row.spark, found, first.title if first else "", first.action if first else "", row.why[:300]]
        return data

    def text(self, parts: Iterable[str]) -> str:
        """``{"owners", "findings", "kinds", "statuses", "states", "rows"}`` as JSON; `parts` as `write` made them."""
        names = {
            "owners": list(self._owners),
            "findings": list(self._findings),
            "kinds": [[k, WORDS[k]] for k in KINDS],
            "statuses": STATUSES,
            "states": [[s, TAGS[s]] for s in (*STATES, "muted")],
        }
        head = json.dumps(names, separators=(",", ":"), ensure_ascii=False)
        return f'{head[:-1]},"rows":[{",".join(filter(None, parts))}]}}'
