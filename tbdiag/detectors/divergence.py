"""The loss leaves its best and goes up for good.

What it means
    The optimiser left the region that it had reached and does not come back within the run: the training loss itself rises.

Why it matters
    The last checkpoint is far worse than an earlier one, and going on makes nothing better.

How it is told
    The training loss (in logarithms where it spans more than a factor of three) rises more than 6 noise standard deviations above its
    smoothed best, ends above it by more than a factor of 1.4 and by more than 0.3 of its range (or above where it began), over at least
    three blocks and 2 % of the run, and the last twentieth of the run stays more than 4 standard deviations above the best. With five to
    nine points also where both losses step above their start, to twice their best, for the last three. Or validation ends half as high
    again as it began while a noisy training loss rises in every block, or twice as high, rising throughout, while training gains nothing;
    or both climb block by block to a quarter above their starts, or three eighths above their best; or the accuracies of both lose half of
    what they had above guessing while both losses rise; or both step up for good at one place by 12 % of their level and 15 standard
    deviations of the noise just before. Or a classifier that began near the loss of guessing stays a quarter above it for the last 60 % of
    the run. A rise that ends in non-finite values may be as short as one point. With fewer than ten points the loss must end above 1.5
    times its start and twice its best after rising at least twice in a row. A reward must lose more than 60 % of its gain, for the last
    fifth of the run (no lesson, no opponent getting harder); or a value loss must grow a thousandfold, beyond any error that the returns
    allow. A bounded metric that never was a tenth of the way to perfect has nothing to lose. A training loss below half of its start is no
    divergence while validation is at its best, and one that ends below a hundredth of it never is.

First check
    Compare the step of the onset with the learning-rate schedule, a change of data, and the gradient norm.

First action
    Restart from the last checkpoint before the onset (or before the gradient norm left its level) with a third of the learning rate that
    was logged there (a usual rate of the task where it was twice that or more); where it diverged in the first tenth of the
    run, nothing before it is worth keeping: rerun with a tenth, or with a hundredth where it diverged within 40 steps. Where the loss
    jumped between two logged points, came down from there, and validation rose less than half as much at the next evaluation, the
    training data changed: find out how, and mend it.

Success rule
    The next run passes the step of the onset and ends within 4 noise standard deviations of its best.

Not to be confused with
    overfitting (only validation rises), spikes (the loss comes back), sudden-shift (a level changes once, training recovers).

Limits
    Losses without a direction (adversarial, policy losses) are not judged; of GANs a distance to real samples (FID) is. A loss term that is added on schedule looks the same.

Sources
    PaLM and GLM-130B on loss spikes and divergence; Google's tuning playbook on instability; thresholds from simulation on flat and
    decaying curves with autocorrelated and heavy-tailed noise (benchmarks/false_alarms.py).
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
from tbdiag.detectors._data_change import DataChange, find_data_change, tell_data_change
from tbdiag.detectors._departures import (
    both_climb,
    both_jump,
    both_rise,
    forgets,
    gives_up,
    knew_nothing,
    quiet_sigma,
    runs_away,
    step_up_together,
    tell_validation,
    worse_than_guessing,
)
from tbdiag.detectors._descent import harmless, next_to_nothing
from tbdiag.detectors._jumps import MEND_LOSS, grad_jump, lower_and_restart, lr_jump
from tbdiag.detectors._returns import DIVERGING_CRITIC, LOST_RETURN, MEND_CRITIC, MEND_RETURN, critic_grows, value_explodes
from tbdiag.detectors._words import breaks_soon, label, say, scale_lr, short, unit
from tbdiag.features import CurveFacts
from tbdiag.features.onsets import rise_onset
from tbdiag.features.tasks import task_moves
from tbdiag.model import Direction, Domain, Mark, Role, Run, Split
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median


def detect(view: View) -> Finding | NotApplicable | None:
    """Judge the training loss, or the reward in reinforcement learning."""
    curve, strength = _strongest(view)
    if curve is None:
        return NotApplicable("no training loss or reward", ("train_loss",))
    if curve.n < 3:
        return NotApplicable(f"only {curve.n} points")
    reward = curve.signal.role in (Role.REWARD, Role.VALUE_LOSS)
    if strength < 1 or (not reward and harmless(view.curve("train_loss"), view.curve("val_loss"), view.curve("train_accuracy"))):
        return None
    onset = rise_onset(curve, logarithmic=curve.log_scale)
    held_out = curve.signal.split in (Split.VAL, Split.TEST)
    val = None if reward or held_out else view.curve("val_loss" if curve.signal.role is Role.LOSS else "val_metric")
    follows = val is not None and val.n >= 3 and val.end_cost > val.best_cost + 4 * val.sigma and val.rise > 0.3 * max(val.gain, 1e-12)
    follows = follows or (val is not None and val.n >= 6 and val.end_cost > val.first_cost and forgets(view, curve, val) >= 1)
    if val is not None and not follows and val.n >= 5 and curve.end_cost < 0.5 * curve.start_cost:
        return None  # validation is at its best, and most of what training had gained is still there
    jump = lr_jump(view, curve, onset)
    grad = grad_jump(view, curve, onset)
    start, span = int(curve.step[0]), max(int(curve.step[-1] - curve.step[0]), 1)
    early = onset.middle < start + 0.1 * span
    name, what = label(curve), "falls" if curve.sign < 0 else "rises"
    lost = curve.bad_step.size > 0 and int(curve.bad_step[-1]) > int(curve.step[-1])
    ended = "came to {end:.4g} before it was NaN or infinite for good" if lost else "ended at {end:.4g}; it does not come back"
    evidence = [
        say(
            f"The {name} was best at {unit(curve)} {{best_step:,}} with {{best:.4g}} and {ended}.",
            (curve,),
            (Mark("best", "best", curve.best_step, curve.best), Mark("event", "onset", onset.last_step)),
            best_step=curve.best_step,
            best=curve.best,
            end=float(curve.value[-1]) if lost else curve.end,
        )
    ]
    if jump is not None:
        evidence.append(say("The learning rate rose from {before:.3g} to {after:.3g} at step {step:,.0f}.", ("lr",), (), **jump))
    if grad is not None:
        when = f", from {unit(curve)} {{since:,.0f}} on" if "since" in grad else " over the same steps"
        evidence.append(say(f"The gradient norm rose from {{usual:.3g}} to {{peak:.3g}}{when}.", (), (), **grad))
    if val is not None:
        evidence.append(tell_validation(val, follows=follows))
    alone = val is not None and not follows
    of_return = curve.signal.role is Role.REWARD
    critic = critic_grows(view, onset) if of_return else None
    if critic is not None:
        evidence.append(critic)
    change = find_data_change(view, curve, val, onset) if jump is None and val is not None else None
    if change is not None and val is not None:
        evidence.append(tell_data_change(change, curve, val))
    allowed = 0.0 if curve.rise > 8 * curve.sigma else 0.25 * curve.rise  # its own noise would hide the rise of so few points
    return Finding(
        id="divergence",
        severity=Severity.WARNING if reward else Severity.ERROR,
        confidence=confidence(
            strength,
            supports=int(follows) + int(grad is not None) + int(bool(curve.bad_step.size)),
            doubts=int(alone) + int(reward),
        ),
        title=f"Divergence: the {name} {what} from {curve.best:.4g} to {curve.end:.4g} after {unit(curve)} {onset.first_step:,} and stays there",
        onset=onset,
        extent=Interval(onset.first_step, int(curve.step[-1])),
        evidence=tuple(evidence),
        causes=_causes(jump, early=early, alone=alone, critic=critic is not None, changed=change is not None, reward=of_return),
        first_check=f"Compare {unit(curve)} {onset.last_step:,} with the learning-rate schedule, changes of data, and the gradient norm.",
        first_action=_action(view, curve, onset, early, change),
        fixes=(
            *(() if change is None else ("Lower the learning rate to a third from the last checkpoint before the onset",)),
            *(() if critic is None else (MEND_CRITIC,)),
            *(MEND_RETURN if of_return else MEND_LOSS),
        ),
        success_rule=SuccessRule(
            all=(
                predicate(curve.signal.key, "last_step", ">", onset.last_step + 0.2 * span, source="a fifth of this run beyond the onset"),
                predicate(curve.signal.key, "rise", "<=", allowed, sd_times=0.0 if allowed else 4.0),
            ),
            sentence=f"The {name} passes {unit(curve)} {onset.last_step:,} by a fifth of the run and ends within "
            + (f"{allowed:.2g} of its best, a quarter of this run's rise." if allowed else "4 sd of its best."),
        ),
        phase=CURVES,
        roles=(curve.signal.key,),
    )


def _strongest(view: View) -> tuple[CurveFacts | None, float]:
    """The curve that is judged in this kind of training, and how far beyond the thresholds it left for good; below 1 it did not."""
    if view.signals.domain is Domain.REINFORCEMENT:
        curve = view.curve("reward") or view.curve("train_reward") or view.curve("val_reward")
        strength = gives_up(view, curve) if curve is not None and not task_moves(view.signals) else 0.0  # a harder lesson costs return
        if strength < 1:
            curve, strength = value_explodes(view) or (curve, strength)
    elif view.signals.domain is Domain.GAN:
        curve = view.curve("val_metric") or view.curve("train_metric")
        curve = curve if curve is not None and curve.signal.direction is Direction.LOWER else None  # FID, KID: its losses have no direction
        strength = _rise(view, curve) if curve is not None else 0.0
    else:
        curve = view.curve("train_loss") or (view.curve("train_metric") if view.curve("val_loss") is None else None)
        strength = max(_rise(view, curve), worse_than_guessing(view, curve), both_rise(view, curve)) if curve is not None else 0.0
        val = view.curve("val_loss")
        if curve is not None and (next_to_nothing(curve, curve.end_cost) or knew_nothing(view, curve)):
            return curve, 0.0
        if strength < 1 and curve is not None and val is not None:
            strength = both_climb(view, curve, val) or forgets(view, curve, val) or step_up_together(view, curve, val)
            if strength < 1 and (away := runs_away(view, curve, val)) >= 1:
                curve, strength = val, away
    return curve, strength


def _causes(jump: dict[str, float] | None, *, early: bool, alone: bool, critic: bool, changed: bool, reward: bool) -> tuple[Cause, ...]:
    """What the log speaks for comes first; `alone`: validation was logged and did not follow."""
    causes = (
        list(LOST_RETURN)
        if reward
        else [
            Cause("Learning rate too high, or warm-up too short", "it diverged in the first tenth of the run" if early else ""),
            Cause("A bad batch without gradient clipping"),
            Cause("Overflow in half precision"),
            Cause("Data, loss or objective changed at that step", "validation does not follow" if alone else ""),
        ]
    )
    if critic:
        causes.insert(0, DIVERGING_CRITIC)
    if changed:
        causes.insert(0, Cause(causes.pop().text, "training jumped at once, and validation did not follow all the way"))
    if jump is not None:
        how = f"it jumped from {short(jump['before'])} to {short(jump['after'])} there"
        causes.insert(0, Cause("The learning rate was raised during training", how))
    return tuple(causes)


def _action(view: View, curve: CurveFacts, onset: Interval, early: bool, change: DataChange | None) -> str:
    """Look at the data where they changed; else lower the rate, the more the earlier the run broke."""
    if change is not None:
        return (
            f"Find what changed in the training data at {unit(curve)} {change.step:,} (dump inputs and labels before and after), undo it, and restart "
            "from the last checkpoint before that step."
        )
    if not early:
        return lower_and_restart(view, curve, onset)
    # A run that broke within its first updates has never trained at this rate: nothing tells how far it is above what it bears.
    return f"{scale_lr(view, 0.01 if breaks_soon(view, curve, onset.last_step) else 0.1)} and rerun."


def _rise(view: View, curve: CurveFacts) -> float:
    """How far beyond the thresholds a loss went up for good; below 1 nothing is found."""
    trace = curve.trace
    n = trace.n
    if n < 3:
        return 0.0
    broken = bool(curve.bad_step.size and curve.bad_step[-1] > curve.step[-1])
    if n < 10:
        cost = trace.cost
        rising = (n >= 4 and bool(np.all(np.diff(cost[-3:]) > 0))) or (broken and cost[-1] > cost[-2])
        best = float(cost.min())
        if best <= 0:
            return 0.0
        runaway = (
            float(min(cost[-1] / (view["few_points_start"] * cost[0]), cost[-1] / (view["few_points_best"] * best))) if rising else 0.0
        )
        return max(runaway, both_jump(view, cost, view.curve("val_loss")))
    y = trace.shape
    smooth = trace.smooth_shape
    b = int(smooth.argmin())
    tail = max(3, n // 20)
    last = y[-(1 if broken else tail) :]
    end, first = median(last), median(y[:3])
    rise, span = end - float(smooth[b]), max(first - float(smooth[b]), 0.0)
    if b >= n - (1 if broken else max(4, n // 50 + 2)) or rise <= 0:
        return 0.0
    if not broken and float(last.min()) < smooth[b]:
        return 0.0
    # A loss that comes back most of the way again and again swings.
    sides = np.sign(np.where(np.abs(smooth[b:] - end + 0.5 * rise) > 0.2 * rise, smooth[b:] - end + 0.5 * rise, 0.0))
    if int(np.sum(np.diff(sides[sides != 0]) < 0)) >= 2:
        return 0.0
    sigma = trace.shape_noise.sigma
    before = quiet_sigma(y, b, sigma)
    if not broken and float(last.min()) < smooth[b] + 4 * before:
        return 0.0
    enough = rise / (
        view["factor"] if curve.log_scale else max(view["plain_of_range"] * span, view["plain_of_best"] * abs(float(smooth[b])))
    )
    of_range = rise / (view["range_share"] * span) if span > 0 else float("inf")
    above_start = 1.0 + (end - first) / max(6 * sigma, 1e-12) if end > first + 2 * sigma else 0.0
    # That it rose is as sure as its peak; that it stays is the tail's matter, above.
    peak = max(float(smooth[b:].max()) - float(smooth[b]), rise)
    return float(min(peak / (view["sigmas"] * before) if before > 0 else float("inf"), enough, max(of_range, above_start)))


def _diverged() -> Run:
    rng = np.random.default_rng(4)
    loss = _synth.decay(200, 4.0, 1.0, 6.0) * np.exp(rng.normal(0, 0.03, 200))
    loss[140:] = 5 + rng.normal(0, 0.3, 60)
    return _synth.make_run({"train/loss": loss}, every=5)


def _recovered_spike() -> Run:
    rng = np.random.default_rng(5)
    loss = _synth.decay(300, 4.0, 1.0, 6.0) * np.exp(rng.normal(0, 0.03, 300))
    loss[150:154] = 9.0
    return _synth.make_run({"train/loss": loss})


def _flat_noise() -> Run:
    return _synth.make_run({"train/loss": 1.0 + _synth.ar1(400, 0.05, 0.8, np.random.default_rng(6))})


def _nine_epochs() -> Run:
    return _synth.make_run(
        {
            "train/loss": [1.41, 0.82, 0.53, 0.45, 1.95, 1.67, 1.65, 1.65, 1.66],
            "val/loss": [1.08, 0.62, 0.57, 0.48, 1.68, 1.62, 1.66, 1.64, 1.67],
        }
    )


def _forgotten(lost: float) -> Run:
    """Two classes; `lost`: the share of what was learned that is gone at the end."""
    rng = np.random.default_rng(98)
    up, down = 1 - np.exp(-np.arange(200) / 15), np.clip((np.arange(200) - 60) / 60, 0, 1)
    skill = up * (1 - lost * down)
    made = {
        "train/loss": 0.7 - 0.16 * skill + rng.normal(0, 0.04, 200) + 0.03 * down,
        "train/acc": 0.5 + 0.25 * skill + rng.normal(0, 0.04, 200),
    }
    rare = {"val/loss": 0.62 + 0.05 * down, "val/acc": 0.5 + 0.2 * skill}
    return _synth.make_run({**made, **{k: _synth.make_series(k, v[9::14], np.arange(9, 200, 14)) for k, v in rare.items()}})


EXAMPLES = (
    Example("the loss jumps and stays", _diverged, fires=True, onset=(640, 730)),
    Example(
        "six epochs",
        lambda: _synth.make_run({"train/loss": [1.0, 0.6, 0.5, 0.9, 2.1, 6.0], "val/loss": [1.0, 0.7, 0.6, 1.1, 2.3, 6.5]}),
        fires=True,
        onset=(1, 3),
    ),
    Example("nine epochs, both losses step up", _nine_epochs, fires=True, onset=(3, 4)),
    Example("within its noise, and both accuracies lose what was learned", lambda: _forgotten(0.9), fires=True),
    Example("within its noise, and a third is lost", lambda: _forgotten(0.3), fires=False),
    Example("a spike that recovers", _recovered_spike, fires=False),
    Example("flat, strongly autocorrelated noise", _flat_noise, fires=False),
)

DETECTOR = Detector(
    id="divergence",
    title="Divergence",
    summary="The training loss leaves its best and goes up for good.",
    severity=Severity.ERROR,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=(("train_loss", "train_metric", "reward", "train_reward", "val_reward", "value_loss", "val_metric"),),
    wants=("val_loss", "lr", "grad_norm", "train_metric", "val_metric", "value_loss", "train_accuracy", "val_accuracy"),
    domains=DIRECTED | {Domain.REINFORCEMENT, Domain.GAN},
    thresholds={
        "sigmas": Threshold(6.0, "rise test with margin for heavy tails: false alarms below 0.1 % on flat curves"),
        "factor": Threshold(0.336, "log of 1.4: a loss two fifths above its best"),
        "plain_of_range": Threshold(0.5, "of what had been learned, where the loss is not judged in logarithms"),
        "plain_of_best": Threshold(0.3, "of the best, at least, where the loss is not judged in logarithms"),
        "guessing": Threshold(1.25, "a quarter above the loss of guessing, throughout the last 60 % of the run"),
        "range_share": Threshold(0.3, "three tenths of what had been learned are lost"),
        "few_points_start": Threshold(1.5, "times the start: where noise cannot be estimated the size of the rise must tell"),
        "few_points_best": Threshold(2.0, "times the best, for the same reason; alone or with a validation loss that steps up as well"),
        "metric_learned": Threshold(0.1, "of the way from guessing (or nothing) to perfect: less may be luck"),
        "both_jump": Threshold(1.05, "times their starts, for the last three of few points of both splits"),
        "both_rise": Threshold(1.5, "times its start for validation, while a noisy training loss rises throughout"),
        "both_climb": Threshold(1.25, "times the starts (or 1.1 times the bests) of losses that climb block by block"),
        "runs_away": Threshold(2.0, "times its start for validation, while training gains nothing: overfitting needs a training that does"),
        "step_level": Threshold(
            0.12, "of the level just before, in both splits; a third of a nat to a language model that had come to three"
        ),
        "step_sigmas": Threshold(15.0, "deviations of the noise just before, in both splits: nothing had moved like that"),
        "forgotten_from": Threshold(0.2, "share of the way from guessing to perfect that was learned before it was lost"),
        "forgotten": Threshold(0.5, "share of what was learned that both splits lost again"),
        "value_error": Threshold(
            10.0, "times the square of the largest return: errors of returns are twice that return at most, 4 in squares"
        ),
        "value_alone": Threshold(1e5, "of a value loss where no return is logged"),
        "value_growth": Threshold(1e3, "times the lowest level of a value loss: growth of the returns alone is far less"),
        "reward_sigmas": Threshold(4.0, "noise standard deviations that the reward had gained"),
        "reward_lost": Threshold(0.6, "of what the reward had gained: with so much gone the last policy is hardly better than the first"),
    },
    examples=EXAMPLES,
    explains=("overfitting", "instability", "exploding-gradients"),
)
