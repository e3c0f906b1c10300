"""TRL preference tuning (DPO, CPO, KTO, ORPO) on the HF Trainer; torchtune DPO names the same without a prefix."""

from tbdiag.model import Direction, Domain, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

LOSS_WRITER = Writer(mean_window=0, quantum=1e-4, nan_as=0.0)

CONVENTION = Convention(
    name="TRL preference",
    source="huggingface/trl: trl/trainer/dpo_trainer.py, kto_trainer.py, cpo_trainer.py; transformers rewrite_logs",
    signs={
        "train/rewards/margins": 1.0,
        "train/rewards/accuracies": 0.6,
        "train/rewards/chosen": 0.6,
        "train/logps/chosen": 0.3,
        "train/learning_rate": 0.3,
        "train/epoch": 0.3,
        "train/grad_norm": 0.2,
        "eval/runtime": 0.4,
        "train/total_flos": 0.5,
        "train/train_runtime": 0.5,
        "train/train_loss": 0.2,
        "train/loss": 0.1,
    },
    domain=Domain.PREFERENCE,
    tags=(
        Tag("train/loss", Role.LOSS, Split.TRAIN, stem="loss", writer=LOSS_WRITER, why="starts at ln 2 for the sigmoid loss"),
        Tag("eval/loss", Role.LOSS, Split.VAL, stem="loss"),
        Tag("*rewards/chosen", Role.CHOSEN_REWARD),
        Tag("*rewards/rejected", Role.REJECTED_REWARD),
        Tag("*rewards/margins", Role.REWARD_MARGIN),
        Tag("*rewards/accuracies", Role.PREFERENCE_ACCURACY, why="share of pairs ranked right; chance is 0.5"),
        Tag("*logps/*", Role.PREDICTION_STAT, direction=Direction.NONE, stem="logps"),
        Tag("*logits/*", Role.PREDICTION_STAT, direction=Direction.NONE, stem="logits"),
        Tag("train/train_*", Role.COUNTER),
        Tag("train/total_flos", Role.COUNTER),
        Tag("train/epoch", Role.EPOCH),
        Tag("train/kl", Role.APPROX_KL),
        Tag("train/grad_norm", Role.GRAD_NORM, stem="grad_norm"),
        Tag("train/learning_rate", Role.LR),
        Tag("eval/*runtime", Role.COUNTER),
        Tag("eval/*per_second", Role.COUNTER),
    ),
    notes="chosen and rejected rewards that fall together while the margin grows are likelihood displacement.",
)
