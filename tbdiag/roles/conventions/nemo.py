"""NVIDIA NeMo on Lightning: language models, speech."""

from tbdiag.model import Direction, Domain, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

LLM = Convention(
    name="NeMo LLM",
    source="NVIDIA/NeMo: nemo/collections/nlp/models/language_modeling/megatron_gpt_model.py, nemo/lightning/pytorch/strategies/megatron_strategy.py",
    signs={"reduced_train_loss": 1.0, "consumed_samples": 0.2, "train_step_timing in s": 0.3},
    domain=Domain.LANGUAGE_MODEL,
    tags=(
        Tag("reduced_train_loss", Role.LOSS, Split.TRAIN, stem="loss", main=True, why="mean over the data-parallel ranks"),
        Tag("val_loss", Role.LOSS, Split.VAL, stem="loss"),
        Tag("l2_norm/grad/*", Role.LAYER_GRAD_NORM, layer=True),
        Tag("consumed_samples", Role.COUNTER),
        Tag("global_batch_size", Role.COUNTER, stem="global_batch_size"),
        Tag("train_step_timing in s", Role.STEP_TIME),
        Tag("validation_step_timing in s", Role.STEP_TIME, main=False),
        Tag("global_step", Role.COUNTER),
        Tag("epoch", Role.EPOCH),
    ),
)
SPEECH = Convention(
    name="NeMo speech",
    source="NVIDIA/NeMo: nemo/collections/asr/models/ctc_models.py",
    signs={"training_batch_wer": 1.0, "val_wer": 0.3, "train_step_timing in s": 0.3, "global_step": 0.1},
    tags=(
        Tag("training_batch_wer", Role.METRIC, Split.TRAIN, Direction.LOWER, stem="wer", writer=Writer(mean_window=1)),
        Tag("val_wer", Role.METRIC, Split.VAL, Direction.LOWER, stem="wer", main=True),
        Tag("train_step_timing in s", Role.STEP_TIME),
        Tag("validation_step_timing in s", Role.STEP_TIME, main=False),
    ),
)
CONVENTIONS = (LLM, SPEECH)
