"""Report -> Markdown for a pull-request comment or a job summary: verdict first, within a budget of characters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tbdiag.render import words
from tbdiag.render.grouping import grouped_checks

LIMIT = 60_000
"""Characters; GitHub refuses comments of more than 65,536."""
_SIGNS = {
    "error": "\U0001f7e5",
    "warning": "\U0001f7e7",
    "note": "\U0001f7e6",
    "healthy": "\U0001f7e9",
    "unclear": "\u2b1c",
    "unreadable": "\u2b1b",
}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#!|~$]|^[-+])")
_OVERVIEW_ROWS = 200


def render_markdown(report: dict[str, Any], *, limit: int = LIMIT, marker: str = "report", link: str = "") -> str:
    """The report as Markdown.

    Args:
        report: a prepared report.
        limit: most characters. Parts that do not fit are left out from the end, and a last line says so.
        marker: name in the hidden first line, by which a bot finds its own comment to update it.
        link: address of the full report.
    """
    view = words.visible_tree(report)
    runs = view["runs"]
    many = len(runs) != 1
    name = re.sub(r"[^\w.-]+", "-", marker)[:80] or "report"
    head = [f"<!-- tbdiag:{name} -->"]
    kinds = [words.worst(run) for run in runs]
    sign = next((_SIGNS[k] for k in ("error", "unreadable", "warning", "unclear", "note", "healthy") if k in kinds), _SIGNS["unclear"])
    head.append(f"## {sign} {escape(words.report_title(view))}")
    parts: list[str] = ["\n\n".join(head)]
    if many:
        parts += _overview(runs)
    ordered = sorted(range(len(runs)), key=lambda i: (kinds[i] in ("healthy", "note"), i)) if many else range(len(runs))
    for i in ordered:
        if not many or kinds[i] not in ("healthy", "note"):
            parts += _run(runs[i], many)
    for heading, problems in (("Not read", [p for p in view["problems"] if p["kind"] != "suppression"]), ("Suppressions", _stale(view))):
        if problems:
            parts.append(f"**{heading}**\n\n" + "\n".join(f"- {code(p['file'])}: {escape(p['message'])}" for p in problems[:50]))
    tail = f"[Full report]({_address(link)})" if link else ""
    return _fitted(parts, tail, limit)


def _stale(view: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Suppressions that have expired or match nothing."""
    return [p for p in view["problems"] if p["kind"] == "suppression"]


def escape(text: str) -> str:
    """Text without Markdown, HTML, mention or reference meaning."""
    text = _SPECIAL.sub(r"\\\1", " ".join(text.split()).replace("&", "&amp;"))
    # a zero-width space stops mentions, issue references and bare addresses from becoming links that notify somebody
    return re.sub(r"(?i)(https?|ftp):(?=//)|\bwww\.|@(?=\w)", lambda m: f"{m[0]}&#8203;", text)


