"""All detectors, one file a symptom; this package finds them by itself, so a new detector is one new file."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

from tbdiag.detectors._base import Detector


@lru_cache(maxsize=1)
def load_detectors() -> tuple[Detector, ...]:
    """Every detector, sorted by id.

    Raises:
        RuntimeError: a module has no `DETECTOR`, or its id is not its file name with dashes.
    """
    found = []
    for info in pkgutil.iter_modules(__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{__name__}.{info.name}")
        detector: Detector | None = getattr(module, "DETECTOR", None)
        if detector is None or detector.id != info.name.replace("_", "-"):
            raise RuntimeError(f"detector module {info.name} does not declare DETECTOR with id {info.name.replace('_', '-')}")
        found.append(detector)
    return tuple(sorted(found, key=lambda d: d.id))
