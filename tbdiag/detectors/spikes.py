"""Isolated jumps of the training loss that recover.

What it means
    Single batches, or single updates, threw the loss far up; it came back within a few points.

Why it matters
    Each spike costs the steps of its recovery, and one of them may be the one that does not come back.

How it is told
    Where the training loss is logged by the batch as well as by the epoch, by the batch. On the logarithm of the loss (where it spans more than a factor of three), a point more than 8 robust standard
    deviations above the running median of 21 points, beyond what the series' own upper tail makes likely (or one of four
    peaks at least that are two and a half times as high as all others), and higher than a tenth of the range of the whole
    curve, that returns within eight points; or, in plain values, a point at six times its level that loses half of all that
    was learned, by more than 20 deviations. With ten to thirty points it must be three times as high as its neighbours.
    Three such spikes, or one higher than three quarters of the range and three times its level (or, at 40 deviations, one and a half times it)
    and behind the first tenth of the run, are a warning; otherwise a note. In reinforcement learning: a return that was calm (within 3 % of its gain) loses a third of its gain for less than
    a tenth of the run and comes back.
    What is below a hundredth of the first loss even at its peak is no trouble.

First check
    Compare the batches, the gradient norm and the loss scale at the steps of the spikes.

First action
    Where the loss is back at the very next points, the updates did no harm and clipping has nothing to hold back: the batches
    themselves are bad; drop or mend their samples. Else clip the gradient norm at its 90th percentile (at 1.0 where it is not
    logged); where it is clipped as low already, lower the learning rate to a third.

Success rule
    The next run has at most a quarter as many spikes of half the height of this run's lowest, and ends no worse.

Not to be confused with
    instability (swings without calm in between), divergence and sudden-shift (no recovery), the heavy tail of small batches.

Limits
    Averaged or median-smoothed logs hide spikes; series with a running mean are not judged.

Sources
    ZClip, OLMo and PaLM on loss spikes; threshold simulated on Gaussian, t4 and lognormal noise (benchmarks/false_alarms.py).
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    CURVES,
    DIRECTED,
    Cause,
    Detector,
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
from tbdiag.detectors._descent import next_to_nothing
from tbdiag.detectors._returns import RETURNS, return_dips
from tbdiag.detectors._words import label, say, scale_lr, unit
from tbdiag.features import CurveFacts
from tbdiag.model import Axis, Domain, Mark, Role, Run, Split
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import Float64, mad, median, running_median
from tbdiag.stats.spikes import LOG_TAIL_FACTOR, Spike, find_spikes, largest_climb

DENSE = 5
"""Steps between two logged points within which a weight that was thrown off cannot have come back (spikes of updates last tens of steps)."""
POINTS = 20_000
"""Longer series are read in stretches of this many points."""


CLIMB = 17
"""The peak of an excursion of at most eight points comes at most so many points after the first of the ten before it."""


def _densest(view: View) -> CurveFacts | None:
    """The training loss; where it is also logged by the batch, that: the mean of an epoch hides single batches."""
    main = view.curve("train_loss")
    if main is None:
        return None
    same = [c for c in view.group(Role.LOSS, Split.TRAIN) if c.signal.stem == main.signal.stem and c.n >= 3 * main.n]
    return max(same, key=lambda c: c.n, default=main)


def detect(view: View) -> Finding | NotApplicable | None:
    """Find isolated excursions of the training loss."""
    if view.signals.domain is Domain.REINFORCEMENT:
        return return_dips(view)
    train = _densest(view)
    if train is None:
        return NotApplicable("no training loss", ("train_loss",))
    if train.n < 10:
        return NotApplicable(f"only {train.n} points")
    grad = view.curve("grad_norm")
    smooth = train.signal.writer.running_mean or (train.signal.writer.median_window or 0) > 1
    if smooth and grad is None:
        return NotApplicable("the writer smooths the loss")
    spikes = _spikes(view, train) if train.n >= view["points"] else _few(view, train)
    spikes = [s for s in spikes if not next_to_nothing(train, float(train.value[s.peak]))]
    if not spikes or (smooth and _with_gradient(train, spikes, grad) < max(2, len(spikes))):
        return None  # a mean that begins anew steps by itself; what the gradients do at the same time is no matter of means
    span = max(min(float(np.quantile(train.trace.cost, 0.98) - np.quantile(train.trace.cost, 0.02)), max(_learned(train), 1e-12)), 1e-12)
    heights = [float(train.value[s.peak] - median(train.value[max(s.first - 10, 0) : s.first])) for s in spikes]
    levels = [abs(float(train.value[s.peak]) - h) for h, s in zip(heights, spikes, strict=True)]
    # The extremes of a heavy tail reach twice the level once in a thousand runs; one or two spikes must be plainer than that.
    plain = [
        h > view["tall"] * span
        and (
            float(train.value[s.peak]) > view["tall_times"] * level
            or (s.sigmas > view["tall_sigmas"] and (train.signed or float(train.value[s.peak]) > view["calm_times"] * level))
        )
        for h, s, level in zip(heights, spikes, levels, strict=True)
    ]
    # One or two that a run threw off in its first tenth cost it nothing.
    tall = any(plain) and int(train.step[spikes[-1].peak] - train.step[0]) > view["early"] * int(train.step[-1] - train.step[0])
    if len(spikes) > (0.15 if train.n >= view["points"] else 0.35) * train.n:
        return None
    steps = [int(train.step[s.peak]) for s in spikes]
    severity = Severity.WARNING if len(spikes) >= view["spikes"] or tall else Severity.NOTE
    threshold = float(np.quantile(grad.value, 0.9)) if grad is not None and grad.n >= 20 else None
    together = _with_gradient(train, spikes, grad)
    highest = int(np.argmax(heights))
    evidence = [
        say(
            f"{{count}} {'spike' if len(spikes) == 1 else 'spikes'} of the {label(train)}, the highest at {unit(train)} {{step:,}} with {{peak:.4g}} "
            "against {usual:.4g} around it ({sigmas:.0f} noise standard deviations); each recovers.",
            (train,),
            tuple(Mark("event", "spike", s) for s in steps[:12]),
            count=len(spikes),
            step=steps[highest],
            peak=float(train.value[spikes[highest].peak]),
            usual=float(train.value[spikes[highest].peak]) - heights[highest],
            sigmas=round(spikes[highest].sigmas),
        )
    ]
    if together:
        evidence.append(say("At {count} of them the gradient norm jumps too.", (grad,) if grad is not None else (), count=together))
    of_batches = _back_at_once(train, spikes)
    if of_batches:
        evidence.append(
            say("At {single} of them the loss is back at the next logged point: the update did no harm.", (train,), single=of_batches)
        )
    return Finding(
        id="spikes",
        severity=severity,
        confidence=confidence(
            min(s.sigmas for s in spikes) / view["sigmas"], len(spikes) / 2 if len(spikes) > 1 else 1.0, supports=int(together > 0)
        ),
        title=f"{len(spikes)} loss {'spike that recovers' if len(spikes) == 1 else 'spikes that recover'}, the first at {unit(train)} {steps[0]:,}",
        onset=Interval(int(train.step[max(spikes[0].first - 1, 0)]), int(train.step[spikes[0].first])),
        extent=Interval(steps[0], steps[-1]),
        evidence=tuple(evidence),
        causes=(
            Cause("Bad or rare batches: corrupt samples, wrong labels, extreme lengths"),
            Cause("The learning rate is near the limit of stability", "gradients jump with the loss" if together else ""),
            Cause("No gradient clipping, or its threshold is too high"),
            Cause("Stale second moments of the optimiser, or overflow in half precision"),
        ),
        first_check=f"Compare the batches, the gradient norm and the loss scale around {unit(train)} {steps[highest]:,}.",
        first_action=_action(view, steps, threshold, bool(of_batches)),
        fixes=(
            "Inspect the samples of the batches at the spikes",
            "Clip the gradient norm at its 90th percentile",
            "Lower the learning rate to a third",
            "Skip or down-weight outlying batches",
            "Lower Adam's beta2 (0.95), or lengthen the warm-up",
        ),
        success_rule=SuccessRule(
            all=(
                predicate(
                    train.signal.key,
                    "excursions",
                    "<=",
                    float(len(spikes) // 4),
                    argument=float(f"{0.5 * min(abs(h) for h in heights):.3g}"),
                    source="a quarter of this run's, half as high as the lowest of them",
                ),
                predicate(train.signal.key, "end", "<=", train.end, sd_times=1.0, source=f"end({train.signal.key}) of this run"),
            ),
            sentence=f"{_at_most(len(spikes) // 4)}, and the {label(train)} ends no higher than {train.end:.4g}.",
        ),
        phase=CURVES,
        roles=(train.signal.key,),
    )


def _at_most(count: int) -> str:
    return "No spike is found" if count == 0 else "At most 1 spike is found" if count == 1 else f"At most {count} spikes are found"


def _back_at_once(train: CurveFacts, spikes: list[Spike]) -> int:
    """Number of spikes of a single point, where nearly all are; 0 where too few steps are logged to see a recovery."""
    single = sum(s.first == s.last for s in spikes)
    dense = train.signal.axis is Axis.STEP and train.n > 2 and float(np.median(np.diff(train.step))) <= DENSE
    return single if dense and single >= 0.8 * len(spikes) else 0


def _action(view: View, steps: list[int], threshold: float | None, of_batches: bool) -> str:
    if of_batches:
        which = ", ".join(f"{s:,}" for s in steps[:5]) + (" and so on" if len(steps) > 5 else "")
        return f"Look up the batches of the steps {which}, drop or mend their samples, and rerun otherwise unchanged."
    clipped = view.signals.setting("max_grad_norm")
    if clipped is not None and 0 < clipped <= (threshold or 1.0):
        return f"{scale_lr(view, 1 / 3)} and rerun otherwise unchanged (the gradient norm is clipped at {clipped:g} already)."
    return f"Clip the gradient norm at {threshold:.2g}, its 90th percentile." if threshold else "Clip the global gradient norm at 1.0."


def _spikes(view: View, train: CurveFacts) -> list[Spike]:
    """Excursions high enough to matter, in the whole series."""
    values = train.cost
    positive = train.log_scale and float(values.min()) > 0
    out: list[Spike] = []
    floor = view["height"] * _learned(train)
    starts = range(0, train.n, POINTS)
    for a in starts:
        part = values[a : a + POINTS]
        if largest_climb(part, CLIMB) <= floor:
            continue  # nothing stands that high above any of the points before it: the common case ends here
        linear = find_spikes(part, view["sigmas"])
        found = linear
        if positive:
            # A spike stands out on both scales: logarithms alone magnify a low floor, plain values a high start.
            log = find_spikes(np.log(part), view["sigmas"], factor=LOG_TAIL_FACTOR)
            found = [s for s in log if _meets(s, linear)] or _tall(part, log, floor)
            # Back at half of all that was learned, far out of the noise: no scale explains that away. (Logarithms of losses near
            # zero scatter so much that they hide it.)
            far = [s for s in linear if s.sigmas > view["plain_sigmas"] and not _meets(s, found)]
            found += [s for s in _out_of_the_scatter(part, far) if _plain(part, s, floor / view["height"])]
        for s in sorted(found, key=lambda s: s.first):
            before = median(part[max(s.first - 10, 0) : s.first]) if s.first else float(part[0])
            height = float(part[s.peak]) - before
            # The first steps fall fast; a bump there is no spike. Nor is one that stays below a fiftieth of where training began.
            if positive and float(part[s.peak]) < 0.02 * train.first_cost:
                continue
            if height > max(floor, 0.1 * abs(before)) and a + s.first > 0.02 * train.n:
                out.append(Spike(s.first + a, s.peak + a, s.last + a, s.height, s.sigmas))
    return out


def _learned(train: CurveFacts) -> float:
    """What was gained to the best; from the second twentieth of the run where a first value ten times as high was left at once."""
    early = train.cost[train.n // 20 : max(train.n // 10, train.n // 20 + 1)]
    level = median(early)
    start = level if 0 < 10 * level < train.first_cost else train.first_cost
    return max(start - train.best_cost, 0.0)


def _plain(part: Float64, spike: Spike, learned: float) -> bool:
    """Whether a spike loses half of all that was learned and reaches six times the level that it left."""
    before = median(part[max(spike.first - 10, 0) : spike.first]) if spike.first else float("inf")
    return spike.height > 0.5 * learned and float(part[spike.peak]) > 6 * before


def _out_of_the_scatter(part: Float64, spikes: list[Spike]) -> list[Spike]:
    """Spikes whose logarithms, too, lie five deviations out: multiplicative noise alone reaches four in 30,000 points."""
    if not spikes:
        return []
    logs = np.log(part)
    residual = logs - running_median(logs, 21)
    limit = 5 * mad(residual)
    return [s for s in spikes if float(residual[s.peak]) > limit]


def _meets(spike: Spike, others: list[Spike]) -> bool:
    return any(spike.first <= o.last and o.first <= spike.last for o in others)


def _few(view: View, train: CurveFacts) -> list[Spike]:
    """Spikes of ten to thirty points (epochs): three times their neighbours, and coming back at once."""
    if float(train.value.min()) <= 0:
        return []
    found = find_spikes(np.log(train.value), view["sigmas"], factor=0.0, width=7, longest=2)
    floor = view["height"] * _learned(train)
    return [
        s
        for s in found
        if s.height > np.log(view["few_points_times"]) and s.first > 0 and train.value[s.peak] - train.value[s.first - 1] > floor
    ]


def _tall(part: Float64, log: list[Spike], floor: float) -> list[Spike]:
    """Spikes of the logarithms that are as high as several floors in plain values too."""
    level = running_median(part, 21)
    scale = mad(part - level)
    return [s for s in log if float(part[s.peak] - level[s.peak]) > max(3 * floor, 8 * scale)]


def _with_gradient(train: CurveFacts, spikes: list[Spike], grad: CurveFacts | None) -> int:
    """Number of spikes within two points of which the gradient norm is above five times its median."""
    if grad is None or grad.n < 20 or grad.signal.axis is not train.signal.axis:
        return 0
    high = grad.step[grad.value > 5 * median(grad.value)]
    pace = 2 * max(int(np.median(np.diff(train.step))), 1)
    return sum(bool(np.any(np.abs(high - int(train.step[s.peak])) <= pace)) for s in spikes)


def _spiky() -> Run:
    rng = np.random.default_rng(61)
    loss = _synth.decay(450, 2.3, 0.1) * np.exp(rng.normal(0, 0.15, 450))
    for i in (100, 180, 181, 260, 330, 400):
        loss[i] += 6
    return _synth.make_run({"train/loss": loss})


def _two_in_a_long_run() -> Run:
    rng = np.random.default_rng(62)
    n = 30_000
    loss = 3.0 + 2.0 * np.exp(-6 * np.linspace(0, 1, n)) + rng.normal(0, 0.05, n)
    loss[[12_000, 25_000]] += 3.0
    return _synth.make_run({"train/loss": loss})


def _heavy_tail() -> Run:
    rng = np.random.default_rng(63)
    return _synth.make_run({"train/loss": _synth.decay(500, 2.3, 0.3) + 0.05 * np.abs(rng.standard_t(4, 500))})


def _lognormal() -> Run:
    rng = np.random.default_rng(64)
    return _synth.make_run({"train/loss": _synth.decay(400, 0.6, 0.02) * np.exp(rng.normal(0, 0.8, 400))})


def _near_zero() -> Run:
    rng = np.random.default_rng(65)
    loss = _synth.decay(1500, 1.1, 0.07, 80.0) * np.exp(rng.normal(0, 0.6, 1500))
    loss[[530, 620, 730, 940, 1310]] = 7.0
    return _synth.make_run({"train/loss": loss})


def _every_eighth() -> Run:
    rng = np.random.default_rng(68)
    loss = _synth.decay(64, 2.1, 0.75, 6.0) * np.exp(rng.normal(0, 0.05, 64))
    loss[15::8] += 0.65
    return _synth.make_run({"train/loss": loss})


def _return_breaks_down() -> Run:
    rng = np.random.default_rng(66)
    reward = 15 - 15 * np.exp(-np.linspace(0, 60, 400)) + rng.normal(0, 0.05, 400)
    reward[370:378] -= 8
    return _synth.make_run({"rollout/ep_rew_mean": reward, "train/approx_kl": np.full(400, 0.01)}, every=2048)


def _noisy_return() -> Run:
    rng = np.random.default_rng(67)
    reward = 400 - 380 * np.exp(-np.linspace(0, 4, 300)) + _synth.ar1(300, 60.0, 0.7, rng)
    return _synth.make_run({"rollout/ep_rew_mean": reward, "train/approx_kl": np.full(300, 0.01)}, every=2048)


EXAMPLES = (
    Example("bad batches", _spiky, fires=True, onset=(95, 105)),
    Example("two in 30,000 steps", _two_in_a_long_run, fires=True, onset=(11_990, 12_010)),
    Example("losses near zero, whose logarithms scatter", _near_zero, fires=True, onset=(528, 531)),
    Example("one bad batch in eight", _every_eighth, fires=True, onset=(14, 15)),
    Example("a return that breaks down and recovers", _return_breaks_down, fires=True),
    Example("a noisy return", _noisy_return, fires=False),
    Example("heavy-tailed noise", _heavy_tail, fires=False),
    Example("lognormal noise near zero", _lognormal, fires=False),
)

DETECTOR = Detector(
    id="spikes",
    title="Loss spikes",
    summary="Isolated jumps of the training loss that recover.",
    severity=Severity.WARNING,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=(("train_loss", *RETURNS),),
    wants=("grad_norm", "lr", "loss"),
    domains=DIRECTED | {Domain.REINFORCEMENT},
    thresholds={
        "sigmas": Threshold(8.0, "no spike in 200,000 Gaussian points; heavier tails are met by the tail limit"),
        "plain_sigmas": Threshold(20.0, "lognormal(0.8) and t4 noise on a decayed loss reach half of what was learned in no simulated run"),
        "height": Threshold(0.1, "a tenth of what was learned"),
        "spikes": Threshold(3, "one or two may be the tail of the noise, three are a pattern"),
        "tall": Threshold(0.75, "of the range: one or two spikes must be plainer than the extremes of a heavy tail"),
        "tall_times": Threshold(3.0, "times the level around it; heavy tails reach twice the level once in a thousand runs"),
        "tall_sigmas": Threshold(40.0, "noise standard deviations, in place of that"),
        "calm_times": Threshold(1.5, "times the level even then: of a loss that hardly scatters anything stands out"),
        "early": Threshold(0.1, "of the run, within which one or two spikes are a note; where they are the fault they come from 0.18 on"),
        "few_points_times": Threshold(3.0, "times the neighbours, below thirty points"),
        "dip": Threshold(0.3, "of what a return had gained: it breaks down by so much and comes back"),
        "points": Threshold(30, "the running median of 21 points needs a neighbourhood"),
    },
    examples=EXAMPLES,
)
