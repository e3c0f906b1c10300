"""Which words name a split: those that always do (`tbdiag.model.splits`), those that do beside their like, and those that do in pairs."""

from __future__ import annotations

import re
from functools import lru_cache

from tbdiag.model import Split
from tbdiag.model.splits import TEST_WORDS, TRAIN_WORDS, VAL_WORDS
from tbdiag.roles.words import tokenize

_VALIDATION = re.compile(r"^vali[dt]+a[a-z]*[io]ns?$")

LEARNING_WORDS = frozenset(
    [
        "learn",
        "learned",
        "learning",
        "practice",
        "rehearsal",
        "study",
        "seen",
        "tune",
        "old",
        "known",
        "past",
        "home",
        "work",
        "shown",
        "taught",
        "inner",
        "in",
        "a",
        "t",
    ]
)
JUDGING_WORDS = frozenset(
    [
        "judge",
        "judged",
        "judging",
        "exam",
        "examiner",
        "quiz",
        "probe",
        "trial",
        "control",
        "assess",
        "midterm",
        "check",
        "checked",
        "checking",
        "reserve",
        "reserved",
        "spare",
        "blind",
        "review",
        "audit",
        "external",
        "guard",
        "hidden",
        "verify",
        "held",
        "outside",
        "graded",
        "inspector",
        "away",
        "ev",
        "chk",
        "aside",
        "kept",
        "keptback",
        "never",
        "premiere",
        "gen",
        "ho",
        "dv",
        "vfy",
        "tested",
        "novel",
        "new",
        "future",
        "out",
        "outer",
        "b",
        "v",
    ]
)
"""Words that name a split only beside their like."""
WEAK_WORDS = frozenset(["a", "b", "t", "v", "in", "out", "inner", "outer", "old", "new", "known", "novel", "past", "future"])
"""Of these those that name two heads or two kinds of data as well: validation must be the sparser."""

PAIRS = (
    ("t", "v"),
    ("is", "oos"),
    ("learn", "check"),
    ("fit", "check"),
    ("train", "check"),
    ("tr", "check"),
    ("tr", "ev"),
    ("tr", "chk"),
    ("trn", "chk"),
    ("home", "away"),
)
"""Words that name training and validation only beside each other: ``t_loss`` and ``v_loss``, ``IS mse`` and ``OOS mse``."""


def split_word(token: str) -> Split | None:
    """Split that a token names, or None."""
    if token in TRAIN_WORDS:
        return Split.TRAIN
    if token in VAL_WORDS or _VALIDATION.match(token):
        return Split.VAL
    if token in TEST_WORDS:
        return Split.TEST
    return _NUMBERED.get(token.rstrip("0123456789")) if token[-1:].isdigit() else None


_NUMBERED = {"train": Split.TRAIN, "val": Split.VAL, "valid": Split.VAL, "test": Split.TEST}
"""Splits with a year, a share or a number behind them: ``val2017``, ``train90``."""


def find_splits(tokens: tuple[str, ...]) -> list[tuple[int, Split]]:
    """Position and split of every token that names one (``std dev`` does not)."""
    found: list[tuple[int, Split]] = []
    during = {"during", "while", "in"} & set(tokens)
    for i, token in enumerate(tokens):
        split = split_word(token)
        if split is None or (token == "dev" and i and tokens[i - 1] in {"std", "standard", "stdev", "no"}):
            continue  # train_no_dev is the name of what is left for training
        if token == "eval" and i and tokens[i - 1] == "train":
            continue  # train_eval/loss: training data seen through the evaluation code, as a first action asks for it
        if split is Split.TRAIN and during and found and tokens[i - 1] in during:
            continue  # eval_during_train/loss: when it was evaluated, not on what
        found.append((i, split))
    return found


@lru_cache(maxsize=4096)
def subrun_split(subrun: str) -> Split | None:
    """Split that a sub-run's directory names: ``validation``, ``eval_news``, ``loss_val``, ``training_eval/task``, ``train_inner``."""
    tokens = tokenize(subrun)
    if "training" in tokens and "eval" in tokens:
        return Split.VAL
    found = find_splits(tokens)
    return found[-1][1] if found else None
