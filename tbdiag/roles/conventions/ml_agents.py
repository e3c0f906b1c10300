"""Unity ML-Agents: ``Environment/``, ``Losses/``, ``Policy/`` by trainer step."""

from tbdiag.model import Axis, Direction, Domain, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="ML-Agents",
    source="Unity-Technologies/ml-agents: ml-agents/mlagents/trainers/stats.py",
    signs={"environment/cumulative reward": 1.0, "environment/episode length": 0.3, "losses/policy loss": 0.3, "policy/entropy": 0.2},
    axis=Axis.ENV_STEP,
    domain=Domain.REINFORCEMENT,
    writer=Writer(mean_window=0),
    tags=(
        Tag(
            "environment/cumulative reward",
            Role.REWARD,
            Split.TRAIN,
            stem="reward",
            main=True,
            why="mean return of the episodes of the summary period",
        ),
        Tag("environment/episode length", Role.EPISODE_LENGTH),
        Tag("environment/lesson*", Role.COUNTER),
        Tag("self-play/elo", Role.METRIC, Split.TRAIN, stem="elo"),
        Tag("losses/policy loss", Role.POLICY_LOSS, main=True),
        Tag("losses/value loss", Role.VALUE_LOSS, main=True),
        Tag("losses/*", Role.LOSS_COMPONENT, Split.TRAIN, Direction.NONE),
        Tag("policy/entropy", Role.ENTROPY, main=True),
        Tag("policy/learning rate", Role.LR),
        Tag("policy/extrinsic reward", Role.REWARD, Split.TRAIN, main=False),
        Tag("policy/*reward", Role.REWARD, Split.TRAIN, main=False),
        Tag("policy/*value", Role.PREDICTION_STAT, direction=Direction.NONE, sub_kind="mean", why="value estimate of SAC"),
        Tag("policy/*entropy coeff", Role.COUNTER, why="weight of the entropy in SAC's objective, which it tunes"),
        Tag("policy/*estimate", Role.PREDICTION_STAT, direction=Direction.NONE, sub_kind="mean"),
        Tag("policy/epsilon", Role.COUNTER),
        Tag("policy/beta", Role.COUNTER),
        Tag("is training", Role.COUNTER),
    ),
)
