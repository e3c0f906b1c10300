"""Whether a run is a tiny overfit test: a handful of samples that a working pipeline must learn by heart.

A run counts as one only where somebody says so: a setting for that purpose, a name, or a limit on the training data together with a
word that means a trial, or with no validation at all. A small data set alone is no such test; people train on those in earnest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from tbdiag.model import Domain

if TYPE_CHECKING:
    from tbdiag.features import Features

MOST_SAMPLES = 512
"""Source text 2: the test takes 32 to 512 examples."""
MOST_BATCHES = 8.0

_FEW = r"(tiny|sanity|one|single|few)"
_DATA = r"(batch|sample|example)"
_TEST = re.compile(
    rf"{_FEW}[-_ .]?({_DATA}(es|s)?[-_ .]?)?overfit(?!ting)|overfit(ting)?[-_ .]?((a|on|the|to)[-_ .]?)*({_FEW}|{_DATA})"
    r"|overfit[-_ .]?(test|check|trial)|overfit(ting)?[-_ .]?((a|on|the|to)[-_ .]?)*\d+[-_ .]?(samples|examples|images|batch|sentences|items)"
)
"""What names such a test; ``overfitting`` by itself, or on a small data set, is what people call a run that went wrong."""
_WORD = re.compile(r"(?<![a-z])(overfit(?!ting)|tiny|sanity|debug|smoke|toy|trial)(?![a-z])")
_TAG = re.compile(rf"(^|/)(({_FEW}[-_])?overfit([-_]({_FEW}|{_DATA}|test|check))*)/")
_NAME = re.compile(r"[\w.\-]+")
_FALSE = frozenset({"", "0", "0.0", "false", "no", "off", "none"})
_DEEPEST = 3
"""Parts of the path that may name a run: ``overfit_one_batch/lightning_logs/version_0``."""


@dataclass(frozen=True, slots=True)
class TinyTest:
    """How the test was recognised (a clause whose numbers stand in `numbers`), and how many samples it has, where that is known."""

    why: str
    numbers: dict[str, float]
    samples: float | None


def read_tiny_test(features: Features) -> TinyTest | None:
    """The run as a tiny overfit test, or None where nothing says that it is one."""
    signals = features.signals
    if signals.domain in (Domain.REINFORCEMENT, Domain.GAN):
        return None
    samples, limited = _samples(features)
    known = samples is not None and samples <= MOST_SAMPLES
    batches = _number(features, "overfit_batches")
    if batches:
        return TinyTest("the configuration sets overfit_batches to {batches:g}", {"batches": batches}, samples if known else None)
    if str(signals.config.get("overfit_test", "")).lower() not in _FALSE:
        return TinyTest("a switch in the configuration asks for an overfit test", {}, samples if known else None)
    names = _names(features)
    named = next((w.group(0) for name in names for w in _NAME.finditer(name) if _TEST.search(w.group(0))), None)
    named = named or next((m.group(2) for name in features.run.series if (m := _TAG.search(name.lower()))), None)
    if named:
        return TinyTest(f"'{named}' stands in the name of the run or of its series", {}, samples if known else None)
    word = next((m.group(0) for name in names if (m := _WORD.search(name))), None)
    alone = features.curve("val_loss") is None and features.curve("val_metric") is None
    if known and word:
        return TinyTest(
            f"'{word}' stands in the name of the run, which has {{samples:g}} training samples", {"samples": samples or 0.0}, samples
        )
    if known and limited and alone:
        return TinyTest(
            "the configuration limits the training data to {samples:g} samples, and nothing is validated",
            {"samples": samples or 0.0},
            samples,
        )
    few = _number(features, "limit_train_batches")
    if few and 1 < few <= MOST_BATCHES and few == round(few) and (word or alone):  # 1.0 is everything
        return TinyTest("the configuration limits training to {batches:g} batches", {"batches": few}, None)
    if word == "overfit" and alone:
        return TinyTest("'overfit' stands in the name of the run, and nothing is validated", {}, None)
    return None


def _number(features: Features, name: str) -> float | None:
    value = features.signals.setting(name)
    return value if value is not None and value > 0 else None


def _samples(features: Features) -> tuple[float | None, bool]:
    """Number of training samples, and whether it is a limit that somebody set (rather than the size of the data)."""
    limit = _number(features, "max_train_samples")
    if limit is not None and limit > 1:
        return limit, True
    size = _number(features, "training_samples")
    return (size, False) if size is not None and size > 1 else (None, False)


def _names(features: Features) -> list[str]:
    """Names that people gave to the run, in small letters: the last parts of its path, and what the configuration calls it."""
    run = features.run
    parts = [p for p in PurePath(run.path).parts[-_DEEPEST:] if p not in ("/", ".")]
    given = features.signals.config.get("run_name")
    return [p.lower() for p in (*parts, *((str(given),) if given else ()))]
