"""Write the README's table of findings from the detectors themselves:  python docs/make_tables.py [--check]"""

from __future__ import annotations

import sys
from pathlib import Path

from tbdiag.detectors import load_detectors

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


def main() -> None:
    """Write the table, or with ``--check`` say whether it is as it should be."""
    text = README.read_text(encoding="utf-8")
    wanted = put_table(text)
    if "--check" in sys.argv[1:]:
        sys.exit(0 if wanted == text else "README.md: the table of findings is old: run `python docs/make_tables.py`")
    README.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
