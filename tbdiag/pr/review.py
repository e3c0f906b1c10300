"""The head of a pull request against its base: findings new, fixed, worse; measures better or worse; the policy's exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tbdiag.compare.judge import WORSE, Comparison, compare_sides
from tbdiag.compare.sides import Side, load_side
from tbdiag.errors import ReportError
from tbdiag.verify import Verification, verify_sides

if TYPE_CHECKING:
    from tbdiag.config import Config

POLICIES = ("new-error", "error", "regression", "never")
SEVERITIES = ("error", "warning", "note")

Placed = tuple[str, Mapping[str, Any]]
"""A finding with the name of its run."""


@dataclass(frozen=True, slots=True, eq=False)
class Review:
    """A pull request's runs, judged. `base` is None where there is none yet; then every finding of the head is new."""

    base: Side | None
    base_name: str
    head: Side
    comparison: Comparison | None
    verification: Verification | None

    def findings(self, kind: str) -> list[Placed]:
        """Findings, each as severe as its worst consequence, that are ``new``, ``fixed``, ``worse`` or ``unchanged``, with the run's name; worst first, then by run."""
        if self.comparison is None:
            placed = [(run.name, f) for run in self.head.runs for f in run.findings] if kind == "new" else []
        else:
            placed = [(g.group.head[0].name, f) for g in self.comparison.groups for f in g.findings[kind]]
            if kind == "new":
                lonely = set(self.comparison.unmatched)
                placed += [(run.name, f) for run in self.head.runs if run.name in lonely for f in run.findings]
        weighed = [
            (run, {**f, "severity": self._worst(run, f), "consequences": [c["id"] for c in self._caused(run, f)]}) for run, f in placed
        ]
        return sorted(weighed, key=lambda p: (SEVERITIES.index(p[1]["severity"]), p[0], p[1]["id"]))

    def _worst(self, run_name: str, finding: Mapping[str, Any]) -> str:
        """Severity of a finding together with its consequences: a schedule that made the loss diverge is an error."""
        return str(min((f["severity"] for f in (finding, *self._caused(run_name, finding))), key=SEVERITIES.index))

    def _caused(self, run_name: str, finding: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return [f for run in self.head.runs if run.name == run_name for f in run.findings if f.get("caused_by") == finding["id"]]

    def count(self, kind: str, severity: str | None = None) -> int:
        """Number of findings of a kind that are no consequence of another one; notes only where asked for."""
        wanted = ("error", "warning") if severity is None else (severity,)
        return sum(f["severity"] in wanted and not f.get("caused_by") for _, f in self.findings(kind))

    @property
    def errors(self) -> int:
        """Errors of the head, each counted with its consequences as one."""
        heads = [(run.name, f) for run in self.head.runs for f in run.findings if not f.get("caused_by")]
        return sum(self._worst(name, f) == "error" for name, f in heads)

    @property
    def measures(self) -> str | None:
        """The comparison's verdict, or None without a base."""
        return self.comparison.verdict if self.comparison is not None else None

    def exit_code(self, policy: str) -> int:
        """1 where the policy is broken, else 0.

        ``new-error``: an error that the base did not have; ``error``: any error; ``regression``: a new error, a finding that got
        worse, or a measure that got worse beyond noise; ``never``.
        """
        new = any(f["severity"] == "error" for kind in ("new", "worse") for _, f in self.findings(kind))
        if policy == "never":
            return 0
        if policy == "error":
            return int(self.errors > 0)
        if policy == "regression":
            return int(new or self.count("worse") > 0 or self.measures == WORSE)
        return int(new)


def review(base: str | None, head: str, config: Config | None = None, *, match: Sequence[str] = ()) -> Review:
    """Judge a pull request.

    Args:
        base: logdir or report of the base; None, or a path where nothing is, means that there is no base yet.
        head: logdir (or report) of the head.
        config: the user's settings.
        match: ``BASE=HEAD`` pairs of run names.

    Raises:
        LogdirError, ReportError, UsageError: the head cannot be read, the base is there but damaged, or a pair names no run.
    """
    after = load_side(head, config)
    name = Path(base).name if base else ""
    if base is None or ("://" not in base and not Path(base).exists()):
        return Review(None, name, after, None, None)
    before = load_side(base, config)
    return Review(before, name, after, compare_sides(before, after, match=match), verify_sides(before, after, match=match))


def write_files(
    result: Review, out: str, *, name: str = "report", link: str | None = None, explanations: Mapping[str, str] | None = None
) -> dict[str, Path]:
    """Write ``comment.md``, ``report.html``, ``report.json`` and ``junit.xml`` into a directory; paths by file name.

    Raises:
        ReportError: a file cannot be written.
    """
    from tbdiag.pr.tell import comment
    from tbdiag.render import render

    report = result.head.report
    texts = {
        "comment.md": comment(result, name=name, link=link),
        "report.html": render(report, "html", explanations=explanations, file="report.html"),
        "report.json": render(report, "json", file="report.json"),
        "junit.xml": render(report, "junit"),
    }
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8", errors="replace", newline="\n")
    except OSError as error:
        raise ReportError(f"cannot write into {out}: {error.strerror or error}; choose another directory with --out") from None
    return {file: folder / file for file in texts}
