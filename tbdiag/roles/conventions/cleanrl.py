"""CleanRL: ``charts/`` and ``losses/`` by global step."""

from tbdiag.model import Axis, Direction, Domain, Role, Split
from tbdiag.roles.convention import Convention, Tag

CONVENTION = Convention(
    name="CleanRL",
    source="vwxyzjn/cleanrl: cleanrl/ppo.py, dqn.py, sac_continuous_action.py",
    signs={"charts/episodic_return": 1.0, "charts/sps": 0.3, "losses/value_loss": 0.2, "charts/learning_rate": 0.2},
    axis=Axis.ENV_STEP,
    domain=Domain.REINFORCEMENT,
    tags=(
        Tag("charts/episodic_return", Role.REWARD, Split.TRAIN, stem="reward", main=True, why="return of one episode"),
        Tag("eval/episodic_return", Role.REWARD, Split.VAL, stem="reward", main=True),
        Tag("charts/episodic_length", Role.EPISODE_LENGTH),
        Tag("charts/learning_rate", Role.LR),
        Tag("charts/sps", Role.THROUGHPUT),
        Tag("charts/epsilon", Role.COUNTER),
        Tag("losses/policy_loss", Role.POLICY_LOSS, main=True),
        Tag("losses/actor_loss", Role.POLICY_LOSS),
        Tag("losses/value_loss", Role.VALUE_LOSS, main=True),
        Tag("losses/td_loss", Role.VALUE_LOSS),
        Tag("losses/qf*_loss", Role.VALUE_LOSS),
        Tag("losses/qf*_values", Role.PREDICTION_STAT, direction=Direction.NONE, sub_kind="mean"),
        Tag("losses/q_values", Role.PREDICTION_STAT, direction=Direction.NONE, sub_kind="mean"),
        Tag("losses/entropy", Role.ENTROPY, main=True),
        Tag("losses/approx_kl", Role.APPROX_KL, main=True),
        Tag("losses/old_approx_kl", Role.APPROX_KL, main=False),
        Tag("losses/clipfrac", Role.POLICY_CLIP_FRACTION),
        Tag("losses/explained_variance", Role.EXPLAINED_VARIANCE),
        Tag("losses/alpha*", Role.COUNTER),
    ),
)
