"""Series that stand for one that no tag names: a loss from an error or from its parts, a learning rate from a bare ``rate``."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tbdiag.model import Direction, Domain, Role, Run, Series, Split
from tbdiag.roles.convention import Convention
from tbdiag.roles.plan import Draft
from tbdiag.roles.splits import split_word
from tbdiag.roles.words import tokenize

STAND_INS = ("mse", "mae", "rmse", "perplexity", "bits")
"""Error metrics that stand for the loss where no series is called loss."""


def settle_losses(drafts: list[Draft], run: Run, domain: Domain, convention: Convention | None) -> list[tuple[Draft, Series]]:
    """Find a loss for each split that has none: a stand-in metric, the only component, or the sum of the components.

    Returns:
        Drafts made here with their series (sums, likelihoods with their sign turned), to be added to the run's signals.
    """
    made: list[tuple[Draft, Series]] = []
    if domain in {Domain.REINFORCEMENT, Domain.GAN}:
        return made
    for d in drafts:
        single = d.role is Role.LOSS and d.name in run.series and len(run.series[d.name]) == 1
        if single and any(
            o.role is Role.LOSS and o.split is d.split and o.name in run.series and len(run.series[o.name]) > 1 for o in drafts
        ):
            d.preferred = -1
            d.why += "; a single point, so it does not stand for the loss"
    parts = {s: _components(drafts, s) for s in (Split.TRAIN, Split.VAL)}
    has = {s: any(d.role is Role.LOSS and d.split is s for d in drafts) for s in parts}
    common = {d.stem for d in parts[Split.TRAIN]} & {d.stem for d in parts[Split.VAL]}
    for split, group in parts.items():
        other = Split.VAL if split is Split.TRAIN else Split.TRAIN
        if has[split] or not group:
            continue
        if len(group) == 1 and group[0].stem not in _NO_WHOLE:
            _promote(group[0], "the only part of a loss that was logged")
        elif len(group) == 1:
            continue
        elif (convention is not None and convention.losses_sum) or not has[other]:
            total = _sum([d for d in group if d.stem in common or not parts[other]], split, run)
            if total is not None:
                made.append(total)
            else:
                _promote(group[0], "no total is logged, the first part stands for it")
        else:
            _promote(group[0], "no total of this split is logged, the first part stands for it")
    if not made and not any(has.values()) and not any(parts.values()):
        made = _promote_metrics(drafts, run)
        _promote_curves(drafts, run)
    return made


_BARE_CURVE = frozenset({"learning", "curve", "curves", "history", "convergence", "progress", "plot"})


def _promote_curves(drafts: list[Draft], run: Run) -> None:
    """``Learning curve`` of both splits where nothing is called loss, unless it climbs like an accuracy, in shares or in percent."""
    if any(d.role is Role.LOSS for d in drafts):
        return
    found = [
        d
        for d in drafts
        if d.role is Role.UNKNOWN
        and d.name in run.series
        and len(run.series[d.name])
        and {t for t in tokenize(f"{d.subrun}/{d.tag}") if split_word(t) is None} <= _BARE_CURVE
    ]
    if {Split.TRAIN, Split.VAL} <= {d.split for d in found} and not any(_climbs(run.series[d.name].value) for d in found):
        for d in found:
            d.stem = "loss"
            _promote(d, "no series is called loss, and this learning curve stands for it")


def _components(drafts: list[Draft], split: Split) -> list[Draft]:
    """Parts of the loss of one split, without its extremes and other statistics."""
    return [d for d in drafts if d.role is Role.LOSS_COMPONENT and d.split is split and d.sub_kind is None and d.stem not in _NO_PARTS]


_NO_WHOLE = frozenset({"kl", "kl_loss", "entropy_loss"})
"""Parts that alone are a regularisation and never the loss: ``objective/kl``."""
_NO_PARTS = frozenset({"loss_max", "loss_min", "loss_std", "loss_sum", "loss_mean_normalized", "loss_per_all"})


def _promote(d: Draft, why: str) -> None:
    d.role, d.why = Role.LOSS, f"{d.why}; {why}"
    if d.direction is Direction.NONE:
        d.direction = Direction.LOWER


def _climbs(value: npt.NDArray[np.floating]) -> bool:
    """Whether values rise within those of a share, or from as high as only percent begin."""
    finite = value[np.isfinite(value)]
    return finite.size > 1 and float(finite[-1]) > float(finite[0]) and (float(finite.max()) <= 1 or float(finite[0]) > 5)


def settle_rates(drafts: list[Draft], run: Run) -> None:
    """A series that is called just ``rate``, ``eta``, ``alpha`` (``pas``, ``taux``) is the learning rate where no other is and its values are such."""
    if any(d.role is Role.LR for d in drafts):
        return
    train = next((run.series[d.name].step for d in drafts if d.role is Role.LOSS and d.split is Split.TRAIN and d.name in run.series), None)
    for d in drafts:
        if d.role not in {Role.UNKNOWN, Role.COUNTER} or d.name not in run.series:
            continue
        words = [t for t in tokenize(re.split(r"[/#|]", d.tag)[-1]) if split_word(t) is None]
        value = run.series[d.name].value
        low, high = (float(value.min()), float(value.max())) if value.size > 2 else (-1.0, 0.0)
        if words == ["eta"] and high > 0.02 and float(value[-1]) < 0.05 * high:
            continue  # the time that is left, in days or hours
        if low >= 0 and (
            (words in (["rate"], ["eta"], ["alpha"], ["pace"], ["stride"], ["pas"], ["passo"], ["taux"]) and 0 < high <= 0.2)
            or (words == ["eta"] and 0 < high == low <= 10)  # no time that is left stands still
            or (words == ["alpha"] and 0 < high <= 1 and train is not None and np.array_equal(run.series[d.name].step, train))
            or (words == ["rate", "learn"] and high <= 1)
            or (_GROUP.search(d.tag) and 0 < high <= 1)
        ):
            d.role, d.direction, d.stem, d.split = Role.LR, Direction.NONE, "lr", Split.NONE
            d.why = f'"{words[0]}", and its values are those of a learning rate'


_GROUP = re.compile(r"/pg\d+$")
"""A group of parameters under the name that a schedule was given: Lightning's LearningRateMonitor."""


