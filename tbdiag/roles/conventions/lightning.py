"""PyTorch Lightning: user tags, forked into ``_step`` and ``_epoch``; everything by global step."""

from tbdiag.model import Role, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="PyTorch Lightning",
    source="Lightning-AI/pytorch-lightning: src/lightning/pytorch/loggers/tensorboard.py, callbacks/lr_monitor.py, utilities/grads.py",
    signs={
        "epoch": 0.6,
        "hp_metric": 0.7,
        "*_loss_step": 0.3,
        "*_loss_epoch": 0.3,
        "lr-*": 0.5,
        "grad_2.0_norm*": 0.8,
        "*/dataloader_idx_*": 0.4,
        "*train_loss*": 0.1,
        "*val_loss*": 0.1,
    },
    tags=(
        Tag("epoch", Role.EPOCH, why="number of the epoch"),
        Tag("hp_metric", Role.IGNORED, why="a number for the hparams page, -1 unless the script sets it"),
        Tag("grad_2.0_norm_total", Role.GRAD_NORM, stem="grad_norm", main=True, why="norm of all gradients"),
        Tag("lr-*-momentum", Role.COUNTER),
        Tag("lr-*-weight_decay", Role.COUNTER),
        Tag("lr-*", Role.LR, why="LearningRateMonitor"),
        Tag("*loss_step", writer=Writer(mean_window=1), why="one batch"),
        Tag("*loss_epoch", writer=Writer(mean_window=None), why="mean over the epoch"),
    ),
    notes="_step is one batch, _epoch the mean over the epoch, both at the global step; hp_metric is -1 unless the script sets it.",
)
