"""The report inside a notebook: the whole page in a sandboxed frame, so that neither its styles nor the notebook's mix."""

from __future__ import annotations

from typing import Any


def render_frame(report: Any) -> str:
    """An ``iframe`` element that holds the HTML report; its height grows with the number of findings."""
    from html import escape

    from tbdiag.render import render
    from tbdiag.render.prepare import plain
    from tbdiag.render.words import report_title, visible_tree

    data = plain(report)
    findings = sum(len(run["findings"]) for run in data["runs"])
    height = min(900, 420 + 160 * findings + 30 * (len(data["runs"]) > 1) * len(data["runs"]))
    page = escape(render(report, "html"), quote=True)
    title = escape(report_title(visible_tree(data)), quote=True)
    # without allow-same-origin the page's script runs apart from the notebook and cannot reach it
    return f'<iframe title="{title}" sandbox="allow-scripts allow-popups" width="100%" height="{height}" style="border:0" srcdoc="{page}"></iframe>'


__all__ = ["render_frame"]
