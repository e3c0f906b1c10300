"""T5X and CLU metric writers: sub-runs ``train/``, ``training_eval/<task>/``, ``inference_eval/<task>/``."""

from tbdiag.model import Domain, Role, Split
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="T5X",
    source="google-research/t5x: t5x/trainer.py, t5x/models.py; google/CommonLoopUtils: clu/periodic_actions.py",
    signs={
        "*loss_per_nonpadding_target_token": 0.7,
        "*cross_ent_loss": 0.3,
        "*weight_rms": 0.3,
        "training_eval/*": 0.5,
        "*timing/*": 0.2,
        "*z_loss": 0.2,
    },
    domain=Domain.LANGUAGE_MODEL,
    tags=(
        Tag("training_eval*::loss_per_nonpadding_target_token", Role.LOSS, Split.VAL, stem="loss", main=True),
        Tag("training_eval*::loss", Role.LOSS_COMPONENT, Split.VAL, stem="loss_sum", why="summed over the tokens of the batch"),
        Tag("train::loss_per_nonpadding_target_token", Role.LOSS, Split.TRAIN, stem="loss", main=True),
        Tag("train::loss", Role.LOSS_COMPONENT, Split.TRAIN, stem="loss_sum", why="summed over the tokens of the batch"),
        Tag("*loss_per_all_target_tokens", Role.LOSS_COMPONENT, stem="loss_per_all"),
        Tag("*cross_ent_loss", Role.LOSS_COMPONENT, stem="cross_ent_loss"),
        Tag("*z_loss", Role.LOSS_COMPONENT, stem="z_loss"),
        Tag("inference_eval*::*", split=Split.VAL),
        Tag("*weight_rms/*", Role.LAYER_WEIGHT_NORM, layer=True),
        Tag("*weight_rms", Role.WEIGHT_NORM, stem="weight_norm"),
        Tag("*timing/*seqs_per_second", Role.THROUGHPUT, main=True),
        Tag("*timing/*", Role.COUNTER),
        Tag("*learning_rate", Role.LR),
    ),
)
