"""Listings that hurt whoever reads them: unpickled in a worker, they strike when their files are looked at."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


class Hostile:
    """A listing; `deed` is ``kill``, ``kill-once`` (the first worker that meets it), ``hang``, ``eat`` (memory) or ``raise``."""

    def __init__(self, deed: str, flag: str = "") -> None:
        self.deed = deed
        self.flag = flag
        self.name = deed
        self.path = f"/nowhere/{deed}"
        self.root = "/nowhere"

    @property
    def files(self) -> tuple[object, ...]:
        if self.deed == "kill-once":
            if Path(self.flag).exists():
                raise ValueError("met again")
            Path(self.flag).touch()
        if self.deed.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.deed == "hang":
            time.sleep(60)
        if self.deed == "eat":
            return tuple(bytearray(200 << 20) for _ in range(40))
        raise ValueError("hostile\nrun")
