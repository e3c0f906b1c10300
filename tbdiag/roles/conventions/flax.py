"""Flax examples and CLU: ``train_loss``, ``eval_loss`` with ``steps_per_second``."""

from tbdiag.model import Role, Split
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="Flax",
    source="google/flax: examples/*/train.py; google/CommonLoopUtils: clu/periodic_actions.py, metric_writers/utils.py",
    signs={
        "train_steps_per_second": 0.7,
        "train_learning_rate": 0.5,
        "steps_per_sec": 0.3,
        "uptime": 0.5,
        "eval_loss": 0.2,
        "train_loss": 0.1,
    },
    tags=(
        Tag("train_steps_per_second", Role.THROUGHPUT),
        Tag("train_learning_rate", Role.LR),
        Tag("test_loss", Role.LOSS, Split.VAL, stem="loss", why="the mnist example calls its evaluation test"),
        Tag("test_accuracy", Role.METRIC, Split.VAL, stem="accuracy"),
        Tag("uptime", Role.COUNTER),
        Tag("eval_bleu", Role.METRIC, Split.VAL, stem="bleu", main=True),
    ),
)
