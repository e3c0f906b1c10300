"""One decoded record -> the columns of its file: what each kind of summary becomes."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tbdiag.events import tensors, wire
from tbdiag.events.columns import Float64, Items, Places
from tbdiag.events.histograms import decode_histo
from tbdiag.events.hparams import decode_session_start
from tbdiag.events.reserve import Reserve
from tbdiag.events.sinks import HistogramSink, ScalarSink

_float = struct.Struct("<f").unpack
_FLOAT32 = np.dtype("<f4")
_MAX_TEXT = 1 << 20
_MAX_NUMBER = 1024  # bytes that a tensor of one number never reaches
_MEDIA = {wire.IMAGE: "images", wire.AUDIO: "audio", wire.OLD_HISTOGRAM: "old_histograms"}
_GRAPHS = {wire.GRAPH_DEF: ("graph", "graphs"), wire.META_GRAPH: ("meta_graph", "graphs"), wire.RUN_METADATA: ("", "graph_run_metadata")}
_BLOB_PLUGINS = frozenset({"images", "audio", "mesh", "graphs", "graph_keras_model", "graph_run_metadata", "profile", "projector"})
_BLOB_PREFIXES = ("graph_run_metadata", "graph_tensor", "mesh")


@dataclass(slots=True)
class Contents:
    """What the records of one file said, before columns are closed."""

    scalars: dict[bytes, ScalarSink] = field(default_factory=dict)
    histos: dict[bytes, HistogramSink] = field(default_factory=dict)
    histogram_tensors: dict[bytes, HistogramSink] = field(default_factory=dict)
    tensors: dict[bytes, Items] = field(default_factory=dict)
    texts: dict[bytes, Items] = field(default_factory=dict)
    media: dict[bytes, Items] = field(default_factory=dict)
    hparams: dict[str, float | str | bool] = field(default_factory=dict)
    plugins: dict[bytes, str] = field(default_factory=dict)
    session_starts: list[tuple[int, int, float]] = field(default_factory=list)
    nan_wall_times: int = 0
    rejected: dict[tuple[bytes, str], int] = field(default_factory=dict)
    records: int = 0
    first_wall: tuple[int, float] | None = None
    last_wall: tuple[int, float] | None = None
    file_version: bytes = b""
    reserve: Reserve = field(default_factory=lambda: Reserve(0))

    def note_wall(self, position: int, wall_time: float) -> None:
        """Keep the wall times of the first and the last record that has one."""
        if math.isnan(wall_time):
            self.nan_wall_times += 1
            return
        if self.first_wall is None or position < self.first_wall[0]:
            self.first_wall = (position, wall_time)
        if self.last_wall is None or position > self.last_wall[0]:
            self.last_wall = (position, wall_time)

    def note_wall_rows(self, places: Sequence[Places], wall_times: Sequence[Float64]) -> None:
        """`note_wall` of a block: each record of its cycle at places of its own, the records of a cycle in the order of the file."""
        # A sum of squares is not a number exactly where one of them is not.
        if not math.isnan(sum(float(np.dot(row, row)) for row in wall_times)):
            self.note_wall(int(places[0][0]), float(wall_times[0][0]))
            self.note_wall(int(places[-1][-1]), float(wall_times[-1][-1]))
            return
        for place, row in zip(places, wall_times, strict=True):
            self.note_walls(place, row)

    def note_walls(self, places: Places, wall_times: Float64) -> None:
        """`note_wall` of many records in any order."""
        missing = np.isnan(wall_times)
        if missing.any():
            self.nan_wall_times += int(np.count_nonzero(missing))
            places, wall_times = np.asarray(places)[~missing], wall_times[~missing]
        if len(wall_times):
            ends = (0, len(places) - 1) if isinstance(places, range) else (places.argmin(), places.argmax())
            for end in ends:
                self.note_wall(int(places[end]), float(wall_times[end]))


def is_blob(plugin: str) -> bool:
    """Whether the payload of a plugin's tensors is never decoded."""
    return plugin in _BLOB_PLUGINS or plugin.startswith(_BLOB_PREFIXES)


def add_event(out: Contents, data: wire.Bytes, event: wire.Event, base: int) -> None:
    """File the values of an event whose record lies at byte `base` of the file; `data` holds the record from index 0."""
    out.records += 1
    out.note_wall(base, event.wall_time)
    if event.file_version is not None and not out.file_version:
        out.file_version = event.file_version
    if event.what == wire.SUMMARY:
        for value in event.values:
            try:
                _add_value(out, data, event, value, base)
            except wire.WireError as error:
                key = (value.tag, str(error))
                out.rejected[key] = out.rejected.get(key, 0) + 1
    elif event.what == wire.SESSION_LOG:
        if event.session_start:
            out.session_starts.append((base, event.step, event.wall_time))
    elif event.what in _GRAPHS:
        tag, plugin = _GRAPHS[event.what]
        name = event.run_metadata_tag if event.run_metadata_tag is not None else tag.encode()
        out.plugins.setdefault(name, plugin)
        out.media.setdefault(name, Items()).append(base, event.step, event.wall_time, None, event.payload_bytes)


