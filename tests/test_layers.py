"""The house's rules: imports point one way, start-up stays light, files stay short."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tbdiag"

# A room, and every room that it may import besides itself. Written out as it is meant, not as it happens to be.
GROUND = {"model", "errors"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "model": set(),
    "config": GROUND,
    "stats": GROUND,
    "events": GROUND | {"stats"},
    "logs": GROUND | {"stats", "events"},
    "roles": GROUND | {"config"},
    "features": GROUND | {"stats", "roles"},
    "detectors": GROUND | {"stats", "roles", "features"},
    "engine": GROUND | {"config", "stats", "roles", "features", "detectors"},
    "success": GROUND | {"stats", "features"},
    "diagnosis": GROUND | {"config", "stats", "roles", "features", "detectors", "engine", "success"},
    "render": GROUND,
}
MAY_IMPORT["api"] = set(MAY_IMPORT)
# compare, verify, nightly ... stand above the interface and may use everything but the command line.
EXCEPTIONS = {("tbdiag/model/report.py", "render")}  # a report shows itself in a notebook
HEAVY = {"scipy", "jinja2", "google", "tensorboard", "sqlite3", "numpy", "fsspec", "distributed", "matplotlib", "pandas", "torch", "rich"}
LATE_EVERYWHERE = HEAVY - {"numpy"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[tuple[str, int]]:
    """Absolute names that a file imports, with their lines; imports under TYPE_CHECKING count as types, not as a dependency."""
    pending: list[ast.AST] = [parsed(path)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
            continue
        if top_level_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: relative import"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))


def test_imports_point_one_way() -> None:
    wrong = []
    for path in modules():
        room = room_of(path)
        if room in ("cli", "__main__", "__init__"):
            continue
        allowed = MAY_IMPORT.get(room)
        for name, line in imports(path):
            parts = name.split(".")
            if parts[0] != "tbdiag" or len(parts) < 2 or parts[1] in (room, "__version__"):
                continue
            where = f"{name_of(path)}:{line}"
            if parts[1] in ("cli", "__main__"):
                wrong.append(f"{where}: nobody imports the command line")
            elif allowed is not None and parts[1] not in allowed and (name_of(path), parts[1]) not in EXCEPTIONS:
                wrong.append(f"{where}: {room} may not import {parts[1]}")
    assert wrong == []


def test_heavy_packages_are_imported_late() -> None:
    wrong = []
    for path in modules():
        heavy = HEAVY if room_of(path) in ("cli", "__main__", "__init__", "errors") else LATE_EVERYWHERE
        wrong += [f"{name_of(path)}:{line}: {name}" for name, line in imports(path, top_level_only=True) if name.split(".")[0] in heavy]
    assert wrong == []


def test_help_loads_no_heavy_package() -> None:
    """Checked on the running program: nothing that the command line imports at start may pull in a heavy package by another door."""
    code = (
        "import sys; sys.argv = ['tbdiag', 'nonsense-command']\n"
        "from tbdiag.cli.app import build_app; build_app()\n"
        f"print(sorted({HEAVY - {'rich'}!r} & {{m.split('.')[0] for m in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("folder", ["tbdiag", "tests", "benchmarks", "fixtures"])
def test_files_stay_short(folder: str) -> None:
    long = {name_of(p): n for p in (ROOT / folder).rglob("*.py") if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400}
    assert not long


def test_test_files_have_names_of_their_own() -> None:
    """pytest imports them by their base name."""
    names = [p.name for p in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_every_room_is_known() -> None:
    """A new room must say here what it may import, or be one of those that stand above the interface."""
    above = {"__init__", "__main__", "cli", "compare", "verify", "journal", "judging", "pr", "nightly", "watch"}
    assert {room_of(p) for p in modules()} <= set(MAY_IMPORT) | above
