"""Coqui TTS Trainer: ``TrainIterStats/``, ``TrainEpochStats/``, ``EvalStats/``."""

from tbdiag.model import Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="Coqui TTS",
    source="coqui-ai/Trainer: trainer/logging/base_dash_logger.py, tensorboard_logger.py, trainer.py",
    signs={"trainiterstats/*": 0.8, "trainepochstats/*": 0.4, "evalstats/*": 0.4},
    tags=(
        Tag(
            "trainiterstats/loss",
            Role.LOSS,
            Split.TRAIN,
            stem="loss",
            main=True,
            writer=Writer(mean_window=1),
            why="one step, divided by the accumulation steps",
        ),
        Tag("trainepochstats/avg_loss", Role.LOSS, Split.TRAIN, stem="loss", main=False, why="mean over the epoch"),
        Tag("evalstats/avg_loss", Role.LOSS, Split.VAL, stem="loss", main=True),
        Tag(
            "trainiterstats/grad_norm",
            Role.GRAD_NORM,
            stem="grad_norm",
            main=True,
            writer=Writer(nan_as=0.0),
            why="a NaN or infinite norm is logged as 0",
        ),
        Tag(
            "trainepochstats/avg_grad_norm",
            Role.GRAD_NORM,
            stem="grad_norm",
            writer=Writer(nan_as=0.0),
            why="a NaN or infinite norm counts as 0",
        ),
        Tag("trainepochstats/avg_loader_time", Role.LOADER_TIME, main=False),
        Tag("trainepochstats/*time", Role.STEP_TIME, main=False),
        Tag("evalstats/avg_loader_time", Role.LOADER_TIME, main=False),
        Tag("trainepochstats/avg_loss_*", Role.LOSS_COMPONENT, Split.TRAIN),
        Tag("*amp_scaler", Role.LOSS_SCALE),
        Tag("*current_lr*", Role.LR),
    ),
    notes="NaN or infinite gradient norms are logged as 0, so exact zeros are non-finite gradients; the train loss is divided by the accumulation steps, the validation loss is not.",
)
