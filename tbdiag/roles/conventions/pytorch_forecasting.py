"""pytorch-forecasting on Lightning: ``train_loss_step``, ``val_SMAPE`` ..."""

from tbdiag.model import Direction, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="pytorch-forecasting",
    source="sktime/pytorch-forecasting: pytorch_forecasting/models/base_model.py",
    signs={
        "val_smape": 2.0,
        "val_mape": 0.3,
        "val_rmse": 0.3,
        "train_loss_step": 0.2,
        "epoch": 0.1,
        "lr-*": 0.1,
        "hp_metric": 0.1,
        "val_mae": 0.2,
    },
    tags=(
        Tag("train_loss_step", Role.LOSS, Split.TRAIN, stem="loss", writer=Writer(mean_window=1)),
        Tag("val_smape", Role.METRIC, Split.VAL, Direction.LOWER, "smape"),
        Tag("val_mape", Role.METRIC, Split.VAL, Direction.LOWER, "mape"),
        Tag("val_mae", Role.METRIC, Split.VAL, Direction.LOWER, "mae", main=True),
        Tag("val_rmse", Role.METRIC, Split.VAL, Direction.LOWER, "rmse"),
        Tag("train_smape*", Role.METRIC, Split.TRAIN, Direction.LOWER, "smape"),
        Tag("train_mae*", Role.METRIC, Split.TRAIN, Direction.LOWER, "mae"),
        Tag("epoch", Role.EPOCH),
    ),
)
