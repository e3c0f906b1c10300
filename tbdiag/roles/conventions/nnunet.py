"""Forks of nnU-Net v2 that log its names; the repository itself writes no TensorBoard."""

from tbdiag.model import Axis, Direction, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="nnU-Net",
    source="MIC-DKFZ/nnUNet: nnunetv2/training/logging/nnunet_logger.py",
    signs={"ema_fg_dice": 0.7, "mean_fg_dice": 0.6, "train_losses": 0.3, "val_losses": 0.3, "lrs": 0.2},
    axis=Axis.EPOCH,
    tags=(
        Tag("train_losses", Role.LOSS, Split.TRAIN, Direction.LOWER, "loss", why="Dice and cross-entropy: negative when good"),
        Tag("val_losses", Role.LOSS, Split.VAL, Direction.LOWER, "loss"),
        Tag("mean_fg_dice", Role.METRIC, Split.VAL, Direction.HIGHER, "dice", main=True),
        Tag("ema_fg_dice", Role.METRIC, Split.VAL, Direction.HIGHER, "dice_ema", writer=Writer(running_mean=True)),
        Tag("lrs", Role.LR),
    ),
)
