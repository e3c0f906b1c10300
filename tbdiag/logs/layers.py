"""Layers that write their histograms under one tag, as Keras 3's TensorBoard callback does: ``kernel/histogram`` once a layer and epoch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tbdiag.events.columns import Histograms

_FEWEST = 2
"""Steps from which on an order of layers can be seen at all."""


def split_layers(found: list[Histograms | None]) -> list[list[Histograms | None]]:
    """Histograms of one tag of one directory, a list for each layer in order of writing; `found` alone where they are of one.

    Args:
        found: histograms of the tag in each file, None where the file has none.

    Layers are several where every step of every file holds as many histograms as the next (the last may be cut short), each place has
    the same number of elements throughout, and those of a step are not all the same one.
    """
    parts = [part for part in found if part is not None and part.step.size]
    layers = {_count_layers(part.step) for part in parts}
    if len(layers) != 1 or (k := layers.pop()) < 2:
        return [found]
    totals = np.concatenate([_elements(part) for part in parts])
    place = np.concatenate([np.arange(part.step.size) % k for part in parts])
    if any(np.ptp(totals[place == i]) > 0 for i in range(k)) or all(_are_copies(part, k) for part in parts):
        return [found]
    return [[None if part is None else part.take(np.arange(i, part.step.size, k)) for part in found] for i in range(k)]


def _count_layers(step: npt.NDArray[np.int64]) -> int:
    """Histograms a step; 0 where steps go back or hold unequal numbers."""
    on = step[1:] - step[:-1]
    if bool((on > 0).all()):
        return 1  # nearly always
    if bool((on < 0).any()):
        return 0
    _, sizes = np.unique(step, return_counts=True)
    k = int(sizes[0])
    return k if sizes.size >= _FEWEST and np.all(sizes[:-1] == k) and sizes[-1] <= k else 0


def _elements(part: Histograms) -> npt.NDArray[np.float64]:
    """How many numbers each histogram holds; float64 ``[n]``."""
    return np.diff(np.concatenate(([0.0], np.cumsum(part.count)))[part.offset])


def _are_copies(part: Histograms, k: int) -> bool:
    """Whether the histograms of each step are one that was written several times."""
    whole = part.step.size // k
    for i in range(whole):
        rows = [slice(int(part.offset[j]), int(part.offset[j + 1])) for j in range(i * k, (i + 1) * k)]
        first = rows[0]
        if not all(np.array_equal(part.right[r], part.right[first]) and np.array_equal(part.count[r], part.count[first]) for r in rows[1:]):
            return False
    return True
