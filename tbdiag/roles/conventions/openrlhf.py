"""OpenRLHF: PPO, and SFT, DPO and reward modelling with ``eval/``."""

from tbdiag.model import Direction, Domain, Role, Split
from tbdiag.roles.convention import Convention, Tag

PPO = Convention(
    name="OpenRLHF",
    source="OpenRLHF/OpenRLHF: openrlhf/utils/logging_utils.py, trainer/ppo_trainer.py",
    signs={
        "train/policy_loss": 0.4,
        "train/reward": 0.3,
        "train/response_length": 0.4,
        "train/actor_lr": 0.4,
        "train/ppo_kl": 0.3,
        "train/critic_loss": 0.2,
    },
    domain=Domain.REINFORCEMENT,
    tags=(
        Tag("train/reward", Role.REWARD, Split.TRAIN, stem="reward", main=True),
        Tag("train/return", Role.REWARD, Split.TRAIN, stem="return", main=False),
        Tag("eval/*reward*", Role.REWARD, Split.VAL, stem="reward"),
        Tag("train/policy_loss", Role.POLICY_LOSS, main=True),
        Tag("train/critic_loss", Role.VALUE_LOSS, main=True),
        Tag("train/ppo_kl", Role.APPROX_KL, main=True),
        Tag("train/kl", Role.APPROX_KL, main=False, why="distance from the reference model"),
        Tag("train/ppo_clip_ratio", Role.POLICY_CLIP_FRACTION, main=True),
        Tag("train/response_length", Role.EPISODE_LENGTH, main=True),
        Tag("train/total_length", Role.EPISODE_LENGTH, main=False),
        Tag(
            "train/truncated",
            Role.UNKNOWN,
            Split.TRAIN,
            Direction.NONE,
            sub_kind="clipped_ratio",
            why="share of responses cut at the length limit",
        ),
        Tag("train/actor_grad_norm", Role.GRAD_NORM, stem="grad_norm", main=True),
        Tag("train/actor_lr", Role.LR, main=True),
        Tag("train/critic_lr", Role.LR, main=False),
    ),
)
SFT = Convention(
    name="OpenRLHF SFT",
    source="OpenRLHF/OpenRLHF: openrlhf/trainer/sft_trainer.py, dpo_trainer.py, rm_trainer.py",
    signs={"train/gpt_loss": 0.8, "train/loss_mean": 0.4, "eval/eval gpt_loss": 0.5, "eval/eval_loss": 0.3, "eval/acc_mean": 0.3},
    tags=(
        Tag("train/gpt_loss", Role.LOSS, Split.TRAIN, stem="loss", main=True),
        Tag("train/loss_mean", Role.LOSS, Split.TRAIN, stem="loss", main=False, why="moving mean of the loss"),
        Tag("eval/eval gpt_loss", Role.LOSS, Split.VAL, stem="loss", main=True),
        Tag("eval/eval_loss", Role.LOSS, Split.VAL, stem="loss", main=True),
        Tag("eval/acc_mean", Role.PREFERENCE_ACCURACY, Split.VAL),
    ),
)
CONVENTIONS = (PPO, SFT)
