"""The command line: parse, call, print, exit code. One module a command; heavy imports inside the commands."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Entry point of the ``tbdiag`` command. ``--version`` answers without loading anything."""
    if sys.argv[1:] == ["--version"]:
        from tbdiag import __version__

        sys.stdout.write(f"tbdiag {__version__}\n")
        return
    # Loading makes many objects and no garbage, and so does a listing: looking for some takes 8 % of a quiet night.
    gc.set_threshold(100_000, 20, 50)
    # numpy's linear algebra starts a thread for every core, which costs time and memory and has nothing to do here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from tbdiag.cli.app import run

    sys.exit(run())
