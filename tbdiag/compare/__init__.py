"""Two or more sides of runs -> what differs, with uncertainty, and a verdict.

``compare(base, heads)`` reads and judges, ``render_compare`` tells it; `sides` and `changes` serve `tbdiag.verify` as well.
"""

from __future__ import annotations

from tbdiag.compare.judge import Comparison, compare, compare_sides
from tbdiag.compare.tell_compare import render_compare

__all__ = ["Comparison", "compare", "compare_sides", "render_compare"]
