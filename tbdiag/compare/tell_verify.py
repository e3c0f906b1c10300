"""What `verify` found, as a document."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tbdiag.compare.document import Document, Heading, Table, render_document

ORDER = ("not-fixed", "overshot", "cannot-tell", "improved", "fixed")
WORDS = {"not-fixed": "not fixed", "cannot-tell": "cannot tell"}


def verify_document(data: dict[str, Any]) -> Document:
    """The document of a verification (its ``to_dict()``): verdicts first, then every rule with its numbers side by side."""
    document = Document(verdict_line(data))
    document.add(f"Earlier: {data['previous']}. Next: {data['next']}.")
    data = _with_labels(data)
    for e in data.get("experiments", ()):
        _tell_experiment(document, e)
    rows = tuple((WORDS.get(f["verdict"], f["verdict"]), f["severity"], f["id"], f["run"] or "-", f["reason"]) for f in data["findings"])
    document.add(Table(("verdict", "severity", "finding", "run", "why"), rows))
    if not rows:
        document.add("The earlier report has no findings: there is nothing to verify.")
    for f in data["findings"]:
        _tell_finding(document, f)
    if data["new"]:
        document.add(Heading("New findings"))
        document.add(
            Table(("severity", "finding", "run", "what"), tuple((n["severity"], n["id"], n["run"], n["title"]) for n in data["new"]))
        )
    if data["changed"]:
        document.add(Heading("What changed between the runs"))
        rows = tuple((c["key"], number(c["before"]), number(c["after"]), c["run"], _source(c)) for c in data["changed"])
        document.add(Table(("setting", "before", "after", "run", "seen in"), rows))
    for c in data["confounded"]:
        document.add(f"One fix at a time: {c['message']}.")
    if data["own_rules"]:
        document.add(Heading("Your own rules"))
        rows = tuple((WORDS.get(r["status"], r["status"]), r["name"], r["run"], r["rule"], r["reason"]) for r in data["own_rules"])
        document.add(Table(("verdict", "name", "run", "rule", "why"), rows))
    if data["unmatched"]:
        document.add("No next run was matched with: " + ", ".join(data["unmatched"]) + ".")
    return document


def _with_labels(data: dict[str, Any]) -> dict[str, Any]:
    """The data with a side's label in place of ".", the name of a run that lies in the logdir itself."""

    def said(row: dict[str, Any]) -> dict[str, Any]:
        names = {k: data["next"] for k in ("run",) if row.get(k) == "."} | {
            k: data["previous"] for k in ("previous_run",) if row.get(k) == "."
        }
        return {**row, **names}

    lists = ("findings", "new", "changed", "confounded", "own_rules")
    return (
        data
        | {k: [said(row) for row in data[k]] for k in lists}
        | {"unmatched": [data["previous"] if n == "." else n for n in data["unmatched"]]}
    )


def verdict_line(data: dict[str, Any]) -> str:
    """One line: ``2 fixed, 1 not fixed; 1 new error``. Notes are counted apart."""
    counts = Counter(f["verdict"] for f in data["findings"] if f["severity"] != "note")
    parts = [f"{counts[v]} {WORDS.get(v, v)}" for v in ORDER if counts[v]]
    notes = sum(f["severity"] == "note" for f in data["findings"])
    if notes:
        parts.append(f"{notes} note{'s' * (notes != 1)}")
    line = ", ".join(parts) or "nothing to verify"
    for severity in ("error", "warning"):
        n = sum(f["severity"] == severity for f in data["new"])
        if n:
            line += f"; {n} new {severity}{'s' * (n != 1)}"
    failed = sum(r["status"] == "failed" for r in data["own_rules"])
    for e in data.get("experiments", ()):
        line += f"; experiment about {e['finding']}: {WORDS.get(e['status'], e['status'])}"
    return line + (f"; {failed} of your own rules failed" if failed else "")


def _tell_finding(document: Document, f: dict[str, Any]) -> None:
    document.add(Heading(f"{f['id']}: {WORDS.get(f['verdict'], f['verdict'])}", 3))
    document.add(f"{f['title']} (earlier run {f['previous_run']}).")
    document.add(f"Success rule: {f['sentence']}")
    rows = tuple(
        (WORDS.get(r["status"], r["status"]), r["text"], number(r["earlier"]), number(r["value"]), number(r["limit"])) for r in f["rules"]
    )
    document.add(Table(("", "condition", "earlier run", "this run", "limit"), rows))
    begins_with_a_word = "(" not in f["reason"].split(" ", 1)[0]
    document.add((f["reason"][:1].upper() if begins_with_a_word else f["reason"][:1]) + f["reason"][1:] + ".")
    if f["verdict"] == "not-fixed" and f["same_settings"] and f["severity"] != "note":
        document.add(
            f"No logged setting changed between the runs. If it was not done yet, this comes first: {f['first_action'].rstrip('.')}."
        )
    if f["rate_between"] is not None:
        document.add(f"Next: the same change with a learning rate of {f['rate_between']:.2g}.")
    elif f["next_rung"]:
        document.add(f"Next rung of the ladder: {f['next_rung'].rstrip('.')}.")
    elif f["verdict"] == "not-fixed":
        document.add("The ladder of this finding has ended: run the tiny overfit test, then question the data and the model.")


def _tell_experiment(document: Document, e: dict[str, Any]) -> None:
    document.add(Heading(f"The experiment about {e['finding']}: {WORDS.get(e['status'], e['status'])}"))
    document.add(f"{e['action']} Run as {e['run']}.")
    document.add(f"Its rule: {e['sentence']}")
    rows = tuple((WORDS.get(r["status"], r["status"]), r["text"], number(r["value"]), number(r["limit"])) for r in e["rules"])
    document.add(Table(("", "condition", "this run", "limit"), rows))
    if e["reason"]:
        document.add(e["reason"][:1].upper() + e["reason"][1:] + ".")
    for o in e["outcomes"]:
        document.add(
            f"If {o['if']}: {o['means']}. Then {o['then']}."
            if len(e["outcomes"]) > 1
            else f"This points at {o['means']}. Next: {o['then']}."
        )


def _source(change: dict[str, Any]) -> str:
    return str(change["source"]) + (
        "" if change["relevant"] or change["source"] == "told by one run only" else ", no change of the experiment"
    )


def number(value: Any) -> str:
    """A number for people; "-" where there is none."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def render_verify(data: dict[str, Any], format: str) -> str:  # noqa: A002 - the public name
    """A verification's data as ``text``, ``json``, ``markdown`` or ``html``."""
    if format == "json":
        import json

        return json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    return render_document(verify_document(data), format)
