"""Names for people: paths and tags as printable text, unique where they must be."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


def printable(path: str) -> str:
    """A path without lone surrogates (bytes that are no UTF-8 become ``\\xNN``) and with ``/`` between its parts."""
    text = path.replace(os.sep, "/") if os.sep != "/" else path
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(text).decode("utf-8", "backslashreplace")
    return text


def tag_text(tag: bytes) -> str:
    """A tag as text; bytes that are no UTF-8 become ``\\xNN``."""
    return tag.decode("utf-8", "backslashreplace")


def unique(name: str, taken: Mapping[str, Any]) -> str:
    """`name`, or `name` with a number where it is taken."""
    if name not in taken:
        return name
    number = 2
    while f"{name}#{number}" in taken:
        number += 1
    return f"{name}#{number}"


def root_labels(roots: list[str]) -> list[str]:
    """A short distinct label for each of several logdirs: as many trailing path components as tell them apart."""
    parts = [printable(root).rstrip("/").split("/") for root in roots]
    depth = 1
    longest = max(len(p) for p in parts)
    while depth < longest and len({"/".join(p[-depth:]) for p in parts}) < len({"/".join(p) for p in parts}):
        depth += 1
    return ["/".join(p[-depth:]) or "/" for p in parts]
