"""Untrusted names can neither script, nor break out, nor hide a finding, in any format."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
import sample_reports

from tbdiag.render import render, render_notebook

HIDING = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "a",
    "header",
    "p",
    "svg",
    "path",
    "nav",
    "label",
    "input",
    "button",
    "main",
    "section",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "aside",
    "ul",
    "li",
    "div",
    "ol",
    "dl",
    "dt",
    "dd",
    "code",
    "pre",
    "b",
    "small",
    "article",
    "figure",
    "figcaption",
    "span",
    "text",
    "g",
    "rect",
    "circle",
    "details",
    "summary",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "footer",
    "script",
}
VOID = {"meta", "input"}


class Page(HTMLParser):
    """Elements, attributes, and the text outside script and style."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.stack: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, k, v) for k, v in attrs]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, k, v) for k, v in attrs]

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.stack):
            self.text.append(data)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render(sample_reports.hostile(), "html", explanations={"overfitting": "## <b>What</b>\n\n<script>alert(1)</script>"}))


def test_only_our_elements_in_balance(page):
    assert set(page.tags) <= TAGS
    assert page.stack == []
    assert page.tags.count("script") == 2
    assert page.tags.count("h2") >= len(sample_reports.HOSTILE)


def test_no_handler_no_style_no_address(page):
    for tag, key, value in page.attributes:
        assert not key.startswith("on")
        assert key != "style"
        if key in ("href", "src", "action", "xlink:href"):
            assert value.startswith("#"), (tag, key, value)


def test_every_finding_is_told_and_visibly(page):
    text = "".join(page.text)
    assert text.count("Overfitting of ") >= len(sample_reports.HOSTILE)
    assert not HIDING.search(text)
    for shown in (r"\u202eevil", r"zero\u200bwidth", r"bytes \x80\xff", "line⏎break", "<script>alert(1)</script>", "{{ 7*7 }}"):
        assert shown in text


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = [v for _, k, v in page.attributes if k == "id"]
    assert len(set(ids)) == len(ids)
    for _, k, v in page.attributes:
        if k == "href":
            assert v[1:] in ids
        if k in ("aria-labelledby", "data-copy"):
            assert v in ids


def test_long_names_are_cut():
    text = "".join(Page(render(sample_reports.hostile(), "html")).text)
    assert "a" * 900 not in text
    title = render(sample_reports.hostile(), "text").splitlines()
    assert max(map(len, title)) < 1300
    assert "…" in text


def test_json_block_cannot_end_early():
    text = render(sample_reports.hostile(), "html")
    block = text.split('id="tbdiag-report">', 1)[1].split("</script>", 1)[0]
    json.loads(block)
    assert "<" not in block


def test_script_is_fixed_by_its_hash():
    import base64
    import hashlib

    text = render(sample_reports.hostile(), "html")
    script = text.rsplit("<script>", 1)[1].split("</script>", 1)[0]
    style = text.split("<style>", 1)[1].split("</style>", 1)[0]
    for source in (script, style):
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"sha256-{digest}" in text.split("<style>", 1)[0]
    assert "default-src 'none'" in text.replace("&#39;", "'").split("<style>", 1)[0]


def test_markdown_stays_text():
    text = render(sample_reports.hostile(), "markdown", limit=500_000)
    outside = re.sub(r"(`+).*?\1", "", text)
    assert not re.search(r"(?<!\\)<(?!/?(?:details|summary|code)>|!-- tbdiag:)", outside)
    assert "](javascript" not in outside.replace("\\]", "")
    assert not re.search(r"(?<![\\\w;])@\w", outside)
    assert not HIDING.search(text)
    for row in (r for r in text.splitlines() if r.startswith("| ")):
        assert len(re.findall(r"(?<!\\)\|", row)) in (5, 7)


def test_markdown_marker_and_link_cannot_break_out():
    text = render(sample_reports.healthy(), "markdown", marker="x --> <script>", link="javascript:alert(1)")
    assert text.startswith("<!-- tbdiag:x-script- -->\n") or text.splitlines()[0].count("-->") == 1
    assert "<script>" not in text
    assert "javascript" not in text


def test_annotations_are_one_line_each():
    lines = render(sample_reports.hostile(), "github").splitlines()
    assert len(lines) == len(sample_reports.HOSTILE)
    assert all(re.match(r"::(error|warning|notice) title=[^:,]*::", line) for line in lines)


def test_terminal_gets_no_control_characters():
    text = render(sample_reports.hostile(), "text")
    assert not HIDING.search(text)


def test_junit_is_wellformed():
    root = ET.fromstring(render(sample_reports.hostile(), "junit"))
    assert len(root) == len(sample_reports.HOSTILE)


def test_notebook_frame_is_one_element():
    page = Page(render_notebook(sample_reports.hostile()))
    assert page.tags == ["iframe"]
    attributes = {k: v for _, k, v in page.attributes}
    assert "allow-same-origin" not in attributes["sandbox"]
    assert attributes["srcdoc"].startswith("<!doctype html>")
    assert sample_reports.healthy()._repr_html_().startswith("<iframe")
