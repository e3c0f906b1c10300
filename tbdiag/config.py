"""The configuration: `[tool.tbdiag]` of pyproject.toml, or tbdiag.toml, as a frozen `Config`.

The nearest file upwards from the logdir counts, else the nearest upwards from the working directory; in one directory
tbdiag.toml goes before pyproject.toml. Command-line options are laid over it. A key that does not exist is an error that
names file, line and near match, because a misspelt threshold would silently do nothing.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tbdiag.errors import ConfigError
from tbdiag.model import Direction, Role, Split


@dataclass(frozen=True, slots=True)
class Suppression:
    """A finding that is known and accepted: `finding` id, `run` glob, `reason`, and `expires` (ISO date) or None."""

    finding: str
    reason: str
    run: str = "*"
    expires: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a user can set.

    Attributes:
        select, ignore: detector ids to run (empty: all) or to leave out.
        thresholds: detector id -> threshold name -> value.
        roles: role key (``train_loss``) -> tag (or series name) that plays it.
        directions: tag -> ``lower``, ``higher`` or ``none``.
        success: name -> success rule in the rule language, checked in every report.
        suppressions: accepted findings.
        owners: glob over run names -> owner, the first that matches counts (nightly reports).
        source: the file that it was read from, or None.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    directions: Mapping[str, str] = field(default_factory=dict)
    success: Mapping[str, str] = field(default_factory=dict)
    suppressions: tuple[Suppression, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None


KEYS = ("select", "ignore", "roles", "directions", "success", "detectors", "suppressions", "owners")
SUPPRESSION_KEYS = ("finding", "run", "reason", "expires", "owner")
DIRECTIONS = tuple(d.value for d in Direction)
SPLITS = (Split.TRAIN, Split.VAL, Split.TEST)
_ROLES = {r.value: r for r in Role}


def load_config(start: Path | None = None, explicit: Path | None = None, overrides: Mapping[str, Sequence[str]] | None = None) -> Config:
    """Read the configuration that holds for a logdir.

    Args:
        start: logdir (or any path) from which the nearest file upwards is looked for; the working directory if None.
        explicit: the file to read instead (``--config``); a ``pyproject.toml`` or a file with tbdiag's keys at the top.
        overrides: options of the command line: ``roles`` (``KEY=TAG``), ``select`` and ``ignore`` (ids, also comma-separated).

    Raises:
        ConfigError: the file cannot be read, is no TOML, or holds an unknown key or a wrong value.
    """
    path = explicit if explicit is not None else find_config(start)
    config = Config() if path is None else _read(path)
    given = overrides or {}
    unknown = set(given) - {"roles", "select", "ignore"}
    if unknown:
        raise ConfigError(f"unknown override {sorted(unknown)[0]}")
    roles = dict(config.roles)
    for text in given.get("roles", ()):
        key, sep, tag = text.partition("=")
        if not sep or not key.strip() or not tag.strip():
            raise ConfigError(f'--role {text}: write KEY=TAG, for example --role "train_loss=loss/total"')
        parse_key(key)
        roles[_normal(key)] = tag.strip()
    select = _split_ids(given.get("select", ())) or config.select
    ignore = config.ignore + tuple(i for i in _split_ids(given.get("ignore", ())) if i not in config.ignore)
    return replace(config, roles=roles, select=select, ignore=ignore)


def find_config(start: Path | None = None) -> Path | None:
    """The nearest tbdiag.toml, or pyproject.toml with a ``[tool.tbdiag]`` table, upwards from `start`, else from the working directory."""
    starts = ([Path(start)] if start is not None else []) + [Path.cwd()]
    for origin in starts:
        here = origin.absolute()
        for directory in (here, *here.parents):
            own = directory / "tbdiag.toml"
            if own.is_file():
                return own
            project = directory / "pyproject.toml"
            if project.is_file() and _has_table(project):
                return project
    return None


def _has_table(path: Path) -> bool:
    """Whether a pyproject.toml speaks of tbdiag at all (a cheap look; the file is parsed afterwards)."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return re.search(r"^\s*\[\[?\s*tool\s*\.\s*[\"']?tbdiag[\"']?\s*[.\]]", text, re.MULTILINE) is not None


def parse_key(key: str) -> tuple[Role, Split | None]:
    """Role and split that a key such as ``train_loss`` or ``lr`` names.

    Raises:
        ConfigError: there is no such key; the message names the near match.
    """
    text = _normal(key)
    for split in SPLITS:
        rest = text.removeprefix(split.value + "_")
        if rest != text and rest in _ROLES:
            return _ROLES[rest], split
    if text in _ROLES:
        return _ROLES[text], None
    known = [*_ROLES, *(f"{s.value}_{r.value}" for s in SPLITS for r in (Role.LOSS, Role.METRIC, Role.REWARD, Role.CONFIDENCE))]
    raise ConfigError(f'unknown role "{key.strip()}"{_near(text, known)}')


def check_detectors(config: Config, known: Mapping[str, Iterable[str]]) -> None:
    """Refuse detector ids and threshold names that do not exist.

    Args:
        config: what was loaded.
        known: detector id -> names of its thresholds.

    Raises:
        ConfigError: names the id or threshold, its line where it stands in a file, and the near match.
    """
    for word, ids in (("select", config.select), ("ignore", config.ignore), ("detectors", config.thresholds)):
        for name in ids:
            if name not in known:
                raise ConfigError(f'{_at(config.source, name)}unknown detector "{name}" in {word}{_near(name, known)}')
    for suppression in config.suppressions:
        if suppression.finding not in known:
            at = _at(config.source, suppression.finding)
            raise ConfigError(f'{at}unknown finding "{suppression.finding}" in suppressions{_near(suppression.finding, known)}')
    for name, values in config.thresholds.items():
        for threshold in values:
            names = tuple(known[name])
            if threshold not in names:
                raise ConfigError(f'{_at(config.source, threshold)}unknown threshold "{threshold}" of {name}{_near(threshold, names)}')


def _at(source: str | None, key: str) -> str:
    if source is None:
        return ""
    try:
        text = Path(source).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return f"{source}: "
    return f"{source}:{_line_of(text, key)}: "


def _normal(key: str) -> str:
    return key.strip().lower().replace("-", "_")


def _near(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if close:
        return f': did you mean "{close[0]}"?'
    return f": known are {', '.join(sorted(names)[:12])}{' ...' if len(names) > 12 else ''}" if names else ""


def _split_ids(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for text in given for part in text.split(",") if part.strip()))


def _line_of(text: str, key: str) -> int:
    """Line (from 1) on which a key, table or value stands; 1 if it is not found."""
    word = re.escape(key)
    for pattern in (rf"^\s*[\"']?{word}[\"']?\s*=", rf"^\s*\[.*\b{word}[\"']?\s*\]", rf"[\"']{word}[\"']", rf"\b{word}\b"):
        found = re.search(pattern, text, re.MULTILINE)
        if found:
            return text.count("\n", 0, found.start() + len(found[0]) - len(found[0].lstrip())) + 1
    return 1


def _read(path: Path) -> Config:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        text = path.read_text(encoding="utf-8")
        tree: Any = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error}): give another file with --config") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error
    if path.name == "pyproject.toml" or "tool" in tree:
        tree = tree.get("tool", {}).get("tbdiag", {})
    return _Reader(str(path), text).config(tree)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns the table of one file into a `Config`; every complaint names file and line."""

    path: str
    text: str

    def fail(self, key: str, message: str) -> ConfigError:
        return ConfigError(f"{self.path}:{_line_of(self.text, key)}: {message}")

    def config(self, tree: Any) -> Config:
        if not isinstance(tree, dict):
            raise self.fail("tbdiag", "[tool.tbdiag] must be a table")
        for key in tree:
            if key not in KEYS:
                raise self.fail(key, f'unknown key "{key}"{_near(key, KEYS)}')
        return Config(
            select=self.ids(tree, "select"),
            ignore=self.ids(tree, "ignore"),
            thresholds=self.thresholds(tree.get("detectors", {})),
            roles=self.roles(tree.get("roles", {})),
            directions=self.directions(tree.get("directions", {})),
            success=self.texts(tree.get("success", {}), "success"),
            suppressions=tuple(self.suppression(s) for s in self.tables(tree.get("suppressions", []))),
            owners=self.texts(tree.get("owners", {}), "owners"),
            source=self.path,
        )

    def ids(self, tree: dict[str, Any], key: str) -> tuple[str, ...]:
        value = tree.get(key, [])
        if not isinstance(value, list) or any(not isinstance(v, str) for v in value):
            raise self.fail(key, f'"{key}" must be a list of detector ids, for example {key} = ["overfitting"]')
        return tuple(dict.fromkeys(value))

    def texts(self, table: Any, key: str) -> dict[str, str]:
        if not isinstance(table, dict):
            raise self.fail(key, f'"{key}" must be a table of texts')
        for name, value in table.items():
            if not isinstance(value, str):
                raise self.fail(name, f'"{name}" in [{key}] must be a text')
        return dict(table)

    def roles(self, table: Any) -> dict[str, str]:
        found = {}
        for key, tag in self.texts(table, "roles").items():
            try:
                parse_key(key)
            except ConfigError as error:
                raise self.fail(key, str(error)) from None
            found[_normal(key)] = tag
        return found

    def directions(self, table: Any) -> dict[str, str]:
        found = self.texts(table, "directions")
        for tag, direction in found.items():
            if direction not in DIRECTIONS:
                raise self.fail(tag, f'direction "{direction}" of "{tag}" is unknown{_near(direction, DIRECTIONS)}')
        return found

    def thresholds(self, table: Any) -> dict[str, dict[str, float]]:
        if not isinstance(table, dict):
            raise self.fail("detectors", '"detectors" must hold one table a detector, for example [tool.tbdiag.detectors.overfitting]')
        found: dict[str, dict[str, float]] = {}
        for name, values in table.items():
            if not isinstance(values, dict):
                raise self.fail(name, f'"detectors.{name}" must be a table of thresholds')
            for threshold, value in values.items():
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    raise self.fail(threshold, f'threshold "{threshold}" of {name} must be a number')
            found[name] = {t: float(v) for t, v in values.items()}
        return found

    def tables(self, value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list) or any(not isinstance(v, dict) for v in value):
            raise self.fail("suppressions", '"suppressions" must be a list of tables: [[tool.tbdiag.suppressions]]')
        return value

    def suppression(self, table: dict[str, Any]) -> Suppression:
        for key in table:
            if key not in SUPPRESSION_KEYS:
                raise self.fail(key, f'unknown key "{key}" in a suppression{_near(key, SUPPRESSION_KEYS)}')
        for key in ("finding", "reason"):
            if not isinstance(table.get(key), str) or not table[key].strip():
                raise self.fail("suppressions", f'a suppression needs "{key}": what is accepted, and why')
        expires = table.get("expires")
        if expires is not None:
            import datetime

            text = expires.isoformat()[:10] if isinstance(expires, (datetime.date, datetime.datetime)) else str(expires)
            try:
                expires = datetime.date.fromisoformat(text).isoformat()
            except ValueError:
                raise self.fail("expires", f'"expires" must be a date such as 2027-01-31, not "{text}"') from None
        return Suppression(
            finding=table["finding"],
            reason=table["reason"],
            run=str(table.get("run", "*")),
            expires=expires,
            owner=str(table["owner"]) if table.get("owner") is not None else None,
        )
