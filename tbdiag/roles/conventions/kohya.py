"""kohya sd-scripts: LoRA and fine-tuning of diffusion models."""

from tbdiag.model import Direction, Domain, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="kohya sd-scripts",
    source="kohya-ss/sd-scripts: train_network.py, library/train_util.py",
    signs={
        "loss/current": 0.6,
        "loss/average": 0.5,
        "loss/epoch_average": 0.3,
        "lr/unet": 0.4,
        "lr/textencoder": 0.3,
        "loss/validation/*": 0.3,
        "lr/d*lr*": 0.3,
        "norm/avg_grad_norm": 0.2,
    },
    domain=Domain.DIFFUSION,
    tags=(
        Tag(
            "loss/current",
            Role.LOSS,
            Split.TRAIN,
            Direction.LOWER,
            "loss",
            main=True,
            writer=Writer(mean_window=1),
            why="one batch at random timesteps",
        ),
        Tag(
            "loss/average",
            Role.LOSS,
            Split.TRAIN,
            Direction.LOWER,
            "loss",
            main=False,
            writer=Writer(running_mean=True),
            why="moving mean over an epoch",
        ),
        Tag("loss/epoch_average", Role.LOSS, Split.TRAIN, Direction.LOWER, "loss", main=False, why="mean over the epoch, by epoch"),
        Tag("loss/epoch", Role.LOSS, Split.TRAIN, Direction.LOWER, "loss", main=False),
        Tag("loss/validation/step_average", Role.LOSS, Split.VAL, Direction.LOWER, "loss", main=True),
        Tag("loss/validation/epoch_average", Role.LOSS, Split.VAL, Direction.LOWER, "loss"),
        Tag("loss/validation/step_current", Role.LOSS, Split.VAL, Direction.LOWER, "loss", main=False),
        Tag("loss/validation/*divergence", Role.PREDICTION_STAT, Split.VAL, sub_kind="divergence", why="validation minus train loss"),
        Tag("lr/d*lr*", Role.LR, main=False, why="effective rate of an adaptive optimiser"),
        Tag("lr/textencoder*", Role.LR, main=False),
        Tag("lr/*", Role.LR),
        Tag("norm/avg_grad_norm", Role.GRAD_NORM, stem="grad_norm"),
        Tag("norm/*", Role.WEIGHT_NORM, stem="weight_norm"),
        Tag("max_norm/*", Role.COUNTER),
    ),
    notes="the loss barely moves and is dominated by the noise of the timesteps: plateau and no-learning mean nothing here.",
)
