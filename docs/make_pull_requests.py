"""Make the pull-request walk-through's files: train its three runs, run `tbdiag pr` as the action does, photograph comment and report.

    python docs/make_pull_requests.py

Needs Chromium and markdown-it-py. Writes ``docs/pull-requests/``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import first_actions  # noqa: E402
import generate  # noqa: E402
import numpy as np  # noqa: E402
from trainings.actions import take  # noqa: E402

from tbdiag.cli.app import run as tbdiag  # noqa: E402
from tbdiag.compare.sides import load_side  # noqa: E402
from tbdiag.pr.post import with_previous  # noqa: E402

OUT = ROOT / "docs" / "pull-requests"
SEED = 11
LINK = "https://github.com/you/project/actions/runs/1#artifacts"
STYLE = (
    "body{font:14px/1.5 -apple-system,'Segoe UI','Noto Sans',Helvetica,Arial,sans-serif;color:#1f2328;margin:16px;width:780px}"
    "article{border:1px solid #d1d9e0;border-radius:6px}header{background:#f6f8fa;border-bottom:1px solid #d1d9e0;padding:8px 16px;color:#59636e}"
    "section{padding:4px 16px 12px}table{border-collapse:collapse}td,th{border:1px solid #d1d9e0;padding:4px 12px}h3{font-size:1.2em}"
    "a{color:#0969da}details{margin:8px 0}"
)


def photograph(html: Path, png: Path, height: int) -> None:
    """A screenshot of a page."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or sys.exit("Chromium is needed")
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", f"--user-data-dir={profile}"]
        size = [f"--window-size=830,{height}", f"--screenshot={png}", html.as_uri()]
        subprocess.run([chromium, *options, *size], check=True, capture_output=True, timeout=120)


def show_comment(markdown: str, png: Path, folder: Path, height: int) -> None:
    """A comment as GitHub shows it, near enough."""
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    page = folder / f"{png.stem}.html"
    for mark, colour in (("🔴", "#d1242f"), ("🟠", "#bc4c00"), ("⚪", "#9198a1")):  # the machine may have no font for them
        body = body.replace(mark, f'<span style="color:{colour}">&#9679;</span>')
    header = "<header><b>github-actions</b> bot commented</header>"
    page.write_text(
        f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><article>{header}<section>{body}</section></article>", encoding="utf-8"
    )
    photograph(page, png, height)


def main() -> None:
    """Train, review twice, write comments and pictures."""
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        task = generate.make_task("blobs", SEED)
        plan = first_actions.plan_of("rate-jumps", "blobs", SEED)
        first_actions.write_run(first_actions.cured_plan("blobs", SEED, plan), SEED, work / "main" / "classifier")
        first_actions.write_run(plan, SEED, work / "head" / "classifier")
        assert tbdiag(["pr", "--base", str(work / "main"), "--head", str(work / "head"), "--out", str(work / "out1"), "--link", LINK]) == 1
        before = load_side(str(work / "head"))
        experiment = before.runs[0].data["next_experiment"]
        finding = before.runs[0].finding(experiment["finding"])
        assert finding is not None
        step = take(finding["first_action"], finding, first_actions.plan_of("rate-jumps", "blobs", SEED), "rate-jumps", SEED)
        assert step.plan is not None, finding["first_action"]
        first_actions.write_run(step.plan, SEED, work / "head2" / "classifier")
        tbdiag(["pr", "--base", str(work / "main"), "--head", str(work / "head2"), "--out", str(work / "out2"), "--link", LINK])
        verified = OUT / "verify.txt"
        tbdiag(["verify", str(work / "out1" / "report.html"), str(work / "head2"), "-o", str(verified)])
        comments = [(work / f"out{i}" / "comment.md").read_text(encoding="utf-8") for i in (1, 2)]
        comments[1] = with_previous(comments[1], comments[0])
        for i, comment in enumerate(comments, 1):
            (OUT / f"comment-{i}.md").write_text(comment, encoding="utf-8")
            show_comment(comment, OUT / f"comment-{i}.png", work, 620 if i == 1 else 470)
        photograph(work / "out1" / "report.html", OUT / "report.png", 900)
        print(f"{len(task.x)} samples; action: {finding['first_action']}; taken: {step.how}; {np.__version__}")


if __name__ == "__main__":
    main()
