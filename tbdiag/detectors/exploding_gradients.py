"""Gradient norms leave their range by orders of magnitude, before or while the loss breaks.

What it means
    One or many updates are far larger than the ones before: the weights are thrown out of the region that was learned.

Why it matters
    The gradient norm shows it before the loss does. A run that explodes is lost from there on, and often ends in NaN.

How it is told
    There is no absolute limit below 300,000: a norm scales with the loss and with the number of parameters. The norm must
    rise tenfold over the median of what came before, stay there for at least three logged points (or to the last finite
    one), and the training loss must leave its level after that by more than 4 noise standard deviations and a tenth of what
    had been learned, without coming back; or turn non-finite. Without that, a norm that the log ends with at a hundred
    times the median before, and ten times its first points, is an early warning where the rise began in the last tenth or
    is a ramp that still goes on, and at a thousand times where it came to a stand, unless most of the loss was learned
    after the rise (learning that begins late raises norms too). A norm that is NaN or infinite counts if it grew tenfold
    before, if it is infinite, or if it was never finite while the loss is not either. A norm above 300,000 in the first
    points counts if it falls a thousandfold later, or the loss ends worse than it began, or a metric less than a seventh of
    the way from guessing. A norm that is huge from the start counts as well where the outputs are orders of magnitude off
    whatever the unit: an R2 below -100, still below zero after a fifth of the run, or a cross-entropy above 14 nats in the
    largest unit that its end and its errors allow; or, as a warning, norms above a thousand that fall fivefold and a loss
    above a hundred that falls twentyfold, where no metric says that the end is good (targets without a scale look so too).
    Three bursts or more of thirty times the norms before count if the loss jumps with them and ends above its best. Across
    depth: the first layer's norm is a thousand times the last one's while nothing is learned.

First check
    Compare the step at which the norm rises with the learning rate and with the batch that was loaded there.

First action
    Add clipping of the global gradient norm at the 90th percentile of the norms before the rise. Where the norm was above 300,000 at its
    first point, training has not made it so: restore the default initialisation. Where it left a usual level within the first points:
    lower the learning rate by a factor of 10 (100 within 40 steps, see nan-inf). A pretrained model at twice its usual rate or more: lower it.

Success rule
    After the first fifth the 99th percentile of the gradient norm stays below ten times its median (what counts as a rise here; norms of
    healthy runs reach four times), it grows at most thirtyfold there and its median is within thirty times that of before the rise, no norm is ever non-finite, and the loss falls.

Not to be confused with
    spikes (single jumps that recover), divergence (the loss tells it), large norms at the start of training, norms that rise slowly
    while the loss falls (sharp minima, mixture densities), a NaN from a broken input.

Limits
    Norms logged after clipping hide the explosion (see clipping-saturated). Writers that average many steps dampen it.

Sources
    Source text 2, "Detecting explosion early"; literature 7.3 (tenfold over the first fifth; clipping at the 90th percentile after the
    tuning playbook). BTTackler and AutoTrainer for ratios across depth.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    DIRECTED,
    GRADIENTS,
    Cause,
    Detector,
    Example,
    Finding,
    Interval,
    NotApplicable,
    Severity,
    Threshold,
    View,
)
from tbdiag.detectors._explosions import (
    Explosion,
    across_depth,
    grows_with_loss,
    lasting_rise,
    parts,
    rule_against_explosion,
    starts_beyond_guessing,
)
from tbdiag.detectors._tails import first_broken_loss, say, tail
from tbdiag.detectors._words import learning_rate, lower_broken_rate, lower_to_usual
from tbdiag.features import CurveFacts
from tbdiag.features.levels import end_quality
from tbdiag.features.progress import PROGRESS_ROLES
from tbdiag.features.tasks import reads_tokens, usual_rate
from tbdiag.model import Mark
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median
from tbdiag.stats.rises import bursts


def detect(view: View) -> Finding | NotApplicable | None:
    """Non-finite norms first, then a lasting rise with its consequence, then explosion across depth."""
    norm = view.curve("grad_norm")
    raw = view.features.curve("grad_norm")
    if raw is None or not raw.total:
        return NotApplicable("no gradient norm was logged", ("grad_norm",))
    loss = view.curve("train_loss") or view.curve("val_loss")
    broken_loss = first_broken_loss(view)
    found = _non_finite(view, raw, broken_loss)
    if found is None and norm is not None:
        found = (
            lasting_rise(view, norm, loss, broken_loss)
            or _at_the_start(view, norm, loss)
            or starts_beyond_guessing(view, norm, loss)
            or _again_and_again(view, norm, loss)
            or grows_with_loss(view, norm, loss)
            or across_depth(view)
        )
    if found is None:
        return None
    return Finding(
        id="exploding-gradients",
        severity=found.severity,
        confidence=found.confidence,
        title=found.title,
        onset=found.onset,
        extent=found.extent,
        evidence=found.evidence,
        causes=_causes(view, found),
        first_check="Compare the step at which the norm rises with the learning rate and with the batch that was loaded there.",
        first_action=_action(view, raw, found),
        fixes=(
            "Lower the learning rate by a factor of 10",
            "Enable clipping of the global gradient norm",
            *(() if reads_tokens(view.features) else ("Verify input scaling: minimum, mean and maximum of each feature",)),
            "Use numerically stable losses (logits and loss in one function)",
            "Check initialisation and layer scaling",
            "With mixed precision: check dynamic loss scaling, or try full precision",
        ),
        success_rule=rule_against_explosion(view, found, loss),
        phase=GRADIENTS,
        roles=("grad_norm", "train_loss"),
    )


def _causes(view: View, found: Explosion) -> tuple[Cause, ...]:
    """A pretrained model has weights that are in scale, and tokens need no normalising."""
    scale = Cause("Weights initialised too large, or no normalisation layers", "the norm was never in range" if found.calm.size < 3 else "")
    return (
        Cause("A learning rate that is too high, or warm-up that is too short"),
        *(() if usual_rate(view.features) is not None else (scale,)),
        Cause("A long recurrence, or a loss summed over samples instead of averaged"),
        Cause(f"A bad batch: {'unusual samples' if reads_tokens(view.features) else 'unnormalised inputs'} or wrong targets"),
    )


def _action(view: View, norm: CurveFacts, found: Explosion) -> str:
    """Clip what burst out of a known range; what was out of range before it could be trained was made so; else the rate drove it there."""
    limit = float(np.quantile(found.calm, 0.9)) if found.calm.size >= 3 else 0.0
    born = found.born or (float(norm.value[0]) if norm.n else np.inf) >= view["any_unit"]
    usual, rate = usual_rate(view.features), learning_rate(view)
    if usual is not None and rate is not None and rate >= 2 * usual.rate:  # what was trained before is in scale, and most trainers clip
        return f"{lower_to_usual(view)} and rerun otherwise unchanged."
    if limit > 0 and not born and norm.step[0] < found.onset.first_step:
        return f"Add clipping of the global gradient norm at {limit:.2g}, the 90th percentile of the norms before the rise."
    if born:
        return "Restore the framework's default initialisation of all layers and rerun otherwise unchanged."
    return lower_broken_rate(view, norm, found.extent.first_step)


def _non_finite(view: View, norm: CurveFacts, broken_loss: int | None) -> Explosion | None:
    bad = norm.bad_step
    if not bad.size or broken_loss is None:
        return None  # with a loss that stays finite, skipped steps or an unrelated writer, not an explosion
    lasting = bad.size >= 0.1 * norm.total or (norm.n == 0 or bad[-1] >= norm.step[-1])
    if not lasting:
        return None
    before = norm.value[norm.step < bad[0]]
    infinite = bool(np.isinf(norm.bad_value).any())
    grew, growth, left = False, 1.0, before.size - 1
    if before.size >= 3:
        calm = before[: max(before.size - max(3, before.size // 10), 1)]
        middle = median(calm)
        growth = float(np.max(before[-max(3, before.size // 10) :])) / middle if middle > 0 else 1.0
        grew = growth >= view["rise"]
        # It begins where the norm left its range for good, not where the numbers ended.
        calm_at = np.flatnonzero(before < view["rise"] * middle)
        left = int(calm_at[-1]) if grew and calm_at.size and calm_at[-1] < before.size - 1 else left
    # Without three finite norms there is nothing that it grew from: out of range from the beginning.
    never = before.size < 3
    if not (grew or infinite or never):
        return None
    count = float(bad.size)
    after = int(norm.step[left + 1]) if left + 1 < before.size else int(bad[0])
    where = Interval(int(norm.step[left]) if before.size else int(bad[0]), after)
    if never:
        statement = "The gradient norm is not finite at {bad:.0f} of {total:.0f} logged points, from step {step:,.0f} on, before it ever had a level."
        evidence = say(statement, (norm, *parts(view, norm)), bad=count, total=float(norm.total), step=float(bad[0]))
        title = "Exploding gradients: the gradient norm is not finite from the beginning on"
        sure = confidence(1.0, supports=1)
    else:
        statement = "The gradient norm rises to {growth:.3g} times its median before step {step:,.0f} and is not finite at {bad:.0f} points from there."
        evidence = say(
            statement,
            (norm, *parts(view, norm)),
            (Mark("event", "norm not finite", int(bad[0])),),
            growth=growth,
            step=float(bad[0]),
            bad=count,
        )
        title = f"Exploding gradients: the gradient norm {f'rises from step {after:,} on and ' if grew else ''}leaves the finite numbers at step {int(bad[0]):,}"
        sure = confidence(growth / view["rise"], supports=1) if grew else confidence(1.0)
    extra = say("The loss is not finite from step {step:,.0f} on.", (), step=float(broken_loss))
    calm_norms = before[: left + 1] if grew else before[: max(before.size - 3, 0)]
    return Explosion(where, Interval(int(bad[0]), int(bad[-1])), (evidence, extra), Severity.ERROR, sure, title, calm_norms)


def _at_the_start(view: View, norm: CurveFacts, loss: CurveFacts | None) -> Explosion | None:
    """Norms beyond any unit from the first point on, thousands of times what they fall to (if they fall at all)."""
    if norm.n < 8 or loss is None:
        return None
    k = max(3, norm.n // 50)
    first = median(norm.value[:k])
    if first < view["any_unit"]:
        return None
    late = median(tail(norm, 0.5))
    fallen = first >= view["depth_ratio"] * late
    worse = loss.end_cost >= loss.first_cost or _learned_nothing(view)
    if not (fallen or worse):
        return None
    calm = norm.value[norm.value < 10 * late] if fallen else np.empty(0)
    index = int(np.argmax(norm.value < 10 * late)) if fallen else norm.n - 1
    text = "The gradient norm starts at {first:.2e}, against {late:.2e} in the second half of the run; the loss starts at {loss:.2e}."
    evidence = say(text, (norm, loss), first=first, late=late, loss=loss.first)
    onset = Interval(int(norm.step[0]), int(norm.step[0]))
    extent = Interval(int(norm.step[0]), int(norm.step[index]))
    return Explosion(
        onset,
        extent,
        (evidence,),
        Severity.ERROR,
        confidence(first / view["any_unit"]),
        f"Exploding gradients: the gradient norm starts at {first:.1e}",
        calm,
    )


def _learned_nothing(view: View) -> bool:
    """Whether a metric with a known chance level ends a seventh of the way to perfect at most: that has no unit."""
    quality = end_quality(view.curve("val_metric") or view.curve("train_metric"), view.features, 4)
    return quality is not None and quality < 0.15


def _again_and_again(view: View, norm: CurveFacts, loss: CurveFacts | None) -> Explosion | None:
    """Bursts of the norm that throw the loss up each time, in a run that ends worse than it had been."""
    if loss is None or loss.n < 20 or norm.n < 20:
        return None
    at = bursts(norm.value, float(view["burst"]))
    if at.size < 3 or loss.rise <= view["sigmas"] * loss.sigma:
        return None
    thrown = []
    for i in at:
        k = int(np.searchsorted(loss.step, norm.step[i]))
        before, after = loss.cost[max(k - 10, 0) : k], loss.cost[k : k + 5]
        if before.size >= 3 and after.size and float(after.max()) > median(before) + 6 * loss.sigma:
            thrown.append(int(i))
    if len(thrown) < 3:
        return None
    calm = norm.value[norm.value < 3 * median(norm.value)]
    text = "The gradient norm jumps at least {times:g}-fold {bursts:.0f} times (up to {largest:.3g}, median {middle:.3g}), and the loss with it."
    numbers = {
        "times": float(view["burst"]),
        "bursts": float(len(thrown)),
        "largest": float(norm.value.max()),
        "middle": median(norm.value),
    }
    evidence = say(text, (norm, loss), tuple(Mark("event", "burst", int(norm.step[i])) for i in thrown[:5]), **numbers)
    first = thrown[0]
    onset = Interval(int(norm.step[max(first - 1, 0)]), int(norm.step[first]))
    extent = Interval(int(norm.step[first]), int(norm.step[thrown[-1]]))
    title = f"Exploding gradients: the gradient norm jumps {len(thrown)} times and the loss with it"
    return Explosion(onset, extent, (evidence,), Severity.WARNING, confidence(len(thrown) / 3), title, calm)


def _explosion() -> object:
    rng = np.random.default_rng(71)
    n, at = 200, 140
    norm = 0.5 * np.exp(rng.normal(0, 0.3, n))
    norm[at:] *= np.exp(np.linspace(2.5, 5.0, n - at))
    loss = _synth.decay(n, 2.3, 0.4) + rng.normal(0, 0.02, n)
    loss[at + 3 :] += np.linspace(0.3, 4.0, n - at - 3)
    return _synth.make_run({"loss/train": loss, "grad_norm": norm}, every=10)


def _ends_in_nan() -> object:
    rng = np.random.default_rng(72)
    n, at = 100, 60
    norm = 0.5 * np.exp(rng.normal(0, 0.3, n))
    norm[at - 4 : at] *= np.array([20.0, 200.0, 1e4, 1e7])
    norm[at:] = np.nan
    loss = _synth.decay(n, 2.3, 0.4) + rng.normal(0, 0.02, n)
    loss[at:] = np.nan
    return _synth.make_run({"loss/train": loss, "grad_norm": norm})


def _sharpens() -> object:
    rng = np.random.default_rng(73)
    n = 200
    norm = np.exp(np.linspace(0, 3, n) + rng.normal(0, 0.4, n))
    return _synth.make_run({"loss/train": _synth.decay(n, 1.0, -1.3) + rng.normal(0, 0.05, n), "grad_norm": norm})


def _one_spike() -> object:
    rng = np.random.default_rng(74)
    n = 200
    norm = 0.5 * np.exp(rng.normal(0, 0.4, n))
    norm[120] = 60.0
    return _synth.make_run({"loss/train": _synth.decay(n, 2.3, 0.4) + rng.normal(0, 0.02, n), "grad_norm": norm})


def _rises(ln: float, last: int, over: int) -> object:
    """Norms that rise by a factor of exp(`ln`) within `over` points, `last` points before the end, under a loss that does not answer."""
    rng = np.random.default_rng(75)
    n = 200
    rise = np.concatenate((np.zeros(n - last), np.linspace(0, ln, over), np.full(last - over, ln)))
    loss = _synth.decay(n, 2.3, 0.4) + rng.normal(0, 0.02, n)
    return _synth.make_run({"loss/train": loss, "grad_norm": 0.5 * np.exp(rng.normal(0, 0.3, n) + rise)}, every=10)


def _scaled() -> object:
    """Norms that double again and again with the factor of a loss scaler, which they were not divided by."""
    rng = np.random.default_rng(78)
    scale = 2.0 ** np.maximum((np.arange(400) - 200) // 20, 0)
    norm = 0.5 * scale * np.exp(rng.normal(0, 0.3, 400))
    loss = _synth.decay(400, 2.3, 0.4) + rng.normal(0, 0.02, 400)
    return _synth.make_run({"loss/train": loss, "grad_norm": norm, "amp/loss_scale": 128 * scale}, every=10)


def _learns_late() -> object:
    rng = np.random.default_rng(76)
    n = 60
    norm = 1e-4 * np.exp(rng.normal(0, 0.3, n) + np.concatenate((np.zeros(30), np.linspace(0, 9, 5), np.full(25, 9.0))))
    loss = np.concatenate((np.full(32, 2.3), _synth.decay(28, 2.3, 0.9, 3.0))) + rng.normal(0, 0.02, n)
    return _synth.make_run({"loss/train": loss, "grad_norm": norm}, every=10)


def _starts_off(gain: float, offset: float) -> object:
    """A regression whose outputs start `gain` times too large, or whose loss is only scaled (`offset`)."""
    rng = np.random.default_rng(77)
    n = 80
    left = 1 / (1 + 30 * np.linspace(0, 1, n)) ** 2 * np.exp(rng.normal(0, 0.1, n))
    loss = gain**2 * left + 0.5
    norm = 30 * gain * np.sqrt(left) + 1
    return _synth.make_run({"loss/train": offset * loss, "r2/train": 1 - loss, "grad_norm": offset * norm}, every=10)


EXAMPLES = (
    Example("outputs that start a hundred times too large", lambda: _starts_off(100.0, 1.0), fires=True, onset=(0, 10)),
    Example("a loss scaled by ten thousand", lambda: _starts_off(0.7, 1e4), fires=False),
    Example("the norm rises a hundredfold, then the loss", _explosion, fires=True, onset=(1300, 1500)),
    Example("four growing norms, then NaN", _ends_in_nan, fires=True, onset=(52, 62)),
    Example(
        "the norm grows a millionfold, clipped, and the loss does not answer yet",
        lambda: _rises(14, 100, 100),
        fires=True,
        onset=(1000, 1250),
    ),
    Example("a ramp to five thousand times in the last twenty points", lambda: _rises(8.5, 20, 20), fires=True, onset=(1790, 1900)),
    Example("a ramp to four hundred times that the log ends in", lambda: _rises(6, 50, 50), fires=True, onset=(1490, 1800)),
    Example("unfrozen layers lift the norm sixtyfold, and it stays there", lambda: _rises(4.1, 80, 1), fires=False),
    Example("a loss weight lifts the norm three hundredfold, and it stays there", lambda: _rises(5.7, 80, 1), fires=False),
    Example("norms that grow with the loss scale", _scaled, fires=False),
    Example("a shelf is left late, and norms grow with it", _learns_late, fires=False),
    Example("norms grow twentyfold while the loss falls", _sharpens, fires=False),
    Example("one spike of the norm", _one_spike, fires=False),
)

DETECTOR = Detector(
    id="exploding-gradients",
    title="Exploding gradients",
    summary="Gradient norms leave their range by orders of magnitude, before or while the loss breaks.",
    severity=Severity.ERROR,
    phase=GRADIENTS,
    detect=detect,
    doc=__doc__ or "",
    needs=(("grad_norm", "layer_grad_norm", "gradient_histogram"),),
    wants=("grad_norm", "layer_grad_norm", "gradient_histogram", "lr", "loss_scale", "train_metric", "val_metric", *PROGRESS_ROLES),
    domains=DIRECTED,
    thresholds={
        "rise": Threshold(10.0, "literature 7.3: tenfold over the median before"),
        "whole_rise": Threshold(30.0, "over the run, together with the loss"),
        "loss_rise": Threshold(3.0, "times its start, by which the loss rises with such norms"),
        "burst": Threshold(30.0, "single norms of healthy runs reach ten times the median of those before"),
        "early_warning": Threshold(100.0, "where the loss may react yet (source text 2); no norm of 317 healthy trainings ends above 3.5"),
        "unanswered": Threshold(1e3, "of a level that lasts: unfrozen layers and loss weights lift norms by one or two orders"),
        "sigmas": Threshold(4.0, "noise standard deviations by which the loss must leave its level"),
        "learned_share": Threshold(0.1, "share of what had been learned that must be lost again"),
        "depth_ratio": Threshold(1e3, "BTTackler: adjacent ratio 1e3; here from first to last layer, and from first to later norms"),
        "norm_at_start": Threshold(1e3, "labelled healthy trainings start at 16 at most, one whose loss is scaled by 1e4 apart"),
        "times_constant": Threshold(100.0, "squared errors against those of a constant; R2 has no unit"),
        "loss_at_start": Threshold(100.0, "norms of thousands over a loss of a few units are those of many parameters"),
        "far": Threshold(20.0, "times the end: 12 healthy trainings with a loss in large units fall by less, or end at a good metric"),
        "good_end": Threshold(0.85, "of the way to perfect: healthy trainings with a loss in large units end there"),
        "norms_fall": Threshold(5.0, "a loss in large units keeps half of its norms"),
        "nats": Threshold(14.0, "ln of a million classes; healthy norms of a mean cross-entropy are below it or start with less loss"),
        "any_unit": Threshold(3e5, "TheDeepChecker: a mean gradient above 1e6; loss units alone reach 1e4 to 1e5"),
    },
    examples=EXAMPLES,
    scale_free=True,
    explains=("divergence", "nan-inf", "spikes", "instability", "clipping-saturated"),
)