def settle_norms(drafts: list[Draft], run: Run) -> None:
    """A series that is called just ``grad`` or ``slope`` is the norm of the gradient where no other is, if it never goes below zero."""
    if any(d.role is Role.GRAD_NORM for d in drafts):
        return
    for d in drafts:
        if d.role is Role.UNKNOWN and d.name in run.series and not d.histogram:
            words = [t for t in tokenize(re.split(r"[/#|](?!epoch$)", d.tag)[-1]) if split_word(t) is None and t != "epoch"]
            value = run.series[d.name].value
            if (
                words in (["grad"], ["gradient"], ["slope"], ["steepness"])
                and value.size > 2
                and np.isfinite(value).any()
                and float(np.nanmin(value)) >= 0
            ):
                d.role, d.stem, d.split, d.why = Role.GRAD_NORM, "grad_norm", Split.NONE, f'"{words[0]}", which is never below zero'


_SHORT = {
    "tl": (Role.LOSS, Direction.LOWER, "loss", Split.TRAIN),
    "vl": (Role.LOSS, Direction.LOWER, "loss", Split.VAL),
    "ta": (Role.METRIC, Direction.HIGHER, "accuracy", Split.TRAIN),
    "va": (Role.METRIC, Direction.HIGHER, "accuracy", Split.VAL),
    "gn": (Role.GRAD_NORM, Direction.NONE, "grad_norm", Split.NONE),
    "wn": (Role.WEIGHT_NORM, Direction.NONE, "weight_norm", Split.NONE),
}
"""Tags of two letters, which say something only together."""


_LETTERS = frozenset({"l", "j"})


def settle_letters(drafts: list[Draft], run: Run) -> None:
    """``L`` beside ``L_val``: the loss of training, where nothing else is."""
    losses = [d for d in drafts if d.role is Role.LOSS]
    if not losses or any(d.split in {Split.TRAIN, Split.NONE} for d in losses):
        return
    for d in drafts:
        if d.role is not Role.UNKNOWN or d.histogram or d.name not in run.series:
            continue
        bare = _measured(d)
        if len(bare) == 1 and bare[0] in _LETTERS and any(bare == _measured(o) for o in losses):
            d.role, d.direction, d.stem, d.why = Role.LOSS, Direction.LOWER, "loss", f'"{d.tag}", beside that of another split'


