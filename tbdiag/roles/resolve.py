"""From a run's series to its signals: roles, splits, directions, units, one axis, chance level, configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tbdiag.config import Config, parse_key
from tbdiag.model import Direction, Domain, Role, Run, Series, Signal, Signals, Writer
from tbdiag.roles.axes import put_on_one_axis
from tbdiag.roles.chance import find_chance
from tbdiag.roles.choose import choose_mains, settle_adversaries, settle_counters, settle_scales, settle_splits, settle_unusable
from tbdiag.roles.epochs import find_epochs
from tbdiag.roles.found import find_config
from tbdiag.roles.plan import Draft, copy_drafts, make_plan
from tbdiag.roles.shapes import settle_accuracies, settle_unnamed_losses, settle_unnamed_rates
from tbdiag.roles.shares import settle_unnamed_shares
from tbdiag.roles.standins import (
    settle_direction,
    settle_letters,
    settle_loss_scale,
    settle_losses,
    settle_mixed,
    settle_norms,
    settle_rates,
    settle_short,
)
from tbdiag.roles.stems import align_stems
from tbdiag.roles.twins import settle_scores, settle_twins
from tbdiag.roles.wholes import settle_forks, settle_wholes


def resolve(run: Run, config: Config | None = None) -> Signals:
    """Give every series of a run its role, and choose those that stand for the run's losses, metrics and optimiser.

    Args:
        run: what was read.
        config: `Config.roles` (role key -> tag) and `Config.directions` (tag -> direction) override what was recognised.

    Raises:
        ConfigError: a role key that does not exist.
    """
    plan = make_plan(
        tuple((s.subrun, s.tag) for s in run.series.values()),
        tuple((h.subrun, h.tag) for h in run.histograms.values()),
        tuple((t.subrun, t.tag) for t in run.texts.values()),
    )
    drafts = copy_drafts(plan)
    forced = _override(drafts, config) if config is not None else ()
    settle_unusable(drafts, run, forced)
    settle_short(drafts, run)
    settle_letters(drafts, run)
    settle_wholes(drafts, run, plan.domain)
    settle_unnamed_losses(drafts, run, plan.domain)
    settle_twins(drafts, run, plan.domain)
    settle_scores(drafts, run, plan.domain)
    settle_splits(drafts, run)
    settle_forks([d for d in drafts if d.name not in forced], run)
    settle_accuracies(drafts, run)
    settle_unnamed_shares(drafts, run)
    settle_counters(drafts, run)
    settle_rates(drafts, run)
    settle_unnamed_rates(drafts, run)
    settle_norms(drafts, run)
    settle_loss_scale(drafts, run)
    settle_direction(drafts, run)
    made = settle_losses(drafts, run, plan.domain, plan.convention)
    settle_scales(drafts, run)
    settle_adversaries(drafts, forced)
    mixed = settle_mixed(drafts, run)
    series: Mapping[str, Series] = run.series
    if made or mixed:
        series = {**run.series, **mixed, **{d.name: s for d, s in made}}
        drafts += [d for d, _ in made]
    choose_mains(drafts, series, frozenset(forced))
    align_stems(drafts)
    signals = [_signal(d, series, run) for d in drafts]
    signals, moved = put_on_one_axis(signals)
    found, source = find_config(run, signals)
    domain = _refine(plan.domain, found, signals)
    classes, chance, why = find_chance(signals, found, domain)
    epoch_steps, epoch_why = find_epochs(signals, moved)
    return Signals(
        run=run,
        all=tuple(signals),
        domain=domain,
        framework=plan.convention.name if plan.convention is not None else "",
        config=found,
        config_source=source,
        classes=classes,
        chance=chance,
        chance_why=why,
        epoch_steps=epoch_steps,
        epoch_why=epoch_why,
        overrides=forced,
    )


_ENCODERS = ("bert", "electra", "ernie", "xlm")
"""Words in the names of models that read a text at once; most of them are trained to classify."""


def _refine(domain: Domain, config: Mapping[str, float | str | bool], signals: list[Signal]) -> Domain:
    """A model's configuration may say what the tags do not.

    Transformers leaves the names of two labels out. An encoder whose loss begins below 1 has two labels (ln 2 is 0.69): its masked words
    begin at 1.2 and more.
    """
    if domain is not Domain.SUPERVISED or "vocab_size" not in config or "classes" in config or "problem_type" in config:
        return domain
    encoder = any(word in str(config.get("model", "")).lower() for word in _ENCODERS)
    losses = [s.series for s in signals if s.main and s.role is Role.LOSS and s.series is not None and len(s.series)]
    return domain if encoder and any(float(x.value[0]) < 1 for x in losses) else Domain.LANGUAGE_MODEL


def _signal(d: Draft, series: Mapping[str, Series], run: Run) -> Signal:
    return Signal(
        name=d.name,
        role=d.role,
        split=d.split,
        direction=d.direction,
        stem=d.stem,
        why=d.why,
        series=None if d.histogram else series[d.name],
        histogram=run.histograms[d.name] if d.histogram else None,
        scale=d.scale,
        axis=d.axis,
        layer=d.layer,
        depth=d.depth,
        class_id=d.class_id,
        sub_kind=d.sub_kind,
        main=d.main,
        convention=d.convention,
        score=d.score,
        writer=_writer(d, series),
    )


def _writer(d: Draft, series: Mapping[str, Series]) -> Writer:
    """A window of 0 stands for the logging interval: the usual distance between two points."""
    if d.writer.mean_window != 0 or d.histogram:
        return d.writer
    step = series[d.name].step
    gap = float(np.median(np.diff(step))) if step.size > 1 else 0.0
    return replace(d.writer, mean_window=int(gap) if gap >= 1 else None)


def _override(drafts: list[Draft], config: Config) -> tuple[str, ...]:
    """Apply the user's roles and directions; names of the series that were changed."""
    changed = []
    for key, tag in config.roles.items():
        role, split = parse_key(key)
        for draft in _find(drafts, tag):
            draft.role, draft.preferred, draft.convention = role, 2, ""
            draft.split = split or draft.split
            draft.why = "set by the user"
            draft.layer = draft.class_id = draft.sub_kind = None
            if role is Role.LOSS:
                draft.direction, draft.stem = Direction.LOWER, "loss"
            elif role in {Role.METRIC, Role.REWARD} and draft.direction is Direction.NONE:
                draft.direction = Direction.HIGHER
            elif role not in {Role.METRIC, Role.REWARD, Role.LOSS_COMPONENT}:
                draft.stem = role.value
            changed.append(draft.name)
    for tag, direction in config.directions.items():
        for draft in _find(drafts, tag):
            draft.direction = Direction(direction)
            draft.why += ", direction set by the user"
    return tuple(dict.fromkeys(changed))


def _find(drafts: list[Draft], tag: str) -> list[Draft]:
    """Scalar drafts of a series name or tag; a tag that this run does not hold is no error (a configuration serves many runs)."""
    exact = [d for d in drafts if not d.histogram and d.name == tag]
    return exact or [d for d in drafts if not d.histogram and d.tag == tag][:1]
