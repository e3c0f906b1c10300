"""OpenNMT-py: ``progress/``, ``train/``, ``valid/`` with ``xent`` and ``ppl``."""

from tbdiag.model import Direction, Domain, Role, Scale, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="OpenNMT",
    source="OpenNMT/OpenNMT-py: onmt/utils/statistics.py, report_manager.py",
    signs={"progress/xent": 0.8, "progress/ppl": 0.4, "train/xent": 0.5, "valid/xent": 0.4, "progress/tgtper": 0.4},
    domain=Domain.LANGUAGE_MODEL,
    tags=(
        Tag("progress/xent", Role.LOSS, Split.TRAIN, stem="loss", main=True, writer=Writer(mean_window=0), why="mean over report_every"),
        Tag("train/xent", Role.LOSS, Split.TRAIN, stem="loss", why="mean since the last validation"),
        Tag("valid/xent", Role.LOSS, Split.VAL, stem="loss"),
        Tag("*/accuracy", Role.METRIC, scale=Scale.PERCENT, stem="accuracy", why="per cent"),
        Tag("*/tgtper", Role.THROUGHPUT),
        Tag("progress/lr", Role.LR, main=True),
        Tag("*/lr", Role.LR),
        Tag("*/patience", Role.COUNTER, direction=Direction.NONE),
    ),
)