def _measured(d: Draft) -> list[str]:
    """Words of a name but those of splits."""
    return [t for t in tokenize(f"{d.subrun}/{d.tag}") if split_word(t) is None]


def settle_short(drafts: list[Draft], run: Run) -> None:
    """``tl`` beside ``vl`` are two losses where nothing else is a loss; then ``ta``/``t_a``, ``va``, ``gn`` and ``wn`` are what they seem."""
    tags = {d.tag.lower().replace("_", ""): d for d in drafts if d.role is Role.UNKNOWN and d.name in run.series and not d.histogram}
    if any(d.role is Role.LOSS for d in drafts):
        return
    if {"lt", "lv"} <= tags.keys():  # ``l_t`` beside ``l_v``
        tags = {name[::-1] if len(name) == 2 and name[1] in "tv" else name: d for name, d in tags.items()}
    if not {"tl", "vl"} <= tags.keys():
        return
    for short, (role, direction, stem, split) in _SHORT.items():
        if short in tags:
            d = tags[short]
            d.role, d.direction, d.stem, d.split, d.extra = role, direction, stem, split, ()
            d.why = f'"{d.tag}", beside "tl" and "vl"'


def settle_direction(drafts: list[Draft], run: Run) -> None:
    """A series that is called just ``metric`` may be an error as well: higher is better unless it ends below its start."""
    for d in drafts:
        if d.role is Role.METRIC and d.stem == "metric" and d.name in run.series and len(run.series[d.name]):
            value = run.series[d.name].value
            if not float(value[-1]) >= float(value[0]):
                d.direction = Direction.NONE
                d.why += ", and nothing says which way is better"
        elif d.role is Role.METRIC and d.stem.split("_")[0] in _OVERLAPS and d.name in run.series and _falls_with_its_loss(d, drafts, run):
            d.role, d.direction, d.stem = Role.LOSS_COMPONENT, Direction.LOWER, f"{d.stem}_loss"
            d.why += ", which falls as its loss does: one minus the overlap"


_OVERLAPS = frozenset({"dice", "tversky", "jaccard"})


