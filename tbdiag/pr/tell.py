"""The comment on a pull request: Markdown within GitHub's budget, verdict first, errors always, notes dropped first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tbdiag.compare.document import clean, escape_markdown
from tbdiag.compare.judge import GroupResult
from tbdiag.compare.tell_compare import tell_reach
from tbdiag.compare.tell_verify import WORDS, number
from tbdiag.pr.review import Review

BUDGET = 60_000
"""Characters of a comment; GitHub takes 65,536 and refuses the rest."""
MARKER = "<!-- tbdiag:{} -->"
VERDICT = "<!-- tbdiag-verdict: {} -->"
ICONS = {"error": "🔴", "warning": "🟠", "note": "⚪"}


def comment(result: Review, *, name: str = "report", link: str | None = None) -> str:
    """The whole comment; `name` tells comments of several workflows apart, `link` is the URL of the full report."""
    line = verdict_line(result)
    head = [
        MARKER.format(_hidden(name)),
        VERDICT.format(_hidden(line)),
        f"### tbdiag: {escape_markdown(line)}",
        "",
    ]
    if result.base is None:
        where = f" ({escape_markdown(result.base_name)} is not there)" if result.base_name else ""
        head += [f"There is no base to compare with yet{where}: this is a report of the head alone, and every error counts as new.", ""]
    head += [_counts(result), ""]
    foot = [f"[Full report]({link})" if link else "The full report is the file `report.html` of this run's artifacts.", ""]
    for severities in (("error", "warning", "note"), ("error", "warning"), ("error",)):
        body = _body(result, severities)
        text = "\n".join([*head, *body, *foot])
        if len(text) <= BUDGET:
            return text
    room = BUDGET - len("\n".join([*head, *foot])) - 200
    return "\n".join([*head, "\n".join(body)[:room].rsplit("\n", 1)[0], "", "_The list is cut here: see the full report._", *foot])


def verdict_line(result: Review) -> str:
    """One line that says what changed: ``1 new error, 1 fixed; val_loss better``."""
    parts = []
    for severity in ("error", "warning"):
        n = result.count("new", severity)
        if n:
            parts.append(f"{n} new {severity}{'s' * (n != 1)}")
    for kind in ("worse", "fixed"):
        n = result.count(kind)
        if n:
            parts.append(f"{n} {kind}")
    if not parts:
        same = result.count("unchanged")
        parts.append(f"nothing new, {same} finding{'s' * (same != 1)} as before" if same else "nothing found")
    line = ", ".join(parts)
    if result.comparison is not None:
        told = [g for g in result.comparison.groups if g.verdict in ("better", "worse")]
        if told:
            line += "; " + ", ".join(sorted({f"{_measure(g)} {g.verdict}" for g in told}))
        elif result.comparison.groups:
            line += "; no evidence of a difference in the measures"
    return clean(line)


def _measure(group: GroupResult) -> str:
    return group.deciding.name if group.deciding is not None else "the run"


def _counts(result: Review) -> str:
    kinds = ("new", "worse", "fixed", "unchanged")
    rows = ["| | new | worse | fixed | unchanged |", "|---|---|---|---|---|"]
    for severity in ("error", "warning", "note"):
        cells = [str(result.count(kind, severity)) for kind in kinds]
        rows.append(f"| {ICONS[severity]} {severity}s | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _body(result: Review, severities: tuple[str, ...]) -> list[str]:
    lines: list[str] = []
    for kind, title in (("new", "New"), ("worse", "Worse"), ("fixed", "No longer found"), ("unchanged", "As before")):
        placed = [(run, f) for run, f in result.findings(kind) if f["severity"] in severities and not f.get("caused_by")]
        tell = _tell_new if kind in ("new", "worse") else _tell_short
        told = [line for run, finding in placed for line in tell(run, finding)]
        lines += [f"**{title}**", "", *told, ""] if told else []
    if result.verification is not None and result.verification.findings:
        lines += _rules(result, severities)
    if result.comparison is not None:
        for group in result.comparison.groups:
            lines += _measures(group)
    return lines


def _tell_new(run: str, finding: Mapping[str, Any]) -> list[str]:
    rule = finding.get("success_rule") or {}
    where = f" in {escape_markdown(run)}" if run not in (".", "") else ""
    leads = f" (it led to {escape_markdown(', '.join(finding['consequences']))})" if finding["consequences"] else ""
    out = [f"- {ICONS[finding['severity']]} **{escape_markdown(finding['id'])}**{where}: {escape_markdown(finding['title'])}{leads}"]
    if finding["severity"] != "note":
        out.append(f"  - Do first: {escape_markdown(finding['first_action'])}")
        out.append(f"  - Fixed when: {escape_markdown(str(rule.get('sentence', '')))}")
    return out


def _tell_short(run: str, finding: Mapping[str, Any]) -> list[str]:
    where = f" in {escape_markdown(run)}" if run not in (".", "") else ""
    return [f"- {ICONS[finding['severity']]} {escape_markdown(finding['id'])}{where}"]


def _rules(result: Review, severities: tuple[str, ...]) -> list[str]:
    assert result.verification is not None
    rows = [v for v in result.verification.findings if v.finding["severity"] in severities]
    if not rows:
        return []
    out = ["<details><summary>Success rules of the base's findings</summary>", "", "| finding | verdict | why |", "|---|---|---|"]
    out += [f"| {escape_markdown(v.finding['id'])} | {WORDS.get(v.verdict, v.verdict)} | {escape_markdown(v.reason)} |" for v in rows]
    out += ["", "</details>", ""]
    return [*out, *(f"One fix at a time: {escape_markdown(text)}." for _, text in result.verification.confounded)]


def _measures(group: GroupResult) -> list[str]:
    if not group.differences:
        return []
    out = [
        f"<details><summary>Measures of {escape_markdown(group.group.name)}: {group.verdict}</summary>",
        "",
        "| role | base | head | difference (95 % interval) | verdict |",
        "|---|---|---|---|---|",
    ]
    for d in group.differences:
        e = d.estimate
        cells = (
            f"{d.statistic} {d.name}",
            number(d.base),
            number(d.head),
            f"{e.difference:+.3g} ({e.low:+.3g} to {e.high:+.3g})",
            d.verdict,
        )
        out.append("| " + " | ".join(map(escape_markdown, cells)) + " |")
    if group.reach is not None:
        out += ["", escape_markdown(tell_reach(group.reach))]
    if group.changes:
        shown = (f"{c.key}: {number(c.before)} to {number(c.after)}" for c in group.changes)
        out += ["", "Settings changed: " + escape_markdown("; ".join(shown)) + "."]
    return [*out, "", "</details>", ""]


def _hidden(text: str) -> str:
    """Text inside an HTML comment, which ``--`` and ``>`` would end."""
    return clean(text).replace("--", "- -").replace(">", ")").replace("<", "(")
