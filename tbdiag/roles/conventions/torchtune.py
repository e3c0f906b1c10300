"""torchtune: bare tags by global step; DPO recipes add rewards."""

from tbdiag.model import Domain, Role, Split
from tbdiag.roles.convention import Convention, Tag

DPO = Convention(
    name="torchtune DPO",
    source="pytorch/torchtune: recipes/lora_dpo_distributed.py",
    signs={"rewards/margins": 0.7, "rewards/chosen": 0.4, "log_probs/chosen": 0.3, "tokens_per_second_per_gpu": 0.2},
    domain=Domain.PREFERENCE,
    tags=(
        Tag("loss", Role.LOSS, Split.TRAIN, stem="loss"),
        Tag("rewards/chosen", Role.CHOSEN_REWARD),
        Tag("rewards/rejected", Role.REJECTED_REWARD),
        Tag("rewards/margins", Role.REWARD_MARGIN),
        Tag("rewards/accuracies", Role.PREFERENCE_ACCURACY),
        Tag("log_probs/*", Role.PREDICTION_STAT, stem="logps"),
        Tag("logits/*", Role.PREDICTION_STAT, stem="logits"),
    ),
)
FINETUNE = Convention(
    name="torchtune",
    source="pytorch/torchtune: recipes/full_finetune_single_device.py and siblings",
    signs={"tokens_per_second_per_gpu": 0.9, "peak_memory_*": 0.4, "loss": 0.1, "lr": 0.1},
    domain=Domain.LANGUAGE_MODEL,
    tags=(
        Tag("loss", Role.LOSS, Split.TRAIN, stem="loss"),
        Tag("val_loss", Role.LOSS, Split.VAL, stem="loss"),
        Tag("peak_memory_*", Role.MEMORY),
    ),
)
CONVENTIONS = (DPO, FINETUNE)
