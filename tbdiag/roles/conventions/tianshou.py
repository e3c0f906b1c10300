"""Tianshou: ``training/``, ``test/``, ``update/``, ``info/``."""

from tbdiag.model import Axis, Direction, Domain, Role, Split
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="Tianshou",
    source="thu-ml/tianshou: tianshou/utils/logger/logger_base.py, tensorboard.py, data/collector.py",
    signs={
        "test/returns_stat/mean": 0.7,
        "training/returns_stat/mean": 0.6,
        "test/reward": 0.4,
        "train/reward": 0.2,
        "training/env_step": 0.3,
        "train/env_step": 0.3,
        "update/gradient_step": 0.3,
        "test/env_step": 0.3,
    },
    axis=Axis.ENV_STEP,
    domain=Domain.REINFORCEMENT,
    tags=(
        Tag("training/returns_stat/mean", Role.REWARD, Split.TRAIN, stem="reward", main=True),
        Tag("train/reward", Role.REWARD, Split.TRAIN, stem="reward", main=True),
        Tag("test/returns_stat/mean", Role.REWARD, Split.VAL, stem="reward", main=True),
        Tag("test/reward", Role.REWARD, Split.VAL, stem="reward", main=True),
        Tag("test/reward_std", Role.REWARD_STD, main=False),
        Tag("*returns_stat/*", Role.UNKNOWN, direction=Direction.NONE, why="spread of the returns"),
        Tag("training/lens_stat/mean", Role.EPISODE_LENGTH, main=True),
        Tag("*lens_stat/*", Role.EPISODE_LENGTH, main=False),
        Tag("train/length", Role.EPISODE_LENGTH, main=True),
        Tag("test/length", Role.EPISODE_LENGTH, main=False),
        Tag("*env_step", Role.COUNTER),
        Tag("*gradient_step", Role.COUNTER),
        Tag("update/*lr*", Role.LR),
        Tag("update/*vf*loss*", Role.VALUE_LOSS),
        Tag("update/*critic*loss*", Role.VALUE_LOSS),
        Tag("update/*actor*loss*", Role.POLICY_LOSS, main=True),
        Tag("update/*clip*loss*", Role.POLICY_LOSS, main=True),
        Tag("update/*ent*loss*", Role.ENTROPY),
        Tag("update/*loss*", Role.LOSS, Split.TRAIN, Direction.NONE, stem="loss"),
        Tag("update/*", Role.UNKNOWN),
        Tag("info/*", Role.COUNTER),
    ),
)
