"""The night in two minutes: what is new, what is fixed, what could not be judged; as data, Markdown, JSON and JUnit."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any

from tbdiag.nightly.history import OPEN, last_told
from tbdiag.nightly.status import judge_status

if TYPE_CHECKING:
    from tbdiag.nightly.state import State

MOST = 100
"""Lines of each list; the rest is counted. The whole stays below what a comment or a chat message may hold."""
RECENT = 7 * 86400.0
"""Seconds for which a stalled or crashed run is something to look after; later it is history."""
SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Line:
    """One finding of one run as a digest tells it; `page` is its full report relative to the site, or empty."""

    run: str
    owner: str
    finding: str
    severity: str
    state: str
    title: str
    action: str
    since: str
    page: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A run that could not be judged, or that looks stalled or crashed."""

    run: str
    owner: str
    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class Trend:
    """Number of runs with a finding, night by night (the last one is tonight)."""

    finding: str
    severity: str
    runs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """What a night tells. Lists hold at most `MOST` lines, worst first; `counts` holds the whole numbers."""

    title: str
    night: int
    now: float
    counts: dict[str, int]
    new: tuple[Line, ...]
    fixed: tuple[Line, ...]
    trouble: tuple[Trouble, ...]
    muted: tuple[Line, ...]
    trends: tuple[Trend, ...]
    nights: tuple[str, ...]

    @property
    def when(self) -> str:
        """When the night was judged, in UTC."""
        return show_time(self.now)


