"""Columns of files -> one `Run`: series in step order, restarts resolved, names made unique."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tbdiag.events.columns import FileColumns, Histograms, Items, Points
from tbdiag.logs.issues import issues_of_file
from tbdiag.logs.launches import find_launch
from tbdiag.logs.layers import split_layers
from tbdiag.logs.names import printable, tag_text, unique
from tbdiag.logs.restarts import Break, Resolution, Track, merge_breaks, resolve_track
from tbdiag.model import EventFile, HistogramSeries, MediaSeries, ReadIssue, Restart, Run, Series, TensorSeries, TextSeries


@dataclass(slots=True)
class ReadFile:
    """One file of a run: where it is, what it held, or why it could not be opened."""

    name: str
    subrun: str
    listed_size: int
    columns: FileColumns | None
    failure: ReadIssue | None = None
    notes: tuple[ReadIssue, ...] = ()


_Resolve = Callable[[Any, Callable[[], Track]], Resolution | None]


@dataclass(slots=True)
class _Draft:
    series: dict[str, Series] = field(default_factory=dict)
    histograms: dict[str, HistogramSeries] = field(default_factory=dict)
    tensors: dict[str, TensorSeries] = field(default_factory=dict)
    texts: dict[str, TextSeries] = field(default_factory=dict)
    media: dict[str, MediaSeries] = field(default_factory=dict)
    hparams: dict[str, float | str | bool] = field(default_factory=dict)
    superseded: dict[str, Series] = field(default_factory=dict)
    restarts: list[Restart] = field(default_factory=list)
    issues: list[ReadIssue] = field(default_factory=list)


def assemble_run(name: str, path: str, files: Sequence[ReadFile], issues: Sequence[ReadIssue] = ()) -> Run:
    """Build the run from what its files held."""
    draft = _Draft()
    for file in files:
        if file.failure is not None:
            draft.issues.append(file.failure)
        draft.issues.extend(file.notes)
        if file.columns is not None:
            draft.issues.extend(issues_of_file(file.name, file.columns, file.listed_size))
    subruns = list(dict.fromkeys(file.subrun for file in files))
    for subrun in subruns:
        _add_directory(draft, subrun, [file.columns for file in files if file.subrun == subrun and file.columns is not None], files)
    return Run(
        name=name,
        path=printable(path),
        series=draft.series,
        histograms=draft.histograms,
        tensors=draft.tensors,
        texts=draft.texts,
        media=draft.media,
        hparams=draft.hparams,
        superseded=draft.superseded,
        files=tuple(_event_file(file) for file in files),
        issues=(*draft.issues, *issues),
        restarts=tuple(draft.restarts),
        subruns=tuple(subrun for subrun in subruns if subrun),
    )


def _event_file(file: ReadFile) -> EventFile:
    columns = file.columns
    if columns is None:
        return EventFile(file.name, file.listed_size, 0, 0)
    return EventFile(file.name, columns.size, columns.readable, columns.records, columns.first_wall_time, columns.last_wall_time)


def _add_directory(draft: _Draft, subrun: str, parts: list[FileColumns], files: Sequence[ReadFile]) -> None:
    starts = [(i, position, step) for i, part in enumerate(parts) for position, step, _ in part.session_starts]
    spans, launch = [_span(part) for part in parts], find_launch(parts)
    plugins: dict[bytes, str] = {}
    for part in parts:
        for tag, plugin in part.plugins.items():
            plugins.setdefault(tag, plugin)
        draft.hparams.update(part.hparams)
    breaks: list[tuple[str, Break]] = []
    repeats: list[Break] = []
    repeated: list[str] = []
    stepless: list[str] = []
    going_on: list[str] = []
    in_turn: dict[str, int] = {}
    shared: dict[str, int] = {}

    def resolve(step: Any, make_track: Callable[[], Track]) -> Resolution | None:
        # Most tags have nothing to resolve: then the places of their points are not even made.
        if not starts and bool((step[1:] > step[:-1]).all()):
            return None
        track = make_track()
        resolution = resolve_track(track, starts, launch)
        if resolution is not None:
            breaks.extend((track.name, part) for part in resolution.breaks)
            if resolution.repeats is not None:
                repeats.append(resolution.repeats)
                repeated.append(track.name)
            if resolution.stepless:
                stepless.append(track.name)
            if resolution.in_turn:
                in_turn[track.name] = resolution.superseded.size
            elif resolution.step is not None:
                going_on.append(track.name)
        return resolution

    for tag in _tags(part.scalars for part in parts):
        _add_scalars(draft, subrun, tag, [part.scalars.get(tag) for part in parts], plugins.get(tag, ""), resolve)
    for encoding, tables in (("histo", [p.histos for p in parts]), ("tensor", [p.histogram_tensors for p in parts])):
        for tag in _tags(tables):
            layers = split_layers([table.get(tag) for table in tables])
            for i, found in enumerate(layers):
                name = tag_text(tag) + (f"#{i + 1}" if len(layers) > 1 else "")
                _add_histograms(draft, subrun, name, found, encoding, resolve)
            if len(layers) > 1:
                shared[tag_text(tag)] = len(layers)
    _add_items(draft, subrun, parts, plugins)
    restarts = merge_breaks(breaks, repeats, spans, starts)
    draft.restarts.extend(restarts)
    home = next((file.name for file in reversed(files) if file.subrun == subrun), "")
    by_clock = all(name.lower().endswith("/time") for name in repeated)
    draft.issues.extend(_restart_issue(home, restart, by_clock) for restart in restarts)
    if stepless:
        message = (
            f"all points of {len(stepless)} tag{'s' * (len(stepless) != 1)} carry one step (first: {stepless[0]!r}): logged without a step"
        )
        draft.issues.append(ReadIssue("duplicate-step", home, message, damage=False))
    if going_on:
        message = (
            f"the steps of {len(going_on)} tag{'s' * (len(going_on) != 1)} begin again with every epoch (first: {going_on[0]!r}): "
            "they are read as going on; log the number of all batches so far instead"
        )
        draft.issues.append(ReadIssue("epoch-steps", home, message, damage=False))
    if in_turn:
        message = (
            f"the steps of {len(in_turn)} tag{'s' * (len(in_turn) != 1)} go back and forth within one file (first: {next(iter(in_turn))!r}): "
            "several writers of one process take turns, and their points are sorted by step"
        )
        if aside := sum(in_turn.values()):
            message += f"; of several points at one step the last counts, {aside:,} are set aside"
        draft.issues.append(ReadIssue("writers-in-turn", home, message, damage=False))
    for text, count in shared.items():
        message = (
            f"{count} layers write under the tag {text!r}: they are read as {text}#1 to #{count}, in order of writing; "
            "give each layer a name of its own"
        )
        draft.issues.append(ReadIssue("shared-tag", home, message, damage=False))


def _span(part: FileColumns) -> tuple[float, float] | None:
    if part.first_wall_time is None or part.last_wall_time is None:
        return None
    return part.first_wall_time, part.last_wall_time


def _restart_issue(home: str, restart: Restart, by_clock: bool) -> ReadIssue:
    """What happened, in a sentence; `by_clock`: every tag that holds a step twice is a copy by seconds (``reward/time``)."""
    kind = {"session-start": "restart", "step-regression": "restart"}.get(restart.kind, restart.kind)
    what = {
        "session-start": "the writer started a new session",
        "step-regression": "steps went backwards",
        "overlapping-writers": "two files whose times overlap wrote the same steps",
        "duplicate-step": "seconds of the clock hold several points" if by_clock else "steps were written more than once",
    }[restart.kind]
    if restart.kind == "step-regression" and restart.first_step == restart.last_step and restart.points > 2 * restart.tags:
        what = "a later file begins anew, without steps"
    agree = {True: "; both writes agree", False: "; the writes differ", None: ""}[restart.agree]
    message = (
        f"{what} (steps {restart.first_step:,} to {restart.last_step:,}): {restart.points:,} earlier point{'s' * (restart.points != 1)} of {restart.tags:,} "
        f"tag{'s' * (restart.tags != 1)} set aside, the later ones count{agree}"
    )
    return ReadIssue(kind, home, message, first_step=restart.first_step, last_step=restart.last_step, damage=False)


def _tags(tables: Any) -> list[bytes]:
    """Tags in the order in which they were first logged: the order of a model's layers, which the reader's groups do not keep."""
    found: dict[bytes, None] = {}
    for table in tables:
        found.update(dict.fromkeys(sorted(table, key=lambda tag: _first_place(table[tag]))))
    return list(found)


def _first_place(column: Any) -> int:
    """Byte offset of a column's first value."""
    pieces = getattr(column, "places", None) or (column.position[:1],)
    return next((int(piece[0]) for piece in pieces if len(piece)), 0)


