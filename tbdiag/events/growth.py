"""Joining what a file held with what was appended since."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tbdiag.events.columns import FileColumns, Histograms, Items, Points


def join_columns(old: FileColumns, new: FileColumns) -> FileColumns:
    """Columns of the whole file, from those up to ``old.end`` and those read from there on. `old` stays as it was.

    Damage behind ``old.end`` is what `new` says of it: bytes that looked cut off may have been completed.
    """
    rejected = dict(old.rejected)
    for key, count in new.rejected.items():
        rejected[key] = rejected.get(key, 0) + count
    return FileColumns(
        size=new.size,
        end=new.end,
        records=old.records + new.records,
        file_version=old.file_version or new.file_version,
        first_wall_time=old.first_wall_time if old.first_wall_time is not None else new.first_wall_time,
        last_wall_time=new.last_wall_time if new.last_wall_time is not None else old.last_wall_time,
        scalars=_merge(old.scalars, new.scalars, _join_points),
        histos=_merge(old.histos, new.histos, _join_histograms),
        histogram_tensors=_merge(old.histogram_tensors, new.histogram_tensors, _join_histograms),
        tensors=_merge(old.tensors, new.tensors, _join_items),
        texts=_merge(old.texts, new.texts, _join_items),
        media=_merge(old.media, new.media, _join_items),
        hparams={**old.hparams, **new.hparams},
        plugins={**new.plugins, **old.plugins},
        session_starts=old.session_starts + new.session_starts,
        rejected=rejected,
        nan_wall_times=old.nan_wall_times + new.nan_wall_times,
        damage=[part for part in old.damage if part.end <= old.end] + new.damage,
    )


def _merge(old: dict[bytes, Any], new: dict[bytes, Any], join: Any) -> dict[bytes, Any]:
    merged = dict(old)
    for tag, part in new.items():
        merged[tag] = join(merged[tag], part) if tag in merged else part
    return merged


def _join_points(old: Points, new: Points) -> Points:
    step, wall_time, value = (np.concatenate([getattr(old, key), getattr(new, key)]) for key in ("step", "wall_time", "value"))
    return Points(old.places + new.places, step, wall_time, value)


def _join_histograms(old: Histograms, new: Histograms) -> Histograms:
    joined = {
        key: np.concatenate([getattr(old, key), getattr(new, key)])
        for key in ("position", "step", "wall_time", "moments", "right", "count")
    }
    left = np.concatenate([old.left, new.left]) if old.left is not None and new.left is not None else None
    return replace(old, **joined, offset=np.concatenate([old.offset, new.offset[1:] + old.offset[-1]]), left=left)


def _join_items(old: Items, new: Items) -> Items:
    joined = Items(list(old.position), list(old.step), list(old.wall_time), list(old.value), old.payload_bytes)
    joined.extend(new)
    return joined
