"""Report -> text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from tbdiag.render import words
from tbdiag.render.grouping import grouped_checks

_COLOURS = {"error": "31", "warning": "33", "note": "36", "healthy": "32", "unclear": "2", "unreadable": "31"}
_SIGNS = {"error": "\u2716", "warning": "\u25b2", "note": "\u25cb", "healthy": "\u2714", "unclear": "?", "unreadable": "\u2716"}
BRIEF_RUNS = 12
LISTED = 5
"""Observations of one kind that are printed one by one."""


def render_text(report: dict[str, Any], *, colour: bool = False, brief: bool = False, width: int = 100) -> str:
    """The report as text.

    Args:
        report: a prepared report.
        colour: with ANSI colours.
        brief: verdict, findings with onset and the next experiment only; of many runs one line each.
        width: columns to wrap at.
    """
    view = words.visible_tree(report)
    runs = view["runs"]
    say = _Writer(colour, width)
    if len(runs) != 1:
        say.line(say.paint(words.report_title(view), "1"))
        say.line()
    for place, run in enumerate(runs):
        if brief and len(runs) > 1:
            if place == BRIEF_RUNS:
                say.line(f"  and {words.plural(len(runs) - place, 'more run')} in the report")
                break
            _row(run, say)
            continue
        _run(run, say, brief)
        if place < len(runs) - 1:
            say.line()
    for problem in view["problems"]:
        say.wrap(words.problem(problem), indent="")
    return "\n".join(say.lines) + "\n"


class _Writer:
    def __init__(self, colour: bool, width: int) -> None:
        self.colour, self.width, self.lines = colour, max(40, width), list[str]()

    def line(self, text: str = "") -> None:
        self.lines.append(text.rstrip())

    def wrap(self, text: str, indent: str = "  ", first: str | None = None) -> None:
        head = indent if first is None else first
        self.lines += textwrap.wrap(
            text, self.width, initial_indent=head, subsequent_indent=indent if first is None else " " * len(first), break_on_hyphens=False
        ) or [head.rstrip()]

    def section(self, title: str, texts: list[str]) -> None:
        """A heading above paragraphs, where there are any."""
        if texts:
            self.line()
            self.line(self.paint(title, "1"))
        for text in texts:
            self.wrap(text)

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def sign(self, kind: str) -> str:
        return self.paint(_SIGNS.get(kind, "?"), _COLOURS.get(kind, "2"))


def _row(run: Mapping[str, Any], say: _Writer) -> None:
    say.line(f"{say.sign(words.worst(run))} {words.run_title(run)}")


def _run(run: Mapping[str, Any], say: _Writer, brief: bool) -> None:
    say.line(f"{say.sign(words.worst(run))} {say.paint(words.run_title(run), '1')}")
    say.wrap(words.what_was_read(run))
    for issue in run["read_issues"]:
        if issue.get("damage"):
            say.wrap(f"lost: {issue['message']}")
    heads = words.heads(run)
    if heads:
        say.line()
    for finding in heads:
        _finding(run, finding, say, brief)
    chosen = run["next_experiment"]
    if chosen:
        say.line()
        say.line(say.paint("Next experiment", "1"))
        say.wrap(chosen["action"])
        if not brief and chosen.get("why"):
            say.wrap(f"Why: {chosen['why']}")
        for outcome in () if brief else words.outcomes(chosen):
            say.wrap(outcome, first="  - ")
        if chosen.get("success_rule"):
            say.wrap(f"{words.rule_label(chosen)}: {chosen['success_rule']}")
        if chosen.get("command"):
            say.line(f"  Check it with: {chosen['command']}")
    if brief:
        return
    say.section("Note", [f"{key.replace('_', ' ').capitalize()}: {value}" for key, value in (run["note"] or {}).items()])
    say.section("Checks", [f"{word}{f' ({why})' if why else ''}: {ids}" for word, ids, why in grouped_checks(run)])
    say.section("Missing evidence", [f"{m['title']}: {m['why']}" for m in run["missing_evidence"] if not m["present"]])
    say.section("What reading found", _reading([i for i in run["read_issues"] if not i.get("damage")]))


def _reading(issues: list[Mapping[str, Any]]) -> list[str]:
    """What was met in reading, the first few of each kind; of the rest the number. A directory of 45 launches has 44 restarts."""
    kinds = dict.fromkeys(str(i["kind"]) for i in issues)
    told = []
    for kind in kinds:
        own = [str(i["message"]) for i in issues if i["kind"] == kind]
        shown = own if len(own) <= LISTED + 1 else own[:LISTED]
        told += [f"{kind}: {message}" for message in shown]
        told += [f"{kind}: {len(own) - len(shown)} more of this kind"] * (len(own) > len(shown))
    return told


def _finding(run: Mapping[str, Any], finding: Mapping[str, Any], say: _Writer, brief: bool) -> None:
    onset = f", onset {words.onset(finding)}" if finding["onset"] else ""
    mark = say.paint(f"{finding['severity']}", _COLOURS.get(finding["severity"], "0"))
    say.wrap(finding["title"], first=f"{_SIGNS.get(finding['severity'], '?')} ")
    say.line(f"    {mark} {finding['id']}{onset}, confidence {round(100 * finding['confidence'])} %")
    followers = words.consequences(run, finding)
    if not brief:
        for evidence in finding["evidence"]:
            say.wrap(evidence["statement"], indent="    ")
        if finding["causes"]:
            say.wrap("Likely causes: " + "; ".join(c["text"] for c in finding["causes"]), indent="    ")
        if finding["first_check"]:
            say.wrap(f"First check: {finding['first_check']}", indent="    ")
        if finding["first_action"]:
            say.wrap(f"First action: {finding['first_action']}", indent="    ")
        if finding["success_rule"]:
            say.wrap(f"Success rule: {finding['success_rule']['sentence']}", indent="    ")
    if followers:
        # A consequence that weighs more than its cause is what the run's mark shows.
        own = words.SEVERITIES.index(finding["severity"])
        named = (f"{f['id']} ({f['severity']})" if words.SEVERITIES.index(f["severity"]) < own else f["id"] for f in followers)
        say.wrap(f"also explains: {', '.join(named)}", indent="    ")
    if order := words.chain(finding, words.axis_word(run)):
        say.wrap(f"in order: {order}", indent="    ")


__all__ = ["render_text"]