def _join(parts: list[Any], pick: Callable[[Any], Any]) -> Any:
    arrays = [pick(part) for part in parts]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _file_index(parts: list[Any], order: list[int]) -> Any:
    return np.repeat(np.array(order, dtype=np.int64), [part.step.size for part in parts])


def _add_scalars(draft: _Draft, subrun: str, tag: bytes, found: list[Points | None], plugin: str, resolve: _Resolve) -> None:
    order = [i for i, part in enumerate(found) if part is not None]
    parts = [part for part in found if part is not None]
    step, wall_time = _join(parts, lambda p: p.step), _join(parts, lambda p: p.wall_time)
    value = _join(parts, lambda p: p.value)
    text = tag_text(tag)

    def track() -> Track:
        return Track(text, _file_index(parts, order), _join(parts, lambda p: p.position), step, wall_time, value)

    resolution = resolve(step, track)
    plugin = plugin or "scalars"
    if resolution is None:
        series = Series(text, subrun, step, wall_time, value, plugin)
    else:
        kept, gone = resolution.kept, resolution.superseded
        on = step[kept] if resolution.step is None else resolution.step
        series = Series(text, subrun, on, wall_time[kept], value[kept], plugin)
        if gone.size:
            draft.superseded[unique(series.name, draft.superseded)] = Series(text, subrun, step[gone], wall_time[gone], value[gone], plugin)
    draft.series[unique(series.name, draft.series)] = series


