"""What reading could not read or had to resolve."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadIssue:
    """Something that could not be read, or was resolved, while reading.

    Attributes:
        kind: ``truncated``, ``corrupt``, ``empty-file``, ``no-records``, ``not-an-event-file``, ``unreadable-file``,
            ``vanished``, ``shrunk``, ``bad-record``, ``nan-wall-time``, ``restart``, ``duplicate-step``, ``epoch-steps``, ``writers-in-turn``,
            ``shared-tag``, ``overlapping-writers``, ``limit``, ``symlink-loop``.
        file: path of the file, relative to the run's path where it lies below it.
        message: one sentence with numbers.
        offset, end: byte range that was lost (None where the issue has none).
        size: size of the file in bytes; records: records lost, where known.
        first_step, last_step: step interval concerned, where it has one.
        damage: whether data was lost (a truncated or corrupt file) rather than resolved.
    """

    kind: str
    file: str
    message: str
    offset: int | None = None
    end: int | None = None
    size: int | None = None
    records: int | None = None
    first_step: int | None = None
    last_step: int | None = None
    damage: bool = True
