"""tbdiag: automatic diagnosis of training runs from the TensorBoard logs people already have.

The Python interface is two functions and the types that they return::

    runs = tbdiag.read("runs/exp42")      # list[Run]: every point of every event file, as numpy arrays
    report = tbdiag.diagnose(runs)        # Report: findings, first actions and success rules
    report.to_dict()                      # the JSON report

Attributes load on first use, so that ``import tbdiag`` (and with it ``tbdiag --help``) stays fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tbdiag.api import diagnose, read
    from tbdiag.model import Finding, HistogramSeries, Report, Run, Series

__all__ = ["Finding", "HistogramSeries", "Report", "Run", "Series", "__version__", "diagnose", "read"]


def __getattr__(name: str) -> Any:
    if name in ("read", "diagnose"):
        from tbdiag import api

        return getattr(api, name)
    if name in __all__:
        from tbdiag import model

        return getattr(model, name)
    raise AttributeError(f"module 'tbdiag' has no attribute {name!r}")