def code(text: str) -> str:
    """Text as a code span that it cannot leave, also inside a table."""
    text = " ".join(text.split()).replace("|", "\u2502")
    longest = max((len(m) for m in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}" if text else ""


def _address(link: str) -> str:
    return re.sub(r"[\s()<>\"']", lambda m: f"%{ord(m[0]):02X}", link) if re.match(r"(?i)https?://", link) else "#"


def _overview(runs: list[dict[str, Any]]) -> list[str]:
    rows = ["| | run | verdict | onset | best step | next experiment |", "|---|---|---|--:|--:|---|"]
    for run in runs[:_OVERVIEW_ROWS]:
        kind = words.worst(run)
        first = next((f for f in words.heads(run) if f["severity"] != "note"), None)
        best = words.best_step(run["best_checkpoint"])
        action = escape(words.in_short(run["next_experiment"]["action"])) if run["next_experiment"] else ""
        onset = words.onset(first) if first else ""
        rows.append(f"| {_SIGNS[kind]} | {code(words.label(run))} | {escape(words.headline(run))} | {onset} | {best} | {action} |")
    if len(runs) > _OVERVIEW_ROWS:
        rows.append(f"| | and {words.plural(len(runs) - _OVERVIEW_ROWS, 'run')} more | | | | |")
    return ["\n".join(rows)]


def _run(run: Mapping[str, Any], many: bool) -> list[str]:
    parts = []
    if many:
        parts.append(f"### {_SIGNS[words.worst(run)]} {escape(words.run_title(run))}")
    first = [escape(words.what_was_read(run))] if words.what_was_read(run) else []
    first += [f"\u26a0\ufe0f {escape(i['message'])}" for i in run["read_issues"] if i.get("damage")][:5]
    if first:
        parts.append("  \n".join(first))
    chosen = run["next_experiment"]
    if chosen:
        rows = [f"> **Next experiment:** {escape(chosen['action'])}"]
        if chosen.get("why"):
            rows.append(f"> **Why:** {escape(chosen['why'])}")
        if told := words.outcomes(chosen):
            rows.append("\n".join(f"> - {escape(o)}" for o in told))
        if chosen.get("success_rule"):
            rows.append(f"> **{words.rule_label(chosen)}:** {escape(chosen['success_rule'])}")
        if chosen.get("command"):
            rows.append(f"> **Check it with:** {code(chosen['command'])}")
        parts.append("\n>\n".join(rows))
    heads = words.heads(run)
    if heads:
        rows = ["| | finding | onset | confidence |", "|---|---|--:|--:|"]
        for f in heads:
            rows.append(
                f"| {_SIGNS[f['severity']]} {f['severity']} | {escape(f['title'])} | {words.onset(f)} | {round(100 * f['confidence'])} % |"
            )
        parts.append("\n".join(rows))
    parts += [_details(run, f) for f in heads]
    if run["note"]:
        lines = "\n".join(f"- **{escape(k.replace('_', ' ').capitalize())}:** {escape(v)}" for k, v in run["note"].items())
        parts.append(f"<details><summary>Symptom-to-action note</summary>\n\n{lines}\n\n</details>")
    if not many:
        parts += _rest(run)
    return parts


def _details(run: Mapping[str, Any], f: Mapping[str, Any]) -> str:
    lines = [f"<details><summary>{code_html(f['id'])}: evidence, causes, action</summary>", ""]
    lines += [f"- {escape(e['statement'])}" for e in f["evidence"]]
    if f["causes"]:
        lines += ["", "Likely causes, most likely first:", ""]
        lines += [f"{k}. {escape(c['text'])}" + (f" ({escape(c['why'])})" if c.get("why") else "") for k, c in enumerate(f["causes"], 1)]
    for label, text in (("First check", f["first_check"]), ("First action", f["first_action"])):
        if text:
            lines += ["", f"**{label}:** {escape(text)}"]
    if f["success_rule"]:
        lines += ["", f"**Success rule:** {escape(f['success_rule']['sentence'])}"]
    followers = words.consequences(run, f)
    if followers:
        lines += ["", "Consequences: " + "; ".join(f"{code(c['id'])} {escape(c['title'])}" for c in followers)]
    if order := words.chain(f, words.axis_word(run)):
        lines += ["", f"**In order of onset:** {escape(order)}"]
    return "\n".join([*lines, "", "</details>"])


def code_html(text: str) -> str:
    """Text as HTML code."""
    from html import escape as html_escape

    return f"<code>{html_escape(text)}</code>"


def _rest(run: Mapping[str, Any]) -> list[str]:
    parts = []
    if run["checks"]:
        rows = "\n".join(
            f"- {escape(word)}{f' ({escape(why)})' if why else ''}: {', '.join(map(code, ids.split(', ')))}"
            for word, ids, why in grouped_checks(run)
        )
        parts.append(f"<details><summary>Checks</summary>\n\n{rows}\n\n</details>")
    absent = [m for m in run["missing_evidence"] if not m["present"]]
    if absent:
        rows = "\n".join(f"- **{escape(m['title'])}:** {escape(m['why'])}" for m in absent)
        parts.append(f"<details><summary>Missing evidence</summary>\n\n{rows}\n\n</details>")
    return parts


def _fitted(parts: list[str], tail: str, limit: int) -> str:
    """Parts joined while they fit; what does not fit is counted, never cut in the middle (only the verdict itself may be)."""
    end = f"\n\n{tail}\n" if tail else "\n"
    whole = "\n\n".join(parts) + end
    if len(whole) <= limit:
        return whole
    where = "the full report has them" if tail else "the HTML or JSON report has them"
    room = limit - len(end) - 120
    kept = [parts[0][: max(room, 80)]]
    used = len(kept[0])
    for part in parts[1:]:
        if used + len(part) + 2 > room:
            # a table loses rows from its end, everything else is left out whole
            rows = part.split("\n") if part.startswith("| ") else []
            while len(rows) > 3 and used + sum(map(len, rows)) + len(rows) + 2 > room:
                rows.pop()
            if len(rows) > 3:
                kept.append("\n".join(rows))
            break
        kept.append(part)
        used += len(part) + 2
    left = len(parts) - len(kept)
    note = f"_Cut to {limit:,} characters: {words.plural(max(left, 1), 'part')} left out; {where}._"
    return "\n\n".join([*kept, note]) + end


__all__ = ["LIMIT", "code", "escape", "render_markdown"]
