"""Histogram summaries -> moments and buckets.

Two encodings::

    HistogramProto (TF1, PyTorch)   min [1], max [2], num [3], sum [4], sum_squares [5] doubles (zeros are not written);
                                    bucket_limit [6], bucket [7] packed doubles: right edges and counts
    tensor (TF2, Keras)             [k, 3] float64: left edge, right edge, count; no moments
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.events.wire import BYTES, FIXED64, Bytes, WireError, walk_fields

Float64 = npt.NDArray[np.float64]


def decode_histo(data: Bytes, pos: int, end: int) -> tuple[Float64, Float64, Float64]:
    """Moments ``[min, max, num, sum, sum_squares]``, right edges ``[k]`` and counts ``[k]`` of a ``HistogramProto``.

    Where a writer gave one array more entries than the other, the longer one is cut: TensorBoard raises an error there.
    """
    moments = np.zeros(5)
    columns: tuple[list[bytes], list[bytes]] = ([], [])
    for number, kind, start, stop in walk_fields(data, pos, end):
        if number <= 5 and kind == FIXED64:
            moments[number - 1] = np.frombuffer(data[start:stop], "<f8")[0]
        elif number in (6, 7) and kind in (BYTES, FIXED64):
            if (stop - start) % 8:
                raise WireError("packed doubles of odd length")
            columns[number - 6].append(data[start:stop])
        elif number <= 7:
            raise WireError("histogram field of another type")
    right, count = (np.frombuffer(b"".join(parts), "<f8") for parts in columns)
    k = min(right.size, count.size)
    return moments, right[:k], count[:k]


def split_tensor(rows: npt.NDArray[Any]) -> tuple[Float64, Float64, Float64, Float64]:
    """Moments, left edges, right edges and counts of a ``[k, 3]`` histogram tensor; sums are NaN, they are not written."""
    table = np.asarray(rows, dtype=np.float64)
    moments = np.full(5, np.nan)
    if len(table):
        moments[:3] = table[0, 0], table[-1, 1], table[:, 2].sum()
    else:
        moments[2] = 0.0
    return moments, table[:, 0], table[:, 1], table[:, 2]
