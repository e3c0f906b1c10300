"""Reports work from a wheel, from an editable install and from the checkout; the README tells the truth about itself."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import needs_module

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "fixtures" / "overfitting" / "logs"


def call(*command: str | Path, cwd: Path, **environment: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")} | environment
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, env=clean, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out, cwd=ROOT)
    (built,) = out.glob("*.whl")
    return built


def fresh_environment(path: Path) -> Path:
    """A virtual environment that sees this one's packages (so that nothing is fetched), but not this checkout; returns its Python."""
    venv.create(path, with_pip=False, symlinks=True)
    python = path / "bin" / "python"
    (site,) = path.glob("lib/python*/site-packages")
    here = [p for p in sys.path if p.endswith("site-packages")]
    (site / "zz_outer.pth").write_text("\n".join(here) + "\n")
    return python


def install(python: Path, *what: str | Path) -> None:
    command = (sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", *what)
    call(*command, cwd=ROOT, PIP_DISABLE_PIP_VERSION_CHECK="1")


def check_report(python: Path, cwd: Path, *, inside: Path, **environment: str) -> None:
    """Write a report there, with the package that lies in `inside`."""
    said = call(python, "-c", "import tbdiag; print(tbdiag.__file__)", cwd=cwd, **environment)
    assert Path(said.strip()).is_relative_to(inside)
    call(python, "-m", "tbdiag", "report", LOG, "-o", cwd / "report.html", cwd=cwd, **environment)
    page = (cwd / "report.html").read_text(encoding="utf-8")
    assert "Overfitting" in page
    assert "<svg" in page


def test_wheel_holds_templates_types_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = {p.relative_to(ROOT).as_posix() for p in (ROOT / "templates").rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert {f"tbdiag/{t}" for t in templates} <= names
    assert "tbdiag/py.typed" in names
    assert not any("__pycache__" in n for n in names)
    assert not any(n.startswith(("tests", "fixtures", "benchmarks")) for n in names)
    assert sum(i.file_size for i in zipfile.ZipFile(wheel).infolist()) < 3_000_000


@needs_module("hatchling")
def test_report_from_a_wheel(wheel: Path, tmp_path: Path) -> None:
    python = fresh_environment(tmp_path / "env")
    install(python, wheel)
    check_report(python, tmp_path, inside=tmp_path / "env")


@needs_module("hatchling")
def test_report_from_an_editable_install(tmp_path: Path) -> None:
    python = fresh_environment(tmp_path / "env")
    install(python, "-e", ROOT)
    check_report(python, tmp_path, inside=ROOT)


def test_report_from_the_checkout(tmp_path: Path) -> None:
    check_report(Path(sys.executable), tmp_path, inside=ROOT, PYTHONPATH=str(ROOT))


def readme_blocks() -> list[str]:
    """The README's shell blocks."""
    blocks: list[list[str]] = []
    inside = False
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            inside = line == "```sh"
            if inside:
                blocks.append([])
        elif inside:
            blocks[-1].append(line)
    return ["\n".join(b) for b in blocks]


def test_the_readme_begins_with_two_commands_of_one_line() -> None:
    report, tests = readme_blocks()[:2]
    assert "\n" not in report
    assert "\n" not in tests
    assert "tbdiag report fixtures/" in report
    assert tests.endswith("-m pytest")
    bundled = ROOT / report.split("tbdiag report ")[1].split()[0]
    assert bundled.is_dir()


def test_no_file_names_a_machine() -> None:
    """Nothing that git tracks speaks of where it was made."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    here = str(ROOT.parent)
    guilty = [n for n in listed if n and here.encode() + b"/" in (ROOT / n).read_bytes()] if len(here) > 4 else []
    assert guilty == []
