"""Stable-Baselines3: ``rollout/``, ``train/``, ``eval/`` by environment timestep."""

from tbdiag.model import Axis, Direction, Domain, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="Stable-Baselines3",
    source="DLR-RM/stable-baselines3: stable_baselines3/common/on_policy_algorithm.py, ppo/ppo.py, sac/sac.py",
    signs={
        "rollout/ep_rew_mean": 0.9,
        "rollout/ep_len_mean": 0.2,
        "time/fps": 0.2,
        "train/explained_variance": 0.1,
        "train/n_updates": 0.1,
    },
    axis=Axis.ENV_STEP,
    domain=Domain.REINFORCEMENT,
    tags=(
        Tag(
            "rollout/ep_rew_mean",
            Role.REWARD,
            Split.TRAIN,
            stem="reward",
            main=True,
            writer=Writer(running_mean=True),
            why="mean return of the last 100 episodes",
        ),
        Tag("rollout/ep_len_mean", Role.EPISODE_LENGTH, writer=Writer(running_mean=True)),
        Tag("rollout/success_rate", Role.METRIC, Split.TRAIN, stem="success_rate", writer=Writer(running_mean=True)),
        Tag("rollout/exploration_rate", Role.COUNTER),
        Tag("eval/mean_reward", Role.REWARD, Split.VAL, stem="reward", main=True),
        Tag("eval/mean_ep_length", Role.EPISODE_LENGTH, main=False),
        Tag("eval/success_rate", Role.METRIC, Split.VAL, stem="success_rate"),
        Tag("train/loss", Role.LOSS, Split.TRAIN, Direction.NONE, stem="loss", writer=Writer(mean_window=1), why="the last minibatch only"),
        Tag("train/policy_gradient_loss", Role.POLICY_LOSS, main=True),
        Tag("train/actor_loss", Role.POLICY_LOSS),
        Tag("train/value_loss", Role.VALUE_LOSS, main=True),
        Tag("train/critic_loss", Role.VALUE_LOSS),
        Tag("train/entropy_loss", Role.ENTROPY, stem="neg_entropy", main=True, why="minus the entropy"),
        Tag("train/clip_fraction", Role.POLICY_CLIP_FRACTION),
        Tag("train/clip_range*", Role.COUNTER),
        Tag("train/ent_coef*", Role.COUNTER),
        Tag("train/std", Role.UNKNOWN, Split.TRAIN, why="standard deviation of the policy's actions"),
        Tag("train/n_updates", Role.COUNTER),
        Tag("time/*", direction=Direction.NONE),
    ),
    notes="ep_rew_mean is a mean over the last 100 episodes; train/loss is the last minibatch only; entropy_loss is minus the entropy.",
)