def show_time(seconds: float) -> str:
    """A time as ``2026-11-22 03:00`` in UTC."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.timezone.utc).isoformat(" ", "minutes")[:16]
    except (OverflowError, OSError, ValueError):
        return "unknown"


_LINE = """
SELECT r.name, r.owner, f.finding, f.severity, h.state, f.title, f.action, n.now, coalesce(p.name, ''), coalesce(b.name, '')
"""
_JOINS = """
LEFT JOIN nights n ON n.id = h.first_night
LEFT JOIN reports p ON p.run = r.id AND p.until_night IS NULL
LEFT JOIN runs b ON b.id = h.fixed_by
"""


def gather_digest(state: State, night: int, title: str) -> Digest:
    """Gather the digest of a closed night."""
    db, told = state.db, last_told(state)
    row = db.execute("SELECT now, runs, judged, failed, errors, warnings, new, fixed FROM nights WHERE id = ?", (night,)).fetchone()
    counts = dict(zip(("runs", "judged", "failed", "errors", "warnings", "new", "fixed"), row[1:], strict=True))
    open_findings = OPEN.replace("WHERE", f"{_JOINS} WHERE", 1)
    order = "ORDER BY f.severity, h.state = 'new', f.confidence DESC, r.name, f.position LIMIT ?"
    new = db.execute(f"{_LINE} {open_findings} AND f.severity < 2 AND h.new_night > ? {order}", (told, MOST)).fetchall()
    counts["pending"] = db.execute(f"SELECT count(*) {OPEN} AND h.state = 'pending'").fetchone()[0]
    muted = db.execute(
        f"""
        SELECT r.name, r.owner, f.finding, f.severity, h.state, f.title, h.muted, n.now, coalesce(p.name, ''), ''
        FROM findings f JOIN runs r ON r.id = f.run JOIN history h ON h.run = f.run AND h.finding = f.finding {_JOINS}
        WHERE r.gone_night IS NULL AND h.muted IS NOT NULL AND f.caused_by IS NULL ORDER BY f.severity, r.name, f.finding
        """  # noqa: S608 - fixed texts
    ).fetchall()
    counts["muted"] = len(muted)
    statuses = dict.fromkeys(("live", "stalled", "crashed", "finished", "unknown"), 0)
    trouble: list[Trouble] = []
    for run in find_troubles(state, row[0], statuses, counts["runs"]):
        counts["troubles"] = counts.get("troubles", 0) + 1
        if len(trouble) < MOST:
            trouble.append(run)
    return Digest(
        title=title,
        night=night,
        now=row[0],
        counts={**counts, **statuses},
        new=tuple(_line(r) for r in new),
        fixed=_gather_fixed(state, told),
        trouble=tuple(trouble),
        muted=tuple(_line(r) for r in muted[:MOST]),
        trends=_gather_trends(state, night),
        nights=tuple(show_time(r[0]) for r in _last_nights(state, night)),
    )


def find_troubles(state: State, now: float, statuses: dict[str, int], runs: int) -> Iterator[Trouble]:
    """Runs that failed, are unreadable, stalled or look crashed; counts the statuses of all `runs` on the way."""
    rows = state.db.execute(
        """
        SELECT name, owner, failed, verdict, headline, live_until, last_write, iif(ending = '', peers, ending) FROM runs
        WHERE gone_night IS NULL AND (failed <> '' OR verdict = 'unreadable' OR last_write IS NULL OR live_until >= ?
            OR iif(ending = '', peers, ending) IN ('cut', 'broken', 'short'))
        ORDER BY name
        """,
        (now,),
    ).fetchall()
    statuses["finished"] += runs - len(rows)  # silent and whole: nothing else can be said of them
    for name, owner, failed, verdict, headline, live_until, last_write, ending in rows:
        status = judge_status(now=now, live_until=live_until, last_write=last_write, ending=ending)
        statuses[status] += 1
        if failed:
            yield Trouble(name, owner, "failed", failed)
        elif verdict == "unreadable":
            yield Trouble(name, owner, "unreadable", headline.removeprefix(f"{name}: "))
        elif status in ("stalled", "crashed") and now - last_write <= RECENT:
            yield Trouble(name, owner, status, f"last written {show_time(last_write)}{_ENDINGS[ending]}")


_ENDINGS = {
    "": "",
    "planned": "",
    "cut": ", ends inside a record",
    "broken": ", ends without a finite loss",
    "short": ", before its planned end",
}


def _line(row: tuple[Any, ...]) -> Line:
    run, owner, finding, severity, state, title, action, since, page, by = row
    return Line(run, owner, finding, SEVERITIES[severity], state, title, action, show_time(since), f"runs/{page}" if page else "", by)


def _gather_fixed(state: State, told: int) -> tuple[Line, ...]:
    """Findings fixed since the last told night; their titles are gone with them unless a later run fixed them."""
    rows = state.db.execute(
        f"""
        SELECT r.name, r.owner, h.finding, h.severity, h.state, coalesce(f.title, ''), '', n.now, coalesce(p.name, ''), coalesce(b.name, '')
        FROM history h JOIN runs r ON r.id = h.run LEFT JOIN findings f ON f.run = h.run AND f.finding = h.finding {_JOINS}
        WHERE r.gone_night IS NULL AND h.state = 'fixed' AND h.since_night > ? AND h.severity < 2
        ORDER BY h.severity, r.name, h.finding LIMIT ?
        """,  # noqa: S608 - fixed texts
        (told, MOST),
    ).fetchall()
    return tuple(_line(r) for r in rows)


def _last_nights(state: State, night: int) -> list[tuple[float, int]]:
    rows = state.db.execute("SELECT now, id FROM nights WHERE closed = 1 AND id <= ? ORDER BY id DESC LIMIT 30", (night,)).fetchall()
    return rows[::-1]


def _gather_trends(state: State, night: int) -> tuple[Trend, ...]:
    ids = [row[1] for row in _last_nights(state, night)]
    if not ids:
        return ()
    table: dict[str, tuple[int, dict[int, int]]] = {}
    rows = state.db.execute("SELECT finding, severity, night, runs FROM trends WHERE night >= ? ORDER BY night", (ids[0],))
    for finding, severity, at, runs in rows:
        table.setdefault(finding, (severity, {}))[1][at] = runs
    trends = [Trend(f, SEVERITIES[severity], tuple(by.get(i, 0) for i in ids)) for f, (severity, by) in table.items()]
    return tuple(sorted(trends, key=lambda t: (SEVERITIES.index(t.severity), -t.runs[-1], t.finding)))


def plural(n: int, one: str, many: str = "") -> str:
    """``1 error``, ``2 errors``, ``1,200 runs``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def headline(digest: Digest) -> str:
    """The night in one line."""
    c = digest.counts
    parts = [plural(c["new"], "new finding"), plural(c["errors"], "error"), plural(c["warnings"], "warning"), f"{c['fixed']:,} fixed"]
    if c["failed"]:
        parts.append(f"{c['failed']:,} could not be judged")
    return f"{', '.join(parts)} in {plural(c['runs'], 'run')}"


def escape_markdown(text: str) -> str:
    """Text that comes from logs, made harmless in Markdown: one line, no markup, no HTML."""
    return re.sub(r"([\\`*_{}\[\]<>#|!~])", r"\\\1", " ".join(text.split()))


