"""JSON reports, written strictly and read back from JSON or HTML files."""

from __future__ import annotations

import base64
import json
import re
import zlib
from os import PathLike
from pathlib import Path
from typing import Any

from tbdiag.errors import ReportError
from tbdiag.render.prepare import plain

_BLOCK = re.compile(r'<script type="application/json" id="tbdiag-report">(.*?)</script>', re.DOTALL)
_PLAIN_LIMIT = 96 * 1024


def render_json(report: dict[str, Any]) -> str:
    """Strict JSON (no NaN or Infinity), two spaces of indent, lists of numbers on one line, ASCII only."""
    return _layout(report, 0) + "\n"


def _layout(value: Any, depth: int) -> str:
    if isinstance(value, dict) and value:
        inner = ",\n".join(f"{'  ' * (depth + 1)}{_text(str(k))}: {_layout(v, depth + 1)}" for k, v in value.items())
        return f"{{\n{inner}\n{'  ' * depth}}}"
    if isinstance(value, list) and any(isinstance(v, (dict, list)) and v for v in value):
        inner = ",\n".join(f"{'  ' * (depth + 1)}{_layout(v, depth + 1)}" for v in value)
        return f"[\n{inner}\n{'  ' * depth}]"
    return _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=True)


def embed(report: dict[str, Any]) -> str:
    """JSON for the HTML file: the report itself, or, beyond 96 KiB, ``{"encoding": "zlib+base64", "data": ...}`` of it."""
    text = json.dumps(report, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    if len(text) <= _PLAIN_LIMIT:
        return text
    packed = base64.b64encode(zlib.compress(text.encode("ascii"), 6)).decode("ascii")
    return json.dumps({"encoding": "zlib+base64", "data": packed}, separators=(",", ":"))


def load(path: str | PathLike[str]) -> dict[str, Any]:
    """The report in a JSON or HTML file.

    Raises:
        ReportError: unreadable, or no report in it.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8 text"
        raise ReportError(f"cannot read report {path}: {reason}") from error
    if text.lstrip()[:1] == "<":
        block = _BLOCK.search(text)
        if block is None:
            raise ReportError(f"{path} holds no report data: give an HTML or JSON report that tbdiag wrote")
        text = block[1]
    try:
        data = json.loads(text)
        if isinstance(data, dict) and data.get("encoding") == "zlib+base64":
            data = json.loads(zlib.decompress(base64.b64decode(data["data"])))
        return plain(data)
    except ReportError as error:
        raise ReportError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, zlib.error, RecursionError) as error:
        raise ReportError(f"{path} is not a report: {error}") from error


__all__ = ["embed", "load", "render_json"]
