"""Detectron2: ``total_loss`` and parts, medians of 20 iterations."""

from tbdiag.model import Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="Detectron2",
    source="facebookresearch/detectron2: detectron2/engine/train_loop.py, hooks.py, utils/events.py",
    signs={
        "total_loss": 0.5,
        "loss_box_reg": 0.4,
        "loss_rpn_cls": 0.5,
        "fast_rcnn/*": 0.5,
        "eta_seconds": 0.3,
        "data_time": 0.2,
        "bbox/ap": 0.3,
        "roi_head/*": 0.2,
    },
    writer=Writer(median_window=20),
    tags=(
        Tag("total_loss", Role.LOSS, Split.TRAIN, stem="loss", main=True, why="median of 20 iterations"),
        Tag("validation_loss", Role.LOSS, Split.VAL, stem="loss", writer=Writer()),
        Tag("bbox/ap", Role.METRIC, Split.VAL, stem="ap", main=True, writer=Writer()),
        Tag("segm/ap", Role.METRIC, Split.VAL, stem="ap_segm", writer=Writer()),
        Tag("keypoints/ap", Role.METRIC, Split.VAL, stem="ap_keypoints", writer=Writer()),
        Tag("bbox/ap-*", Role.CLASS_METRIC, Split.VAL, writer=Writer(), why="AP of one class"),
        Tag("*/ap*", Role.METRIC, Split.VAL, main=False, writer=Writer()),
        Tag("fast_rcnn/cls_accuracy", Role.METRIC, Split.TRAIN, stem="cls_accuracy"),
        Tag("fast_rcnn/fg_cls_accuracy", Role.METRIC, Split.TRAIN, stem="fg_cls_accuracy", main=False),
        Tag("fast_rcnn/false_negative", Role.METRIC, Split.TRAIN, stem="false_negative", main=False),
        Tag("mask_rcnn/*", Role.METRIC, Split.TRAIN, main=False),
        Tag("roi_head/*", Role.COUNTER),
        Tag("rpn/*", Role.COUNTER),
        Tag("eta_seconds", Role.COUNTER),
        Tag("*grad_scaler", Role.LOSS_SCALE),
    ),
    notes="values are medians of 20 iterations, so spikes are hidden; the program stops at NaN, so the log ends without one.",
)
