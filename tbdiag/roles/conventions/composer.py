"""MosaicML Composer."""

from tbdiag.model import Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="Composer",
    source="mosaicml/composer: composer/trainer/trainer.py, callbacks/optimizer_monitor.py, speed_monitor.py, lr_monitor.py",
    signs={
        "loss/train/total": 1.0,
        "metrics/eval/*": 0.3,
        "lr-*/group0": 0.4,
        "l2_norm/grad/global": 0.4,
        "trainer/*": 0.2,
        "time/batch": 0.3,
    },
    writer=Writer(mean_window=1),
    tags=(
        Tag("loss/train/total", Role.LOSS, Split.TRAIN, stem="loss", main=True),
        Tag("loss/train/*", Role.LOSS_COMPONENT, Split.TRAIN),
        Tag("metrics/eval/*crossentropy", Role.LOSS, Split.VAL, stem="loss", main=True, why="cross-entropy on evaluation"),
        Tag("metrics/eval/*", split=Split.VAL),
        Tag("metrics/train/*", split=Split.TRAIN),
        Tag("l2_norm/grad/global", Role.GRAD_NORM, stem="grad_norm", main=True),
        Tag("l2_norm/param/global", Role.WEIGHT_NORM, stem="weight_norm", main=True),
        Tag("l2_norm/grad/*", Role.LAYER_GRAD_NORM, layer=True),
        Tag("l2_norm/param/*", Role.LAYER_WEIGHT_NORM, layer=True),
        Tag("l2_norm/*", Role.COUNTER),
        Tag("lr-*/group*", Role.LR),
        Tag("time/*", Role.COUNTER),
        Tag("trainer/*", Role.COUNTER),
        Tag("throughput/device/mfu", Role.THROUGHPUT, main=False),
        Tag("throughput/*", Role.THROUGHPUT),
    ),
)
