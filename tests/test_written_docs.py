"""What is written down is true: the table of findings, the index, the links, the messages."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import tbdiag.errors as errors
from tbdiag.detectors import load_detectors

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "fixtures").glob("*.md")])


def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_table_of_findings_is_the_detectors() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert tables().put_table(text) == text, "run python docs/make_tables.py"
    assert all(f"| `{d.id}` |" in text for d in load_detectors())


def test_readme_opens_with_two_sentences_and_a_picture() -> None:
    paragraphs = (ROOT / "README.md").read_text(encoding="utf-8").split("\n\n")
    assert len(re.findall(r"[.!?](?:\s|$)", paragraphs[1])) == 2
    assert paragraphs[2].startswith("![")
    picture = ROOT / re.findall(r"\((.*?)\)", paragraphs[2])[-1]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 400_000


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        assert (page.parent / target.split("#")[0]).exists(), f"{page.name} links to {target}"


def test_index_lists_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert index == tables().make_index(), "run python docs/make_tables.py"


def test_messages_page_explains_every_error() -> None:
    slugs = {c.slug for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.TbdiagError)} - {"error"}
    headings = {line[3:] for line in (ROOT / "docs" / "messages.md").read_text(encoding="utf-8").splitlines() if line.startswith("## ")}
    assert slugs <= headings
