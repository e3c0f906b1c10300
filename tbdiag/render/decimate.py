"""Fewer points of the same curve: first, last, minimum and maximum of each bucket, so that no spike is lost."""

from __future__ import annotations

from collections.abc import Sequence


def keep_extremes(values: Sequence[float | None], limit: int) -> list[int]:
    """Indices of at most `limit` points that keep the ends, and of every bucket the minimum, the maximum and one gap.

    Args:
        values: the curve's values, None where they were not finite.
        limit: number of points to keep, at least 4.
    """
    n = len(values)
    if n <= limit:
        return list(range(n))
    gaps = None in values
    buckets = max(1, (limit - 2) // (3 if gaps else 2))
    kept = {0, n - 1}
    for b in range(buckets):
        start, stop = 1 + (n - 2) * b // buckets, 1 + (n - 2) * (b + 1) // buckets
        block = values[start:stop]
        finite = [v for v in block if v is not None] if gaps else block
        if finite:
            kept.add(start + block.index(min(finite)))  # type: ignore[type-var]
            kept.add(start + block.index(max(finite)))  # type: ignore[type-var]
        if len(finite) < len(block):
            kept.add(start + block.index(None))
    return sorted(kept)


__all__ = ["keep_extremes"]
