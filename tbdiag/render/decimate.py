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
    per_bucket = 3 if any(v is None for v in values) else 2
    buckets = max(1, (limit - 2) // per_bucket)
    kept = {0, n - 1}
    for b in range(buckets):
        start, stop = 1 + (n - 2) * b // buckets, 1 + (n - 2) * (b + 1) // buckets
        finite = [i for i in range(start, stop) if values[i] is not None]
        if finite:
            kept.add(min(finite, key=lambda i: values[i]))  # type: ignore[arg-type, return-value]
            kept.add(max(finite, key=lambda i: values[i]))  # type: ignore[arg-type, return-value]
        if len(finite) < stop - start:
            kept.add(next(i for i in range(start, stop) if values[i] is None))
    return sorted(kept)


__all__ = ["keep_extremes"]
