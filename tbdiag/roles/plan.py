"""What a set of tags means, before any value is looked at. Cached by the set of names: a nightly job reads one log layout thousands of times."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter

from tbdiag.model import Axis, Direction, Domain, Role, Scale, Split, Writer
from tbdiag.roles.convention import Convention, Tag, find_tag, recognise
from tbdiag.roles.domain import find_domain
from tbdiag.roles.histograms import read_histogram
from tbdiag.roles.layers import order_layers
from tbdiag.roles.measure import Reading, Tokens
from tbdiag.roles.reading import read_scalar
from tbdiag.roles.spelling import drop_settings, find_repeated_children, read_child, spell_out
from tbdiag.roles.splits import split_word, subrun_split
from tbdiag.roles.vocabulary import NOISE, VOCABULARY
from tbdiag.roles.words import tokenize

Key = tuple[str, str]
"""Sub-run and tag."""

RAW = Writer()
_RUNNING = frozenset({"running", "ema", "smooth", "smoothed", "smoothened", "moving", "rolling"})
"""Words by which programs say that they log a running mean."""


@dataclass(slots=True)
class Draft:
    """A signal in the making. Copied from the plan for each run, then changed in place by the steps that look at values."""

    name: str
    subrun: str
    tag: str
    histogram: bool
    role: Role
    split: Split
    direction: Direction
    stem: str
    why: str
    rank: int = 0
    extra: tuple[str, ...] = ()
    layer: str | None = None
    depth: int | None = None
    class_id: str | None = None
    sub_kind: str | None = None
    scale: Scale = Scale.UNKNOWN
    axis: Axis = Axis.STEP
    writer: Writer = RAW
    convention: str = ""
    preferred: int = 0
    twin: str | None = None
    main: bool = False
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Drafts of all names of a run, the framework's convention and the domain."""

    drafts: tuple[Draft, ...]
    convention: Convention | None
    score: float
    domain: Domain


@lru_cache(maxsize=256)
def make_plan(scalars: tuple[Key, ...], histograms: tuple[Key, ...], texts: tuple[Key, ...] = ()) -> Plan:
    """Read the names of a run's scalar and histogram series; those of its texts only tell the framework."""
    names = [f"{s}/{t}" if s else t for s, t in (*scalars, *histograms, *texts)]
    convention, score = recognise(frozenset(n.lower() for n in names))
    shorter = drop_settings([t for _, t in scalars])
    skip, words = _common_prefix(list(shorter.values())), spell_out(list(shorter.values()))
    spelled = {tag: words.get(text, text) for tag, text in shorter.items()}
    repeated = find_repeated_children(scalars)
    drafts = [_draft(s, t, False, convention, skip, spelled=spelled.get(t), repeated=repeated) for s, t in scalars]
    drafts += [_draft(s, t, True, convention, ()) for s, t in histograms]
    _settle_sibling(drafts)
    _settle_letters(drafts)
    _settle_generators(drafts)
    classifies = any(d.role is Role.METRIC and not d.convention and d.stem in _CLASSIFIER for d in drafts)
    domain = find_domain([(d.role, d.tag.lower()) for d in drafts], convention, classifies=classifies)
    _mark_repeats(drafts)
    _settle_classes(drafts)
    _settle_samples(drafts)
    for draft in drafts:
        _fit_domain(draft, domain)
    order_layers(drafts)
    return Plan(tuple(drafts), convention, score, domain)


_AGENT = frozenset({Role.POLICY_LOSS, Role.VALUE_LOSS, Role.REWARD, Role.EPISODE_LENGTH, Role.EXPLAINED_VARIANCE, Role.APPROX_KL})
_LETTER_LOSS = re.compile(r'^"[acp] loss"')


def _settle_letters(drafts: list[Draft]) -> None:
    """``run_a/loss``: a letter before the loss is an actor's or a critic's only where something else says that there is an agent."""
    lettered = [d for d in drafts if d.role in {Role.POLICY_LOSS, Role.VALUE_LOSS} and _LETTER_LOSS.match(d.why)]
    if not lettered or len({d.role for d in lettered}) > 1 or any(d.role in _AGENT and d not in lettered for d in drafts):
        return
    for d in lettered:
        d.role, d.direction, d.stem, d.rank = Role.LOSS, Direction.LOWER, "loss", -2
        d.why += ", and nothing speaks of an agent"


_ADVERSARY = frozenset({"d", "disc", "discriminator", "critic", "adv", "adversarial", "gan", "fake", "real"})


