"""Report -> JUnit XML: one suite a run, one case a check, so that CI systems show what was found where."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from tbdiag.render import words

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(report: dict[str, Any]) -> str:
    """JUnit XML of a prepared report.

    A check that found an error or warning fails; a note passes with its text in ``system-out``; a check that was not possible or
    was suppressed is skipped; a crashed one is an error. An unreadable run has one case, which is an error.
    """
    view = words.visible_tree(report)
    suites = [_suite(run) for run in view["runs"]]
    tests, failures, errors, skipped = (
        (sum(column) for column in zip(*(numbers for _, numbers in suites), strict=True)) if suites else (0,) * 4
    )
    head = f'<testsuites name="tbdiag" tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *(text for text, _ in suites), "</testsuites>", ""])


def _suite(run: Mapping[str, Any]) -> tuple[str, tuple[int, int, int, int]]:
    found = {f["id"]: f for f in run["findings"]}
    cases: list[str] = []
    failures = errors = skipped = 0
    name = _attribute(words.label(run))
    if run["verdict"] == "unreadable":
        errors += 1
        cases.append(f'<testcase classname={name} name="readable"><error message={_attribute(words.run_title(run))}/></testcase>')
    rows = [(c["id"], c["outcome"], c["why"]) for c in run["checks"]]
    listed = {c[0] for c in rows}
    rows += [(i, "found", "") for i in found if i not in listed]
    for i, outcome, why in rows:
        start = f"<testcase classname={name} name={_attribute(i)}"
        finding = found.get(i)
        if finding is not None and finding["severity"] != "note" and not finding["caused_by"]:
            failures += 1
            cases.append(
                f"{start}><failure type={_attribute(finding['severity'])} message={_attribute(finding['title'])}>{_body(finding)}</failure></testcase>"
            )
        elif finding is not None:
            cases.append(f"{start}><system-out>{_body(finding)}</system-out></testcase>")
        elif outcome == "crashed":
            errors += 1
            cases.append(f"{start}><error message={_attribute(why or 'the check crashed')}/></testcase>")
        elif outcome in ("not-applicable", "suppressed"):
            skipped += 1
            cases.append(f"{start}><skipped message={_attribute(f'{outcome}: {why}' if why else outcome)}/></testcase>")
        else:
            cases.append(f"{start}/>")
    head = f'<testsuite name={name} tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="{skipped}">'
    return "\n".join([head, *cases, "</testsuite>"]), (len(cases), failures, errors, skipped)


def _body(finding: Mapping[str, Any]) -> str:
    lines = [finding["title"]]
    if finding["onset"]:
        lines.append(f"Onset: {words.onset(finding)}")
    if finding["caused_by"]:
        lines.append(f"Consequence of {finding['caused_by']}. {finding['caused_by_why']}".strip())
    if order := words.chain(finding):
        lines.append(f"In order of onset: {order}")
    lines += [f"Evidence: {e['statement']}" for e in finding["evidence"]]
    lines += [f"First check: {finding['first_check']}", f"First action: {finding['first_action']}"]
    if finding["success_rule"]:
        lines.append(f"Success rule: {finding['success_rule']['sentence']}")
    return escape(_NO_XML.sub("\ufffd", "\n".join(lines)))


def _attribute(text: str) -> str:
    return quoteattr(_NO_XML.sub("\ufffd", text))


__all__ = ["render_junit"]
