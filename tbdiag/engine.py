"""Runs detectors in isolation: found, clean, not applicable (why), suppressed, crashed. A crash never loses the report."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from tbdiag.config import Config
from tbdiag.detectors import load_detectors
from tbdiag.detectors._base import Detector, NotApplicable, View
from tbdiag.features import Features
from tbdiag.model import Domain, Outcome, OutcomeKind


def run_detectors(features: Features, config: Config | None = None, detectors: Iterable[Detector] | None = None) -> tuple[Outcome, ...]:
    """Outcome of every selected detector, in order of id."""
    config = config or Config()
    return tuple(run_detector(d, features, config) for d in (load_detectors() if detectors is None else detectors))


def run_detector(detector: Detector, features: Features, config: Config) -> Outcome:
    """Outcome of one detector: narrowed to the roles that it declares, its exceptions caught."""
    if (config.select and detector.id not in config.select) or detector.id in config.ignore:
        return Outcome(detector.id, OutcomeKind.SUPPRESSED, "left out by the configuration")
    domain = features.signals.domain
    if domain not in detector.domains:
        return _not_meaningful(detector.id, domain)
    absent = tuple([need for need in detector.needs if not _present(need, features)])
    if absent:
        return _not_logged(detector.id, absent)
    thresholds, declared = _declaration(id(detector), detector)
    if detector.id in config.thresholds:
        thresholds = {**thresholds, **config.thresholds[detector.id]}
    try:
        result = detector.detect(View(features, thresholds, declared))
    except Exception as error:  # noqa: BLE001 - one broken detector must not lose the report
        return Outcome(detector.id, OutcomeKind.CRASHED, f"{type(error).__name__}: {error}")
    if result is None:
        return _clean(detector.id)
    if isinstance(result, NotApplicable):
        return Outcome(detector.id, OutcomeKind.NOT_APPLICABLE, result.why, missing=result.missing)
    return Outcome(detector.id, OutcomeKind.FOUND, result.title, finding=result)


_declarations: dict[int, tuple[Detector, dict[str, float], frozenset[str]]] = {}


def _declaration(key: int, detector: Detector) -> tuple[dict[str, float], frozenset[str]]:
    """Default thresholds and declared roles of a detector, worked out once: a night asks for them half a million times."""
    known = _declarations.get(key)
    if known is None or known[0] is not detector:
        known = _declarations[key] = (detector, {name: t.value for name, t in detector.thresholds.items()}, detector.declared)
    return known[1], known[2]


# A night asks for these outcomes hundreds of thousands of times, a few hundred of them different.


@lru_cache(maxsize=512)
def _clean(detector: str) -> Outcome:
    return Outcome(detector, OutcomeKind.CLEAN)


@lru_cache(maxsize=512)
def _not_meaningful(detector: str, domain: Domain) -> Outcome:
    return Outcome(detector, OutcomeKind.NOT_APPLICABLE, f"not meaningful for {domain.value.replace('_', ' ')} runs")


@lru_cache(maxsize=2048)
def _not_logged(detector: str, absent: tuple[str | tuple[str, ...], ...]) -> Outcome:
    names = tuple(n if isinstance(n, str) else n[0] for n in absent)
    spelled = ", ".join(n if isinstance(n, str) else " or ".join(n) for n in absent)
    return Outcome(detector, OutcomeKind.NOT_APPLICABLE, f"not logged: {spelled}", missing=names)


def _present(need: str | tuple[str, ...], features: Features) -> bool:
    if isinstance(need, str):
        return _logged(need, features)
    for key in need:  # noqa: SIM110 - a generator here costs as much as many a detector
        if _logged(key, features):
            return True
    return False


def _logged(key: str, features: Features) -> bool:
    """A role key, a derived series, or the plain value of a role that has any signal; ``log`` is always there."""
    return key == "log" or features.curve(key) is not None or key in features.role_names