def _settle_generators(drafts: list[Draft]) -> None:
    """``loss/g/total`` without any sign of an adversary: a model that generates, and its loss."""
    found = [d for d in drafts if d.role is Role.GENERATOR_LOSS and not d.convention]
    others = [d for d in drafts if d.role in {Role.DISCRIMINATOR_LOSS, Role.DISCRIMINATOR_SCORE, Role.VALUE_LOSS}]
    if not found or others or any(not _ADVERSARY.isdisjoint(tokenize(d.tag)) for d in drafts if not d.histogram):
        return
    whole = [d for d in found if "total" in tokenize(d.tag)] or [d for d in found if not d.extra]
    for d in found:
        role, stem = (Role.LOSS, "loss") if d in whole else (Role.LOSS_COMPONENT, "_".join((*d.extra, "loss")))
        d.role, d.stem, d.direction, d.rank = role, stem, Direction.LOWER, -2
        d.why += ", and nothing speaks of a discriminator"


_OTHER = {Split.TRAIN: Split.VAL, Split.VAL: Split.TRAIN}


def _settle_sibling(drafts: list[Draft]) -> None:
    """Of two sub-runs with a tag in common, one named like a split and one like none, the second is the other split."""
    tags: dict[str, set[str]] = {}
    for d in drafts:
        if not d.histogram:
            tags.setdefault(d.subrun, set()).add(d.tag)
    if len(tags) != 2 or "" in tags:
        return
    for named, other in (sorted(tags), sorted(tags, reverse=True)):
        split = _OTHER.get(subrun_split(named) or Split.NONE)
        if split is None or subrun_split(other) is not None:
            continue
        for d in drafts:
            if d.subrun == other and d.split is Split.NONE and d.tag in tags[named]:
                d.split = split
                d.why = f"{d.why}; {other} is written beside {named}"


_CLASSIFIER = frozenset({"accuracy", "balanced_accuracy", "top5_accuracy", "f1", "auc", "auroc", "mcc", "kappa"})
"""Metrics of classifiers; the accuracy of tokens has another stem."""


def _draft(
    subrun: str,
    tag: str,
    histogram: bool,
    convention: Convention | None,
    skip: tuple[str, ...],
    *,
    spelled: str | None = None,
    repeated: frozenset[str] = frozenset(),
) -> Draft:
    """A name as its words read; `spelled`: the tag with its abbreviations spelled out, `repeated`: see `find_repeated_children`."""
    spelled = spelled or tag
    count = len(skip) if skip and tokenize(spelled)[: len(skip)] == skip else 0
    reading = read_histogram(tag) if histogram else read_scalar(read_child(subrun, spelled, repeated), count)
    name = f"{subrun}/{tag}" if subrun else tag
    split = reading.split if reading.split is not Split.NONE else subrun_split(subrun) or Split.NONE
    draft = Draft(
        name=name,
        subrun=subrun,
        tag=tag,
        histogram=histogram,
        role=reading.role,
        split=split,
        direction=reading.direction,
        stem=reading.stem,
        why=_explain(reading, subrun, split),
        rank=reading.rank,
        extra=reading.extra,
        layer=reading.layer,
        class_id=reading.class_id,
        sub_kind=reading.sub_kind,
        axis=reading.axis or Axis.STEP,
        twin=" ".join(reading.base) if reading.base else None,
    )
    if not histogram and any(t in _RUNNING for t in tokenize(tag)):
        draft.writer = Writer(running_mean=True)
    if convention is not None:
        if reading.axis is None:
            draft.axis = convention.axis
        draft.writer = convention.writer if draft.writer is RAW else draft.writer
        entry = find_tag(convention, subrun.lower(), tag.lower())
        if entry is not None:
            _apply(draft, entry, convention)
    return draft


def _explain(reading: Reading, subrun: str, split: Split) -> str:
    why = reading.why
    if split is not Split.NONE and reading.split is Split.NONE:
        why += f", {split.value} by the sub-run {subrun}"
    return why


def _apply(draft: Draft, entry: Tag, convention: Convention) -> None:
    """What a convention says replaces what the words said."""
    changed = entry.role is not None and entry.role is not draft.role
    draft.role = entry.role or draft.role
    draft.split = entry.split or draft.split
    if entry.direction is not None:
        draft.direction = entry.direction
    elif changed:
        draft.direction = _usual_direction(draft.role)
    if entry.stem is not None:
        draft.stem = entry.stem
    elif changed:
        draft.stem = draft.role.value
    if entry.role is not None or entry.stem is not None:
        draft.extra = ()
    if changed:
        draft.class_id = None
    draft.scale = entry.scale or draft.scale
    draft.axis = entry.axis or draft.axis
    draft.sub_kind = entry.sub_kind or draft.sub_kind
    draft.writer = entry.writer or draft.writer
    draft.preferred = 0 if entry.main is None else 1 if entry.main else -1
    draft.convention = convention.name
    if draft.role is Role.IGNORED:
        draft.twin = None
    if entry.layer:
        head, _, tail = entry.pattern.partition("*")
        draft.layer = draft.tag[len(head) : len(draft.tag) - len(tail)] if head or tail else draft.tag
    draft.why = f"{convention.name}: {entry.why}" if entry.why else f"{convention.name} logs it so"


