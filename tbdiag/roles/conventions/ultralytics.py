"""Ultralytics YOLOv8 and later, and YOLOv5: parts of the loss, no total; everything by epoch."""

from tbdiag.model import Axis, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

METRICS = (
    Tag("metrics/map50-95(b)", Role.METRIC, Split.VAL, stem="map50_95", main=True),
    Tag("metrics/map50-95(*)", Role.METRIC, Split.VAL, stem="map50_95_part"),
    Tag("metrics/map50(b)", Role.METRIC, Split.VAL, stem="map50"),
    Tag("metrics/map_0.5:0.95", Role.METRIC, Split.VAL, stem="map50_95", main=True),
    Tag("metrics/map_0.5", Role.METRIC, Split.VAL, stem="map50"),
    Tag("metrics/accuracy_top1", Role.METRIC, Split.VAL, stem="accuracy", main=True),
    Tag("metrics/accuracy_top5", Role.METRIC, Split.VAL, stem="top5_accuracy"),
    Tag("metrics/precision(b)", Role.METRIC, Split.VAL, stem="precision"),
    Tag("metrics/recall(b)", Role.METRIC, Split.VAL, stem="recall"),
    Tag("metrics/*", split=Split.VAL, why="measured on validation"),
)
V8 = Convention(
    name="Ultralytics",
    source="ultralytics/ultralytics: ultralytics/utils/callbacks/tensorboard.py",
    signs={
        "lr/pg0": 0.6,
        "lr/pg1": 0.3,
        "train/box_loss": 0.3,
        "val/box_loss": 0.2,
        "train/dfl_loss": 0.3,
        "metrics/map50(b)": 0.5,
        "metrics/accuracy_top1": 0.5,
        "train/cls_loss": 0.1,
    },
    axis=Axis.EPOCH,
    writer=Writer(mean_window=None),
    losses_sum=True,
    tags=(*METRICS, Tag("lr/pg*", Role.LR, why="learning rate of one parameter group; that of the biases may warm down")),
    notes="no total loss: the sum of the weighted parts stands for it; the group of the biases may warm up from above.",
)
V5 = Convention(
    name="YOLOv5",
    source="ultralytics/yolov5: utils/loggers/__init__.py, classify/train.py",
    signs={
        "x/lr0": 0.8,
        "train/obj_loss": 0.6,
        "metrics/map_0.5": 0.6,
        "metrics/accuracy_top1": 0.3,
        "metrics/accuracy_top5": 0.3,
        "lr/0": 0.5,
    },
    axis=Axis.EPOCH,
    writer=Writer(mean_window=None),
    losses_sum=True,
    tags=(*METRICS, Tag("x/lr*", Role.LR), Tag("lr/0", Role.LR)),
    notes="classification logs one loss, of a folder called test or val, and metrics/accuracy_top1 of the same.",
)
CONVENTIONS = (V8, V5)
