"""Every format says the verdict and renders the same from memory, from JSON and from HTML."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
import sample_reports

from tbdiag.errors import ReportError, UsageError
from tbdiag.render import FORMATS, load_report, render


@pytest.fixture(params=sorted(sample_reports.ALL))
def sample(request):
    return sample_reports.ALL[request.param]()


@pytest.mark.parametrize("form", FORMATS)
def test_same_from_memory_json_and_again(sample, form, tmp_path):
    text = render(sample, form)
    saved = tmp_path / "report.json"
    saved.write_text(render(sample, "json"), encoding="utf-8")
    assert render(load_report(saved), form) == text
    assert render(sample, form) == text
    text.encode("utf-8")


def test_html_carries_the_report(sample, tmp_path):
    saved = tmp_path / "report.html"
    saved.write_text(render(sample, "html"), encoding="utf-8")
    data = load_report(saved)
    assert render(data, "html") == saved.read_text(encoding="utf-8")
    assert [r["name"] for r in data["runs"]] == [r["name"] for r in json.loads(render(sample, "json"))["runs"]]


def test_json_is_strict(sample):
    def refuse(token):
        raise AssertionError(token)

    json.loads(render(sample, "json"), parse_constant=refuse)


def test_junit_counts(sample):
    root = ET.fromstring(render(sample, "junit"))
    assert len(root) == len(sample.runs)
    for suite, run in zip(root, sample.runs, strict=True):
        wanted = {f.id for f in run.heads if f.severity.value != "note"}
        assert {c.get("name") for c in suite if c.find("failure") is not None} == wanted
        assert int(suite.get("tests")) == len(suite)


def test_unknown_format_and_no_report(tmp_path):
    with pytest.raises(UsageError, match="html, json"):
        render(sample_reports.healthy(), "pdf")
    with pytest.raises(ReportError, match="cannot read report"):
        load_report(tmp_path / "absent.json")
    for name, text in (
        ("a.json", "[1]"),
        ("b.json", "{"),
        ("c.html", "<p>no data</p>"),
        ("d.json", '{"schema_version": "9.0", "runs": []}'),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(ReportError, match=name.split(".", maxsplit=1)[0]):
            load_report(tmp_path / name)
