"""Thinning by blocks: long series become at most a few hundred points that hide neither level nor trend.

Statistics on blocks do not depend on how densely a run was logged, and block means are nearly independent, which is what the
trend tests of this package are calibrated on.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tbdiag.stats.noise import row_medians, sliding

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@lru_cache(maxsize=256)
def block_edges(n: int, blocks: int) -> Int64:
    """Edges of `blocks` blocks of nearly equal numbers of points; int64 ``[min(blocks, n) + 1]``, read-only."""
    edges = np.linspace(0, n, min(blocks, n) + 1).astype(np.int64)
    edges.flags.writeable = False
    return edges


@lru_cache(maxsize=256)
def _block_sizes(n: int, blocks: int) -> Int64:
    sizes = np.diff(block_edges(n, blocks))
    sizes.flags.writeable = False
    return sizes


def block_means(values: Float64, blocks: int) -> Float64:
    """Mean of each block; float64 ``[min(blocks, n)]``."""
    if values.size <= blocks:
        return values.astype(np.float64)
    edges = block_edges(values.size, blocks)
    return np.asarray(np.add.reduceat(values, edges[:-1]) / _block_sizes(values.size, blocks))


def block_medians(values: Float64, blocks: int) -> Float64:
    """Median of each block, which single spikes do not move; float64 ``[min(blocks, n)]``."""
    n = values.size
    if n <= blocks:
        return values.astype(np.float64)
    edges = block_edges(n, blocks)
    width = int(_block_sizes(n, blocks).max())
    # Equal widths: the shorter blocks borrow their last point from the next one.
    starts = np.minimum(edges[:-1], n - width)
    windows = sliding(values, width).take(starts, axis=0)
    return row_medians(windows)
