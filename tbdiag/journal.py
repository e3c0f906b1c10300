"""The experiment journal: `note` appends the symptom-to-action note of a run, `verify` closes the entry with what happened.

Two formats, by the file's suffix: ``.jsonl`` (one entry a line) and Markdown (everything else), in which every entry begins with a
hidden comment that holds its data; whatever people write around the entries stays as it is.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tbdiag.compare.document import escape_markdown
from tbdiag.errors import ReportError

TITLES = (
    ("curve_pattern", "Curve pattern"),
    ("prediction_signal", "Prediction signal"),
    ("gradient_signal", "Gradient signal"),
    ("data_check", "Data check"),
    ("chosen_action", "Chosen action"),
    ("success_rule", "Success rule"),
)
HEADING = "# Experiment journal"
TRIED = ("not-fixed", "improved", "overshot")
_ENTRY = re.compile(r"<!-- tbdiag-entry (?P<data>\{.*?\}) -->\n(?P<body>.*?)<!-- tbdiag-entry-end -->\n?", re.DOTALL)


def make_entry(run: Mapping[str, Any]) -> dict[str, Any]:
    """Entry of one run of a report (plain data): the six lines, and the finding whose success rule will close it."""
    experiment = run.get("next_experiment")
    finding = str(experiment["finding"]) if experiment else None
    chosen = next((f for f in run.get("findings", ()) if f["id"] == finding), None)
    walls = [c["last_wall_time"] for c in run.get("curves", ()) if c.get("last_wall_time") is not None]
    return {
        "run": run["name"],
        "date": dt.datetime.fromtimestamp(max(walls), dt.timezone.utc).date().isoformat() if walls else None,
        "verdict": run["verdict"],
        "finding": finding,
        "fingerprint": chosen["fingerprint"] if chosen else None,
        "note": dict(run["note"]),
        "state": "open" if chosen else "closed",
        "outcome": None if chosen else {"verdict": "nothing to verify", "reason": "no action was called for", "run": None, "next": None},
    }


def append_entries(journal: str, runs: Sequence[Mapping[str, Any]], logdir: str = "") -> list[dict[str, Any]]:
    """Append the notes of runs that have no open entry for the same finding yet; returns the appended entries.

    Args:
        journal: path of the journal.
        runs: runs of a report, as plain data.
        logdir: a short name of where they lie, by which a run of the name "." (the logdir itself) goes.

    Raises:
        ReportError: the journal cannot be read or written.
    """
    text = _read(journal)
    known = [e for e, _ in _entries(journal, text)]
    fresh = []
    for run in runs:
        entry = make_entry(run) | ({"logdir": logdir} if logdir else {})
        if not any(_same(entry, e) for e in known):
            fresh.append(entry)
            known.append(entry)
    if fresh:
        _write(journal, _joined(journal, text, fresh))
    return fresh


def _same(entry: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    keys = ("run", "finding", "date", "note")
    return all(entry[k] == known.get(k) for k in keys)


def close_entries(journal: str, verification: Mapping[str, Any]) -> int:
    """Close the open entries whose finding was verified, with the verdict; returns how many. "Cannot tell" leaves an entry open.

    Args:
        journal: path of the journal.
        verification: ``Verification.to_dict()``.

    Raises:
        ReportError: the journal cannot be read or written.
    """
    text = _read(journal)
    closed = 0
    out, at = [], 0
    entries = _entries(journal, text)
    # Runs of one name (".", "run") in several logdirs are told apart by the numbers of their rules.
    exact = any(_judges(f, e) and _same_rule(f, e) for e, _ in entries for f in verification["findings"])
    for entry, (start, end) in entries:
        out.append(text[at:start])
        able = (f for f in verification["findings"] if _judges(f, entry) and (not exact or _same_rule(f, entry)))
        found = next(able, None) if entry.get("state") == "open" else None
        if found is None:
            out.append(text[start:end])
        else:
            outcome = {k: found[v] for k, v in (("verdict", "verdict"), ("reason", "reason"), ("run", "run"), ("next", "next_rung"))}
            if outcome["run"] == ".":
                outcome["run"] = verification["next"]
            if found.get("rate_between") is not None:
                outcome["next"] = f"the same change with a learning rate of {found['rate_between']:.2g}"
            out.append(_format(journal, {**entry, "state": "closed", "outcome": outcome}))
            closed += 1
        at = end
    if closed:
        _write(journal, "".join([*out, text[at:]]))
    return closed


def _judges(finding: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    return bool(
        finding["verdict"] != "cannot-tell"
        and finding["id"] == entry.get("finding")
        and (finding["previous_run"] == entry.get("run") or (finding["fingerprint"] and finding["fingerprint"] == entry.get("fingerprint")))
    )


def _same_rule(finding: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    return bool(finding["sentence"] == entry["note"].get("success_rule"))


def tried_actions(journal: str) -> dict[str, list[str]]:
    """Finding id -> actions that the journal's closed entries tried without removing the finding."""
    tried: dict[str, list[str]] = {}
    for entry, _ in _entries(journal, _read(journal)):
        outcome = entry.get("outcome") or {}
        if entry.get("finding") and outcome.get("verdict") in TRIED:
            tried.setdefault(str(entry["finding"]), []).append(str(entry["note"]["chosen_action"]))
    return tried


