"""Report -> GitHub workflow commands: one annotation a finding."""

from __future__ import annotations

from typing import Any

from tbdiag.render import words

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def render_github(report: dict[str, Any]) -> str:
    """``::error``, ``::warning`` and ``::notice`` lines, worst first; consequences are named in their head's line."""
    view = words.visible_tree(report)
    rows: list[tuple[int, str]] = []
    for run in view["runs"]:
        if run["verdict"] == "unreadable":
            rows.append((0, _line("error", f"tbdiag: {words.label(run)}", words.run_title(run))))
        for finding in words.heads(run):
            text = finding["title"]
            if finding["onset"]:
                text += f" (onset {words.onset(finding)})"
            if finding["first_action"] and finding["severity"] != "note":
                text += f"\nFirst action: {finding['first_action']}"
            followers = words.consequences(run, finding)
            if followers:
                text += f"\nAlso explains: {', '.join(f['id'] for f in followers)}"
            if order := words.chain(finding, words.axis_word(run)):
                text += f"\nIn order of onset: {order}"
            place = words.SEVERITIES.index(finding["severity"])
            rows.append((place, _line(_COMMANDS[finding["severity"]], f"tbdiag: {finding['id']} in {words.label(run)}", text)))
    if not rows:
        rows.append((0, _line("notice", "tbdiag", words.report_title(view))))
    return "".join(f"{line}\n" for _, line in sorted(rows, key=lambda row: row[0]))


def _line(command: str, title: str, text: str) -> str:
    return f"::{command} title={_property(title)}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


__all__ = ["render_github"]
