"""Where a training was started anew in a directory whose points carry no step: by the values, for nothing else tells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tbdiag.events.columns import FileColumns
from tbdiag.model.runs import is_stepless

FEWEST = 5
"""Points of a file from which its course is known."""
MOVED = 5.0
"""Usual distances of neighbours by which a tag must have moved from its first value, that coming back to it says anything."""
BACK = 0.25
"""Share of that way at which the next file may begin to be called a new start; what goes on begins near the other end."""

Float64 = npt.NDArray[np.float64]


def find_launch(parts: Sequence[FileColumns]) -> int:
    """Index of the file with which the last launch begins; 0 where all files go on from the one before.

    A script that opens its writer anew with every epoch goes on where it was; a training that was started again begins where the first one
    began. Most of the tags that had moved must say so, and the last launch must hold three points of each.
    """
    if len(parts) < 2:
        return 0
    tags = [tag for tag in dict.fromkeys(t for part in parts for t in part.scalars) if _is_bare(parts, tag)]
    launch = 0
    for i in range(1, len(parts)):
        told = [said for tag in tags if (said := _begins_anew(parts[:i], parts[i], tag)) is not None]
        if 2 * sum(told) > len(told):
            launch = i
    enough = all(sum(len(p.scalars[tag]) for p in parts[launch:] if tag in p.scalars) >= 3 for tag in tags)
    return launch if enough else 0


def _is_bare(parts: Sequence[FileColumns], tag: bytes) -> bool:
    return is_stepless(np.concatenate([part.scalars[tag].step for part in parts if tag in part.scalars]))


def _begins_anew(before: Sequence[FileColumns], part: FileColumns, tag: bytes) -> bool | None:
    """Whether the first value of a file is that of the longest file before it; None where that one had not moved."""
    if tag not in part.scalars or not len(part.scalars[tag]):
        return None
    old: Float64 = max((p.scalars[tag].value for p in before if tag in p.scalars), key=len, default=np.empty(0)).astype(np.float64)
    new = float(part.scalars[tag].value[0])
    if old.size < FEWEST or not np.all(np.isfinite(old)):
        return None
    first, moved = float(old[0]), abs(float(np.median(old[-3:])) - float(old[0]))
    if moved <= MOVED * float(np.median(np.abs(np.diff(old)))) or moved <= 0:
        return None
    return abs(new - first) < BACK * moved
