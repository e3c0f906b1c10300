"""What a pull request changed in its training runs: a comment, a report, JUnit, and an exit code by policy.

``review(base, head)`` judges, ``write_files`` writes the four files, `tbdiag.pr.post` puts the comment on the pull request.
"""

from __future__ import annotations

from tbdiag.pr.review import POLICIES, Review, review, write_files

__all__ = ["POLICIES", "Review", "review", "write_files"]
