"""Thresholds: what a detector and its helpers ask for is what it declares, so that no configuration is in vain and no rare branch breaks."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import tbdiag.detectors
from tbdiag.detectors import load_detectors
from tbdiag.detectors._base import Detector

FOLDER = Path(tbdiag.detectors.__file__).parent
Function = tuple[str, str]
"""Module and name."""


@cache
def parsed(module: str) -> tuple[dict[str, ast.stmt], dict[str, Function]]:
    """Functions and classes of a detector module by name, and where those that it imports from its neighbours come from."""
    body = ast.parse((FOLDER / f"{module}.py").read_text(encoding="utf-8")).body
    own: dict[str, ast.stmt] = {n.name: n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    neighbours = [n for n in body if isinstance(n, ast.ImportFrom) and (n.module or "").startswith("tbdiag.detectors.")]
    return own, {a.asname or a.name: ((n.module or "").rpartition(".")[2], a.name) for n in neighbours for a in n.names}


def asked(function: Function, seen: set[Function]) -> set[str]:
    """Names in ``view["name"]`` of a function and of all that it reaches."""
    module, name = function
    own, imported = parsed(module)
    if name in imported:
        return asked(imported[name], seen)
    if function in seen or name not in own:
        return set()
    seen.add(function)
    found: set[str] = set()
    for node in ast.walk(own[name]):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "view":
            found |= {c.value for c in ast.walk(node.slice) if isinstance(c, ast.Constant) and isinstance(c.value, str)}
        elif isinstance(node, ast.Name):
            found |= asked((module, node.id), seen)
    return found


@pytest.mark.parametrize("detector", load_detectors(), ids=lambda d: d.id)
def test_what_is_asked_for_is_declared(detector: Detector) -> None:
    assert asked((detector.id.replace("-", "_"), "detect"), set()) == set(detector.thresholds)
