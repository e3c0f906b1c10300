"""Write the README's table of findings from the detectors, and the index of docs/ from its pages:  python docs/make_tables.py [--check]"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tbdiag.detectors import load_detectors

DOCS = Path(__file__).resolve().parent
README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- findings: made by docs/make_tables.py -->", "<!-- end of findings -->"
PHASES = ("curves", "predictions", "gradients, weights, activations", "data", "optimiser", "model", "log and run health")


def make_table() -> str:
    """One row a detector, in the troubleshooting order."""
    head = ["| finding | severity | what the log shows | looked at with |", "| --- | --- | --- | --- |"]
    ordered = sorted(load_detectors(), key=lambda d: (d.phase, d.id))
    return "\n".join([*head, *(f"| `{d.id}` | {d.severity.value} | {d.summary} | {PHASES[d.phase]} |" for d in ordered)])


def put_table(text: str) -> str:
    """The README with the table as it should be.

    Raises:
        ValueError: a marker is missing.
    """
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n\n{make_table()}\n\n{END}{after}"


def make_index() -> str:
    """The index: every page's heading and first sentence."""
    rows = ["| page | what it tells |", "| --- | --- |"]
    for page in sorted(p for p in DOCS.glob("*.md") if p.name != "README.md"):
        heading, first = page.read_text(encoding="utf-8").split("\n\n")[:2]
        sentence = re.split(r"(?<=[.])\s", " ".join(first.split()))[0].rstrip(":;")
        rows.append(f"| [{heading.removeprefix('# ').strip()}]({page.name}) | {sentence} |")
    extra = "The JSON report's schema is [report.schema.json](report.schema.json); [gallery/](gallery/) holds reports and pictures of them."
    explain = "`tbdiag explain --all` prints the page of every detector, `tbdiag COMMAND --help` every option."
    return "# Documentation\n\n" + "\n".join(rows) + f"\n\n{extra}\n{explain}\n"


def main() -> None:
    """Write both, or with ``--check`` say whether they are as they should be."""
    wanted = {README: put_table(README.read_text(encoding="utf-8")), DOCS / "README.md": make_index()}
    old = [path.name for path, text in wanted.items() if path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        sys.exit(f"old: {', '.join(old)}: run `python docs/make_tables.py`" if old else 0)
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
