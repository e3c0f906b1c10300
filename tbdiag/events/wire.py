"""Protocol-buffer wire format of an ``Event``: which bytes mean what, without generated classes.

Layout of the messages that matter (field numbers in brackets; the writers emit them in ascending order)::

    Event            wall_time [1] double, step [2] int64, one of: file_version [3], graph_def [4], summary [5], log_message [6],
                     session_log [7], tagged_run_metadata [8], meta_graph_def [9]; source_metadata [10]
    Summary          value [1], repeated
    Summary.Value    tag [1], one of: simple_value [2] float, obsolete histogram [3], image [4], histo [5], audio [6], tensor [8];
                     node_name [7], metadata [9]
    SummaryMetadata  plugin_data [1] {plugin_name [1], content [2]}, display_name [2], description [3], data_class [4]
    SessionLog       status [1] (1 = START)

A field is a key varint ``number << 3 | wire type`` and then, by wire type: 0 a varint, 1 eight bytes, 2 a length varint and that
many bytes, 5 four bytes. Zero values are not written, so step 0 and wall time 0 are absent. Negative integers take ten bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, overload

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Bytes(Protocol):
    """What is parsed: bytes, or something that reads them from a file when it is asked for them."""

    @overload
    def __getitem__(self, index: int, /) -> int: ...
    @overload
    def __getitem__(self, index: slice, /) -> bytes: ...
    def __len__(self) -> int: ...


SIMPLE, OLD_HISTOGRAM, IMAGE, HISTO, AUDIO, TENSOR = 2, 3, 4, 5, 6, 8
"""Field numbers of the payload of a ``Summary.Value``."""

GRAPH_DEF, SUMMARY, LOG_MESSAGE, SESSION_LOG, RUN_METADATA, META_GRAPH = 4, 5, 6, 7, 8, 9
"""Field numbers of the payload of an ``Event``."""

_double = struct.Struct("<d").unpack
_MAX_VALUES = 1_000_000


class WireError(ValueError):
    """The bytes are no well-formed message of this type."""


class OddWireError(WireError):
    """Legal, but not what any writer emits (repeated or reordered singular fields): only protobuf's own rules tell the meaning."""


@dataclass(slots=True)
class Value:
    """One ``Summary.Value``: `payload` is the field number of what it holds (0 for none), at ``[start, end)`` of the record."""

    tag: bytes = b""
    payload: int = 0
    start: int = 0
    end: int = 0
    plugin: bytes | None = None
    content: tuple[int, int] | None = None


@dataclass(slots=True)
class Event:
    """One decoded ``Event``: `what` is the field number of its payload, 0 for none."""

    wall_time: float = 0.0
    step: int = 0
    what: int = 0
    values: list[Value] = field(default_factory=list)
    file_version: bytes | None = None
    session_start: bool = False
    run_metadata_tag: bytes | None = None
    payload_bytes: int = 0


def read_varint(data: Bytes, pos: int, end: int) -> tuple[int, int]:
    """Unsigned value (up to 64 bits) and the position after it."""
    result = 0
    shift = 0
    while True:
        if pos >= end:
            raise WireError("varint runs past the message")
        byte = data[pos]
        pos += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, pos
        shift += 7
        if shift > 63:
            raise WireError("varint of more than ten bytes")


def signed64(value: int) -> int:
    """The two's-complement reading of a 64-bit varint."""
    return value - (1 << 64) if value >= 1 << 63 else value


