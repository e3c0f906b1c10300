"""fastai: ``train_loss`` smoothed, by iteration; hyper-parameters per group."""

from tbdiag.model import Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="fastai",
    source="fastai/fastai: fastai/callback/tensorboard.py",
    signs={"lr_0": 0.4, "mom_0": 0.6, "sqr_mom_0": 0.5, "eps_0": 0.3, "wd_0": 0.4, "train_loss": 0.1, "valid_loss": 0.1},
    tags=(
        Tag("train_loss", Role.LOSS, Split.TRAIN, stem="loss", writer=Writer(running_mean=True), why="exponentially smoothed"),
        Tag("valid_loss", Role.LOSS, Split.VAL, stem="loss"),
        Tag("lr_*", Role.LR),
        Tag("mom_*", Role.COUNTER),
        Tag("sqr_mom_*", Role.COUNTER),
        Tag("wd_*", Role.COUNTER),
        Tag("eps_*", Role.COUNTER),
        Tag("accuracy", Role.METRIC, Split.VAL, stem="accuracy"),
        Tag("error_rate", Role.METRIC, Split.VAL, stem="error_rate"),
    ),
    notes="train_loss is an exponential mean: spikes are smoothed away.",
)
