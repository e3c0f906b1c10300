"""TF Estimator: train tags in the run, evaluation in ``eval/`` or ``eval_<name>/``."""

from tbdiag.model import Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="TF Estimator",
    source="tensorflow/estimator: tensorflow_estimator/python/estimator/estimator.py, canned/metric_keys.py",
    signs={
        "global_step/sec": 0.8,
        "*global_step/sec": 0.3,
        "eval/*": 0.4,
        "eval_*": 0.3,
        "enqueue_input/*": 0.3,
        "*average_loss": 0.3,
        "*accuracy_baseline": 0.4,
    },
    writer=Writer(mean_window=1),
    tags=(
        Tag("enqueue_input/*", Role.IGNORED, why="state of the input queue"),
        Tag("*accuracy_baseline", Role.BASELINE, why="accuracy of always answering the majority class"),
        Tag("*average_loss", Role.LOSS, main=False, stem="loss", why="loss per example beside the loss per batch"),
        Tag("*regularization_loss", Role.LOSS_COMPONENT, stem="regularization_loss"),
        Tag("*label/mean", Role.LABEL_SHARE, sub_kind="mean", stem="label"),
        Tag("*prediction/mean", Role.PREDICTION_STAT, sub_kind="mean", stem="prediction"),
        Tag("eval*::loss", Role.LOSS, Split.VAL, stem="loss"),
        Tag("*::learning_rate*", Role.LR),
    ),
    notes="loss is one raw batch; accuracy at or below accuracy_baseline is the majority class.",
)
