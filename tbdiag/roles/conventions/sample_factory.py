"""Sample Factory: ``reward/reward``, ``train/``, ``policy_stats/`` by environment step."""

from tbdiag.model import Axis, Direction, Domain, Role, Split
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="Sample Factory",
    source="alex-petrenko/sample-factory: sample_factory/algo/runners/runner.py, algo/learning/learner.py",
    signs={"reward/reward": 0.9, "len/len": 0.4, "policy_stats/avg_*": 0.4, "perf/_fps": 0.3, "0_aux/*": 0.2},
    axis=Axis.ENV_STEP,
    domain=Domain.REINFORCEMENT,
    tags=(
        Tag("reward/reward", Role.REWARD, Split.TRAIN, stem="reward", main=True),
        Tag("reward/*", Role.REWARD, Split.TRAIN, main=False),
        Tag("len/len", Role.EPISODE_LENGTH, main=True),
        Tag("len/*", Role.EPISODE_LENGTH, main=False),
        Tag("policy_stats/avg_true_objective", Role.METRIC, Split.TRAIN, Direction.HIGHER, "true_objective", main=True),
        Tag("policy_stats/*", Role.UNKNOWN, direction=Direction.NONE),
        Tag("train/loss", Role.LOSS, Split.TRAIN, Direction.NONE, stem="loss"),
        Tag("train/policy_loss", Role.POLICY_LOSS, main=True),
        Tag("train/value_loss", Role.VALUE_LOSS, main=True),
        Tag("train/kl_divergence", Role.APPROX_KL, main=True),
        Tag("train/kl_loss", Role.LOSS_COMPONENT, Split.TRAIN, Direction.NONE),
        Tag("train/exploration_loss", Role.LOSS_COMPONENT, Split.TRAIN, Direction.NONE),
        Tag("train/entropy", Role.ENTROPY, main=True),
        Tag("train/fraction_clipped", Role.POLICY_CLIP_FRACTION),
        Tag("train/lr", Role.LR, main=True),
        Tag("train/actual_lr", Role.LR),
        Tag("train/grad_norm", Role.GRAD_NORM, stem="grad_norm"),
        Tag("perf/_fps", Role.THROUGHPUT, main=True),
        Tag("stats/*", Role.COUNTER),
        Tag("0_aux/*", Role.COUNTER),
    ),
)
