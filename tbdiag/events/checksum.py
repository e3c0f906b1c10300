"""CRC32C (Castagnoli) as TFRecord files use it: per record by google-crc32c, per column of records by tables in numpy.

A stored checksum is *masked*: the CRC rotated right by 15 bits plus ``0xa282ead8``, so that a file which holds
checksums of its own content stays checkable.
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

crc32c = google_crc32c.value


def masked_crc(data: bytes) -> int:
    """Masked CRC32C of `data`, as it is stored in a frame."""
    crc = int(crc32c(data))
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def mask(crc: UInt32) -> UInt32:
    """Mask plain CRCs, uint32 ``[n]``."""
    out: UInt32 = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK_DELTA)
    return out


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
