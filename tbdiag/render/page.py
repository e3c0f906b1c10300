"""The page around every HTML output: templates found, compiled once, styles and script inlined and fixed by their hashes."""

from __future__ import annotations

import base64
import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tbdiag.errors import ReportError

if TYPE_CHECKING:
    from jinja2 import Environment


def templates_directory() -> Path:
    """Directory of the templates: inside the package (wheel), else beside it (checkout, editable install).

    Raises:
        ReportError: neither is there; the installation is broken.
    """
    package = Path(__file__).resolve().parents[1]
    for place in (package / "templates", package.parent / "templates"):
        if (place / "page.html.j2").is_file():
            return place
    raise ReportError(f"templates not found in {package.name}/templates or beside the package: reinstall tbdiag")


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The jinja2 environment: autoescape on, undefined names are errors, no blank lines from tags."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from tbdiag.render import words
    from tbdiag.render.compiled import compiled_templates
    from tbdiag.render.icons import icon

    place = templates_directory()
    env = Environment(
        loader=FileSystemLoader(place),
        bytecode_cache=compiled_templates(place),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    for name in ("number", "step", "interval", "plural", "duration", "size", "listed"):
        env.filters[name] = getattr(words, name)
    env.globals["icon"] = icon
    return env


@lru_cache(maxsize=4)
def load_assets(place: Path, styles: tuple[str, ...], script: str) -> tuple[str, str, str]:
    """Style sheets and script of a folder, and the content policy that allows these and nothing else."""
    css, js = "\n".join(_squeezed(place / name) for name in styles), _squeezed(place / script)
    policy = (
        f"default-src 'none'; style-src 'sha256-{_digest(css)}'; script-src 'sha256-{_digest(js)}'; base-uri 'none'; form-action 'none'"
    )
    return css, js, policy


def _squeezed(file: Path) -> str:
    """Without indentation and blank lines; the sources hold no text in which these matter."""
    return "\n".join(line for line in map(str.strip, file.read_text(encoding="utf-8").splitlines()) if line)


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def render_page(template: str, **context: Any) -> str:
    """Render a template that extends ``page.html.j2``.

    Args:
        template: file name in the templates directory.
        context: names of the template. Every page takes ``title`` (also the document's title), ``tool`` (mapping with
            ``version``) and ``data`` (text of the JSON block, see `json_block`, or ``""``).
    """
    css, js, policy = load_assets(templates_directory(), ("report.css",), "report.js")
    defaults = {"css": _trusted(css), "js": _trusted(js), "policy": policy, "data": "", "tool": {}, "built": built_at()}
    return environment().get_template(template).render(**{**defaults, **context})


def json_block(text: str) -> str:
    """JSON text as it may stand inside a script element: ``<``, ``>`` and ``&`` as escapes."""
    return _trusted(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _trusted(text: str) -> str:
    """Text that templates leave as it is: our own files and what was escaped just before."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704


def built_at() -> str:
    """Date and time of ``SOURCE_DATE_EPOCH`` in UTC, ``""`` where it is not set: reports hold no clock time of their own."""
    from datetime import datetime, timezone

    epoch = os.environ.get("SOURCE_DATE_EPOCH", "").strip()
    if not epoch.isdigit():
        return ""
    return datetime.fromtimestamp(int(epoch), timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


__all__ = ["built_at", "environment", "json_block", "load_assets", "render_page", "templates_directory"]
