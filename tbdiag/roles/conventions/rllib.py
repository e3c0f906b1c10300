"""Ray RLlib through Tune: everything below ``ray/tune/``; NaN values are not written."""

from tbdiag.model import Axis, Direction, Domain, Role, Split, Writer
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="RLlib",
    source="ray-project/ray: python/ray/tune/logger/tensorboardx.py, rllib/algorithms",
    signs={"ray/tune/*": 0.8, "ray/tune/episode_reward_mean": 0.5, "ray/tune/env_runners/*": 0.5},
    axis=Axis.ENV_STEP,
    domain=Domain.REINFORCEMENT,
    writer=Writer(drops_nan=True),
    tags=(
        Tag("ray/tune/episode_reward_mean", Role.REWARD, Split.TRAIN, stem="reward", main=True),
        Tag("ray/tune/env_runners/episode_return_mean", Role.REWARD, Split.TRAIN, stem="reward", main=True),
        Tag("ray/tune/env_runners/episode_reward_mean", Role.REWARD, Split.TRAIN, stem="reward"),
        Tag("ray/tune/evaluation/*episode_re*_mean", Role.REWARD, Split.VAL, stem="reward", main=True),
        Tag("ray/tune/*episode_len_mean", Role.EPISODE_LENGTH),
        Tag("ray/tune/*total_loss", Role.LOSS, Split.TRAIN, Direction.NONE, stem="loss"),
        Tag("ray/tune/*policy_loss", Role.POLICY_LOSS),
        Tag("ray/tune/*vf_loss", Role.VALUE_LOSS),
        Tag("ray/tune/*vf_explained_var", Role.EXPLAINED_VARIANCE),
        Tag("ray/tune/*/kl", Role.APPROX_KL),
        Tag("ray/tune/*mean_kl_loss", Role.APPROX_KL),
        Tag("ray/tune/*/entropy", Role.ENTROPY),
        Tag("ray/tune/*cur_lr", Role.LR),
        Tag("ray/tune/*learning_rate", Role.LR),
        Tag("ray/tune/*grad_gnorm", Role.GRAD_NORM, stem="grad_norm"),
        Tag("ray/tune/*gradients_*norm*", Role.GRAD_NORM, stem="grad_norm"),
        Tag("ray/tune/*per_sec*", Role.THROUGHPUT),
        Tag("ray/tune/*hist_stats/*", Role.UNKNOWN),
        Tag("ray/tune/*reward_m*", Role.REWARD, Split.TRAIN, main=False),
        Tag("ray/tune/*return_m*", Role.REWARD, Split.TRAIN, main=False),
        Tag("ray/tune/*time*", Role.COUNTER),
        Tag("ray/tune/*iteration*", Role.COUNTER),
    ),
    notes="NaN values are not written: missing points stand for them.",
)
