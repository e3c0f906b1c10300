"""Compiled templates, kept as Python keeps compiled modules: in ``__pycache__`` beside them, where that can be written.

Compiling the templates takes a sixth of a report of a small run. Like Python's own, the files are tied to the version of Python, and to
that of jinja2 and the template's text, are not written under ``PYTHONDONTWRITEBYTECODE``, and follow ``PYTHONPYCACHEPREFIX``.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import BytecodeCache
    from jinja2.bccache import Bucket


def compiled_templates(directory: Path) -> BytecodeCache:
    """The store of compiled templates of a directory; one that cannot be read or written is as if it were empty."""
    from jinja2 import BytecodeCache

    class Compiled(BytecodeCache):
        def load_bytecode(self, bucket: Bucket) -> None:
            with contextlib.suppress(OSError), _place(directory, bucket.key).open("rb") as stream:
                bucket.load_bytecode(stream)

        def dump_bytecode(self, bucket: Bucket) -> None:
            if sys.dont_write_bytecode:
                return
            place = _place(directory, bucket.key)
            with contextlib.suppress(OSError):
                place.parent.mkdir(parents=True, exist_ok=True)
                handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=place.name)
                with os.fdopen(handle, "wb") as stream:
                    bucket.write_bytecode(stream)
                Path(temporary).replace(place)

    return Compiled()


def _place(directory: Path, key: str) -> Path:
    # The key is a hash of the template's name and path; the name of a module that cannot exist tells the directory and the Python.
    return Path(cache_from_source(str(directory / f"{key}.py"))).with_suffix(".jinja")
