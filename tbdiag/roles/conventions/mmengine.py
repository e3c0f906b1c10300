"""MMEngine: MMDetection, MMSegmentation, MMPretrain. Train by iteration, validation by epoch."""

from tbdiag.model import Axis, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="MMEngine",
    source="open-mmlab/mmengine: mmengine/hooks/logger_hook.py, runner/log_processor.py",
    signs={
        "data_time": 0.3,
        "time": 0.3,
        "base_lr": 0.4,
        "memory": 0.2,
        "iter": 0.2,
        "coco/*": 0.5,
        "accuracy/top1": 0.4,
        "lr": 0.1,
        "loss": 0.1,
        "miou": 0.3,
        "train/data_time": 0.4,
        "train/time": 0.3,
        "*bbox_map": 0.4,
    },
    writer=Writer(mean_window=10),
    tags=(
        Tag("train/loss", Role.LOSS, Split.TRAIN, stem="loss", main=True),
        Tag("loss", Role.LOSS, Split.TRAIN, stem="loss", main=True),
        Tag("val/loss", Role.LOSS, Split.VAL, stem="loss", writer=Writer()),
        Tag("coco/bbox_map", Role.METRIC, Split.VAL, stem="map", main=True, writer=Writer()),
        Tag("coco/segm_map", Role.METRIC, Split.VAL, stem="map_segm", writer=Writer()),
        Tag("coco/*", Role.METRIC, Split.VAL, main=False, writer=Writer()),
        Tag("accuracy/top1", Role.METRIC, Split.VAL, stem="accuracy", main=True, writer=Writer()),
        Tag("accuracy/top5", Role.METRIC, Split.VAL, stem="top5_accuracy", writer=Writer()),
        Tag("miou", Role.METRIC, Split.VAL, stem="miou", main=True, writer=Writer()),
        Tag("macc", Role.METRIC, Split.VAL, stem="accuracy_mean", writer=Writer()),
        Tag("aacc", Role.METRIC, Split.VAL, stem="accuracy_all", writer=Writer()),
        Tag("decode.acc_seg", Role.METRIC, Split.TRAIN, stem="accuracy_seg"),
        Tag("decode.loss_*", Role.LOSS_COMPONENT, Split.TRAIN),
        Tag("*base_lr", Role.LR, main=False),
        Tag("*data_time", Role.LOADER_TIME, writer=Writer()),
        Tag("*iter", Role.COUNTER, axis=Axis.STEP),
        Tag("*epoch", Role.EPOCH),
    ),
    notes="train tags count iterations, validation tags epochs in the same run; losses are means of the last 10 iterations.",
)