def _is_lines(journal: str) -> bool:
    return journal.lower().endswith((".jsonl", ".ndjson"))


def _entries(journal: str, text: str) -> list[tuple[dict[str, Any], tuple[int, int]]]:
    """Every entry with its place in the text."""
    found = []
    if _is_lines(journal):
        at = 0
        for number, line in enumerate(text.splitlines(keepends=True), 1):
            if line.strip():
                found.append((_load(journal, line, f"line {number}"), (at, at + len(line))))
            at += len(line)
        return found
    for number, match in enumerate(_ENTRY.finditer(text), 1):
        found.append((_load(journal, match["data"], f"entry {number}"), match.span()))
    return found


def _load(journal: str, data: str, where: str) -> dict[str, Any]:
    try:
        entry = json.loads(data)
    except ValueError:
        entry = None
    if not isinstance(entry, dict) or "run" not in entry or not isinstance(entry.get("note"), dict):
        raise ReportError(f"{journal}: {where} is no entry of a journal; mend or remove it, or name another journal")
    return entry


def _joined(journal: str, text: str, entries: Sequence[Mapping[str, Any]]) -> str:
    if _is_lines(journal):
        start = text if not text or text.endswith("\n") else text + "\n"
        return start + "".join(_format(journal, e) for e in entries)
    start = text.rstrip() if text.strip() else HEADING
    return "\n\n".join([start, *(_format(journal, e).rstrip() for e in entries)]) + "\n"


def _format(journal: str, entry: Mapping[str, Any]) -> str:
    data = json.dumps(entry, ensure_ascii=False, allow_nan=False, sort_keys=True)
    if _is_lines(journal):
        return data + "\n"
    hidden = data.replace("--", "-\\u002d").replace(">", "\\u003e").replace("<", "\\u003c")
    what = entry["finding"] or entry["verdict"]
    title = " · ".join(escape_markdown(str(x)) for x in (entry_name(entry), entry["date"], what) if x)
    lines = [f"- **{name}**: {escape_markdown(str(entry['note'].get(key, '')))}" for key, name in TITLES]
    return "\n".join(
        [f"<!-- tbdiag-entry {hidden} -->", f"## {title}", "", *lines, f"- **Outcome**: {_outcome(entry)}", "<!-- tbdiag-entry-end -->", ""]
    )


def entry_name(entry: Mapping[str, Any]) -> str:
    """Name of an entry's run for people."""
    return str(entry.get("logdir") or entry["run"]) if entry["run"] == "." else str(entry["run"])


def _outcome(entry: Mapping[str, Any]) -> str:
    outcome = entry.get("outcome")
    if not outcome:
        return "open"
    text = str(outcome["verdict"]).replace("-", " ")
    if outcome.get("run"):
        text += f" by {outcome['run']}"
    text += f": {outcome['reason']}"
    if outcome.get("next"):
        text += f". Next: {outcome['next']}"
    return escape_markdown(text)


def _read(journal: str) -> str:
    try:
        return Path(journal).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ReportError(f"cannot read the journal {journal}: {why}") from None


def _write(journal: str, text: str) -> None:
    path = Path(journal)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise ReportError(f"cannot write the journal {journal}: {error.strerror or error}") from None
