"""fairseq: sub-runs ``train/``, ``train_inner/``, ``valid/``; losses in bits."""

from tbdiag.model import Direction, Role, Scale, Split, Writer
from tbdiag.roles.convention import Convention, Tag

VALID = Writer(quantum=1e-3)
INNER = Writer(mean_window=0, quantum=1e-3)

CONVENTION = Convention(
    name="fairseq",
    source="facebookresearch/fairseq: fairseq/logging/progress_bar.py, trainer.py, criterions/cross_entropy.py",
    signs={
        "train_inner/loss": 1.0,
        "train_inner/gnorm": 0.3,
        "train_inner/wps": 0.3,
        "valid/loss": 0.2,
        "train/ppl": 0.2,
        "valid/num_updates": 0.3,
        "train/gnorm": 0.3,
    },
    tags=(
        Tag(
            "train_inner::loss",
            Role.LOSS,
            Split.TRAIN,
            Direction.LOWER,
            "loss",
            Scale.BITS,
            main=True,
            writer=INNER,
            why="base 2, mean over log_interval, 3 decimals",
        ),
        Tag(
            "train_inner::nll_loss",
            Role.LOSS,
            Split.TRAIN,
            Direction.LOWER,
            "nll_loss",
            Scale.BITS,
            main=False,
            writer=INNER,
            why="base 2, without label smoothing",
        ),
        Tag(
            "train::loss",
            Role.LOSS,
            Split.TRAIN,
            Direction.LOWER,
            "loss",
            Scale.BITS,
            writer=VALID,
            why="base 2, mean over the epoch, 3 decimals",
        ),
        Tag("valid*::loss", Role.LOSS, Split.VAL, Direction.LOWER, "loss", Scale.BITS, writer=VALID, why="base 2, 3 decimals"),
        Tag(
            "*::nll_loss",
            Role.LOSS,
            None,
            Direction.LOWER,
            "nll_loss",
            Scale.BITS,
            main=False,
            writer=VALID,
            why="base 2, without label smoothing",
        ),
        Tag("valid*::best_loss", Role.LOSS_COMPONENT, Split.VAL, stem="loss_min", scale=Scale.BITS, why="the best validation loss so far"),
        Tag("*::clip", Role.CLIP_FRACTION, scale=Scale.PERCENT, why="per cent of the updates that were clipped"),
        Tag("*::gnorm", Role.GRAD_NORM, stem="grad_norm", writer=INNER),
        Tag("*::loss_scale", Role.LOSS_SCALE),
        Tag("*::bsz", Role.COUNTER),
        Tag("*::wpb", Role.COUNTER),
        Tag("*::num_updates", Role.COUNTER),
        Tag("*::best_*", Role.COUNTER, why="the best value so far"),
    ),
    notes="losses are in bits (times ln 2 for nats) and rounded to 3 decimals; a loss of -1 means that the criterion logged none.",
)
