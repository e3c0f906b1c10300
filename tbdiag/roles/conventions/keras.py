"""Keras: the TensorBoard callback writes ``train/`` and ``validation/`` with the same tags."""

from tbdiag.model import Axis, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

EPOCH_MEAN = Writer(mean_window=None)
RUNNING = Writer(running_mean=True)

CONVENTION = Convention(
    name="Keras",
    source="keras-team/keras: keras/src/callbacks/tensorboard.py",
    signs={
        "train/epoch_loss": 0.7,
        "validation/epoch_loss": 0.5,
        "epoch_loss": 0.6,
        "*evaluation_*_vs_iterations": 0.6,
        "*epoch_learning_rate": 0.3,
        "*batch_loss": 0.3,
    },
    axis=Axis.EPOCH,
    writer=EPOCH_MEAN,
    tags=(
        Tag("*::batch_loss", Role.LOSS, axis=Axis.STEP, main=False, writer=RUNNING, why="running mean since the epoch began"),
        Tag("*::batch_steps_per_second", Role.THROUGHPUT, axis=Axis.STEP),
        Tag("*::batch_learning_rate", Role.LR, axis=Axis.STEP),
        Tag("*::batch_*", axis=Axis.STEP, main=False, writer=RUNNING, why="running mean since the epoch began"),
        Tag(
            "*::evaluation_*_vs_iterations",
            split=Split.VAL,
            axis=Axis.STEP,
            main=False,
            why="the validation of each epoch, by optimiser iteration",
        ),
        Tag("*::epoch_learning_rate*", Role.LR, why="learning rate at the end of the epoch"),
        Tag("*::epoch_loss", Role.LOSS, stem="loss", why="mean over the epoch, with regularisation in training"),
    ),
    notes="batch_* are running means since the epoch began; epoch_loss of training holds regularisation that validation does not.",
)
