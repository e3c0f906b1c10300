"""What was wrong with a file, as sentences with numbers."""

from __future__ import annotations

from tbdiag.events.columns import Damage, FileColumns
from tbdiag.logs.names import tag_text
from tbdiag.model import ReadIssue

_MAX_RANGES = 20
_MAX_REJECTED = 20


def issues_of_file(name: str, columns: FileColumns, listed_size: int) -> list[ReadIssue]:
    """Read issues of one file that could be opened, worst first."""
    size = columns.size
    if not size:
        return [ReadIssue("empty-file", name, "the file is empty (0 bytes): its writer never flushed", size=0, damage=False)]
    issues = []
    if size < listed_size:
        message = f"the file shrank from {listed_size:,} to {size:,} bytes while it was read"
        issues.append(ReadIssue("shrunk", name, message, offset=size, end=listed_size, size=size))
    if not columns.records:
        issues.append(_no_record(name, columns))
    else:
        issues += _damage(name, columns)
        if not _has_data(columns):
            message = f"the file holds {columns.records} valid record{'s' * (columns.records != 1)} and no summary"
            issues.append(ReadIssue("no-records", name, message, size=size, records=0, damage=False))
    if columns.nan_wall_times:
        message = f"{columns.nan_wall_times:,} records carry NaN as wall time; their points are kept"
        issues.append(ReadIssue("nan-wall-time", name, message, records=columns.nan_wall_times, damage=False))
    for (tag, reason), count in list(columns.rejected.items())[:_MAX_REJECTED]:
        message = f"{count:,} value{'s' * (count != 1)} of tag {tag_text(tag)!r} could not be decoded: {reason}"
        issues.append(ReadIssue("bad-record", name, message, records=count))
    return issues


def _has_data(columns: FileColumns) -> bool:
    tables = (columns.scalars, columns.histos, columns.histogram_tensors, columns.tensors, columns.texts, columns.media, columns.plugins)
    return any(tables) or bool(columns.rejected)


def _no_record(name: str, columns: FileColumns) -> ReadIssue:
    first = columns.damage[0] if columns.damage else Damage("corrupt", 0, columns.size, "")
    if first.kind == "truncated":
        message = f"the file ends within its first record ({columns.size:,} bytes)"
        return ReadIssue("truncated", name, message, offset=0, end=columns.size, size=columns.size, records=0)
    message = f"none of its {columns.size:,} bytes is a valid record: this is no event file, or it is wholly damaged"
    return ReadIssue("not-an-event-file", name, message, offset=0, end=columns.size, size=columns.size, records=0, damage=False)


def _damage(name: str, columns: FileColumns) -> list[ReadIssue]:
    share = f"{columns.readable:,} of {columns.size:,} bytes readable"
    issues = []
    for part in columns.damage[:_MAX_RANGES]:
        message = f"{share}, lost between byte {part.start:,} and {part.end:,}: {part.why}"
        issues.append(ReadIssue(part.kind, name, message, offset=part.start, end=part.end, size=columns.size))
    rest = columns.damage[_MAX_RANGES:]
    if rest:
        lost = sum(part.end - part.start for part in rest)
        message = f"{share}; {len(rest):,} further damaged ranges between byte {rest[0].start:,} and {rest[-1].end:,} ({lost:,} bytes)"
        issues.append(ReadIssue("corrupt", name, message, offset=rest[0].start, end=rest[-1].end, size=columns.size, records=len(rest)))
    return issues
