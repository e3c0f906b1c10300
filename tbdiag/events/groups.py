"""Records of one length, wherever they lie in a window: gathered into rows, checked, sorted by tag, and read column by column."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.events import extract
from tbdiag.events.checksum import check_rows, right_record, unmask
from tbdiag.events.columns import Int64
from tbdiag.events.decode import Contents
from tbdiag.events.layouts import Layout, parse_layout

MIN_ROWS = 12
MAX_LENGTH = 4096
_MAX_CLASSES = 24

Words = npt.NDArray[np.uint64]


def decode_group(out: Contents, arena: npt.NDArray[np.uint8], at: Int64, position: Int64, length: int) -> tuple[Int64, Int64]:
    """Decode records of one payload length.

    Args:
        arena: the window's bytes, at least 16 bytes longer than its last record.
        at: int64 ``[m]``, where each payload begins in the arena; position: int64 ``[m]``, and in the file.

    Returns:
        Indices of records whose checksum is wrong, and of right ones that must be decoded one by one.
    """
    width = -(-(length + 4) // 8) * 8
    rows = np.lib.stride_tricks.sliding_window_view(arena, width)[at]
    rows[:, length + 4 :] = 0
    stored = np.ndarray((len(rows),), dtype="<u4", buffer=rows, offset=length, strides=(width,))
    stored[...] = unmask(stored.copy())
    right = check_rows(rows, right_record(length, width))
    index = np.arange(len(rows))
    if right is not None:
        wrong, index = index[~right], index[right]
        rows = rows[right]
    else:
        wrong = index[:0]
    left_over: list[Int64] = []
    words: Words = rows.view("<u8")
    rest = np.arange(len(rows))
    for _ in range(_MAX_CLASSES):
        if rest.size < MIN_ROWS:
            break
        layout = parse_layout(rows[rest[0], :length].tobytes())
        if layout is None:
            left_over.append(rest[:1])
            rest = rest[1:]
            continue
        alike = _agree(words, rest, _pad(layout.structure, width), int(rest[0]))
        members = rest[alike]
        if members.size < MIN_ROWS:
            left_over.append(members)
        else:
            whole = members.size == len(rows)
            left_over.append(
                _decode_class(out, rows if whole else rows[members], position[index if whole else index[members]], layout, members)
            )
        rest = rest[~alike]
    left_over.append(rest)
    return wrong, index[np.concatenate(left_over)]


def _pad(mask: npt.NDArray[np.uint8], width: int) -> Words:
    padded = np.zeros(width, dtype=np.uint8)
    padded[: mask.size] = mask
    return padded.view("<u8")


def _agree(words: Words, rest: Int64, mask: Words, representative: int) -> npt.NDArray[np.bool_]:
    """Which rows equal the representative under the mask, bool ``[rest.size]``."""
    differs = np.zeros(rest.size, dtype=np.uint64)
    some = words if rest.size == len(words) else words[rest]
    for column in np.flatnonzero(mask):
        differs |= (some[:, column] ^ words[representative, column]) & mask[column]
    same: npt.NDArray[np.bool_] = differs == 0
    return same


def _decode_class(out: Contents, rows: npt.NDArray[np.uint8], position: Int64, layout: Layout, members: Int64) -> Int64:
    """Decode rows of one structure; the indices of those that could not be told apart by tag (never seen, but possible) are returned."""
    m, width = rows.shape
    data = rows
    wall_time = extract.read_walls(data, 0, width, m, layout)
    out.note_walls(position, wall_time)
    step = extract.read_steps(data, 0, width, m, layout)
    order, bounds, bad = _sort_by_tag(rows, layout)
    for slot in layout.slots:
        value = extract.read_values(data, 0, width, m, slot)
        places = position + slot.value_at
        if order is None:
            extract.add_column(out, slot.tag, slot, places, step, wall_time, value)
            continue
        for a, b in bounds:
            pick = order[a:b]
            tag = rows[pick[0], slot.tag_at : slot.tag_at + len(slot.tag)].tobytes()
            extract.add_column(out, tag, slot, places[pick], step[pick], wall_time[pick], value[pick])
    out.records += m - bad.size
    return members[bad]


def _sort_by_tag(rows: npt.NDArray[np.uint8], layout: Layout) -> tuple[Int64 | None, list[tuple[int, int]], Int64]:
    """Rows in order of tag: a stable order (None where there is one tag), the bounds of each tag in it, and rows that fit no tag."""
    words: Words = rows.view("<u8")
    mask = _pad(layout.fixed ^ layout.structure, rows.shape[1])
    none = np.zeros(0, dtype=np.int64)
    columns = np.flatnonzero(mask)
    if not columns.size:
        return None, [], none
    key = np.zeros(len(rows), dtype=np.uint64)
    for number, column in enumerate(columns):
        # An odd multiplier a word; equal keys are confirmed below, so that a collision costs time and not truth.
        key += (words[:, column] & mask[column]) * np.uint64(0x9E3779B97F4A7C15 + 2 * number * 0x632BE59BD9B4E019 & 0xFFFFFFFFFFFFFFFF | 1)
    if bool((key == key[0]).all()):
        first = np.zeros(1, dtype=np.int64)
        inverse = np.zeros(len(rows), dtype=np.int64)
    else:
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    differs = np.zeros(len(rows), dtype=np.uint64)
    for column in columns:
        word = words[:, column] & mask[column]
        differs |= word ^ word[first][inverse]
    bad = np.flatnonzero(differs)
    if first.size == 1 and not bad.size:
        return None, [], none
    small: Any = inverse.astype(np.uint16) if first.size < 1 << 16 else inverse
    order = np.argsort(small, kind="stable")
    if bad.size:
        order = order[differs[order] == 0]
    edges = np.concatenate([[0], np.cumsum(np.bincount(inverse[order], minlength=first.size))]).tolist()
    return order, [(a, b) for a, b in pairwise(edges) if b > a], bad
