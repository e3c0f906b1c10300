"""Report -> one HTML file: complete without scripts, no requests, bounded in size.

The worst runs are told in full; where a report of many runs would grow beyond its limit, later runs are told shorter, and the page
says what was left out.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from tbdiag.render import words
from tbdiag.render.chart import COLOURS
from tbdiag.render.figures import finding_figures, layers, overlay_figure, series_figures, sparkline, stack_figures
from tbdiag.render.grouping import configuration, grouped_checks
from tbdiag.render.page import environment, json_block, render_page
from tbdiag.render.prepare import POINTS, with_points
from tbdiag.render.strict_json import embed

LIMIT = 3 * 1024 * 1024
"""Most bytes of a report; beyond it runs are told shorter and the page says so."""
DATA_SHARE, OVERVIEW_SHARE, ROW_BYTES = 0.45, 0.35, 1600
"""Shares of the limit that the page's data and its overview may take; a row of the overview takes about `ROW_BYTES`."""
SIGNALS = 400
MANY_CURVES = 24


def render_html(report: dict[str, Any], *, explanations: Mapping[str, str] | None = None, limit: int = LIMIT) -> str:
    """The page of a prepared report (see `prepare`)."""
    from markupsafe import Markup

    report, carried, bare = _carried(_thinned(report), limit)
    view = words.visible_tree(report)
    many = len(view["runs"]) != 1
    anchors = Anchors()
    block = json_block(carried)
    told = {f["id"] for run in view["runs"] for f in run["findings"]}
    known = [(i, split_explanation(t)) for i, t in sorted((explanations or {}).items()) if i in told]
    models = [RunModel(run, index, anchors, frozenset(i for i, _ in known)) for index, run in enumerate(view["runs"])]
    rows = models[: max(20, int(limit * OVERVIEW_SHARE) // ROW_BYTES)] if many else []
    fixed = len(block) + 60_000 + sum(len(t) for _, sections in known for _, t in sections) + ROW_BYTES * len(rows)
    texts, levels = _within(models, limit - fixed, many)
    for model, level in zip(models, levels, strict=True):
        model.told = level > 0
    return render_page(
        "report.html.j2",
        title=words.report_title(view),
        tool=view["tool"],
        data=block,
        many=many,
        read=_read_all(view) if many else "",
        runs=[{"html": Markup(t), "sections": m.sections} for m, t in zip(models, texts, strict=True)],  # noqa: S704 - rendered with autoescape
        overview=[m.overview() for m in rows],
        overview_left=words.counted_runs(view["runs"][len(rows) :]) if many else "",
        overlay=overlay_figure(view["runs"]) if many else None,
        left_out=_left_out(levels, bare),
        problems=view["problems"],
        explanations=known,
        colours=COLOURS,
    )


def _thinned(report: dict[str, Any]) -> dict[str, Any]:
    """At most 400 points a curve for reports of up to 24 curves, fewer for larger ones (48 or more)."""
    curves = sum(len(run["curves"]) for run in report["runs"])
    if curves <= MANY_CURVES:
        return with_points(report, POINTS)
    return with_points(report, max(48, min(POINTS, (POINTS * MANY_CURVES + 80 * (curves - MANY_CURVES)) // curves)))


def _carried(report: dict[str, Any], limit: int) -> tuple[dict[str, Any], str, bool]:
    """The report with as many points as its data block may hold, that block, and whether the block had to go without curves."""
    for points in (0, 32, 16):
        thin = with_points(report, points) if points else report
        block = embed(thin)
        if len(block) <= DATA_SHARE * limit:
            return thin, block, False
    bare = {**thin, "runs": [{**run, "curves": [], "histograms": [], "signals": []} for run in thin["runs"]]}
    block = embed(bare)
    return thin, block if len(block) <= DATA_SHARE * limit else "", True


def _within(models: list[RunModel], budget: int, many: bool) -> tuple[list[str], list[int]]:
    """HTML of every run: in full (2) while the budget lasts, without tables and small multiples (1), or not at all (0)."""
    texts, levels, used = [], [], 0
    # what a run costs told shortly: that of one from the middle, then of those that were told so
    short, refused = len(models[len(models) // 2].html(1, many)) if many and models else 0, 0
    for place, model in enumerate(models):
        waiting = (len(models) - place - 1) * short
        text, level = "", 0
        # a few refusals, then no more attempts: making texts that do not fit costs as much as making those that do
        for wanted in (2, 1) if refused < 3 else (1,) if not many or budget - used > short // 2 else ():
            made = model.html(wanted, many)
            if used + len(made) + (waiting if wanted == 2 else 0) <= budget or (wanted == 1 and not many):
                text, level = made, wanted
                break
            refused += wanted == 2
        if level == 1:
            short = (short * 7 + len(text)) // 8
        used += len(text)
        texts.append(text)
        levels.append(level)
    return texts, levels


def _left_out(levels: list[int], bare: bool) -> str:
    short, absent = levels.count(1), levels.count(0)
    parts = []
    if short:
        parts.append(f"the series, tables and configuration of {words.plural(short, 'run')}")
    if absent:
        parts.append(f"everything but the overview row of {words.plural(absent, 'run')}")
    if bare:
        parts.append("the curves that the page carries for other programs")
    if not parts:
        return ""
    return (
        f"To keep this file small, {words.listed(parts)} were left out. The worst runs are told in full; "
        "diagnose a single run, or write --format json, for the rest."
    )


def _read_all(view: dict[str, Any]) -> str:
    spans = [run["span"] for run in view["runs"]]
    points = sum(int(s.get("points") or 0) for s in spans)
    files = sum(int(s.get("files") or 0) for s in spans)
    total = sum(int(s.get("bytes") or 0) for s in spans)
    lost = total - sum(int(s.get("bytes_readable") or 0) for s in spans)
    text = f"{words.plural(points, 'point')} in {words.plural(files, 'event file')}, {words.size(total)}"
    return text + (f", {words.size(lost)} of it unreadable" if lost > 0 else " read completely" if total else "")


def split_explanation(text: str) -> list[tuple[str, str]]:
    """Heading and text of each section of a finding's explanation (Markdown with ``##`` headings); its title is dropped."""
    out: list[tuple[str, list[str]]] = [("", [])]
    for line in text.splitlines():
        if line.startswith("#"):
            level = len(line) - len(line.lstrip("#"))
            if level > 1:
                out.append((line.lstrip("# ").strip(), []))
        else:
            out[-1][1].append(line)
    joined = [(h, "\n".join(lines).strip()) for h, lines in out]
    return [(h, " ".join(t.split()) if "\n\n" not in t and "|" not in t else t) for h, t in joined if t]


class Anchors:
    """Names for links: from what an element is, not from its place, so that a link survives the next report."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def run(self, name: str) -> str:
        """Anchor of a run."""
        return self._own(f"run-{zlib.crc32(name.encode('utf-8', 'surrogatepass')):08x}")

    def finding(self, finding: Mapping[str, Any], run: str) -> str:
        """Anchor of a finding: its id and the first six characters of its fingerprint."""
        slug = "".join(c if c.isascii() and (c.isalnum() or c == "-") else "-" for c in str(finding["id"]))[:60]
        print_ = "".join(c for c in str(finding["fingerprint"]) if c.isascii() and c.isalnum())[:6]
        return self._own(f"{slug}-{print_ or run[4:]}")

    def _own(self, name: str) -> str:
        candidate, k = name, 2
        while candidate in self._used:
            candidate, k = f"{name}-{k}", k + 1
        self._used.add(candidate)
        return candidate


_WORDS = {"error": "Errors", "warning": "Warnings", "note": "Notes", "healthy": "Healthy", "unclear": "Unclear", "unreadable": "Unreadable"}
_NOTE = (
    ("curve_pattern", "Curve pattern"),
    ("prediction_signal", "Prediction signal"),
    ("gradient_signal", "Gradient signal"),
    ("data_check", "Data check"),
    ("chosen_action", "Chosen action"),
    ("success_rule", "Success rule"),
)


class RunModel:
    """What the templates need of one run."""

    def __init__(self, run: dict[str, Any], index: int, anchors: Anchors, explained: frozenset[str]) -> None:
        self.run, self.index, self.explained = run, index, explained
        self.anchor = anchors.run(run["name"])
        self.anchors = {id(f): anchors.finding(f, self.anchor) for f in run["findings"]}
        self.kind = words.worst(run)
        self.told = True

    @property
    def sections(self) -> list[tuple[str, str]]:
        """Anchor and name of the sections, for the page's navigation."""
        have = (
            ("findings", "Findings", self.run["findings"]),
            ("series", "Series", self.run["curves"]),
            ("stacks", "Layers", self.run["histograms"] or layers(self.run)),
            ("checks", "Checks", self.run["checks"]),
            ("evidence", "Missing evidence", [m for m in self.run["missing_evidence"] if not m["present"]]),
            ("signals", "Signals", self.run["signals"]),
            ("config", "Configuration", self.run["config"]),
        )
        return [(f"{self.anchor}-{key}", text) for key, text, present in have if present]

    def overview(self) -> dict[str, Any]:
        """The run's row in the overview."""
        run = self.run
        first = next((f for f in words.heads(run) if f["severity"] != "note"), None)
        best = run["best_checkpoint"]
        return {
            "kind": self.kind,
            "word": _WORDS.get(self.kind, self.kind),
            "anchor": self.anchor if self.told else "",
            "name": words.label(run),
            "headline": words.visible(words.headline(run), 140),
            "onset": words.onset(first) if first else "",
            "best": words.best_step(best),
            "best_value": words.number(best["value"]) if best else "",
            "spark": sparkline(run),
            "next": words.in_short((run["next_experiment"] or {}).get("action", "")),
        }

    def html(self, level: int, many: bool) -> str:
        """The run's section: 2 in full, 1 without small multiples, tables and configuration."""
        run = self.run
        full = level == 2
        series, left = series_figures(run, self.index) if full else ([], 0)
        view = {
            "anchor": self.anchor,
            "kind": self.kind,
            "title": words.run_title(run),
            "read": words.what_was_read(run),
            "status": run["status"],
            "framework": run["framework"],
            "domain": run["domain"],
            "lost": _lost(run),
            "best": run["best_checkpoint"],
            "best_step": words.best_step(run["best_checkpoint"]),
            "axis": words.axis_word(run),
            "next": _next(run["next_experiment"]),
            "note": [(text, run["note"][key]) for key, text in _NOTE] if run["note"] else [],
            "findings": [self._finding(f, many, full) for f in words.heads(run)],
            "counted": words.counted(words.heads(run)),
            "own_rules": run["own_rules"],
            "series": series,
            "series_left": left,
            "stacks": stack_figures(run) if full else [],
            "checks": grouped_checks(run),
            "missing": [m for m in run["missing_evidence"] if not m["present"]] if full else [],
            "present": words.listed([m["title"] for m in run["missing_evidence"] if m["present"]], 20),
            "signals": run["signals"][:SIGNALS] if full else [],
            "signals_left": max(0, len(run["signals"]) - SIGNALS),
            "issues": run["read_issues"],
            "config": configuration(run) if full else [],
        }
        template = environment().get_template("_run.html.j2")
        levels = ("h2", "h3", "h4", "h5") if many else ("h1", "h2", "h3", "h4")
        return template.render(run=view, h=levels, many=many, colours=COLOURS)

    def _finding(self, finding: dict[str, Any], many: bool, full: bool) -> dict[str, Any]:
        followers = words.consequences(self.run, finding)
        return {
            **self._plain(finding),
            "h": "h5" if many else "h4",
            "figures": finding_figures(self.run, finding, self.index, narrow=full),
            "followers": [self._plain(f) for f in followers],
            "story": words.chain(finding, words.axis_word(self.run)),
            "follower_ids": ", ".join(f["id"] for f in followers),
        }

    def _plain(self, finding: dict[str, Any]) -> dict[str, Any]:
        return {
            **finding,
            "anchor": self.anchors[id(finding)],
            "axis": words.axis_word(self.run),
            "onset_told": words.onset(finding),
            "extent_told": words.extent_end(finding),
            "percent": round(100 * float(finding["confidence"] or 0)),
            "explained": finding["id"] in self.explained,
        }


def _next(chosen: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The next experiment with every key that the template uses."""
    if not chosen:
        return None
    return {"why": "", "success_rule": "", "command": "", "outcomes": [], **chosen, "label": words.rule_label(chosen)}


def _lost(run: Mapping[str, Any]) -> str:
    """What was lost while reading, in one line."""
    lost = [i for i in run["read_issues"] if i.get("damage")]
    if not lost:
        return ""
    more = f" (and {len(lost) - 1} more below)" if len(lost) > 1 else ""
    return f"{lost[0]['message']}{more}"


__all__ = ["LIMIT", "Anchors", "RunModel", "render_html", "split_explanation"]
