"""Hugging Face Trainer, and what builds on it: Axolotl, LLaMA-Factory, TRL SFT."""

from tbdiag.model import Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

LOSS_WRITER = Writer(mean_window=0, quantum=1e-4, nan_as=0.0)

CONVENTION = Convention(
    name="HF Trainer",
    source="huggingface/transformers: src/transformers/integrations/integration_utils.py (rewrite_logs), trainer.py; axolotl: src/axolotl/core/builders/base.py",
    signs={
        "train/learning_rate": 0.3,
        "train/epoch": 0.3,
        "train/grad_norm": 0.2,
        "eval/runtime": 0.4,
        "train/total_flos": 0.5,
        "train/train_runtime": 0.5,
        "train/train_loss": 0.2,
        "train/loss": 0.1,
        "args/text_summary": 0.35,
    },
    tags=(
        Tag(
            "train/loss",
            Role.LOSS,
            Split.TRAIN,
            stem="loss",
            writer=LOSS_WRITER,
            why="mean over logging_steps, rounded to 4 decimals, NaN steps replaced",
        ),
        Tag("eval/loss", Role.LOSS, Split.VAL, stem="loss"),
        Tag("eval/*_loss", Role.LOSS, Split.VAL, stem="loss", why="loss on one of several evaluation sets"),
        Tag("train/train_loss", Role.COUNTER, why="mean over the whole run, written once at its end"),
        Tag("train/total_flos", Role.COUNTER),
        Tag("train/train_*", Role.COUNTER, why="written once at the end of the run"),
        Tag("train/epoch", Role.EPOCH),
        Tag("train/grad_norm", Role.GRAD_NORM, stem="grad_norm", why="norm before clipping"),
        Tag("train/learning_rate", Role.LR),
        Tag("train/mean_token_accuracy", Role.METRIC, Split.TRAIN, stem="token_accuracy"),
        Tag("eval/mean_token_accuracy", Role.METRIC, Split.VAL, stem="token_accuracy"),
        Tag("*/num_tokens", Role.COUNTER),
        Tag("*/num_input_tokens_seen", Role.COUNTER),
        Tag("*/entropy", Role.PREDICTION_STAT, sub_kind="entropy", stem="prediction"),
        Tag("eval/*runtime", Role.COUNTER),
        Tag("eval/*per_second", Role.COUNTER),
        Tag("eval/*model_preparation_time", Role.COUNTER),
    ),
    notes="loss is a mean over logging_steps rounded to 4 decimals; logging_nan_inf_filter hides NaN losses: exact zeros with a NaN grad_norm.",
)
