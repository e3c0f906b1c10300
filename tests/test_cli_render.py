"""``tbdiag render``: other formats from a saved report, no logs needed."""

from __future__ import annotations

import json

import pytest
import sample_reports

from tbdiag.cli.app import run
from tbdiag.render import render


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = sample_reports.overfitting()
    for form in ("json", "html"):
        (tmp_path / f"r.{form}").write_text(render(report, form), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("source", ["r.json", "r.html"])
@pytest.mark.parametrize(
    ("form", "said"), [("markdown", "<!-- tbdiag:report -->"), ("text", "overfitting"), ("junit", "<testsuites"), ("github", "::warning")]
)
def test_to_standard_output(saved, capfdbinary, source, form, said):
    assert run(["render", source, "--format", form]) == 0
    out, error = capfdbinary.readouterr()
    assert said in out.decode()
    assert error == b""


def test_html_goes_to_a_file_and_carries_explanations(saved, capfdbinary):
    assert run(["render", "r.json"]) == 0
    page = (saved / "tbdiag-report.html").read_text(encoding="utf-8")
    assert 'id="explain-overfitting"' in page
    assert b"report: file://" in capfdbinary.readouterr().err


def test_json_of_html_is_the_report(saved, capfdbinary):
    assert run(["render", "r.html", "--format", "json", "-o", "again.json"]) == 0
    again = json.loads((saved / "again.json").read_text(encoding="utf-8"))
    assert again["runs"][0]["findings"] == json.loads((saved / "r.json").read_text(encoding="utf-8"))["runs"][0]["findings"]


def test_markdown_options(saved, capfdbinary):
    assert run(["render", "r.json", "--format", "markdown", "--link", "https://x.example/r", "--marker", "m", "--limit", "900"]) == 0
    text = capfdbinary.readouterr().out.decode()
    assert text.startswith("<!-- tbdiag:m -->")
    assert "[Full report](https://x.example/r)" in text
    assert len(text) <= 901


@pytest.mark.parametrize(
    ("name", "content"),
    [("absent.json", None), ("bad.json", "{"), ("other.html", "<p>hello</p>"), ("empty.json", ""), ("bytes.json", "\udcff")],
)
def test_bad_reports_are_one_line_and_exit_2(saved, capfdbinary, name, content):
    if content is not None:
        (saved / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert run(["render", name, "--format", "text"]) == 2
    out, error = capfdbinary.readouterr()
    assert out == b""
    assert error.decode().count("\n") == 1
    assert name in error.decode()
