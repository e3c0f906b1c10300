"""Catalyst: one sub-run a loader, tags with ``/batch`` and ``/epoch``."""

from tbdiag.model import Axis, Role, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="Catalyst",
    source="catalyst-team/catalyst: catalyst/loggers/tensorboard.py",
    signs={
        "train/loss/batch": 0.6,
        "train/loss/epoch": 0.6,
        "valid/loss/epoch": 0.6,
        "train/lr/epoch": 0.2,
        "*/accuracy01/epoch": 0.3,
        "train_log/loss/*": 0.6,
        "valid_log/loss/*": 0.6,
    },
    tags=(
        Tag("train::loss/batch", Role.LOSS, stem="loss", writer=Writer(mean_window=1), why="one batch, by global batch"),
        Tag("train_log::loss/batch", Role.LOSS, stem="loss", writer=Writer(mean_window=1), why="one batch, by global batch"),
        Tag("*::loss/epoch", Role.LOSS, stem="loss", axis=Axis.EPOCH, why="mean over the epoch, by epoch"),
        Tag("*::loss/batch", Role.LOSS, stem="loss", main=False, why="one batch of a loader that is not trained on"),
        Tag("*::accuracy01/*", Role.METRIC, stem="accuracy"),
        Tag("*::accuracy03/*", Role.METRIC, stem="accuracy_top3", main=False),
        Tag("*::accuracy05/*", Role.METRIC, stem="top5_accuracy", main=False),
        Tag("*::lr/epoch", Role.LR, axis=Axis.EPOCH),
        Tag("*::lr/*", Role.LR),
        Tag("*::momentum/*", Role.COUNTER),
    ),
)
