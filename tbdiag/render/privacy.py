"""Takes host names, user names and home directories out of report data.

Reports are attached to issues and pull requests; where a log lay and on whose machine it was written is nobody's business there.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_ELIDED = "\u2026"

# events.out.tfevents.<10 digits>.<host>[.<pid>.<n>][.v2]; hosts may hold dots, so everything up to the numeric tail goes
_EVENT_FILE = re.compile(r"(events\.out\.tfevents\.\d{9,11})\.(?!\u2026)(?P<rest>[^\s/\\\"'<>|:,;]+)")
_EVENT_TAIL = re.compile(r"(?:\.\d+){0,3}(?:\.(?:v2|profile-empty))?$")
# SummaryWriter's and the HF Trainer's default directory: Mar01_05-09-19_<host>[_comment]; a host name holds no underscore
_DATED_RUN = re.compile(r"((?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\d{2}_\d{2}-\d{2}-\d{2}_)(?!\u2026)[^\s/\\_\"'<>|:,;]+")
_HOME = re.compile(
    r"(?:(?<=file://)|(?<=\.\.)|(?<![\w.~/]))/(?:home|Users|export/home|usr/home)/[^/\s\"'<>|]+(?=[/\s\"'<>|,;:)]|$)|(?<![\w./])/root(?=[/\s\"',;:)]|$)"
)
_WINDOWS_HOME = re.compile(r"(?<!\w)[A-Za-z]:[\\/]+(?:Users|Documents and Settings)[\\/]+[^\\/\s\"'<>|]+")
# where clusters and servers keep people's files; only the last part is shown. Tags may begin with a slash and are left alone.
_PLACE = re.compile(
    r"(?:(?<=file://)|(?<![\w.~/\u2026]))/(?:data|gpfs|lustre|media|mnt|net|nfs|nobackup|opt|private|project|projects|scratch|share|shared|srv|storage|tmp"
    r"|users|var|vol|work|workspace)/(?:[^/\s\"'<>|,;:]+/)*([^/\s\"'<>|,;:)]+)"
)
# user@host:/path and mail addresses; metrics are called precision@10 and recall@k
_ACCOUNT = re.compile(r"(?<![\w.+-])[\w.+-]+@(?:[\w-]+(?:\.[\w-]+)*(?=:[~/\\])|[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b)")
_IDENTITY_KEYS = re.compile(r"(?:^|[/._-])(?:host|hostname|user|username|login|email|nodename|node_name|machine)$", re.IGNORECASE)
_PATH_KEYS = frozenset({"path"})
_TAG_KEYS = frozenset({"tag", "series", "layer", "stem", "role", "roles"})
_NUMERIC = frozenset({"steps", "values", "quantiles", "zero", "epoch_steps", "numbers", "nonfinite"})


@lru_cache(maxsize=8192)
def scrub_text(text: str) -> str:
    """A text without home directories, accounts and the host part of event files and dated run directories."""
    if "tfevents" in text:
        text = _EVENT_FILE.sub(_without_host, text)
    if "_" in text:
        text = _DATED_RUN.sub(rf"\1{_ELIDED}", text)
    if "/" in text or "\\" in text:
        text = _WINDOWS_HOME.sub("~", _HOME.sub("~", text))
    return _ACCOUNT.sub(_ELIDED, text) if "@" in text else text


def scrub_path(path: str) -> str:
    """A path as it may be shown: relative paths as they are, home directories as ``~``, of others the last part."""
    path = scrub_text(path)
    if not (path.startswith(("/", "\\\\")) or re.match(r"[A-Za-z]:[\\/]", path)):
        return path
    parts = [p for p in re.split(r"[\\/]+", path) if p and not re.fullmatch(r"[A-Za-z]:", p)]
    return "/".join([_ELIDED, *parts[-1:]])


def scrub(value: Any, key: str = "") -> Any:
    """A copy of report data with `scrub_text` applied to every string and `scrub_path` to every path."""
    if isinstance(value, str):
        if key in _PATH_KEYS or (value.startswith(("/", "\\\\")) and key in {"file", "name"}):
            return scrub_path(value)
        text = scrub_text(value)
        return _PLACE.sub(rf"{_ELIDED}/\1", text) if "/" in text and key not in _TAG_KEYS else text
    if key in _NUMERIC:
        return value
    if isinstance(value, dict):
        return {scrub_text(k): _identity(v) if _is_identity(k) else scrub(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [scrub(v, key) for v in value]
    return value


@lru_cache(maxsize=8192)
def _is_identity(key: str) -> bool:
    return _IDENTITY_KEYS.search(key) is not None


def _identity(value: Any) -> Any:
    """The value of a key such as ``hostname``, elided; of found configuration only the value, its source stays."""
    if isinstance(value, str):
        return _ELIDED
    if isinstance(value, dict) and isinstance(value.get("value"), str):
        return {**scrub(value), "value": _ELIDED}
    return scrub(value)


def _without_host(match: re.Match[str]) -> str:
    tail = _EVENT_TAIL.search(match["rest"])
    # "0.0.0.0"-like rests and bare hosts: what looks like pid and counter stays
    return f"{match[1]}.{_ELIDED}{tail[0] if tail and tail.start() else ''}"


__all__ = ["scrub", "scrub_path", "scrub_text"]
