"""How large reports are, how long they take to write, and whether they ask the network for anything.

    python benchmarks/report.py [--write]

Reports of our own are rendered from the seeded samples of ``tests/sample_reports.py``, processor seconds are those of a fresh interpreter
and hold jinja2's import. What is said of other tools was measured once, on 2026-11-22, each on a small input of its own kind; those
rows are quoted, not measured again. ``--write`` puts both tables into ``docs/report.md``.
"""

from __future__ import annotations

import argparse
import gzip
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "report.md"
BEGIN, END = "<!-- sizes: made by benchmarks/report.py -->", "<!-- end of sizes -->"
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

OTHERS = (
    # tool; KiB (gz); requests; visible characters with scripts, without, under Jenkins' policy; DOM nodes; axe rules violated
    ("Lighthouse 12.8", "415 (89)", "0", "3,235 / 53 / 53", "3,619", "4"),
    ("memray 1.20 flamegraph", "129 (44)", "9", "fails offline", "112", "3"),
    ("memray 1.20 flamegraph --no-web", "4,455 (1,321)", "0", "982 / 153 / menus only", "529", "4"),
    ("pyinstrument 5.1", "196 (34)", "1", "999 / 0 / 0", "482", "3"),
    ("coverage 7.17, index page", "50 in 3 files", "0", "366 / 366 / 366", "130", "1"),
    ("pytest-html 4.2", "43 (8)", "0", "1,681 / 334 / 409", "571", "6"),
    ("evidently 0.7", "4,395 (1,267)", "0", "3,274 / 0 / 0", "3,504", "7"),
    ("ydata-profiling 4.18", "5,698 (556)", "0", "4,356 / 4,356 / 21,380", "74,794", "6"),
    ("allure 3, single file", "3,611 (1,442)", "1", "1,110 / 0 / 0", "670", "4"),
    ("deepchecks 0.19", "7,571 (2,148)", "0", "0 / 0 / 0", "43", "not measured"),
)
CODE = """
import json, sys, time
data = json.load(sys.stdin)
from tbdiag.render import render
start = time.process_time()
page = render(data, "html")
print(time.process_time() - start)
sys.stdout.write(page)
"""


def measure() -> list[tuple[str, ...]]:
    """Rows of our own reports: name, charts, KiB (compressed), requests, processor seconds."""
    import sample_reports

    from tbdiag.render import render

    cases = {
        "healthy run": sample_reports.healthy(),
        "overfitting run, 5 histograms": sample_reports.overfitting(),
        "20 charts of 1,000 points": sample_reports.many(20),
        "40 charts of 1,000 points": sample_reports.many(40),
        "12 runs": sample_reports.comparison(12),
        "200 runs": sample_reports.comparison(200),
    }
    rows = []
    for name, report in cases.items():
        text = render(report, "json")
        done = [
            subprocess.run([sys.executable, "-c", CODE], input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout
            for _ in range(3)
        ]
        page = done[0].partition("\n")[2]
        spent = min(float(d.partition("\n")[0]) for d in done)
        raw = page.encode()
        requests = len(re.findall(r'(?:src|href)="(?!#)', page))
        charts = page.count('<svg class="ch') - page.count('<div class="n" hidden>')
        size = f"{len(raw) / 1024:,.0f} ({len(gzip.compress(raw, 6, mtime=0)) / 1024:,.0f})"
        rows.append((name, f"{charts:,}", size, str(requests), f"{spent:.2f}"))
    return rows


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def main() -> None:
    """Measure, print, and with ``--write`` put the tables into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/report.md")
    write = parser.parse_args().write
    own = table(("tbdiag report of", "charts", "KiB (gz)", "requests", "CPU s"), measure())
    others = table(
        ("other tools' reports", "KiB (gz)", "requests", "characters seen: scripts / none / Jenkins", "DOM nodes", "axe rules violated"),
        list(OTHERS),
    )
    text = f"{own}\n\n{others}"
    print(text)
    if write:
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN, 1)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
