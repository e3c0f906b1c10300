"""The latent code of a variational autoencoder carries nothing: its KL divergence from the prior has gone to zero.

What it means
    The encoder gives every sample the prior's distribution, so the decoder is told nothing about it and reconstructs the average, or
    writes from its own memory.

Why it matters
    The loss looks converged, yet the code cannot be used for anything, and the reconstruction has lost what the code was for.

How it is told
    Beside a reconstruction term a KL term is logged. Over the last 30 % of the run its median is below 0.05 nats and below 1 % of the
    largest value it had, with ten points at least.

First check
    Print the standard deviation of the encoder's means over a validation batch, one number for each latent dimension: is any above 0.1?

First action
    Weigh the KL term by 0 at first and raise its weight to the present one over the first third of the budget.

Success rule
    The KL term stays above a tenth of the largest value it had in this run.

Not to be confused with
    a weight of the KL term that is raised on purpose (the term falls to some nats, not to none), a KL term that is averaged over pixels
    (small throughout), the KL divergence of a policy or of a student from its teacher.

Limits
    A code that never carried anything is as small as an averaged one and is not told.

Sources
    Bowman et al. 2016 (KL annealing), Kingma et al. 2016 (free bits), Lucas et al. 2019 on collapse without a strong decoder. Codes that
    are used hold some nats: a fiftieth of a nat cannot tell two samples apart in a hundred.
"""

from __future__ import annotations

import re

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    PREDICTIONS,
    SUPERVISED,
    Cause,
    Detector,
    Example,
    Finding,
    NotApplicable,
    Severity,
    SuccessRule,
    Threshold,
    View,
    predicate,
)
from tbdiag.detectors._tails import begins, lasts, say, since, tail
from tbdiag.detectors._words import label, unit
from tbdiag.features import CurveFacts
from tbdiag.model import Role, Run, Split
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median

_KL = re.compile(r"(^|[^a-z])(kld?|kl_?div\w*|kullback\w*)($|[^a-z])")
_RECONSTRUCTION = re.compile(r"recon|(^|[^a-z])rec($|[^a-z])|distortion|likelihood|(^|[^a-z])nll($|[^a-z])")


def detect(view: View) -> Finding | NotApplicable | None:
    """The end of the KL term against its largest value and against what a code needs."""
    parts = view.group(Role.LOSS_COMPONENT, Split.TRAIN)
    kl = next((c for c in parts if _KL.search(_name(c)) and c.n >= 10), None)
    rebuilt = next((c for c in parts if _RECONSTRUCTION.search(_name(c)) and c.n >= 10), None)
    if kl is None or rebuilt is None:
        return NotApplicable("no KL term beside a reconstruction term")
    end, most = median(tail(kl)), float(kl.value.max())
    if most <= 0 or end < 0 or end > view["nats"] or end > view["share"] * most:
        return None
    limit = max(view["nats"], view["share"] * most)
    index = since(kl.value <= limit)
    if index is None:
        return None
    evidence = say(
        f"The KL term '{kl.name}' falls from {{most:.3g}} to {{end:.2g}} and stays there from {unit(kl)} {{step:,}} on, while "
        f"'{rebuilt.name}' is at {{rebuilt:.4g}}: no sample is told from another by its code.",
        (kl, rebuilt),
        most=most,
        end=end,
        step=int(kl.step[index]),
        rebuilt=rebuilt.end,
    )
    return Finding(
        id="posterior-collapse",
        severity=Severity.WARNING,
        confidence=confidence(view["nats"] / max(end, 1e-9), view["share"] * most / max(end, 1e-9), doubts=1),
        title=f"Posterior collapse: the KL term is {end:.2g} after {most:.3g}",
        onset=begins(kl.step, index),
        extent=lasts(kl.step, index),
        evidence=(evidence,),
        causes=(
            Cause("The KL term weighs in full before the code has learned anything"),
            Cause("A decoder that is strong enough to do without the code (autoregressive, many skip connections)"),
            Cause("Reconstruction averaged over pixels or words while the KL term is summed over dimensions"),
        ),
        first_check="Print the standard deviation of the encoder's means over a validation batch, one number for each latent dimension.",
        first_action="Weigh the KL term by 0 at first and raise its weight to the present one over the first third of the budget.",
        fixes=(
            "Raise the weight of the KL term slowly, once or in cycles",
            "Free bits: count the KL term of a dimension only above 0.1 to 0.5 nats",
            "Sum the reconstruction over the elements of a sample, as the KL term over its dimensions",
            "Weaken the decoder: drop words or pixels that it is given",
        ),
        success_rule=SuccessRule(
            all=(
                predicate(kl.signal.key, "median", ">", 0.1 * most, tag=kl.name, window=(0.7, 1.0), source="a tenth of this run's largest"),
            ),
            sentence=f"The {label(kl)} '{kl.name}' stays above {0.1 * most:.3g} in the last 30 % of the run.",
        ),
        phase=PREDICTIONS,
        roles=(kl.signal.key,),
    )


def _name(curve: CurveFacts) -> str:
    return f"{curve.signal.stem} {curve.name}".lower()


def _autoencoder(kl_end: float, warm: bool = False) -> Run:
    """A summed KL term that decays to `kl_end` nats; `warm`: its weight is raised from 0, so that it climbs first."""
    rng = np.random.default_rng(211)
    n = 80
    kl = kl_end + (60.0 if warm else 6.0) * np.exp(-np.arange(n) / 4.0)
    rebuilt = _synth.decay(n, 235.0, 84.0 if kl_end > 1 else 205.0, 10.0) + rng.normal(0, 0.3, n)
    return _synth.make_run(
        {"train/loss": rebuilt + kl, "train/recon_loss": rebuilt, "train/kl_loss": kl * (1 + rng.normal(0, 0.01, n))}, every=100
    )


EXAMPLES = (
    Example("the KL term goes to a thousandth of a nat", lambda: _autoencoder(0.001), fires=True),
    Example("a code of 25 nats", lambda: _autoencoder(25.0), fires=False),
    Example("a weight that is raised: from 80 to 20 nats", lambda: _autoencoder(20.0, warm=True), fires=False),
)

DETECTOR = Detector(
    id="posterior-collapse",
    title="Posterior collapse",
    summary="The latent code of a variational autoencoder carries nothing: its KL divergence from the prior has gone to zero.",
    severity=Severity.WARNING,
    phase=PREDICTIONS,
    detect=detect,
    doc=__doc__ or "",
    needs=("train_loss",),
    wants=("loss_component",),
    domains=SUPERVISED,
    thresholds={
        "nats": Threshold(0.05, "a code of fewer nats tells no two samples apart"),
        "share": Threshold(0.01, "of its largest value; terms that are small because they are averaged over pixels keep a tenth or more"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("plateau", "underfitting"),
)
