"""What several formats tell in the same words: checks by outcome, configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tbdiag.render import words

_OUTCOMES = (
    ("crashed", "crashed"),
    ("found", "found"),
    ("clean", "clean"),
    ("suppressed", "suppressed"),
    ("not-applicable", "not possible"),
)


def grouped_checks(run: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Checks by how they ended and why: ``(word with count, ids, why)``."""
    groups: dict[tuple[str, str], list[str]] = {}
    for check in run["checks"]:
        why = "" if check["outcome"] in ("found", "clean") else str(check["why"])
        groups.setdefault((check["outcome"], why), []).append(check["id"])
    out = []
    for outcome, word in _OUTCOMES:
        rows = sorted(((why, ids) for (o, why), ids in groups.items() if o == outcome), key=lambda row: (-len(row[1]), row[0]))
        out += [(f"{len(ids)} {word}", ", ".join(ids), why) for why, ids in rows]
    return out


def configuration(run: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Key, value and source of the configuration that was found in the log."""
    out = []
    for key, entry in run["config"].items():
        value, source = (entry.get("value"), entry.get("source") or "") if isinstance(entry, Mapping) else (entry, "")
        shown = words.number(value, 6) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
        out.append((str(key), shown, str(source)))
    return out


__all__ = ["configuration", "grouped_checks"]
