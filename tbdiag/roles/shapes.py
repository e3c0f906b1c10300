"""Reading by shape: which series is the loss, a score, the learning rate or another split's, where no known word says so.

Every rule here asks for two witnesses: how the tag is built (like that of a known series, in both splits) and how the curve runs. What only
one of them says stays unknown.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tbdiag.model import Direction, Domain, Role, Run, Series, Split
from tbdiag.roles.plan import Draft
from tbdiag.roles.splits import split_word
from tbdiag.roles.vocabulary import NOISE
from tbdiag.roles.words import tokenize

JUDGED = frozenset({Domain.SUPERVISED, Domain.LANGUAGE_MODEL, Domain.SELF_SUPERVISED})
"""Kinds of training whose losses and scores have the usual shapes."""

ALIKE_AT_START = 1 / 0.7
"""Factor between the first losses of two splits that begin alike: so near lie those of most labelled runs; two heads rarely do."""
GRID = 1.8
"""The same where scores have the words of the losses as well."""
_FEWEST = 4
MOST = 100
"""Series that are looked at; a log of thousands without a known loss must not cost seconds."""
_SMALL_RATE = 0.2
"""Above it lie annealed temperatures, mixing shares and probabilities, which follow schedules as well."""


def values_of(d: Draft, run: Run) -> npt.NDArray[np.float64]:
    """Finite values of a draft; float64 ``[n]``, empty for histograms."""
    if d.histogram or d.name not in run.series:
        return np.empty(0)
    value = run.series[d.name].value.astype(np.float64)
    return value[np.isfinite(value)]


def first_level(value: npt.NDArray[np.float64]) -> float:
    """Median of the first tenth."""
    return float(np.median(value[: max(1, value.size // 10)]))


def last_level(value: npt.NDArray[np.float64]) -> float:
    """Median of the last tenth."""
    return float(np.median(value[-max(1, value.size // 10) :]))


def start_alike(one: Draft, other: Draft, run: Run, factor: float = ALIKE_AT_START) -> bool:
    """Whether two positive series begin at about the same level, the denser one taken over as many steps as the first tenth of the sparser."""
    a, b = run.series[one.name], run.series[other.name]
    sparse, dense = (a, b) if len(a) <= len(b) else (b, a)
    few = max(1, len(sparse) // 10)
    first = sparse.value[:few].astype(np.float64)
    beside = dense.value[:few].astype(np.float64)
    if 2 * len(dense) > 3 * len(sparse) and dense.step[0] <= sparse.step[few - 1]:
        beside = dense.value[dense.step <= sparse.step[few - 1]].astype(np.float64)
    first, beside = first[np.isfinite(first)], beside[np.isfinite(beside)]
    if not first.size or not beside.size or np.median(first) <= 0 or np.median(beside) <= 0:
        return False
    return 1 / factor < float(np.median(first) / np.median(beside)) < factor


def came_first(one: Draft, other: Draft, run: Run) -> Draft | None:
    """Which of two series was written first: by the clock, else by their order in one directory; None where neither tells."""
    a, b = run.series[one.name], run.series[other.name]
    if a.wall_time.size and b.wall_time.size and a.wall_time[0] != b.wall_time[0]:
        return one if a.wall_time[0] < b.wall_time[0] else other
    if one.subrun != other.subrun:
        return None
    order = list(run.series)
    return one if order.index(one.name) < order.index(other.name) else other


def measured(d: Draft) -> tuple[str, ...]:
    """Words of a name but those of splits and those that say nothing."""
    return tuple(t for t in tokenize(f"{d.subrun}/{d.tag}") if split_word(t) is None and t not in NOISE)


def settle_unnamed_losses(drafts: list[Draft], run: Run, domain: Domain) -> None:
    """The one unknown measure that both splits log, where nothing is called a loss: it falls in training, or stands where a score is known.

    In training it falls, unless a score beside it says that what rises is for the worse; validation's may do what it likes.
    """
    if domain not in JUDGED or any(d.role in {Role.LOSS, Role.LOSS_COMPONENT} for d in drafts):
        return
    held_out = {Split.VAL, Split.TEST}
    candidates = [d for d in drafts if d.role is Role.UNKNOWN and d.layer is None][:MOST]
    unknown = [d for d in candidates if values_of(d, run).size >= _FEWEST]
    groups: dict[tuple[str, ...], list[Draft]] = {}
    for d in unknown:
        groups.setdefault(measured(d), []).append(d)
    pairs = []
    for words, group in groups.items():
        vals = [d for d in group if d.split in held_out]
        trains = [d for d in group if d.split is Split.TRAIN] or [d for d in group if d.split is Split.NONE]
        if words and vals and trains:
            train = max(trains, key=lambda d: len(run.series[d.name]))
            pairs.append((train, vals[0], group))
    falling = [p for p in pairs if _falls(values_of(p[0], run))]
    scores = [d for d in drafts if d.role is Role.METRIC and d.name in run.series]
    if not falling and len(pairs) == 1 and scores:
        train, val, _ = pairs[0]
        stands = _stands(values_of(train, run)) and start_alike(train, val, run)
        falling = pairs if stands or _sinks(values_of(train, run)) or any(_opposes(d, s, run) for d in (train, val) for s in scores) else []
    if not falling:
        return
    train, val, group = falling[0]
    for d in group:
        twin = val if d is not val else train
        d.role, d.direction, d.stem, d.extra = Role.LOSS, Direction.LOWER, "loss", ()
        d.why = f'no series is called loss; both splits log this, as "{twin.name}" does, and no score runs so'


def trend_of(value: npt.NDArray[np.float64]) -> float:
    """Correlation of values with their order; NaN where they are all the same."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.corrcoef(np.arange(value.size), value)[0, 1])


