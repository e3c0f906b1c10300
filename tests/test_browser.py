"""Reports in a real browser: complete without scripts, readable under a strict policy and in print, accessible, exact on hover."""

from __future__ import annotations

import functools
import http.server
import json
import subprocess
import threading
from pathlib import Path

import pytest
import sample_reports
from conftest import _need, find_chromium, needs_chromium, needs_node

from tbdiag.render import load_report, render

HERE = Path(__file__).resolve().parent / "browser"
needs_packages = _need((HERE / "node_modules" / "axe-core").is_dir(), "npm ci --prefix tests/browser")
pytestmark = [needs_chromium, needs_node, needs_packages]

JENKINS = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self'"
SAMPLES = ("overfitting", "exploding", "healthy", "comparison", "hostile")
CONTROLS = {"Copy", "Copied"}


class _Strict(http.server.SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", JENKINS)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    place = tmp_path_factory.mktemp("pages")
    said = {"overfitting": "## What it means\n\nThe model learns what holds only for the training data."}
    for name in SAMPLES:
        (place / f"{name}.html").write_text(render(sample_reports.ALL[name](), "html", explanations=said), encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def seen(pages):
    """What Chromium saw of every sample."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Strict, directory=str(pages)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    spec = {
        "chromium": find_chromium(),
        "pages": {
            n: {"file": str(pages / f"{n}.html"), "jenkins": f"{base}/{n}.html" if n in ("overfitting", "comparison") else ""}
            for n in SAMPLES
        },
        "charts": ["overfitting"],
        "axe": ["overfitting", "exploding", "comparison", "hostile"],
    }
    (pages / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    try:
        done = subprocess.run(
            ["node", str(HERE / "check.js"), str(pages / "spec.json")], capture_output=True, text=True, timeout=400, check=False
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def words(text: str) -> list[str]:
    return [w.lower() for w in text.split() if w not in CONTROLS]


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_is_requested_and_nothing_fails(seen, name):
    for mode in ("light", "plain"):
        assert seen[name][mode]["requests"] == []
        assert seen[name][mode]["errors"] == []
        assert seen[name][mode]["dialogs"] == 0


@pytest.mark.parametrize("name", SAMPLES)
def test_complete_without_scripts(seen, name):
    light, plain = seen[name]["light"], seen[name]["plain"]
    assert words(plain["text"]) == words(light["text"])
    assert (plain["charts"], plain["drawn"]) == (light["charts"], light["drawn"])
    assert light["drawn"] == light["charts"] > 0
    assert plain["controls"] == 0
    assert light["controls"] > 0


@pytest.mark.parametrize("name", ["overfitting", "comparison"])
def test_readable_under_the_jenkins_policy(seen, name):
    strict, light = seen[name]["jenkins"], seen[name]["light"]
    assert words(strict["text"]) == words(light["text"])
    assert strict["drawn"] == strict["charts"] == light["charts"]
    assert strict["coloured"]
    assert strict["controls"] == 0


@pytest.mark.parametrize("name", ["overfitting", "comparison"])
def test_printed_with_everything_that_was_folded(seen, name, pages):
    printed = seen[name]["print"]
    assert printed["pdf"] == "%PDF-"
    assert printed["drawn"] == printed["charts"]
    assert printed["controls"] == 0
    for folded in ("Stop early", "writer.add_text", "AdamW"):
        assert folded in printed["text"]
    if name == "overfitting":
        assert "Confidence 0.91 is far above accuracy 0.71" in printed["text"]


@pytest.mark.parametrize("name", ["overfitting", "exploding", "comparison", "hostile"])
@pytest.mark.parametrize("mode", ["light", "dark", "narrow"])
def test_axe_finds_nothing(seen, name, mode):
    assert seen[name]["axe"][mode] == []


@pytest.mark.parametrize("name", ["overfitting", "exploding", "comparison", "hostile"])
def test_contrast_inside_charts(seen, name):
    assert seen[name]["dark"]["paper"] != "rgb(246, 247, 249)"
    for mode in ("light", "dark"):
        contrast = seen[name][mode]["contrast"]
        assert contrast["text"] >= 4.5
        assert contrast["line"] >= 3.0


@pytest.mark.parametrize("name", SAMPLES)
def test_no_sideways_scrolling(seen, name):
    assert set(seen[name]["light"]["widths"].values()) == {0}


def test_hostile_names_do_nothing(seen):
    page = seen["hostile"]["light"]
    assert page["scripts"] == 2
    assert page["articles"] == len(sample_reports.HOSTILE)
    assert "<script>alert(1)</script>" in page["text"]


def test_hover_shows_step_and_value_of_the_nearest_drawn_point(seen, pages):
    curves = load_report(pages / "overfitting.html")["runs"][0]["curves"]
    steps_seen = set()
    for hover in seen["overfitting"]["use"]["hover"]:
        shown = [curves[int(key.split(":")[1])] for key in hover["keys"].split()]
        candidates = [s for c in shown for s in c["steps"]]
        head, *lines = hover["tip"].split("\n")
        step = int(head.removeprefix("step ").replace(",", ""))
        assert abs(step - hover["want"]) == min(abs(s - hover["want"]) for s in candidates)
        for curve, line in zip(shown, lines, strict=True):
            nearest = min(curve["steps"], key=lambda s: (abs(s - step), s))
            value = curve["values"][curve["steps"].index(nearest)]
            assert line.startswith(f"{curve['tag']}  ")
            said = line.removeprefix(f"{curve['tag']}  ").split(" at ")[0]
            assert float(said.replace(",", "")) == pytest.approx(value, rel=1e-6)
        steps_seen.add(step)
    assert len(steps_seen) == 4


def test_keyboard_filter_copy_theme_and_links(seen, pages):
    use = seen["overfitting"]["use"]
    curves = load_report(pages / "overfitting.html")["runs"][0]["curves"]
    steps = sorted({s for key in use["hover"][0]["keys"].split() for s in curves[int(key.split(":")[1])]["steps"]})
    assert steps.index(use["arrows"][1]) == steps.index(use["arrows"][0]) + 1
    assert use["escaped"]
    assert use["filterFocused"]
    assert use["filtered"] == 1
    assert use["unfiltered"] == 4
    assert use["copied"].strip().splitlines() == list(sample_reports.NOTE.lines())
    assert use["themed"]
    assert use["revealed"]
    assert use["tabbed"][0]["what"] == "skip"
    assert all(t["outline"] != "none" for t in use["tabbed"]), use["tabbed"]
