"""Fingerprints of findings: stable over reruns, order of tags and small numeric drift."""

from __future__ import annotations

import hashlib

from tbdiag.model import Finding

LENGTH = 12
"""Hexadecimal digits: 48 bits, one collision expected in about 20 million findings of one nightly tree."""


def make_fingerprint(finding: Finding, run_name: str) -> str:
    """Stable identity of a finding of a run: the same symptom of the same run has the same fingerprint in every rerun.

    A detector reports at most one finding a run, so the symptom's id and the run's name are enough. Nothing that was measured
    enters: onset, the roles in which a detector happened to find support, and confidence drift with the seed, and a
    fingerprint that drifts calls an old finding new.
    """
    text = "\0".join((run_name.replace("\\", "/").rstrip("/"), finding.id))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:LENGTH]