def _falls(value: npt.NDArray[np.float64]) -> bool:
    """Whether positive values fall by a twentieth and more, and most of the way down; or lose half of their start for a while."""
    first = first_level(value)
    if float(value.min()) < 0 or first <= 0:
        return False
    return (trend_of(value) < -0.3 and last_level(value) < 0.95 * first) or float(np.median(value)) < 0.5 * first


def _stands(value: npt.NDArray[np.float64]) -> bool:
    """Whether positive values end where they began, above a tenth."""
    first, last = first_level(value), last_level(value)
    return float(value.min()) > 0.1 and abs(last - first) <= 0.05 * first


def _sinks(value: npt.NDArray[np.float64]) -> bool:
    """Whether values that go below zero fall nearly all the way, as the negative logarithm of a density does."""
    return float(value.min()) < 0 and trend_of(value) < -0.6


def _opposes(d: Draft, score: Draft, run: Run) -> bool:
    """Whether a series rises where a score that stands at the same steps falls, and falls where it rises."""
    a, b = run.series[d.name], run.series[score.name]
    if score.direction is not Direction.HIGHER or not np.array_equal(a.step, b.step) or len(a) < 8:
        return False
    x, y = a.value.astype(np.float64), b.value.astype(np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or float(x.min()) < 0:
        return False
    with np.errstate(invalid="ignore"):
        return float(np.corrcoef(x, y)[0, 1]) < -0.6


_VAGUE = frozenset({"metric", "score", "performance"})
"""Stems that say only that more is better."""
_MOST_SAMPLES = 2000


def settle_accuracies(drafts: list[Draft], run: Run) -> None:
    """A metric with a vague name whose every evaluation is a whole number of right answers out of one number of samples is the accuracy.

    A mean of F1 scores or of recalls has no common denominator of that size. Values rounded to three decimals say nothing.
    """
    if any(d.role is Role.METRIC and d.stem.startswith("acc") for d in drafts):
        return
    vague = [d for d in drafts if d.role is Role.METRIC and d.stem in _VAGUE and d.direction is Direction.HIGHER]
    for d in vague:
        count = count_of(values_of(d, run)) if d.split in {Split.VAL, Split.TEST} else None
        if count is None:
            continue
        for twin in vague:
            if twin.stem == d.stem and measured(twin) == measured(d):
                twin.why += f"; an accuracy: shares of {count} samples" if twin is d else f'; an accuracy, as "{d.name}" is'
                twin.stem = "accuracy"
        return


def count_of(value: npt.NDArray[np.float64]) -> int | None:
    """The smallest number of samples that makes all values (float32 shares, float64 ``[n]``) whole numbers, from 20 to 2,000; None without one."""
    levels = np.unique(value)
    if levels.size < 4 or levels[0] < 0 or levels[-1] > 1:
        return None
    if bool(np.all(np.abs(levels * 1000 - np.round(levels * 1000)) < 1e-3)):
        return None
    counts = np.arange(20, _MOST_SAMPLES + 1)
    some = levels[:: -(-levels.size // 32)]  # enough to leave one candidate, or none; a log of many points must not cost megabytes
    fits = np.all(_is_whole(some[:, None] * counts, counts), axis=0)
    for count in counts[fits].tolist():
        if bool(np.all(_is_whole(levels * count, np.full(levels.size, count)))):
            return int(count)
    return None


def _is_whole(right: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether float32 shares times a number of samples are whole numbers, within their rounding."""
    whole: npt.NDArray[np.bool_] = np.abs(right - np.round(right)) < 1e-7 * counts + 1e-9
    return whole


def settle_unnamed_rates(drafts: list[Draft], run: Run) -> None:
    """An unknown series without any noise that falls (or warms up and falls) from at most a fifth by half and more is the learning rate, where no other is."""
    if any(d.role is Role.LR for d in drafts):
        return
    losses = [run.series[d.name] for d in drafts if d.role is Role.LOSS and d.split in {Split.TRAIN, Split.NONE} and d.name in run.series]
    candidates = [d for d in drafts if d.role is Role.UNKNOWN and d.split in {Split.TRAIN, Split.NONE} and d.layer is None][:MOST]
    found = [d for d in candidates if _is_rate(d, run, losses)]
    words = {measured(d) for d in found}
    if len({tuple(w for w in x if not w.isdigit()) for x in words}) != 1:
        return  # two schedules: which of them is the rate nothing tells
    for d in found:
        d.role, d.direction, d.stem, d.split, d.extra = Role.LR, Direction.NONE, "lr", Split.NONE, ()
        d.why = "nothing is called a learning rate, and this is a schedule of small numbers without any noise"


def _is_rate(d: Draft, run: Run, losses: list[Series]) -> bool:
    if d.histogram or d.name not in run.series or len(run.series[d.name]) < _FEWEST:
        return False
    series = run.series[d.name]
    value = series.value.astype(np.float64)
    if not np.isfinite(value).all() or float(value.min()) < 0:
        return False
    top = float(value.max())
    if not 0 < top <= _SMALL_RATE or float(value[-1]) > 0.5 * top:
        return False
    if not any(len(series) <= len(s) and series.step[-1] <= s.step[-1] for s in losses):
        return False
    peak = int(np.argmax(value))
    up, down = np.diff(value[: peak + 1]), np.diff(value[peak:])
    if np.any(up < 0) or np.any(down > 0):
        return False
    # Noise of a falling measure never lets all of its steps go one way; a tail of a smooth decay does, and its bends are small as well.
    bends = np.abs(np.diff(value[peak:], 2))
    steps = int(np.count_nonzero(down))
    if value.size >= 12 and steps <= 4:
        return True  # a stair
    return value.size >= 8 and bends.size > 0 and float(np.median(bends)) < 0.1 * float(np.median(np.abs(down)) + 1e-30) + 1e-9 * top
