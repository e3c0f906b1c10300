"""AllenNLP: ``log/train`` and ``log/validation`` with parameter and gradient statistics."""

from tbdiag.model import Axis, Direction, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

SHORT = {"p": "precision", "r": "recall", "accuracy3": "accuracy_top3"}
"""What the metrics of spans and tags are called: beside ``f1``, and beside ``accuracy``."""
EPOCH = Writer(running_mean=True)


def _short(name: str, stem: str) -> tuple[Tag, Tag]:
    """A metric within the epoch, and by epoch."""
    within = Tag(
        f"*epoch_metrics/{name}",
        Role.METRIC,
        direction=Direction.HIGHER,
        stem=stem,
        main=False,
        writer=EPOCH,
        why="running mean since the epoch began",
    )
    return within, Tag(f"*::{name}", Role.METRIC, direction=Direction.HIGHER, stem=stem, main=False, axis=Axis.EPOCH)


CONVENTION = Convention(
    name="AllenNLP",
    source="allenai/allennlp: allennlp/training/tensorboard_writer.py",
    signs={
        "*loss/loss_train": 0.8,
        "*epoch_metrics/loss": 0.5,
        "*parameter_mean/*": 0.5,
        "*gradient_mean/*": 0.3,
        "*gradient_update/*": 0.3,
    },
    tags=(
        Tag(
            "*loss/loss_train",
            Role.LOSS,
            Split.TRAIN,
            stem="loss",
            main=True,
            why="running mean of the epoch at this batch",
            writer=Writer(running_mean=True),
        ),
        *(tag for name, stem in SHORT.items() for tag in _short(name, stem)),
        Tag("*epoch_metrics/*", main=False, writer=EPOCH, why="running mean since the epoch began"),
        Tag("*gradient_norm", Role.GRAD_NORM, stem="grad_norm", main=True),
        Tag("*gradient_update/*", Role.UPDATE_RATIO, stem="update_ratio", layer=True),
        Tag("*parameter_mean/*", Role.UNKNOWN),
        Tag("*parameter_std/*", Role.UNKNOWN),
        Tag("*gradient_mean/*", Role.UNKNOWN),
        Tag("*gradient_std/*", Role.UNKNOWN),
        Tag("*learning_rate/*", Role.LR),
        Tag("*validation::loss", Role.LOSS, Split.VAL, stem="loss", axis=Axis.EPOCH),
        Tag("*train::loss", Role.LOSS, Split.TRAIN, stem="loss", main=False, axis=Axis.EPOCH, why="mean over the epoch, by epoch"),
    ),
)
