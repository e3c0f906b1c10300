"""TRL PPO (experimental) and reward modelling."""

from tbdiag.model import Direction, Domain, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

PPO = Convention(
    name="TRL PPO",
    source="huggingface/trl: trl/experimental/ppo/ppo_trainer.py",
    signs={"*objective/rlhf_reward": 1.0, "*objective/kl": 0.4, "*policy/approxkl_avg": 0.5, "*loss/policy_avg": 0.4},
    domain=Domain.REINFORCEMENT,
    tags=(
        Tag("*objective/rlhf_reward", Role.REWARD, Split.TRAIN, stem="reward", main=True),
        Tag("*objective/scores", Role.REWARD, Split.TRAIN, main=False),
        Tag("*objective/non_score_reward", Role.REWARD, Split.TRAIN, main=False),
        Tag("*objective/kl", Role.APPROX_KL, why="distance from the reference model"),
        Tag("*objective/entropy", Role.ENTROPY, main=False),
        Tag("*policy/approxkl_avg", Role.APPROX_KL, main=True, why="distance of one update"),
        Tag("*policy/clipfrac_avg", Role.POLICY_CLIP_FRACTION),
        Tag("*policy/entropy_avg", Role.ENTROPY, main=True),
        Tag("*val/ratio*", Role.UNKNOWN, Split.TRAIN, why="probability ratio of the value batch, no validation"),
        Tag("*val/*", Role.UNKNOWN, Split.TRAIN, why="value function, no validation"),
        Tag("*loss/policy_avg", Role.POLICY_LOSS),
        Tag("*loss/value_avg", Role.VALUE_LOSS),
        Tag("*eps", Role.COUNTER),
        Tag("*episode", Role.COUNTER),
    ),
)
REWARD_MODEL = Convention(
    name="TRL reward model",
    source="huggingface/trl: trl/trainer/reward_trainer.py",
    signs={
        "train/margin": 0.8,
        "train/mean_reward": 0.4,
        "train/accuracy": 0.1,
        "train/learning_rate": 0.1,
        "train/epoch": 0.1,
        "train/min_reward": 0.3,
    },
    domain=Domain.PREFERENCE,
    writer=Writer(mean_window=0),
    tags=(
        Tag("train/loss", Role.LOSS, Split.TRAIN, stem="loss", writer=Writer(mean_window=0, quantum=1e-4, nan_as=0.0)),
        Tag("*/margin", Role.REWARD_MARGIN),
        Tag("*/accuracy", Role.PREFERENCE_ACCURACY, why="share of pairs ranked right; chance is 0.5"),
        Tag("*/mean_reward", Role.PREDICTION_STAT, direction=Direction.NONE, sub_kind="mean"),
        Tag("*/min_reward", Role.PREDICTION_STAT, direction=Direction.NONE, sub_kind="min"),
        Tag("*/max_reward", Role.PREDICTION_STAT, direction=Direction.NONE, sub_kind="max"),
        Tag("train/epoch", Role.EPOCH),
    ),
)
CONVENTIONS = (PPO, REWARD_MODEL)