def _add_histograms(draft: _Draft, subrun: str, text: str, found: list[Histograms | None], encoding: str, resolve: _Resolve) -> None:
    order = [i for i, part in enumerate(found) if part is not None]
    parts = [part for part in found if part is not None]
    step, wall_time = _join(parts, lambda p: p.step), _join(parts, lambda p: p.wall_time)
    moments, right = _join(parts, lambda p: p.moments), _join(parts, lambda p: p.right)
    count = _join(parts, lambda p: p.count)
    left = _join(parts, lambda p: p.left) if encoding == "tensor" else None
    sizes = _join(parts, lambda p: np.diff(p.offset))

    def track() -> Track:
        return Track(text, _file_index(parts, order), _join(parts, lambda p: p.position), step, wall_time, None)

    resolution = resolve(step, track)
    if resolution is not None:
        kept = resolution.kept
        starts = np.cumsum(sizes) - sizes
        sizes = sizes[kept]
        rows = np.concatenate(
            [np.arange(a, a + k) for a, k in zip(starts[kept].tolist(), sizes.tolist(), strict=True)] or [np.zeros(0, np.int64)]
        )
        step = step[kept] if resolution.step is None else resolution.step
        wall_time, moments, right, count = wall_time[kept], moments[kept], right[rows], count[rows]
        left = left[rows] if left is not None else None
    offset = np.zeros(sizes.size + 1, dtype=np.int64)
    np.cumsum(sizes, out=offset[1:])
    low, high, num, total, squares = (np.ascontiguousarray(moments[:, i]) for i in range(5))
    series = HistogramSeries(text, subrun, step, wall_time, offset, right, count, left, low, high, num, total, squares, encoding)
    draft.histograms[unique(series.name, draft.histograms)] = series


def _add_items(draft: _Draft, subrun: str, parts: list[FileColumns], plugins: dict[bytes, str]) -> None:
    def joined(tables: list[dict[bytes, Items]]) -> list[tuple[bytes, Items]]:
        merged: dict[bytes, Items] = {}
        for table in tables:
            for tag, items in table.items():
                merged.setdefault(tag, Items()).extend(items)
        return list(merged.items())

    def name_of(tag: bytes, taken: dict[str, Any]) -> str:
        text = tag_text(tag)
        return unique(f"{subrun}/{text}" if subrun else text, taken)

    for tag, items in joined([part.texts for part in parts]):
        step, wall_time = _axes(items)
        draft.texts[name_of(tag, draft.texts)] = TextSeries(tag_text(tag), subrun, step, wall_time, tuple(items.value))
    for tag, items in joined([part.media for part in parts]):
        step, wall_time = _axes(items)
        media = MediaSeries(tag_text(tag), subrun, plugins.get(tag, ""), step, wall_time, items.payload_bytes)
        draft.media[name_of(tag, draft.media)] = media
    for tag, items in joined([part.tensors for part in parts]):
        shape = items.value[-1].shape
        fit = [i for i, value in enumerate(items.value) if value.shape == shape]
        if len(fit) < len(items.value):
            message = f"{len(items.value) - len(fit):,} tensors of tag {tag_text(tag)!r} have another shape than the last, {list(shape)}; left out"
            draft.issues.append(ReadIssue("bad-record", "", message, records=len(items.value) - len(fit), damage=False))
        step, wall_time = _axes(items)
        value = np.stack([items.value[i] for i in fit])
        draft.tensors[name_of(tag, draft.tensors)] = TensorSeries(
            tag_text(tag), subrun, plugins.get(tag, ""), step[fit], wall_time[fit], value
        )


def _axes(items: Items) -> tuple[Any, Any]:
    return np.array(items.step, dtype=np.int64), np.array(items.wall_time, dtype=np.float64)