def _falls_with_its_loss(d: Draft, drafts: list[Draft], run: Run) -> bool:
    """Whether an overlap, of which more is better, ends below seven tenths of its start beside a loss of its split that falls as well."""

    def kept(name: str) -> float:
        value = run.series[name].value.astype(np.float64)
        value = value[np.isfinite(value)]
        few = max(1, value.size // 10)
        return (
            float(np.median(value[-few:]) / np.median(value[:few]))
            if value.size >= 5 and value.min() >= 0 and np.median(value[:few]) > 0.02
            else np.inf
        )

    beside = [o.name for o in drafts if o.role is Role.LOSS and o.split is d.split and o.name in run.series and not o.histogram]
    return kept(d.name) < 0.7 and any(kept(name) < 0.9 for name in beside)


def settle_loss_scale(drafts: list[Draft], run: Run) -> None:
    """A series without a known name (or ``loss_multiplier``) that holds powers of two only, from a thousand and more down to less than one, is a loss scale."""
    if any(d.role is Role.LOSS_SCALE for d in drafts):
        return
    for d in drafts:
        if d.role not in {Role.UNKNOWN, Role.COUNTER, Role.LOSS_COMPONENT} or d.name not in run.series:
            continue
        value = run.series[d.name].value.astype(np.float64)
        if value.size < 4 or not np.isfinite(value).all() or float(value.min()) < 0:
            continue
        last = int(np.flatnonzero(value)[-1]) if value.any() else 0  # it may end at zero
        powers = bool(np.all(np.frexp(value[: last + 1])[0] == 0.5))
        if float(value.max()) >= 1024 and float(value.min()) < 1 and powers:
            d.role, d.direction, d.stem = Role.LOSS_SCALE, Direction.NONE, "loss_scale"
            d.why = "all its values are powers of two, as a loss scale's are"


_LIKELIHOODS = ("log_likelihood", "elbo")


def _promote_metrics(drafts: list[Draft], run: Run) -> list[tuple[Draft, Series]]:
    groups = {stem: [d for d in drafts if d.role is Role.METRIC and d.stem == stem and not d.histogram] for stem in STAND_INS}
    # An error that both splits log before one that a single split does.
    for stem in sorted(STAND_INS, key=lambda s: -len({d.split for d in groups[s]} & {Split.TRAIN, Split.VAL})):
        group = groups[stem]
        if group:
            for d in group:
                _promote(d, "no series is called loss, this error stands for it")
            return []
    likely = [d for d in drafts if d.role is Role.METRIC and d.stem.startswith(_LIKELIHOODS) and not d.histogram]
    if likely:
        values = [run.series[d.name].value for d in likely if d.name in run.series]
        # Of discrete answers it never exceeds zero: its negative is a loss in nats, and has levels. A density's has none.
        if values and all(not v.size or float(np.nanmax(v)) <= 0 for v in values):
            return [_turn(d, run.series[d.name]) for d in likely if d.name in run.series]
        for d in likely:
            _promote(d, "no series is called loss, this likelihood is what is maximised")
        return []
    errors = [d for d in drafts if d.role is Role.METRIC and d.stem.startswith("err") and d.name in run.series]
    tops = [float(np.nanmax(run.series[d.name].value)) for d in errors if len(run.series[d.name])]
    if {Split.TRAIN, Split.VAL} <= {d.split for d in errors} and tops and 1 < max(tops) < 20:  # neither shares nor percent
        for d in errors:
            _promote(d, "no series is called loss, and this error is no share")
    return []


def _turn(d: Draft, series: Series) -> tuple[Draft, Series]:
    """The negative of a log likelihood as the loss of its split; what was logged is judged no more."""
    name = f"-{d.name}"
    why = f"{d.why}; no series is called loss, the negative of this likelihood is one, in nats"
    turned = replace(series, tag=name, subrun="", value=-series.value)
    draft = replace(d, name=name, subrun="", tag=name, role=Role.LOSS, direction=Direction.LOWER, stem="loss", extra=(), why=why)
    d.role, d.why = Role.IGNORED, f"{d.why}; judged as the loss {name}"
    return draft, turned


def _sum(group: list[Draft], split: Split, run: Run) -> tuple[Draft, Series] | None:
    """Sum of components that share their steps."""
    found = [run.series[d.name] for d in group if d.name in run.series]
    if len(found) < 2 or any(not np.array_equal(s.step, found[0].step) for s in found[1:]):
        return None
    value: npt.NDArray[np.float64] = np.sum([s.value.astype(np.float64) for s in found], axis=0)
    name = " + ".join(d.name for d in group)
    series = Series(tag=name, subrun="", step=found[0].step, wall_time=found[0].wall_time, value=value, plugin=found[0].plugin)
    first = group[0]
    draft = Draft(
        name=name,
        subrun="",
        tag=name,
        histogram=False,
        role=Role.LOSS,
        split=split,
        direction=Direction.LOWER,
        stem="loss",
        why="no total loss is logged: the sum of its parts",
        axis=first.axis,
        writer=first.writer,
        convention=first.convention,
    )
    return draft, series


OF_ITS_OWN = 0.75
"""Share of the evaluations at whose steps no training loss was logged; where the two fall together nothing tells whose a point is."""


def settle_mixed(drafts: list[Draft], run: Run) -> dict[str, Series]:
    """Metrics that both stages of a step log under one name: what is left of them are the points of the evaluations.

    Told by their steps: each is one of the training loss or of the validation loss, and both have four points and more of their own.

    Returns:
        The shortened series by name.
    """
    steps = {}
    for split in (Split.TRAIN, Split.VAL):
        losses = [run.series[d.name].step for d in drafts if d.role is Role.LOSS and d.split is split and d.name in run.series]
        if len(losses) != 1 or losses[0].size < 4:
            return {}
        steps[split] = losses[0]
    alone = ~np.isin(steps[Split.VAL], steps[Split.TRAIN])
    if float(np.mean(alone)) < OF_ITS_OWN:
        return {}
    made = {}
    for d in drafts:
        if d.role is not Role.METRIC or d.split is not Split.VAL or d.name not in run.series or "no split is named" not in d.why:
            continue
        series = run.series[d.name]
        own = np.isin(series.step, steps[Split.VAL])
        rest = series.step[~own]
        if own.sum() < 4 or rest.size < 4 or not np.isin(rest, steps[Split.TRAIN]).all():
            continue
        made[d.name] = replace(series, step=series.step[own], wall_time=series.wall_time[own], value=series.value[own])
        d.why += f"; {rest.size} points at steps of the training loss are left out, which are batches of training"
    return made
