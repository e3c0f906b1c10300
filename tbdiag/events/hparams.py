"""Content of the hparams plugin's ``session_start_info`` -> configuration values.

Layout: ``HParamsPluginData {session_start_info [3]: {hparams [1]: map<string [1], Value [2]>}}`` with
``google.protobuf.Value {null [1], number [2] double, string [3], bool [4]}``.
"""

from __future__ import annotations

import numpy as np

from tbdiag.events.wire import BYTES, FIXED64, VARINT, Bytes, walk_fields


def decode_session_start(data: Bytes, pos: int, end: int) -> dict[str, float | str | bool]:
    """Names and values of the hyper-parameters; lists and nulls are left out, they carry no single value."""
    found: dict[str, float | str | bool] = {}
    for number, kind, start, stop in walk_fields(data, pos, end):
        if number != 3 or kind != BYTES:
            continue
        for inner, inner_kind, a, b in walk_fields(data, start, stop):
            if inner != 1 or inner_kind != BYTES:
                continue
            name, value = "", None
            for part, part_kind, c, d in walk_fields(data, a, b):
                if part == 1 and part_kind == BYTES:
                    name = data[c:d].decode("utf-8", "backslashreplace")
                elif part == 2 and part_kind == BYTES:
                    value = _value(data, c, d)
            if name and value is not None:
                found[name] = value
    return found


def _value(data: Bytes, pos: int, end: int) -> float | str | bool | None:
    value: float | str | bool | None = None
    for number, kind, start, stop in walk_fields(data, pos, end):
        if number == 2 and kind == FIXED64:
            value = float(np.frombuffer(data[start:stop], "<f8")[0])
        elif number == 3 and kind == BYTES:
            value = data[start:stop].decode("utf-8", "backslashreplace")
        elif number == 4 and kind == VARINT:
            value = bool(start)
    return value