def walk_fields(data: Bytes, pos: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield ``(field number, wire type, start, end)`` of every field; for a varint, `start` is its value and `end` 0."""
    while pos < end:
        key = data[pos]
        pos += 1
        if key >= 0x80:
            key, pos = read_varint(data, pos - 1, end)
        number = key >> 3
        kind = key & 7
        if not number or number >= 1 << 29:
            raise WireError("field number out of range")
        if kind == BYTES:
            if pos < end and data[pos] < 0x80:
                size = data[pos]
                pos += 1
            else:
                size, pos = read_varint(data, pos, end)
            stop = pos + size
            if stop > end:
                raise WireError("field runs past the message")
            yield number, kind, pos, stop
            pos = stop
        elif kind == VARINT:
            value, pos = read_varint(data, pos, end)
            yield number, kind, value, 0
        elif kind in (FIXED64, FIXED32):
            stop = pos + (8 if kind == FIXED64 else 4)
            if stop > end:
                raise WireError("field runs past the message")
            yield number, kind, pos, stop
            pos = stop
        elif kind in (3, 4):
            raise OddWireError("group field")
        else:
            raise WireError("unknown wire type")


def parse_event(data: Bytes, pos: int, end: int) -> Event:
    """Decode the ``Event`` at ``data[pos:end]``; payloads are located, not decoded.

    Raises:
        OddWireError: legal but unusual bytes; ask `canonical_event`.
        WireError: not an ``Event``.
    """
    event = Event()
    seen = 0
    for number, kind, start, stop in walk_fields(data, pos, end):
        if number <= seen and not (number == SUMMARY == seen):
            raise OddWireError("fields out of order")
        if number == 1 and kind == FIXED64:
            event.wall_time = _double(bytes(data[start:stop]))[0]
        elif number == 2 and kind == VARINT:
            event.step = signed64(start)
        elif 3 <= number <= 9 and kind == BYTES:
            if event.what and not (number == SUMMARY == event.what):
                raise OddWireError("two payloads")
            event.what = number
            event.payload_bytes += stop - start
            _parse_payload(data, number, start, stop, event)
        elif number <= 9:
            raise OddWireError("field of another type")
        seen = number
    return event


def _parse_payload(data: Bytes, number: int, start: int, stop: int, event: Event) -> None:
    if number == SUMMARY:
        for field_number, kind, a, b in walk_fields(data, start, stop):
            if field_number == 1 and kind == BYTES:
                event.values.append(_parse_value(data, a, b))
                if len(event.values) > _MAX_VALUES:
                    raise WireError("more than a million values in one event")
            elif field_number == 1:
                raise OddWireError("field of another type")
    elif number == 3:
        event.file_version = bytes(data[start:stop])
    elif number == SESSION_LOG:
        for field_number, kind, a, _ in walk_fields(data, start, stop):
            if field_number == 1 and kind == VARINT:
                event.session_start = a == 1
    elif number == RUN_METADATA:
        for field_number, kind, a, b in walk_fields(data, start, stop):
            if field_number == 1 and kind == BYTES:
                event.run_metadata_tag = bytes(data[a:b])


def _parse_value(data: Bytes, pos: int, end: int) -> Value:
    value = Value()
    seen = 0
    for number, kind, start, stop in walk_fields(data, pos, end):
        if number <= seen:
            raise OddWireError("fields out of order")
        seen = number
        if kind != (FIXED32 if number == SIMPLE else BYTES):
            if number <= 9:
                raise OddWireError("field of another type")
            continue
        if number == 1:
            value.tag = bytes(data[start:stop])
        elif number in (SIMPLE, OLD_HISTOGRAM, IMAGE, HISTO, AUDIO, TENSOR):
            if value.payload:
                raise OddWireError("two payloads")
            value.payload, value.start, value.end = number, start, stop
        elif number == 9:
            parse_metadata(data, start, stop, value)
    return value


def parse_metadata(data: Bytes, pos: int, end: int, value: Value) -> None:
    """Fill the plugin's name and the place of its content from a ``SummaryMetadata``."""
    for number, kind, start, stop in walk_fields(data, pos, end):
        if number == 1 and kind == BYTES:
            for inner, inner_kind, a, b in walk_fields(data, start, stop):
                if inner == 1 and inner_kind == BYTES:
                    value.plugin = bytes(data[a:b])
                elif inner == 2 and inner_kind == BYTES:
                    value.content = (a, b)


def canonical_event(data: bytes) -> bytes:
    """The same ``Event`` as protobuf itself understands and would write it (slow: the last resort).

    Raises:
        WireError: protobuf rejects the bytes.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto import event_pb2

    try:
        message = event_pb2.Event.FromString(data)
    except (DecodeError, RecursionError) as error:
        raise WireError(str(error)) from None
    message.DiscardUnknownFields()
    return bytes(message.SerializeToString())
