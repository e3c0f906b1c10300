"""Runs detectors in isolation: found, clean, not applicable (why), suppressed, crashed. A crash never loses the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from tbdiag.config import Config
from tbdiag.detectors import load_detectors
from tbdiag.detectors._base import Detector, NotApplicable, View
from tbdiag.features import DERIVED, Features
from tbdiag.model import Domain, Outcome, OutcomeKind


@dataclass(frozen=True, slots=True)
class _Check:
    """One detector as it stands to a kind of run.

    Attributes:
        known: its outcome, where the run's roles alone decide that; needs: what remains to be looked for among the derived series.
    """

    detector: Detector
    known: Outcome | None
    needs: tuple[str | tuple[str, ...], ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    declared: frozenset[str] = frozenset()


def run_detectors(features: Features, config: Config | None = None, detectors: Iterable[Detector] | None = None) -> tuple[Outcome, ...]:
    """Outcome of every selected detector, in order of id."""
    config = config or Config()
    logged = _find_logged(features)
    if detectors is None:
        checks = _recall_checks(config, features.signals.domain, logged)
    else:
        checks = tuple(_plan_check(d, config, features.signals.domain, logged) for d in detectors)
    return tuple([check.known or _run(check, features) for check in checks])


def run_detectors_together(many: Sequence[Features], config: Config) -> list[tuple[Outcome, ...]]:
    """`run_detectors` of several runs, each detector on all of them before the next one begins.

    The code of all detectors does not fit into a processor's caches, that of one does: some dozens of runs at once take a fifth less time.
    """
    checks = [_recall_checks(config, features.signals.domain, _find_logged(features)) for features in many]
    rows = [[check.known or _run(check, features) for check, features in zip(row, many, strict=True)] for row in zip(*checks, strict=True)]
    return list(zip(*rows, strict=True)) if rows else [() for _ in many]


def run_detector(detector: Detector, features: Features, config: Config) -> Outcome:
    """Outcome of one detector: narrowed to the roles that it declares, its exceptions caught."""
    check = _plan_check(detector, config, features.signals.domain, _find_logged(features))
    return check.known or _run(check, features)


def _run(check: _Check, features: Features) -> Outcome:
    detector = check.detector
    if check.needs:
        absent = tuple([need for need in check.needs if not _present(need, features)])
        if absent:
            return _not_logged(detector.id, absent)
    try:
        result = detector.detect(View(features, check.thresholds, check.declared))
    except Exception as error:  # noqa: BLE001 - one broken detector must not lose the report
        return Outcome(detector.id, OutcomeKind.CRASHED, f"{type(error).__name__}: {error}")
    if result is None:
        return _clean(detector.id)
    if isinstance(result, NotApplicable):
        return Outcome(detector.id, OutcomeKind.NOT_APPLICABLE, result.why, missing=result.missing)
    return Outcome(detector.id, OutcomeKind.FOUND, result.title, finding=result)


def _find_logged(features: Features) -> frozenset[str]:
    """Role keys that have a main series and plain values of all roles that any signal has; ``log`` is always there."""
    mains = [key for key, signal in features.signals.mains.items() if signal.series is not None]
    return features.role_names.union(mains, ("log",))


_known: dict[tuple[int, Domain, frozenset[str]], tuple[Config, tuple[_Check, ...]]] = {}
_MAX_KNOWN = 256


def _recall_checks(config: Config, domain: Domain, logged: frozenset[str]) -> tuple[_Check, ...]:
    """How every detector stands to runs of a domain that log these roles: the same for most runs of a night."""
    key = (id(config), domain, logged)
    found = _known.get(key)
    if found is None or found[0] is not config:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        found = _known[key] = (config, tuple(_plan_check(d, config, domain, logged) for d in load_detectors()))
    return found[1]


def _plan_check(detector: Detector, config: Config, domain: Domain, logged: frozenset[str]) -> _Check:
    if (config.select and detector.id not in config.select) or detector.id in config.ignore:
        return _Check(detector, Outcome(detector.id, OutcomeKind.SUPPRESSED, "left out by the configuration"))
    if domain not in detector.domains:
        return _Check(detector, _not_meaningful(detector.id, domain))
    absent = tuple([need for need in detector.needs if logged.isdisjoint((need,) if isinstance(need, str) else need)])
    if absent and all(DERIVED.keys().isdisjoint((need,) if isinstance(need, str) else need) for need in absent):
        return _Check(detector, _not_logged(detector.id, absent))
    thresholds = {name: t.value for name, t in detector.thresholds.items()} | dict(config.thresholds.get(detector.id, {}))
    return _Check(detector, None, absent, thresholds, detector.declared)


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
    """Whether a role key or derived series, or any one of several, is there."""
    return any(features.curve(key) is not None for key in ((need,) if isinstance(need, str) else need))
