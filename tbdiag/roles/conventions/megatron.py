"""Megatron-LM: hyphenated tags, each twice (by iteration and `` vs samples``)."""

from tbdiag.model import Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="Megatron-LM",
    source="NVIDIA/Megatron-LM: megatron/training/training.py",
    signs={
        "learning-rate": 0.4,
        "grad-norm": 0.3,
        "params-norm": 0.3,
        "iteration-time": 0.3,
        "batch-size": 0.2,
        "* vs samples": 0.5,
        "lm loss": 0.5,
        "loss-scale": 0.2,
    },
    writer=Writer(mean_window=0),
    tags=(
        Tag("lm loss", Role.LOSS, Split.TRAIN, stem="loss", main=True, why="mean over the log interval"),
        Tag("lm loss validation", Role.LOSS, Split.VAL, stem="loss", main=True, writer=Writer()),
        Tag("lm loss validation ppl", Role.METRIC, Split.VAL, stem="perplexity", writer=Writer(), why="exponential of the validation loss"),
        Tag("grad-norm", Role.GRAD_NORM, stem="grad_norm", writer=Writer(mean_window=1), why="norm before clipping"),
        Tag("learning-rate", Role.LR, writer=Writer(mean_window=1)),
        Tag("num-zeros", Role.COUNTER),
        Tag("max_attention_logit", Role.PREDICTION_STAT, sub_kind="max"),
        Tag("skipped-train-samples", Role.COUNTER),
        Tag("world-size", Role.COUNTER),
        Tag("mem-*", Role.MEMORY),
        Tag("load_balancing_loss", Role.LOSS_COMPONENT, stem="load_balancing_loss"),
        Tag("*-loss vs samples", Role.IGNORED),
    ),
    notes="every tag is repeated with the suffix ' vs samples' on the axis of consumed samples.",
)
