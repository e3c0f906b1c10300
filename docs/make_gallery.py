"""Write the gallery: reports of bundled logs as HTML files and pictures.  python docs/make_gallery.py

Needs Chromium on the PATH, ``npm ci --prefix tests/browser`` and Pillow.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "docs" / "gallery"
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

REPORTS = {
    "healthy": ("healthy-step-decay", "A healthy run with a step decay"),
    "overfitting": ("overfitting", "Overfitting"),
    "instability": ("instability", "Instability"),
    "nan-loss": ("nan-loss", "The loss becomes NaN"),
    "vanishing-gradients": ("vanishing-gradients", "Vanishing gradients, told from gradient histograms"),
    "prediction-collapse": ("collapse-counts", "All predictions are one class"),
    "sudden-shift": ("sudden-shift", "A sudden shift of validation"),
    "truncated": ("truncated", "A log that was cut"),
}
"""File name: fixture and what it shows."""
ALL_LIMIT = 420_000
PICTURES: dict[str, dict[str, Any]] = {
    "healthy": {"of": "healthy", "say": "Healthy"},
    "overfitting": {"of": "overfitting", "height": 1180, "say": "Overfitting, with its consequence folded"},
    "nan-loss": {"of": "nan-loss", "say": "NaN marks above the plot"},
    "vanishing-gradients": {"of": "vanishing-gradients", "say": "Gradient histograms by layer"},
    "dark": {"of": "prediction-collapse", "dark": True, "say": "Dark, chosen by the system"},
    "overview": {"of": "all-fixtures", "say": "Many runs: the overview comes first"},
    "narrow": {"of": "instability", "width": 360, "height": 1800, "say": "360 pixels wide"},
    "no-styles": {"of": "overfitting", "plain": True, "say": "Neither scripts nor styles, as Jenkins shows it"},
}
SHOOT = """
const { chromium } = require("playwright-core");
const fs = require("node:fs");
(async () => {
  const { chrome, shots } = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
  const browser = await chromium.launch({ executablePath: chrome, args: ["--no-sandbox", "--disable-gpu"] });
  for (const s of shots) {
    const page = await browser.newPage({ viewport: { width: s.width, height: s.height }, colorScheme: s.dark ? "dark" : "light", javaScriptEnabled: !s.plain });
    if (s.plain) await page.route("**/*", async (r) => r.fulfill({ contentType: "text/html", body: fs.readFileSync(s.file, "utf8"), headers: { "content-security-policy": "default-src 'none'" } }));
    await page.goto("file://" + s.file);
    await page.screenshot({ path: s.png });
    await page.close();
  }
  await browser.close();
})();
"""


def write_reports() -> dict[str, str]:
    """Write the HTML files; returns the headline of each."""
    import tbdiag
    from tbdiag.cli.explain import explain_findings
    from tbdiag.render import render
    from tbdiag.render.words import report_title

    said = {}
    for name, (fixture, _) in REPORTS.items():
        report = tbdiag.diagnose(tbdiag.read(ROOT / "fixtures" / fixture / "logs"))
        said[name] = report_title(report.to_dict())
        page = render(report, "html", explanations=explain_findings(report.to_dict()))
        (PLACE / f"{name}.html").write_text(page, encoding="utf-8")
    report = tbdiag.diagnose(tbdiag.read(sorted((ROOT / "fixtures").glob("*/logs"))))
    said["all-fixtures"] = report_title(report.to_dict())
    (PLACE / "all-fixtures.html").write_text(render(report, "html", limit=ALL_LIMIT), encoding="utf-8")
    return said


def shoot() -> None:
    """Photograph the reports in Chromium and reduce the pictures to 128 colours."""
    from PIL import Image

    chrome = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
    if chrome is None:
        sys.exit("the gallery needs Chromium on the PATH")
    with tempfile.TemporaryDirectory() as made:
        shots = [
            {
                "file": str(PLACE / f"{p['of']}.html"),
                "png": f"{made}/{name}.png",
                "width": p.get("width", 1180),
                "height": p.get("height", 1040),
                "dark": p.get("dark", False),
                "plain": p.get("plain", False),
            }
            for name, p in PICTURES.items()
        ]
        spec = Path(made) / "spec.json"
        spec.write_text(json.dumps({"chrome": chrome, "shots": shots}), encoding="utf-8")
        (Path(made) / "shoot.js").write_text(SHOOT, encoding="utf-8")
        modules = {**os.environ, "NODE_PATH": str(ROOT / "tests" / "browser" / "node_modules")}
        subprocess.run(["node", f"{made}/shoot.js", str(spec)], check=True, env=modules)
        for name in PICTURES:
            picture = Image.open(f"{made}/{name}.png").convert("RGB").quantize(128, dither=Image.Dither.NONE)
            picture.save(PLACE / f"{name}.png", optimize=True)
    shutil.copyfile(PLACE / "overfitting.png", PLACE.parent / "images" / "report.png")  # the README's picture


def write_index(said: dict[str, str]) -> None:
    """Write the gallery's page."""
    lines = [
        "# Gallery",
        "",
        "Reports of the bundled logs, made by `python docs/make_gallery.py`. Download an HTML file to open it: GitHub shows its source.",
        "",
        "| report | verdict | made from |",
        "| --- | --- | --- |",
        *(f"| [{title}]({name}.html) | {said[name]} | `fixtures/{fixture}` |" for name, (fixture, title) in REPORTS.items()),
        f"| [Every fixture]({'all-fixtures'}.html) | {said['all-fixtures']} | `fixtures` |",
        "",
    ]
    for name, p in PICTURES.items():
        lines += [f"## {p['say']}", "", f"![{p['say']}]({name}.png)", ""]
    (PLACE / "README.md").write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """Write reports, pictures and index anew."""
    if not (ROOT / "tests" / "browser" / "node_modules").exists():
        sys.exit("the gallery needs playwright-core: npm ci --prefix tests/browser")
    PLACE.mkdir(parents=True, exist_ok=True)
    for old in PLACE.glob("*.*"):
        old.unlink()
    said = write_reports()
    shoot()
    write_index(said)


if __name__ == "__main__":
    main()
