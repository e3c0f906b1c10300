"""A small document (headings, paragraphs, lists, tables) written once and rendered as text, Markdown or HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells below a head; cells are plain text."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing for HTML (an ``<svg>`` element, made here, never from the log) and its caption for every format."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 2 or 3."""

    text: str
    level: int = 2


@dataclass(slots=True)
class Document:
    """A title and blocks in order; strings are paragraphs, tuples of strings are lists."""

    title: str
    blocks: list[str | tuple[str, ...] | Table | Figure | Heading] = field(default_factory=list)

    def add(self, *blocks: str | tuple[str, ...] | Table | Figure | Heading) -> None:
        """Append blocks; empty paragraphs, lists and tables are left out."""
        self.blocks.extend(b for b in blocks if b and not (isinstance(b, Table) and not b.rows))


def render_document(document: Document, format: str, *, marker: str = "") -> str:  # noqa: A002 - the public name
    """A document as ``text``, ``markdown`` or ``html``; `marker` becomes a hidden first line of Markdown."""
    if format == "html":
        return _html(document)
    lines = list(_markdown(document) if format == "markdown" else _text(document))
    head = [f"<!-- {marker} -->"] if marker and format == "markdown" else []
    return "\n".join([*head, *lines]).rstrip() + "\n"


def _text(document: Document) -> Iterable[str]:
    yield clean(document.title)
    for block in document.blocks:
        yield ""
        if isinstance(block, Heading):
            yield clean(block.text)
            yield ("=" if block.level == 2 else "-") * len(clean(block.text))
        elif isinstance(block, Table):
            yield from _columns(block)
        elif isinstance(block, Figure):
            yield clean(block.caption)
        elif isinstance(block, tuple):
            yield from (f"  - {clean(item)}" for item in block)
        else:
            yield clean(block)


def _columns(table: Table) -> Iterable[str]:
    rows = [tuple(clean(c) for c in row) for row in (table.head, *table.rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.head))]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def clean(text: str) -> str:
    """Text on one line without control characters."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split())).encode("utf-8", "replace").decode()


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no table cell broken, no mention of a person."""
    out = html.escape(clean(text), quote=False)
    for mark in ("\\", "`", "*", "_", "[", "]", "|", "#", "~"):
        out = out.replace(mark, "\\" + mark)
    return out.replace("&lt\\;", "&lt;").replace("@", "@\u200b")


def _markdown(document: Document) -> Iterable[str]:
    yield f"## {escape_markdown(document.title)}"
    for block in document.blocks:
        yield ""
        if isinstance(block, Heading):
            yield f"{'#' * (block.level + 1)} {escape_markdown(block.text)}"
        elif isinstance(block, Table):
            yield "| " + " | ".join(map(escape_markdown, block.head)) + " |"
            yield "|" + "---|" * len(block.head)
            yield from ("| " + " | ".join(map(escape_markdown, row)) + " |" for row in block.rows)
        elif isinstance(block, Figure):
            yield escape_markdown(block.caption)
        elif isinstance(block, tuple):
            yield from (f"- {escape_markdown(item)}" for item in block)
        else:
            yield escape_markdown(block)


def _html(document: Document) -> str:
    from markupsafe import Markup

    from tbdiag import __version__
    from tbdiag.render.page import render_page

    body = "\n".join(map(_block_html, document.blocks))
    title = clean(document.title)
    return render_page("document.html.j2", title=title, tool={"version": __version__}, body=Markup(body))  # noqa: S704 - every text in it is escaped


def _block_html(block: str | tuple[str, ...] | Table | Figure | Heading) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{html.escape(clean(block.text))}</h{block.level}>"
    if isinstance(block, Figure):
        return f'<figure class="pair">{block.svg}<figcaption>{html.escape(clean(block.caption))}</figcaption></figure>'
    if isinstance(block, Table):
        head = _cells(block.head, "th")
        rows = "\n".join(f"<tr>{_cells(row, 'td', block.head)}</tr>" for row in block.rows)
        return f'<div class="scroll" tabindex="0"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>'
    if isinstance(block, tuple):
        return "<ul>\n" + "\n".join(f"<li>{html.escape(clean(item))}</li>" for item in block) + "\n</ul>"
    return f"<p>{html.escape(clean(block))}</p>"


def _cells(cells: Sequence[str], tag: str, labels: Sequence[str] = ()) -> str:
    """Cells of a row; on narrow screens, where the head is not shown, each goes by its label."""
    said = [f' data-l="{html.escape(clean(x), quote=True)}"' if x else "" for x in labels] or [""] * len(cells)
    return "".join(f"<{tag}{label}>{html.escape(clean(cell))}</{tag}>" for cell, label in zip(cells, said, strict=True))
