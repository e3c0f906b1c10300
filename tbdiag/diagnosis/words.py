"""Words that the parts of a diagnosis share."""

from __future__ import annotations

NAMES = {"nan-inf": "NaN or Inf", "over-confidence": "over-confidence", "val-better": "validation better than training"}


def say_id(finding_id: str) -> str:
    """A finding's id as words: ``nan-inf`` is NaN or Inf, ``lr-zero`` is learning rate zero."""
    if finding_id in NAMES:
        return NAMES[finding_id]
    words = finding_id.replace("-", " ")
    return f"learning rate {words[3:]}" if words.startswith("lr ") else words


def say_clause(title: str) -> str:
    """A finding's title as a clause; a tag and what is all capitals stay as they are."""
    name = title.partition(" ")[0]
    return title if title[:2].isupper() or "/" in name or "_" in name else title[:1].lower() + title[1:]
