"""Gradient clipping is active on nearly every step.

What it means
    Nearly every gradient is longer than the clipping limit: only its direction is used, and the limit sets the step size.

Why it matters
    With plain gradient descent the learning rate no longer means what it says, and training crawls. Clipping that always acts also
    hides gradients that are too large for a reason.

How it is told
    A logged clip fraction of at least 0.9 over the last 80 % of the run; or logged norms at least ten times the configured
    limit in their median; or norms logged after clipping that sit at their maximum (within a thousandth) at nine points of
    ten. A note where the loss has fallen by 90 % all the same, or by 30 % and has settled (by anything, where it can be
    negative): adaptive optimisers do not see a constant factor. Norms above the limit at nine points of ten (the configured one, or
    the ceiling of the norms after clipping beside those before), but not ten times as large, are a note as well; a warning where plain
    SGD is known to make the steps, they are four times the limit in their median, and nothing to speak of was learned.

First check
    Compare the clipping limit with the 50th and 90th percentile of the gradient norm before clipping.

First action
    Set the clipping limit to the 90th percentile of the logged gradient norms and keep the learning rate.

Success rule
    The gradient is clipped on at most a fifth of the steps, and the training loss ends below this run's.

Not to be confused with
    exploding-gradients (norms leave their range), lr-too-low (small steps without clipping).

Limits
    Many recipes for language models and for PPO clip all the time and train well with Adam; that is a note at most.

Sources
    Google tuning playbook (clip at the 90th percentile; more than half of the steps clipped asks for a lower learning rate); literature 7.3.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    EVERY,
    GRADIENTS,
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
from tbdiag.features import CurveFacts
from tbdiag.features.predictions import find_cut_norms
from tbdiag.features.progress import PROGRESS_ROLES, measure_progress
from tbdiag.model import Domain, Role
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median

ADAPTIVE = ("adam", "lamb", "lion", "adafactor", "rmsprop", "adagrad", "sophia")
"""Names of optimisers that divide by the size of their gradients, or take their sign only."""


def detect(view: View) -> Finding | NotApplicable | None:
    """The logged clip fraction first, then norms against the limit, then norms that sit at a ceiling."""
    share, norm = view.curve("clip_share"), view.curve("grad_norm")
    sign = _logged(view, share) or _against_limit(view, norm) or _before_and_after(view) or _at_ceiling(view, norm)
    if sign is None:
        return None
    evidence, onset, extent, margin, post, times = sign
    progress = measure_progress(view.curve, view.signals)
    loss = view.curve("train_loss") or view.curve("val_loss")
    losses = [c for c in (view.curve("train_loss"), view.curve("val_loss")) if c is not None]
    settled = bool(losses) and all(_settled(c) for c in losses)
    known = progress.loss_share if progress.loss_share is not None else progress.accuracy_share
    if loss is not None and float(loss.value.min()) < 0:
        known = view["some"] if loss.drop > 0 else 0.0  # a signed loss has no share: whether it settled must do
    learned = known is not None and (known >= view["learned"] or (known >= view["some"] and settled))
    # Adam does not mind the scale of its gradients; plain SGD makes steps of the limit's length and no other.
    optimizer = str(view.signals.config.get("optimizer", "")).lower()
    sgd = "sgd" in optimizer
    learned = learned and not (sgd and (known or 0.0) < 0.9)
    if times is not None and times < view["over_limit"]:
        learned = not (sgd and progress.bad and times >= view["sgd_times"])
    elif view.signals.domain is Domain.REINFORCEMENT:
        learned = learned or not sgd  # PPO clips every step of Adam, which does not mind
    more = [evidence]
    if loss is not None:
        more.append(say("The loss goes from {first:.4g} to {end:.4g}.", (loss,), first=loss.first, end=loss.end))
    adaptive = next((o for o in ADAPTIVE if o in optimizer), None)
    if learned and adaptive is not None:
        more.append(
            say(
                f"The optimiser in the configuration is one of the kind of {adaptive}, which does not see a constant factor of its gradients."
            )
        )
    limit = float(np.quantile(norm.value, 0.9)) if norm is not None and norm.n >= 5 and not post else None
    action = (
        f"Set the clipping limit to {limit:.2g}, the 90th percentile of the logged gradient norms, and keep the learning rate."
        if limit is not None and limit > 0
        else "Log the gradient norm before clipping and set the limit to its 90th percentile, with the same learning rate."
    )
    rules = [predicate("clip_share", "mean", "<=", 0.2, source="clipped on at most a fifth of the steps")]
    if loss is not None:
        key = "train_loss" if view.curve("train_loss") is not None else "val_loss"
        rules.append(predicate(key, "end", "<", loss.end, sd_times=-2.0, source="end of this run's loss"))
    return Finding(
        id="clipping-saturated",
        severity=Severity.NOTE if learned else Severity.WARNING,
        confidence=confidence(margin, supports=int(bool(progress.bad)), doubts=2 * int(learned) + int(post)),
        title="Clipping saturated: the gradient is clipped on nearly every step",
        onset=onset,
        extent=extent,
        evidence=tuple(more),
        causes=(
            Cause("A clipping limit far below the usual gradient norm"),
            Cause("A loss summed over samples or tokens instead of averaged"),
            Cause("A learning rate or initialisation that makes gradients large"),
        ),
        first_check="Compare the clipping limit with the 50th and 90th percentile of the gradient norm before clipping.",
        first_action=action,
        fixes=(
            "Set the limit to the 90th percentile of the unclipped norms",
            "If that is unstable, the clipping hid a learning rate that is too high: halve it",
            "Average the loss over samples",
            "Check input scaling and initialisation",
        ),
        success_rule=SuccessRule(all=tuple(rules), sentence="At most a fifth of the steps are clipped and the loss ends below this run's."),
        phase=GRADIENTS,
        roles=("clip_fraction", "grad_norm"),
    )


def _settled(loss: CurveFacts) -> bool:
    """Whether the last quarter of the run gained less than a twentieth of the whole: clipped steps that are too short leave a slope."""
    if loss.n < 8:
        return False
    cost = loss.smooth
    then = median(cost[loss.between(0.65, 0.85)])
    return then - loss.end_cost < 0.05 * max(loss.first_cost - loss.end_cost, 0.0)


Sign = tuple[Evidence, Interval, Interval, float, bool, float | None]
"""Evidence, onset, extent, margin, whether the norm was logged after clipping, and the median norm in limits where both are known."""


def _logged(view: View, share: CurveFacts | None) -> Sign | None:
    if share is None or share.signal.why.endswith(tuple("0123456789")) or share.n < 3:
        return None
    last = tail(share, 0.8)
    level = float(np.mean(last))
    if level < view["share"]:
        return None
    index = since(share.value >= 0.5)
    index = share.n - 1 if index is None else index
    evidence = say("The gradient is clipped on {share:.1%} of the steps over the last part of the run.", (share.signal.why,), share=level)
    return evidence, begins(share.step, index), lasts(share.step, index), (1 - view["share"]) / max(1 - level, 0.01), False, None


def _against_limit(view: View, norm: CurveFacts | None) -> Sign | None:
    limit = view.signals.setting("max_grad_norm")
    if norm is None or norm.n < 5 or limit is None or limit <= 0:
        return None
    last = tail(norm, 0.8)
    middle = median(last)
    at_limit = (last > 0.99 * limit) & (last < 1.001 * limit)
    if float(np.mean(at_limit)) >= view["share"]:
        text = "The logged gradient norm is the clipping limit of {limit:g} in the configuration at {share:.0%} of the points: all are clipped."
        evidence = say(text, (norm,), limit=limit, share=float(np.mean(at_limit)))
        return evidence, begins(norm.step, 0), lasts(norm.step, 0), 1.5, True, None
    over, times = float(np.mean(last > limit)), middle / limit
    if over < view["share"]:
        return None
    text = "The median gradient norm is {norm:.3g}, {ratio:.3g} times the clipping limit of {limit:g} in the configuration; {over:.0%} of the points exceed it."
    evidence = say(text, (norm,), norm=middle, ratio=times, limit=float(limit), over=over)
    return evidence, begins(norm.step, 0), lasts(norm.step, 0), max(times / view["over_limit"], 1.0), False, times


def _before_and_after(view: View) -> Sign | None:
    """A norm logged before clipping beside the one after it, which tells the limit."""
    pair = find_cut_norms([c for c in view.group(Role.GRAD_NORM) if c.n >= 10])
    if pair is None:
        return None
    before, after = pair
    last, limit = tail(before, 0.8), float(after.value.max())
    clipped, times = float(np.mean(tail(after, 0.8) < 0.999 * last)), median(last) / limit
    if clipped < view["share"]:
        return None
    text = "At {share:.0%} of the points the gradient norm was cut to {limit:.4g}; its median before was {norm:.3g}, {ratio:.3g} times as much."
    evidence = say(text, (before, after), share=clipped, limit=limit, norm=median(last), ratio=times)
    return evidence, begins(before.step, 0), lasts(before.step, 0), max(times / view["over_limit"], 1.0), False, times


def _at_ceiling(view: View, norm: CurveFacts | None) -> Sign | None:
    if norm is None or norm.n < 10:
        return None
    last = tail(norm, 0.8)
    top = float(last.max())
    at = last >= top * (1 - 1e-3)
    if top <= 0 or float(np.mean(at)) < view["share"] or float(norm.value.max()) > top * (1 + 1e-3):
        return None
    loss = view.curve("train_loss") or view.curve("val_loss")
    if loss is not None and float(np.ptp(loss.value)) < 0.01 * abs(float(np.median(loss.value))):
        return None  # where nothing moves, the gradient is the same at every step without being clipped
    if norm.n < 20 and np.unique(norm.value).size < 3:
        return None  # a few equal values are a placeholder; no gradient has the same length twenty times by itself
    text = "The logged gradient norm sits at its maximum of {top:.4g} at {share:.1%} of the points: it was logged after clipping."
    evidence = say(text, (norm,), top=top, share=float(np.mean(at)))
    return evidence, begins(norm.step, 0), lasts(norm.step, 0), 1.0, True, None


def _always() -> object:
    rng = np.random.default_rng(101)
    n = 100
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 2.30, 2.24, 1.0) + rng.normal(0, 0.01, n),
            "train/grad_norm": 0.32 * np.exp(rng.normal(0, 0.1, n)),
            "train/clip_fraction": np.ones(n),
        }
    )


def _pairs(optimizer: str, end: float) -> object:
    rng = np.random.default_rng(103)
    n = 100
    before = 5 * np.exp(rng.normal(0, 0.2, n))
    loss = _synth.decay(n, 2.30, end) + rng.normal(0, 0.02, n)
    series = {"loss/train": loss, "grad_norm/before_clip": before, "grad_norm/after_clip": np.minimum(before, 1.0)}
    return replace(_synth.make_run(series), hparams={"optimizer": optimizer})


def _sometimes() -> object:
    rng = np.random.default_rng(102)
    n = 100
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 2.30, 0.2) + rng.normal(0, 0.01, n),
            "train/grad_norm": 0.6 * np.exp(rng.normal(0, 0.4, n)),
            "train/clip_fraction": (rng.random(n) < 0.1).astype(float),
        }
    )


EXAMPLES = (
    Example("clipped on every step, and the loss hardly falls", _always, fires=True),
    Example("cut to a fifth at every step of SGD, and the loss hardly falls", lambda: _pairs("sgd", 2.0), fires=True),
    Example("cut to a fifth at every step of SGD, and it learns: a note", lambda: _pairs("sgd", 0.2), fires=False),
    Example("cut to a fifth at every step of Adam: a note", lambda: _pairs("adam", 2.0), fires=False),
    Example("clipped on a tenth of the steps", _sometimes, fires=False),
)

DETECTOR = Detector(
    id="clipping-saturated",
    title="Clipping saturated",
    summary="Gradient clipping is active on nearly every step.",
    severity=Severity.WARNING,
    phase=GRADIENTS,
    detect=detect,
    doc=__doc__ or "",
    needs=(("clip_fraction", "grad_norm", "layer_grad_norm", "gradient_histogram"),),
    wants=("clip_share", "grad_norm", *PROGRESS_ROLES),
    domains=EVERY,
    thresholds={
        "share": Threshold(0.9, "literature 7.3: above 0.9 it is the main fact about the run"),
        "over_limit": Threshold(10.0, "norms of one to five times the limit are ordinary for language models with Adam"),
        "sgd_times": Threshold(4.0, "a limit that shortens steps by less explains no loss that stands; random labels stood at 2.6"),
        "some": Threshold(0.3, "share that is enough where the loss has settled, as that of a language model does far above zero"),
        "learned": Threshold(0.9, "share of the loss (from chance or from the first value) that leaves no harm to speak of"),
    },
    examples=EXAMPLES,
    scale_free=False,
)
