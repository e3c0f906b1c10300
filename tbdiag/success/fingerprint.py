"""Fingerprints of findings: stable over reruns, order of tags and small numeric drift."""

from __future__ import annotations

import hashlib

from tbdiag.model import Finding


def make_fingerprint(finding: Finding, run_name: str, span: tuple[int, int]) -> str:
    """Twelve hexadecimal digits of the finding's id and roles in its run; no measured value enters.

    `span` (first and last step of the run) is accepted so that a coarse position may enter; today none does.
    """
    del span
    text = "\0".join((run_name, finding.id, *sorted(finding.roles)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