_HIGHER = frozenset(
    {
        Role.METRIC,
        Role.REWARD,
        Role.CONFIDENCE,
        Role.THROUGHPUT,
        Role.EXPLAINED_VARIANCE,
        Role.CHOSEN_REWARD,
        Role.REWARD_MARGIN,
        Role.PREFERENCE_ACCURACY,
        Role.BASELINE,
    }
)
_LOWER = frozenset(
    {Role.LOSS, Role.LOSS_COMPONENT, Role.VALUE_LOSS, Role.STEP_TIME, Role.LOADER_TIME, Role.CALIBRATION_ERROR, Role.SAMPLE_LOSS}
)


def _usual_direction(role: Role) -> Direction:
    return Direction.HIGHER if role in _HIGHER else Direction.LOWER if role in _LOWER else Direction.NONE


def _common_prefix(tags: list[str]) -> tuple[str, ...]:
    """Leading words that at least four fifths of the tags share and that mean nothing by themselves (an experiment's name)."""
    if len(tags) < 3:
        return ()
    tokens = [tokenize(t) for t in tags]
    prefix: tuple[str, ...] = ()
    while True:
        size = len(prefix) + 1
        heads = Counter(t[:size] for t in tokens if len(t) > size and t[: size - 1] == prefix)
        if not heads:
            return prefix
        head, count = heads.most_common(1)[0]
        word = head[-1]
        if count < 0.8 * len(tags) or word in VOCABULARY or word in NOISE or split_word(word) is not None or word in _MEANINGFUL:
            return prefix
        prefix = head


_MEANINGFUL = frozenset(w for phrase in VOCABULARY for w in phrase.split())
_ON_AXIS = re.compile(r"^(.*)/(time|iter|frame|iteration|frames|walltime)$", re.IGNORECASE)


def _mark_repeats(drafts: list[Draft]) -> None:
    """One measurement logged on several axes is one series: ``loss vs samples``, ``Train/mean_reward/time``, ``rewards/iter``."""
    bases = {(d.subrun, " ".join(tokenize(d.tag))): d for d in drafts if not d.histogram}
    by_tag = {(d.subrun, d.tag): d for d in drafts if not d.histogram}
    for draft in drafts:
        if draft.histogram or draft.role is Role.IGNORED:
            continue
        original = None
        if draft.twin:
            words = draft.twin.split()
            options = [draft.twin, " ".join(["epoch", *words[1:]]), " ".join(words[1:])]
            original = next((bases[draft.subrun, o] for o in options if (draft.subrun, o) in bases), None)
        else:
            found = _ON_AXIS.match(draft.tag)
            if found:
                options = [found[1] + end for end in ("", "/step", "/frame")]
                original = next((by_tag[draft.subrun, o] for o in options if (draft.subrun, o) in by_tag), None)
        if original is not None and original is not draft:
            draft.why = f"the same points as {original.name} on another axis"
            draft.role, draft.direction, draft.layer, draft.class_id = Role.IGNORED, Direction.NONE, None, None


_RANKED = ("bleu", "rouge", "psnr", "ssim", "hits", "hit", "ndcg", "hr")
"""Measures with a number that names no class: an order, a cut, a stage."""
_CUTS = frozenset({"1", "3", "5", "10", "20", "50", "100"})
"""``Acc_1`` and ``Acc_5`` are top-1 and top-5."""
_OF_CLASSES = frozenset({"iou", "dice", "dsc", "jaccard", "pck", "recall", "precision", "f1", "ap", "accuracy"})


def _settle_classes(drafts: list[Draft]) -> None:
    """``f1/0, f1/1`` are metrics of classes; a lone ``accuracy_1`` is the framework's way to make a name unique."""
    groups: dict[tuple[str, str, Split], set[str]] = {}
    _name_classes(drafts)
    for d in drafts:
        if d.role is Role.METRIC and d.class_id is not None:
            groups.setdefault((d.subrun, d.stem, d.split), set()).add(d.class_id)
    for d in drafts:
        if d.role is Role.METRIC and d.class_id is not None:
            ids = groups[d.subrun, d.stem, d.split]
            words = any(not i.isdigit() for i in ids)
            if len(ids) >= 2 and (d.stem.startswith(_RANKED) or (ids <= _CUTS and not {"1", "2"} <= ids)):
                d.stem, d.extra, d.class_id = f"{d.stem}{d.class_id}", (*d.extra, d.class_id), None
            elif (len(ids) >= 2 and ids & {"0", "1"} and not words) or (len(ids) >= 3 and words and _base(d) in _OF_CLASSES):
                d.role = Role.CLASS_METRIC
                d.why += f" of class {d.class_id}"
            else:
                d.extra = (*d.extra, d.class_id)
                d.class_id = None


