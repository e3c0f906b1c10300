"""What a run's log says for or against a cause: named facts, each a test of the features and a clause that tells it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tbdiag.features import CurveFacts, Features
from tbdiag.features.tasks import reads_tokens, usual_rate
from tbdiag.model import Finding, Role
from tbdiag.stats.noise import median

USUAL_RATES = (1e-5, 1e-2)
"""Learning rates that most recipes lie between (Adam 1e-4 to 1e-3, fine-tuning 1e-5 to 5e-5, SGD up to 0.1 apart)."""

FLOAT32 = 1e-6
"""Relative accuracy to which a number that was logged in float32 is compared."""


@dataclass(frozen=True, slots=True)
class Case:
    """A head whose causes are weighed: the finding, all findings of the run, its features."""

    head: Finding
    findings: tuple[Finding, ...]
    features: Features

    @property
    def onset(self) -> int | None:
        """Step of the head's onset on the common axis, the last plausible one."""
        interval = self.head.drawn
        return interval.last_step if interval else None

    @property
    def unit(self) -> str:
        """Word for one step in which the head's onset is told: the axis of the first series that proves it."""
        name = next((n for e in self.head.evidence for n in e.series), None)
        signal = next((s for s in self.features.signals.all if s.name == name), None)
        return {"env_step": "environment step"}.get(signal.axis.value, signal.axis.value) if signal is not None else "step"

    @property
    def from_start(self) -> bool:
        """Whether the head began within the first twentieth of the run."""
        interval = self.head.drawn
        first, last = self.features.steps
        return interval is not None and interval.first_step <= first + 0.05 * (last - first)

    def setting(self, name: str) -> float | None:
        """A numeric setting of the configuration found in the log."""
        return self.features.signals.setting(name)

    def rate(self) -> float | None:
        """Peak of the logged learning rate, else the configured one."""
        curve = self.features.curve("lr")
        if curve is not None and curve.n and float(curve.value.max()) > 0:
            return float(curve.value.max())
        known = self.setting("learning_rate")
        return known if known is not None and known > 0 else None

    def before(self, key: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Values of a curve before the onset; float64, empty where nothing was logged."""
        curve = self.features.curve(key)
        if curve is None or self.onset is None:
            return np.empty(0)
        return curve.value[curve.step < self.onset]


def _grew(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """Whether the last values are more than ten times the usual one."""
    return values.size >= 5 and median(np.abs(values)) > 0 and float(values[-3:].max()) > 10 * median(np.abs(values))


def _gradients(case: Case) -> CurveFacts | None:
    curve = case.features.curve("grad_norm")
    return curve if curve is not None and curve.n >= 3 else None


def _zero_gradients(case: Case) -> bool:
    curve = _gradients(case)
    return curve is not None and median(curve.value) < 1e-7


def _live_gradients(case: Case) -> bool:
    curve = _gradients(case)
    return curve is not None and median(curve.value) > 1e-5


def _moving_weights(case: Case) -> bool:
    return any(
        x.curve.n >= 2 and float(np.ptp(x.curve.value)) > 1e-6 * float(np.abs(x.curve.value).max()) for x in case.features.layers("weight")
    )


def _equal_evaluations(case: Case) -> bool:
    curve = case.features.curve("val_loss")
    return curve is not None and curve.n >= 4 and float(np.ptp(curve.value)) <= 2e-6 * float(np.abs(curve.value).max())


def _precision(case: Case) -> str:
    if any(s.role is Role.LOSS_SCALE for s in case.features.signals.all):
        return "half"
    said = str(case.features.signals.config.get("precision", "")).lower()
    half = ("fp16", "float16", "16", "16-mixed", "16-true", "half", "mixed", "amp")
    return (
        "half" if said in half else "full" if said in ("32", "fp32", "float32", "32-true", "no", "bf16", "bfloat16", "bf16-mixed") else ""
    )


def _rate_fell(case: Case) -> bool:
    curve = case.features.curve("lr")
    if curve is None or case.onset is None or curve.n < 3:
        return False
    after = curve.value[curve.step >= case.onset]
    return after.size > 0 and float(after[0]) < 0.03 * float(curve.value.max())


def _restarted(case: Case) -> bool:
    first, last = case.features.steps
    near = 0.03 * (last - first)
    return case.onset is not None and any(abs(r.first_step - case.onset) <= near for r in case.features.run.restarts)


def _training_jump(case: Case) -> float | None:
    """Jump of the training loss, in units of its noise, where a head that is not about training begins; None where it cannot be told."""
    curve = case.features.curve("train_loss")
    if curve is None or case.onset is None or "train_loss" in case.head.roles:
        return None
    left, right = curve.value[curve.step < case.onset][-10:], curve.value[curve.step >= case.onset][:10]
    if left.size < 3 or right.size < 3:
        return None
    return abs(median(right) - median(left)) / max(curve.sigma, 1e-12)


def _training_still(case: Case) -> bool:
    jump = _training_jump(case)
    return jump is not None and jump < 4


def _training_moves(case: Case) -> bool:
    jump = _training_jump(case)
    return jump is not None and jump >= 4


def _rate(case: Case, test: Callable[[float], bool]) -> bool:
    rate = case.rate()
    return rate is not None and test(rate)


def _rate_tiny(case: Case) -> bool:
    """Below 1e-6, and below a tenth of what is usual for the task; a logged 1e-6 is a little less in float32."""
    usual = usual_rate(case.features)
    limit = 1e-6 if usual is None else min(1e-6, 0.1 * usual.rate)
    return _rate(case, lambda r: r < (1 - FLOAT32) * limit)


def _found(finding_id: str) -> Callable[[Case], bool]:
    return lambda case: any(f.id == finding_id for f in case.findings)


_LARGE = ("policy-clipping", "kl-blow-up", "lr-too-high", "instability", "spikes")
"""What speaks of updates that are large enough already."""
_BREAKS = frozenset({"spikes", "exploding-gradients", "instability", "divergence", "lr-too-high", "lr-schedule"})


def _broke_before(case: Case) -> bool:
    """Whether training was thrown about before the head was first seen."""
    return any(
        f.id in _BREAKS and f.onset is not None and case.onset is not None and f.onset.first_step < case.onset for f in case.findings
    )


FACTS: dict[str, tuple[Callable[[Case], bool], str]] = {
    "from-start": (lambda c: c.from_start, "it is so from the start"),
    "later": (lambda c: c.onset is not None and not c.from_start, "it begins later in the run"),
    "rate-tiny": (_rate_tiny, "the learning rate is below 1e-6"),
    "rate-huge": (lambda c: _rate(c, lambda r: r >= 0.1), "the learning rate is 0.1 or more"),
    "rate-usual": (lambda c: _rate(c, lambda r: USUAL_RATES[0] <= r <= USUAL_RATES[1]), "the learning rate is a usual one"),
    "rate-fell": (_rate_fell, "the learning rate had fallen below 3 % of its peak by then"),
    "pretrained": (lambda c: usual_rate(c.features) is not None, "a pretrained model is trained"),
    "tokens": (lambda c: reads_tokens(c.features), "the inputs are tokens"),
    "gradients-zero": (_zero_gradients, "the logged gradients are zero"),
    "gradients-alive": (_live_gradients, "the logged gradients are not zero"),
    "gradients-grew": (lambda c: _grew(c.before("grad_norm")), "the gradient norm grew tenfold just before"),
    "gradients-calm": (
        lambda c: c.before("grad_norm").size >= 5 and not _grew(c.before("grad_norm")),
        "the gradient norm was as usual just before",
    ),
    "loss-grew": (lambda c: _grew(c.before("train_loss")), "the training loss grew tenfold just before"),
    "weights-move": (_moving_weights, "the logged weights change"),
    "evaluations-equal": (_equal_evaluations, "every evaluation gives the same number"),
    "half-precision": (lambda c: _precision(c) == "half", "training runs in half precision"),
    "full-precision": (lambda c: _precision(c) == "full", "training does not run in float16"),
    "broke-before": (_broke_before, "the loss or the gradients jumped before it was first seen"),
    "died-later": (lambda c: any("pushed the biases down" in x.text for x in c.head.causes), "it was alive when it was first logged"),
    "learned-before": (lambda c: any("it had learned before" in x.why for x in c.head.causes), "it had learned before"),
    "restarted": (_restarted, "the run was restarted there"),
    "training-still": (_training_still, "training does not jump there"),
    "training-moves": (_training_moves, "training jumps there, too"),
    "validation-random": (lambda c: any("random from the start" in x.why for x in c.head.causes), "validation is random from the start"),
    "no-classes": (lambda c: c.features.signals.classes is None and c.features.curve("max_class_share") is None, "no classes are known"),
    "still-improving": (_found("unconverged"), "it was still improving at the end"),
    "updates-large": (lambda c: any(_found(i)(c) for i in _LARGE), "updates are large as it is"),
    "dropout": (lambda c: (c.setting("dropout") or 0.0) > 0, "the configuration sets dropout"),
    "weight-decay": (lambda c: (c.setting("weight_decay") or 0.0) >= 0.1, "the weight decay is 0.1 or more"),
}
"""Name -> (test, clause). A fact that cannot be seen is false: absence of a log speaks for nothing."""


def known_facts(case: Case) -> frozenset[str]:
    """Names of the facts that hold."""
    return frozenset(name for name, (test, _) in FACTS.items() if test(case))
