"""Tags of a run made comparable before they are read: settings that begin all of them dropped, abbreviations that stand in pairs spelled out,
names of children that ``add_scalars`` made put behind their tag.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from tbdiag.model import Role
from tbdiag.roles.reading import read_scalar
from tbdiag.roles.splits import PAIRS, split_word
from tbdiag.roles.words import tokenize

_SETTINGS = re.compile(r"(\[[^\]]*\]|\{[^}]*\}|\([^)]*\))[\s/_:]*(?=\S)|[^\s/]*=[^\s/]*[\s/]+(?=\S)")


def drop_settings(tags: Sequence[str]) -> dict[str, str]:
    """Tags without the settings that begin them all the same: ``[lr=0.001,bs=64] train loss``, ``lr=0.1/loss``; tag -> what is left."""
    found = Counter(m[0] for m in map(_SETTINGS.match, tags) if m and "=" in m[0])
    head, count = found.most_common(1)[0] if found else ("", 0)
    return {tag: tag[len(head) :] if 2 * count > len(tags) and tag.startswith(head) else tag for tag in tags}


_GLUED_LETTER = re.compile(r"([tv])(loss|acc|nll|ce|bce|mse|mae|err|f1|auc|iou|dice|wer|bleu|ctc|xe)", re.IGNORECASE)
_LETTER = re.compile(r"(|.*[\W_])([tvTV])([A-Za-z][^\W_]*)")


def _unglue(tags: Sequence[str]) -> dict[str, str]:
    """Tags with their split's letter set apart: ``tloss``; behind something else, ``exp42-tloss``, where the same with the other letter exists.

    With a known measure among such pairs the others are read alike: ``tdelta1`` beside ``vdelta1``.
    """
    found = {tag: m.groups() for tag in tags if (m := _LETTER.fullmatch(tag))}
    known = {(head, letter.lower(), rest) for head, letter, rest in found.values()}
    pairs = {tag: g for tag, g in found.items() if {(g[0], "t", g[2]), (g[0], "v", g[2])} <= known}
    told = any(_MEASURES & set(tokenize(g[2])) for g in pairs.values())
    return {
        tag: f"{pairs[tag][0]}{pairs[tag][1]}_{pairs[tag][2]}"
        if told and tag in pairs
        else _GLUED_LETTER.sub(r"\1_\2", tag)
        if _GLUED_LETTER.fullmatch(tag)
        else tag
        for tag in tags
    }


def spell_out(tags: Sequence[str]) -> dict[str, str]:
    """Tags in which a word of a pair is a split, with the split's name instead; a pair counts where two tags differ in nothing else."""
    loose = _unglue(tags)
    words = {tag: tokenize(text) for tag, text in loose.items()}
    known = set(words.values())
    out: dict[str, str] = {}
    for one, other in PAIRS:
        met = [w for w in known if w.count(one) == 1 and tuple(other if t == one else t for t in w) in known]
        if not any(any(t in _MEASURES for t in w) for w in met):
            continue
        for tag, text in loose.items():
            for word, split in ((one, "train"), (other, "val")):
                if word in words[tag] and tag not in out:
                    out[tag] = re.sub(rf"(?<![^\W_]){word}(?![^\W_])", split, text, count=1, flags=re.IGNORECASE)
    return out


_MEASURES = frozenset(
    {
        "loss",
        "acc",
        "accuracy",
        "err",
        "error",
        "objective",
        "cost",
        "mse",
        "mae",
        "rmse",
        "nll",
        "ll",
        "logp",
        "xe",
        "ce",
        "bce",
        "xent",
        "total",
        "f1",
        "iou",
        "auc",
    }
)


def _child(subrun: str, tag: str) -> str | None:
    """``acc`` of the tag ``metrics`` in ``metrics_acc``, as ``add_scalars("metrics", {"acc": ..})`` writes it."""
    heads = (tag.replace("/", "_") + "_", tag + "/")
    return next((subrun[len(head) :] for head in heads if len(subrun) > len(head) and subrun.startswith(head)), None)


def find_repeated_children(scalars: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Children that several tags have alike: ``test epoch loss`` of ``acc`` as of ``loss`` was copied, and says no more than the split."""
    found = Counter(child for subrun, tag in scalars if (child := _child(subrun, tag)) is not None)
    return frozenset(child for child, count in found.items() if count > 1)


_MEASURED = frozenset({Role.LOSS, Role.METRIC})


def read_child(subrun: str, tag: str, repeated: frozenset[str]) -> str:
    """``add_scalars("metrics", {"acc": ..})``: the child's name says what is measured, unless it was copied to another measure's tag."""
    if subrun and {t for t in tokenize(tag) if split_word(t) is None} <= _NAMELESS:
        return f"{subrun}/{tag}"  # a writer a curve: the folder says what it is
    child = _child(subrun, tag)
    if child is None:
        return tag
    if child in repeated and {read_scalar(tag).role, read_scalar(child).role} == _MEASURED:
        return tag  # its split is told by the sub-run
    return f"{tag}/{child}"


_NAMELESS = frozenset({"value", "values", "data", "scalar", "scalars", "series", "curve", "y"})
