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
_ODD = [(0x9E3779B97F4A7C15 + 2 * k * 0x632BE59BD9B4E019) % (1 << 64) | 1 for k in range(64)]
"""Multipliers, one a word of the tag, whose upper bits mix well."""

UInt8 = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]


def decode_group(out: Contents, arena: UInt8, at: Int64, position: Int64, length: int) -> tuple[Int64, Int64]:
    """Decode records of one payload length.

    Args:
        arena: the window's bytes, at least 16 bytes longer than its last record.
        at: int64 ``[m]``, where each payload begins in the arena, ascending; position: int64 ``[m]``, and in the file.

    Returns:
        Indices of records whose checksum is wrong, and of right ones that must be decoded one by one.
    """
    width = -(-(length + 4) // 8) * 8
    words = _gather(arena, at, width)
    rows: Any = words.view(np.uint8)
    stored = extract.strided(words, length, width, at.size, "<u4")
    stored[...] = unmask(stored)
    words[:, -1] &= np.uint64((1 << 8 * (length + 12 - width)) - 1)  # behind the checksum the next record begins
    right = check_rows(rows, right_record(length, width))
    rest = np.arange(at.size)
    wrong = rest[:0]
    if right is not None:
        wrong, rest = np.flatnonzero(~right), np.flatnonzero(right)
        words = _take(words, rest)
    left_over: list[Int64] = []
    for _ in range(_MAX_CLASSES):
        if rest.size < MIN_ROWS:
            break
        layout = parse_layout(words[0].tobytes()[:length])
        if layout is None:
            left_over.append(rest[:1])
            rest, words = rest[1:], words[1:]
            continue
        order, starts, others = _sort_by_tag(words, layout)
        if order.size < MIN_ROWS:
            left_over.append(rest[order])
        else:
            _decode_class(out, _take(words, order), position[rest[order]], starts, layout)
        rest = rest[others]
        if rest.size:
            words = _take(words, others)
    left_over.append(rest)
    return wrong, np.concatenate(left_over)


def _gather(arena: UInt8, at: Int64, width: int) -> Words:
    """The `width` bytes, a multiple of eight, from each of `at` on, as uint64 ``[m, width / 8]``."""
    # As one element each, rows are copied whole; as many small ones they would be copied one by one.
    every: Any = np.ndarray((arena.size - width + 1,), dtype=f"V{width}", buffer=arena, strides=(1,))
    words: Words = every[at].view("<u8").reshape(at.size, width // 8)
    return words


def _take(words: Words, index: Int64) -> Words:
    """Rows at `index`."""
    width = words.shape[1]
    whole: Any = words.view(f"V{width * 8}").ravel()
    taken: Words = whole[index].view("<u8").reshape(index.size, width)
    return taken


def _pad(mask: UInt8, words: int) -> Words:
    padded = np.zeros(words * 8, dtype=np.uint8)
    padded[: mask.size] = mask
    return padded.view("<u8")


def _sort_by_tag(words: Words, layout: Layout) -> tuple[Int64, Int64, Int64]:
    """Put the rows that agree with the first one in all but numbers and tag in order of tag.

    Returns:
        Their indices, those of one tag side by side in file order; where in these each tag begins; and the indices of all other rows.
    """
    columns = words.shape[1]
    fixed, structure = _pad(layout.fixed, columns), _pad(layout.structure, columns)
    # Sorted by a hash, rows of one tag lie together but for collisions. Nothing rests on it: wherever neighbours differ a tag begins.
    key = np.zeros(len(words), dtype=np.uint64)
    for number, column in enumerate(np.flatnonzero(fixed ^ structure).tolist()):
        key += (words[:, column] & (fixed ^ structure)[column]) * np.uint64(_ODD[number % len(_ODD)])
    order = np.argsort((key >> np.uint64(48)).astype(np.uint16), kind="stable")
    placed = _take(words, order)
    differs = np.flatnonzero((placed[1:] ^ placed[:-1]) & fixed) // columns + 1
    starts = np.concatenate([[0], differs[:1], differs[1:][differs[1:] != differs[:-1]]])
    alike = ~((placed[starts] ^ words[0]) & structure).any(axis=1)
    if alike.all():
        return order, starts, order[:0]
    sizes = np.diff(np.append(starts, len(words)))
    members = np.repeat(alike, sizes)
    return order[members], np.cumsum(sizes[alike]) - sizes[alike], np.sort(order[~members])


def _decode_class(out: Contents, words: Words, position: Int64, starts: Int64, layout: Layout) -> None:
    """Decode rows of one structure in which the tags begin at `starts`."""
    m, width = len(words), words.shape[1] * 8
    data = words
    wall_time = extract.read_walls(data, 0, width, m, layout)
    out.note_walls(position, wall_time)
    step = extract.read_steps(data, 0, width, m, layout)
    edges = [*starts.tolist(), m]
    for slot in layout.slots:
        value = extract.read_values(data, 0, width, m, slot)
        places = position + slot.value_at
        for a, b in pairwise(edges):
            tag = words[a].tobytes()[slot.tag_at : slot.tag_at + len(slot.tag)]
            extract.add_column(out, tag, slot, places[a:b], step[a:b], wall_time[a:b], value[a:b])
    out.records += m
