"""Words that always name a split, in tags as in directories; lower case. `valing` is what ``f"{phase}ing"`` makes of `val`."""

from __future__ import annotations

TRAIN_WORDS = frozenset({"train", "training", "trn", "tr", "trains", "trainset", "fit"})
VAL_WORDS = frozenset(
    {
        "val",
        "valid",
        "validation",
        "validate",
        "eval",
        "evaluation",
        "evaluator",
        "evaluate",
        "evaluating",
        "validating",
        "dev",
        "heldout",
        "holdout",
        "oof",
        "cv",
        "va",
        "vl",
        "vld",
        "minival",
        "valing",
        "evaling",
        "validing",
        "valset",
        "devset",
        "hold",
        "unseen",
    }
)
TEST_WORDS = frozenset({"test", "te", "testing", "tst", "testset"})
