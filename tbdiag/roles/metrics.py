"""What metrics are called: the measures that rules look for by name, as patterns of the stem that the tag was read as."""

from __future__ import annotations

import re
from functools import lru_cache

METRIC_NAMES: dict[str, str] = {
    "accuracy": r"(acc|accuracy|top_?1|top1_acc|acc_?1|(sparse_)?(categorical|binary)_accuracy|accuracy_top1|acc_top1|accuracy_score|hit_?rate|"
    r"((pixel|overall|multiclass|binary|th)_?|a_?)acc(uracy)?|(decode_)?acc_seg)",
    "balanced_accuracy": r"(bal(anced)?_?acc(uracy)?|mean_?(class_?)?acc(uracy)?|m_?acc(uracy)?|uar|macro_?recall|recall_?macro)",
    "agreement": r"(mcc|matthews\w*|phi|kappa|cohen_?kappa)",
    "recall": r"(recall|sensitivity|tpr|true_positive_rate|minority_recall|recall_?(pos|positive|minority|1))",
    "f1": r"(f1|f1_?score|f_?1|fscore|f_?score|minority_f1|f1_?(pos|positive|minority|1))",
    "macro_f1": r"(f1_?macro|macro_?f1|macro_?f1_?score|f1_?score_?macro)",
    "auc": r"(auc|auroc|roc_?auc|auc_?roc|rocauc)",
}
"""Measure -> pattern of the whole stem."""

_PATTERNS = {name: re.compile(pattern) for name, pattern in METRIC_NAMES.items()}
_SPLIT_WORDS = re.compile(
    r"^(train|training|val|valid|validation|eval|evaluation|test|dev)[/_. -]|[/_. -](train|val|valid|validation|eval|test)$"
)
_OTHER_ACCURACY = re.compile(r"top|token|balanced|mean|macro|class|aux|neg|pos|reconstruction")
_ERROR_RATE = re.compile(r"(top_?1_?|class(ification)?_?|cls_?|misclass\w*_?)?(err|error)s?(_?rate)?|misclass\w*", re.IGNORECASE)


@lru_cache(maxsize=1024)
def is_named(measure: str, stem: str, tag: str) -> bool:
    """Whether a series is a measure of `METRIC_NAMES` by its stem, or by its tag without splits (``train/valid_macro_f1`` names two)."""
    last = _SPLIT_WORDS.sub("", _SPLIT_WORDS.sub("", tag.lower()))
    spellings = (re.sub(r"[^a-z0-9]+", "_", t).strip("_") for t in (stem.lower(), last, last.rsplit("/", 1)[-1]))
    return any(_PATTERNS[measure].fullmatch(text) for text in spellings)


def is_other_accuracy(stem: str) -> bool:
    """Whether a stem is the accuracy with a word more that leaves it the share of right answers: ``accuracy_fg``, not ``accuracy_top5``."""
    return stem.startswith("accuracy_") and not _OTHER_ACCURACY.search(stem)


def is_error_rate(stem: str) -> bool:
    """Whether a stem is the share of wrong first answers: one minus the accuracy where classes are told apart."""
    return bool(_ERROR_RATE.fullmatch(stem))