def write_markdown(digest: Digest) -> str:
    """The digest as Markdown, links relative to the site; well below 60,000 characters."""
    c = digest.counts
    out = [f"# {escape_markdown(digest.title)}: {headline(digest)}", "", f"Night {digest.night}, judged as of {digest.when} UTC."]
    out.append(f"{c['live']:,} live, {c['stalled']:,} stalled, {c['crashed']:,} look crashed, {c['finished']:,} finished.")
    if c["pending"]:
        out.append(f"{plural(c['pending'], 'warning')} seen for the first time wait for a second night.")
    out += _markdown_list("New since last night", digest.new, c["new"])
    out += _markdown_list("Fixed", digest.fixed, c["fixed"])
    if digest.trouble:
        out += ["", f"## Runs to look after ({c['troubles']:,})", ""]
        out += [f"- **{t.kind}** {escape_markdown(t.run[:120])}: {escape_markdown(t.why[:160])}" for t in digest.trouble[:40]]
        out += [f"- and {c['troubles'] - 40:,} more"] if c["troubles"] > 40 else []
    if digest.trends:
        out += ["", "## Findings over the nights", "", "| finding | severity | runs | a night ago |", "|---|---|---|---|"]
        out += [f"| {t.finding} | {t.severity} | {t.runs[-1]:,} | {t.runs[-2] if len(t.runs) > 1 else 0:,} |" for t in digest.trends[:40]]
    if digest.muted:
        out += ["", f"{plural(c['muted'], 'finding')} muted."]
    return "\n".join(out) + "\n"


def _markdown_list(heading: str, lines: tuple[Line, ...], total: int) -> list[str]:
    if not lines:
        return []
    out = ["", f"## {heading} ({total:,})", ""]
    for line in lines[:60]:
        name = escape_markdown(line.run[:120])
        link = f"[{name}]({line.page})" if line.page else name
        owner = f" ({escape_markdown(line.owner[:40])})" if line.owner else ""
        what = escape_markdown((line.title or line.finding)[:240])
        by = f" Fixed by {escape_markdown(line.by[:120])}." if line.by else ""
        back = " It is back." if line.state == "regressed" else ""
        first = f" Do first: {escape_markdown(line.action[:240])}" if line.action and line.state != "fixed" else ""
        out.append(f"- **{line.severity}** {link}{owner}: {what}.{back}{by}{first}")
    if total > 60:
        out.append(f"- and {total - 60:,} more")
    return out


def write_json(digest: Digest) -> str:
    """The digest as strict JSON."""
    from tbdiag import __version__

    data = {"schema_version": "1.0", "tool": {"name": "tbdiag", "version": __version__}, "when": digest.when, **asdict(digest)}
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_junit(state: State, sink: IO[str], title: str) -> None:
    """JUnit for a CI server, a test case a run: failed where a finding at warning or above counts, an error where it could not be judged."""
    db = state.db
    classes: dict[bytes, str] = {}
    found: dict[int, list[tuple[str, str, str]]] = {}
    for run, finding, severity, text in db.execute(
        f"SELECT r.id, f.finding, f.severity, f.title {OPEN} AND f.severity < 2 ORDER BY r.id, f.position"
    ):
        found.setdefault(run, []).append((finding, SEVERITIES[severity], text))
    cases, bad, broken = [], 0, 0
    for run, name, root, unjudged, why in db.execute(
        "SELECT id, name, root, failed <> '' OR verdict = 'unreadable', iif(failed <> '', failed, headline) FROM runs "
        "WHERE gone_night IS NULL ORDER BY name, id"
    ):
        if root not in classes:
            classes[root] = _xml(os.path.basename(os.fsdecode(root)) or "runs")  # noqa: PTH119
        case = f'<testcase classname="{classes[root]}" name="{_xml(name)}"'
        if unjudged:
            broken += 1
            case = f'{case}><error message="{_xml(why)}"/></testcase>'
        elif run in found:
            bad += 1
            text = "\n".join(f"{severity} {finding}: {title}" for finding, severity, title in found[run])
            case = f'{case}><failure type="{found[run][0][0]}" message="{_xml(found[run][0][2])}">{_xml(text)}</failure></testcase>'
        else:
            case += "/>"
        cases.append(case)
    sink.write('<?xml version="1.0" encoding="utf-8"?>\n')
    sink.write(f'<testsuites><testsuite name="{_xml(title)}" tests="{len(cases)}" failures="{bad}" errors="{broken}">\n')
    sink.writelines(f"{case}\n" for case in cases)
    sink.write("</testsuite></testsuites>\n")


_PLAIN = re.compile(r"[\w ./=+:,()-]*", re.ASCII)


def _xml(text: str) -> str:
    """Text for XML: escaped, and without the characters that XML 1.0 cannot hold."""
    from html import escape

    if _PLAIN.fullmatch(text):
        return text
    if text.isascii() and text.isprintable():
        return escape(text)
    clean = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text.encode("utf-8", "replace").decode())
    return escape(clean).replace("\n", "&#10;")
