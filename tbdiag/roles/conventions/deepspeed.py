"""DeepSpeed monitor: the step column counts samples."""

from tbdiag.model import Axis, Role, Split
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="DeepSpeed",
    source="deepspeedai/DeepSpeed: deepspeed/runtime/engine.py, pipe/engine.py",
    signs={"train/samples/train_loss": 1.2, "train/samples/lr": 0.5},
    axis=Axis.SAMPLE,
    tags=(
        Tag("train/samples/train_loss", Role.LOSS, Split.TRAIN, stem="loss", main=True),
        Tag("train/samples/eval_loss", Role.LOSS, Split.VAL, stem="loss", main=True),
        Tag("train/samples/lr", Role.LR, main=True),
        Tag("train/samples/loss_scale", Role.LOSS_SCALE),
        Tag("train/samples/elapsed_time_ms_*", Role.STEP_TIME),
    ),
    notes="steps are samples, not optimiser steps.",
)
