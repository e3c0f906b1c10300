"""The discriminator tells real from generated so surely that the generator gets no signal.

What it means
    The discriminator's loss is close to zero while the generator's loss goes up: the game is lost for the generator.

Why it matters
    The generator's gradient vanishes or points nowhere; samples stop improving.

How it is told
    Over at least the last fifth of the run the discriminator loss is below 5 % of its start while the generator loss is at
    least twice its start; or, where they were logged, D(x) is above 0.95 and D(G(z)) below 0.05.

First check
    Look at samples of the last steps, and at D(x) and D(G(z)) side by side.

First action
    Halve the discriminator's learning rate.

Success rule
    The discriminator loss stays above a tenth of its start over the last 30 % of the run.

Not to be confused with
    mode collapse (losses can look balanced), a Wasserstein critic (its loss has no floor; not judged).

Limits
    Losses of adversarial training say little about quality; without samples or a distance such as FID this is a suspicion.

Sources
    Literature 7.7 (discriminator loss below 5 % of its start for more than 20 % of the run with the generator's rising).
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    MODEL,
    Cause,
    Detector,
    Evidence,
    Example,
    Finding,
    Interval,
    NotApplicable,
    Severity,
    SuccessRule,
    Threshold,
    View,
    predicate,
)
from tbdiag.detectors._tails import begins, lasts, say, since, tail
from tbdiag.model import Domain, Role
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import Float64, median

Sign = tuple[Evidence, Interval, Interval, float]


def detect(view: View) -> Finding | NotApplicable | None:
    """Losses against their start, or the scores of real and generated samples."""
    sign = _by_losses(view) or _by_scores(view)
    if sign is None:
        return None
    evidence, onset, extent, sure = sign
    loss = view.curve("discriminator_loss")
    rule = (
        predicate("discriminator_loss", "median", ">", 0.1 * loss.first, window=(0.7, 1.0), source="a tenth of this run's start")
        if loss is not None
        else predicate("discriminator_score", "median", "<", 0.95, window=(0.7, 1.0))
    )
    return Finding(
        id="discriminator-win",
        severity=Severity.WARNING,
        confidence=sure,
        title="The discriminator wins: the generator gets no signal",
        onset=onset,
        extent=extent,
        evidence=(evidence,),
        causes=(
            Cause("A discriminator that learns faster than the generator (learning rate, capacity, updates per step)"),
            Cause("Real and generated samples differ in something trivial (value range, padding)"),
            Cause("No regularisation of the discriminator"),
        ),
        first_check="Look at samples of the last steps, and at D(x) and D(G(z)) side by side.",
        first_action="Halve the discriminator's learning rate.",
        fixes=(
            "Check that real and generated samples have the same range and shape",
            "Add a gradient penalty or spectral normalisation to the discriminator",
            "Smooth the labels of real samples (0.9), or add noise to the discriminator's inputs",
            "Update the generator more often",
        ),
        success_rule=SuccessRule(
            all=(rule,), sentence="The discriminator does not win: its loss stays well above zero in the last 30 % of the run."
        ),
        phase=MODEL,
        roles=("discriminator_loss", "generator_loss"),
    )


def _by_losses(view: View) -> Sign | None:
    d, g = view.curve("discriminator_loss"), view.curve("generator_loss")
    if d is None or g is None or d.n < 20 or g.n < 20 or float(d.value.min()) < 0 or d.first <= 0 or g.first <= 0:
        return None
    d_end, g_end = median(tail(d, view["share"])), median(tail(g, view["share"]))
    low = d.value <= view["floor"] * d.first
    if d_end > view["floor"] * d.first or g_end < view["rise"] * g.first or float(np.mean(low[d.between(1 - view["share"], 1.0)])) < 0.8:
        return None
    smooth = np.array([median(d.value[max(i - 2, 0) : i + 3]) for i in range(d.n)])
    index = since(smooth <= 2 * view["floor"] * d.first)
    index = int(np.argmax(low)) if index is None else index
    text = "The discriminator loss falls from {first:.3g} to {end:.3g} while the generator loss rises from {start:.3g} to {reached:.3g}."
    evidence = say(text, (d, g), first=d.first, end=d_end, start=g.first, reached=g_end)
    return (
        evidence,
        begins(d.step, index),
        lasts(d.step, index),
        confidence(view["floor"] * d.first / max(d_end, 1e-12), g_end / (view["rise"] * g.first), doubts=1),
    )


def _by_scores(view: View) -> Sign | None:
    scores = view.group(Role.DISCRIMINATOR_SCORE)
    fake = next((c for c in scores if "g(" in c.name.lower() or "fake" in c.name.lower() or "gen" in c.name.lower()), None)
    real = next((c for c in scores if c is not fake), None)
    if fake is None or real is None or fake.n < 20 or real.n < 20:
        return None
    low, high = tail(fake, view["share"]), tail(real, view["share"])
    if not _sure(low, high, view["score"]):
        return None
    index = since(fake.value < 0.2)
    index = fake.n - 1 if index is None else index
    text = "The discriminator gives real samples {real:.3g} and generated ones {fake:.3g} over the last part of the run."
    evidence = say(text, (real, fake), real=float(np.median(high)), fake=float(np.median(low)))
    return (
        evidence,
        begins(fake.step, index),
        lasts(fake.step, index),
        confidence(view["score"] / max(float(np.median(low)), 1e-6), doubts=1),
    )


def _sure(fake: Float64, real: Float64, least: float) -> bool:
    """Whether nearly all generated samples score below `least`, and real ones as close to 1."""
    return bool(np.median(fake) < least and np.median(real) > 1 - least and np.quantile(fake, 0.9) < 2 * least and real.max() <= 1.0)


def _wins() -> object:
    rng = np.random.default_rng(161)
    n = 200
    d = 1.4 * np.exp(-np.arange(n) / 25.0) * np.exp(rng.normal(0, 0.2, n)) + 1e-3
    return _synth.make_run({"Loss_D": d, "Loss_G": 0.7 + 0.05 * np.arange(n) + rng.normal(0, 0.1, n)}, every=20)


def _balanced() -> object:
    rng = np.random.default_rng(162)
    n = 200
    return _synth.make_run({"Loss_D": 1.38 + rng.normal(0, 0.03, n), "Loss_G": 0.7 + rng.normal(0, 0.03, n)}, every=20)


EXAMPLES = (
    Example("the discriminator's loss goes to zero", _wins, fires=True),
    Example("a balanced game", _balanced, fires=False),
)

DETECTOR = Detector(
    id="discriminator-win",
    title="Discriminator wins",
    summary="The discriminator tells real from generated so surely that the generator gets no signal.",
    severity=Severity.WARNING,
    phase=MODEL,
    detect=detect,
    doc=__doc__ or "",
    needs=(("discriminator_loss", "discriminator_score"),),
    wants=("generator_loss", "discriminator_loss", "discriminator_score"),
    domains=frozenset({Domain.GAN}),
    thresholds={
        "floor": Threshold(0.05, "literature 7.7: 5 % of its start"),
        "rise": Threshold(2.0, "times its start, for the generator's loss"),
        "score": Threshold(0.05, "of generated samples, and as far from 1 for real ones: hardly any gradient is left"),
        "share": Threshold(0.2, "literature 7.7: more than 20 % of the run"),
    },
    examples=EXAMPLES,
    scale_free=False,
)
