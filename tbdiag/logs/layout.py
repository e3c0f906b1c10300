"""Which directories belong to one run, by the layouts that writers produce.

A directory that holds event files is a run of its own, unless one of these holds (P is its parent, H the nearest directory above it that
holds event files):

- it is named like a split (``train``, ``validation``, ``eval_x`` ...) and P holds event files itself (TF Estimator), or P holds both a
  training and an evaluation split (Keras, fairseq), or nothing else lies below P;
- it and siblings are named alike but for a training and an evaluation split (``exp7_train``, ``exp7_val``), or so are directories above
  them (``train/bert``, ``valid/bert``) and one process opened them within a minute;
- it and others are named like a measure (``exp7/loss_train``, ``exp7/acc_val``), or so are directories above them (``loss_train/exp7``), and
  one process wrote them;
- it and a single sibling that is named like a split were opened by one process within a minute, whatever it is named itself;
- it lies below such an evaluation directory (T5X ``training_eval/<task>``, TF-slim ``train/eval/val``);
- it is named ``_base_log`` beside a training and an evaluation split (Catalyst: rate and momentum, which belong to no loader);
- it is named ``rank_N`` (one writer a process);
- it is a child that ``add_scalars`` made below H: its name begins with the only tag that it holds (PyTorch: ``/`` -> ``_``, then ``_``;
  tensorboardX: the tag, then ``/``), or with one of its tags where the process opened both within a minute;
- it is a stub that ``add_hparams`` made below H: named like a float timestamp, or holding hyper-parameters and single points only, where
  H holds scalars.

Everything else stays apart: ``version_N``, ``runs/<date>``, ``exp1``, ``exp2``.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from tbdiag.model.splits import TEST_WORDS, TRAIN_WORDS, VAL_WORDS

if TYPE_CHECKING:
    from tbdiag.logs.walk import ListedFile

_TRAIN = re.compile(
    rf"((?:{'|'.join(sorted(TRAIN_WORDS))})(?:[_\-.](?:logs?|summar(?:y|ies)))?|train_inner|learn|practice|seen|entra[iî]nement|apprentissage|entrenamiento|treino|treinamento"
    r"|addestramento|e[gğ]itim|gakushuu?|xunlian|训练|訓練|学習|обучение)",
    re.IGNORECASE,
)
_EVALUATION = re.compile(
    rf"((?:{'|'.join(sorted(VAL_WORDS | TEST_WORDS))})(?:[_\-.](?:logs?|summar(?:y|ies)))?|training_eval|inference_eval|infer_log|validierung|validaci[oó]n"
    r"|valida[cç][aã]o|validazione|verifica|prueba|teste|do[gğ]rulama|kenshou?|yanzheng|验证|驗證|検証|测试|测试集|验证集|валидация)",
    re.IGNORECASE,
)
_EVALUATION_WITH_SUFFIX = re.compile(r"(valid\d+|val\d+|(val|valid|validation|evaluation)[_\-.].+|eval.+)", re.IGNORECASE)
_EVALUATION_PARENT = re.compile(r"(training_eval|inference_eval|infer_eval|eval)", re.IGNORECASE)
_RANK = re.compile(r"rank[_\-]?\d+", re.IGNORECASE)
_NO_LOADER = re.compile(r"_base_log")
_FLOAT_TIME = re.compile(r"\d{9,10}\.\d+")
_SPECIAL = re.compile(
    "|".join(f"(?:{p.pattern})" for p in (_TRAIN, _EVALUATION, _EVALUATION_WITH_SUFFIX, _RANK, _NO_LOADER, _FLOAT_TIME)), re.IGNORECASE
)
"""Every name by which a directory may belong to another one."""
_WRITER = re.compile(r"tfevents\.(\d{9,10})\.(.+\.\d+)\.\d+(?:\.v2)?$")
_ORDER = re.compile(r"^[A-Za-z0-9]{1,2}[_\-. ](?=[A-Za-z]{3})")
"""What only sorts directories: ``A_fit`` beside ``B_check``."""
_TOGETHER = 60
"""Seconds between the first files of two writers that a script opens side by side; a sweep opens the next one after a training."""
_STUB_BYTES = 1 << 16
_PEEK_BYTES = 1 << 13


def group_directories(directories: Mapping[str, Sequence[ListedFile]]) -> dict[str, list[str]]:
    """Group directories that hold event files into runs.

    Args:
        directories: relative directory (``""`` for the logdir) -> its event files in order.

    Returns:
        The run's directory -> the directories that belong to it, both relative to the logdir.
    """
    owner: dict[str, str] = {}
    holders: dict[str, str | None] = {}
    parts: dict[str, tuple[str, str]] = {}
    for directory in directories:
        parent, _, name = directory.rpartition(os.sep)
        parts[directory] = parent, name
    special = {directory for directory, (_, name) in parts.items() if name and _SPECIAL.fullmatch(name)}
    splits = _split_parents(parts, special)
    pairs = {**_find_pairs(directories, parts), **_find_affixed(directories, parts)}
    free: dict[str, bool] = {}  # whether nothing but its own name can make a directory below this parent belong to another one
    bound = []
    for directory, (parent, _) in parts.items():
        if parent not in free:
            free[parent] = _nearest_holder(parent, directories, holders) is None and not _judges(parent)
        if directory in pairs:
            owner[directory] = pairs[directory]
        elif free[parent] and directory not in special:
            owner[directory] = directory
        else:
            bound.append(directory)
    for directory in sorted(bound, key=lambda d: (_depth(d), d)):
        owner[directory] = _find_owner(directory, directories, owner, splits, holders)
    groups: dict[str, list[str]] = defaultdict(list)
    for directory, base in owner.items():
        groups[base].append(directory)
    return dict(groups)


def _depth(directory: str) -> int:
    return directory.count(os.sep) + 1 if directory else 0


def _split_parents(parts: Mapping[str, tuple[str, str]], special: Set[str]) -> set[str]:
    """Directories without event files of their own whose split-named children are one run.

    Args:
        parts: parent and name of each directory; `special`: those whose name matches `_SPECIAL`.
    """
    train: set[str] = set()
    evaluation: set[str] = set()
    below: dict[str, int] = defaultdict(int)
    for parent, count in Counter(parent for directory, (parent, _) in parts.items() if directory).items():
        ancestor = parent
        below[ancestor] += count
        while ancestor:
            ancestor = os.path.dirname(ancestor)
            below[ancestor] += count
    for directory, (parent, name) in parts.items():
        if not directory or not (directory in special or _judges(parent)):
            continue
        if _TRAIN.fullmatch(name):
            train.add(parent)
        elif _EVALUATION.fullmatch(name) or _EVALUATION_WITH_SUFFIX.fullmatch(name):
            evaluation.add(parent)
        elif _judges(parent):
            evaluation.add(os.path.dirname(parent))
    alone = {
        parts[directory][0]
        for directory in special
        if below[parts[directory][0]] == 1
        and (_TRAIN.fullmatch(parts[directory][1]) or _EVALUATION.fullmatch(parts[directory][1]))
        and not (_judges(parts[directory][0]) and os.path.dirname(parts[directory][0]) in parts)  # train/eval/val is train's evaluation
    }
    return (train & evaluation) | alone


def _process(file: ListedFile) -> tuple[str, int]:
    """Host and process that opened an event file, and when (Unix seconds), by its name; ``("", 0)`` where the name does not say."""
    found = _WRITER.search(os.path.basename(file.path))
    return (found[2], int(found[1])) if found else ("", 0)


def _find_pairs(directories: Mapping[str, Sequence[ListedFile]], parts: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Directories that are one run with their only sibling, for one process wrote both and the sibling is named like a split -> their parent."""
    children: dict[str, list[str]] = defaultdict(list)
    for directory, (parent, name) in parts.items():
        if directory and not _FLOAT_TIME.fullmatch(name):
            children[parent].append(directory)
    pairs: dict[str, str] = {}
    for parent, pair in children.items():
        if len(pair) != 2:
            continue
        bare = [_ORDER.sub("", parts[d][1]) for d in pair]
        named = [bool(_TRAIN.fullmatch(name) or _EVALUATION.fullmatch(name)) for name in bare]
        one, two = (parts[d][1] for d in pair)
        alike = one.startswith(two) or two.startswith(one)  # train and train2
        (a, began), (b, later) = (_process(directories[d][0]) for d in pair)
        if parent in directories and _process(directories[parent][0])[0] != a:
            continue
        if named[0] != named[1] and not alike and a and a == b and abs(began - later) <= _TOGETHER:
            pairs |= dict.fromkeys(pair, parent)
    return pairs