def _add_value(out: Contents, data: wire.Bytes, event: wire.Event, value: wire.Value, base: int) -> None:
    tag = value.tag
    if value.plugin is not None and tag not in out.plugins:
        out.plugins[tag] = value.plugin.decode("utf-8", "backslashreplace")
    plugin = out.plugins.get(tag, "")
    position = base + value.start
    if plugin == "hparams" and value.content is not None:
        out.hparams.update(decode_session_start(data, *value.content))
    kind = value.payload
    if kind == wire.SIMPLE:
        scalar_sink(out, tag).append(position, event.step, event.wall_time, _float(bytes(data[value.start : value.end]))[0], _FLOAT32)
    elif kind == wire.TENSOR:
        if plugin != "hparams":
            _add_tensor(out, data, event, value, position, plugin)
    elif kind == wire.HISTO:
        moments, right, count = decode_histo(data, value.start, value.end)
        histogram_sink(out, tag, tensor=False).append(position, event.step, event.wall_time, moments, right, count)
    elif kind in _MEDIA:
        out.plugins.setdefault(tag, _MEDIA[kind])
        _add_media(out, event, value, position)


def is_media(event: wire.Event, data: wire.Bytes, plugins: dict[bytes, str]) -> bool:
    """Whether nothing of an event but its outline will be kept, so that its payload need not be read."""
    if event.what in _GRAPHS:
        return True
    if event.what != wire.SUMMARY or not event.values:
        return False
    for value in event.values:
        if value.payload == wire.TENSOR:
            plugin = value.plugin.decode("utf-8", "backslashreplace") if value.plugin is not None else ""
            plugin = plugins.get(value.tag, plugin)
            if value.end - value.start > _MAX_NUMBER and is_blob(plugin):
                continue
            view = tensors.locate_tensor(data, value.start, value.end)
            text = view.dtype == tensors.STRING and plugin in ("text", "") and value.end - value.start <= _MAX_TEXT
            if text or (view.dtype != tensors.STRING and not (view.shape and is_blob(plugin))):
                return False
        elif value.payload not in _MEDIA:
            return False
    return True


def add_media(out: Contents, event: wire.Event, base: int) -> None:
    """File an event of which `is_media` is true, without looking at it again."""
    if event.what in _GRAPHS:
        add_event(out, b"", event, base)
        return
    out.records += 1
    out.note_wall(base, event.wall_time)
    for value in event.values:
        if value.plugin is not None and value.tag not in out.plugins:
            out.plugins[value.tag] = value.plugin.decode("utf-8", "backslashreplace")
        elif value.payload in _MEDIA:
            out.plugins.setdefault(value.tag, _MEDIA[value.payload])
        _add_media(out, event, value, base + value.start)


def _add_tensor(out: Contents, data: wire.Bytes, event: wire.Event, value: wire.Value, position: int, plugin: str) -> None:
    tag = value.tag
    view = tensors.locate_tensor(data, value.start, value.end)
    if view.dtype == tensors.STRING:
        if plugin in ("text", "") and value.end - value.start <= _MAX_TEXT:
            strings = tensors.decode_strings(data, view)
            text = strings[0].decode("utf-8", "backslashreplace") if strings else ""
            out.texts.setdefault(tag, Items()).append(position, event.step, event.wall_time, text)
        else:
            _add_media(out, event, value, position)
        return
    if view.shape and is_blob(plugin):
        _add_media(out, event, value, position)
        return
    array = tensors.decode_tensor(data, view)
    if array.ndim == 0 or (plugin == "scalars" and array.size == 1):
        flat = array.reshape(1)
        scalar_sink(out, tag).append(position, event.step, event.wall_time, flat[0], flat.dtype)
    elif plugin in ("histograms", "distributions") and array.ndim == 2 and array.shape[1] == 3:
        histogram_sink(out, tag, tensor=True).extend(np.array([position]), np.array([event.step]), np.array([event.wall_time]), array[None])
    elif plugin in ("scalars", "histograms", "distributions"):
        raise wire.WireError(f"{plugin} tensor of shape {list(array.shape)}")
    else:
        out.tensors.setdefault(tag, Items()).append(position, event.step, event.wall_time, array)


def scalar_sink(out: Contents, tag: bytes) -> ScalarSink:
    """The sink of a tag, made if it is new."""
    sink = out.scalars.get(tag)
    if sink is None:
        sink = out.scalars[tag] = ScalarSink(out.reserve)
    return sink


def histogram_sink(out: Contents, tag: bytes, *, tensor: bool) -> HistogramSink:
    """The sink of a tag, made if it is new."""
    sinks = out.histogram_tensors if tensor else out.histos
    sink = sinks.get(tag)
    if sink is None:
        sink = sinks[tag] = HistogramSink(tensor, out.reserve)
    return sink


def _add_media(out: Contents, event: wire.Event, value: wire.Value, position: int) -> None:
    out.media.setdefault(value.tag, Items()).append(position, event.step, event.wall_time, None, value.end - value.start)
