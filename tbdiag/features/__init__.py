"""Facts about a run that several detectors use, computed once, named in the field's words.

`Features.curve(key)` is the way in: key is a role key (``train_loss``, ``val_metric``, ``lr``, ``grad_norm``) or the name
of a derived series (``max_class_share``, ``grad_depth_ratio`` ...; see `tbdiag.features.derived`).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tbdiag.features import predictions as _predictions  # noqa: F401 - registers its derived series
from tbdiag.features.curves import CurveFacts, build_curve
from tbdiag.features.derived import DERIVED
from tbdiag.features.histograms import HistogramFacts
from tbdiag.features.layers import LayerFacts, layer_facts
from tbdiag.features.tiny import TinyTest, read_tiny_test
from tbdiag.model import Axis, Role, Run, Signal, Signals, Split

if TYPE_CHECKING:
    from tbdiag.features.levels import Guess

__all__ = ["DERIVED", "CurveFacts", "Features", "HistogramFacts", "LayerFacts"]


class Features:
    """Memoised facts of one run. Pure: the same signals give the same facts.

    Attributes:
        filled: curves with a finite point by role key, as far as detectors asked for them; None where there is none.
    """

    def __init__(self, signals: Signals) -> None:
        self.signals = signals
        self._curves: dict[str, CurveFacts | None] = {}
        self.filled: dict[str, CurveFacts | None] = {}
        self._by_name: dict[str, CurveFacts] = {}
        self._histograms: dict[str, HistogramFacts] = {}
        self._layers: dict[str, tuple[LayerFacts, ...]] = {}
        self._guess: Guess | None = None

    @property
    def guess(self) -> Guess:
        """What guessing would give (see `tbdiag.features.levels`)."""
        if self._guess is None:
            from tbdiag.features.levels import find_guess

            self._guess = find_guess(self)
        return self._guess

    @property
    def run(self) -> Run:
        """The run that the signals were read from."""
        return self.signals.run

    def curve(self, key: str) -> CurveFacts | None:
        """Facts of the main signal of a role key, or of a derived series; None where it was not logged."""
        try:
            return self._curves[key]
        except KeyError:
            signal = self.signals.mains.get(key)
            if signal is None and key in DERIVED:
                signal = DERIVED[key](self)
            curve = self._curves[key] = self.of(signal) if signal is not None and signal.series is not None else None
            return curve

    def of(self, signal: Signal) -> CurveFacts:
        """Facts of any scalar signal."""
        known = self._by_name.get(signal.name)
        if known is None or known.signal is not signal:
            known = self._by_name[signal.name] = build_curve(signal)
        return known

    def group(self, role: Role, split: Split | None = None) -> tuple[CurveFacts, ...]:
        """Facts of all scalar signals of a role."""
        signals = self.signals.role(role, split)
        return tuple(self.of(s) for s in signals if s.series is not None) if signals else ()

    def histogram(self, signal: Signal) -> HistogramFacts:
        """Facts of any histogram signal."""
        known = self._histograms.get(signal.name)
        if known is None or known.signal is not signal:
            known = self._histograms[signal.name] = HistogramFacts(signal)
        return known

    def layers(self, kind: str) -> tuple[LayerFacts, ...]:
        """Layers from the input to the output: ``gradient``, ``weight``, ``zero``, ``saturated`` or ``spread`` (see `features.layers`)."""
        if kind not in self._layers:
            self._layers[kind] = layer_facts(self, kind)
        return self._layers[kind]

    @cached_property
    def tiny_test(self) -> TinyTest | None:
        """How the run says that it is a tiny overfit test, or None."""
        return read_tiny_test(self)

    @cached_property
    def role_names(self) -> frozenset[str]:
        """Plain values of all roles that any signal has."""
        return frozenset(role.value for role in self.signals.by_role)

    @property
    def axis(self) -> Axis:
        """Unit of the axis on which the curves are compared and drawn: the training loss's, steps where that was moved or is absent."""
        main = self.signals.main("train_loss")
        return main.axis if main is not None and main.logged is None else Axis.STEP

    @property
    def steps(self) -> tuple[int, int]:
        """First and last step of the main training axis (train loss, else the longest series); (0, 0) without series."""
        key = next((k for k in ("train_loss", "reward", "train_reward", "val_loss", "val_metric") if self.signals.main(k)), None)
        signal = self.signals.main(key) if key else None
        series = signal.series if signal else max(self.run.series.values(), key=len, default=None)
        if series is None or not len(series):
            return (0, 0)
        return int(series.step[0]), int(series.step[-1])
