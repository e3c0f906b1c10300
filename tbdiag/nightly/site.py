"""The site's pages: what is new on top, then every run, worst first; complete without scripts, filtered and sorted with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tbdiag.nightly.digest import Digest, headline
from tbdiag.nightly.kept import Part, base_stamp, load_parts, page_stamp, save_parts, take_over
from tbdiag.nightly.rows import RowData, load_rows, rank_runs, row_html

if TYPE_CHECKING:
    from tbdiag.nightly.state import State

ROWS = 200
"""Rows of a page, those that its script draws included (`SIZE` there). A browser opens and redraws 200 in half the time of 500."""


def write_pages(state: State, digest: Digest, folder: Path, site: Path, before: Mapping[str, Any]) -> dict[str, str]:
    """Write ``index.html`` and ``page-N.html`` into a folder; of the further pages those that show what they showed before are linked.

    Args:
        site: the site as it is published; `before`: the stamps of its pages. Pages beyond today's number are written empty, so that
            links to them still lead somewhere.

    Returns:
        The stamps of the pages.
    """
    ranked = rank_runs(state, digest.now)
    pages = max(1, -(-len(ranked) // ROWS))
    names = _distinct(state)
    data = RowData(*names)
    base = base_stamp(state, names, digest.title, pages, len(ranked))
    known, parts = load_parts(state), {}
    for number in range(1, max(pages, len(before)) + 1):
        name = page_name(number)
        here = ranked[(number - 1) * ROWS : number * ROWS]
        stamp = page_stamp(base, name, [(run.id, run.changed, run.status) for run in here])
        part = known.get(name)
        if part is not None and part.stamp == stamp and (number == 1 or (before.get(name) == stamp and take_over(site, name, folder))):
            parts[name] = part
            continue
        rows = list(load_rows(state, [run.id for run in here], digest.now))
        text = "".join(map(row_html, rows))
        parts[name] = Part(stamp, data.write(rows), text if number == 1 else "")
        if number > 1:
            page = _page(digest, text, number=number, pages=pages, total=len(ranked))
            (folder / name).write_bytes(page.encode("utf-8", "replace"))
    rows_data = data.text(part.data for part in parts.values())
    index = _page(digest, parts[page_name(1)].front, number=1, pages=pages, total=len(ranked), data=rows_data)
    (folder / page_name(1)).write_bytes(index.encode("utf-8", "replace"))
    save_parts(state, parts, known)
    return {name: part.stamp for name, part in parts.items()}


def _distinct(state: State) -> tuple[list[str], list[str]]:
    """Every owner and every finding that a row may name."""
    owners = state.db.execute("SELECT DISTINCT owner FROM runs WHERE gone_night IS NULL ORDER BY owner")
    findings = state.db.execute("SELECT DISTINCT finding FROM findings ORDER BY finding")
    return [row[0] for row in owners], [row[0] for row in findings]


def page_name(number: int) -> str:
    """File name of a page, from 1."""
    return "index.html" if number == 1 else f"page-{number}.html"


def _page(digest: Digest, rows: str, *, number: int, pages: int, total: int, data: str = "") -> str:
    from markupsafe import Markup

    from tbdiag import __version__
    from tbdiag.render.page import environment, json_block, load_assets, templates_directory

    css, js, policy = load_assets(templates_directory(), ("report.css", "nightly.css"), "nightly.js")
    page: str = (
        environment()
        .get_template("nightly.html.j2")
        .render(
            title=f"{digest.title}: {headline(digest) if number == 1 else f'page {number}'}",
            css=Markup(css),  # noqa: S704 - our own files
            js=Markup(js),  # noqa: S704
            policy=policy,
            data="",
            built="",
            tool={"version": __version__},
            digest=digest,
            headline=headline(digest),
            verdict=_verdict(digest),
            rows=Markup(rows),  # noqa: S704 - escaped by row_html
            number=number,
            pages=pages,
            links=Markup(_links(number, pages)),  # noqa: S704 - numbers only
            first=(number - 1) * ROWS + 1,
            last=min(number * ROWS, total),
            total=total,
            row_data=json_block(data) if data else "",
            trend=draw_trend,
            kinds=("error", "warning", "note", "unclear", "healthy", "unreadable"),
        )
    )
    return page


def _links(number: int, pages: int) -> str:
    """Links to all pages but the one at hand. Plain string building: every page holds them all."""
    links = [f'<a href="{page_name(n)}#runs">{n}</a> ' for n in range(1, pages + 1)]
    if number <= pages:
        links[number - 1] = f'<b aria-current="page">{number}</b> '
    return "".join(links)


def _verdict(digest: Digest) -> str:
    """Mark of the whole night."""
    c = digest.counts
    return "error" if c["errors"] else "warning" if c["warnings"] or c["failed"] else "healthy"


def draw_trend(runs: Sequence[int]) -> Any:
    """A step line of counts over the nights as SVG, zero at the bottom."""
    from markupsafe import Markup

    if len(runs) < 2:
        return ""
    top = max(*runs, 1)
    width, height = 150, 26
    step = (width - 6) / (len(runs) - 1)
    points = [(3 + i * step, height - 3 - (height - 6) * n / top) for i, n in enumerate(runs)]
    path = "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in points)
    x, y = points[-1]
    return Markup(  # noqa: S704 - numbers only
        f'<svg class="sp" width="{width}" height="{height}" viewBox="0 0 {width} {height}" aria-hidden="true">'
        f'<path class="gr" d="M3 {height - 3}H{width - 3}" stroke="#e4e7ec"/>'
        f'<path class="c0" fill="none" stroke="#1d5fd6" stroke-width="1.5" d="{path}"/>'
        f'<circle class="f0" fill="#1d5fd6" cx="{x:.0f}" cy="{y:.0f}" r="2.2"/></svg>'
    )
