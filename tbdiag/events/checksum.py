"""CRC32C (Castagnoli) as TFRecord files use it: by google-crc32c, one record or many records at once.

A stored checksum is *masked*: the CRC rotated right by 15 bits plus ``0xa282ead8``, so that a file which holds checksums of its own
content stays checkable.

Many at once: append to a payload its plain CRC and the CRC of both is always the same number, whatever the payload. A CRC register that
runs over such a record therefore ends in a state that depends only on the state before and on the record's length. So the CRC of a
stretch of equally laid out records, with their checksums unmasked in place, equals the CRC of one right record repeated as often, if and
(but for one chance in 2^32, as with every CRC) only if each of their checksums is right. One pass of some 10 GB/s checks them all; where
it fails, the records of that stretch are checked one by one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

UInt32 = npt.NDArray[np.uint32]
UInt8 = npt.NDArray[np.uint8]

_MASK_DELTA = 0xA282EAD8
_POLYNOMIAL = 0x82F63B78
_STRETCH = 1 << 16

crc32c = google_crc32c.value
extend_crc = google_crc32c.extend


def masked_crc(data: bytes) -> int:
    """Masked CRC32C of `data`, as it is stored in a frame."""
    return mask_int(int(crc32c(data)))


def mask_int(crc: int) -> int:
    """Mask one plain CRC."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def mask(crc: UInt32) -> UInt32:
    """Mask plain CRCs, uint32 ``[n]``."""
    out: UInt32 = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK_DELTA)
    return out


def unmask(stored: UInt32) -> UInt32:
    """Plain CRCs of masked ones, uint32 ``[n]``."""
    rotated = stored - np.uint32(_MASK_DELTA)
    out: UInt32 = (rotated >> np.uint32(17)) | (rotated << np.uint32(15))
    return out


def crc_of_array(array: UInt8) -> int:
    """Plain CRC32C of a contiguous uint8 array, without copying it where the library allows."""
    try:
        return int(crc32c(array))
    except TypeError:
        return int(crc32c(array.tobytes()))


def check_rows(rows: UInt8, right_row: bytes) -> npt.NDArray[np.bool_] | None:
    """Check all rows of ``[m, w]`` contiguous bytes, each a payload, its unmasked CRC, and fixed bytes.

    Args:
        right_row: ``w`` bytes of the same layout whose checksum is right; the payload is of no matter.

    Returns:
        None where all are right, else bool ``[m]``.
    """
    m, w = rows.shape
    stretch = max(1, _STRETCH // w)
    right: npt.NDArray[np.bool_] | None = None
    wanted = int(crc32c(right_row * min(stretch, m)))
    alone: int | None = None
    for a in range(0, m, stretch):
        b = min(a + stretch, m)
        if b - a < stretch and a:
            wanted = int(crc32c(right_row * (b - a)))
        if crc_of_array(rows[a:b]) == wanted:
            continue
        if right is None:
            right = np.ones(m, dtype=np.bool_)
            alone = int(crc32c(right_row))
        for i in range(a, b):
            right[i] = crc_of_array(rows[i]) == alone
    return right


def right_record(length: int, width: int) -> bytes:
    """`length` zero bytes, their plain CRC, and zeros up to `width`: a right row for `check_rows`."""
    payload = bytes(length)
    return payload + int(crc32c(payload)).to_bytes(4, "little") + bytes(width - length - 4)


@lru_cache(maxsize=1)
def _byte_table() -> UInt32:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> np.uint32(1)) ^ np.uint32(_POLYNOMIAL), table >> np.uint32(1)).astype(np.uint32)
    return table


def crc_rows(rows: npt.NDArray[Any]) -> UInt32:
    """Plain CRC32C of each row of ``[n, k]`` bytes, one table step per column."""
    table = _byte_table()
    crc = np.full(rows.shape[0], 0xFFFFFFFF, dtype=np.uint32)
    for column in range(rows.shape[1]):
        crc = table[(crc ^ rows[:, column]) & np.uint32(0xFF)] ^ (crc >> np.uint32(8))
    return crc ^ np.uint32(0xFFFFFFFF)