def _find_affixed(directories: Mapping[str, Sequence[ListedFile]], parts: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Directories that are one run for their names, all of them -> one of them, that of training where it is told.

    They differ in nothing but the split that their names end or begin with; or in a directory above them that is named like a split, where
    one process opened them within a minute; or in one that is named like a measure (``loss_train``, ``acc_val``), where one process did.
    """
    alike: dict[_Alike, list[tuple[str, bool]]] = defaultdict(list)
    for directory, (parent, name) in parts.items():
        if parent in directories or _TRAIN.fullmatch(name) or _EVALUATION.fullmatch(name):
            continue  # a writer below another one (see `_is_child_writer`), or a split of its parent
        for found in filter(None, (_SUFFIX.match(name), _PREFIX.match(name))):
            if _TRAIN.fullmatch(found["split"]) or _EVALUATION.fullmatch(found["split"]):
                rest = name[: found.start("split")] + "*" + name[found.end("split") :]
                alike[_Alike("name", f"{parent}{os.sep}{rest.lower()}")].append((directory, bool(_TRAIN.fullmatch(found["split"]))))
        process = _process(directories[directory][0])[0]
        for kind, other, trains in _stars(parent):
            alike[_Alike(kind, f"{other}{os.sep}{name}", process)].append((directory, trains))
        if _MEASURE.fullmatch(name):
            alike[_Alike("measure", parent, process)].append((directory, _names_training(name)))
    owner: dict[str, str] = {}
    for place, group in alike.items():
        members = [directory for directory, _ in group]
        train = [directory for directory, trains in group if trains]
        if place.kind == "measure":
            one = bool(place.process)
        else:
            one = len(train) == 1 and (place.kind == "name" or _opened_beside(train[0], members, directories))
        if one and len(members) > 1:
            owner |= dict.fromkeys(members, min(train or members))
    return owner


class _Alike(NamedTuple):
    """What directories of one run have in common: the name but for a split, or the path but for a ``split`` or ``measure`` in it, and the process."""

    kind: str
    place: str
    process: str = ""


def _opened_beside(train: str, members: Sequence[str], directories: Mapping[str, Sequence[ListedFile]]) -> bool:
    """Whether the files' names tell that all writers were opened within a minute of that of training."""
    began = _process(directories[train][0])[1]
    return began > 0 and all(abs(_process(directories[directory][0])[1] - began) <= _TOGETHER for directory in members)


_SPLIT_WORD = f"{_TRAIN.pattern}|{_EVALUATION.pattern}"
_MEASURE_WORD = "loss|acc|accuracy|err|error|f1|auc|iou|dice|psnr|ssim|lr|learning_?rate|grad_?norm|weight_?norm|score|metric|reward|ppl|perplexity|mae|mse|rmse|r2"
_MEASURE = re.compile(rf"(?:(?:{_SPLIT_WORD})[_\-. ]?)?(?:{_MEASURE_WORD})(?:[_\-. ]?(?:{_SPLIT_WORD}))?", re.IGNORECASE)
"""``loss``, ``train_acc``, ``gradnorm``: the name of a writer that holds a single curve."""


def _names_training(name: str) -> bool:
    return any(_TRAIN.fullmatch(word) for word in re.split(r"[_\-. ]", name))


@lru_cache(maxsize=1024)
def _stars(parent: str) -> tuple[tuple[str, str, bool], ...]:
    """A path with each of its directories that is named like a split or a measure as a star, which of them, and whether it is of training."""
    words = parent.split(os.sep)
    out = []
    for i, word in enumerate(words):
        other = os.sep.join([*words[:i], "*", *words[i + 1 :]])
        if _TRAIN.fullmatch(word) or _EVALUATION.fullmatch(word):
            out.append(("split", other, bool(_TRAIN.fullmatch(word))))
        elif _MEASURE.fullmatch(word):
            out.append(("measure", other, _names_training(word)))
    return tuple(out)


_SUFFIX = re.compile(r"(?P<rest>.+)[_\-. ](?P<split>[A-Za-z]+)$")
_PREFIX = re.compile(r"(?P<split>[A-Za-z]+)[_\-. ](?P<rest>.+)$")
"""Names of which a split may be a part: ``exp7_train``, ``val.exp7``."""


def name_without_split(directory: str) -> str:
    """``x/exp7_train`` -> ``x/exp7``, ``train/exp7`` and ``loss_train/exp7`` -> ``exp7``, ``exp7/loss`` -> ``exp7``: what they have in common."""
    parent, name = os.path.split(directory)
    if _MEASURE.fullmatch(name):
        return parent
    for found in filter(None, (_SUFFIX.match(name), _PREFIX.match(name))):
        if _TRAIN.fullmatch(found["split"]):
            return os.path.join(parent, found["rest"])
    above = parent.split(os.sep)
    at = next((i for i, word in enumerate(above) if _TRAIN.fullmatch(word) or _MEASURE.fullmatch(word)), None)
    return directory if at is None else os.path.join(*above[:at], *above[at + 1 :], name)


def _find_owner(
    directory: str,
    directories: Mapping[str, Sequence[ListedFile]],
    owner: Mapping[str, str],
    splits: set[str],
    holders: dict[str, str | None],
) -> str:
    if not directory:
        return directory
    parent, name = os.path.split(directory)
    is_split = any(pattern.fullmatch(name) for pattern in (_TRAIN, _EVALUATION, _EVALUATION_WITH_SUFFIX))
    holder = _nearest_holder(parent, directories, holders)
    if (
        is_split
        and holder is not None
        and parent not in directories
        and _is_child_writer(os.path.relpath(directory, holder or "."), directories[directory], directories[holder])
    ):
        return owner[holder]  # tensorboardX writes add_scalars("loss", {"train": ..}) to loss/train
    if parent in directories:
        if is_split or _RANK.fullmatch(name) or _FLOAT_TIME.fullmatch(name):
            return owner[parent]
    elif (parent in splits and (is_split or _NO_LOADER.fullmatch(name))) or _RANK.fullmatch(name):
        return parent
    elif _judges(parent):
        grand = os.path.dirname(parent)
        if grand in directories:
            return owner[grand]
        if grand in splits:
            return grand
    if holder is not None and _is_child_writer(os.path.relpath(directory, holder or "."), directories[directory], directories[holder]):
        return owner[holder]
    return directory


@lru_cache(maxsize=1024)
def _judges(parent: str) -> bool:
    """Whether a directory is named like one whose children are evaluations."""
    return _EVALUATION_PARENT.fullmatch(os.path.basename(parent)) is not None


def _nearest_holder(parent: str, directories: Mapping[str, Sequence[ListedFile]], known: dict[str, str | None]) -> str | None:
    """`parent` or the nearest directory above it that holds event files; `known` keeps the answers."""
    if parent not in known:
        holder = parent if parent in directories else None
        known[parent] = holder if holder is not None or not parent else _nearest_holder(os.path.dirname(parent), directories, known)
    return known[parent]


def _is_child_writer(relative: str, files: Sequence[ListedFile], holder_files: Sequence[ListedFile]) -> bool:
    tags, counts = _peek(files[0])
    if not tags:
        return False
    if "_hparams_/session_start_info" in tags:
        stub = sum(f.size for f in files) <= _STUB_BYTES and max(counts.values()) <= 1
        return stub and any(any(not tag.startswith("_hparams_") for tag in _peek(f)[0]) for f in holder_files[:4])
    path = relative.replace(os.sep, "/")
    child = [path.startswith((tag.replace("/", "_") + "_", tag + "/")) for tag in tags]
    # A script may write more into such a writer, where it opened both at once.
    (mine, began), (its, before) = _process(files[0]), _process(holder_files[0])
    return all(child) or (any(child) and bool(mine) and mine == its and abs(began - before) <= _TOGETHER)


def _peek(file: ListedFile) -> tuple[set[str], dict[str, int]]:
    """Tags in the first few kilobytes of a file, and how often each occurs there."""
    from tbdiag.events.reader import read_events
    from tbdiag.events.source import BytesSource
    from tbdiag.logs.files import open_source
    from tbdiag.logs.names import tag_text

    try:
        with open_source(file.path) as source:
            head = source.read(0, _PEEK_BYTES)
    except OSError:
        return set(), {}
    columns = read_events(BytesSource(head))
    counts: dict[str, int] = {}
    for table in (columns.scalars, columns.histos, columns.histogram_tensors):
        for tag, points in table.items():
            counts[tag_text(tag)] = max(counts.get(tag_text(tag), 0), int(points.step.size))
    tags = set(counts) | {tag_text(tag) for tag in columns.plugins if not is_internal(tag)}
    return tags, counts or {"": 0}


def is_internal(tag: bytes) -> bool:
    """Whether a tag belongs to the run's graph rather than to its data."""
    return tag in (b"graph", b"meta_graph")
