"""What was read: runs, series, histogram series, event files and what was wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.model.issues import ReadIssue

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


def is_stepless(step: Int64) -> bool:
    """Whether three points or more (int64 ``[n]``) all carry one step: the script logged without any."""
    return step.size >= 3 and bool(step[0] == step[-1]) and bool(np.all(step == step[0]))


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """All points of one scalar tag of one run, after restarts were resolved, in ascending step order.

    Attributes:
        tag: the tag as it was logged.
        subrun: directory below the run's path that holds the tag, ``""`` for the run's own directory.
        step: int64 ``[n]``, the step of each point, in the log's own unit.
        wall_time: float64 ``[n]``, seconds since the epoch.
        value: ``[n]``, in the dtype that was logged (float32 for ``simple_value``); NaN and infinities are kept.
        plugin: plugin name of the summary metadata (``"scalars"`` where none was written).
    """

    tag: str
    subrun: str
    step: Int64
    wall_time: Float64
    value: npt.NDArray[Any]
    plugin: str = "scalars"

    @property
    def name(self) -> str:
        """Key in `Run.series`: the tag, preceded by the sub-run's directory where there is one."""
        return f"{self.subrun}/{self.tag}" if self.subrun else self.tag

    def __len__(self) -> int:
        return int(self.step.size)


@dataclass(frozen=True, slots=True, eq=False)
class HistogramSeries:
    """All histograms of one tag. Bucket arrays of all points lie end to end, point ``i`` at ``offset[i]:offset[i+1]``.

    Attributes:
        step, wall_time: as in `Series`.
        offset: int64 ``[n+1]``.
        right: float64 ``[offset[-1]]``, right bucket edges.
        count: float64 ``[offset[-1]]``, bucket counts.
        left: float64 ``[offset[-1]]``, left bucket edges, or None for TF1 ``histo`` protos, whose left edge is the right
            edge of the bucket before (the first bucket starts at `minimum`).
        minimum, maximum, num, total, total_squares: float64 ``[n]``, the proto's min, max, num, sum and sum_squares; NaN where
            the encoding has none (TF2 tensors carry neither sum nor sum_squares).
        encoding: ``"histo"`` (TF1, PyTorch) or ``"tensor"`` (TF2, Keras).
    """

    tag: str
    subrun: str
    step: Int64
    wall_time: Float64
    offset: Int64
    right: Float64
    count: Float64
    left: Float64 | None
    minimum: Float64
    maximum: Float64
    num: Float64
    total: Float64
    total_squares: Float64
    encoding: str

    @property
    def name(self) -> str:
        """Key in `Run.histograms`."""
        return f"{self.subrun}/{self.tag}" if self.subrun else self.tag

    def __len__(self) -> int:
        return int(self.step.size)

    def buckets(self, i: int) -> tuple[Float64, Float64, Float64]:
        """Left edges, right edges and counts of point `i`, each float64 ``[k]``."""
        a, b = int(self.offset[i]), int(self.offset[i + 1])
        right = self.right[a:b]
        if self.left is not None:
            return self.left[a:b], right, self.count[a:b]
        left = np.empty_like(right)
        if right.size:
            left[1:] = right[:-1]
            low = self.minimum[i]
            left[0] = low if np.isfinite(low) and low < right[0] else right[0]
        return left, right, self.count[a:b]


@dataclass(frozen=True, slots=True, eq=False)
class TensorSeries:
    """Points of a tag whose value is a small tensor that is kept (``pr_curves``); `value` has shape ``[n, ...]``."""

    tag: str
    subrun: str
    plugin: str
    step: Int64
    wall_time: Float64
    value: npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class TextSeries:
    """Points of a text tag; ``value[i]`` is the text (or the first element of a string tensor) of point ``i``."""

    tag: str
    subrun: str
    step: Int64
    wall_time: Float64
    value: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MediaSeries:
    """Where images, audio, graphs, meshes or profiles were logged; their payload is never read."""

    tag: str
    subrun: str
    plugin: str
    step: Int64
    wall_time: Float64
    payload_bytes: int = 0


@dataclass(frozen=True, slots=True)
class EventFile:
    """One event file and how much of it could be read (sizes in bytes)."""

    path: str
    size: int
    readable: int
    records: int
    first_wall_time: float | None = None
    last_wall_time: float | None = None


@dataclass(frozen=True, slots=True)
class Restart:
    """Points that a later write superseded: the writer resumed, or two writers wrote at once.

    Attributes:
        kind: ``session-start`` (a SessionLog START was logged), ``step-regression`` (steps went backwards), ``overlapping-writers`` (two
            files whose wall times interleave wrote the same steps), or ``duplicate-step``.
        first_step, last_step: the steps that were written twice (inclusive).
        wall_time: when the later write began, seconds since the epoch.
        points: number of superseded points; tags: number of tags concerned.
        agree: whether superseded and kept values agree within a hundredth of the series' range (None if nothing overlaps).
    """

    kind: str
    first_step: int
    last_step: int
    wall_time: float
    points: int
    tags: int
    agree: bool | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One training run: every series of one directory and of the sub-runs that belong to it.

    Attributes:
        name: path relative to the logdir that was given (``"."`` for the logdir itself), with ``/`` on every platform.
        path: directory or file that was read.
        series, histograms, tensors, texts, media: by name (see `Series.name`).
        hparams: values of the hparams plugin's ``session_start_info``.
        superseded: points that a later write replaced, by series name.
    """

    name: str
    path: str
    series: Mapping[str, Series] = field(default_factory=dict)
    histograms: Mapping[str, HistogramSeries] = field(default_factory=dict)
    tensors: Mapping[str, TensorSeries] = field(default_factory=dict)
    texts: Mapping[str, TextSeries] = field(default_factory=dict)
    media: Mapping[str, MediaSeries] = field(default_factory=dict)
    hparams: Mapping[str, float | str | bool] = field(default_factory=dict)
    superseded: Mapping[str, Series] = field(default_factory=dict)
    files: tuple[EventFile, ...] = ()
    issues: tuple[ReadIssue, ...] = ()
    restarts: tuple[Restart, ...] = ()
    subruns: tuple[str, ...] = ()

    @property
    def readable(self) -> bool:
        """Whether at least one event file held a valid record."""
        return any(file.records for file in self.files)