def _base(d: Draft) -> str:
    """The measure without the words that qualify it."""
    return d.stem.removesuffix("_" + "_".join(d.extra)) if d.extra else d.stem


def _name_classes(drafts: list[Draft]) -> None:
    """``recall_cat, recall_dog, recall_cow``: the same measure with another word in one place, three times or oftener, is one of classes."""
    groups: dict[tuple[str, str, Split, Tokens], list[tuple[Draft, str]]] = {}
    for d in drafts:
        if d.role is Role.METRIC and d.class_id is None and 0 < len(d.extra) <= 3 and not d.convention:
            base = _base(d)
            if base not in _OF_CLASSES:
                continue
            tokens = tokenize(d.tag)
            for word in d.extra:
                if word not in _AVERAGED and not word.isdigit() and tokens.count(word) == 1:
                    place = tuple("*" if t == word else t for t in tokens)
                    groups.setdefault((d.subrun, base, d.split, place), []).append((d, word))
    for (_, base, _, _), found in groups.items():
        if len({word for _, word in found}) >= 3 and all(d.class_id is None for d, _ in found):
            for d, word in found:
                d.extra = tuple(w for w in d.extra if w != word)
                d.class_id, d.stem = word, "_".join((base, *d.extra))


_AVERAGED = frozenset({"macro", "micro", "weighted", "samples", "balanced", "all", "best", "ema"})
"""Words beside a measure that name no class."""


def _settle_samples(drafts: list[Draft]) -> None:
    """Beside ``loss_p50`` and ``loss_p95``, ``loss_max`` is a loss of samples too."""
    if not any(d.role is Role.SAMPLE_LOSS for d in drafts):
        return
    for d in drafts:
        if d.role is Role.LOSS_COMPONENT and d.stem == "loss_max" and not d.convention:
            d.role, d.stem, d.sub_kind, d.why = Role.SAMPLE_LOSS, "sample_loss", "max", "max of the loss of single samples"


def _fit_domain(draft: Draft, domain: Domain) -> None:
    """The same word means different things in different trainings."""
    if domain is Domain.REINFORCEMENT:
        if draft.role is Role.METRIC and draft.stem == "score":
            draft.role, draft.stem = Role.REWARD, "reward"
        if draft.role is Role.CLIP_FRACTION:
            draft.role, draft.stem = Role.POLICY_CLIP_FRACTION, "policy_clip_fraction"
        if draft.role is Role.LOSS or (draft.role is Role.LOSS_COMPONENT and draft.stem != "value_loss"):
            draft.direction = Direction.NONE
            draft.why += "; in reinforcement learning a loss has no direction"
        if draft.role in {Role.LOSS_COMPONENT, Role.METRIC} and draft.stem in {"kl", "kl_loss"}:
            draft.role, draft.direction = Role.APPROX_KL, Direction.NONE
    elif draft.role is Role.ENTROPY and draft.stem == "entropy" and not draft.convention:
        draft.role, draft.sub_kind = Role.PREDICTION_STAT, "entropy"
    if domain is Domain.GAN and draft.role in {Role.LOSS, Role.LOSS_COMPONENT} and not draft.convention:
        draft.direction = Direction.NONE
    if domain is Domain.GAN and draft.role is Role.VALUE_LOSS:
        draft.role, draft.direction, draft.stem = Role.DISCRIMINATOR_LOSS, Direction.NONE, Role.DISCRIMINATOR_LOSS.value
    if domain is Domain.SUPERVISED and draft.role in {Role.POLICY_LOSS, Role.VALUE_LOSS, Role.EPISODE_LENGTH}:
        draft.role = Role.LOSS_COMPONENT if draft.role is not Role.EPISODE_LENGTH else Role.UNKNOWN
    if draft.role is Role.EPISODE_LENGTH and draft.stem in _ANY_LENGTH and domain is not Domain.REINFORCEMENT:
        draft.role = Role.UNKNOWN


_ANY_LENGTH = frozenset({"average_length", "avg_length", "mean_length"})
"""Lengths of episodes where agents play, else of sequences or answers."""


_VALUES = attrgetter(*(f.name for f in fields(Draft)))


def copy_drafts(plan: Plan) -> list[Draft]:
    """Fresh drafts that may be changed."""
    return [Draft(*_VALUES(d)) for d in plan.drafts]
